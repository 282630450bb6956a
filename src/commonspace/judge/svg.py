"""Pictures as inline SVG that follows the page: its colours are the page's variables, its text stays text.

Matplotlib draws with stand-in colours; each is then replaced by a CSS variable, so that one picture fits light, dark
and print. Lines and groups differ by dash and marker as well as by colour. Names inside (clip paths, markers) get the
picture's own prefix, because one page holds many pictures. Without Matplotlib `draw` raises `NotInstalled` and the page
shows `figures`, the same data as a table.
"""

from __future__ import annotations

import io
import re
import textwrap
import warnings
from collections.abc import Callable
from functools import singledispatch
from typing import Any
from xml.etree import ElementTree

import numpy as np

from commonspace.core.registry import need
from commonspace.judge.cells import number
from commonspace.judge.pictures import Bars, Curve, Histogram, Picture, Scatter
from commonspace.judge.report import Sheet
from commonspace.judge.tiles import plain

MOST = 2000  # points of a picture: more cannot be told apart, and make the page slow
ALONG = 400  # points of a line
ROWS = 60  # rows of a table that stands for a picture
LONGEST = 34  # characters of a name in a picture
HIGH = 32  # characters that fit along the vertical axis
SIZE = (5.4, 3.3)  # inches of 72 units

INK, DIM, LINE = "#fe0001", "#fe0002", "#fe0003"
SERIES = ("#fe0011", "#fe0012", "#fe0013", "#fe0014", "#fe0015", "#fe0016", "#fe0017")
VARIABLES = {INK: "var(--ink)", DIM: "var(--dim)", LINE: "var(--line)"} | {
    c: f"var(--c{i + 1})" for i, c in enumerate(SERIES)
}
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.6)), (0, (1.2, 1.4)), (0, (6, 1.5, 1.2, 1.5)), (0, (9, 2)), (0, (3, 3)), "-")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
STYLE: dict[str, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in somebody's class name is a dollar
    "axes.unicode_minus": False,
    "font.size": 9.5,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": DIM,
    "axes.linewidth": 0.7,
    "axes.labelcolor": DIM,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": DIM,
    "ytick.color": DIM,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "xtick.minor.size": 0,
    "ytick.minor.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.7,
    "lines.markersize": 4,
}


def draw(picture: Picture, id: str) -> str:
    """Return a picture as one <svg> element.

    Parameters
    ----------
    picture : Picture
    id : str
        What the names inside begin with; no two pictures of a page may share it.

    Raises
    ------
    NotInstalled
        Without Matplotlib.
    """
    matplotlib = need("matplotlib")
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, "svg.hashsalt": id}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the reader's browser has the glyph, or not
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        _draw(picture, axes)
        if not isinstance(picture, Bars):
            axes.set_xlabel(plain(picture.x_label))
            axes.set_ylabel(textwrap.fill(plain(picture.y_label), HIGH))
        handles, names = axes.get_legend_handles_labels()
        if len(names) > 1 or (names and isinstance(picture, Scatter)):
            columns = 1 if max(map(len, names)) > 26 else 2 if max(map(len, names)) > 15 else 3
            figure.legend(handles, names, loc="outside upper left", ncols=min(columns, len(names)))
        target = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(target, format="svg", metadata=nothing)
    return _inline(target.getvalue(), id, describe(picture))


def describe(picture: Picture) -> str:
    """Return in words what a picture shows, for readers who do not see it."""
    return f"{picture.title}. {picture.note} {_described(picture)}".replace("..", ".").replace("  ", " ")


