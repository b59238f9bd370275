from __future__ import annotations

import datetime as dt

import pytest

from claimkit.claims.model import Outcome
from claimkit.drift.findings import FindingState
from claimkit.testing.factories import make_batch, make_claim
from claimkit.types import TenantKey
from claimkit_django.drift.models import Finding
from claimkit_django.runtime import open_store
from claimkit_django.tenants.scope import enter

pytestmark = pytest.mark.django_db

URL = "/dashboard/findings/"
PAYER = "MERIDIAN OF OHIO"


@pytest.fixture
def claims(northside):
    """Store 25 denied claims of the payer since the onset, and a paid one."""
    decided = dt.date(2026, 3, 9)
    rows = [
        make_claim(
            patient_control_number=f"SPIP{number}",
            payer=PAYER,
            outcome=Outcome.PAID if number == 25 else Outcome.DENIED,
            decided_on=decided,
        )
        for number in range(26)
    ]
    open_store().claims.add(
        TenantKey("northside"), make_batch(rows), upload="upl_x", known_on=decided
    )


def test_a_finding_tells_how_much_since_when_and_why(northside, browse, find, text_of):
    row = find(northside, why=("The score of 14.2 is above 9.1.",))

    page = browse(northside, "viewer").get(f"{URL}{row.uid}/")
    text = text_of(page)

    assert "MERIDIAN OF OHIO: denies more" in text
    assert "$18,250" in text
    assert "95 % interval +6.0 pp to +12.0 pp" in text
    assert "The score of 14.2 is above 9.1." in text
    assert "changed 2 Mar" in page.content.decode()


def test_the_claims_behind_it_are_paged(northside, browse, find, claims):
    row = find(northside)
    browser = browse(northside)
    seen = []
    url = f"{URL}{row.uid}/"
    address = url
    for _ in range(3):
        page = browser.get(address).context["claims"]
        seen += [one["claim"].patient_control_number for one in page["rows"]]
        address = url + page["next_url"]

    assert page["next_url"] == ""
    assert sorted(seen) == sorted(f"SPIP{number}" for number in range(25))


def test_all_claims_behind_it_are_there_to_compare(northside, browse, find, claims):
    row = find(northside)

    page = browse(northside).get(f"{URL}{row.uid}/?claims=all")

    assert {one["outcome"] for one in page.context["claims"]["rows"]} == {"denied", "paid"}


def test_what_the_payer_remarked_is_told_beside_denials(northside, browse, find, text_of):
    decided = dt.date(2026, 3, 9)
    denied = [("M127", 3, 40_000), ("N290", 2, 10_000), ("", 1, 5_000)]
    rows = [
        make_claim(
            patient_control_number=f"FANTASIO{code}{number}",
            payer=PAYER,
            outcome=Outcome.DENIED,
            charge=charge,
            remark=code,
            decided_on=decided,
        )
        for code, how_many, charge in denied
        for number in range(how_many)
    ]
    paid = make_claim(
        patient_control_number="PAID", payer=PAYER, outcome=Outcome.PAID, remark="MA01",
        decided_on=decided,
    )  # fmt: skip
    open_store().claims.add(
        TenantKey("northside"), make_batch([*rows, paid]), upload="upl_x", known_on=decided
    )

    page = browse(northside).get(f"{URL}{find(northside).uid}/")

    assert [tuple(one)[:4] for one in page.context["remarks"]["rows"]] == [
        ("M127", "missing_records", 3, 120_000),
        ("N290", "missing_provider", 2, 20_000),
        ("", "", 1, 5_000),
    ]
    assert "M127 missing records 3 50.0 % $1,200" in text_of(page)
    assert "MA01" not in text_of(page)


def test_no_table_of_remarks_is_shown_without_one(northside, browse, find, claims, text_of):
    page = browse(northside).get(f"{URL}{find(northside).uid}/")

    assert page.context["remarks"] == {}
    assert "remarked" not in text_of(page)


def test_a_cursor_of_another_list_is_refused_with_what_to_do(northside, browse, find, text_of):
    row = find(northside)

    page = browse(northside).get(f"{URL}{row.uid}/?cursor=marsupilami")

    assert page.status_code == 400
    assert "Start again at the first page" in text_of(page)


def test_the_list_shows_the_state_that_was_asked_for(northside, browse, find):
    find(northside)
    over = find(northside, FindingState.RESOLVED, fingerprint="fp-over", ended=dt.date(2026, 3, 19))

    page = browse(northside).get(f"{URL}?state=resolved")

    assert [one.uid for one in page.context["rows"]] == [over.uid]


@pytest.mark.parametrize(
    ("role", "status", "state"),
    [("viewer", 403, "open"), ("analyst", 302, "accepted"), ("owner", 302, "accepted")],
)
def test_analysts_accept_a_level_as_normal(northside, browse, find, role, status, state):
    row = find(northside)

    answer = browse(northside, role).post(f"{URL}{row.uid}/accept/")

    assert answer.status_code == status
    with enter(northside):
        assert Finding.objects.get(uid=row.uid).state == state


def test_accepting_twice_is_told(northside, browse, find, text_of):
    row = find(northside)
    browser = browse(northside)
    browser.post(f"{URL}{row.uid}/accept/")

    page = browser.post(f"{URL}{row.uid}/accept/", follow=True)

    assert "closed already" in text_of(page)


def test_viewers_are_not_offered_what_they_may_not_do(northside, browse, find, text_of):
    row = find(northside)

    assert "new normal" not in text_of(browse(northside, "viewer").get(f"{URL}{row.uid}/"))
    assert "new normal" in text_of(browse(northside, "analyst").get(f"{URL}{row.uid}/"))
