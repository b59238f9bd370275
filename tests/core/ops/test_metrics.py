"""The registry keeps to the rules of Prometheus."""

from __future__ import annotations

import re

import pytest

from claimkit.ops import metrics
from claimkit.ops.metrics import SERIES, Kind


@pytest.mark.parametrize("series", SERIES.values(), ids=list(SERIES))
def test_a_series_is_named_as_prometheus_wants_it(series):
    assert re.fullmatch(r"claimkit_[a-z]+(_[a-z]+)*", series.name)
    assert (series.kind is Kind.COUNTER) == series.name.endswith("_total")
    assert (series.kind is Kind.HISTOGRAM) == series.name.endswith("_duration_seconds")
    assert series.help.endswith(".")
    assert all(re.fullmatch(r"[a-z]+", one) for one in series.labels)
    assert "le" not in series.labels


@pytest.mark.parametrize("series", SERIES.values(), ids=list(SERIES))
def test_buckets_rise_and_only_histograms_have_them(series):
    assert bool(series.buckets) == (series.kind is Kind.HISTOGRAM)
    assert list(series.buckets) == sorted(set(series.buckets))


@pytest.mark.parametrize("series", SERIES.values(), ids=list(SERIES))
def test_no_label_can_have_many_values(series):
    """What comes from claims or callers is no label; a tenant only where the site asks for it."""
    few = {
        "change",
        "code",
        "kind",
        "method",
        "outbox",
        "result",
        "route",
        "severity",
        "source",
        "state",
        "status",
        "task",
    }

    assert set(series.labels) <= few
    assert not (series.per_tenant and series.kind is not Kind.COUNTER)


def test_every_series_is_in_the_registry():
    defined = {one.name for one in vars(metrics).values() if isinstance(one, metrics.Series)}

    assert defined == SERIES.keys()
    assert len(SERIES) >= 19