def figures(picture: Picture, note: str = "") -> Sheet:
    """Return the data of a picture as a table, thinned out where it is long."""
    if isinstance(picture, Bars):
        between = [f"{_said(a)} to {_said(b)}" for a, b in zip(picture.low, picture.high, strict=True)]
        rows: list[Any] = list(zip(picture.labels, picture.values, between or [""] * len(picture.values), strict=True))
        return Sheet([picture.x_label, picture.y_label, "interval"], rows[:ROWS], note)
    if isinstance(picture, Histogram):
        bins = list(zip(picture.edges[:-1], picture.edges[1:], strict=True))
        rows = [
            (f"{_said(a)} to {_said(b)}", *(c[i] for c in picture.counts.values())) for i, (a, b) in enumerate(bins)
        ]
        rows += [(f"{name} (mark)", value, *[""] * (len(picture.counts) - 1)) for name, value in picture.marks.items()]
        return Sheet([picture.x_label, *picture.counts], rows[:ROWS], note)
    series = picture.lines if isinstance(picture, Curve) else picture.points
    each = max(2, ROWS // max(1, len(series)))
    rows = [
        (name, _said(points[0][i]), float(points[1][i]))
        for name, points in series.items()
        for i in _along(len(points[0]), each)
    ]
    return Sheet(["", picture.x_label, picture.y_label], rows, note)


# ---------------------------------------------------------------- the four kinds


@singledispatch
def _draw(picture: Any, axes: Any) -> None:
    raise TypeError(f"there is no way to draw a {type(picture).__name__}")


@_draw.register
def _curve(picture: Curve, axes: Any) -> None:
    for name, (x, y) in picture.references.items():
        axes.plot(x, y, color=DIM, linewidth=1, linestyle=(0, (1, 2)), label=_short(name), zorder=1.5)
    for i, (name, points) in enumerate(picture.lines.items()):
        kept = _along(len(points[0]), ALONG, log=picture.log_x)
        x, y, *band = (np.asarray(p, np.float64)[kept] for p in points)
        marker = MARKERS[i % 7] if len(kept) <= 30 else None
        axes.plot(x, y, color=SERIES[i % 7], linestyle=DASHES[i % 7], marker=marker, label=_short(name))
        if len(band) == 2:
            axes.fill_between(x, *band, color=SERIES[i % 7], alpha=0.16, linewidth=0)
    for log, scale, axis in (
        (picture.log_x, axes.set_xscale, axes.xaxis),
        (picture.log_y, axes.set_yscale, axes.yaxis),
    ):
        if log:
            scale("log")
            _plain_ticks(axis)


@_draw.register
def _bars(picture: Bars, axes: Any) -> None:
    n = min(len(picture.labels), 30)
    places = np.arange(n)[::-1]
    axes.figure.set_size_inches(SIZE[0], 0.9 + 0.27 * max(n, 2))
    values = np.asarray(picture.values[:n], np.float64)
    axes.barh(places, values, height=0.62, color=SERIES[0], alpha=0.75)
    if len(picture.low) and len(picture.high):
        low, high = (np.asarray(e[:n], np.float64) for e in (picture.low, picture.high))
        ends = np.maximum([values - low, high - values], 0)
        axes.errorbar(values, places, xerr=ends, fmt="none", color=INK, ecolor=INK, elinewidth=1.1, capsize=2.2)
    axes.set_yticks(places, [_short(label) for label in picture.labels[:n]])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="y", visible=False)
    axes.set_xlabel(plain(picture.y_label))
    axes.set_ylim(-0.7, n - 0.3)


@_draw.register
def _histogram(picture: Histogram, axes: Any) -> None:
    for i, (name, counts) in enumerate(picture.counts.items()):
        color = SERIES[i % 7]
        axes.stairs(counts, picture.edges, fill=True, color=color, alpha=0.22)
        axes.stairs(counts, picture.edges, color=color, linestyle=DASHES[i % 7], linewidth=1.5, label=_short(name))
    for name, value in picture.marks.items():
        axes.axvline(value, color=INK, linewidth=1)
        axes.annotate(
            _short(name), (value, 1), xycoords=("data", "axes fraction"), xytext=(3, -2), textcoords="offset points",
            va="top", fontsize=8.5,
        )  # fmt: skip
    axes.set_ylim(bottom=0)


