"""A site with the whole API on a PostgreSQL of its own, and a tenant full of claims."""

from __future__ import annotations

import datetime as dt
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import django
from django.conf import settings
from site_of_imports import database_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The deep page: as many pages after the first, or what half of the claims are.
DEEP = 1_000
_PAYERS = 8
_MIDDLEWARE = [
    "claimkit_django.http.request_ids.RequestIdMiddleware",
    "claimkit_django.http.security.SecurityHeadersMiddleware",
    "claimkit_django.http.problems.ProblemMiddleware",
    "claimkit_django.http.versions.ApiVersionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "claimkit_django.tenants.middleware.TenantMiddleware",
]


class Site:
    """Asks as a viewer who is signed in; throttles, roles and the scope are on."""

    def __init__(self) -> None:
        from django.contrib.auth import get_user_model
        from django.db import connection
        from rest_framework.test import APIClient

        from claimkit_django.tenants.models import Tenant

        self.claims = 0
        self.vendor = f"{connection.vendor} {connection.get_database_version()[0]}"
        self.tenant, is_new = Tenant.objects.get_or_create(
            key="northside", defaults={"name": "Northside"}
        )
        user, _ = get_user_model().objects.get_or_create(username="viewer")
        if is_new:
            self.tenant.memberships.create(user=user, role="viewer")
            _name_axes(self.tenant.pk)
        self._client = APIClient()
        self._client.force_authenticate(user)

    def grow(self, claims: int) -> None:
        """Add claims until the tenant has as many, and look up the addresses anew."""
        _add_claims(self.tenant.pk, self.claims, claims)
        self.look_up(claims)

    def look_up(self, claims: int) -> None:
        """Look up the addresses of a tenant that has so many claims."""
        from claimkit_django.claims.models import Claim
        from claimkit_django.tenants.scope import enter

        self.claims = claims
        with enter(self.tenant):
            self.detail = f"/api/v1/claims/{Claim.objects.first().uid}/"
        first = self.get("/api/v1/claims/")
        self.etag = first["ETag"]
        self.deep = self._deep(first.json()["_links"]["next"])

    def get(self, address: str, *, etag: str = "") -> Any:
        return self._client.get(address, headers={"if-none-match": etag} if etag else {})

    def queries(self, ask: Callable[[], Any]) -> int:
        from django.db import connection
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as seen:
            ask()
        return len(seen)

    def _deep(self, following: str) -> str:
        """Walk by large pages to where page ``DEEP`` of 50 begins."""
        rows = min(50 * DEEP, self.claims // 2)
        address = "/api/v1/claims/?page_size=500"
        for _ in range(rows // 500):
            address = self.get(address).json()["_links"]["next"]
        # The cursor is bound to the filters and the ordering, not to the size of the page.
        return address.replace("page_size=500", "page_size=50")


def _name_axes(tenant: int) -> None:
    """Write what the codes of claims and cells stand for."""
    from django.db import connection

    names = [("payer", f"PAYER {number}") for number in range(1, _PAYERS + 1)]
    names += [("procedure_group", "Imaging: MRI"), ("outcome", "paid"), ("outcome", "unmapped")]
    with connection.cursor() as cursor:
        for table in ("claimkit_claims_dimension", "claimkit_drift_driftdimension"):
            for code, (axis, name) in enumerate(names, start=1):
                cursor.execute(
                    f"INSERT INTO {table} (tenant_id, axis, code, name) VALUES (%s, %s, %s, %s)",
                    [tenant, axis, code, name],
                )


def _add_claims(tenant: int, first: int, last: int) -> None:
    """Write claims with one statement: imports have their own benchmark."""
    from django.db import connection

    with connection.cursor() as cursor:
        columns, values = _columns(tenant)
        cursor.execute(
            f"INSERT INTO claimkit_claims_claim ({columns}) SELECT {values}"
            " FROM generate_series(%s, %s) AS n",
            [first + 1, last],
        )
        cursor.execute("VACUUM ANALYZE claimkit_claims_claim")


def _add_cells(tenant: int) -> None:
    from django.db import connection

    first = (dt.date(2025, 1, 1) - dt.date(1970, 1, 1)).days
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO claimkit_drift_cubedecision (tenant_id, decided_day, known_day, payer,"
            " procedure_group, outcome, reason, age_days, claims, charge, allowed, paid)"
            " SELECT %s, %s + day, %s + day, payer, 9, outcome, 0, age, 9, 90000, 60000, 50000"
            " FROM generate_series(0, 364) AS day, generate_series(1, 8) AS payer,"
            " generate_series(10, 11) AS outcome, generate_series(5, 20) AS age",
            [tenant, first, first],
        )
        cursor.execute("ANALYZE")


def _columns(tenant: int) -> tuple[str, str]:
    """Return the columns of a claim and what each takes, for claim ``n``."""
    from claimkit_django.claims.codes import OUTCOMES
    from claimkit_django.claims.models import Claim

    day = "DATE '2025-01-01' + (mod(n, 365))::int"
    paid, denied = (OUTCOMES[one] for one in OUTCOMES if one.value in {"paid", "denied"})
    outcome = f"CASE WHEN mod(n, 9) = 0 THEN {denied} ELSE {paid} END"
    given = {
        "tenant_id": str(tenant),
        "claim_key": "n::bigint * 7919",
        "patient_control_number": "'A' || n",
        "payer": f"1 + mod(n, {_PAYERS})",
        "procedure_group": "9",
        "outcome": outcome,
        "first_outcome": outcome,
        **dict.fromkeys(("first_decided_on", "decided_on", "listed_on"), day),
        "submitted_on": f"{day} - 5 - (mod(n, 23))::int",
        "lag_days": "5 + mod(n, 23)",
        "allowed": "11000",
        "charge": "12345 + mod(n, 1000)",
        "paid": "10000",
        **dict.fromkeys(("has_submission", "has_decision", "first_pass"), "true"),
    }
    for field in Claim._meta.local_concrete_fields:
        if field.column in given or field.primary_key or field.null:
            continue
        given[field.column] = "0" if "Integer" in type(field).__name__ else "''"
    return ", ".join(given), ", ".join(given.values())


@contextmanager
def set_up(claims: int) -> Iterator[Site]:
    """Start a site with claims and their cells, and stop its database at the end."""
    with start() as site:
        _add_cells(site.tenant.pk)
        site.grow(claims)
        yield site


@contextmanager
def start() -> Iterator[Site]:
    """Start a site whose tenant has no claims yet, and stop its database at the end."""
    from tests.postgres import postgres_url, stop

    try:
        configure(postgres_url())
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        yield Site()
    finally:
        from django.db import connections

        connections.close_all()
        stop()


def application() -> Any:
    """Return the site for a server of its own, on the database that ``DATABASE_URL`` names."""
    configure(os.environ["DATABASE_URL"])
    from django.core.wsgi import get_wsgi_application

    return get_wsgi_application()


def configure(url: str) -> None:
    """Configure Django for the database behind ``url`` (sqlite:///path or postgresql://…)."""
    settings.configure(
        SECRET_KEY="only-for-benchmarks-" + "k" * 50,
        USE_TZ=True,
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF="claimkit_django.urls",
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        DATABASES={"default": {**database_of(url), "CONN_MAX_AGE": 60}},
        INSTALLED_APPS=[
            *("django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"),
            *("rest_framework", "django_filters", "drf_spectacular", "drf_spectacular_sidecar"),
            *("claimkit_django.tenants", "claimkit_django.claims", "claimkit_django.drift"),
            "claimkit_django.accounts",
        ],
        REST_FRAMEWORK={
            "DEFAULT_AUTHENTICATION_CLASSES": [
                "claimkit_django.accounts.authentication.TokenAuthentication"
            ]
        },
        MIDDLEWARE=_MIDDLEWARE,
        STORAGES={"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}},
        CLAIMKIT={"REST": {"READ_RATE": "1000000/1m"}},
        LOGGING_CONFIG=None,
    )
    django.setup()
