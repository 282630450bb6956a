"""Objects in three dimensions and their names, from the shared set `shapes3d` (597 models by Kay Lousberg, CC0)."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

import numpy as np
from claims import Skip

from commonspace.core.registry import build


def described(points: np.ndarray, colours: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return where points lie, how far apart two are, height, distance from the axis, and colour: root of shares."""
    one, other = rng.integers(0, len(points), (2, 4000))
    counts = (
        np.histogramdd(points, bins=(6, 6, 6), range=[(-1, 1)] * 3)[0],
        np.histogram(np.linalg.norm(points[one] - points[other], axis=1), bins=24, range=(0, 2))[0] / 4,
        np.histogram(points[:, 1], bins=12, range=(-1, 1))[0],
        np.histogram(np.hypot(points[:, 0], points[:, 2]), bins=12, range=(0, 1))[0],
        np.histogramdd(colours, bins=(3, 3, 3), range=[(0, 1)] * 3)[0],
    )
    return np.sqrt(np.concatenate([c.ravel() for c in counts]) / len(points))


@lru_cache(maxsize=1)
def objects() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shapes (597, 291), sentence vectors of the names, and the names without variants and colours."""
    import pandas as pd

    path = Path(os.environ.get("COMMONSPACE_DATA", "../shared/data")) / "shapes3d"
    if not (path / "points.npz").is_file():
        raise Skip(f"the shared set shapes3d is not at {path}: set COMMONSPACE_DATA")
    names = pd.read_parquet(path / "items.parquet").base_name.to_numpy(str)
    clouds = np.load(path / "points.npz", allow_pickle=False)
    rng = np.random.default_rng(0)
    shapes = [
        described(xyz.astype(np.float64), rgb / 255, rng) for xyz, rgb in zip(clouds["xyz"], clouds["rgb"], strict=True)
    ]
    try:
        texts = build("Encoder", "minilm").encode(names.tolist())
    except ImportError as e:
        raise Skip(f"the offline sentence encoder is not installed: {e}") from e
    return np.stack(shapes).astype(np.float32), np.asarray(texts), names


def split(rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Return shapes and texts to learn from, one object each of names never seen, and the names learned from."""
    shapes, texts, names = objects()
    order = rng.permutation(np.unique(names))
    held = np.isin(names, order[: len(order) * 3 // 10])
    test = np.flatnonzero(held)[np.unique(names[held], return_index=True)[1]]
    return shapes[~held], texts[~held], shapes[test], texts[test], names[~held]
