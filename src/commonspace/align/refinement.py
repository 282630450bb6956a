"""`refine`: a light pass over trained heads that closes the gap between modalities and keeps what is found.

    result = fit_heads(X)
    refined = refine(result, X)
    print(refined)                # the gap and retrieval on held-out pairs, before and after
    refined.result.heads          # as of any fit

The gap is that of `measure.contrastive_gap`, the retrieval that of `measure.evaluate_retrieval`.

Source: "Post-pre-training for Modality Alignment in Vision-Language Foundation Models"; the loss is in
`objectives.clip_refine`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations, permutations
from typing import Any

import numpy as np

from commonspace.align.data import PairData
from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.forward import NumpyHead
from commonspace.align.heads.reopened import Reopened
from commonspace.align.negatives import of_rows as negatives_of_rows
from commonspace.align.relevance import of_rows
from commonspace.align.samplers.of_rows import of_rows as sampler_of_rows
from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.measure import Comparison, Estimate, Gap, compare, contrastive_gap, evaluate_retrieval

TEMPERATURE = 0.07  # where the heads do not say with which they were trained
METRICS = ("mrr", "hit@1", "hit@10")


@dataclass(frozen=True)
class Standing:
    """Where the modalities of a space stand, on some items.

    Parameters
    ----------
    gaps : dict of str to Gap
        ``"image and text"`` -> how far apart the two lie, over the items that have both.
    retrieval : dict of str to (dict of str to Estimate)
        ``"image->text"`` -> mrr, hit@1 and hit@10.
    """

    gaps: dict[str, Gap]
    retrieval: dict[str, dict[str, Estimate]]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "gaps": {pair: gap.to_dict() for pair, gap in self.gaps.items()},
            "retrieval": {task: {k: e.to_dict() for k, e in found.items()} for task, found in self.retrieval.items()},
        }

    def rows(self) -> Iterator[tuple[str, str, Estimate]]:
        """Yield what was measured on whom, the name of the figure, and the figure."""
        for pair, gap in self.gaps.items():
            yield from ((pair, name.replace("_", " "), estimate) for name, estimate in vars(gap).items())
        for task, found in self.retrieval.items():
            yield from ((task, name, estimate) for name, estimate in found.items())


@dataclass(frozen=True)
class Refined:
    """What `refine` did.

    Parameters
    ----------
    result : FitResult
        Of the pass: refined heads, history, figures.
    before, after : Standing
        The gap and retrieval with the heads as they were, and refined.
    changes : dict of str to (dict of str to Comparison)
        ``"image->text"`` -> metric -> after minus before, over the same queries.
    n : int
        Number of items they were measured on.
    held_out : bool
        Whether these items were kept out of the pass.
    """

    result: FitResult
    before: Standing
    after: Standing
    changes: dict[str, dict[str, Comparison]]
    n: int
    held_out: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the figures, ready for JSON."""
        return {
            "n": self.n,
            "held_out": self.held_out,
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "changes": {task: {k: c.to_dict() for k, c in of.items()} for task, of in self.changes.items()},
        }

    def __str__(self) -> str:
        where = "held-out items" if self.held_out else "the items it was trained on"
        lines = [f"on {self.n:,} {where}, before -> after"]
        for (whom, name, old), (_, _, new) in zip(self.before.rows(), self.after.rows(), strict=True):
            lines.append(f"{whom:<20} {name:<16} {old} -> {new}")
        lines += [f"{task:<20} {name:<16} {c}" for task, of in self.changes.items() for name, c in of.items()]
        return "\n".join(lines)


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
        Further arguments of `fit_heads`; `relevance`, `negatives` and what a sampler is told in positions of X.

    Raises
    ------
    BadInput
        As `fit_heads`; heads for other modalities than those of X; fewer than 10 things to measure a gap on.
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
    options["relevance"] = of_rows(options.get("relevance"), training.rows)
    if options.get("negatives"):
        options["negatives"], _ = negatives_of_rows(options["negatives"], training.rows, len(data))
    if "sampler" in options:
        options["sampler"] = sampler_of_rows(options["sampler"], training.rows)
    judged = training if held is None else held
    before = standing(given, judged, random_state=seed)
    passed = fit_heads(
        training.X, present=training.present, groups=training.groups, valid=None, recipe="plain",
        objective={"name": "clip-refine", "temperature": temperature, "random": random, "share": share},
        head={m: Reopened(h) for m, h in given.items()}, dim=next(iter(given.values())).dim, epochs=epochs, lr=lr,
        batch_size=batch_size, random_state=seed, **{"schedule": "cosine", "warmup": 0.1, **options},
    )  # fmt: skip
    if passed.pair_quality is not None:
        passed = replace(passed, pair_quality=passed.pair_quality.placed(training.rows, len(data)))
    after = standing(passed.heads, judged, random_state=seed)
    changes = _changes(before, after, judged, seed)
    return Refined(passed, before, after, changes, len(judged), held is not None)


def standing(heads: Mapping[str, NumpyHead], data: PairData, *, random_state: int = 0) -> Standing:
    """Return the gaps and the retrieval of heads on items.

    Raises `BadInput` where two modalities share fewer than 10 things: no gap can be told from so few.
    """
    z = {m: np.zeros((len(data), head.dim), np.float32) for m, head in heads.items()}
    for m, head in heads.items():
        z[m][data.present[m]] = head(data.first(m))
    gaps = {}
    for a, b in combinations(data.modalities, 2):
        both = data.present[a] & data.present[b]
        if not both.any():
            continue
        try:
            gap = contrastive_gap(z[a][both], z[b][both], groups=data.groups[both], random_state=random_state)
        except BadInput as e:
            raise BadInput(
                f"{a} and {b}: {e}; raise valid, or measure on the pairs of the pass by valid=None"
            ) from None
        gaps[f"{a} and {b}"] = gap
    retrieval = {
        f"{a}->{b}": evaluate_retrieval(
            z[a][asks], z[b][there], (data.groups[asks], data.groups[there]), METRICS, groups=data.groups[asks],
            random_state=random_state,
        )
        for a, b, asks, there in tasks(data)
    }  # fmt: skip
    return Standing(gaps, retrieval)


def _changes(before: Standing, after: Standing, data: PairData, seed: int) -> dict[str, dict[str, Comparison]]:
    """Return what the pass changed, over the same queries."""
    found: dict[str, dict[str, Comparison]] = {}
    for a, b, asks, _ in tasks(data):
        task = f"{a}->{b}"
        for name, old in before.retrieval[task].items():
            c = compare(after.retrieval[task][name], old, groups=data.groups[asks], random_state=seed)
            found.setdefault(task, {})[name] = replace(c, a="after", b="before")
    return found


def tasks(data: PairData) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    """Yield query modality, gallery modality, (n,) which items ask, (n,) which are searched; all find something."""
    for a, b in permutations(data.modalities, 2):
        there = data.present[b]
        asks = data.present[a] & np.isin(data.groups, data.groups[there])
        if asks.any():
            yield a, b, asks, there
