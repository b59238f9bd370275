"""The load baseline in the repository is what the command wrote, and within its aims."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

LOAD = Path(__file__).parents[2] / "benchmarks" / "load"


@pytest.fixture(scope="module")
def baseline():
    sys.path.insert(0, str(LOAD))
    try:
        spec = importlib.util.spec_from_file_location("load_baseline", LOAD / "baseline.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(LOAD))
    return module


@pytest.fixture
def figures(baseline):
    from_gate = sys.modules["gate"].Figures
    return from_gate(p50=90, p95=210, p99=400, per_second=30, requests=3_600, errors=0)


def options(**values):
    return argparse.Namespace(
        **{"users": 5, "seconds": 120, "load_before": 0.5, "save": None, **values}
    )


def test_what_is_kept_is_whole_and_within_the_aims():
    kept = json.loads((LOAD / "baseline.json").read_text(encoding="utf-8"))

    assert kept["claims"] == 1_000_000
    assert kept["users"] == 5
    assert kept["requests"] > 1_000
    assert kept["errors"] == 0
    assert kept["p95"] < 500
    # The ten tasks, and signing in.
    assert len({one["task"] for one in kept["tasks"]} - {"sign in"}) == 10


def test_the_report_keeps_what_was_measured(baseline, figures, tmp_path, capsys):
    path = tmp_path / "kept.json"

    status = baseline.report(figures, claims=1_000_000, options=options(save=path), slowest=[])

    kept = json.loads(path.read_text())
    assert status == 0
    assert asdict(figures).items() <= kept.items()
    assert json.loads(capsys.readouterr().out) == kept


@pytest.mark.parametrize(
    ("changed", "status"), [({"p95": 500}, 1), ({"errors": 1}, 1), ({"requests": 0}, 2)]
)
def test_what_is_too_slow_fails_and_nothing_is_no_success(
    baseline, figures, changed, status, capsys
):
    slow = type(figures)(**{**asdict(figures), **changed})

    assert baseline.report(slow, claims=10, options=options(), slowest=[]) == status
