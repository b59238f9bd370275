from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
from django.core.files.base import ContentFile
from django.db import DatabaseError, IntegrityError, transaction

from claimkit.tenants import use_tenant
from claimkit.types import TenantKey
from claimkit_django.claims import intake
from claimkit_django.claims.intake import run_import, unfinished_uploads
from claimkit_django.claims.models import CsvTemplate, RejectedRow, Upload
from claimkit_django.claims.repair import write_repair
from claimkit_django.runtime import open_store
from claimkit_django.signals import claims_imported
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

HEADER = "Claim ID,Payer,CPT,DOS,Submitted,Decided,Status,Billed,Allowed,Paid\n"
NORTHSIDE = TenantKey("northside")


def rows(count, *, first=1, paid=80):
    return "".join(
        f"A{n:05},Meridian Health,99213,2026-01-05,2026-01-06,2026-01-{10 + n % 18:02},paid,"
        f"120.00,100.00,{paid}.00\n"
        for n in range(first, first + count)
    )


@pytest.fixture
def small_batches(settings):
    settings.CLAIMKIT = {**settings.CLAIMKIT, "CLAIMS": {"BATCH_SIZE": 10}}


@pytest.fixture
def upload(northside, make_upload):
    def make(text, tenant=northside, **values):
        content = text.encode() if isinstance(text, str) else text
        return make_upload(
            tenant,
            file=ContentFile(content, name="export.csv"),
            bytes_total=len(content),
            **{"name": "export.csv", **values},
        )

    return make


def run(upload):
    return run_import(NORTHSIDE, upload.uid)


def test_a_clean_file_is_in_and_says_so(upload):
    ended = run(upload(HEADER + rows(25)))

    assert ended.status == "success"
    assert (ended.claims_new, ended.claims_changed, ended.claims_same) == (25, 0, 0)
    assert (ended.reader, len(ended.sha256), ended.rows_rejected) == ("csv", 64, 0)
    assert ended.bytes_done == ended.bytes_total
    assert ended.kinds["csv"]["claims"] == 25
    assert ended.kinds["csv"]["paid"] == 25 * 8_000
    assert ended.started_at <= ended.finished_at
    assert open_store().claims.totals(NORTHSIDE).paid == 25 * 8_000


def test_the_file_lies_under_its_tenant_with_a_name_that_nobody_guesses(upload):
    stored = upload(HEADER, name="../../etc/Jane Doe.csv").file.name

    assert stored.startswith("claimkit/northside/uploads/")
    assert stored.endswith(".csv")
    assert "doe" not in stored.lower()


def test_one_bad_row_never_loses_a_file(upload):
    bad = "A99999,Meridian Health,99213,2026-01-05,2026-01-06,2026-01-11,paid,12..5,1,1\n"
    ended = run(upload(HEADER + rows(3) + bad + rows(3, first=4)))

    assert (ended.status, ended.claims_new, ended.rows_rejected) == ("partial", 6, 1)
    with use_tenant(NORTHSIDE):
        rejected = RejectedRow.objects.get()
    assert (rejected.ordinal, rejected.position, rejected.upload_id) == (0, 5, ended.pk)
    assert "12..5" in rejected.raw
    out = io.BytesIO()
    with use_tenant(NORTHSIDE):
        write_repair(ended, out)
    table = list(csv.reader(io.StringIO(out.getvalue().decode("utf-8-sig"))))
    told = dict(zip(*table, strict=True))
    assert (told["Billed"], told["Allowed"], told["Claim ID"]) == ("12..5", "1", "A99999")


def test_the_same_file_again_changes_nothing_and_says_so(upload):
    run(upload(HEADER + rows(25)))
    again = run(upload(HEADER + rows(25)))

    assert (again.claims_new, again.claims_changed, again.claims_same) == (0, 0, 25)
    assert again.statements_same == 25
    assert open_store().claims.totals(NORTHSIDE).claims == 25


def test_a_finished_upload_is_not_run_again(upload, django_assert_max_num_queries):
    first = run(upload(HEADER + rows(5)))
    with django_assert_max_num_queries(5):
        second = run(first)

    assert (second.attempts, second.finished_at) == (1, first.finished_at)


