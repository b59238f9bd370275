"""Middleware that enters the tenant of the caller for the length of a request.

The scope also covers a streamed body, which runs after the view has returned.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import StreamingHttpResponse

from claimkit_django.tenants.directory import choose_tenant, describe_actor
from claimkit_django.tenants.scope import enter
from claimkit_django.trail import SYSTEM, Actor, acting

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from claimkit_django.tenants.models import Tenant

__all__ = ["TenantMiddleware"]


class TenantMiddleware:
    """Enter the tenant that the signed-in caller asks for, or the only one they belong to.

    List it after ``AuthenticationMiddleware``. A caller without a tenant is let through without
    a scope: whatever touches tenant data then raises :class:`claimkit.errors.TenantRequired`,
    the same for a tenant that is not theirs and for one that does not exist.
    ``request.claimkit_tenant`` is the tenant's row, or None.
    """

    sync_capable = True
    async_capable = True

    def __init__(
        self, get_response: Callable[[HttpRequest], HttpResponseBase | Awaitable[HttpResponseBase]]
    ) -> None:
        self._respond: Callable[[HttpRequest], Any] = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Answer the request inside its tenant's scope."""
        if self._is_async:
            return self._answer_async(request)
        with acting(_actor_of(request)):
            tenant = choose_tenant(request)
            request.claimkit_tenant = tenant  # type: ignore[attr-defined]
            if tenant is None:
                return self._respond(request)
            with enter(tenant):
                response = self._respond(request)
        return _keep_scope(response, tenant)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        actor = await sync_to_async(_actor_of)(request)
        with acting(actor):
            tenant = await sync_to_async(choose_tenant)(request)
            request.claimkit_tenant = tenant  # type: ignore[attr-defined]
            if tenant is None:
                untouched: HttpResponseBase = await self._respond(request)
                return untouched
            with enter(tenant):
                response: HttpResponseBase = await self._respond(request)
        return _keep_scope(response, tenant)


def _actor_of(request: HttpRequest) -> Actor:
    user = getattr(request, "user", None)
    return SYSTEM if user is None else describe_actor(request, user, via="session")


def _keep_scope(response: HttpResponseBase, tenant: Tenant) -> HttpResponseBase:
    if isinstance(response, StreamingHttpResponse):
        body: Any = response.streaming_content
        response.streaming_content = (
            _stream_async(body, tenant) if response.is_async else _stream(body, tenant)
        )
    return response


def _stream(body: Iterator[bytes], tenant: Tenant) -> Iterator[bytes]:
    # The scope is left between the parts: a generator shares the context of whoever drains it.
    while True:
        with enter(tenant):
            try:
                part = next(body)
            except StopIteration:
                return
        yield part


async def _stream_async(body: AsyncIterator[bytes], tenant: Tenant) -> AsyncIterator[bytes]:
    while True:
        with enter(tenant):
            try:
                part = await anext(body)
            except StopAsyncIteration:
                return
        yield part
