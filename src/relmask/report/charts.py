"""Curves and histograms as SVG that takes its colours from the page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 380, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 30, 40


@dataclass(frozen=True, slots=True)
class Line:
    """A curve: points from left to right; those that are not finite are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class _Axes:
    """Where a value lies on the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        low, high = self.x
        return _LEFT + (value - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def down(self, value: float) -> float:
        low, high = self.y
        return _HEIGHT - _BOTTOM - (value - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def curves(
    lines: Sequence[Line],
    *,
    x_label: str,
    y_label: str,
    x_range: tuple[float, float] | None = None,
    y_range: tuple[float, float] | None = None,
    marks: Mapping[str, float] | None = None,
) -> str:
    """Curves in one frame, as an SVG element.

    Args:
        lines: at most six, told apart by colour and by a legend where there is more than one.
        x_label: under the axis, with its unit.
        y_label: beside the axis, with its unit.
        x_range: from the data if None.
        y_range: from the data if None.
        marks: upright dashed lines, name to x.
    """
    marks = marks or {}
    x_range = x_range or _range([*(x for line in lines for x in line.x), *marks.values()])
    axes = _Axes(x_range, y_range or _range([y for line in lines for y in line.y]))
    drawn = [_curve(axes, line, f"s{k % 6}") for k, line in enumerate(lines)]
    legend = _legend([line.name for line in lines]) if len(lines) > 1 else ""
    return _drawing(axes, x_label, y_label, "".join([*drawn, _marks(axes, marks), legend]))


def bars(
    groups: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str = "pictures",
    bins: int = 24,
    x_range: tuple[float, float] = (0.0, 1.0),
    marks: Mapping[str, float] | None = None,
) -> str:
    """Histograms of groups over each other, as an SVG element; what is out of range counts at its ends."""
    edges = np.linspace(*x_range, bins + 1)
    counts = {
        name: np.histogram(np.clip(np.asarray(values, float), *x_range), edges)[0]
        for name, values in groups.items()
    }
    highest = max((int(count.max()) for count in counts.values()), default=1)
    axes = _Axes(x_range, (0.0, float(max(1, highest))))
    shapes = []
    for k, count in enumerate(counts.values()):
        for left, right, number in zip(edges[:-1], edges[1:], count.tolist(), strict=True):
            if number:
                x, top = axes.across(left), axes.down(number)
                shapes.append(
                    f'<rect class="s{k % 6}" x="{x + 0.5:.1f}" y="{top:.1f}" '
                    f'width="{axes.across(right) - x - 1:.1f}" height="{axes.down(0) - top:.1f}"/>'
                )
    legend = _legend(list(counts)) if len(counts) > 1 else ""
    return _drawing(axes, x_label, y_label, "".join([*shapes, _marks(axes, marks or {}), legend]))


def _curve(axes: _Axes, line: Line, style: str) -> str:
    points = [(x, y) for x, y in zip(line.x, line.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
    path = " ".join(f"{axes.across(x):.1f},{axes.down(y):.1f}" for x, y in points)
    return f'<polyline class="{style}" points="{path}"/>'


def _marks(axes: _Axes, marks: Mapping[str, float]) -> str:
    return "".join(
        f'<line class="mark" x1="{axes.across(x):.1f}" x2="{axes.across(x):.1f}" y1="{_TOP}" '
        f'y2="{_HEIGHT - _BOTTOM}"/><text x="{axes.across(x) + 4:.1f}" y="{_TOP + 10}">{escape(name)}</text>'
        for name, x in marks.items()
        if axes.x[0] <= x <= axes.x[1]
    )


def _legend(names: Sequence[str]) -> str:
    """Above the frame, three names a line."""
    parts = []
    for k, name in enumerate(names):
        x, y = _LEFT + 112 * (k % 3), 10 + 13 * (k // 3)
        parts.append(
            f'<rect class="s{k % 6} key" x="{x}" y="{y - 8}" width="10" height="10"/>'
            f'<text x="{x + 15}" y="{y + 1}">{escape(name[:16])}</text>'
        )
    return "".join(parts)


def _drawing(axes: _Axes, x_label: str, y_label: str, content: str) -> str:
    ticks = []
    for value in _ticks(axes.x):
        x = axes.across(value)
        ticks.append(f'<text class="tick" x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 14}">{value:g}</text>')
    for value in _ticks(axes.y):
        y = axes.down(value)
        ticks.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        ticks.append(f'<text class="side" x="{_LEFT - 6}" y="{y + 4:.1f}">{value:g}</text>')
    middle_x, middle_y = (_LEFT + _WIDTH - _RIGHT) / 2, (_TOP + _HEIGHT - _BOTTOM) / 2
    labels = (
        f'<text class="tick" x="{middle_x:.0f}" y="{_HEIGHT - 6}">{escape(x_label)}</text>'
        f'<text class="tick" x="0" y="0" transform="translate(12 {middle_y:.0f}) rotate(-90)">'
        f"{escape(y_label)}</text>"
    )
    title = f"{y_label} over {x_label}"
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(ticks)}{content}{labels}</svg>"
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    known = [value for value in values if math.isfinite(value)]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if low == high:
        return low - 0.5, high + 0.5
    return low, high


def _ticks(span: tuple[float, float], wanted: int = 5) -> list[float]:
    """Round numbers within a range, about as many as wanted."""
    low, high = span
    rough = (high - low) / wanted
    scale = 10.0 ** math.floor(math.log10(rough))
    step = next(scale * factor for factor in (1, 2, 5, 10) if scale * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [round(k * step, 12) for k in range(first, math.floor(high / step + 1e-9) + 1)]
