"""`fit_heads`: from frozen encoder outputs and pairs to one light head a modality.

AdamW with warm-up and cosine on shuffled batches of cached vectors; after every epoch the mean reciprocal rank of held
out pairs in both directions is measured, and the best epoch is what remains. Ctrl-C keeps the best so far.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from commonspace.align.auto import AUTO, Choice, Facts, choose
from commonspace.align.baselines import BASELINES, SystemTable, compare_baselines
from commonspace.align.data import PairData
from commonspace.align.forward import NumpyHead
from commonspace.align.hygiene.noisy_pairs import PairQuality
from commonspace.align.hygiene.remedies import remedied
from commonspace.align.negatives import Companions, Negatives
from commonspace.align.objectives.base import build_objective
from commonspace.align.training.compatible import compatible
from commonspace.align.training.inputs import check_some_old, checked_blocks, relevance_function, split_off
from commonspace.align.training.nesting import nested
from commonspace.align.training.recipe import Recipe, get_recipe
from commonspace.align.training.run import Run
from commonspace.align.training.starting import started
from commonspace.align.training.torch_state import at_precision, seeded
from commonspace.align.training.trainer import Trainer
from commonspace.align.training.validation import prefix_figures, retrieval_figures, subsample
from commonspace.core.blocks import Block
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.core.registry import build, find
from commonspace.core.vectors import check_positive


@dataclass
class FitResult:
    """What `fit_heads` learned and how it went.

    Parameters
    ----------
    heads : dict of str to NumpyHead
        Modality -> torch-free head; its rows are unit vectors of the common space.
    history : list of dict
        One entry an epoch: loss, learning rate, seconds so far, the objective's diagnostics, validation figures.
    best_epoch : int
        The epoch (from 1) whose weights were kept; the last one without validation data.
    seconds : float
        Wall time of training.
    random_state : int
        The seed that repeats this result.
    stopped : {"epochs", "patience", "time", "interrupt"}
        Why training ended.
    valid_metrics : dict of str to float
        mrr, r@1 and r@10 on the validation part, their means and for each ordered pair; empty without one.
    by_size : dict of int to (dict of str to float)
        The same for each prefix length of a nested space; empty for others.
    baselines : SystemTable or None
        The heads beside closed-form maps, with intervals.
    pair_quality : PairQuality or None
        The verdicts on the training pairs, if `noisy_pairs` asked for them.
    choice : Choice or None
        What ``objective="auto"`` took and why; ``choice.reason`` is one sentence.
    params : dict
        The arguments as they were resolved.
    """

    heads: dict[str, NumpyHead]
    history: list[dict[str, float]]
    best_epoch: int
    seconds: float
    random_state: int
    stopped: str
    valid_metrics: dict[str, float] = field(default_factory=dict)
    by_size: dict[int, dict[str, float]] = field(default_factory=dict)
    baselines: SystemTable | None = None
    pair_quality: PairQuality | None = None
    choice: Choice | None = None
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended training early."""
        return self.stopped == "interrupt"


