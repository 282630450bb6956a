"""Pictures made of arrays, as findings need them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from commonspace.judge.pictures import Histogram, Scatter


def histogram(
    title: str, x_label: str, samples: Mapping[str, np.ndarray], *, marks: Mapping[str, float] | None = None,
    bins: int = 40, y_label: str = "share",
) -> Histogram:  # fmt: skip
    """Return how samples are spread over common edges, as shares; what is not finite is left out."""
    finite = {name: np.asarray(v, np.float64)[np.isfinite(v)] for name, v in samples.items()}
    joint = np.concatenate([*finite.values(), np.array(list((marks or {}).values()), np.float64)])
    low, high = (float(joint.min()), float(joint.max())) if len(joint) else (0.0, 1.0)
    edges = np.linspace(low, high if high > low else low + max(abs(low), 1.0) * 1e-6, bins + 1)
    counts = {name: (np.histogram(v, edges)[0] / max(len(v), 1)).tolist() for name, v in finite.items()}
    return Histogram(title, x_label, y_label, edges.tolist(), counts, dict(marks or {}))


def scatter(
    title: str, groups: Mapping[str, np.ndarray], *, joined: int = 0, most: int = 400, rng: np.random.Generator
) -> Scatter:
    """Return points on the two directions in which all groups together vary most.

    Parameters
    ----------
    groups : mapping of str to (n, dim) array
        Points by name; where `joined`, row i of the first two belongs together.
    joined : int
        Lines between the first two groups.
    most : int
        Points of a group that are drawn.
    """
    sizes = [len(x) for x in groups.values()]
    if len(set(sizes)) == 1:
        rows = np.sort(rng.permutation(sizes[0])[:most])
        shown = {name: np.asarray(x, np.float64)[rows] for name, x in groups.items()}
    else:
        shown = {n: np.asarray(x, np.float64)[np.sort(rng.permutation(len(x))[:most])] for n, x in groups.items()}
    joint = np.concatenate(list(shown.values()))
    middle = joint.mean(axis=0)
    axes = np.linalg.svd(joint - middle, full_matrices=False)[2][:2]
    flat = {name: (x - middle) @ axes.T for name, x in shown.items()}
    flat = {name: np.pad(p, ((0, 0), (0, 2 - p.shape[1]))) for name, p in flat.items()}
    lines: list[tuple[float, float, float, float]] = []
    if joined and len(flat) > 1:
        a, b = list(flat.values())[:2]
        lines = [
            (float(p[0]), float(p[1]), float(q[0]), float(q[1])) for p, q in zip(a[:joined], b[:joined], strict=True)
        ]
    points = {name: (p[:, 0].round(4).tolist(), p[:, 1].round(4).tolist()) for name, p in flat.items()}
    return Scatter(title, "first direction", "second direction", points, lines)
