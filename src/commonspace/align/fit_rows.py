"""`fit_rows`: from rows of raw items to heads. Encoders that learn are fitted, all items encoded, heads trained.

What `Space.fit` does between reading a table and keeping what was learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from commonspace.align.class_numbers import class_numbers, tells_classes
from commonspace.align.compatible import Compatible, EarlierSpace, check_earlier, earlier_rows, held_out
from commonspace.align.edited import Edited
from commonspace.align.fit import FitResult, fit_heads
from commonspace.align.negatives import of_rows as negatives_of_rows
from commonspace.align.relevance import of_rows
from commonspace.align.samplers.of_rows import of_rows as sampler_of_rows
from commonspace.align.training.recipe import get_recipe
from commonspace.align.training.starting import check_encoders
from commonspace.core.errors import BadInput
from commonspace.core.protocols import Encoder
from commonspace.encode.cache import Cache
from commonspace.encode.columns import Label, Rows
from commonspace.encode.joint import encode_rows, fit_encoders


@dataclass(frozen=True)
class RowsFit:
    """What became of rows.

    Parameters
    ----------
    result : FitResult
        Heads and how their training went.
    X : dict of str to (n, d) float32
        Encoder outputs of the training rows; zeros where the modality is missing.
    present : dict of str to (n,) bool
        Which training rows have the modality.
    n_valid : int
        Rows of validation.
    skipped : dict of str to (dict of int to str)
        Unusable items: position in the user's table -> reason.
    left_out : dict of str to int
        Modality -> negatives that were not used, because their row is one of validation.
    compatible : Compatible or None
        With which earlier space the new one can be compared, if it was trained for that.
    """

    result: FitResult
    X: dict[str, np.ndarray]
    present: dict[str, np.ndarray]
    n_valid: int
    skipped: dict[str, dict[int, str]]
    left_out: dict[str, int] = field(default_factory=dict)
    compatible: Compatible | None = None


def fit_rows(
    encoders: Mapping[str, Sequence[Encoder]],
    train: Rows,
    valid: Rows | None,
    *,
    edited: Mapping[str, Edited] | None = None,
    compatible_with: EarlierSpace | None = None,
    on_error: str = "raise",
    cache: Cache | None = None,
    **options: Any,
) -> RowsFit:
    """Fit the encoders that learn on the training rows, then heads.

    Parameters
    ----------
    encoders : mapping of str to sequence of Encoder
        Modality -> its encoders; those that learn are fitted anew.
    train, valid : Rows
        Rows to learn from and to watch, of one table or of two; without the latter nothing is watched.
    edited : mapping of str to Edited, optional
        Modality -> edits of the training rows, to be encoded and trained against.
    compatible_with : EarlierSpace, optional
        A space whose gallery new vectors shall search; it encodes the rows, too.
    on_error : "raise" or "skip"
        What to do about items that cannot be read.
    cache : Cache, optional
        Where encoder outputs are kept.
    **options
        Passed to `fit_heads`; `relevance`, `negatives` and `old` in positions of the user's table.

    Raises
    ------
    BadInput
        As `fit_encoders`, `encode_rows`, `check_earlier` and `fit_heads`; both edits and negatives, or both an earlier
        space and vectors in one.
    SpaceMismatch
        Heads to start from that belong to other encoders.
    """
    if edited and options.get("negatives"):
        raise BadInput("give either edits, which are encoded for you, or negatives, not both")
    if compatible_with is not None and options.get("old"):
        raise BadInput("give either compatible_with, which encodes the rows for you, or old, not both")
    if "sampler" in options:
        options["sampler"] = sampler_of_rows(options["sampler"], train.positions)
    if options.get("start") is not None:
        check_encoders(options["start"], encoders)
    earlier: list[dict[str, np.ndarray]] = []
    if compatible_with is not None:
        shared = check_earlier(compatible_with, encoders, options.get("dim", 256), options.get("start"))
        seen = partial(earlier_rows, compatible_with, modalities=shared, on_error=on_error, cache=cache)
        earlier = [seen(part) for part in (train, valid) if part is not None]
        options["old"] = earlier[0]
    for m, own in encoders.items():
        fit_encoders(own, train, modality=m, on_error=on_error)
    X, present, blocks, skipped = encode_rows(encoders, train, on_error=on_error, cache=cache)
    held = None
    if valid is not None:
        Xv, present_v, _, skipped_v = encode_rows(encoders, valid, on_error=on_error, cache=cache)
        held = Xv, present_v, valid.labels
        skipped = {m: skipped[m] | skipped_v[m] for m in skipped}
    if edited:
        options["negatives"] = {m: e.negatives(encoders[m], m, cache) for m, e in edited.items()}
    left_out: dict[str, int] = {}
    if not edited and options.get("negatives"):
        size = _rows_of_table(train, valid)
        options["negatives"], left_out = negatives_of_rows(options["negatives"], train.positions, size)
    options["relevance"] = of_rows(options.get("relevance"), train.positions)
    if options.get("old") and not earlier:
        options["old"] = _of_training(options["old"], train, valid)
    groups: np.ndarray = train.labels
    classes: list[Label] = []
    objective = get_recipe(options.get("recipe", "strong"), objective=options.get("objective")).objective
    if tells_classes([objective, options.get("compatibility")]):
        groups, classes = class_numbers(train, compatible_with, options.get("start"))
    result = fit_heads(X, present=present, groups=groups, valid=held, blocks=blocks, **options)
    if classes:
        result.params["classes"] = classes
    compatible = None if compatible_with is None else _compared(compatible_with, earlier, result, held)
    return RowsFit(result, X, present, 0 if valid is None else len(valid), skipped, left_out, compatible)


def _compared(
    space: EarlierSpace, earlier: Sequence[dict[str, np.ndarray]], result: FitResult, held: Any
) -> Compatible:
    """Return how new heads compare with an earlier space, given its vectors of training rows and, if any, of `held`."""
    items = {m: int(rows.any(axis=1).sum()) for m, rows in earlier[0].items()}
    if held is None:
        return Compatible(space.id, space.dim, items)
    X, present, labels = held
    new = {m: np.zeros((len(X[m]), head.dim), np.float32) for m, head in result.heads.items()}
    for m, head in result.heads.items():
        new[m][present[m]] = head(X[m][present[m]])
    return Compatible(space.id, space.dim, items, held_out(new, earlier[1], labels))


def _of_training(old: Mapping[str, np.ndarray], train: Rows, valid: Rows | None) -> dict[str, np.ndarray]:
    """Return vectors in an earlier space of the training rows, from those of every row of the table."""
    n = _rows_of_table(train, valid)
    for m, rows in old.items():
        if len(rows) != n:
            raise BadInput(f"old[{m!r}] must have one row for each of the {n} rows of the table, not {len(rows)}")
    return {m: np.asarray(rows)[train.positions] for m, rows in old.items()}


def _rows_of_table(train: Rows, valid: Rows | None) -> int:
    """Return the rows of the table that training is from; validation counts unless it is a table of its own."""
    of_one = valid is not None and not np.isin(valid.positions, train.positions).any()
    return len(train) + (len(valid) if valid is not None and of_one else 0)
