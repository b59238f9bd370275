"""Health over HTTP, for load balancers, orchestrators and people on call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import JsonResponse
from django.views.decorators.http import require_safe

from claimkit.ops.health import Status
from claimkit_django.ops.access import may_look
from claimkit_django.ops.health import examine, examine_readiness

if TYPE_CHECKING:
    from django.http import HttpRequest

    from claimkit.ops.health import Checkup
    from claimkit.types import Json

__all__ = ["health", "livez", "readyz"]


@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """Answer 200: the process takes requests. Asks nothing, so that no outage restarts it."""
    del request
    return _answer({"status": Status.OK.value}, status=200)


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 where requests can be served, else 503."""
    return _told(request, examine_readiness())


@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 where nothing fails, else 503; degraded is told and is no failure."""
    return _told(request, examine())


def _told(request: HttpRequest, found: Checkup) -> JsonResponse:
    status = 503 if found.status is Status.FAILING else 200
    return _answer(
        found.as_json() if may_look(request) else {"status": found.status.value}, status=status
    )


def _answer(body: dict[str, Json], *, status: int) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
