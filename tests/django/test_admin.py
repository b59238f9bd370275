"""The admin pages of the three rooms, as a person sees them."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from claimkit.testing.factories import make_batch, make_claim, make_finding
from claimkit.types import TenantKey
from claimkit_django.claims.mappings import apply_version, keep_rules
from claimkit_django.claims.models import Claim, CsvTemplate, MappingVersion, Upload
from claimkit_django.drift.models import Finding
from claimkit_django.runtime import open_store
from claimkit_django.tenants.models import Membership, Tenant
from claimkit_django.tenants.scope import enter

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.projects.urls_bare")]

ROWS = (
    "Claim ID,Payer,CPT,DOS,Submitted,Decided,Status,Billed,Allowed,Paid\n"
    "A1,Meridian Health,99213,2026-01-05,2026-01-06,2026-01-12,paid,120.00,100.00,80.00\n"
    "A2,Meridian Health,99213,2026-01-05,2026-01-06,2026-01-12,paid,12..5,100.00,80.00\n"
)
LISTS = [
    "claimkit_claims_upload",
    "claimkit_claims_claim",
    "claimkit_claims_csvtemplate",
    "claimkit_claims_mappingversion",
    "claimkit_drift_finding",
    "claimkit_drift_watchrun",
]


@pytest.fixture(autouse=True)
def _bare(settings):
    settings.MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "claimkit_django.tenants.middleware.TenantMiddleware",
    ]


@pytest.fixture
def root(django_user_model):
    return django_user_model.objects.create_superuser("root")


@pytest.fixture
def working(client, root, northside, lakeview):
    """Sign in as a superuser who works in northside."""
    client.force_login(root)
    page = reverse("admin:claimkit_tenants_tenant_changelist")
    client.post(page, {"action": "work_in", "_selected_action": [northside.pk]})
    return client


def url(name, page, *args):
    return reverse(f"admin:{name}_{page}", args=args)


@pytest.fixture
def told(northside, lakeview):
    """Keep one claim, finding and upload of each tenant."""
    store = open_store()
    for tenant, name in ((northside, "OURS"), (lakeview, "THEIRS")):
        key = TenantKey(tenant.key)
        claims = [make_claim(patient_control_number=f"{name}-17", payer=name)]
        store.claims.add(key, make_batch(claims), upload="upl_1", known_on=dt.date(2026, 4, 1))
        finding = make_finding(payer=name, summary=f"{name} denies more")
        store.findings.record(key, [finding], as_of=finding.as_of)
        with enter(tenant):
            Upload.objects.create(name=f"{name}.csv", known_on=dt.date(2026, 4, 1))
            keep_rules([], note=f"{name} as we write it")
            CsvTemplate.objects.create(name=f"{name} export", header=["Acct"])


@pytest.mark.parametrize("name", LISTS)
def test_pages_ask_for_a_tenant_first(client, root, northside, name):
    client.force_login(root)

    for page in (url(name, "changelist"), url(name, "change", 1), url(name, "history", 1)):
        response = client.get(page, follow=True)
        assert response.redirect_chain[0][0] == url("claimkit_tenants_tenant", "changelist")
        assert "Choose the tenant to work in first." in response.content.decode()


@pytest.mark.parametrize("name", LISTS)
def test_lists_show_the_tenant_and_nobody_else(working, told, name):
    page = working.get(url(name, "changelist")).content.decode()

    assert "THEIRS" not in page
    if name != "claimkit_drift_watchrun":
        assert "OURS" in page


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (Claim, "claimkit_claims_claim"),
        (Finding, "claimkit_drift_finding"),
        (Upload, "claimkit_claims_upload"),
    ],
)
def test_pages_of_rows_are_read_only_and_foreign_ones_do_not_exist(
    working, told, northside, lakeview, model, name
):
    ours = model.unscoped.get(tenant=northside)
    theirs = model.unscoped.get(tenant=lakeview)

    page = working.get(url(name, "change", ours.pk))
    assert page.status_code == 200
    assert 'name="_save"' not in page.content.decode()
    assert working.post(url(name, "change", ours.pk), {}).status_code == 403
    assert working.post(url(name, "delete", ours.pk), {}).status_code == 403
    assert working.get(url(name, "change", theirs.pk)).status_code == 302
    assert working.get(url(name, "change", 10**9)).status_code == 302


def test_lists_cost_the_same_however_many_rows(working, northside, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    counts = []
    for first, size in ((0, 1), (10, 40)):
        claims = [make_claim(patient_control_number=f"Z{first + n}") for n in range(size)]
        open_store().claims.add(
            TenantKey("northside"), make_batch(claims), upload="u", known_on=dt.date(2026, 4, 1)
        )
        with CaptureQueriesContext(connection) as queries:
            assert working.get(url("claimkit_claims_claim", "changelist")).status_code == 200
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_claims_are_found_by_their_folded_number_and_outcome(working, told):
    page = url("claimkit_claims_claim", "changelist")

    assert "OURS-17" in working.get(page, {"q": "ours 17"}).content.decode()
    assert "OURS-17" not in working.get(page, {"q": "ours 18"}).content.decode()
    outcome = open_store().claims.find(TenantKey("northside"), "OURS17").outcome
    assert "OURS-17" in working.get(page, {"outcome": outcome.value}).content.decode()
    assert "OURS-17" not in working.get(page, {"outcome": "reversed"}).content.decode()


def test_a_file_is_handed_in_and_imported_and_its_rows_repaired(
    working, monkeypatch, django_capture_on_commit_callbacks
):
    from claimkit_django.claims import tasks

    monkeypatch.setattr(tasks, "shared_task", None)
    file = SimpleUploadedFile("export.csv", ROWS.encode())
    with django_capture_on_commit_callbacks(execute=True):
        response = working.post(url("claimkit_claims_upload", "add"), {"file": file, "reader": ""})

    upload = Upload.unscoped.get()
    assert response.status_code == 302
    assert (upload.status, upload.claims_new, upload.rows_rejected) == ("partial", 1, 1)
    assert (upload.name, upload.source, upload.actor.partition(":")[0]) == (
        "export.csv",
        "admin",
        "user",
    )
    page = working.get(url("claimkit_claims_upload", "change", upload.pk)).content.decode()
    repair = url("claimkit_claims_upload", "repair", upload.uid)
    assert repair in page
    body = b"".join(working.get(repair).streaming_content).decode("utf-8-sig")
    assert "12..5" in body


def test_an_upload_needs_a_file(working):
    page = working.post(url("claimkit_claims_upload", "add"), {"reader": ""})

    assert page.status_code == 200
    assert not Upload.unscoped.exists()


def test_unfinished_imports_run_again(
    working, northside, make_upload, monkeypatch, django_capture_on_commit_callbacks
):
    from django.core.files.base import ContentFile

    from claimkit_django.claims import tasks

    monkeypatch.setattr(tasks, "shared_task", None)
    waiting = make_upload(
        northside, file=ContentFile(ROWS.encode(), name="e.csv"), bytes_total=len(ROWS)
    )
    with django_capture_on_commit_callbacks(execute=True):
        working.post(
            url("claimkit_claims_upload", "changelist"),
            {"action": "run_again", "_selected_action": [waiting.pk]},
        )

    assert Upload.unscoped.get().status == "partial"
    assert "100 %" in working.get(url("claimkit_claims_upload", "changelist")).content.decode()


def test_viewers_see_and_do_not_write(client, northside, make_member, make_upload):
    from django.contrib.auth.models import Permission

    viewer = make_member("spip", (northside, "viewer"), is_staff=True)
    viewer.user_permissions.set(
        Permission.objects.filter(content_type__app_label__startswith="claimkit")
    )
    upload = make_upload(northside)
    client.force_login(viewer)

    assert client.get(url("claimkit_claims_upload", "changelist")).status_code == 200
    assert client.get(url("claimkit_claims_upload", "add")).status_code == 403
    assert client.get(url("claimkit_claims_upload", "repair", upload.uid)).status_code == 403


def test_there_is_no_repair_file_without_rejected_rows(working, northside, make_upload):
    upload = make_upload(northside)

    assert working.get(url("claimkit_claims_upload", "repair", upload.uid)).status_code == 404
    assert working.get(url("claimkit_claims_upload", "repair", "upl_x")).status_code == 404


def test_one_tenant_is_chosen_at_a_time(client, root, northside, lakeview):
    client.force_login(root)
    page = url("claimkit_tenants_tenant", "changelist")

    both = {"action": "work_in", "_selected_action": [northside.pk, lakeview.pk]}
    assert "Select exactly one tenant." in client.post(page, both, follow=True).content.decode()
    Tenant.objects.filter(pk=lakeview.pk).update(active=False)
    gone = {"action": "work_in", "_selected_action": [lakeview.pk]}
    answer = client.post(page, gone, follow=True).content.decode()
    assert "You cannot work in this tenant." in answer


def test_staff_see_their_own_tenants_only(client, northside, lakeview, make_member):
    from django.contrib.auth.models import Permission

    staff = make_member("fantasio", (northside, "admin"), is_staff=True)
    staff.user_permissions.set(
        Permission.objects.filter(content_type__app_label="claimkit_tenants")
    )
    client.force_login(staff)
    page = client.get(url("claimkit_tenants_tenant", "changelist")).content.decode()

    assert "northside" in page
    assert "lakeview" not in page


def members_form(tenant, *members):
    form = {
        "key": tenant.key,
        "name": tenant.name,
        "timezone": tenant.timezone,
        "active": "on",
        "memberships-TOTAL_FORMS": len(members),
        "memberships-INITIAL_FORMS": sum(1 for member, *_ in members if member.pk),
    }
    for number, (member, role, *delete) in enumerate(members):
        prefix = f"memberships-{number}"
        form |= {
            f"{prefix}-id": member.pk or "",
            f"{prefix}-tenant": tenant.pk,
            f"{prefix}-user": member.user_id,
            f"{prefix}-role": role,
        }
        if delete:
            form[f"{prefix}-DELETE"] = "on"
    return form


def test_the_form_of_a_tenant_hands_ownership_over_and_keeps_an_owner(
    client, root, northside, make_member
):
    make_member("gaston", (northside, "owner"))
    successor = Membership(user=make_member("prunelle"))
    owner = Membership.objects.get()
    client.force_login(root)
    page = url("claimkit_tenants_tenant", "change", northside.pk)

    refused = client.post(page, members_form(northside, (owner, "viewer")))
    assert "A tenant needs an owner." in refused.content.decode()
    refused = client.post(page, members_form(northside, (owner, "owner", "delete")))
    assert "A tenant needs an owner." in refused.content.decode()
    done = client.post(
        page, members_form(northside, (owner, "viewer", "delete"), (successor, "owner"))
    )
    assert done.status_code == 302

    assert [(one.user.username, one.role) for one in Membership.objects.all()] == [
        ("prunelle", "owner")
    ]


def test_the_key_of_a_tenant_never_changes(client, root, northside):
    client.force_login(root)
    page = url("claimkit_tenants_tenant", "change", northside.pk)

    client.post(page, {**members_form(northside), "key": "other"})

    assert Tenant.objects.get().key == "northside"


# -- mappings ----------------------------------------------------------------------------------


def test_rules_are_handed_in_as_lines_and_come_back(
    working, told, django_capture_on_commit_callbacks, northside
):
    page = url("claimkit_claims_mappingversion", "add")

    with django_capture_on_commit_callbacks(execute=True):
        answer = working.post(page, {"table": "payer,exact,OURS,,Our Payer\n", "note": "why"})

    assert answer.status_code == 302, answer.content.decode()
    with enter(northside):
        version = MappingVersion.objects.get(note="why")
    apply_version(TenantKey("northside"), version.uid)
    assert version.number == 2
    assert version.actor
    assert "payer,exact,OURS,,Our Payer" in working.get(page).content.decode()
    shown = working.get(url("claimkit_claims_mappingversion", "change", version.pk))
    assert "payer exact OURS → Our Payer" in shown.content.decode()
    with django_capture_on_commit_callbacks(execute=True):
        working.post(
            url("claimkit_claims_mappingversion", "changelist"),
            {"action": "bring_back", "_selected_action": [version.pk]},
        )
    with enter(northside):
        assert MappingVersion.objects.get(number=3).restores == 2


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("payer,exact,A1,,B2\npayer,exact,B2,,A1", "circle"),
        ("payer,like,A1,,B2", "not one of exact"),
    ],
)
def test_rules_that_cannot_be_used_come_back_with_the_reason(working, northside, lines, message):
    answer = working.post(url("claimkit_claims_mappingversion", "add"), {"table": lines})

    assert message in answer.content.decode()
    with enter(northside):
        assert not MappingVersion.objects.exists()


# -- templates ---------------------------------------------------------------------------------


def test_a_template_is_written_by_hand_and_checked(working, northside):
    page = url("claimkit_claims_csvtemplate", "add")
    header = '["claim id", "payer", "dos", "Tot", "paid"]'
    good = {"name": "m", "header": header, "columns": '{"Tot": "billed"}', "nulls": '["n/a"]'}

    refused = working.post(page, {**good, "columns": "{}"})
    saved = working.post(page, good)

    assert "no column holds billed" in refused.content.decode()
    assert saved.status_code == 302, saved.content.decode()
    with enter(northside):
        template = CsvTemplate.objects.get()
    assert (template.columns, template.nulls) == ({"Tot": "billed"}, ["n/a"])
    assert template.actor
    assert (
        working.post(
            url("claimkit_claims_csvtemplate", "delete", template.pk), {"post": "yes"}
        ).status_code
        == 302
    )
