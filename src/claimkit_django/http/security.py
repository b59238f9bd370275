"""Security headers on every answer, early ones included; what the site says itself always wins.

Listed near the top of ``MIDDLEWARE`` it also covers what later middleware answers by itself:
redirects to HTTPS, refused hosts, CSRF failures, 404 and 500 pages. It only fills gaps: a header
that a view or another middleware has set is left as it is, so nothing is ever weakened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.conf import settings

from claimkit_django.http.middleware import AnswerMiddleware

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

__all__ = ["DATA_POLICY", "PAGE_POLICY", "PERMISSIONS", "SecurityHeadersMiddleware"]

#: Policy of documents that nobody looks at in a browser: they load and run nothing.
DATA_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
)
#: Policy of pages: from the site itself only, and nothing inline.
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
#: Features of browsers that a site about claims has no use for.
PERMISSIONS: Final = ", ".join(
    f"{feature}=()"
    for feature in (
        *("accelerometer", "camera", "geolocation", "gyroscope", "magnetometer", "microphone"),
        *("midi", "payment", "usb"),
    )
)

_ALWAYS: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The filter that it controlled was itself a hole; 0 turns it off where it still is.
    "X-XSS-Protection": "0",
    "Permissions-Policy": PERMISSIONS,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
}
#: A page may frame itself, or say so in a policy of its own, without a header that forbids it.
_FRAMES = "X-Frame-Options"


class SecurityHeadersMiddleware(AnswerMiddleware):
    """Fill in the security headers that an answer does not have. Sync and async.

    ``Strict-Transport-Security`` stays with Django's ``SecurityMiddleware`` and its settings: only
    the site knows whether all of its hosts speak TLS.
    """

    def answer(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Add what is missing."""
        del request
        headers = response.headers
        policy = next((headers[name] for name in _POLICIES if name in headers), "")
        for name, value in _ALWAYS.items():
            if name != _FRAMES or "frame-ancestors" not in policy:
                headers.setdefault(name, value)
        if not policy and not _decides_later(response):
            is_page = headers.get("Content-Type", "").startswith("text/html")
            headers["Content-Security-Policy"] = PAGE_POLICY if is_page else DATA_POLICY
        return response


#: A policy that is only being tried out is the site's own choice too.
_POLICIES: Final = ("Content-Security-Policy", "Content-Security-Policy-Report-Only")
#: Django 6's own, which writes nonces into pages; it must have the last word about them.
_DJANGO_POLICY: Final = "django.middleware.csp.ContentSecurityPolicyMiddleware"


def _decides_later(response: HttpResponseBase) -> bool:
    """Whether the site switched the policy of this very answer off, as Django's decorators do."""
    return _DJANGO_POLICY in settings.MIDDLEWARE and (
        getattr(response, "_csp_config", None) is not None
    )