def test_a_file_that_is_none_is_refused_with_one_clear_line(upload):
    ended = run(upload(b"%PDF-1.7 and so on"))

    assert (ended.status, ended.error_code) == ("failed", "file_refused")
    assert ended.error_message == (
        "this is a PDF, not a claims file. Ask the sender for an 835, 837 or CSV file"
    )


def test_a_file_that_is_gone_fails_with_a_reason(upload):
    lost = upload(HEADER)
    lost.file.storage.delete(lost.file.name)

    ended = run(lost)

    assert (ended.status, ended.error_code) == ("failed", "file_missing")


def test_a_tenant_that_was_deactivated_takes_nothing(upload, northside):
    waiting = upload(HEADER + rows(5))
    Tenant.objects.update(active=False)

    ended = run(waiting)

    assert (ended.status, ended.error_code) == ("failed", "tenant_unknown")
    assert open_store().claims.totals(NORTHSIDE).claims == 0


class _Killed(BaseException):
    """What kill -9 looks like from the inside: nothing of ours runs any more."""


@pytest.fixture
def killed_after(monkeypatch):
    """Cut an import off inside its nth batch, after everything was written and before the commit."""

    def cut(batches):
        take, seen = intake._Notes.take_batch, []

        def take_batch(notes, batch, added):
            take(notes, batch, added)
            seen.append(batch)
            if len(seen) == batches:
                raise _Killed

        monkeypatch.setattr(intake._Notes, "take_batch", take_batch)

    return cut


@pytest.mark.parametrize("batches", [1, 2, 4])
def test_a_killed_run_is_run_again_and_ends_as_one_whole_run(
    small_batches, killed_after, monkeypatch, upload, batches
):
    bad = "A99999,Meridian Health,99213,2026-01-05,2026-01-06,2026-01-11,paid,12..5,1,1\n"
    text = HEADER + rows(15) + bad + rows(20, first=16) + bad
    started = upload(text)
    killed_after(batches)
    with pytest.raises(_Killed):
        run(started)
    monkeypatch.undo()
    halfway = Upload.unscoped.get()

    ended = run(started)

    assert (halfway.status, halfway.batches_done) == ("processing", batches - 1)
    assert (ended.status, ended.attempts) == ("partial", 2)
    assert (ended.claims_new, ended.claims_changed, ended.claims_same) == (35, 0, 0)
    assert ended.rows_rejected == 2
    with use_tenant(NORTHSIDE):
        assert [one.ordinal for one in RejectedRow.objects.order_by("ordinal")] == [0, 1]
    assert open_store().claims.totals(NORTHSIDE).claims == 35


def test_a_run_leaves_the_field_to_a_later_one(small_batches, upload):
    started, results = upload(HEADER + rows(35)), []

    def overtake(step, done, total):
        if not results:
            results.append(run(started).status)

    ended = run_import(NORTHSIDE, started.uid, progress=overtake)

    assert results == ["success"]
    assert (ended.status, ended.attempts, ended.claims_new) == ("success", 2, 35)


