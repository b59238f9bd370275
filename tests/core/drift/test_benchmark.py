"""The benchmark of drift detection runs, takes scenarios from outside, and judges honestly."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[3] / "benchmarks" / "drift"


def bench(*arguments):
    return subprocess.run(
        [sys.executable, FOLDER / "bench.py", *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.fixture
def modules(monkeypatch):
    """Import the benchmark's modules, which are scripts beside each other."""
    monkeypatch.syspath_prepend(str(FOLDER))
    before = set(sys.modules)
    yield __import__
    for name in set(sys.modules) - before:
        if str(FOLDER) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_a_scenario_from_a_file_is_simulated_and_scored(tmp_path):
    scenarios = tmp_path / "mine.toml"
    scenarios.write_text(
        '[[scenario]]\nname = "marsupilami"\n[[scenario.change]]\nmetric = "denial"\n'
        'size = 0.25\naxis = "decision"\n',
        encoding="utf-8",
    )
    out = tmp_path / "out.json"

    done = bench(
        *("--tenants", "small", "--seeds", "1", "--scenario-file", scenarios, "--out", out),
        *("--methods", "claimkit,oracle"),
    )

    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [row["method"] for row in rows] == ["claimkit", "oracle"]
    assert {row["scenario"] for row in rows} == {"marsupilami"}
    assert rows[0]["changes"][0]["rho"] > 1
    assert rows[0]["changes"][0]["delay"] <= 28
    assert "marsupilami" in done.stdout


def test_a_field_that_there_is_not_is_refused(tmp_path):
    scenarios = tmp_path / "mine.json"
    scenarios.write_text('[{"name": "marsupilami", "casemixx": true}]', encoding="utf-8")

    done = bench("--scenario-file", scenarios)

    assert done.returncode != 0
    assert "casemixx" in done.stderr


def test_simulations_depend_on_seed_and_scenario_alone(modules):
    simulate = modules("simulation").simulate
    scenarios = modules("scenario").SCENARIOS
    one, same = (simulate("small", scenarios["two_payers"], 1_234) for _ in range(2))
    other = simulate("small", scenarios["two_payers"], 1_235)

    assert one.decided.tolist() == same.decided.tolist()
    assert one.truths[0].onset == same.truths[0].onset
    assert one.truths[0].payer != one.truths[1].payer
    assert len(one.decided) != len(other.decided)


def test_few_runs_miss_a_target_only_beyond_chance(modules):
    bounds = modules("bounds")

    assert not bounds.is_above(2, 6.0, 0.1)
    assert bounds.is_above(6, 6.0, 0.1)
    assert not bounds.is_below(3, 4, 0.97)
    assert bounds.is_below(1, 4, 0.97)
    assert bounds.poisson_range(0, 10.0) == pytest.approx((0.0, 0.369), abs=1e-3)
    assert bounds.binomial_range(8, 10) == pytest.approx((0.444, 0.975), abs=1e-3)


def test_the_scenario_of_the_documentation_loads(modules, tmp_path):
    page = FOLDER.parents[1] / "docs" / "explanation" / "drift-benchmark.md"
    (block,) = re.findall(
        r"^```json\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    path = tmp_path / "shown.json"
    path.write_text(block, encoding="utf-8")

    (made,) = modules("scenario").load_scenarios(path).values()

    assert made.growth == 0.4
    assert [one.metric for one in made.change] == ["denial", "allowed"]
    assert made.change[1].payer == "other"
