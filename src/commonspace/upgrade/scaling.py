"""What a scale is learned from: the best scores of each query across a bridge, and within the new space."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from commonspace.upgrade.measuring import Block
from commonspace.upgrade.scale import DEPTH, Level, Scale, fit_scale


@dataclass(frozen=True)
class Tops:
    """The best scores of some queries of one fold, falling, and the level of all of their scores, on both sides."""

    across: np.ndarray
    native: np.ndarray
    across_level: Level
    native_level: Level


@dataclass(frozen=True)
class ScorePairs:
    """Scores of the same queries and items across a bridge and natively, by direction and fold of the query.

    Parameters
    ----------
    standard : bool
        Whether scores are measured from the level of each query, see `Scale`.
    """

    standard: bool
    found: dict[str, dict[int, list[Tops]]] = field(default_factory=dict)
    _scales: dict[tuple[str, int], Scale] = field(default_factory=dict, repr=False)

    def add(self, block: Block, across: np.ndarray) -> None:
        """Take the best scores of a block."""
        native = block.native("new")
        tops = Tops(_best(across), _best(native), level_of(across), level_of(native))
        self.found.setdefault(block.direction.task, {}).setdefault(block.fold, []).append(tops)

    def scale(self, task: str, but: int = -1) -> Scale:
        """Return the scale of a direction, learned from queries of all folds but one."""
        if (task, but) not in self._scales:
            some = [t for fold, tops in self.found[task].items() if fold != but for t in tops]
            self._scales[task, but] = self._fitted(some)
        return self._scales[task, but]

    def scales(self) -> dict[str, Scale]:
        """Return the scales of all directions, and what stands for others: of a modality searched, and of all."""
        out = {task: self.scale(task) for task in self.found}
        for searched in {t.partition("->")[2] for t in self.found}:
            out[f"->{searched}"] = self._fitted(self._of([t for t in self.found if t.endswith(f"->{searched}")]))
        out["->"] = self._fitted(self._of(list(self.found)))
        return out

    def _of(self, tasks: Sequence[str]) -> list[Tops]:
        return [t for task in tasks for tops in self.found[task].values() for t in tops]

    def _fitted(self, tops: list[Tops]) -> Scale:
        if not tops:
            return Scale()
        depth = min(t.across.shape[1] for t in tops)
        across, native = (np.concatenate([getattr(t, s)[:, :depth] for t in tops]) for s in ("across", "native"))
        levels = (_joined([t.across_level for t in tops]), _joined([t.native_level for t in tops]))
        return fit_scale(across, native, levels=levels if self.standard else None, resamples=200)


def level_of(scores: np.ndarray) -> Level:
    """Return where the scores of each query lie over the whole gallery, the query itself left out."""
    there = np.isfinite(scores)
    count = there.sum(axis=1, keepdims=True)
    mean = np.where(there, scores, 0).sum(axis=1, keepdims=True, dtype=np.float64) / count
    square = np.where(there, scores - mean, 0) ** 2
    return Level(mean, np.maximum(np.sqrt(square.sum(axis=1, keepdims=True) / count), 1e-9))


def _best(scores: np.ndarray) -> np.ndarray:
    depth = min(DEPTH, scores.shape[1] - 1)
    return -np.sort(np.partition(-scores, depth - 1, axis=1)[:, :depth], axis=1).astype(np.float64)


def _joined(levels: Sequence[Level]) -> Level:
    return Level(np.concatenate([at.mean for at in levels]), np.concatenate([at.spread for at in levels]))