def fit_heads(
    X: Mapping[str, Any],
    *,
    present: Mapping[str, np.ndarray] | None = None,
    groups: np.ndarray | None = None,
    relevance: Callable[[np.ndarray], np.ndarray] | Any = None,
    blocks: Mapping[str, Sequence[int | Block]] | None = None,
    valid: tuple[Any, Any, Any] | float | None = 0.1,
    recipe: str | Mapping[str, Any] | Recipe = "strong",
    head: Any = None,
    objective: Any = None,
    augment: Any = None,
    sampler: Any = "uniform",
    negatives: Mapping[str, Negatives] | None = None,
    old: Mapping[str, np.ndarray] | None = None,
    start: Any = None,
    compatibility: Any = None,
    noisy_pairs: str | Mapping[str, Any] | None = None,
    dim: int = 256,
    members: int = 1,
    matryoshka: bool | str | Sequence[int] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    chunk_size: int | None = None,
    lr: float | None = None,
    weight_decay: float | None = None,
    warmup: float | None = None,
    schedule: str | None = None,
    average: str | None = None,
    decay: float | None = None,
    patience: int | None = None,
    max_seconds: float | None = None,
    baselines: Sequence[str] = BASELINES,
    random_state: RandomState = 0,
    device: str | None = None,
    precision: str | None = None,
) -> FitResult:
    """Train one head a modality, so that items of one group come close whatever their modality.

    Parameters
    ----------
    X : mapping of str to (n, d_in) or (n, variants, d_in) array, or list of (n, d_in) arrays
        Modality -> encoder outputs. Of several variants a random one is seen at each step, and the first is what
        counts in evaluation. Rows of absent items may hold anything.
    present : mapping of str to (n,) bool, optional
        Modality -> which items have it; a modality not named is there for all.
    groups : (n,) int, optional
        Equal number = positives of each other; default is that every item is only its own.
    relevance : callable or (n, n) SciPy sparse matrix, optional
        Graded relevance for the loss in place of groups: from (batch,) positions to (batch, batch). Groups still decide
        the split and what counts as found in validation.
    blocks : mapping of str to sequence of int or Block, optional
        Modality -> widths of the encoders whose outputs lie side by side in its rows, and how to standardise each.
    valid : (X, present, groups), fraction or None
        Held-out data, or the share of groups to hold out, or nothing.
    recipe : str, mapping or Recipe
        Where the arguments left at None come from; see `commonspace.align.training.recipe`.
    head, objective, augment, epochs, batch_size, lr, weight_decay, warmup, schedule, average, decay, patience
        As in `Recipe`; None leaves it to the recipe. The objective may be "auto": one is chosen by what the training
        part shows (see `commonspace.align.auto`), and the result says which and why.
    sampler : str, mapping or sampler
        Who meets in a batch.
    negatives : mapping of str to Negatives, optional
        Modality -> rows made to be wrong for an item, such as its text with a word exchanged (`edits`). They join the
        batches of their items, as further candidates.
    old : mapping of str to (n, d_old) array, optional
        Modality -> the vectors of the same items in an earlier space, for objectives that keep the new space comparable
        with it. They stay those of the undisturbed item whatever is done to its features; a row of zeros says that an
        item has none, and rows of absent items may hold anything.
    start : Space, FitResult or mapping of str to NumpyHead, optional
        Heads to go on from, in place of new ones; `dim` is then theirs, and X what their encoders give. A modality that
        they lack gets a new head. Standardisation stays as they learned it.
    compatibility : str, mapping or objective, optional
        What keeps the new space comparable with `old`: ``"oca"`` around the objective, ``"bct"`` or ``"simplex"``
        beside it; with `start`, ``"mod-x"`` around it. None leaves it to the objective itself.
    noisy_pairs : {None, "drop", "repair", "reweight", "keep"} or mapping
        Judge the training pairs first (see `pair_quality`): leave out what is likely wrong; put in the partner that
        fits clearly best, where there is one; or show each as often as it is likely right. Epochs are more by as much
        as each is shorter, so that as many pairs are shown as with all of them: in as many steps, but for "reweight",
        which takes more and smaller ones. Validation stays as it is. ``{"remedy": "drop", "looks": 2}`` judges a second
        time (see `second_look`). "keep" does nothing; so does None, unless the objective is "auto" and many are surely
        wrong.
    dim : int
        Dimension of the space (of each member's).
    members : int
        Heads trained side by side from different starts; their outputs together form the space, of dimension
        ``members * dim``, in which a dot product is the members' mean cosine.
    matryoshka : bool or sequence of int, optional
        Train prefixes of the vectors to be good vectors themselves: True for 8, 16, 32 ..., or the lengths. Wraps the
        objective in `matryoshka`; with several members the prefixes are those of the first. "2d" trains a head of
        several layers to be cut to fewer layers and numbers at once (``result.heads[m].truncate``): wraps the objective
        in `starbucks`, and the head becomes `residual` unless you name one.
    chunk_size : int, optional
        Rows in memory at once, for batches larger than memory (gradient caching; same gradients, a second forward).
    max_seconds : float, optional
        Stop then and keep the best so far. Results then depend on the speed of the machine.
    baselines : sequence of str
        Closed-form maps to measure beside the heads on the validation part; empty for none.
    random_state : int, Generator or None
        Seed.
    device : str, optional
        Default: a GPU if there is one.
    precision : {"highest", "high", "medium"}, optional
        Of float32 matrix products while training; torch's setting is put back afterwards.

    Returns
    -------
    FitResult

    Raises
    ------
    BadInput
        Fewer than two modalities or two pairs; NaN; shapes, names or dimensions that disagree; `old` without a vector,
        or with longer ones than the new space has where their first numbers are compared.
    """
    settings = get_recipe(
        recipe, head=head, objective=objective, augment=augment, epochs=epochs, batch_size=batch_size, lr=lr,
        weight_decay=weight_decay, warmup=warmup, schedule=schedule, average=average, decay=decay, patience=patience,
    )  # fmt: skip
    check_positive("dim", dim)
    check_positive("members", members)
    seed = int(random_state) if isinstance(random_state, int | np.integer) else seed_of(generator(random_state))
    rng = generator(seed)
    training = PairData.check(X, present, groups, old=old)
    every_group, n = training.groups, len(training)
    training, held = split_off(training, valid, rng)
    check_some_old(training.old)
    if start is not None:
        settings, dim = started(settings, start, training)
    choice = _choice(settings, training, noisy_pairs, graded=relevance is not None, rng=generator(seed))
    remedy = choice.noisy_pairs if choice else noisy_pairs
    if choice:
        settings = dataclasses.replace(settings, objective=choice.objective)
    settings, sizes = nested(settings, matryoshka, dim, head_named=head is not None)
    settings = compatible(settings, compatibility, old=bool(training.old))
    quality, who_meets = None, sampler
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    with seeded(int(rng.integers(2**31)), target), at_precision(precision):
        trainer_of = partial(
            Trainer, dim=dim, members=members, blocks=checked_blocks(blocks, training),
            relevance=relevance_function(relevance, n), chunk_size=chunk_size, device=target,
        )  # fmt: skip
        if remedy not in (None, "keep"):
            who_meets = build("Sampler", sampler, batch_size=settings.batch_size)
            once = partial(_trained, trainer_of, settings, seed)
            left, who_meets, found, shown = remedied(training, who_meets, remedy, generator(seed), once)
            training, quality = left, found.placed(training.rows, n)
            settings = dataclasses.replace(settings, epochs=max(1, round(settings.epochs / shown)))  # as many pairs
        # From a generator of their own, so that batches are the same with and without them.
        companions = Companions(negatives, every_group, training, rng.spawn(1)[0]) if negatives else None
        trainer = trainer_of(training, settings, sampler=who_meets, rng=rng, companions=companions)
        run = Run(trainer, held and subsample(held, rng), max_seconds)
        run.train()
        seconds = run.seconds  # what is measured afterwards is no training
        embedded = trainer.embed(held) if held else {}
    # Of several members the first comes first, so that its prefixes are those of the space; then whole members.
    sizes += tuple(dim * (i + 1) for i in range(1, members))
    metrics = retrieval_figures(embedded, held) if held else {}
    by_size = prefix_figures(embedded, held, sizes) if held and len(sizes) > members else {}
    heads = trainer.to_numpy()
    report = compare_baselines(training, held, heads, systems=baselines, random_state=seed) if held else None
    params = {
        "dim": dim, "members": members, "chunk_size": chunk_size, "sampler": _plain(sampler), "precision": precision,
        "noisy_pairs": _plain(remedy), "chosen": choice and choice.reason, "compatibility": _plain(compatibility),
        **{f.name: _plain(getattr(settings, f.name)) for f in dataclasses.fields(settings)},
        "sizes": list(sizes) if len(sizes) > members else [members * dim],
        "n_train": len(training), "n_valid": len(held) if held else 0,
    }  # fmt: skip
    return FitResult(
        heads=heads,
        history=run.history,
        best_epoch=run.best_epoch,
        seconds=seconds,
        random_state=seed,
        stopped=run.stopped,
        valid_metrics=metrics,
        by_size=by_size,
        baselines=report,
        pair_quality=quality,
        choice=choice,
        params=params,
    )


