"""System checks of the tenants room: what would break isolation, found at start-up.

========================  =======================================================================
``claimkit_tenants.E001``  the setting ``CLAIMKIT`` is not usable
``claimkit_tenants.E002``  ``USE_TZ`` is off
``claimkit_tenants.E003``  the tenant middleware stands before authentication
``claimkit_tenants.E004``  a unique key of a tenant's table does not lead with the tenant
``claimkit_tenants.E005``  a tenant's model lost its scoped managers
``claimkit_tenants.E006``  a many-to-many table of a tenant's model has no tenant
``claimkit_tenants.E007``  a tenant's table is not held by row-level security, which is asked for
``claimkit_tenants.E008``  a further policy lets rows of other tenants pass
``claimkit_tenants.W002``  the database role sees every row, policies or not
``claimkit_tenants.W001``  SQLite starts transactions that may fail when they first write
========================  =======================================================================
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.db.models import UniqueConstraint

from claimkit.errors import ConfigError
from claimkit_django.conf import read_config
from claimkit_django.http.checks import register_checks as register_http_checks
from claimkit_django.tenants.policies import bypasses_policies, inventory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.models import Model

    from claimkit_django.tenants.policies import TableWall

__all__ = ["register_checks"]

_AUTHENTICATION = "django.contrib.auth.middleware.AuthenticationMiddleware"
_TENANT = "claimkit_django.tenants.middleware.TenantMiddleware"


def register_checks() -> None:
    """Register the checks of this room and of the HTTP layer; called once, when the app is ready."""
    register_http_checks()
    checks.register(check_setting)
    checks.register(check_time_zones)
    checks.register(check_middleware)
    checks.register(check_models, checks.Tags.models)
    checks.register(check_sqlite, checks.Tags.database)
    checks.register(check_row_security, checks.Tags.database)


def check_setting(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E001 where the setting ``CLAIMKIT`` cannot be used."""
    try:
        read_config()
    except ConfigError as error:
        return [
            checks.Error(
                f"The setting CLAIMKIT is not usable: {error.message}.",
                hint=error.remedy or "See the reference of settings for the rooms and their keys.",
                id="claimkit_tenants.E001",
            )
        ]
    return []


def check_time_zones(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E002 where instants would be naive."""
    if settings.USE_TZ:
        return []
    return [
        checks.Error(
            "claimkit needs aware datetimes.",
            hint="Set USE_TZ = True.",
            id="claimkit_tenants.E002",
        )
    ]


def check_middleware(**_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E003 where the tenant would be chosen before the person is known."""
    listed = list(settings.MIDDLEWARE)
    if _TENANT not in listed or (
        _AUTHENTICATION in listed and listed.index(_AUTHENTICATION) < listed.index(_TENANT)
    ):
        return []
    return [
        checks.Error(
            "TenantMiddleware cannot know who calls.",
            hint=f"List {_TENANT!r} after {_AUTHENTICATION!r} in MIDDLEWARE.",
            id="claimkit_tenants.E003",
        )
    ]


def check_models(app_configs: Any = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E004 to E006 for models of tenants, the host's own included."""
    from claimkit_django.tenants.models import TenantModel

    chosen = apps.get_app_configs() if app_configs is None else app_configs
    found: list[checks.CheckMessage] = []
    for app in chosen:
        for model in app.get_models():
            if issubclass(model, TenantModel):
                found += check_tenant_model(model)
    return found


def check_tenant_model(model: type[Model]) -> list[checks.CheckMessage]:
    """Return what is wrong with one model of a tenant."""
    found: list[checks.CheckMessage] = [
        checks.Error(
            f"The unique key ({', '.join(fields)}) does not lead with the tenant: it tells one"
            " tenant what another one has.",
            hint="Put 'tenant' first.",
            obj=model,
            id="claimkit_tenants.E004",
        )
        for fields in _unique_keys(model)
        if fields[0] not in ("tenant", "tenant_id")
    ]
    if not (_is_scoped(model._base_manager) and _is_scoped(model._default_manager)):
        found.append(
            checks.Error(
                "The default and the base manager of a tenant's model must be scoped.",
                hint="Inherit Meta from TenantModel.Meta, and managers from TenantManager.",
                obj=model,
                id="claimkit_tenants.E005",
            )
        )
    found.extend(
        checks.Error(
            f"The table of {field.name!r} joins rows without naming their tenant.",
            hint="Give it an explicit 'through' model that inherits from TenantModel.",
            obj=model,
            id="claimkit_tenants.E006",
        )
        for field in model._meta.local_many_to_many
        if not _is_tenant_model(field.remote_field.through)
    )
    return found


def check_sqlite(databases: Any = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """Return W001 for SQLite databases whose transactions begin as readers."""
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        entry = settings.DATABASES[alias]
        mode = entry.get("OPTIONS", {}).get("transaction_mode")
        if entry["ENGINE"] == "django.db.backends.sqlite3" and mode not in (
            "IMMEDIATE",
            "EXCLUSIVE",
        ):
            found.append(
                checks.Warning(
                    f"Transactions on the SQLite database {alias!r} may fail when they first write.",
                    hint='Set OPTIONS["transaction_mode"] = "IMMEDIATE".',
                    id="claimkit_tenants.W001",
                )
            )
    return found


def check_row_security(databases: Any = None, **_kwargs: Any) -> list[checks.CheckMessage]:
    """Return E007, E008 and W002 where row-level security is asked for and does not hold."""
    try:
        wanted = read_config().tenants.row_level_security
    except ConfigError:
        return []  # E001 says so.
    if not wanted:
        return []
    found: list[checks.CheckMessage] = []
    for alias in databases or ():
        for wall in inventory(alias):
            found += check_wall(wall)
        if bypasses_policies(alias):
            found.append(
                checks.Warning(
                    f"The role of the database {alias!r} sees every row, policies or not.",
                    hint="Connect as a role that is neither superuser nor BYPASSRLS.",
                    id="claimkit_tenants.W002",
                )
            )
    return found


def check_wall(wall: TableWall) -> list[checks.CheckMessage]:
    """Return what is wrong with row-level security of one table."""
    if wall.holds:
        return []
    if wall.others:
        return [
            checks.Error(
                f"Policies let more rows of {wall.table} pass: {', '.join(wall.others)}.",
                hint="Drop them, or make them AS RESTRICTIVE.",
                obj=wall.model,
                id="claimkit_tenants.E008",
            )
        ]
    hint = (
        "As owner of the tables, run: manage.py claimkit_row_security enable"
        if wall.has_policy
        else "Add claimkit_django.migrations_kit.AddTenantPolicy to a migration of its app."
    )
    return [
        checks.Error(
            f"Row-level security does not hold {wall.table}.",
            hint=hint,
            obj=wall.model,
            id="claimkit_tenants.E007",
        )
    ]


def _unique_keys(model: type[Model]) -> Iterator[tuple[str, ...]]:
    options = model._meta
    for field in options.local_fields:
        if field.unique and not field.primary_key:
            yield (field.name,)
    yield from (tuple(fields) for fields in options.unique_together)
    for constraint in options.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(constraint.fields) or ("an expression",)
    primary = tuple(field.name for field in options.pk_fields)
    if len(primary) > 1:
        yield primary


def _is_scoped(manager: Any) -> bool:
    from claimkit_django.tenants.scope import TenantManager

    return isinstance(manager, TenantManager)


def _is_tenant_model(model: Any) -> bool:
    from claimkit_django.tenants.models import TenantModel

    return issubclass(model, TenantModel)
