"""Swagger UI and ReDoc from the site's own static files, with a policy that forbids all others.

drf-spectacular's own pages load fonts from elsewhere even with its sidecar; these load nothing,
and need neither an installed app nor the host's template settings.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.template import Context, Engine
from django.templatetags.static import static
from django.views.decorators.http import require_safe

from claimkit_django.rest.links import link

__all__ = ["redoc", "swagger_ui"]

_ENGINE = Engine(dirs=[str(Path(__file__).parent)])
#: Both bundles write inline styles; ReDoc starts a worker from a blob and shows data: images.
_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


@require_safe
def swagger_ui(request: HttpRequest) -> HttpResponse:
    """Show the API to try it out."""
    return _page(request, "swagger_ui.html")


@require_safe
def redoc(request: HttpRequest) -> HttpResponse:
    """Show the API to read about it."""
    return _page(request, "redoc.html")


def _page(request: HttpRequest, name: str) -> HttpResponse:
    nonce = secrets.token_urlsafe(16)
    context = {
        "nonce": nonce,
        "schema": link(request, "schema"),
        "static": static("drf_spectacular_sidecar/"),
    }
    page = _ENGINE.get_template(name).render(Context(context))
    return HttpResponse(page, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce)})
