"""What all pictures share: the look, and how they are written.

One Altair specification gives the interactive page (everything inlined, no network) and the PNG (no browser).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import altair as alt

WIDTH: Final = 900
INK: Final = "#1f2933"
BAD: Final = "#c0392b"
DEMAND: Final = "#b9cfe4"
REPLICAS: Final = "#1b5e8c"
BOUND: Final = "#7a8793"
GOOD: Final = "#2e7d4f"


def style() -> dict[str, Any]:
    """Return the configuration of a chart; it is readable at 1000 px."""
    return {
        "font": "DejaVu Sans, Arial, sans-serif",
        "background": "white",
        "view": {"stroke": "#d5dbe1"},
        "axis": {"gridColor": "#eceff2", "labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal"},
        "legend": {"labelFontSize": 12, "symbolSize": 160, "symbolStrokeWidth": 3},
        "title": {"subtitleFontSize": 12, "subtitleColor": "#52606d"},
    }


def titled(title: str, lines: Sequence[str]) -> alt.TitleParams:
    """Return the title of a picture with what it shows in a line or two below."""
    return alt.TitleParams(title, subtitle=list(lines), anchor="start", fontSize=16, color=INK, offset=8)


def rows(values: list[dict[str, Any]]) -> alt.Data:
    """Return rows as the data of a chart, without Altair's own copy and checks."""
    return alt.Data(values=values)  # type: ignore[no-untyped-call]


def panel(layers: Sequence[alt.Chart], height: int) -> alt.LayerChart:
    """Return layers on top of each other, as wide as all panels."""
    return alt.LayerChart(layer=list(layers), width=WIDTH, height=height)


def stacked(panels: Sequence[alt.Chart | alt.LayerChart], title: alt.TitleParams) -> alt.VConcatChart:
    """Return panels below each other under one title."""
    chart: alt.VConcatChart = alt.vconcat(*panels, spacing=8, title=title, padding=12).configure(**style())
    return chart


def write(chart: alt.VConcatChart, directory: Path, stem: str) -> tuple[Path, Path]:
    """Write STEM.png and STEM.html into `directory` and return their paths."""
    picture, page = directory / f"{stem}.png", directory / f"{stem}.html"
    chart.save(str(picture), scale_factor=2)
    chart.save(str(page), inline=True)
    return picture, page