def test_the_unforeseen_is_marked_and_told_on(small_batches, monkeypatch, upload):
    started = upload(HEADER + rows(35))
    finish = intake._Notes.finish
    monkeypatch.setattr(intake._Notes, "finish", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(started)
    failed = Upload.unscoped.get()
    monkeypatch.setattr(intake._Notes, "finish", finish)
    ended = run(started)

    assert (ended.status, ended.claims_new) == ("success", 35)
    assert failed.status == "failed"


@pytest.mark.django_db(transaction=True)
def test_a_failure_outside_of_a_transaction_marks_the_upload(monkeypatch, upload):
    started = upload(HEADER + rows(5))
    monkeypatch.setattr(intake._Notes, "finish", lambda *_: 1 / 0)

    with pytest.raises(ZeroDivisionError):
        run(started)

    failed = Upload.unscoped.get()
    assert (failed.status, failed.error_code) == ("failed", "internal_error")
    assert open_store().claims.totals(NORTHSIDE).claims == 5


@pytest.mark.django_db(transaction=True)
def test_a_database_that_fails_while_marking_hides_nothing(monkeypatch, upload):
    started = upload(HEADER + rows(5))

    def lost(*_):
        raise DatabaseError("gone")

    monkeypatch.setattr(intake._Notes, "finish", lost)
    monkeypatch.setattr(intake._Notes, "fail", lost)

    with pytest.raises(DatabaseError):
        run(started)

    assert Upload.unscoped.get().status == "processing"


@pytest.mark.django_db(transaction=True)
def test_progress_is_visible_from_outside_while_it_runs(small_batches, upload):
    from django.db import connections

    started, seen = upload(HEADER + rows(35)), []

    def look(step, done, total):
        other = connections.create_connection("default")
        with other.cursor() as cursor:
            table = Upload._meta.db_table
            cursor.execute(f"SELECT status, bytes_done, claims_new FROM {table}")
            seen.append((done, *cursor.fetchone()))
        other.close()

    run_import(NORTHSIDE, started.uid, progress=look)

    assert sorted({claims for *_, claims in seen}) == [10, 20, 30, 35]
    assert all(status == "processing" and kept == done for done, status, kept, _ in seen)


def test_uploads_that_nobody_works_on_are_found(upload, lakeview):
    from django.utils import timezone

    waiting = upload(HEADER)
    upload(HEADER, tenant=lakeview)
    beating = upload(HEADER)
    now = timezone.now()
    Upload.unscoped.filter(pk=beating.pk).update(status="processing", heartbeat_at=now)
    Tenant.objects.filter(key="lakeview").update(active=False)

    assert unfinished_uploads(silent_since=now) == [("northside", waiting.uid)]


def test_hosts_hear_of_a_file_after_the_commit(upload, django_capture_on_commit_callbacks):
    heard = []

    def hear(event, **kwargs):
        heard.append((event.tenant, event.upload, event.new))

    def fail(**kwargs):
        raise RuntimeError("a receiver that fails")

    claims_imported.connect(fail)
    claims_imported.connect(hear)
    try:
        started = upload(HEADER + rows(5))
        with django_capture_on_commit_callbacks() as callbacks:
            run(started)
        assert heard == []
        for callback in callbacks:
            callback()
    finally:
        claims_imported.disconnect(hear)
        claims_imported.disconnect(fail)

    assert heard == [("northside", started.uid, 5)]


@pytest.mark.parametrize(
    "values",
    [
        {"status": "lost"},
        {"bytes_done": -1},
        {"bytes_done": 5, "bytes_total": 4},
        {"claims_new": -1},
        {"rows_rejected": -1},
        {"status": "success"},
        {"status": "failed", "error_code": ""},
        {"error_code": "why"},
        {"finished_at": "2026-01-01T00:00:00Z"},
    ],
)
def test_the_database_keeps_the_promises_of_an_upload(northside, make_upload, values):
    with pytest.raises(IntegrityError), transaction.atomic():
        make_upload(northside, **values)


def test_uids_are_unique_within_a_tenant_only(northside, lakeview, make_upload):
    uid = make_upload(northside).uid

    assert make_upload(lakeview, uid=uid).uid == uid
    with pytest.raises(IntegrityError), transaction.atomic():
        make_upload(northside, uid=uid)


def test_a_rejected_row_counts_once(northside, make_upload):
    upload = make_upload(northside)
    row = {"upload": upload, "position": 1, "kind": "csv", "code": "c", "message": "m"}

    with enter(northside), pytest.raises(IntegrityError), transaction.atomic():
        RejectedRow.objects.bulk_create([RejectedRow(ordinal=0, **row) for _ in range(2)])


ODD = "Acct,Plan Nm,Svc Dt,Tot Chg,Pd,Pd Dt\nT1,Blue Lake,03/04/2026,100.00,80.00,05/04/2026\n"


def test_a_file_is_read_with_the_template_of_its_header(upload, northside, lakeview):
    with enter(northside):
        CsvTemplate.objects.create(
            name="monthly",
            header=["Pd Dt", "Acct", "Plan Nm", "Svc Dt", "Tot Chg", "Pd"],
            columns={
                "Acct": "claim_id",
                "Plan Nm": "payer_name",
                "Svc Dt": "service_date",
                "Tot Chg": "billed",
                "Pd": "paid",
                "Pd Dt": "paid_date",
            },
            date_order="dmy",
        )

    ended = run(upload(ODD))
    theirs = run_import(TenantKey("lakeview"), upload(ODD, tenant=lakeview).uid)

    assert (ended.status, ended.options) == ("success", {"template": "monthly"})
    assert open_store().claims.find(NORTHSIDE, "T1").service_from == dt.date(2026, 4, 3)
    assert (theirs.status, theirs.error_code) == ("failed", "header_missing")