def check_options(recipe: str | Mapping[str, Any] | Recipe = "strong", **options: Any) -> None:
    """Raise what `fit_heads` would about its recipe and objective, before anything that takes time.

    Parameters
    ----------
    recipe, **options
        As given to `fit_heads`.
    """
    settings = get_recipe(recipe, **{f.name: options.get(f.name) for f in dataclasses.fields(Recipe)})
    if settings.objective == AUTO:
        settings = dataclasses.replace(settings, objective="infonce")  # stands in for what will be chosen
    elif isinstance(settings.objective, str):
        find("Objective", settings.objective, besides=[AUTO])
    whole = compatible(settings, options.get("compatibility"), old=True)
    with seeded(0, torch.device("cpu")):  # what some draw at first must not move the user's draws
        for objective in (settings.objective, whole.objective):
            build_objective(objective)


def _choice(
    recipe: Recipe, data: PairData, noisy_pairs: Any, *, graded: bool, rng: np.random.Generator
) -> Choice | None:
    """Return what "auto" chooses by the training data; None for an objective that was named."""
    if recipe.objective == AUTO:
        return choose(Facts.of(data, recipe.batch_size, graded=graded, rng=rng), noisy_pairs)
    if isinstance(recipe.objective, str):
        find("Objective", recipe.objective, besides=[AUTO])
    return None


def _trained(trainer_of: Any, settings: Recipe, seed: int, data: PairData) -> dict[str, NumpyHead]:
    """Return heads trained on some of the items without validation, for a second look at the others.

    Ctrl-C ends the fit: there is nothing yet that could be kept.
    """
    run = Run(trainer_of(data, settings, sampler="uniform", rng=generator(seed)))
    run.train()
    if run.stopped == "interrupt":  # nobody wants what comes after a look that was broken off
        raise KeyboardInterrupt
    return run.trainer.to_numpy()


def _plain(value: Any) -> Any:
    """Return a parameter as plain data where it is, its text otherwise."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
