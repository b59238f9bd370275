"""The view that all of claimkit's API builds on: its own errors, versions, links and caching.

Authentication is the host's (``DEFAULT_AUTHENTICATION_CLASSES``), because the host knows its
people; everything else is the view's own. What belongs to a tenant builds on
``claimkit_django.tenants.rest`` instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.utils.cache import patch_vary_headers
from rest_framework import exceptions
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import BasePermission, IsAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ViewSetMixin

from claimkit.errors import did_you_mean
from claimkit_django.http import versions
from claimkit_django.http.hops import has_come_back
from claimkit_django.http.problems import MEDIA_TYPE
from claimkit_django.http.quotas import write_headers
from claimkit_django.http.request_ids import HEADER as REQUEST_ID
from claimkit_django.http.request_ids import current_request_id
from claimkit_django.rest.conditional import early_etag, has_seen
from claimkit_django.rest.filters import OrderingBackend, StrictFilterBackend
from claimkit_django.rest.pagination import KeysetPagination
from claimkit_django.rest.parsers import PARSERS
from claimkit_django.rest.problems import LoopDetected, handle_exception
from claimkit_django.rest.schema import KitSchema
from claimkit_django.rest.throttles import (
    QuotaThrottle,
    network_of,
    refused_credentials,
    verdict_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.http.response import HttpResponseBase
    from rest_framework.parsers import BaseParser
    from rest_framework.renderers import BaseRenderer
    from rest_framework.request import Request
    from rest_framework.schemas.inspectors import ViewInspector

    from claimkit_django.rest.filters import Ordering
    from claimkit_django.rest.pagination import SortKey

__all__ = ["Answered", "ApiView", "ApiViewSet", "ListSettings"]

_READS = frozenset({"GET", "HEAD"})


class Answered(Exception):
    """The answer is known before the view does anything; raise it from :meth:`ApiView.initial`."""

    def __init__(self, response: Response) -> None:
        super().__init__("answered")
        self.response = response


class ApiView(APIView):
    """An API view that takes nothing but authentication from the host's DRF settings."""

    permission_classes: Sequence[type[BasePermission]] = (IsAuthenticated,)
    renderer_classes: Sequence[type[BaseRenderer]] = (JSONRenderer,)
    parser_classes: Sequence[type[BaseParser]] = PARSERS
    throttle_classes = (QuotaThrottle,)
    versioning_class = None
    schema: ViewInspector | None = KitSchema()
    #: OpenAPI tag of the operations.
    tag: str = ""
    #: Method → a rate of its own, such as ``5/15m``, instead of the one in the settings.
    rates: ClassVar[Mapping[str, str]] = {}
    #: Set where the operations of the view should not be used any more.
    deprecation: versions.Deprecation | None = None
    #: ``ETag`` of the answer, where it is known before the answer is.
    _etag: str = ""
    #: Sent unless the response says otherwise: browsers keep nothing of other people's claims.
    cache_control = "private, no-cache"

    def request_headers(self, method: str) -> dict[str, str]:
        """Return the optional request headers that the method reads, with what each is for."""
        del method
        return {versions.HEADER: "Which version of the API should answer; by default the current."}

    def validator(self, request: Request) -> str:
        """Return what an answer to a read depends on besides the request; ``""`` for no ``ETag``.

        One small query at most: a 304 is made from it alone.
        """
        del request
        return ""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Check who calls and may do what; answer 304 where the client holds the answer already.

        Raises:
            Answered: with the 304.
            LoopDetected: this site sent the request itself.
        """
        # Whoever calls and whatever else is wrong: a method that is not there is 405.
        if not hasattr(self, (request.method or "").lower()):
            raise exceptions.MethodNotAllowed(request.method or "")
        if has_come_back(request.headers):
            raise LoopDetected
        super().initial(request, *args, **kwargs)
        validator = self.validator(request) if request.method in _READS else ""
        if validator:
            self._etag = early_etag(request, validator)
            if has_seen(request, self._etag):
                raise Answered(Response(status=304))

    def handle_exception(self, exc: Exception) -> Response:
        """Return the answer that is known already, or the problem."""
        return exc.response if isinstance(exc, Answered) else super().handle_exception(exc)

    def get_exception_handler(self) -> Callable[[Exception, dict[str, Any]], Response | None]:
        """Answer errors as RFC 9457 problems."""
        return handle_exception

    def get_authenticate_header(self, request: Request) -> str:
        """Return a challenge even where the first authenticator has none: 401 needs one."""
        challenges = [one.authenticate_header(request) for one in self.get_authenticators()]
        return next((one for one in challenges if one), 'Session realm="claimkit"')

    def perform_authentication(self, request: Request) -> None:
        """Learn who calls; a network that keeps sending bad credentials has to wait.

        Raises:
            AuthenticationFailed: the credentials are not accepted.
            Throttled: too many from this network were not.
        """
        limit = refused_credentials() if request.headers.get("Authorization") else None
        if limit is None:
            super().perform_authentication(request)
            return
        network = network_of(request)
        verdict = limit.look(network)
        if not verdict.allowed:
            raise exceptions.Throttled(wait=verdict.wait_seconds)
        try:
            super().perform_authentication(request)
        except exceptions.AuthenticationFailed:
            limit.take(network)
            raise

    def check_permissions(self, request: Request) -> None:
        """Check what the caller may do, and what the token that they use is for.

        Raises:
            PermissionDenied: the role, or the scope of the token, does not include it.
        """
        super().check_permissions(request)
        allows = getattr(request.auth, "allows", None)
        if allows is not None and not allows(request.method):
            self.permission_denied(request, "the scope of this token does not include it")

    @property
    def may_take_personal(self) -> bool:
        """Whether the caller's token, if it is by one, may download what singles out a patient.

        As with methods, the API asks this of whatever signed in; people, and tokens of the site's
        own that do not say, are held to their role alone.
        """
        return bool(getattr(self.request.auth, "allows_personal", True))

    def refuse_personal(self) -> None:
        """Refuse a token that may not download what singles out a patient.

        Raises:
            PermissionDenied: the scope of the token does not include it.
        """
        if not self.may_take_personal:
            self.permission_denied(
                self.request,
                "the scope of this token does not include what singles out a patient; "
                "make one with personal=true",
            )

    def determine_version(
        self, request: Request, *_args: Any, **_kwargs: Any
    ) -> tuple[str | None, Any]:
        """Return the version of the ``API-Version`` request header, the current one without it.

        Raises:
            ValidationError: a version that is not supported.
        """
        asked = request.headers.get(versions.HEADER, versions.CURRENT)
        if asked not in versions.SUPPORTED:
            near = did_you_mean(asked, versions.SUPPORTED)
            offered = ", ".join(versions.SUPPORTED)
            raise exceptions.ValidationError(
                {versions.HEADER: [f"not a supported version{near}; supported: {offered}"]}
            )
        return asked, None

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> Response:
        """Add the headers that every answer of the API carries."""
        if getattr(response, "exception", False):
            # Whatever format was asked for, an error is a problem.
            request.accepted_renderer, request.accepted_media_type = JSONRenderer(), MEDIA_TYPE
        final = super().finalize_response(request, cast("Response", response), *args, **kwargs)
        final.headers.setdefault(
            versions.HEADER, getattr(request, "version", None) or versions.CURRENT
        )
        if current_request_id():
            final.headers.setdefault(REQUEST_ID, current_request_id())
        is_read = request.method in _READS or request.method == "OPTIONS"
        final.headers.setdefault("Cache-Control", self.cache_control if is_read else "no-store")
        if self._etag and final.status_code in {200, 304}:
            final.headers.setdefault("ETag", self._etag)
        final.headers.setdefault("X-Content-Type-Options", "nosniff")
        deprecation = self.deprecation or versions.DEPRECATED.get(final.headers[versions.HEADER])
        for name, value in (deprecation.headers() if deprecation else {}).items():
            # Pages have links of their own; a list of links is one header.
            mine = final.headers.get(name)
            final.headers[name] = f"{mine}, {value}" if mine else value
        patch_vary_headers(
            final, ("Accept", "Authorization", "Cookie", *self.request_headers("GET"))
        )
        verdict = verdict_of(request)
        if verdict is not None:
            write_headers(final, verdict)
        return final


class ApiViewSet(ViewSetMixin, ApiView):
    """Several operations on one resource, for routers."""


class ListSettings(GenericAPIView[Any]):
    """How lists are filtered, ordered and paged; mix it in before a generic view."""

    pagination_class = KeysetPagination
    filter_backends = (StrictFilterBackend, OrderingBackend)
    #: Public name → columns; the whole allow-list.
    orderings: ClassVar[Mapping[str, Ordering]] = {}
    #: Name in :attr:`orderings`, with ``-`` for descending.
    default_ordering: str = ""

    def sort_keys(self, request: Request) -> Sequence[SortKey]:
        """Return the columns that a page is sorted by."""
        return OrderingBackend.chosen(request, self).keys
