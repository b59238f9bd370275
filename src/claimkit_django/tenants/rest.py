"""The tenants of the caller, and the view that everything of a tenant builds on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar

from django.db import router
from django.db.models import F
from django.utils import timezone
from drf_spectacular.utils import (
    OpenApiExample,
    extend_schema_view,
)
from rest_framework import exceptions, mixins, serializers
from rest_framework.response import Response

from claimkit.errors import TenantRequired, TenantUnknown
from claimkit.tenants import Role
from claimkit_django.conf import config
from claimkit_django.rest.conditional import IF_MATCH, content_etag, require_match
from claimkit_django.rest.fields import StrictTexts, TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.permissions import HasRole
from claimkit_django.rest.problems import PreconditionFailed
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiView, ApiViewSet, ListSettings
from claimkit_django.tenants.changes import data_version, states_of
from claimkit_django.tenants.directory import actor_of, describe_actor, resolve
from claimkit_django.tenants.idempotency import HEADER as IDEMPOTENCY_KEY
from claimkit_django.tenants.idempotency import claim
from claimkit_django.tenants.members import role_of
from claimkit_django.tenants.models import Membership, Tenant
from claimkit_django.tenants.scope import enter
from claimkit_django.tenants.timezones import validate_timezone
from claimkit_django.trail import acting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from django.http.response import HttpResponseBase
    from rest_framework.request import Request

    from claimkit_django.tenants.idempotency import Claimed
    from claimkit_django.tenants.models import TenantModel
    from claimkit_django.trail import Actor

__all__ = [
    "ADMIN_ONLY",
    "ANALYST_WRITES",
    "READ",
    "TenantRowsView",
    "TenantView",
    "TenantViewSet",
    "role_in",
]

#: Roles of a resource that members read.
READ: Mapping[str, Role] = dict.fromkeys(("GET", "HEAD", "OPTIONS"), Role.VIEWER)
#: Roles of a resource that analysts also write.
ANALYST_WRITES: Mapping[str, Role] = {
    **READ,
    **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), Role.ANALYST),
}

#: Roles of a resource that admins keep.
ADMIN_ONLY: Mapping[str, Role] = dict.fromkeys((*ANALYST_WRITES,), Role.ADMIN)


class TenantView(ApiView):
    """A view that runs in the scope of one tenant, entered before anything else is looked at."""

    permission_classes = (HasRole,)
    #: Method → role that it takes; see :class:`claimkit_django.rest.permissions.RoleAware`.
    roles: ClassVar[Mapping[str, Role]] = READ
    role: Role | None = None
    #: Rooms whose changes change the answer to a read; none: it has no early ``ETag``.
    validated_by: ClassVar[tuple[str, ...]] = ()
    #: The tenant in scope.
    tenant: Tenant
    _scope: ExitStack
    _claimed: Claimed | None = None
    #: Header that makes a POST safe to repeat.
    idempotency_header: ClassVar[str] = IDEMPOTENCY_KEY

    def request_headers(self, method: str) -> dict[str, str]:
        """Add the header that chooses a tenant, and the one that makes a POST safe to repeat."""
        headers = super().request_headers(method)
        headers[header_name()] = "Key of the tenant; members of several must name one."
        if method == "POST":
            headers[IDEMPOTENCY_KEY] = "Any text of yours; a repeat with the same gets the answer."
        return headers

    def validator(self, request: Request) -> str:
        """Return who asks, in which role, and the state of what is shown; no query for members."""
        if not self.validated_by:
            return ""
        member = self.tenant.known_member
        if member is not None and member.user_id == request.user.pk:
            state = states_of(member, self.validated_by)
        else:
            using = self.tenant._state.db or router.db_for_read(Tenant)
            state = data_version(self.tenant.pk, self.validated_by, using)
        return f"{self.tenant.key} {actor_of(request.user)} {self.role} {state}"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Answer a repeated POST as the first time.

        Raises:
            Answered: with the first answer.
        """
        super().initial(request, *args, **kwargs)
        if request.method == "POST":
            self._claimed = claim(request, self._scope, header=self.idempotency_header)

    def finalize_response(
        self, request: Request, response: HttpResponseBase, *args: Any, **kwargs: Any
    ) -> Response:
        """Keep the answer beside the work, where a key asks for it."""
        final = super().finalize_response(request, response, *args, **kwargs)
        if self._claimed is not None:
            self._claimed.settle(final)
        return final

    def dispatch(self, request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Leave the scope once the answer is made."""
        with ExitStack() as self._scope:
            return super().dispatch(request, *args, **kwargs)

    def perform_authentication(self, request: Request) -> None:
        """Learn who calls, then enter the tenant: before permissions, filters and objects.

        Raises:
            TenantRequired: the caller is a member of none, or of several and chose none.
            TenantUnknown: the chosen tenant is not one of the caller's.
        """
        super().perform_authentication(request)
        if not request.user.is_authenticated:
            return
        self._scope.enter_context(acting(_actor_of(request)))
        self.tenant, self.role = _choose(request)
        self._scope.enter_context(enter(self.tenant))


class TenantRowsView(ListSettings, TenantView):
    """Lists and objects of one model of the tenant in scope, found by ``uid``."""

    model: ClassVar[type[TenantModel]]
    lookup_field = "uid"

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows of the tenant in scope; none while a schema is made."""
        if getattr(self, "swagger_fake_view", False):
            nothing: QuerySet[Any] = self.model.objects.none()
            return nothing
        rows: QuerySet[Any] = self.model.objects.all()
        return rows


class TenantSerializer(StrictTexts, serializers.ModelSerializer[Tenant]):
    """A tenant as one of its members sees it."""

    role = serializers.ChoiceField(
        choices=[role.value for role in Role], read_only=True, help_text="What you may do in it."
    )
    timezone = TextField(max_length=64, validators=[validate_timezone], help_text="IANA name.")
    _links = LinksField({"self": ("tenant-detail", {"key": "key"})})

    class Meta:
        model = Tenant
        fields = ("key", "name", "timezone", "role", "_links")
        read_only_fields = ("key", "role", "_links")


_EXAMPLE = OpenApiExample(
    "northside",
    value={
        "key": "northside",
        "name": "Northside Hospital",
        "timezone": "America/New_York",
        "role": "analyst",
        "_links": {"self": "/api/v1/tenants/northside/"},
    },
    response_only=True,
    status_codes=["200"],
)


@extend_schema_view(
    list=operation(summary="List your tenants", examples=[_EXAMPLE]),
)
class TenantViewSet(
    ListSettings,
    ApiViewSet,
    mixins.ListModelMixin,
):
    """The tenants that the caller is a member of, with the caller's role in each."""

    tag = "tenants"
    serializer_class = TenantSerializer
    filterset_class = StrictFilterSet
    lookup_field = "key"
    lookup_value_regex = "[a-z0-9_-]+"
    orderings: ClassVar[Mapping[str, Ordering]] = {"key": Ordering(SortKey("key"))}
    default_ordering = "key"

    def get_queryset(self) -> QuerySet[Tenant]:
        """Return active tenants with the caller as a member; nobody else's exist here."""
        if getattr(self, "swagger_fake_view", False):
            return Tenant.objects.none()
        person: Any = self.request.user
        mine = Membership.objects.filter(user_id=person.pk)
        bound: Tenant | None = getattr(self.request.auth, "tenant", None)
        if bound is not None:
            mine = mine.filter(tenant_id=bound.pk)
        return Tenant.objects.filter(active=True, memberships__in=mine).annotate(
            role=F("memberships__role")
        )

    def request_headers(self, method: str) -> dict[str, str]:
        """Add the header by which a change says what it is based on."""
        return super().request_headers(method) | (IF_MATCH if method == "PATCH" else {})

    @operation(summary="Get one of your tenants", examples=[_EXAMPLE])
    def retrieve(self, request: Request, key: str) -> Response:  # noqa: ARG002
        """Return the tenant; its `ETag` is what a change is based on."""
        refuse_unknown(request, ())
        return self._answer(self.get_object())

    @operation(
        summary="Rename a tenant or move its time zone",
        request=TenantSerializer,
        responses=TenantSerializer,
        examples=[_EXAMPLE],
    )
    def partial_update(self, request: Request, key: str) -> Response:  # noqa: ARG002
        """Change the name or the time zone; for admins and owners."""
        refuse_unknown(request, ())
        tenant = self.get_object()
        if not Role(tenant.role).includes(Role.ADMIN):
            raise exceptions.PermissionDenied(HasRole.message)
        require_match(request, _etag_of(tenant))
        asked = self.get_serializer(tenant, data=request.data, partial=True)
        asked.is_valid(raise_exception=True)
        # One statement that changes what was read, or nothing.
        unchanged = Tenant.objects.filter(pk=tenant.pk, name=tenant.name, timezone=tenant.timezone)
        values = dict(asked.validated_data)
        with acting(_actor_of(request)):
            changed = unchanged.update(**values, updated_at=timezone.now())
        if not changed:
            raise PreconditionFailed
        for name, value in values.items():
            setattr(tenant, name, value)
        return self._answer(tenant)

    def _answer(self, tenant: Tenant) -> Response:
        body = self.get_serializer(tenant).data
        return Response(body, headers={"ETag": _etag_of(tenant)})


def _etag_of(tenant: Any) -> str:
    return content_etag(tenant.key, tenant.name, tenant.timezone, tenant.role)


def _actor_of(request: Request) -> Actor:
    token = getattr(request.auth, "uid", "")
    via = f"token {token}" if token else "session" if request.auth is None else "other"
    return describe_actor(request._request, request.user, via=via)


def header_name() -> str:
    """Return the name of the header by which a member of several tenants chooses one."""
    return config().tenants.header


def role_in(request: Request) -> Role | None:
    """Return the caller's role in the tenant of the request; None where there is none yet."""
    if not request.user.is_authenticated:
        return None
    try:
        return _choose(request)[1]
    except (TenantRequired, TenantUnknown):
        return None


def _choose(request: Request) -> tuple[Tenant, Role]:
    """Return the caller's tenant for this request and the role in it; two queries at most.

    Raises:
        TenantRequired: the caller is a member of none, or of several and chose none.
        TenantUnknown: the chosen tenant is not one of the caller's.
    """
    # Where the middleware chose, it knew the session's user; DRF may have found another one.
    # A token is for one tenant, whatever else is asked for.
    bound: Tenant | None = getattr(request.auth, "tenant", None)
    tenant: Tenant | None = getattr(request._request, "claimkit_tenant", None)
    if bound is not None:
        tenant = None
    role = role_of(request.user, tenant) if tenant is not None else None
    if tenant is not None and role is not None:
        return tenant, role
    wanted = bound.key if bound is not None else request.headers.get(header_name(), "")
    tenant = resolve(request.user, wanted=wanted)
    role = role_of(request.user, tenant) if tenant is not None else None
    if tenant is not None and role is not None:
        return tenant, role
    if wanted:
        raise TenantUnknown("there is no such tenant")
    raise TenantRequired("no tenant is chosen", remedy=f"Name one in {header_name()}")
