"""The gate fails what is slower, and nothing else."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace

import pytest


@pytest.fixture(scope="module")
def gate(pytestconfig):
    path = pytestconfig.rootpath / "benchmarks" / "load" / "gate.py"
    spec = importlib.util.spec_from_file_location("load_gate", path)
    made = importlib.util.module_from_spec(spec)
    sys.modules["load_gate"] = made
    spec.loader.exec_module(made)
    return made


@pytest.fixture
def base(gate):
    return gate.Figures(p50=10, p95=40, p99=90, per_second=100, requests=1_000, errors=0)


def levels(verdicts):
    return {one.measure: one.level for one in verdicts}


@pytest.mark.parametrize(
    ("changed", "measure", "level", "strict"),
    [
        ({"p95": 48}, "p95", "ok", "ok"),
        ({"p95": 48.1}, "p95", "fail", "fail"),
        ({"p50": 13}, "p50", "warn", "fail"),
        ({"p99": 120}, "p99", "warn", "fail"),
        ({"per_second": 80}, "throughput", "warn", "fail"),
        ({"errors": 20}, "errors", "ok", "ok"),
        ({"errors": 21}, "errors", "fail", "fail"),
    ],
)
def test_what_is_slower_is_told(gate, base, changed, measure, level, strict):
    head = replace(base, **changed)

    assert levels(gate.judge([(base, head)])) == {
        **dict.fromkeys(("p50", "p95", "p99", "throughput", "errors"), "ok"), measure: level,
    }  # fmt: skip
    assert levels(gate.judge([(base, head)], strict=True))[measure] == strict


def test_one_bad_run_of_several_is_none(gate, base):
    pairs = [(base, base), (base, replace(base, p95=400)), (base, base)]

    assert levels(gate.judge(pairs))["p95"] == "ok"


def test_a_run_that_measured_nothing_is_no_success(gate, base):
    with pytest.raises(ValueError, match="measured nothing"):
        gate.judge([(base, replace(base, requests=0))])
    with pytest.raises(ValueError, match="measured nothing"):
        gate.judge([])
