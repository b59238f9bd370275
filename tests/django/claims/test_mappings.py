from __future__ import annotations

import datetime as dt
import io
from collections import Counter
from dataclasses import replace

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from claimkit.claims.mapping import ClaimMapping, MappingRule, Match, Subject
from claimkit.claims.payers import fold_payer
from claimkit.drift.cube import TABLES
from claimkit.errors import MappingRefused
from claimkit.tenants import use_tenant
from claimkit.testing.synthetic import NORTHSIDE as PROFILE
from claimkit.testing.synthetic import make_claims, write_csv
from claimkit.types import TenantKey
from claimkit_django.claims.intake import run_import
from claimkit_django.claims.mappings import (
    apply_version,
    keep_rules,
    payer_suggestions,
    preview_rules,
    restore_version,
    rules_in_force,
)
from claimkit_django.claims.models import MappingVersion
from claimkit_django.drift.runs import run_rebuild, run_watch
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

NORTHSIDE = TenantKey("northside")
HEADER = "Claim ID,Payer,Payer ID,CPT,DOS,Submitted,Decision Date,Status,Billed,Allowed,Paid\n"


def payer(value, target, match=Match.EXACT):
    return MappingRule(subject=Subject.PAYER, match=match, value=value, target=target)


def group(value, target):
    return MappingRule(
        subject=Subject.PROCEDURE_GROUP, match=Match.EXACT, value=value, target=target
    )


def rows(payer_name, count, *, first=1, payer_id=""):
    return "".join(
        f"A{n:05},{payer_name},{payer_id},99213,2026-01-05,2026-01-06,2026-01-{10 + n % 18:02},"
        "paid,120.00,100.00,80.00\n"
        for n in range(first, first + count)
    )


@pytest.fixture
def load(northside, make_upload):
    def load(text, tenant=northside):
        upload = make_upload(
            tenant,
            file=ContentFile(text.encode(), name="export.csv"),
            bytes_total=len(text),
            name="export.csv",
        )
        return run_import(TenantKey(tenant.key), upload.uid)

    return load


@pytest.fixture
def put_in_force(northside):
    def put(*rules, **values):
        with use_tenant(NORTHSIDE):
            version = keep_rules(rules, **values)
        return apply_version(NORTHSIDE, version.uid)

    return put


def payers():
    """Payer → claims, as lists and the cube see them."""
    store = open_store()
    listed, cube = {}, {}
    for batch in store.claims.scan(NORTHSIDE):
        for one in batch:
            listed[one.payer] = listed.get(one.payer, 0) + 1
    cells = store.cube.read(NORTHSIDE, TABLES["decisions"])
    for code, count in zip(cells.labels["payer"], cells.measures["claims"], strict=True):
        name = cells.names["payer"][code]
        cube[name] = cube.get(name, 0) + int(count)
    assert cube == listed
    return listed


def cells():
    store = open_store()
    return {
        name: [
            (
                tuple(found.names[axis][found.labels[axis][at]] for axis in table.labels),
                tuple(int(found.numbers[axis][at]) for axis in table.numbers),
                tuple(int(found.measures[one][at]) for one in table.measures),
            )
            for at in range(len(found))
        ]
        for name, table in TABLES.items()
        for found in [store.cube.read(NORTHSIDE, table)]
    }


def test_rules_rename_past_and_future(load, put_in_force):
    load(HEADER + rows("BLM", 7) + rows("Red Hill", 3, first=8))

    version = put_in_force(payer("blm", "Blue Lake Mutual"), note="the clearinghouse shortens it")
    load(HEADER + rows("BLM", 2, first=50))

    assert (version.status, version.number) == ("applied", 1)
    assert (version.claims_changed, version.statements_changed) == (7, 7)
    assert payers() == {"Blue Lake Mutual": 9, "RED HILL": 3}


def test_the_same_file_under_other_rules_changes_nothing(load, put_in_force):
    text = HEADER + rows("BLM", 7)
    load(text)
    put_in_force(payer("BLM", "Blue Lake Mutual"))

    again = load(text)

    assert (again.claims_new, again.claims_changed, again.claims_same) == (0, 0, 7)
    assert payers() == {"Blue Lake Mutual": 7}


def test_the_cube_after_a_new_mapping_equals_a_rebuild(load, put_in_force):
    load(HEADER + rows("BLM", 7) + rows("Blue Lake", 5, first=20) + rows("X", 4, first=40))
    put_in_force(payer("BLM", "Blue Lake"), group("99213", "short visits"))
    kept = cells()

    run_rebuild(NORTHSIDE)

    assert cells() == kept
    assert {labels[1] for labels, *_ in kept["decisions"]} == {"short visits"}


