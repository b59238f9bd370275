"""What every report renderer must do."""

# ruff: noqa: D102 - the name of a test is its docstring

from __future__ import annotations

import csv
import datetime as dt
import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from claimkit.reports.compose import Volume, compose
from claimkit.reports.document import (
    Bar,
    BarChart,
    Column,
    HeatMap,
    KeyFigure,
    MixChart,
    Report,
    RunChart,
    Section,
    Step,
    Table,
    ValueKind,
    Waterfall,
    as_plain,
)
from claimkit.testing.factories import make_evidence, make_finding, make_watch_report

if TYPE_CHECKING:
    from claimkit.reports.renderers import ReportRenderer

__all__ = ["RendererConformance"]

_AT = dt.datetime(2026, 3, 20, 6, 30, tzinfo=dt.UTC)
_DAYS = tuple(dt.date(2026, 2, 2) + dt.timedelta(days=7 * week) for week in range(5))
#: What payers are called where somebody means ill: markup, formulas, table signs, odd letters.
_NASTY = '<script>zorglub()</script> =1+1 | `x` [l](javascript:x) & "q" \\ \N{PILE OF POO} Ünï\tt'
_FORMULAS = ("=1+1", "+cmd|' /C zorglub'!A0", "-2", "@SUM(1)", "\t=1", "\r=1")


