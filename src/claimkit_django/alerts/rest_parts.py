"""What the resources of the alerts room share: what alerts are about, names, and safe changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import DEFAULT_DB_ALIAS, IntegrityError, transaction
from rest_framework import exceptions, serializers, status
from rest_framework.response import Response

from claimkit.drift.findings import Signal
from claimkit.tenants import Role
from claimkit_django.alerts.models import Channel
from claimkit_django.rest.conditional import IF_MATCH, content_etag, require_match
from claimkit_django.rest.fields import TextField
from claimkit_django.rest.filters import StrictFilterSet, refuse_unknown
from claimkit_django.rest.views import ApiViewSet
from claimkit_django.tenants.rest import TenantRowsView

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rest_framework.request import Request

__all__ = [
    "KINDS_OF_DRIFT",
    "READ_BY_ALL",
    "Guarded",
    "GuardedWrites",
    "NoFilters",
    "dimensions_field",
    "kinds_field",
    "payers_field",
    "refuse_strangers",
    "save_named",
]

#: Everybody reads, admins write.
READ_BY_ALL: Mapping[str, Role] = {
    **dict.fromkeys(("GET", "HEAD", "OPTIONS"), Role.VIEWER),
    **dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), Role.ADMIN),
}
KINDS_OF_DRIFT = tuple(one.value for one in Signal)
#: What an alert can be about: a closed set, so that a typing error is one when it is made.
_KINDS = [
    *KINDS_OF_DRIFT,
    *("rejected_rows", "import_failed", "import_missing", "watch_missing", "payer_silent"),
    *("alerts_held", "report_failed"),
    *("endpoint_disabled", "authorization_expiring", "authorization_exhausting", "rule_matched"),
]
_MOST_DIMENSIONS = 10


def payers_field() -> serializers.ListField:
    """Return the field for names of payers; empty means all."""
    return serializers.ListField(child=TextField(max_length=200), required=False, max_length=200)


def kinds_field() -> serializers.ListField:
    """Return the field for what alerts are about; empty means all."""
    return serializers.ListField(
        child=serializers.ChoiceField(choices=_KINDS), required=False, max_length=len(_KINDS)
    )


class _DimensionsField(serializers.DictField):
    def to_internal_value(self, data: Any) -> dict[str, Any]:
        found: dict[str, Any] = super().to_internal_value(data)
        if len(found) > _MOST_DIMENSIONS:
            raise serializers.ValidationError(f"there are {_MOST_DIMENSIONS} dimensions at most")
        return found


def dimensions_field() -> serializers.DictField:
    """Return the field for parts of payers; of each dimension an alert has one of the values."""
    return _DimensionsField(
        child=serializers.ListField(
            child=TextField(max_length=200), allow_empty=False, max_length=200
        ),
        required=False,
        help_text='Such as `{"procedure_group": ["MRI"]}`.',
    )


class NoFilters(StrictFilterSet):
    """Nothing to filter by: there are few."""


def refuse_strangers(uids: Iterable[str]) -> None:
    """Check that the tenant in scope has these channels.

    Raises:
        ValidationError: one is not there.
    """
    named = set(uids)
    known = set(Channel.objects.filter(uid__in=named).values_list("uid", flat=True))
    if named - known:
        raise serializers.ValidationError(
            {"channels": f"there is no channel {min(named - known)}"}, code="does_not_exist"
        )


def save_named(what: Channel | serializers.BaseSerializer[Any]) -> None:
    """Save a row or a serializer.

    Raises:
        ValidationError: the name is taken.
    """
    try:
        with transaction.atomic():
            what.save()
    except IntegrityError:
        taken = "there is one of this name"
        raise exceptions.ValidationError({"name": [taken]}, code="unique") from None


class Guarded(ApiViewSet, TenantRowsView):
    """Changes say in ``If-Match`` what they are based on; answers have its ``ETag``."""

    def request_headers(self, method: str) -> dict[str, str]:
        """Add the header that makes a change safe."""
        changes = method in {"PUT", "PATCH"}
        return super().request_headers(method) | (IF_MATCH if changes else {})

    def retrieve(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Return one; its `ETag` is what a change is based on."""
        refuse_unknown(request, ())
        return self.answer(self.get_object())

    def locked(self, request: Request) -> Any:
        """Return the row that the address names, locked, if the change is based on it as it is.

        Raises:
            PreconditionRequired: the request does not say what it is based on.
            PreconditionFailed: it is based on another state.
        """
        found = self.get_object()
        row = self.get_queryset().select_for_update(of=("self",)).get(pk=found.pk)
        require_match(request, self.etag_of(row))
        return row

    def etag_of(self, row: Any) -> str:
        """Return the ``ETag`` of all that the row keeps, secrets too."""
        return content_etag(*(repr(getattr(row, one.attname)) for one in row._meta.concrete_fields))

    def answer(self, row: Any, code: int = status.HTTP_200_OK) -> Response:
        """Return the row as it is, with its ``ETag``."""
        headers = {"ETag": self.etag_of(row)}
        return Response(self.get_serializer(row).data, status=code, headers=headers)


class GuardedWrites(Guarded):
    """Rows with a name of their own that are made, replaced and changed as their serializer says."""

    def create(self, request: Request) -> Response:
        """Add one."""
        refuse_unknown(request, ())
        sent = self.get_serializer(data=request.data)
        sent.is_valid(raise_exception=True)
        self.keep(sent)
        return self._fresh(sent.instance, status.HTTP_201_CREATED)

    def update(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Replace it; `If-Match` keeps others' changes."""
        return self._change(request, partial=False)

    def partial_update(self, request: Request, uid: str) -> Response:  # noqa: ARG002
        """Change it; `If-Match` keeps others' changes."""
        return self._change(request, partial=True)

    def keep(self, sent: serializers.BaseSerializer[Any]) -> None:
        """Save what was sent under a name that is free."""
        save_named(sent)

    def _change(self, request: Request, *, partial: bool) -> Response:
        refuse_unknown(request, ())
        with transaction.atomic(using=DEFAULT_DB_ALIAS):
            sent = self.get_serializer(self.locked(request), data=request.data, partial=partial)
            sent.is_valid(raise_exception=True)
            self.keep(sent)
        return self._fresh(sent.instance)

    def _fresh(self, row: Any, code: int = status.HTTP_200_OK) -> Response:
        # As the database keeps it: the ETag is of that.
        return self.answer(self.get_queryset().get(pk=row.pk), code)
