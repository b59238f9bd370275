"""Health and metrics over HTTP, for load balancers, orchestrators and people on call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction
from django.http import HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from claimkit.ops.health import Status
from claimkit_django.ops.access import may_look, refuse
from claimkit_django.ops.health import examine, examine_readiness
from claimkit_django.ops.metrics import expose, is_installed

if TYPE_CHECKING:
    from django.http import HttpRequest

    from claimkit.ops.health import Checkup
    from claimkit.types import Json

__all__ = ["health", "livez", "metrics", "readyz"]


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


@transaction.non_atomic_requests
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer all series to whoever may see them; 501 where ``prometheus_client`` is not installed."""
    if not may_look(request):
        return refuse()
    if not is_installed():
        text = "501: install 'claimkit[metrics]'\n"
        return HttpResponse(text, status=501, content_type="text/plain; charset=utf-8")
    body, content_type = expose(request.headers.get("Accept", ""), using=DEFAULT_DB_ALIAS)
    return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def _told(request: HttpRequest, found: Checkup) -> JsonResponse:
    status = 503 if found.status is Status.FAILING else 200
    return _answer(
        found.as_json() if may_look(request) else {"status": found.status.value}, status=status
    )


def _answer(body: dict[str, Json], *, status: int) -> JsonResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store"})