class _Sink(io.BufferedIOBase):
    """A stream that can be written to and nothing else, as an answer over HTTP is."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, content: object, /) -> int:
        if self.closed:
            raise ValueError("written to after it was closed")
        part = bytes(content)  # type: ignore[call-overload]
        self.parts.append(part)
        return len(part)


class _FullDisk(_Sink):
    """A disk that is full."""

    def write(self, _content: object, /) -> int:
        raise OSError(28, "No space left on device")


class RendererConformance:
    """Subclass it and give it the fixture ``renderer``."""

    #: False where the format itself has a time or an id of its own in it.
    is_reproducible: ClassVar[bool] = True

    @pytest.fixture
    def renderer(self) -> ReportRenderer:
        """Override: the renderer under test."""
        raise NotImplementedError("a conformance suite needs a fixture called 'renderer'")

    def test_it_says_what_it_makes(self, renderer: ReportRenderer) -> None:
        assert re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", renderer.name)
        assert re.fullmatch(r"[a-z]+/[\w.+-]+(; ?[a-z]+=[\w-]+)*", renderer.media_type)
        assert re.fullmatch(r"[a-z0-9]{1,10}(\.[a-z0-9]{1,10})?", renderer.extension)

    def test_a_report_is_written(self, renderer: ReportRenderer) -> None:
        assert _rendered(renderer, _report())

    def test_a_report_with_nothing_in_it_is_written(self, renderer: ReportRenderer) -> None:
        empty = Report(
            title="", tenant="", as_of=dt.date(2026, 3, 20), generated_at=_AT, headline=""
        )

        assert _rendered(renderer, empty)

    def test_every_kind_of_figure_and_value_is_written(self, renderer: ReportRenderer) -> None:
        assert _rendered(renderer, _everything("MERIDIAN OF OHIO"))

    @pytest.mark.parametrize("text", [_NASTY, *_FORMULAS, "", "long " * 200])
    def test_any_text_is_written(self, renderer: ReportRenderer, text: str) -> None:
        assert _rendered(renderer, _everything(text))

    def test_the_same_report_is_the_same_bytes(self, renderer: ReportRenderer) -> None:
        if not self.is_reproducible:
            pytest.skip("the renderer says that its format cannot")

        assert _rendered(renderer, _report()) == _rendered(renderer, _report())

    def test_another_report_is_other_bytes(self, renderer: ReportRenderer) -> None:
        other = _report(payer="BLUE LAKE MUTUAL", dollars_per_month=98_765_400)

        assert _rendered(renderer, other) != _rendered(renderer, _report())

    def test_the_report_stays_as_it_is(self, renderer: ReportRenderer) -> None:
        report = _everything("MERIDIAN OF OHIO")
        before = as_plain(report)

        _rendered(renderer, report)

        assert as_plain(report) == before

    def test_several_threads_write_at_the_same_time(self, renderer: ReportRenderer) -> None:
        alone = _rendered(renderer, _report())

        with ThreadPoolExecutor(3) as pool:
            written = list(pool.map(lambda _: _rendered(renderer, _report()), range(3)))

        assert all(written)
        assert not self.is_reproducible or written == [alone] * len(written)

    def test_a_disk_that_is_full_is_an_error(self, renderer: ReportRenderer) -> None:
        with pytest.raises(OSError, match="No space left"):
            renderer.render(_report(), _FullDisk())  # type: ignore[arg-type]

    def test_no_text_becomes_markup_or_a_formula(self, renderer: ReportRenderer) -> None:
        kind = renderer.media_type.partition(";")[0]
        if kind == "text/html":
            page = _rendered(renderer, _everything(_NASTY)).decode()
            assert "<script>zorglub" not in page
            assert 'href="javascript:' not in page
        elif kind == "text/csv":
            for text in _FORMULAS:
                content = _rendered(renderer, _everything(text)).decode()
                cells = [one for row in csv.reader(io.StringIO(content)) for one in row]
                assert text not in cells
        elif kind in {"text/markdown", "text/plain"}:
            assert "[l](javascript:" not in _rendered(renderer, _everything(_NASTY)).decode()

    def test_a_page_asks_nobody_for_anything(self, renderer: ReportRenderer) -> None:
        if renderer.media_type.partition(";")[0] != "text/html":
            pytest.skip("the format is no page")
        page = _rendered(renderer, _report()).decode()

        loaded = (
            r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?(?:https?:)?//|url\(['\"]?http"
        )
        assert re.search(loaded, page) is None


def _rendered(renderer: ReportRenderer, report: Report) -> bytes:
    out = _Sink()
    renderer.render(report, out)  # type: ignore[arg-type]
    assert not out.closed
    return b"".join(out.parts)


def _report(**changed: object) -> Report:
    """Return the report of one night with one finding, as ``reports.compose`` makes it."""
    finding = make_finding(evidence=make_evidence(), **changed)
    return compose(
        tenant_name="Northside Hospital",
        watched=make_watch_report([finding]),
        volume=Volume(claims=54_321, pending=417, charge=987_654_321, paid=456_789_012),
        generated_at=_AT,
    )


def _everything(text: str) -> Report:
    """Return a report with each figure and each kind of value, and ``text`` wherever text goes."""
    values: list[str | int | float | dt.date | None]
    values = [text, 1_234_567, 0.1834, -0.031, 417, 9.5, dt.date(2026, 3, 9)]
    figures = tuple(
        KeyFigure(label=text, value=value, kind=kind, note=text)
        for kind, value in zip(ValueKind, values, strict=True)
    )
    table = Table(
        caption=text,
        columns=tuple(Column(label=text, kind=kind) for kind in ValueKind),
        rows=(tuple(values), (None,) * len(values)),
    )
    section = Section(
        anchor="marsupilami",
        heading=text,
        tone="high",
        paragraphs=(text,),
        key_figures=figures,
        figures=_figures(text),
        tables=(table, replace(table, rows=())),
        points=(text,),
    )
    return replace(
        _report(payer=text, summary=text),
        title=text,
        tenant=text,
        headline=text,
        key_figures=figures,
        sections=(section, Section(anchor="spip", heading=text)),
    )


def _figures(text: str) -> tuple[RunChart | BarChart | MixChart | Waterfall | HeatMap, ...]:
    told = {"title": text, "description": text}
    return (
        RunChart(
            **told,
            kind=ValueKind.SHARE,
            days=_DAYS,
            observed=(0.08, 0.07, 0.09, 0.17, 0.18),
            expected=(0.08,) * 5,
            low=(0.05,) * 5,
            high=(0.11,) * 5,
            onset=_DAYS[3],
        ),
        BarChart(
            **told, kind=ValueKind.MONEY, bars=(Bar(label=text, value=1_825_000, tone="high"),)
        ),
        MixChart(**told, rows=((text, 0.2, 0.7), (f"{text} else", 0.8, 0.3))),
        Waterfall(
            **told,
            kind=ValueKind.MONEY,
            start=Step(label=text, value=900_000),
            steps=(Step(label=text, value=-100_000),),
            end=Step(label=text, value=800_000),
        ),
        HeatMap(
            **told,
            kind=ValueKind.SHARE,
            rows=(text,),
            columns=(text, f"{text} else"),
            values=((0.08, None),),
            moved=((0.04, None),),
            scale=0.1,
        ),
    )
