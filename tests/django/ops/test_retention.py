"""What is too old goes, class by class; a legal hold, the chain and the cube stay."""

from __future__ import annotations

import datetime as dt
import json
from io import StringIO

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.utils import timezone

from claimkit.errors import ConfigError, StoreError
from claimkit.events import ClaimsChanged
from claimkit.testing.factories import make_batch, make_claim
from claimkit.types import SystemClock, TenantKey, day_of
from claimkit_django.audit.models import AuditEntry
from claimkit_django.audit.verify import verify_chain
from claimkit_django.claims.models import (
    Adjustment,
    Claim,
    ClaimEvent,
    RejectedRow,
    ServiceLine,
    Upload,
)
from claimkit_django.drift.models import CubeDecision
from claimkit_django.drift.runs import run_rebuild
from claimkit_django.ops import retention
from claimkit_django.ops.retention import apply_retention, policies
from claimkit_django.ops.tasks import remove_old
from claimkit_django.retention import retention_classes
from claimkit_django.runtime import make_bus, open_store
from claimkit_django.tenants.holds import place_hold, require_no_hold
from claimkit_django.tenants.models import RetentionMark
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

LONG_AGO = dt.date(2015, 3, 2)


@pytest.fixture
def kept(settings):
    def keep(**days):
        settings.CLAIMKIT = {**settings.CLAIMKIT, "OPS": {"RETENTION_DAYS": days}}

    return keep


def add_claims(tenant, day, count=3, prefix="A"):
    claims = [
        make_claim(
            patient_control_number=f"{prefix}{at}", service_from=day, submitted_on=day,
            decided_on=day, paid_on=day,
        )
        for at in range(count)
    ]  # fmt: skip
    store = open_store(USING)
    bus, key = make_bus(store), TenantKey(tenant.key)
    with bus.transaction(store.atomic()), enter(tenant):
        added = store.claims.add(key, make_batch(claims), upload="upl_1", known_on=day)
        bus.stage(
            ClaimsChanged(
                tenant=key, at=SystemClock().now(), changes=added.changes, known_day=day_of(day)
            )
        )


def cube(tenant):
    fields = [one.name for one in CubeDecision._meta.concrete_fields if not one.primary_key]
    return sorted(map(str, CubeDecision.unscoped.filter(tenant=tenant).values_list(*fields)))


def told(removed):
    return {(one.name, one.tenant): (one.rows, one.is_held) for one in removed}


def test_old_claims_go_and_the_cube_keeps_its_figures(northside, lakeview, kept):
    kept(claims=2_557)
    for tenant in (northside, lakeview):
        add_claims(tenant, LONG_AGO)
        add_claims(tenant, timezone.localdate() - dt.timedelta(days=40), count=2, prefix="B")
    figures = cube(northside)
    assert figures
    place_hold(lakeview, reason="A lawsuit", by="user:7", using=USING)
    dry = apply_retention(using=USING, is_dry_run=True, only=["claims"])
    assert Claim.unscoped.count() == 10
    done = apply_retention(using=USING, is_dry_run=False, only=["claims"])

    assert told(dry) == told(done)
    assert told(done) == {("claims", "northside"): (3, False), ("claims", "lakeview"): (3, True)}
    for model in (Claim, ClaimEvent):
        assert model.unscoped.filter(tenant=northside).count() == 2
        assert model.unscoped.filter(tenant=lakeview).count() == 5
    left = set(ClaimEvent.unscoped.filter(tenant=northside).values_list("claim_key", flat=True))
    for model in (ServiceLine, Adjustment):
        rows = model.unscoped.filter(tenant=northside)
        assert set(rows.values_list("claim_key", flat=True)) <= left
    assert cube(northside) == figures
    assert apply_retention(using=USING, is_dry_run=False, only=["claims"])[0].is_held


def test_a_cube_is_not_made_again_without_the_claims_that_went(northside, kept):
    kept(claims=2_557)
    add_claims(northside, LONG_AGO)
    apply_retention(using=USING, is_dry_run=False)
    figures = cube(northside)

    with pytest.raises(CommandError, match="were removed"):
        call_command("claimkit_rebuild_cube", "--tenant", "northside")
    with pytest.raises(StoreError, match="were removed"):
        run_rebuild(TenantKey("northside"))
    assert cube(northside) == figures
    call_command("claimkit_rebuild_cube", "--tenant", "northside", "--may-forget")
    assert cube(northside) == []


def test_what_goes_is_told_to_the_trail_and_the_chain_holds(
    northside, kept, django_capture_on_commit_callbacks
):
    kept(claims=2_557)
    add_claims(northside, LONG_AGO)
    with django_capture_on_commit_callbacks(execute=True):
        apply_retention(using=USING, is_dry_run=False)
    entry = AuditEntry.unscoped.get(action="retention.applied")
    mark = RetentionMark.unscoped.get()

    assert (entry.target, entry.changes["rows"]) == ("claims", {"old": 3, "new": 0})
    assert (mark.name, mark.rows) == ("claims", 3)
    assert verify_chain(northside.pk, now=timezone.now(), using=USING).holds


