"""Icons that arrive family by family, heads trained on after each, and what keeps them from forgetting.

The first family is a large one; the others bring their own drawings of partly the same things, a few hundred pairs
each. Text and image encoders are those of the first family for good. A stage is tested on concepts that no stage has
seen in training, by names asking for drawings and drawings for names within its family.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from claims.align._data import all_icons, recall
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.forward import NumpyHead
from commonspace.align.heads.reopened import Reopened
from commonspace.align.objectives.base import ObjectiveModule
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.views import Views
from commonspace.encode.hog import HOG
from commonspace.encode.ngrams import NGrams

FAMILIES = (("mdi6",), ("phosphor",), ("remix",), ("fa6-solid", "fa6-regular"), ("codicon",))
HEAD = {"name": "mlp", "hidden": 256, "dropout": 0.3}
Heads = dict[str, NumpyHead]
Rows = dict[str, np.ndarray]


@dataclass(frozen=True)
class Stage:
    """What arrives at once: training pairs, and pairs of concepts that are never trained on."""

    train: Rows
    groups: np.ndarray
    test: Rows
    test_groups: np.ndarray


@lru_cache(maxsize=1)
def drawings() -> np.ndarray:
    """Gradient histograms of all icons, which need no training."""
    return HOG(cells=(8,)).encode(list(all_icons().images))


def stages(seed: int, first: int, more: int, tests: int) -> list[Stage]:
    """Return the stages of one seed; the text encoder learns from the first one."""
    icons, rng = all_icons(), np.random.default_rng(seed)
    held = icons.held_out(0.25, random_state=seed)
    groups = np.unique(icons.names, return_inverse=True)[1]
    found: list[Stage] = []
    texts: Any = None
    for s, family in enumerate(FAMILIES):
        here = np.isin(icons.families, family)
        train = rng.permutation(np.flatnonzero(here & ~held))[: more if s else first]
        test = rng.permutation(np.flatnonzero(here & held))[:tests]
        names = [str(n) for n in icons.names]
        texts = texts or NGrams(dim=128, max_features=5000).fit([names[i] for i in train])
        x, y = ({"image": drawings()[rows], "text": texts.encode([names[i] for i in rows])} for rows in (train, test))
        found.append(Stage(x, groups[train], y, groups[test]))
    return found


def together(parts: list[tuple[Rows, np.ndarray]]) -> tuple[Rows, np.ndarray]:
    """Return pairs and groups of several parts as one."""
    return {m: np.concatenate([x[m] for x, _ in parts]) for m in parts[0][0]}, np.concatenate([g for _, g in parts])


def trained(X: Rows, groups: np.ndarray, seed: int, **options: Any) -> FitResult:
    """Train heads by the strong recipe, anew or on from those given."""
    return fit_heads(X, groups=groups, head=HEAD, dim=64, valid=None, baselines=(), random_state=seed, **options)


def recalls(heads: Heads, stage: Stage, gallery: Heads | None = None) -> np.ndarray:
    """Return recall@1 and recall@10, mean of both directions; the gallery may be encoded by other heads."""
    asks = {m: h(stage.test[m]) for m, h in heads.items()}
    found = {m: h(stage.test[m]) for m, h in (gallery or heads).items()}
    g = stage.test_groups
    ways = (("text", "image"), ("image", "text"))
    return np.array([np.mean([recall(asks[a], found[b], g, g, k) for a, b in ways]) for k in (1, 10)])


class EWC(ObjectiveModule):
    """Elastic weight consolidation: half of weight times the squared change of parameters, by their Fisher information.

    Source: Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", 2017; the information of all
    stages is added up and the change counts from the last heads, as in its online form.
    """

    def __init__(self, information: dict[str, dict[str, Tensor]], weight: float) -> None:
        super().__init__()
        self.information, self.weight = information, weight

    def prepare(self, heads: Any, dim: int) -> None:
        """Remember where the parameters start."""
        self._heads = (dict(heads),)  # a tuple hides them from torch: they are trained as heads
        self._start = {m: {n: p.detach().clone() for n, p in h.named_parameters()} for m, h in heads.items()}

    def forward(self, views: Views) -> Tensor:
        """Return the penalty."""
        moved = [
            (self.information[m][n] * (p - self._start[m][n]).square()).sum()
            for m, h in self._heads[0].items()
            for n, p in h.named_parameters()
        ]
        return self.weight / 2 * torch.stack(moved).sum()


def fisher_information(heads: Heads, stage: Stage, temperature: float, batch: int = 64) -> dict[str, dict[str, Tensor]]:
    """Return the mean squared gradient of a pair's InfoNCE in batches of a stage, parameter by parameter."""
    modules: dict[str, nn.Module] = {m: Reopened(h) for m, h in heads.items()}
    loss, n = InfoNCE(temperature=temperature), len(stage.groups) // batch
    total = {m: {k: torch.zeros_like(p) for k, p in h.named_parameters()} for m, h in modules.items()}
    for rows in np.random.default_rng(0).permutation(len(stage.groups))[: n * batch].reshape(n, batch):
        z = {m: normalize(h(torch.from_numpy(stage.train[m][rows])), dim=1) for m, h in modules.items()}
        g = torch.from_numpy(stage.groups[rows])
        here = {m: torch.ones(batch, dtype=torch.bool) for m in z}
        for h in modules.values():
            h.zero_grad()
        loss(Views(z=z, present=here, relevance=(g[:, None] == g).float(), groups=g)).backward()
        for m, h in modules.items():
            for k, p in h.named_parameters():
                total[m][k] += p.grad.square() * batch / n
    return total


class Memory:
    """A few encoder outputs of each stage so far, an equal share of each."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.rng = size, np.random.default_rng(seed)
        self.kept: list[tuple[Rows, np.ndarray]] = []

    def add(self, stage: Stage) -> None:
        """Make room for a stage, and keep some of it."""
        self.kept.append((stage.train, stage.groups))
        share = self.size // len(self.kept)
        for i, (X, groups) in enumerate(self.kept):
            rows = self.rng.permutation(len(groups))[:share]
            self.kept[i] = {m: v[rows] for m, v in X.items()}, groups[rows]
