"""What every log of findings must do."""

# ruff: noqa: D102, PT012 - the name of a test is its docstring, and transactions are blocks

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from claimkit.drift.findings import Evidence, FindingState
from claimkit.errors import FindingUnknown
from claimkit.testing.factories import (
    make_finding,
)
from claimkit.types import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from claimkit.stores import Store
    from claimkit.types import TenantKey


from claimkit.testing.conformance.suite import NIGHT, Suite

__all__ = ["FindingLogConformance"]


class FindingLogConformance(Suite):
    """What a :class:`~claimkit.drift.findings.FindingLog` must do."""

    def test_tells_news_once(self, store: Store, tenant: TenantKey) -> None:
        found = [make_finding()]

        first = store.findings.record(tenant, found, as_of=NIGHT)
        again = store.findings.record(tenant, found, as_of=NIGHT)

        assert [one.fingerprint for one in first.new] == ["fp-marsupilami"]
        assert (again.new, again.worse, again.resolved) == ((), (), ())
        assert [one.fingerprint for one in again.same] == ["fp-marsupilami"]
        assert len(store.findings.open(tenant)) == 1

    def test_keeps_what_is_worse(self, store: Store, tenant: TenantKey) -> None:
        store.findings.record(tenant, [make_finding()], as_of=NIGHT)
        worse = make_finding(
            as_of=NIGHT + dt.timedelta(days=7),
            severity=Severity.CRITICAL,
            dollars_per_month=9_900_000,
        )

        recorded = store.findings.record(tenant, [worse], as_of=worse.as_of)

        assert [one.fingerprint for one in recorded.worse] == ["fp-marsupilami"]
        (kept,) = store.findings.open(tenant)
        assert (kept.severity, kept.dollars_per_month) == (Severity.CRITICAL, 9_900_000)
        assert [state for _, state in store.findings.all(tenant)] == [FindingState.OPEN]

    def test_resolves_what_ended(self, store: Store, tenant: TenantKey) -> None:
        store.findings.record(tenant, [make_finding()], as_of=NIGHT)
        ended = make_finding(as_of=NIGHT + dt.timedelta(days=9), ended=NIGHT)

        recorded = store.findings.record(tenant, [ended], as_of=ended.as_of)

        assert [one.ended for one in recorded.resolved] == [NIGHT]
        assert list(store.findings.open(tenant)) == []
        ((kept, state),) = store.findings.all(tenant)
        assert (kept.ended, state) == (NIGHT, FindingState.RESOLVED)

    def test_an_incident_that_returns_is_a_finding_of_its_own(
        self, store: Store, tenant: TenantKey
    ) -> None:
        store.findings.record(tenant, [make_finding()], as_of=NIGHT)
        ended = make_finding(as_of=NIGHT + dt.timedelta(days=9), ended=NIGHT)
        store.findings.record(tenant, [ended], as_of=ended.as_of)
        returned = make_finding(onset=dt.date(2026, 6, 1), as_of=dt.date(2026, 6, 20))

        recorded = store.findings.record(tenant, [returned], as_of=returned.as_of)

        assert [one.onset for one in recorded.new] == [dt.date(2026, 6, 1)]
        assert [(one.as_of, state) for one, state in store.findings.all(tenant)] == [
            (dt.date(2026, 6, 20), FindingState.OPEN),
            (ended.as_of, FindingState.RESOLVED),
        ]

    def test_opens_the_most_expensive_first(self, store: Store, tenant: TenantKey) -> None:
        prices = {"fp-a": 150_000, "fp-b": 9_900_000, "fp-c": 700_000}
        found = [
            make_finding(fingerprint=name, payer=name, dollars_per_month=price)
            for name, price in prices.items()
        ]

        store.findings.record(tenant, found, as_of=NIGHT)

        assert [one.fingerprint for one in store.findings.open(tenant)] == ["fp-b", "fp-c", "fp-a"]

    def test_keeps_every_field_as_it_was_found(self, store: Store, tenant: TenantKey) -> None:
        evidence = Evidence(
            days=(dt.date(2026, 3, 2), dt.date(2026, 3, 9)),
            observed=(0.1, 0.3),
            expected=(0.1, 0.1),
            low=(0.05, 0.05),
            high=(0.15, 0.15),
            claims=(40, 44),
            reasons_before={"eligibility": 0.25},
            reasons_since={"authorization_referral": 0.75},
            groups={"imaging": (12.0, 4.5, 84)},
            places={"facility": {"11": (9.0, 3.5, 51)}},
        )
        finding = make_finding(
            evidence=evidence,
            why=("GLR 14.2 > 9.1",),
            detected_on=NIGHT,
            revised=True,
            places={"facility": ("11", "22")},
        )
        segment = replace(finding.segment, procedure_groups=("imaging", "surgery_skin"))

        (new,) = store.findings.record(tenant, [replace(finding, segment=segment)], as_of=NIGHT).new

        assert new.evidence == evidence
        assert list(store.findings.open(tenant)) == [new]
        assert list(store.findings.all(tenant)) == [(new, FindingState.OPEN)]

    def test_accepts_what_is_open_once(self, store: Store, tenant: TenantKey) -> None:
        store.findings.record(tenant, [make_finding()], as_of=NIGHT)
        on = NIGHT + dt.timedelta(days=4)

        accepted = store.findings.accept(tenant, "fp-marsupilami", on=on, by="fantasio")

        assert (accepted.accepted_on, accepted.accepted_by) == (on, "fantasio")
        assert list(store.findings.open(tenant)) == []
        assert list(store.findings.accepted(tenant)) == [accepted]
        assert list(store.findings.all(tenant)) == [(accepted, FindingState.ACCEPTED)]
        with pytest.raises(FindingUnknown):
            store.findings.accept(tenant, "fp-marsupilami", on=on, by="spip")

    def test_accepts_in_one_tenant_only(
        self, store: Store, make_tenant: Callable[[], TenantKey]
    ) -> None:
        ours, theirs = make_tenant(), make_tenant()
        store.findings.record(theirs, [make_finding()], as_of=NIGHT)

        with pytest.raises(FindingUnknown):
            store.findings.accept(ours, "fp-marsupilami", on=NIGHT, by="fantasio")

        assert len(store.findings.open(theirs)) == 1
        assert list(store.findings.accepted(theirs)) == []

    def test_names_the_latest_acceptance_first(self, store: Store, tenant: TenantKey) -> None:
        found = [make_finding(fingerprint=name, payer=name) for name in ("fp-a", "fp-b", "fp-c")]
        store.findings.record(tenant, found, as_of=NIGHT)

        for days, name in ((3, "fp-b"), (9, "fp-a")):
            on = NIGHT + dt.timedelta(days=days)
            store.findings.accept(tenant, name, on=on, by="fantasio")

        assert [one.fingerprint for one in store.findings.accepted(tenant)] == ["fp-a", "fp-b"]
        assert [one.fingerprint for one in store.findings.open(tenant)] == ["fp-c"]

    def test_tenants_have_logs_of_their_own(
        self, store: Store, make_tenant: Callable[[], TenantKey]
    ) -> None:
        ours, theirs = make_tenant(), make_tenant()
        store.findings.record(ours, [make_finding()], as_of=NIGHT)

        recorded = store.findings.record(theirs, [make_finding()], as_of=NIGHT)

        assert len(recorded.new) == 1
        assert len(store.findings.all(ours)) == len(store.findings.all(theirs)) == 1
