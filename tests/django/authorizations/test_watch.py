"""Links, forecasts and warnings, on real claims."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from django.db import DEFAULT_DB_ALIAS as USING
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from claimkit.errors import AuthorizationInvalid, TenantUnknown
from claimkit.types import TenantKey
from claimkit_django.alerts.models import Alert
from claimkit_django.audit.models import AuditEntry
from claimkit_django.authorizations.intake import renew
from claimkit_django.authorizations.linking import link_claims
from claimkit_django.authorizations.models import (
    Authorization,
    AuthorizationClaim,
    AuthorizationWarning,
    LeadTime,
)
from claimkit_django.authorizations.tasks import check_all
from claimkit_django.authorizations.watch import check_authorizations
from claimkit_django.claims.models import MappingVersion
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db


def check(tenant, day="2026-02-20"):
    now = dt.datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return check_authorizations(TenantKey(tenant.key), now=now, using=USING)


def links(tenant):
    with enter(tenant):
        rows = AuthorizationClaim.objects.order_by("service_on", "pk")
        return [(one.authorization.number, str(one.service_on), int(one.units)) for one in rows]


def warned(tenant):
    with enter(tenant):
        rows = AuthorizationWarning.objects.order_by("pk")
        return [(one.authorization.number, one.kind, one.step) for one in rows]


def test_claims_of_the_patient_payer_procedure_and_period_are_linked(
    northside, authorize, import_claims
):
    row = authorize(northside)
    import_claims(
        northside,
        ("C1", "2026-01-01", {}),
        ("C2", "2026-04-30", {"units": "3"}),
        ("C3", "2025-12-31", {}),
        ("C4", "2026-05-01", {}),
        ("C5", "2026-02-01", {"member": "W99999"}),
        ("C6", "2026-02-01", {"cpt": "97140"}),
        ("C7", "2026-02-01", {"payer": "Cigna"}),
        ("C8", "2026-02-02", {"status": "denied", "paid": "0.00"}),
        ("C9", "2026-02-03", {"member": ""}),
    )

    done = check(northside)

    assert links(northside) == [
        ("A-417", "2026-01-01", 2),
        ("A-417", "2026-02-02", 0),
        ("A-417", "2026-04-30", 3),
    ]
    assert done.linked == 3
    with enter(northside):
        row.refresh_from_db()
    assert (row.units_linked, row.units_used) == (5, 5)


def test_a_claim_counts_once_where_authorizations_overlap(northside, authorize, import_claims):
    authorize(northside, "A-1", valid_until=dt.date(2026, 3, 31))
    authorize(northside, "A-2", valid_until=dt.date(2026, 6, 30))
    import_claims(
        northside,
        ("C1", "2026-02-01", {}),
        ("C2", "2026-02-02", {"auth": "A-2"}),
        ("C3", "2026-04-02", {}),
    )

    check(northside)
    check(northside)

    assert links(northside) == [
        ("A-1", "2026-02-01", 2),
        ("A-2", "2026-02-02", 2),
        ("A-2", "2026-04-02", 2),
    ]


def test_a_payer_is_found_by_the_name_that_a_mapping_gave_it(northside, authorize, import_claims):
    authorize(northside, payer="AETNA", payer_folded="SOMETHING ELSE")
    import_claims(northside, ("C1", "2026-02-01", {}))
    check(northside)

    assert len(links(northside)) == 1


def test_another_tenants_number_and_patient_are_nothing_to_one(
    northside, lakeview, authorize, import_claims
):
    authorize(northside)
    authorize(lakeview)
    import_claims(northside, ("C1", "2026-02-01", {}))

    check(northside)
    check(lakeview)

    assert [len(links(one)) for one in (northside, lakeview)] == [1, 0]


def test_a_number_is_there_once_in_a_tenant(northside, authorize):
    authorize(northside)
    with pytest.raises(IntegrityError), transaction.atomic():
        authorize(northside)


def test_each_step_of_the_end_is_told_once(northside, authorize):
    authorize(northside, units_authorized=1_000)
    days = ["2026-03-30", "2026-03-31", "2026-04-01", "2026-04-16", "2026-04-17", "2026-04-27"]
    told = [check(northside, day).warned for day in [*days, "2026-04-30", "2026-05-01"]]

    assert told == [0, 1, 0, 1, 0, 1, 1, 0]
    assert [step for _, kind, step in warned(northside) if kind == "expiry"] == [30, 14, 3, 0]


def test_steps_that_were_missed_are_not_made_up_for(northside, authorize):
    authorize(northside, units_authorized=1_000)
    check(northside, "2026-04-28")

    assert warned(northside) == [("A-417", "expiry", 3)]


def test_another_end_begins_anew(northside, authorize):
    row = authorize(northside, units_authorized=1_000)
    check(northside, "2026-04-28")
    with enter(northside):
        row.valid_until = dt.date(2026, 5, 30)
        row.save(update_fields=["valid_until"])
    check(northside, "2026-05-28")

    assert warned(northside) == [("A-417", "expiry", 3)] * 2


def test_a_slow_payer_is_asked_earlier(northside, authorize):
    authorize(northside, units_authorized=1_000)
    with enter(northside):
        LeadTime.objects.create(payer="AETNA", days=45)

    assert check(northside, "2026-03-16").warned == 1
    assert warned(northside) == [("A-417", "expiry", 45)]


def test_the_day_is_that_of_the_tenants_clock(lakeview, authorize):
    """It is still March 30 in Chicago when it is March 31 in London."""
    authorize(lakeview, units_authorized=1_000)
    night = dt.datetime(2026, 3, 31, 3, tzinfo=dt.UTC)

    assert check_authorizations(TenantKey("lakeview"), now=night, using=USING).warned == 0
    assert check(lakeview, "2026-03-31").warned == 1


def test_units_that_run_out_are_told_and_open_an_alert(northside, authorize, import_claims):
    row = authorize(northside)
    import_claims(northside, *((f"C{n}", f"2026-01-{3 * n:02}", {}) for n in range(1, 11)))

    check(northside, "2026-02-01")

    with enter(northside):
        row.refresh_from_db()
        alert = Alert.objects.get()
    assert row.exhausted_earliest <= row.exhausted_likely <= row.exhausted_latest
    assert row.exhausted_earliest > dt.date(2026, 2, 1)
    assert row.runs_out > 0.99
    assert warned(northside)[0][:2] == ("A-417", "exhaustion")
    assert (alert.kind, alert.source) == ("authorization_exhausting", "authorizations")
    assert row.uid in alert.summary
    assert "A-417" not in alert.summary


def test_more_used_than_allowed_is_told_as_day_zero(northside, authorize, import_claims):
    authorize(northside, units_authorized=4)
    import_claims(northside, *((f"C{n}", f"2026-01-{3 * n:02}", {}) for n in range(1, 4)))

    check(northside, "2026-01-20")

    assert warned(northside) == [("A-417", "exhaustion", 0)]


def test_what_people_state_counts_where_it_is_more(northside, authorize, import_claims):
    row = authorize(northside, units_stated=20)
    import_claims(northside, ("C1", "2026-01-02", {}))
    check(northside, "2026-02-01")

    with enter(northside):
        row.refresh_from_db()
    assert (row.units_linked, row.units_used) == (2, 20)
    assert row.units_per_day > 0.4


def test_a_renewed_one_is_told_of_no_more_and_its_alert_ends(northside, authorize):
    first = authorize(northside, units_authorized=1_000)
    next_one = authorize(northside, "A-418", valid_until=dt.date(2026, 8, 31))
    check(northside, "2026-04-01")
    now = dt.datetime(2026, 4, 2, tzinfo=dt.UTC)
    with enter(northside):
        assert Alert.objects.get().state == "open"
        renew(first.uid, by=next_one.uid, now=now, using=USING)
        assert Alert.objects.get().state == "resolved"
    check(northside, "2026-04-28")

    assert warned(northside) == [("A-417", "expiry", 30)]


def test_what_cannot_follow_is_refused(northside, lakeview, authorize):
    first = authorize(northside)
    same = authorize(northside, "A-418")
    later = authorize(northside, "A-419", valid_until=dt.date(2026, 8, 31))
    other = authorize(lakeview, valid_until=dt.date(2026, 8, 31))
    now = dt.datetime(2026, 4, 2, tzinfo=dt.UTC)
    with enter(northside):
        for by in (first, same):
            with pytest.raises(AuthorizationInvalid):
                renew(first.uid, by=by.uid, now=now, using=USING)
        with pytest.raises(Authorization.DoesNotExist):
            renew(first.uid, by=other.uid, now=now, using=USING)
        renew(first.uid, by=later.uid, now=now, using=USING)
        with pytest.raises(AuthorizationInvalid) as told:
            renew(first.uid, by=later.uid, now=now, using=USING)
    assert told.value.code == "renewed_already"


def test_queries_do_not_grow_with_authorizations_or_claims(northside, authorize, import_claims):
    def count(day):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            check(northside, day)
        return len(queries)

    authorize(northside, "A-0", units_authorized=1_000)
    import_claims(northside, ("C0", "2026-01-02", {}))
    few = count("2026-02-01")
    for number in range(1, 20):
        authorize(northside, f"A-{number}", f"W{number}", units_authorized=1_000)
    import_claims(northside, *((f"D{n}", "2026-01-02", {"member": f"W{n}"}) for n in range(1, 20)))

    assert count("2026-02-01") == few


@pytest.mark.skipif(connection.vendor != "sqlite", reason="PostgreSQL has statistics to go by")
def test_authorizations_are_found_by_their_patients(northside, authorize):
    """SQLite once read every later authorization for each claim: minutes for 100,000 claims."""
    authorize(northside)
    with enter(northside), CaptureQueriesContext(connection) as told, transaction.atomic():
        link_claims(northside.pk, using=USING)
    (linking,) = [one["sql"] for one in told if "ROW_NUMBER()" in one["sql"]]

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {linking}")
        plan = [step for *_, step in cursor.fetchall()]
    (search,) = [step for step in plan if step.startswith("SEARCH a ")]
    assert "authorizations_patient (tenant_id=? AND patient_token=? AND procedure=?)" in search


def test_a_tenant_that_is_not_active_holds_no_one_up(northside, lakeview, authorize):
    authorize(northside, valid_until=dt.date.today() + dt.timedelta(days=2), units_authorized=1_000)
    lakeview.active = False
    lakeview.save()

    assert check_all() >= 1
    with pytest.raises(TenantUnknown):
        check(lakeview)


def test_a_failing_listener_takes_the_warning_back(northside, authorize, monkeypatch):
    """A warning and its event are one transaction."""
    authorize(northside, units_authorized=1_000)

    def fail(*args, **kwargs):
        raise RuntimeError("marsupilami")

    with monkeypatch.context() as patch:
        patch.setattr("claimkit_django.alerts.signals.receive", fail)
        with pytest.raises(RuntimeError):
            check(northside, "2026-04-28")
    assert warned(northside) == []
    assert check(northside, "2026-04-28").warned == 1


def test_a_negative_number_of_units_is_refused_by_the_database(northside, authorize):
    with pytest.raises(IntegrityError), transaction.atomic():
        authorize(northside, units_authorized=Decimal(-1))


def test_a_payer_that_a_mapping_renamed_is_found_under_its_new_name(
    northside, authorize, import_claims
):
    row = authorize(northside, payer="Aetna Better Health")
    with enter(northside):
        rule = {"subject": "payer", "match": "prefix", "value": "Aetna", "target": "AETNA (ALL)"}
        MappingVersion.objects.create(number=1, rules=[rule], status="applied")
        LeadTime.objects.create(payer="Aetna", days=45)
    import_claims(northside, ("C1", "2026-02-01", {}))

    done = check(northside, "2026-03-16")

    with enter(northside):
        row.refresh_from_db()
    assert row.payer_folded == "AETNA (ALL)"
    assert row.payer == "Aetna Better Health"
    assert len(links(northside)) == 1
    assert done.warned == 1


def test_who_changed_an_authorization_is_in_the_trail(northside, authorize):
    row = authorize(northside)
    with enter(northside):
        row.units_authorized = 30
        row.save(update_fields=["units_authorized"])
        rows = AuditEntry.objects.filter(target=row.uid).order_by("pk")
        told = list(rows.values_list("action", "changes"))

    assert [action for action, _ in told] == ["authorization.made", "authorization.changed"]
    assert "A-417" not in str(told)
    assert told[-1][1].keys() == {"units_authorized"}
