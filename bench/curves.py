"""Growth curves as SVG: what something costs, against how much there is, on logarithmic axes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 760, 420
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 190, 52, 54
_FONT = 'font-family="system-ui, sans-serif"'
_INK, _QUIET, _GRID = "#1f2430", "#5b6272", "#e3e6ec"
# People who cannot tell red from green can still tell these apart.
_COLOURS = ("#0b62a4", "#d1495b", "#e0a100", "#3a7d44", "#7b4ea3", "#5b6272")
_LABEL_HEIGHT = 15.0


@dataclass(frozen=True)
class Curve:
    """The points of one curve: (how much there is, what it costs)."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class _Axis:
    """Powers of ten from `low` to `high`, drawn between two places."""

    low: int
    high: int
    start: float
    end: float

    @classmethod
    def over(cls, values: Iterable[float], start: float, end: float) -> _Axis:
        logarithms = [math.log10(value) for value in values]
        low = math.floor(min(logarithms) + 1e-9)
        return cls(low, max(math.ceil(max(logarithms) - 1e-9), low + 1), start, end)

    def place(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self.low, self.high + 1)]


def draw(title: str, x_name: str, y_name: str, curves: Sequence[Curve]) -> str:
    """The whole picture. Values are drawn as they are: give them in the unit of the axis."""
    points = [point for curve in curves for point in curve.points]
    x_axis = _Axis.over((x for x, _ in points), _LEFT, _WIDTH - _RIGHT)
    y_axis = _Axis.over((y for _, y in points), _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}" font-size="12" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 26, title, _INK, "start", 'font-size="15" font-weight="600"'),
        *_grid(x_axis, y_axis, x_name, y_name),
        *(
            _line(curve, colour, x_axis, y_axis)
            for curve, colour in zip(curves, _COLOURS, strict=False)
        ),
        *_names(curves, y_axis),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(x_axis: _Axis, y_axis: _Axis, x_name: str, y_name: str) -> list[str]:
    left, right, top, bottom = x_axis.start, x_axis.end, y_axis.end, y_axis.start
    parts = []
    for tick in y_axis.ticks:
        y = y_axis.place(tick)
        parts.append(f'<path d="M{left} {y:.1f}H{right}" stroke="{_GRID}"/>')
        parts.append(_text(left - 8, y + 4, _number(tick), _QUIET, "end"))
    for tick in x_axis.ticks:
        x = x_axis.place(tick)
        parts.append(f'<path d="M{x:.1f} {top}V{bottom}" stroke="{_GRID}"/>')
        parts.append(_text(x, bottom + 18, _number(tick), _QUIET, "middle"))
    parts.append(_text((left + right) / 2, bottom + 40, x_name, _INK, "middle"))
    middle = (top + bottom) / 2
    turned = f'transform="rotate(-90 20 {middle})"'
    parts.append(_text(20, middle, y_name, _INK, "middle", turned))
    return parts


def _line(curve: Curve, colour: str, x_axis: _Axis, y_axis: _Axis) -> str:
    places = [(x_axis.place(x), y_axis.place(y)) for x, y in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places)
    return (
        f'<g stroke="{colour}" fill="{colour}">'
        f'<polyline points="{path}" fill="none" stroke-width="2"/>{dots}</g>'
    )


def _names(curves: Sequence[Curve], y_axis: _Axis) -> list[str]:
    """Each name beside the end of its line, moved if two would overlap."""
    ends = sorted(
        (y_axis.place(curve.points[-1][1]), colour, curve.name)
        for curve, colour in zip(curves, _COLOURS, strict=False)
    )
    # From the lowest one upwards, so that the last one stays inside the picture.
    places: list[float] = []
    for number, (y, _, _) in enumerate(ends):
        lowest = y_axis.start - (len(ends) - 1 - number) * _LABEL_HEIGHT
        above = places[-1] + _LABEL_HEIGHT if places else y_axis.end
        places.append(max(min(y, lowest), above))
    x = _WIDTH - _RIGHT + 12
    return [
        _text(x, place + 4, name, colour, "start", 'font-weight="600"')
        for place, (_, colour, name) in zip(places, ends, strict=True)
    ]


def _text(x: float, y: float, text: str, colour: str, anchor: str, more: str = "") -> str:
    attributes = f'x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}"'
    return f"<text {attributes} {more}>{escape(text)}</text>"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"
