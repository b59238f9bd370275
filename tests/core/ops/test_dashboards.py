"""No panel and no alert names what nobody writes, and each query finds what is written."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from claimkit.errors import ConfigError
from claimkit.ops import metrics
from claimkit.ops.dashboards import (
    Dashboard,
    Panel,
    dashboards,
    gauge,
    grafana_json,
    quantile,
    rate,
)
from claimkit.ops.metrics import SERIES, Kind
from claimkit.ops.rules import alert_rules, recordings, rules_yaml

#: Two values of each label, of which the second is the one that goes wrong.
VALUES = {
    "change": ("opened", "resolved"),
    "code": ("file_missing", "file_unreadable"),
    "kind": ("report", "export"),
    "method": ("GET", "POST"),
    "outbox": ("alerts", "webhooks"),
    "result": ("new", "rejected"),
    "route": ("/livez", "/health/"),
    "severity": ("low", "high"),
    "source": ("claimkit_claims", "claimkit_drift"),
    "state": ("success", "failure"),
    "status": ("200", "500"),
    "task": ("claimkit.look", "claimkit.watch"),
    "tenant": ("northside", "lakeview"),
}
#: What a label means depends on the series.
OTHERS = {
    (metrics.DRIFT_RUNS.name, "status"): ("success", "failed"),
    (metrics.DELIVERIES.name, "result"): ("done", "dead"),
    (metrics.REPORT_RUNS.name, "status"): ("success", "failed"),
    (metrics.EXECUTIONS.name, "result"): ("success", "failed"),
}


def queries():
    shown = [
        query
        for dashboard in dashboards(per_tenant=True)
        for panel in dashboard.panels
        for query, _ in panel.queries
    ]
    return [*shown, *(one.expr for one in recordings()), *(one.expr for one in alert_rules())]


@pytest.fixture
def promtool():
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not on this machine")
    return found


@pytest.mark.parametrize("query", queries())
def test_a_query_names_only_what_is_in_the_registry(query):
    named = set(re.findall(r"claimkit_\w+", query))
    histograms = {name for name, one in SERIES.items() if one.kind is Kind.HISTOGRAM}

    assert named
    assert {one.removesuffix("_bucket") for one in named} <= SERIES.keys()
    assert {one for one in named if one.endswith("_bucket")} == {
        f"{one}_bucket" for one in histograms if f"{one}_bucket" in query
    }
    assert not named & histograms


def test_every_series_is_on_a_panel():
    shown = " ".join(queries())

    assert {name for name in SERIES if name not in shown} == set()


@pytest.mark.parametrize(
    "make",
    [
        lambda: rate(metrics.TASKS, by=("tsak",)),
        lambda: rate(metrics.TASKS, by=("tenant",), per_tenant=True),
        lambda: rate(metrics.CLAIMS, by=("tenant",)),
        lambda: rate(metrics.TASKS, where='result="dead"'),
        lambda: rate(metrics.OUTBOX_DUE),
        lambda: gauge(metrics.TASKS),
        lambda: quantile(0.5, metrics.TASKS),
        lambda: quantile(0.5, metrics.TASK_SECONDS, by=("state",)),
    ],
)
def test_a_label_or_kind_that_a_series_has_not_is_refused(make):
    with pytest.raises(ConfigError, match="claimkit_"):
        make()


def test_tenants_have_a_dashboard_where_they_have_a_label():
    without, with_tenants = dashboards(), dashboards(per_tenant=True)

    assert [one.uid for one in with_tenants[len(without) :]] == ["claimkit-tenants"]
    assert "tenant)" not in json.dumps([grafana_json(one) for one in without])


def test_a_dashboard_is_what_grafana_imports():
    panels = [
        Panel(
            title="Errors",
            unit="percentunit",
            limit=0.05,
            queries=[("up", "{{job}}"), ("down", "")],
        ),
        Panel(title="Requests", queries=[("up", "")]),
        Panel(title="Tasks", queries=[("up", "")]),
    ]
    made = grafana_json(Dashboard(uid="claimkit-x", title="X", panels=panels))

    assert (made["uid"], made["refresh"], made["schemaVersion"]) == ("claimkit-x", "30s", 39)
    assert [tuple(one["gridPos"].values()) for one in made["panels"]] == [
        (0, 0, 12, 8), (12, 0, 12, 8), (0, 8, 12, 8),
    ]  # fmt: skip
    first, second, _ = made["panels"]
    assert [one["refId"] for one in first["targets"]] == ["A", "B"]
    assert first["fieldConfig"]["defaults"]["thresholds"]["steps"][1] == {
        "color": "red",
        "value": 0.05,
    }
    assert second["fieldConfig"]["defaults"]["custom"] == {"thresholdsStyle": {"mode": "off"}}
    assert {one["datasource"]["uid"] for one in made["panels"]} == {"${datasource}"}


def test_dashboards_and_panels_have_names_of_their_own():
    made = dashboards(per_tenant=True)

    assert len({one.uid for one in made}) == len({one.title for one in made}) == len(made)
    for one in made:
        assert len({panel.title for panel in one.panels}) == len(one.panels)


# -- against Prometheus itself ------------------------------------------------------------------


def series_of(one):
    """Yield input series of promtool: what grows grows, and a gauge is high."""
    labels = [*one.labels, *(["tenant"] if one.per_tenant else [])]
    for place in (0, 1):
        told = [f'{name}="{OTHERS.get((one.name, name), VALUES[name])[place]}"' for name in labels]
        if one.kind is Kind.HISTOGRAM:
            for nth, bound in enumerate((*one.buckets, "+Inf")):
                inside = ", ".join([*told, f'le="{bound}"'])
                yield {"series": f"{one.name}_bucket{{{inside}}}", "values": f"0+{nth}x120"}
        else:
            values = "0+7x120" if one.kind is Kind.COUNTER else "999999x120"
            yield {"series": f"{one.name}{{{', '.join(told)}}}", "values": values}


def run_tests(promtool, folder, **tests):
    (folder / "claimkit.rules.yml").write_text(rules_yaml(), encoding="utf-8")
    spec = {
        "rule_files": ["claimkit.rules.yml"],
        "evaluation_interval": "1m",
        "tests": [{"interval": "1m", **tests}],
    }
    # JSON is YAML.
    (folder / "tests.yml").write_text(json.dumps(spec), encoding="utf-8")
    return subprocess.run(
        [promtool, "test", "rules", "tests.yml"], cwd=folder, capture_output=True, text=True
    )


def test_every_query_finds_what_is_written(promtool, tmp_path):
    written = [series for one in SERIES.values() for series in series_of(one)]
    asked = [
        {
            "expr": f"count({query.replace('$__rate_interval', '5m')}) > bool 0",
            "eval_time": "90m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for query in queries()
    ]
    done = run_tests(promtool, tmp_path, input_series=written, promql_expr_test=asked)

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_are_valid(promtool, tmp_path):
    path = tmp_path / "claimkit.rules.yml"
    path.write_text(rules_yaml(lag_seconds=77), encoding="utf-8")
    done = subprocess.run([promtool, "check", "rules", path], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout
    assert f"{len(recordings()) + len(alert_rules())} rules found" in done.stdout
    assert "> 77" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("alert", "series", "values", "fires"),
    [
        ("ClaimkitErrors", 'claimkit_http_requests_total{status="500"}', "0+6x30", True),
        ("ClaimkitErrors", 'claimkit_http_requests_total{status="500"}', "0+4x30", False),
        (
            "ClaimkitOutboxLate",
            'claimkit_outbox_oldest_due_seconds{outbox="alerts"}',
            "301x30",
            True,
        ),
        (
            "ClaimkitOutboxLate",
            'claimkit_outbox_oldest_due_seconds{outbox="alerts"}',
            "300x30",
            False,
        ),
        (
            "ClaimkitGivenUp",
            'claimkit_deliveries_total{outbox="webhooks",result="dead"}',
            "0x10 1x20",
            True,
        ),
        ("ClaimkitBlind", 'claimkit_scrape_failed{source="claimkit_claims"}', "1x30", True),
        ("ClaimkitBlind", 'claimkit_scrape_failed{source="claimkit_claims"}', "0x30", False),
    ],
)
def test_an_alert_fires_when_it_should(promtool, tmp_path, alert, series, values, fires):
    (rule,) = [one for one in alert_rules() if one.name == alert]
    labels = dict(re.findall(r'(\w+)="([^"]+)"', series)) if "by" in rule.expr else {}
    told = {name: labels[name] for name in ("outbox", "source") if name in labels}
    summary = rule.summary
    for name, value in told.items():
        summary = summary.replace(f"{{{{ $labels.{name} }}}}", value)
    expected = {
        "exp_labels": {**told, "severity": rule.severity},
        "exp_annotations": {"summary": summary, "action": rule.action},
    }
    background = {"series": 'claimkit_http_requests_total{status="200"}', "values": "0+94x30"}
    done = run_tests(
        promtool,
        tmp_path,
        input_series=[background, {"series": series, "values": values}],
        alert_rule_test=[
            {"alertname": alert, "eval_time": "30m", "exp_alerts": [expected] if fires else []}
        ],
    )

    assert done.returncode == 0, done.stdout + done.stderr
