"""Sessions end: after a while without a request, and after a working day in any case."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.signals import user_logged_in

from claimkit_django.conf import config

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["SessionLimitMiddleware", "connect_sign_ins"]

#: Seconds since the epoch at which the person signed in, and was last seen.
_BEGAN, _SEEN = "claimkit_began", "claimkit_seen"
#: Being seen is noted once in this time: noting each request would make every read a write.
_NOTED_SECONDS = 60


class SessionLimitMiddleware:
    """End sessions that were idle for too long, or are too old. Sync and async.

    List it after ``SessionMiddleware`` and before ``AuthenticationMiddleware``: the request then
    goes on as that of a stranger, with ``request.claimkit_session_ended`` saying why: ``idle`` or
    ``age``. Requests without a session cookie, such as those of programs, cost nothing.
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
        """Look at the session, then answer."""
        if self._is_async:
            return self._answer_async(request)
        _look(request)
        return self._respond(request)

    async def _answer_async(self, request: HttpRequest) -> HttpResponseBase:
        await sync_to_async(_look)(request)
        response: HttpResponseBase = await self._respond(request)
        return response


def connect_sign_ins() -> None:
    """Note when each session begins; called once, when the app is ready."""
    user_logged_in.connect(_begin, dispatch_uid="claimkit_session_limit")


def _begin(request: HttpRequest | None, **_kwargs: Any) -> None:
    if request is not None and hasattr(request, "session"):
        request.session[_BEGAN] = request.session[_SEEN] = int(time.time())


def _look(request: HttpRequest) -> None:
    if settings.SESSION_COOKIE_NAME not in request.COOKIES or SESSION_KEY not in request.session:
        return
    now, session = int(time.time()), request.session
    ended = _why_ended(session.get(_BEGAN), session.get(_SEEN), now)
    if ended:
        logout(request)
        request.claimkit_session_ended = ended  # type: ignore[attr-defined]
        return
    if _BEGAN not in session:
        session[_BEGAN] = now
    is_background = request.path.startswith(config().accounts.idle_paths)
    if not is_background and now - session.get(_SEEN, 0) >= _NOTED_SECONDS:
        session[_SEEN] = now


def _why_ended(began: int | None, seen: int | None, now: int) -> str:
    room = config().accounts
    if seen is not None and now - seen > room.idle_minutes * 60:
        return "idle"
    if began is not None and now - began > room.session_hours * 3_600:
        return "age"
    return ""
