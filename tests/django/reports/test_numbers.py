"""From a number of a report to its cells, the files and the claims, over the API."""

from __future__ import annotations

import csv
import datetime as dt
from io import StringIO

import pytest
from django.core.cache import caches
from django.core.management import call_command
from django.urls import include, path
from rest_framework.test import APIClient

from claimkit.claims.model import Outcome
from claimkit.drift.tally import NOT_A_DECISION, PAID_OUTCOMES
from claimkit.tenants import Role
from claimkit_django.claims import behind
from claimkit_django.claims.codes import OUTCOMES
from claimkit_django.claims.models import Claim, Upload
from claimkit_django.tenants.scope import enter
from tests.reporting import make

pytestmark = [pytest.mark.urls(__name__), pytest.mark.django_db]
urlpatterns = [path("", include("claimkit_django.urls"))]

HEADER = "Claim ID,Payer,CPT,DOS,Submitted,Decided,Status,Denial Code,Billed,Allowed,Paid\n"
PAYERS = ("Meridian Health", "Lake Mutual", "Fantasio Care")
#: Status, CARC, allowed, paid, and how it counts.
DECISIONS = (
    ("paid", "", "100.00", "80.00"),
    ("denied", "CO-197", "0.00", "0.00"),
    ("denied", "CO-16", "0.00", "0.00"),
    ("denied", "", "0.00", "0.00"),
    # A payer-side duplicate is no decision.
    ("denied", "CO-18", "0.00", "0.00"),
)


def rows_of(first, count, day):
    for n in range(first, first + count):
        status, code, allowed, paid = DECISIONS[n % 5]
        payer, decided = PAYERS[n % 3], day + dt.timedelta(days=n % 20)
        cpt = ("99213", "70551")[n % 2]
        yield (
            f"A{n:05},{payer},{cpt},{day - dt.timedelta(days=20)},{day - dt.timedelta(days=10)},"
            f"{decided},{status},{code},{100 + n}.25,{allowed},{paid}\n"
        )


@pytest.fixture(autouse=True)
def _no_one_counted_yet():
    caches["default"].clear()


@pytest.fixture
def hospital(northside, tmp_path):
    """Return a tenant with three files of claims: one of February, two of March."""
    for name, first, count, day in (
        ("february", 0, 60, dt.date(2026, 2, 2)),
        ("march", 100, 80, dt.date(2026, 3, 2)),
        ("late", 200, 25, dt.date(2026, 3, 9)),
    ):
        file = tmp_path / f"{name}.csv"
        file.write_text(HEADER + "".join(rows_of(first, count, day)))
        call_command("claimkit_import", str(file), "--tenant", "northside", stdout=StringIO())
    return northside


@pytest.fixture
def traced(hospital, make_member):
    """Return a function that asks for the numbers of the March report, or for one of them."""
    report = make(hospital)
    client = APIClient()
    client.force_authenticate(make_member("viewer", (hospital, Role.VIEWER)))
    root = f"/api/v1/reports/{report.uid}/numbers/"
    listed = client.get(root).json()["numbers"]

    def get(label=None):
        if label is None:
            return listed
        one = next(each for each in listed if each["label"] == label)
        answer = client.get(one["href"])
        assert answer.status_code == 200, answer.content
        return answer.json()

    return get


def test_decided_claims_lead_to_each_of_the_claims_and_the_rows_of_the_files(
    traced, hospital, tmp_path
):
    told = traced("Decided")
    (origin,) = told["origins"]
    with enter(hospital):
        names = dict(Upload.objects.values_list("uid", "name"))
        numbers = {one.uid: one.patient_control_number for one in Claim.objects.all()}

    # A fifth of 105 claims are duplicates of the payer's.
    assert told["value"] == origin["total"] == origin["claims_total"] == 84
    assert sum(one["claims"] for one in origin["cells"]) == 84
    assert len(origin["claims"]) == 84
    assert {names[one["uid"]]: one["claims"] for one in origin["uploads"]} == {
        "march.csv": 64,
        "late.csv": 20,
    }
    for one in origin["claims"]:
        with (tmp_path / names[one["upload"]]).open() as file:
            lines = list(csv.reader(file))
        row = next(each for each in lines if each[0] == numbers[one["uid"]])

        assert row[5] == one["decided_on"]
        assert lines[one["row"] - 1] == row


def test_every_sum_over_cells_is_that_of_the_claims(traced):
    beginnings = ("Denial rate", "Payers, this period", "Why claims are denied")
    labels = [one["label"] for one in traced() if one["label"].startswith(beginnings)]
    origins = [origin for label in labels for origin in traced(label)["origins"]]
    counted = [one for one in origins if one["origin"]["measure"] == "claims"]

    assert [one["total"] for one in counted] == [one["claims_total"] for one in counted]
    assert {one["origin"]["outcome"] for one in counted} > {"", "denied"}
    # Two of the rate, five for each of three payers, four for each of three categories.
    assert len(counted) == 2 + 3 * 5 + 3 * 4


def test_a_number_of_another_tenant_is_not_there(traced, lakeview, make_member):
    client = APIClient()
    client.force_authenticate(make_member("other", (lakeview, Role.OWNER)))
    href = next(one["href"] for one in traced() if one["label"] == "Decided")

    assert client.get(href).status_code == 404
    assert client.get(href.replace("num_", "num_0")).status_code == 404


def test_what_counts_is_what_the_cube_counts():
    assert set(behind._PAID) == {OUTCOMES[Outcome(one)] for one in PAID_OUTCOMES}
    assert set(behind._NO_DECISION) == NOT_A_DECISION