def test_an_earlier_version_comes_back_and_every_version_is_kept(load, put_in_force):
    load(HEADER + rows("BLM", 7))
    put_in_force(payer("BLM", "Blue Lake"))
    put_in_force(payer("BLM", "Another"))
    with use_tenant(NORTHSIDE):
        back = restore_version(1, actor="user:7")
        none = restore_version(0)

    assert apply_version(NORTHSIDE, back.uid).restores == 1
    assert payers() == {"Blue Lake": 7}
    assert apply_version(NORTHSIDE, none.uid).claims_changed == 7
    assert payers() == {"BLM": 7}
    with use_tenant(NORTHSIDE):
        versions = MappingVersion.objects.order_by("number")
        assert [(one.number, one.restores, one.status) for one in versions] == [
            (1, None, "applied"),
            (2, None, "applied"),
            (3, 1, "applied"),
            (4, 0, "applied"),
        ]
        with pytest.raises(MappingVersion.DoesNotExist):
            restore_version(99)


def test_a_preview_says_what_would_change_and_changes_nothing(load, put_in_force):
    load(HEADER + rows("BLM", 7) + rows("Red Hill", 3, first=8))

    found = preview_rules(
        NORTHSIDE, [payer("BLM", "Blue Lake"), payer("RED", "Red Hill", Match.PREFIX)]
    )

    assert [(one.value, one.before, one.after, one.statements) for one in found] == [
        ("BLM", "BLM", "Blue Lake", 7),
        ("Red Hill", "RED HILL", "Red Hill", 3),
    ]
    assert payers() == {"BLM": 7, "RED HILL": 3}


def test_names_of_a_directory_and_of_the_tenant_are_suggested(load):
    load(
        HEADER
        + rows("Blue Lake", 7)
        + rows("Blue Lakee", 1, first=8)
        + rows("Medicade", 1, first=9)
    )

    found = payer_suggestions(NORTHSIDE)

    assert {one.value: one.targets for one in found} == {
        "BLUE LAKEE": ("BLUE LAKE",),
        "MEDICADE": ("MEDICARE", "MEDICAID"),
    }


def test_rules_that_cannot_be_used_are_not_kept(northside):
    with use_tenant(NORTHSIDE):
        with pytest.raises(MappingRefused):
            keep_rules([payer("A1", "B2"), payer("B2", "A1")])

        assert MappingVersion.objects.count() == 0


def test_a_version_that_a_later_one_overtook_is_not_applied(load, northside):
    load(HEADER + rows("BLM", 2))
    with use_tenant(NORTHSIDE):
        one, other = keep_rules([payer("BLM", "One")]), keep_rules([payer("BLM", "Other")])
    apply_version(NORTHSIDE, other.uid)

    late = apply_version(NORTHSIDE, one.uid)

    assert (late.status, late.error_code) == ("failed", "mapping_overtaken")
    assert payers() == {"Other": 2}


def test_a_failure_half_way_renames_nothing(load, northside, monkeypatch):
    from claimkit_django.claims import store

    monkeypatch.setattr(store, "_PAGE", 2)
    load(HEADER + rows("BLM", 7))
    with use_tenant(NORTHSIDE):
        version = keep_rules([payer("BLM", "Blue Lake")])
    pages = []

    def stop(step, done, total):
        pages.append(done)
        if len(pages) == 2:
            raise ConnectionError("pulled the plug")

    with pytest.raises(ConnectionError), transaction.atomic():
        apply_version(NORTHSIDE, version.uid, progress=stop)

    assert payers() == {"BLM": 7}
    assert apply_version(NORTHSIDE, version.uid).claims_changed == 7
    assert payers() == {"Blue Lake": 7}


def test_the_number_of_statements_does_not_depend_on_the_number_of_claims(load, northside):
    counts = []
    # The first time, what this process remembers of the tenant's names is still to be read.
    for number, size in enumerate((5, 5, 50)):
        load(HEADER + rows(f"BLM{number}", size, first=1_000 * number))
        with use_tenant(NORTHSIDE):
            version = keep_rules([payer(f"BLM{number}", f"Blue {number}")])
        with CaptureQueriesContext(
            connection,
        ) as queries:
            apply_version(NORTHSIDE, version.uid)
        counts.append([one["sql"][:60] for one in queries])

    assert len(counts[1]) == len(counts[2]), counts


