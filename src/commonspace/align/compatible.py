"""A new space that stays comparable with an earlier one: its items as the earlier one sees them, and how well it went.

    old gallery, new query     o_b  and  unit(z_a[:d_old])      compared by their dot product
    new gallery, new query     z_b  and  z_a

What is read off a fit: over held-out rows, what new queries find in the old gallery beside what old ones find there,
and what they find where the gallery is encoded anew (see `measure.compatibility`). Rows that the earlier space was
trained on count for it; then the gain is on the low side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any, Protocol

import numpy as np

from commonspace.align.forward import heads_of
from commonspace.core.errors import BadInput, BadItems
from commonspace.core.protocols import Encoder
from commonspace.core.vectors import distinct_rows
from commonspace.encode.cache import Cache
from commonspace.encode.columns import Rows, given
from commonspace.encode.joint import Joint
from commonspace.measure import Compatibility, compatibility

METRIC = "hit@10"
VERSIONS = ("old", "new")
LEAST = 10  # queries; of fewer nothing is said


class EarlierSpace(Protocol):
    """What training needs of an earlier space."""

    @property
    def id(self) -> str:
        """Its identity."""

    @property
    def dim(self) -> int:
        """Length of its vectors."""

    @property
    def modalities(self) -> list[str]:
        """What it encodes."""

    def kind_of(self, modality: str) -> str:
        """Return what the items of a modality are."""

    def encode_items(
        self, items: Sequence[Any], modality: str, *, on_error: str = "raise", cache: Cache | bool | None = True
    ) -> Joint:
        """Return the vectors of items, and which could be read."""


@dataclass(frozen=True)
class Compatible:
    """With which earlier space a new one can be compared, and how well.

    Parameters
    ----------
    id : str
        The earlier space.
    dim : int
        Length of its vectors: so many of the first numbers of a new vector, brought to length one, search its gallery.
    items : dict of str to int
        Modality -> training items that had a vector in it.
    held_out : dict of str to Compatibility
        ``"image->text"`` -> what old and new queries found in old and new galleries of held-out rows.
    """

    id: str
    dim: int
    items: dict[str, int]
    held_out: dict[str, Compatibility] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts and figures, ready for JSON."""
        figures = {task: found.to_dict() for task, found in self.held_out.items()}
        return {"id": self.id, "dim": self.dim, "items": dict(self.items), "held_out": figures}

    def __str__(self) -> str:
        seen = ", ".join(f"{n:,} {m}" for m, n in self.items.items())
        lines = [
            f"Comparable with space {self.id[:12]}, by the first {self.dim} numbers brought to length one (trained on "
            f"old vectors of {seen} items)"
        ]
        for task, found in self.held_out.items():
            (old,), (mixed, new) = found.matrix
            lines.append(f"{task} {found.metric}: old on old {old}, new on old {mixed}, new on new {new}")
            lines.append(f"{task} {found.metric}: {found.gain('new', 'old')}")
        return "\n".join(lines)


def check_earlier(space: Any, encoders: Mapping[str, Sequence[Encoder]], dim: int, start: Any = None) -> list[str]:
    """Return the modalities that an earlier space shares with a new one of these encoders.

    The new one has `dim` dimensions, or as many as the heads of `start` that it goes on from.

    Raises
    ------
    BadInput
        What is no space, is the new one itself, shares no modality, has longer vectors or other kinds of items.
    NotFitted
        A space without heads.
    """
    if not all(hasattr(type(space), name) for name in ("encode_items", "modalities", "kind_of", "id")):
        raise BadInput(f"compatible_with must be a fitted space, not {type(space).__name__}")
    if getattr(space, "encoders", None) is encoders:
        raise BadInput("a space cannot be fitted anew and be searched as it was: fit a new one, with the same encoders")
    _ = space.id  # raises NotFitted for one without heads
    shared = [m for m in encoders if m in space.modalities]
    if not shared:
        raise BadInput(
            f"the earlier space has {', '.join(space.modalities)} and the new one {', '.join(encoders)}: to stay "
            "comparable they must share a modality by name"
        )
    for m in shared:
        if space.kind_of(m) != encoders[m][0].kind:
            raise BadInput(
                f"{m!r} is of the kind {space.kind_of(m)!r} in the earlier space, here {encoders[m][0].kind!r}"
            )
    if start is not None:
        dim = min((h.dim for h in heads_of(start).values()), default=dim)
    if dim < space.dim:
        mend = f"pass a dim of at least {space.dim}, and more where the new space is to hold more"
        raise BadInput(
            f"a new space of {dim} dimensions has no {space.dim} numbers to compare with the earlier one: "
            + (mend if start is None else "it has those of the heads to start from, so leave out start or that space")
        )
    return shared


def earlier_rows(
    space: EarlierSpace, rows: Rows, modalities: Sequence[str], *, on_error: str, cache: Cache | None
) -> dict[str, np.ndarray]:
    """Return modality -> (n, d_old) vectors of rows in an earlier space; zeros where there is none."""
    found = {}
    for m in modalities:
        where = given(rows.items[m])
        items = [rows.items[m][i] for i in where]
        try:
            encoded = space.encode_items(items, m, on_error=on_error, cache=cache)
        except BadItems as e:  # say where the items stand in the user's table
            raise BadItems({int(rows.positions[where[i]]): r for i, r in e.rows.items()}, what=e.what) from None
        found[m] = np.zeros((len(rows), space.dim), np.float32)
        found[m][where[encoded.kept]] = encoded.vectors
    return found


def held_out(
    new: Mapping[str, np.ndarray], old: Mapping[str, np.ndarray], labels: np.ndarray, *, random_state: int = 0
) -> dict[str, Compatibility]:
    """Return ``"query->gallery"`` -> what both versions find, over the rows that both could encode.

    An item that stands in several rows of one label counts once, as a query and in the gallery.

    Parameters
    ----------
    new, old : mapping of str to (n, dim) and (n, d_old) float32
        Modality -> vectors of the same rows; zeros where there is none.
    labels : (n,) int64
        Rows of one label are relevant to one another.
    """
    rows = {}
    for m in old:
        there = np.flatnonzero(new[m].any(axis=1) & old[m].any(axis=1))
        rows[m] = there[distinct_rows(np.hstack([old[m][there], new[m][there]]), labels[there])]
    found = {}
    for a, b in permutations(old, 2):
        asks, held = rows[a][np.isin(labels[rows[a]], labels[rows[b]])], rows[b]
        if len(np.unique(labels[asks])) < LEAST:
            continue
        found[f"{a}->{b}"] = compatibility(
            [old[a][asks], new[a][asks]], [old[b][held], new[b][held]], (labels[asks], labels[held]), METRIC,
            names=VERSIONS, groups=labels[asks], random_state=random_state,
        )  # fmt: skip
    return found
