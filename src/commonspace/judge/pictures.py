"""What a picture shows, as plain data: the page draws it, the JSON document carries it.

Four kinds are enough for check-ups. Each says what its axes are, in the units of the reader, and may say in a sentence
(`note`) what to see in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class _Picture:
    title: str
    x_label: str
    y_label: str
    note: str = field(default="", kw_only=True)  # what to see in it, in a sentence

    def to_dict(self) -> dict[str, Any]:
        """Return the data of the picture, ready for JSON, with its kind."""
        return {"kind": type(self).__name__.lower(), **asdict(self)}


@dataclass(frozen=True)
class Curve(_Picture):
    """Lines with optional bands, such as a spectrum or recall against a cut-off.

    Parameters
    ----------
    lines : mapping of str to (x, y) or (x, y, low, high)
        Name of a line -> its points, and its band.
    log_x, log_y : bool
        Logarithmic axes.
    references : mapping of str to (x, y)
        Name -> a thin line to compare with, such as chance.
    """

    lines: Mapping[str, tuple[Sequence[float], ...]] = field(default_factory=dict)
    log_x: bool = False
    log_y: bool = False
    references: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Bars(_Picture):
    """One bar a label, with optional intervals.

    Parameters
    ----------
    labels : sequence of str
    values, low, high : sequences of float
        Bars, and ends of their intervals (empty for none).
    """

    labels: Sequence[str] = ()
    values: Sequence[float] = ()
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True)
class Histogram(_Picture):
    """How values are spread.

    Parameters
    ----------
    edges : sequence of (b + 1) float
    counts : mapping of str to sequence of (b) float
        Name of a sample -> how many fall between the edges.
    marks : mapping of str to float
        Name -> a value to draw a line at, such as a limit.
    """

    edges: Sequence[float] = ()
    counts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    marks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Scatter(_Picture):
    """Points of several groups in two dimensions.

    Parameters
    ----------
    points : mapping of str to (xs, ys)
        Group -> its points.
    joined : sequence of (x1, y1, x2, y2)
        Thin lines, such as between partners.
    """

    points: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    joined: Sequence[tuple[float, float, float, float]] = ()


Picture = Curve | Bars | Histogram | Scatter
