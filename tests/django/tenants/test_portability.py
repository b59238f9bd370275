"""A tenant's data leaves whole, or goes without a trace; another tenant's is not touched."""

from __future__ import annotations

import datetime as dt
import json
import zipfile
from io import StringIO

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import connection
from django.utils import timezone

from claimkit.errors import StoreError
from claimkit.testing.factories import make_batch, make_claim
from claimkit.types import TenantKey
from claimkit_django.alerts.models import Route
from claimkit_django.audit.models import AuditEntry
from claimkit_django.audit.record import link_rest
from claimkit_django.audit.verify import verify_chain
from claimkit_django.claims.models import Upload
from claimkit_django.runtime import open_store
from claimkit_django.tenants.erasure import erase_tenant
from claimkit_django.tenants.holds import HoldPlaced, place_hold, release_hold
from claimkit_django.tenants.models import Tenant
from claimkit_django.tenants.portability import check_archive, export_tenant, tenant_tables
from claimkit_django.tenants.scope import across_tenants, enter

pytestmark = pytest.mark.django_db


@pytest.fixture
def filled(northside, lakeview, make_member):
    """Two tenants with rows of several rooms, a file each, and words that are theirs alone."""
    for tenant, word in ((northside, "Marsupilami"), (lakeview, "Houba")):
        claims = [make_claim(patient_control_number=f"{word}{at}") for at in range(3)]
        store = open_store()
        with store.atomic():
            store.claims.add(
                TenantKey(tenant.key), make_batch(claims), upload="upl_1",
                known_on=dt.date(2026, 4, 1),
            )  # fmt: skip
        member = make_member(f"owner-{tenant.key}", (tenant, "owner"))
        with enter(tenant):
            route = Route.objects.create(name=f"{word} route")
            upload = Upload.objects.create(name=f"{word}.csv", known_on=dt.date(2026, 4, 1))
            upload.file.save("claims.csv", ContentFile(word.encode() * 999))
        LogEntry.objects.create(
            user=member, content_type=ContentType.objects.get_for_model(Route),
            object_id=str(route.pk), object_repr=f"{word} route", action_flag=1,
            action_time=timezone.now(),
        )  # fmt: skip
    return northside, lakeview


def counts(tenant_id):
    return {one.label: one.rows(tenant_id, USING).count() for one in tenant_tables()}


def everything():
    """Return the text of every row by table, whoever it belongs to."""
    told = {}
    with across_tenants(), connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            told[table] = str(cursor.fetchall())
    return told


def run(*arguments):
    out = StringIO()
    call_command("claimkit_tenant", *arguments, stdout=out)
    return out.getvalue()


def test_every_model_with_a_tenant_is_found():
    labels = {one.label for one in tenant_tables()}

    assert {
        "claimkit_claims.Claim", "claimkit_claims.ClaimEvent", "claimkit_audit.AuditEntry",
        "claimkit_tenants.Membership", "claimkit_tenants.DataChange", "claimkit_accounts.ApiToken",
    } <= labels  # fmt: skip
    assert "claimkit_tenants.Tenant" not in labels