def test_tenants_do_not_share_rules(load, put_in_force, lakeview, make_upload):
    put_in_force(payer("BLM", "Blue Lake"))
    text = HEADER + rows("BLM", 3)
    upload = make_upload(
        lakeview, file=ContentFile(text.encode(), name="e.csv"), bytes_total=len(text), name="e.csv"
    )

    run_import(TenantKey("lakeview"), upload.uid)

    names = {
        one.payer for batch in open_store().claims.scan(TenantKey("lakeview")) for one in batch
    }
    assert names == {"BLM"}


def test_the_database_holds_one_version_per_number(northside):
    with enter(northside), transaction.atomic():
        MappingVersion.objects.create(number=1)
        with pytest.raises(IntegrityError), transaction.atomic():
            MappingVersion.objects.create(number=1)


@pytest.mark.slow
def test_a_new_mapping_does_not_look_like_drift(load, put_in_force, lakeview, tmp_path):
    """A payer renamed in the middle of its history is watched as if it had always had the name."""
    as_of = dt.date(2026, 6, 30)
    path = tmp_path / "export.csv"
    profile = replace(PROFILE, claims_per_month=1_000)
    write_csv(make_claims(profile, as_of=as_of, days=330, seed=3), path)
    header, *lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    half = len(lines) // 2
    (renamed, _), *_ = Counter(line.split(",")[1] for line in lines).most_common(1)
    load(header + "".join(lines[:half]))
    put_in_force(payer(renamed, "The Renamed Payer"))
    load(header + "".join(lines[half:]))
    load(header + "".join(lines), tenant=lakeview)

    with_mapping = run_watch(NORTHSIDE, as_of=as_of)
    without = run_watch(TenantKey("lakeview"), as_of=as_of)

    def seen(report):
        return sorted(
            (
                fold_payer(one.segment.payer.replace("The Renamed Payer", renamed)),
                one.signal,
                one.segment.category,
                one.onset,
                # Sums in another order may differ in the last digit.
                round(one.effect, 9),
                one.claims,
            )
            for one in report.findings
        )

    assert "The Renamed Payer" in {one.payer for one in with_mapping.payers}
    assert renamed not in {one.payer for one in with_mapping.payers}
    assert seen(with_mapping) == seen(without)
    assert seen(without)


# -- the command -------------------------------------------------------------------------------


def manage(*arguments):
    out = io.StringIO()
    call_command("claimkit_mapping", *arguments, tenant="northside", stdout=out, verbosity=0)
    return out.getvalue()


def test_the_command_tries_applies_shows_and_takes_back(load, tmp_path):
    load(HEADER + rows("BLM", 7) + rows("BLMM", 1, first=9))
    file = tmp_path / "rules.csv"
    file.write_text("subject,match,value,last,target\npayer,exact,BLM,,Blue Lake\n")

    assert manage("--suggest") == "BLMM (1): BLM\n"
    assert manage("--apply", str(file), "--dry-run") == (
        "payer: BLM: BLM becomes Blue Lake (7 statements)\n"
    )
    assert payers() == {"BLM": 7, "BLMM": 1}
    assert "version 1 is in force; 7 claims" in manage("--apply", str(file), "--note", "why")
    assert payers() == {"Blue Lake": 7, "BLMM": 1}
    assert manage() == "subject,match,value,last,target\npayer,exact,BLM,,Blue Lake\n"
    assert "version 2 is in force" in manage("--restore", "0")
    assert payers() == {"BLM": 7, "BLMM": 1}
    with use_tenant(NORTHSIDE):
        assert rules_in_force().restores == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("subject,match,value,target\npayer,exct,BLM,X\n", "did you mean 'exact'"),
        ("subject,matches\npayer,exact\n", "columns must be"),
        ("subject,match,value,target\npayer,exact,A1,B2\npayer,exact,B2,A1\n", "circle"),
    ],
)
def test_the_command_refuses_rules_that_cannot_be_used(northside, tmp_path, content, message):
    file = tmp_path / "rules.csv"
    file.write_text(content)

    with pytest.raises(CommandError, match=message):
        manage("--apply", str(file))
    with pytest.raises(CommandError, match="no such version"):
        manage("--restore", "7")


def test_rules_are_compiled_once_per_version(load, put_in_force, monkeypatch):
    from claimkit_django.claims import mapping_table

    put_in_force(payer("BLM", "Blue Lake"))
    table = mapping_table.MappingTable("default")
    tenant_id = MappingVersion.unscoped.values_list("tenant_id", flat=True).get()
    first = table.load(tenant_id)

    assert table.load(tenant_id) is first
    put_in_force(payer("BLM", "Other"))
    assert isinstance(table.load(tenant_id), ClaimMapping)
    assert table.load(tenant_id).payer("BLM", "", "BLM") == "Other"
