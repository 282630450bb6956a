"""Pictures of the comparison, from its results; below 200 kB each."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.search.figures import cheapest
from bench.search.peers import OURS


def possible() -> bool:
    """Return whether matplotlib is there; say so where it is not."""
    if importlib.util.find_spec("matplotlib"):
        return True
    print("no pictures: matplotlib is not installed")
    return False


def curves(rows: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Draw queries per second over recall, one line an engine; what is missed has a logarithmic scale."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(9.5, 5.5), layout="constrained")
    least = 5e-4
    for i, row in enumerate(sorted(rows, key=lambda r: r["system"] != OURS)):
        points = sorted(row["points"], key=lambda p: p["recall"])
        missed, speed = [max(1 - p["recall"], least) for p in points], [p["qps"] for p in points]
        axes.plot(missed, speed, label=row["system"], **_style(i, row["system"]))
    axes.set(xlabel="recall@10", ylabel="queries per second", title=title)
    axes.set(xscale="log", yscale="log", xlim=(0.4, least * 0.9))
    shown = (0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
    axes.set_xticks([1 - r for r in shown] + [least], [*map(str, shown), "1"])
    axes.minorticks_off()
    _finish(plt, figure, axes, path)


def filters(rows: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """Draw, for each kind of filter, recall (above) and queries per second (below) over the share it leaves.

    A point is the fastest setting that reaches a recall of 0.95, or the one of highest recall where none does, hollow.
    """
    plt = _pyplot()
    kinds = list(dict.fromkeys(r["kind"] for r in rows if r["share"] < 1))
    figure, axes = plt.subplots(
        2, len(kinds), figsize=(4 * len(kinds) + 2.5, 7), sharex=True, sharey="row", layout="constrained"
    )
    axes = axes.reshape(2, len(kinds))
    systems = sorted({r["system"] for r in rows}, key=lambda s: (s != OURS, s))
    for i, system in enumerate(systems):
        style = _style(i, system)
        for (above, below), kind in zip(axes.T, kinds, strict=True):
            mine = sorted((r for r in rows if r["system"] == system and kind == r["kind"]), key=lambda r: r["share"])
            mine += [r for r in rows if r["system"] == system and r["share"] == 1 and kind != r["kind"]]
            best = [cheapest(0.95, r["points"]) or max(r["points"], key=lambda p: p["recall"]) for r in mine]
            shares = [r["share"] for r in mine]
            for axis, key in ((above, "recall"), (below, "qps")):
                axis.plot(shares, [b[key] for b in best], label=system, **style)
                missed = [(s, b[key]) for s, b in zip(shares, best, strict=True) if b["recall"] < 0.95]
                hollow = {**style, "linestyle": "", "markerfacecolor": "white"}
                axis.plot([s for s, _ in missed], [value for _, value in missed], **hollow)
            above.set(title=kind, xscale="log", ylim=(-0.02, 1.03))
            below.set(xlabel="share of the rows that the filter leaves", xscale="log", yscale="log")
            below.set_xticks([0.001, 0.01, 0.1, 1], ["0.1 %", "1 %", "10 %", "100 %"])
    for axis in axes.flat:
        axis.grid(alpha=0.3)
    for axis in axes[0]:
        axis.axhline(0.95, color="0.6", linewidth=1, linestyle="--")
    axes[0, 0].set_ylabel("recall@10")
    axes[1, 0].set_ylabel("queries per second")
    figure.suptitle(f"{title}\nfastest setting of recall 0.95; hollow: the best there is, where none reaches it")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=8)
    _save(plt, figure, path)


def growth(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw queries per second at recall 0.95 over the number of rows, one line an engine."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(9.5, 5.5), layout="constrained")
    for i, system in enumerate(sorted({r["system"] for r in rows}, key=lambda s: (s != OURS, s))):
        mine = sorted((r["n"], r["qps_at_0.95"]) for r in rows if r["system"] == system and r["qps_at_0.95"])
        axes.plot([n for n, _ in mine], [qps for _, qps in mine], label=system, **_style(i, system))
    axes.set(xlabel="rows", ylabel="queries per second at recall@10 = 0.95", xscale="log", yscale="log")
    axes.set_title("synthetic rows like the glosses, cross-modal queries")
    sizes = sorted({r["n"] for r in rows})
    axes.set_xticks(sizes, [f"{n:,}" for n in sizes])
    axes.minorticks_off()
    _finish(plt, figure, axes, path)


def _style(i: int, system: str) -> dict[str, Any]:
    """Return how the line of an engine is drawn; `i` is its place among them."""
    if system == OURS:
        return {"marker": "o", "markersize": 7, "linewidth": 2.5, "color": "black", "zorder": 3}
    colour = _pyplot().get_cmap("tab20")(i % 20)
    return {"marker": "sv^<>PX*dh"[i % 10], "markersize": 4, "linewidth": 1, "color": colour}


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _finish(plt: Any, figure: Any, axes: Any, path: Path) -> None:
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize=8)
    _save(plt, figure, path)


def _save(plt: Any, figure: Any, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=100)
    plt.close(figure)
