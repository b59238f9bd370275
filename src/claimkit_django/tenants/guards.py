"""Guards on writes of single rows: the scope, and the tenant a row was read with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from claimkit.errors import TenantForbidden
from claimkit_django.tenants.scope import current_scope, find_tenant_id

if TYPE_CHECKING:
    from claimkit_django.tenants.models import TenantModel

__all__ = ["guard_delete", "guard_save", "remember_tenant"]

_T = TypeVar("_T", bound="TenantModel")
#: Where a row remembers the tenant it was read with.
_READ_WITH = "_claimkit_tenant_id"


def remember_tenant(row: _T) -> _T:
    """Note which tenant a row was read or written with."""
    # A deferred tenant is not loaded just to be remembered.
    if "tenant_id" in row.__dict__:
        row.__dict__[_READ_WITH] = row.tenant_id
    return row


def guard_save(row: TenantModel, using: str | None) -> None:
    """Give a new row the tenant in scope; refuse a row of another one.

    Raises:
        TenantRequired: no tenant is in scope.
        TenantForbidden: the row belongs, or would belong, to another tenant.
    """
    tenant = find_tenant_id(current_scope(), using)
    # A new row has none yet, whatever the field's type says.
    if cast("int | None", row.tenant_id) is None:
        row.tenant_id = tenant
    _refuse_foreign(row, tenant)


def guard_delete(row: TenantModel, using: str | None) -> None:
    """Refuse to delete a row of another tenant.

    Raises:
        TenantRequired: no tenant is in scope.
        TenantForbidden: the row belongs to another tenant.
    """
    _refuse_foreign(row, find_tenant_id(current_scope(), using))


def _refuse_foreign(row: Any, tenant: int) -> None:
    read_with = row.__dict__.get(_READ_WITH, tenant)
    if row.tenant_id != tenant or read_with != tenant:
        raise TenantForbidden("a row belongs to another tenant")
