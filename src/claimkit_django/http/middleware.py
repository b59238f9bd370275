"""Middleware that works on answers, in sync and async stacks alike."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, TypeAlias, cast

from asgiref.sync import iscoroutinefunction, markcoroutinefunction

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    GetResponse: TypeAlias = Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]

__all__ = ["AnswerMiddleware"]


class AnswerMiddleware:
    """Calls the rest of the stack within :meth:`around`, then hands its answer to :meth:`answer`."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def around(self, request: HttpRequest) -> AbstractContextManager[object]:
        """Return the context in which the rest of the stack runs; none by default."""
        del request
        return nullcontext()

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Return ``response``, changed or replaced; still within :meth:`around`."""
        raise NotImplementedError

    def __call__(  # noqa: D102  the protocol of Django's middleware
        self, request: HttpRequest
    ) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if iscoroutinefunction(self.get_response):
            return self._later(request)
        with self.around(request):
            response = cast("HttpResponseBase", self.get_response(request))
            return self.answer(request, response)

    async def _later(self, request: HttpRequest) -> HttpResponseBase:
        with self.around(request):
            response = await cast("Awaitable[HttpResponseBase]", self.get_response(request))
            return self.answer(request, response)
