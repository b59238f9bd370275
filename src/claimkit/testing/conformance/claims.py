"""What every store of claims must do."""

# ruff: noqa: D102, PT012 - the name of a test is its docstring, and transactions are blocks

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from claimkit.claims.ledger import claim_key
from claimkit.claims.model import Added, Adjustment, ClaimBatch, ClaimKind, Outcome
from claimkit.claims.store import ClaimTotals
from claimkit.stores.memory import MemoryStore
from claimkit.testing.factories import (
    make_batch,
    make_claim,
    make_line,
    make_submission,
)
from claimkit.testing.strategies import batches

if TYPE_CHECKING:
    from collections.abc import Callable

    from claimkit.stores import Store
    from claimkit.types import TenantKey


from claimkit.testing.conformance.suite import KNOWN_ON, Suite, add, everything, store_property

__all__ = ["ClaimStoreConformance"]


class ClaimStoreConformance(Suite):
    """What a :class:`~claimkit.claims.store.ClaimStore` must do."""

    @store_property
    @given(story=st.lists(st.tuples(batches(), st.integers(0, 2)), min_size=1, max_size=4))
    def test_same_claims_give_what_the_oracle_gives(
        self,
        store: Store,
        make_tenant: Callable[[], TenantKey],
        story: list[tuple[ClaimBatch, int]],
    ) -> None:
        tenant, oracle = make_tenant(), MemoryStore()
        for number, (batch, days) in enumerate(story):
            said = {"upload": f"upl_{number}", "known_on": KNOWN_ON + dt.timedelta(days=days)}

            merged = add(store.claims, tenant, batch, **said)
            expected = add(oracle.claims, tenant, batch, **said)

            assert merged.added == expected.added
            assert sorted(merged.changes, key=repr) == sorted(expected.changes, key=repr)
        assert everything(store.claims, tenant) == everything(oracle.claims, tenant)

    @store_property
    @given(batch=batches())
    def test_a_batch_that_comes_again_changes_nothing(
        self, store: Store, make_tenant: Callable[[], TenantKey], batch: ClaimBatch
    ) -> None:
        tenant = make_tenant()
        first = add(store.claims, tenant, batch).added
        before = everything(store.claims, tenant)

        again = add(store.claims, tenant, batch, upload="upl_again")

        assert (again.added.new, again.added.changed) == (0, 0)
        assert again.added.same == first.new
        assert list(again.changes) == []
        assert everything(store.claims, tenant) == before

    def test_counts_new_changed_and_same(self, store: Store, tenant: TenantKey) -> None:
        pending = make_submission()
        other = make_submission(patient_control_number="ZORGLUB9")

        first = add(store.claims, tenant, make_batch([pending, other]))
        second = add(store.claims, tenant, make_batch([make_claim(), pending, other]))

        assert first.added == Added(new=2)
        assert second.added == Added(changed=1, same=1, statements_same=2)
        assert [one.before is None for one in first.changes] == [True, True]
        (change,) = second.changes
        assert change.before is not None
        assert change.after is not None
        assert (change.before.outcome, change.after.outcome) == ("pending", "paid")

    def test_a_corrected_row_replaces_what_it_corrects(
        self, store: Store, tenant: TenantKey
    ) -> None:
        wrong = make_claim(kind=ClaimKind.CSV, paid=10_000, lines=[make_line(paid=10_000)])
        right = make_claim(kind=ClaimKind.CSV, paid=12_345, lines=[make_line(paid=12_345)])
        add(store.claims, tenant, make_batch([wrong]))

        added = add(store.claims, tenant, make_batch([right]), upload="upl_corrected").added

        key = claim_key("PCN-000417")
        assert added == Added(changed=1)
        assert store.claims.totals(tenant).paid == 12_345
        assert [one.upload for one in store.claims.history(tenant, key)] == ["upl_corrected"]
        assert [line.paid for line in store.claims.lines(tenant, key)] == [12_345]

    def test_finds_a_claim_by_its_folded_number(self, store: Store, tenant: TenantKey) -> None:
        add(store.claims, tenant, make_batch([make_claim(patient_control_number="ab-0012")]))

        found = store.claims.find(tenant, "AB 0012")

        assert found is not None
        assert found.patient_control_number == "ab-0012"
        assert store.claims.find(tenant, "AB12") is None

    def test_knows_nothing_of_an_unknown_tenant(self, store: Store, tenant: TenantKey) -> None:
        assert store.claims.find(tenant, "PCN-000417") is None
        assert list(store.claims.history(tenant, 417)) == []
        assert list(store.claims.lines(tenant, 417)) == []
        assert list(store.claims.scan(tenant)) == []
        assert store.claims.totals(tenant) == ClaimTotals()

    def test_an_empty_batch_is_no_news(self, store: Store, tenant: TenantKey) -> None:
        merged = add(store.claims, tenant, ClaimBatch())

        assert merged.added == Added()
        assert list(merged.changes) == []

    def test_scans_in_pages_by_claim_key(self, store: Store, tenant: TenantKey) -> None:
        numbers = [f"SPIP{n:03}" for n in range(7)]
        claims = [make_claim(patient_control_number=number) for number in numbers]
        add(store.claims, tenant, make_batch(claims))

        pages = list(store.claims.scan(tenant, batch_size=3))

        keys = [one.claim_key for page in pages for one in page]
        assert [len(page) for page in pages] == [3, 3, 1]
        assert keys == sorted(map(claim_key, numbers))

    def test_keeps_every_field_as_it_was_told(self, store: Store, tenant: TenantKey) -> None:
        oracle = MemoryStore()
        line = make_line(
            number="6R-Ω",
            modifiers=("25", "59"),
            revenue_code="0450",
            service_to=dt.date(2026, 1, 6),
            adjustments=[Adjustment("CO", "45", -1), Adjustment("PR", "2", 10**13)],
            remarks=["N54", "M15"],
            billed_procedure="99215",
        )
        claim = make_claim(
            patient_control_number="Ünï'c\"ode;--%",
            payer="L'HÔPITAL & CO",
            original_reference="OLD000731",
            authorization_number="AUTH-0001",
            patient_token="deadbeef",  # noqa: S106
            category="authorization_referral",
            reason="CO-197",
            remark="N54",
            charge=10**13,
            paid=-(10**13),
            service_from=dt.date(1970, 1, 1),
            lines=[line],
        )

        for one in (store, oracle):
            add(one.claims, tenant, make_batch([claim]))

        assert everything(store.claims, tenant) == everything(oracle.claims, tenant)
        assert list(store.claims.lines(tenant, claim_key(claim.patient_control_number))) == [line]

    def test_sums_current_positions(self, store: Store, tenant: TenantKey) -> None:
        denied = {"outcome": Outcome.DENIED, "status": "4", "paid": 0}
        claims = [
            make_submission(),
            make_claim(),
            make_claim(patient_control_number="ZORGLUB9", **denied),
            make_submission(patient_control_number="SPIP001", charge=1_100),
            make_claim(status="22", outcome=Outcome.REVERSED, charge=-32_000, paid=-500),
        ]

        add(store.claims, tenant, make_batch(claims))

        assert store.claims.totals(tenant) == ClaimTotals(
            claims=3, pending=1, denied=1, charge=65_100, paid=18_000, joined=1, reversals=1
        )

    def test_tenants_do_not_see_each_other(
        self, store: Store, make_tenant: Callable[[], TenantKey]
    ) -> None:
        ours, theirs = make_tenant(), make_tenant()
        add(store.claims, ours, make_batch([make_claim(payer="OURS")]))
        before = everything(store.claims, ours)

        added = add(store.claims, theirs, make_batch([make_claim(payer="THEIRS", paid=1)])).added

        assert added == Added(new=1)
        assert everything(store.claims, ours) == before
        theirs_found = store.claims.find(theirs, "PCN-000417")
        assert theirs_found is not None
        assert theirs_found.payer == "THEIRS"