def test_an_archive_holds_the_tenant_and_nobody_else(filled, tmp_path):
    northside, _ = filled
    path = tmp_path / "northside.zip"
    there = counts(northside.pk)
    made = export_tenant(northside, path, using=USING)

    assert made.rows == there
    assert (made.rows["claimkit_claims.Claim"], made.files) == (3, 1)
    assert check_archive(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(path) as archive:
        text = b"".join(archive.read(name) for name in archive.namelist()).decode()
        claims = archive.read("models/claimkit_claims.Claim.ndjson").splitlines()
    assert "Marsupilami" in text
    assert "Houba" not in text
    assert {json.loads(one)["patient_control_number"] for one in claims} == {
        f"Marsupilami{at}" for at in range(3)
    }
    assert AuditEntry.unscoped.get(action="tenant.exported").target == "northside"


def test_an_archive_that_was_changed_is_told(filled, tmp_path):
    northside, _ = filled
    path, other = tmp_path / "whole.zip", tmp_path / "changed.zip"
    export_tenant(northside, path, using=USING)
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(other, "w") as copy:
        for name in source.namelist():
            copy.writestr(name, source.read(name).replace(b"Marsupilami1", b"Marsupilami7"))
    path.write_bytes(path.read_bytes()[:-400])

    with pytest.raises(StoreError, match="is not what the manifest says"):
        check_archive(other)
    with pytest.raises(StoreError, match="no whole archive"):
        check_archive(path)


def test_a_file_that_is_gone_leaves_no_archive(filled, tmp_path):
    northside, _ = filled
    with enter(northside):
        upload = Upload.objects.get()
    upload.file.storage.delete(upload.file.name)

    with pytest.raises(CommandError, match="is gone from the storage"):
        run("export", "northside", str(tmp_path / "made.zip"))
    assert not (tmp_path / "made.zip").exists()


def test_the_command_exports_and_reads_over(filled, tmp_path):
    path = str(tmp_path / "made.zip")
    told = json.loads(run("export", "northside", path, "--format", "json"))

    assert told["rows"]["claimkit_claims.Claim"] == 3
    assert "whole" in run("check-export", path)
    with pytest.raises(CommandError, match="is there already"):
        run("export", "northside", path)
    with pytest.raises(CommandError, match="no tenant 'nowhere'"):
        run("export", "nowhere", path)
    with pytest.raises(CommandError, match="cannot be read"):
        run("check-export", str(tmp_path / "nothing.zip"))


def test_an_erased_tenant_leaves_no_trace_but_what_was_done(
    filled, django_capture_on_commit_callbacks
):
    northside, lakeview = filled
    number, theirs = northside.pk, counts(lakeview.pk)
    with enter(northside):
        file = Upload.objects.get().file
    # What the trail tells of a route is its name, which an admin chose.
    trail = {"claimkit_audit_auditentry"}
    assert {name for name, text in everything().items() if "Marsupilami" in text} >= {
        "claimkit_claims_claim", "claimkit_claims_claimevent", "django_admin_log",
    }  # fmt: skip
    with django_capture_on_commit_callbacks(execute=True):
        proof = erase_tenant(northside, using=USING)
    # Files go after the commit.
    found = everything()

    assert proof.before["claimkit_claims.Claim"] == 3
    assert {label for label, count in proof.after.items() if count} <= set(proof.kept)
    assert {label for label, count in counts(number).items() if count} <= set(proof.kept)
    assert proof.holds
    assert (proof.files_before, file.storage.exists(file.name)) == (1, False)
    assert not Tenant.objects.filter(key="northside").exists()
    assert counts(lakeview.pk) == theirs
    assert {name for name, text in found.items() if "Marsupilami" in text} <= trail
    for word in ("Marsupilami0", "Marsupilami.csv"):
        assert not [name for name, text in found.items() if word in text]
    assert {name for name, text in found.items() if "Houba" in text} >= {"django_admin_log"}


def test_the_tombstone_is_on_a_chain_that_holds(filled, django_capture_on_commit_callbacks):
    northside, _ = filled
    number = northside.pk
    with django_capture_on_commit_callbacks(execute=True):
        erase_tenant(northside, using=USING)
    link_rest(number, using=USING)
    entry = AuditEntry.unscoped.filter(tenant_id=number).latest("id")

    assert (entry.action, entry.target) == ("tenant.erased", "northside")
    assert entry.changes["rows"]["new"] == 0
    assert verify_chain(number, now=timezone.now(), using=USING).holds


def test_a_hold_keeps_a_tenant(filled):
    northside, _ = filled
    place_hold(northside, reason="A lawsuit", by="user:7", using=USING)
    before = counts(northside.pk)

    with pytest.raises(HoldPlaced):
        erase_tenant(northside, using=USING)
    with pytest.raises(CommandError, match="legal hold"):
        run("erase", "northside", "--confirm", "northside")
    assert counts(northside.pk) == before
    northside.refresh_from_db()
    assert northside.active
    assert release_hold(northside, by="user:8", using=USING)
    assert not release_hold(northside, by="user:8", using=USING)
    told = json.loads(run("erase", "northside", "--confirm", "northside", "--format", "json"))
    assert told["holds"]


def test_a_file_that_stays_is_told(filled, monkeypatch):
    def refuse(self, name):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(storages["default"]), "delete", refuse)
    with pytest.raises(CommandError, match="1 files are left"):
        run("erase", "northside", "--confirm", "northside")


def test_an_erasure_needs_the_key_twice(filled):
    with pytest.raises(CommandError, match="nothing was removed"):
        run("erase", "northside", "--confirm", "lakeview")
    assert Tenant.objects.filter(key="northside").exists()
