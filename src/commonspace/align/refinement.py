"""`refine`: a light pass over trained heads that closes the gap between modalities and keeps what is found.

    result = fit_heads(X)
    refined = refine(result, X)
    print(refined)                # gap, alignment, uniformity and recall on held-out pairs, before and after
    refined.result.heads          # as of any fit

Figures, over the items that have both modalities a and b, means over pairs of modalities:

    gap          |mean z_a - mean z_b|^2                 how far the two clouds are apart
    alignment    mean |z_a - z_b|^2                      how far the two sides of a pair are apart
    uniformity   log mean exp(-2 |z_i - z_j|^2)          how evenly a modality fills the sphere; lower is more even

Source: "Post-pre-training for Modality Alignment in Vision-Language Foundation Models"; the loss is in
`objectives.clip_refine`. Alignment and uniformity are those of Wang and Isola, 2020.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from commonspace.align.data import PairData
from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.forward import NumpyHead
from commonspace.align.heads.reopened import Reopened
from commonspace.align.training.validation import retrieval_figures
from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator, seed_of

TEMPERATURE = 0.07  # where the heads do not say with which they were trained
MOST = 2000  # items whose distances to each other are measured


@dataclass(frozen=True)
class Refined:
    """What `refine` did.

    Parameters
    ----------
    result : FitResult
        Of the pass: refined heads, history, figures.
    before, after : dict of str to float
        gap, alignment, uniformity, mrr, r@1 and r@10.
    n : int
        Number of items they were measured on.
    held_out : bool
        Whether these items were kept out of the pass.
    """

    result: FitResult
    before: dict[str, float]
    after: dict[str, float]
    n: int
    held_out: bool

    def __str__(self) -> str:
        where = "held-out items" if self.held_out else "the items it was trained on"
        lines = [f"{k:10} {v:8.4f} -> {self.after[k]:8.4f}" for k, v in self.before.items()]
        return "\n".join([f"on {self.n:,} {where}", *lines])


def refine(
    heads: FitResult | Mapping[str, NumpyHead],
    X: Mapping[str, Any],
    *,
    present: Mapping[str, np.ndarray] | None = None,
    groups: np.ndarray | None = None,
    valid: float | None = 0.1,
    temperature: float | None = None,
    random: float = 2.0,
    share: float = 0.5,
    epochs: int = 10,
    lr: float = 1e-3,
    batch_size: int = 256,
    random_state: RandomState = 0,
    **options: Any,
) -> Refined:
    """Train heads a little further, so that their modalities lie in one place.

    Parameters
    ----------
    heads : FitResult or mapping of str to NumpyHead
        What to start from; it stays as it is.
    X, present, groups
        Pairs, as for `fit_heads`; those that the heads were trained on, or a small set of good ones.
    valid : float or None
        Share of the groups on which the figures are measured; None measures on the pairs of the pass.
    temperature : float, optional
        Of the distillation; that of the heads' training where a `FitResult` knows it, else 0.07.
    random, share
        As in `clip-refine`.
    epochs, lr, batch_size
        Of the pass; it should be short and slow beside the training it follows.
    random_state : int, Generator or None
        Seed.
    **options
        Further arguments of `fit_heads`.

    Raises
    ------
    BadInput
        As `fit_heads`; or heads for other modalities than those of X.
    """
    given = heads.heads if isinstance(heads, FitResult) else dict(heads)
    data = PairData.check(X, present, groups)
    if set(given) != set(data.modalities):
        raise BadInput(f"there are heads for {sorted(given)}, but X has {sorted(data.modalities)}")
    seed = int(random_state) if isinstance(random_state, int | np.integer) else seed_of(generator(random_state))
    training, held = (data, None) if valid is None else data.split(valid, generator(seed))
    if temperature is None:
        known = heads.history[-1].get("temperature") if isinstance(heads, FitResult) and heads.history else None
        temperature = TEMPERATURE if known is None else known
    passed = fit_heads(
        training.X, present=training.present, groups=training.groups, valid=None, recipe="plain",
        objective={"name": "clip-refine", "temperature": temperature, "random": random, "share": share},
        head={m: Reopened(h) for m, h in given.items()}, dim=next(iter(given.values())).dim, epochs=epochs, lr=lr,
        batch_size=batch_size, random_state=seed, **{"schedule": "cosine", "warmup": 0.1, **options},
    )  # fmt: skip
    judged = training if held is None else held
    return Refined(passed, figures(given, judged), figures(passed.heads, judged), len(judged), held is not None)


def figures(heads: Mapping[str, NumpyHead], data: PairData) -> dict[str, float]:
    """Return gap, alignment, uniformity and retrieval of heads on items."""
    z = {m: np.zeros((len(data), head.dim), np.float32) for m, head in heads.items()}
    for m, head in heads.items():
        z[m][data.present[m]] = head(data.first(m))
    found: dict[str, list[float]] = {"gap": [], "alignment": [], "uniformity": []}
    names = data.modalities
    for i, a in enumerate(names):
        found["uniformity"].append(uniformity(z[a][data.present[a]]))
        for b in names[i + 1 :]:
            both = data.present[a] & data.present[b]
            if both.any():
                found["gap"].append(float(np.square(z[a][both].mean(0) - z[b][both].mean(0)).sum()))
                found["alignment"].append(float(np.square(z[a][both] - z[b][both]).sum(1).mean()))
    retrieval = retrieval_figures({m: torch.from_numpy(rows) for m, rows in z.items()}, data)
    means = {name: float(np.mean(values)) for name, values in found.items() if values}
    return {**means, **{k: retrieval[k] for k in ("mrr", "r@1", "r@10") if k in retrieval}}


def uniformity(z: np.ndarray) -> float:
    """Return log mean exp(-2 |z_i - z_j|^2) over different rows of the first 2,000 unit rows; 0 for fewer than two."""
    z = z[:MOST].astype(np.float64)
    if len(z) < 2:
        return 0.0
    near = np.exp(-2 * np.maximum(2 - 2 * z @ z.T, 0))
    return float(np.log((near.sum() - np.trace(near)) / (len(z) * (len(z) - 1))))