def test_a_hold_stops_a_run_that_is_under_way(northside, kept, monkeypatch):
    kept(claims=2_557)
    add_claims(northside, LONG_AGO, count=5)
    monkeypatch.setattr(retention, "_BATCH", 2)
    asked = []

    def require(tenant_id, using):
        asked.append(tenant_id)
        if len(asked) == 2:
            place_hold(northside, reason="A lawsuit", by="user:7", using=USING)
        require_no_hold(tenant_id, using)

    monkeypatch.setattr(retention, "require_no_hold", require)
    (done,) = apply_retention(using=USING, is_dry_run=False)

    assert (done.rows, done.is_held) == (2, True)
    assert Claim.unscoped.count() == 3


def test_a_raw_file_goes_and_its_row_stays(
    northside, make_upload, kept, django_capture_on_commit_callbacks
):
    kept(raw_files=90)
    old = timezone.now() - dt.timedelta(days=100)
    ended = {"started_at": old, "heartbeat_at": old, "finished_at": old}
    uploads = [
        make_upload(northside, status="success", **ended),
        make_upload(northside, status="queued"),
    ]
    with enter(northside):
        for one in uploads:
            one.file.save("era.835", ContentFile(b"ISA*00*"))
    with django_capture_on_commit_callbacks(execute=True):
        done = apply_retention(using=USING, is_dry_run=False)

    assert told(done) == {("raw_files", "northside"): (1, False)}
    assert [bool(one.file) for one in Upload.unscoped.order_by("pk")] == [False, True]
    assert [one.file.storage.exists(one.file.name) for one in uploads] == [False, True]


def test_rejected_rows_go_a_year_after_their_file(northside, make_upload):
    for days in (400, 300):
        at = timezone.now() - dt.timedelta(days=days)
        ended = {"started_at": at, "heartbeat_at": at, "finished_at": at}
        upload = make_upload(northside, status="partial", **ended)
        row = {"position": 7, "kind": "claim", "code": "x", "message": "x"}
        with enter(northside):
            RejectedRow.objects.create(upload=upload, ordinal=0, **row)
    done = apply_retention(using=USING, is_dry_run=False)

    assert told(done) == {("rejected_rows", "northside"): (1, False)}
    assert RejectedRow.unscoped.get().upload_id == upload.pk


def test_nothing_clinical_goes_unless_the_site_says_so(northside):
    add_claims(northside, LONG_AGO)
    days = {one.kept.name: one.days for one in policies()}

    assert apply_retention(using=USING, is_dry_run=False) == []
    assert (days["claims"], days["raw_files"], days["audit"]) == (None, None, None)
    assert (days["deliveries"], days["reports"], days["executions"]) == (90, 2_557, 365)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({"claims": 30}, "730 days at least"),
        ({"audit": 365}, "2557 days at least"),
        ({"clams": 3_000}, "did you mean 'claims'"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(kept, days, words):
    kept(**days)

    with pytest.raises(ConfigError, match=words):
        policies()


def test_every_class_can_be_counted(northside, kept):
    """Conditions, keys and children name what is there, on this database."""
    classes = retention_classes()
    kept(**{name: one.least_days for name, one in classes.items() if one.expired})

    assert len([one for one in policies() if one.days]) >= 12
    assert apply_retention(using=USING, is_dry_run=True) == []
    for one in classes.values():
        list(one.model.unscoped.order_by(one.key).values_list(one.key, flat=True)[:1])
        for model, field in one.children:
            assert not model.unscoped.filter(**{f"{field}__in": [0]}).exists()


def run(*arguments):
    out = StringIO()
    call_command("claimkit_retention", *arguments, stdout=out)
    return out.getvalue()


def test_the_command_counts_first_and_removes_when_told(northside, kept):
    kept(claims=2_557)
    add_claims(northside, LONG_AGO)
    assert "3 claims" in run("apply")
    assert Claim.unscoped.count() == 3
    run("hold", "northside", "--reason", "A lawsuit")
    assert json.loads(run("apply", "--remove", "--format", "json"))["held"]
    run("release", "northside")
    done = json.loads(run("apply", "--remove", "--class", "claims", "--format", "json"))

    assert (done["rows"], done["removed"], Claim.unscoped.count()) == (3, True, 0)
    assert "nothing is too old" in run("apply")
    assert "2,557 days" in run("policies")
    for wrong in (
        ["apply", "--class", "clams"],
        ["hold", "nowhere", "--reason", "x"],
        ["release", "northside"],
    ):
        with pytest.raises(CommandError):
            run(*wrong)


def test_the_task_removes(northside, kept):
    kept(claims=2_557)
    add_claims(northside, LONG_AGO)

    assert remove_old() == 3
