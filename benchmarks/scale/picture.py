"""How costs grow with the claims of a tenant, as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pygal
from pygal.style import CleanStyle

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["draw"]

#: Work → the unit that is drawn.
_DRAWN = {
    "claims, first page": "ms",
    "claims, deep page": "ms",
    "claims of one payer": "ms",
    "a night": "cpu",
    "cube from all claims": "cpu",
}


def draw(measured: Mapping[int, Mapping[str, Mapping[str, float]]]) -> bytes:
    """Return an SVG: milliseconds over claims, both in powers of ten."""
    chart = pygal.XY(
        js=[],
        style=CleanStyle(font_family="system-ui, sans-serif"),
        logarithmic=True,
        stroke_style={"width": 3},
        dots_size=4,
        show_y_guides=True,
        x_title="claims of the tenant",
        y_title="milliseconds",
        legend_at_bottom=True,
        width=760,
        height=480,
        value_formatter=lambda ms: f"{ms:,.0f} ms",
        x_value_formatter=lambda claims: f"{claims / 1e6:g} M",
    )
    sizes = sorted(measured)
    chart.x_labels = sizes
    chart.y_labels = [10**power for power in range(1, 7)]
    for name, unit in _DRAWN.items():
        factor = 1_000 if unit == "cpu" else 1
        chart.add(name, [(size, factor * measured[size][name][unit]) for size in sizes])
    drawn: bytes = chart.render()
    return drawn
