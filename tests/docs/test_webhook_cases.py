"""What webhooks are tried against: every line of the page is named by a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_MARK = re.compile(r"\b(?:A\d\d|C\d{1,2}|V\d)\b")
_RANGE = re.compile(r"\b([AC])(\d+) to \1(\d+)\b")


def _said(test):
    """Return the marks in the docstring of a test; ``C1 to C3`` are three."""
    text = ast.get_docstring(test) or ""
    found = set(_MARK.findall(text))
    for letter, first, last in _RANGE.findall(text):
        found |= {f"{letter}{number}" for number in range(int(first), int(last) + 1)}
    return found


def _tests():
    for folder in ("core", "django"):
        for path in (ROOT / "tests" / folder / "webhooks").glob("test_*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                    yield node


def _listed():
    page = (ROOT / "docs" / "explanation" / "webhook-cases.md").read_text(encoding="utf-8")
    return [
        line.split("|")[1].strip() for line in page.splitlines() if re.match(r"\| [ACV]\d", line)
    ]


def test_every_case_is_listed_once_and_none_is_left_out():
    numbers = [f"A{number:02}" for number in range(1, 53)]
    numbers += [f"C{number}" for number in range(1, 15)] + [f"V{number}" for number in range(1, 10)]

    assert _listed() == numbers


def test_every_case_is_named_by_a_test_and_tests_name_no_other():
    assert set().union(*map(_said, _tests())) == set(_listed())
