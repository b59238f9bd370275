"""What models promise, the database enforces; indexes are used, and none is there twice."""

from __future__ import annotations

import pytest
from django.apps import apps
from django.db import connection
from django.db.models import CheckConstraint, UniqueConstraint

from claimkit.drift.findings import Signal, Tier
from claimkit_django.claims.models import Claim, Upload
from claimkit_django.drift.models import CubeDecision, Finding, WatchRun
from claimkit_django.tenants.scope import enter

MODELS = [model for model in apps.get_models() if model._meta.app_label.startswith("claimkit_")]


def checked_fields(model):
    """Return the names of fields that some CHECK of the model looks at."""
    found = set()
    for constraint in model._meta.constraints:
        if isinstance(constraint, CheckConstraint):
            found |= {path[0] for path in model._get_expr_references(constraint.condition) if path}
    return found


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one._meta.label)
def test_a_field_of_a_closed_set_is_checked(model):
    closed = {field.name for field in model._meta.local_fields if field.choices}

    assert closed - checked_fields(model) == set()


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one._meta.label)
def test_an_end_is_not_before_its_beginning(model):
    pairs = {("started_at", "finished_at"), ("bytes_done", "bytes_total"), ("low", "high")}
    names = {field.name for field in model._meta.local_fields}
    ordered = {name for pair in pairs if set(pair) <= names for name in pair}

    assert ordered - checked_fields(model) == set()


def keys_of(model):
    """Return (columns with direction, condition) of every index that the table has by its model."""
    options = model._meta
    for index in options.indexes:
        yield tuple(name for name, _ in index.fields_orders), repr(index.condition)
    for constraint in options.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield constraint.fields, repr(constraint.condition)
    yield tuple(field.name for field in options.pk_fields), repr(None)
    for field in options.local_fields:
        if field.db_index or (field.unique and not field.primary_key):
            yield (field.name,), repr(None)


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one._meta.label)
def test_no_index_is_the_beginning_of_another(model):
    keys = list(keys_of(model))
    redundant = [
        shorter
        for at, (shorter, condition) in enumerate(keys)
        for other, (longer, wider) in enumerate(keys)
        if at != other and condition == wider and longer[: len(shorter)] == shorter
    ]

    assert redundant == []


ROWS = 20_000


@pytest.fixture
def crowded(db, northside, lakeview):
    """Many claims, uploads, findings and runs of two tenants; PostgreSQL, whose planner we ask."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's planner has no statistics to speak of")
    with connection.cursor() as cursor, enter(northside):
        for model, values in FILLED.items():
            columns = ", ".join(map(connection.ops.quote_name, values))
            cursor.execute(
                f"INSERT INTO {model._meta.db_table} (tenant_id, {columns})"
                f" SELECT {northside.pk}, {', '.join(values.values())}"
                f" FROM generate_series(1, {ROWS}) AS n"
            )
    with connection.cursor() as cursor:
        for model in FILLED:
            cursor.execute(f"ANALYZE {model._meta.db_table}")
    with enter(northside):
        yield


def _filled(model, **values):
    """Return SQL for every column that must be given."""
    said = {}
    for field in model._meta.local_concrete_fields:
        if field.primary_key or field.name == "tenant" or field.null:
            continue
        kind = field.get_internal_type()
        default = "''" if "Char" in kind or "Text" in kind or "File" in kind else "0"
        default = {"JSONField": "'[]'", "BooleanField": "false", "DateTimeField": "now()"}.get(
            kind, {"DateField": "date '2026-01-01' + (n / 50)::int"}.get(kind, default)
        )
        said[field.column] = default
    return said | values


FILLED = {
    Claim: _filled(
        Claim,
        claim_key="n",
        payer="n % 50",
        upload="n % 40",
        has_decision="n % 10 > 0",
        listed_on="date '2020-01-01' + (n / 10)",
    ),
    Upload: _filled(
        Upload,
        uid="'upl_' || n",
        name="'a'",
        source="'api'",
        status="'success'",
        started_at="now()",
        finished_at="now()",
        created_at="now() - n * interval '1 minute'",
    ),
    Finding: _filled(
        Finding,
        uid="'fnd_' || n",
        fingerprint="'f' || n",
        state="CASE WHEN n % 20 = 0 THEN 'open' ELSE 'resolved' END",
        ended_on="CASE WHEN n % 20 = 0 THEN NULL ELSE date '2026-03-01' END",
        signal=f"'{next(iter(Signal))}'",
        tier=f"'{next(iter(Tier))}'",
        severity="'low'",
        severity_rank="1",
        dollars_per_month="n",
    ),
    WatchRun: _filled(
        WatchRun,
        uid="'run_' || n",
        status="'success'",
        started_at="now() - n * interval '1 minute'",
        finished_at="now()",
    ),
    CubeDecision: _filled(
        CubeDecision,
        decided_day="20000 + n / 40",
        known_day="20000 + n / 40",
        payer="n % 40",
        claims="1",
    ),
}
#: Query of a page or a job → the index that must serve it.
SERVED = {
    "newest claims": (
        lambda: Claim.objects.order_by("-listed_on", "-id")[:50],
        "claims_claim_recent",
    ),
    "newest claims of a payer": (
        lambda: Claim.objects.filter(payer=7).order_by("-listed_on", "-id")[:50],
        "claims_claim_payer_recent",
    ),
    "claims of a file that wait for their payers": (
        lambda: Claim.objects.filter(upload=7, has_decision=False, id__gt=0).order_by("id")[:500],
        "claims_claim_pending",
    ),
    "a claim": (lambda: Claim.objects.filter(claim_key=5), "claims_claim_key"),
    "newest uploads": (
        lambda: Upload.objects.order_by("-created_at", "-id")[:50],
        "claims_upload_recent",
    ),
    "an upload": (lambda: Upload.objects.filter(uid="upl_7"), "claims_upload_uid"),
    "unfinished uploads": (
        lambda: Upload.unscoped.filter(status__in=["queued", "processing"]).exclude(
            heartbeat_at__gte="2026-01-01T00:00Z"
        ),
        "claims_upload_unfinished",
    ),
    "open findings by money": (
        lambda: Finding.objects.filter(state="open").order_by("-dollars_per_month", "-id")[:50],
        "drift_finding_open_money",
    ),
    "newest findings": (
        lambda: Finding.objects.order_by("-as_of", "-id")[:50],
        "drift_finding_recent",
    ),
    "a finding by fingerprint": (
        lambda: Finding.objects.filter(state="open", fingerprint="f40"),
        "drift_finding_open_once",
    ),
    "newest runs": (
        lambda: WatchRun.objects.order_by("-started_at", "-id")[:50],
        "drift_run_recent",
    ),
    "dead runs": (
        lambda: WatchRun.unscoped.filter(status="running", heartbeat_at__lt="2026-01-01T00:00Z"),
        "drift_run_unfinished",
    ),
    "a window of the cube": (
        lambda: CubeDecision.objects.filter(decided_day__gte=20400, decided_day__lt=20410),
        "claimkit_drift_cubedecision_pkey",
    ),
}


@pytest.mark.parametrize("name", SERVED)
def test_the_planner_uses_the_index(crowded, name):
    make, index = SERVED[name]

    assert index in make().explain()