@_draw.register
def _scatter(picture: Scatter, axes: Any) -> None:
    from matplotlib.collections import LineCollection

    rng = np.random.default_rng(0)
    total = sum(len(x) for x, _ in picture.points.values()) or 1
    for i, (name, (x, y)) in enumerate(picture.points.items()):
        kept = np.sort(rng.permutation(len(x))[: max(1, int(MOST * len(x) / max(total, MOST)))])
        a, b = (np.asarray(v, np.float64)[kept] for v in (x, y))
        style = {"linestyle": "", "markersize": 3.4, "markeredgewidth": 0.8, "markeredgecolor": SERIES[i % 7]}
        filled = SERIES[i % 7] if i % 2 == 0 else "none"
        axes.plot(a, b, marker=MARKERS[i % 7], markerfacecolor=filled, alpha=0.8, label=_short(name), **style)
    if len(picture.joined):
        pairs = np.asarray(picture.joined, np.float64).reshape(-1, 2, 2)
        pairs = pairs[rng.permutation(len(pairs))[: MOST // 5]]
        axes.add_collection(LineCollection(list(pairs), colors=DIM, linewidths=0.5, alpha=0.5, zorder=1))


# ---------------------------------------------------------------- in words


@singledispatch
def _described(picture: Any) -> str:
    raise TypeError(f"there are no words for a {type(picture).__name__}")


@_described.register
def _curve_in_words(picture: Curve) -> str:
    lines = [
        f"{name} goes from {_said(y[0])} at {_said(x[0])} to {_said(y[-1])} at {_said(x[-1])}"
        for name, (x, y, *_) in picture.lines.items()
        if len(x)
    ]
    return f"Lines of {picture.y_label} against {picture.x_label}: {'; '.join(lines)}."


@_described.register
def _bars_in_words(picture: Bars) -> str:
    bars = [f"{name} {_said(v)}" for name, v in list(zip(picture.labels, picture.values, strict=True))[:12]]
    more = "" if len(picture.labels) <= 12 else f" and {len(picture.labels) - 12} more"
    return f"Bars of {picture.y_label}: {', '.join(bars)}{more}."


@_described.register
def _histogram_in_words(picture: Histogram) -> str:
    edges = [float(e) for e in picture.edges]
    parts = []
    for name, counts in picture.counts.items():
        top = int(np.argmax(counts)) if len(counts) else 0
        parts.append(f"{name} most often from {_said(edges[top])} to {_said(edges[top + 1])}")
    marks = "".join(f"; {name} at {_said(v)}" for name, v in picture.marks.items())
    return f"Histogram of {picture.x_label}: {'; '.join(parts)}{marks}."


@_described.register
def _scatter_in_words(picture: Scatter) -> str:
    groups = [f"{len(x):,} of {name}" for name, (x, _) in picture.points.items()]
    return f"Points in the plane of {picture.x_label} and {picture.y_label}: {', '.join(groups)}."


# ---------------------------------------------------------------- inside


def _along(n: int, most: int, *, log: bool = False) -> np.ndarray:
    """Return at most so many places of n, both ends among them; evenly, or closer at the start."""
    if n <= most:
        return np.arange(n)
    if log:
        return np.unique(np.round(np.geomspace(1, n, most)).astype(np.int64) - 1)
    return np.unique(np.round(np.linspace(0, n - 1, most)).astype(np.int64))


def _said(value: Any) -> str:
    """Return a number of a picture: whole ones whole, whatever their type."""
    return number(int(value) if np.isfinite(value) and float(value).is_integer() else float(value))


def _short(name: Any) -> str:
    text = plain(name).replace("\n", " ").replace("->", "→")
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return text.lstrip("_") or "–"  # Matplotlib keeps names that begin with _ out of legends


def _plain_ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    shown: Callable[..., str] = lambda v, _: f"{v:,.0f}" if v >= 1 else f"{v:g}"  # noqa: E731
    axis.set_major_formatter(FuncFormatter(shown))
    axis.set_minor_formatter(NullFormatter())


def _inline(svg: str, id: str, words: str) -> str:
    """Return an SVG document as one element for a page: our colours and names, attributes instead of styles."""
    root = ElementTree.fromstring(svg)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        _attributes(element, id)
    for parent in list(root.iter()):
        for child in [c for c in parent if c.tag in ("style", "metadata") or (c.tag == "defs" and not len(c))]:
            parent.remove(child)
        _lift(parent)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    title = ElementTree.Element("title", {"id": f"{id}-title"})
    title.text = plain(words)
    root.insert(0, title)
    root.attrib |= {"role": "img", "aria-labelledby": f"{id}-title"}
    text = ElementTree.tostring(root, encoding="unicode")
    return re.sub(r">\s+<", "><", text)


def _attributes(element: Any, id: str) -> None:
    found: dict[str, str] = {}
    for key, value in element.attrib.items():
        name = key.rpartition("}")[2]
        if name == "style":
            parts = (part.partition(":") for part in value.split(";"))
            found |= {k.strip(): v.strip() for k, _, v in parts if k.strip() not in ("", "font", "font-family")}
        elif name == "id":
            if not (element.tag == "g" and "_" in value) and element.tag != "g":
                found[name] = f"{id}-{value}"
        elif name == "href":
            found[name] = f"#{id}-{value[1:]}"
        elif name == "clip-path":
            found[name] = value.replace("url(#", f"url(#{id}-")
        elif name == "transform" and value.startswith("rotate(-0 "):
            continue
        else:
            found[name] = value
    for name, value in found.items():
        if name in ("d", "x", "y", "points", "transform"):
            found[name] = re.sub(r"\d+\.\d+", lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), value).replace(
                "\n", ""
            )
        elif value.lower() in VARIABLES:
            found[name] = VARIABLES[value.lower()]
    element.attrib.clear()
    element.attrib.update(found)


def _lift(parent: Any) -> None:
    """Say once on a group what all of its marks say."""
    if parent.tag != "g" or len(parent) < 2 or any(c.tag != "use" for c in parent):
        return
    same = {
        k: v
        for k, v in parent[0].attrib.items()
        if k not in ("href", "x", "y", "opacity") and all(c.attrib.get(k) == v for c in parent)
    }
    for child in parent:
        for key in same:
            del child.attrib[key]
    parent.attrib.update({k: v for k, v in same.items() if k not in parent.attrib})
