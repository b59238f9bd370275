"""Who is a member of a tenant, and in which role; for its admins and owners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import django_filters
from django.contrib.auth import get_user_model
from django.db import transaction
from django.http import Http404
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema_view
from rest_framework import exceptions, mixins, serializers, status
from rest_framework.response import Response

from claimkit.errors import TenantForbidden
from claimkit.tenants import Role
from claimkit_django.rest.conditional import IF_MATCH, content_etag, require_match
from claimkit_django.rest.fields import TextField
from claimkit_django.rest.filters import Ordering, StrictFilterSet, refuse_unknown
from claimkit_django.rest.links import LinksField
from claimkit_django.rest.pagination import SortKey
from claimkit_django.rest.problems import Conflict
from claimkit_django.rest.schema import operation
from claimkit_django.rest.views import ApiViewSet, ListSettings
from claimkit_django.tenants.members import LastOwner, grant, remove
from claimkit_django.tenants.models import Membership, Tenant
from claimkit_django.tenants.rest import ADMIN_ONLY, TenantView

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import QuerySet
    from rest_framework.request import Request

__all__ = ["MembershipViewSet"]

_ROLES = [(role.value, role.value) for role in Role]


class MembershipFilters(StrictFilterSet):
    """What memberships can be filtered by."""

    role = django_filters.ChoiceFilter(choices=_ROLES)

    class Meta:
        model = Membership
        fields: ClassVar[list[str]] = []


class MembershipSerializer(serializers.ModelSerializer[Membership]):
    """One member."""

    user = serializers.CharField(source="user.get_username", help_text="Name to sign in with.")
    role = serializers.ChoiceField(choices=_ROLES)
    since = serializers.DateTimeField(source="created_at")
    _links = LinksField(
        {
            "self": ("membership-detail", {"user": "user.get_username"}),
            "collection": ("membership-list", {}),
        }
    )

    class Meta:
        model = Membership
        fields = ("user", "role", "since", "_links")
        read_only_fields = fields


class RoleSerializer(serializers.Serializer[Any]):
    """A role to give."""

    role = serializers.ChoiceField(choices=_ROLES)


class GrantSerializer(RoleSerializer):
    """A person to make a member."""

    user = TextField(max_length=254, help_text="Name that the person signs in with.")

    def validate_user(self, name: str) -> Any:
        """Return the person who signs in with the name.

        Raises:
            ValidationError: there is nobody, or not any more.
        """
        people = get_user_model()._default_manager
        person = people.filter(**{get_user_model().USERNAME_FIELD: name}, is_active=True).first()
        if person is None:
            raise exceptions.ValidationError("nobody signs in with this name", code="unknown_user")
        return person


def _example(name: str, code: str) -> OpenApiExample:
    value = {
        "user": "anna",
        "role": "analyst",
        "since": "2026-01-05T09:00:00Z",
        "_links": {"self": "/api/v1/memberships/anna/", "collection": "/api/v1/memberships/"},
    }
    return OpenApiExample(name, value=value, response_only=True, status_codes=[code])


_USER = OpenApiParameter(
    "user", str, OpenApiParameter.PATH, description="Name that the person signs in with."
)


@extend_schema_view(
    list=operation(summary="List members", examples=[_example("member", "200")]),
)
class MembershipViewSet(mixins.ListModelMixin, ApiViewSet, ListSettings, TenantView):
    """The members of a tenant. Nobody grants a role above their own; the last owner stays."""

    tag = "memberships"
    serializer_class = MembershipSerializer
    filterset_class = MembershipFilters
    roles: ClassVar[Mapping[str, Role]] = ADMIN_ONLY
    #: Adding members tells which names sign in to the site; not for trying out names.
    rates: ClassVar[Mapping[str, str]] = {"POST": "60/1h"}
    lookup_field = "user"
    lookup_value_regex = "[^/]{1,254}"
    orderings: ClassVar[Mapping[str, Ordering]] = {
        "user": Ordering(SortKey("user_id")),
    }
    default_ordering = "user"

    def request_headers(self, method: str) -> dict[str, str]:
        """Add the header by which a change says what it is based on."""
        changes = method in {"PATCH", "DELETE"}
        return super().request_headers(method) | (IF_MATCH if changes else {})

    def get_queryset(self) -> QuerySet[Membership]:
        """Return the members of the tenant in scope."""
        if getattr(self, "swagger_fake_view", False):
            return Membership.objects.none()
        return Membership.objects.filter(tenant_id=self.tenant.pk).select_related("user")

    def get_object(self) -> Membership:
        """Return the membership of the named person.

        Raises:
            Http404: not a member.
        """
        named = {f"user__{get_user_model().USERNAME_FIELD}": self.kwargs["user"]}
        found = self.get_queryset().filter(**named).first()
        if found is None:
            raise Http404
        return found

    @operation(summary="Get a member", parameters=[_USER], examples=[_example("member", "200")])
    def retrieve(self, request: Request, user: str) -> Response:  # noqa: ARG002
        """Return the membership; its `ETag` is what a change is based on."""
        refuse_unknown(request, ())
        return self._answer(self.get_object())

    @operation(
        summary="Add a member",
        request=GrantSerializer,
        responses={201: MembershipSerializer},
        examples=[_example("member", "201")],
    )
    def create(self, request: Request) -> Response:
        """Make a person who signs in to this site a member."""
        refuse_unknown(request, ())
        asked = GrantSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        person, role = asked.validated_data["user"], Role(asked.validated_data["role"])
        with transaction.atomic(using=self.tenant._state.db):
            Tenant.objects.select_for_update(no_key=True).get(pk=self.tenant.pk)
            if self.get_queryset().filter(user_id=person.pk).exists():
                raise Conflict("this person is a member already; change the role instead")
            member = self._grant(person, role)
        return self._answer(member, status.HTTP_201_CREATED)

    @operation(
        summary="Change a member's role",
        parameters=[_USER],
        request=RoleSerializer,
        responses=MembershipSerializer,
        examples=[_example("member", "200")],
    )
    def partial_update(self, request: Request, user: str) -> Response:  # noqa: ARG002
        """Give the member another role."""
        refuse_unknown(request, ())
        with transaction.atomic(using=self.tenant._state.db):
            member = self._locked(request)
            asked = RoleSerializer(data=request.data, partial=True)
            asked.is_valid(raise_exception=True)
            role = Role(asked.validated_data.get("role", member.role))
            return self._answer(self._grant(member.user, role))

    @operation(summary="Remove a member", parameters=[_USER], responses={204: None})
    def destroy(self, request: Request, user: str) -> Response:  # noqa: ARG002
        """End the membership; what the person did stays."""
        refuse_unknown(request, ())
        with transaction.atomic(using=self.tenant._state.db):
            member = self._locked(request)
            try:
                remove(member=member, by=self._role())
            except TenantForbidden as error:
                raise exceptions.PermissionDenied(error.message) from None
            except LastOwner as error:
                raise Conflict(str(error)) from None
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _locked(self, request: Request) -> Membership:
        """Return the member as nobody else can change it any more, if it is what was read."""
        found = self.get_object()
        member = self.get_queryset().select_for_update(of=("self",)).filter(pk=found.pk).first()
        if member is None:
            raise Http404
        require_match(request, _etag_of(member))
        return member

    def _grant(self, person: Any, role: Role) -> Membership:
        try:
            return grant(tenant=self.tenant, user=person, role=role, by=self._role())
        except TenantForbidden as error:
            raise exceptions.PermissionDenied(error.message) from None
        except LastOwner as error:
            raise Conflict(str(error)) from None

    def _role(self) -> Role:
        return self.role or Role.VIEWER

    def _answer(self, member: Membership, code: int = status.HTTP_200_OK) -> Response:
        body = self.get_serializer(member).data
        headers = {"ETag": _etag_of(member)}
        if code == status.HTTP_201_CREATED:
            headers["Location"] = body["_links"]["self"]
        return Response(body, status=code, headers=headers)


def _etag_of(member: Membership) -> str:
    return content_etag(member.pk, member.role)
