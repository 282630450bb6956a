"""Cells of a table on a page: text, numbers, and figures with their intervals drawn as small bars.

The bars of one metric share a scale throughout a table, so that they can be compared at a glance: 0 to 1 where all of
them lie there, else from 0 (or the lowest end) to the highest. Differences share one within their column, zero in the
middle.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.judge.report import Sheet
from commonspace.measure import Comparison, Estimate

WIDTH = 76.0  # of a bar, in its own units
EDGE = 3.0  # half a point, so that none is cut off
LEVEL = 0.05
NOTHING = "–"
_ARROW = re.compile("->")
_TASK = re.compile(r"[\w+-]+->[\w+-]+")  # text->image


@dataclass(frozen=True)
class Bar:
    """Where a small bar has its ends, its point and, for differences, its zero."""

    low: float
    high: float
    value: float
    zero: float | None = None


@dataclass(frozen=True)
class Cell:
    """One cell: `kind` is ``"text"``, ``"number"`` or ``"figure"``; not `sure`: a difference that may be none."""

    kind: str
    text: str
    sort: str = ""
    between: str = ""
    n: str = ""
    p: str = ""
    bar: Bar | None = None
    sure: bool = True


@dataclass(frozen=True)
class Head:
    """The head of a column; `n` where all figures below rest on as many units."""

    text: str
    figure: bool = False
    n: str = ""


@dataclass(frozen=True)
class Grid:
    """A `Sheet`, ready to be shown."""

    title: str
    head: Sequence[Head]
    rows: Sequence[Sequence[Cell]]
    note: str


def grid(sheet: Sheet) -> Grid:
    """Return a table ready to be shown.

    Where all figures of a column rest on the same number of units and there are several, the head says it once.
    """
    columns = list(zip(*sheet.rows, strict=True)) if len(sheet.rows) else [()] * len(sheet.head)
    shared = [_shared(column) for column in columns]
    heads = [
        Head(str(name), any(_is_figure(c) or _is_number(c) for c in column), n)
        for name, column, n in zip(sheet.head, columns, shared, strict=True)
    ]
    metrics = _scales([c for row in sheet.rows for c in row if isinstance(c, Estimate)])
    scales = [metrics | _scales([c for c in column if isinstance(c, Comparison)]) for column in columns]
    rows = [
        [cell(c, scale, show_n=not n) for c, scale, n in zip(row, scales, shared, strict=True)] for row in sheet.rows
    ]
    return Grid(sheet.title, heads, rows, sheet.note)


def cell(value: Any, scales: dict[str, tuple[float, float]] | None = None, *, show_n: bool = True) -> Cell:
    """Return one cell, with a bar where there is a scale for it."""
    if value is None:
        return Cell("text", NOTHING)
    if isinstance(value, bool | np.bool_):
        return Cell("text", "yes" if value else "no")
    if _is_number(value):
        return Cell("number", number(value), sort=_sort(value))
    if isinstance(value, Estimate):
        shown, low, high = alike(value.value, value.low, value.high)
        point, zero, p, sure = value.value, None, "", True
    elif isinstance(value, Comparison):
        shown, low, high = alike(value.difference, value.low, value.high, sign="+")
        p = "p<0.001" if value.p_value < 0.001 else f"p={value.p_value:.3f}"
        point, zero, sure = value.difference, 0.0, value.p_value < LEVEL
    else:
        return Cell("text", _ARROW.sub(" → ", str(value)) if _TASK.fullmatch(str(value)) else str(value))
    bar = _bar(value.low, point, value.high, (scales or {}).get(_key(value)), zero)
    return Cell("figure", shown, _sort(point), f"{low} to {high}", f"{value.n:,}" if show_n else "", p, bar, sure)


def number(value: Any) -> str:
    """Return a number as people read it: whole numbers whole, three decimals below 10 and one from there on."""
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    if not math.isfinite(value):
        return NOTHING if math.isnan(value) else ("∞" if value > 0 else "-∞")
    if 0 < abs(value) < 0.001:
        return f"{value:.1e}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def alike(*values: float, sign: str = "") -> list[str]:
    """Return figures that belong together with the same decimals: three, or one where any of them reaches 10."""
    digits = 3 if max((abs(v) for v in values if math.isfinite(v)), default=0) < 10 else 1
    return [f"{v:{sign},.{digits}f}" if math.isfinite(v) else number(v) for v in values]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _is_figure(value: Any) -> bool:
    return isinstance(value, Estimate | Comparison)


def _sort(value: Any) -> str:
    return repr(float(value)) if math.isfinite(value) else ""


def _key(value: Estimate | Comparison) -> str:
    return value.metric if isinstance(value, Estimate) else "difference"


def _shared(column: Sequence[Any]) -> str:
    """Return the number of units behind all figures of a column, if it is one and there are several figures."""
    behind = [c.n for c in column if _is_figure(c)]
    return f"{behind[0]:,}" if len(behind) > 1 and len(set(behind)) == 1 else ""


def _scales(figures: Sequence[Any]) -> dict[str, tuple[float, float]]:
    """Return metric -> ends of the scale of its bars."""
    scales: dict[str, tuple[float, float]] = {}
    for key in dict.fromkeys(map(_key, figures)):
        ends = [v for c in figures if _key(c) == key for v in (c.low, c.high) if math.isfinite(v)]
        if not ends:
            continue
        low, high = min(ends), max(ends)
        if key == "difference":
            reach = max(abs(low), abs(high)) or 1.0
            scales[key] = -reach, reach
        elif low >= 0:
            scales[key] = 0.0, 1.0 if high <= 1 else high
        else:
            scales[key] = low, max(high, 0.0)
    return scales


def _bar(low: float, value: float, high: float, scale: tuple[float, float] | None, zero: float | None) -> Bar | None:
    if scale is None or not all(map(math.isfinite, (low, value, high))):
        return None

    def place(x: float) -> float:
        share = (x - scale[0]) / ((scale[1] - scale[0]) or 1.0)
        return round(EDGE + (WIDTH - 2 * EDGE) * min(max(share, 0.0), 1.0), 1)

    return Bar(place(low), place(high), place(value), None if zero is None else place(zero))
