"""`PairData`: checked training data, and its split by group.

Items are rows; a modality that an item lacks is False in `present`. Rows of one group are positives of each other (one
product under several photographs, one icon in several fonts), and a group never crosses a split.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.vectors import check_vectors, unit


@dataclass(frozen=True)
class PairData:
    """Features of n items in two or more modalities.

    Parameters
    ----------
    X : mapping of str to (n, variants, d_in) float32
        Modality -> features; rows of absent items are zero.
    present : mapping of str to (n,) bool
        Modality -> which items have it.
    groups : (n,) int64
        Equal number = relevant to each other.
    rows : (n,) int64
        Where each item stood in the data the user passed; kept through `take` and `split`.
    old : mapping of str to (n, d_old) float32
        Modality -> unit rows of the items in an earlier space, as in `Views`; empty if there is none.
    """

    X: dict[str, np.ndarray]
    present: dict[str, np.ndarray]
    groups: np.ndarray
    rows: np.ndarray
    old: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def check(
        cls,
        X: Mapping[str, Any],
        present: Mapping[str, Any] | None = None,
        groups: Any = None,
        *,
        old: Mapping[str, Any] | None = None,
        name: str = "X",
    ) -> PairData:
        """Return checked data, or raise `BadInput` saying what is wrong."""
        if not isinstance(X, Mapping) or len(X) < 2:
            got = list(X) if isinstance(X, Mapping) else type(X).__name__
            raise BadInput(f"{name} must map at least two modalities to their features, got {got}")
        stacks = {m: _stack(v, f"{name}[{m!r}]") for m, v in X.items()}
        sizes = {m: len(v) for m, v in stacks.items()}
        if len(set(sizes.values())) > 1:
            raise BadInput(
                f"every modality must have one row an item, got {sizes}; give absent items any row and mark them False "
                "in present"
            )
        n = next(iter(sizes.values()))
        masks = _masks(present, list(stacks), n, name)
        for m, v in stacks.items():
            seen = v[masks[m]]
            check_vectors(seen.reshape(len(seen) * v.shape[1], v.shape[2]), name=f"{name}[{m!r}]")
            v[~masks[m]] = 0
        return cls(stacks, masks, _groups(groups, n, name), np.arange(n), _earlier(old, masks))

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities, in the order given."""
        return list(self.X)

    def take(self, index: np.ndarray) -> PairData:
        """Return the items at these positions."""
        return PairData(
            {m: v[index] for m, v in self.X.items()},
            {m: v[index] for m, v in self.present.items()},
            self.groups[index],
            self.rows[index],
            {m: v[index] for m, v in self.old.items()},
        )

    def first(self, modality: str) -> np.ndarray:
        """Return the first variant of the items that have a modality: (k, d_in)."""
        found: np.ndarray = self.X[modality][self.present[modality], 0]
        return found

    def shared(self, a: str, b: str) -> np.ndarray:
        """Return the positions of the items that have both modalities, ascending."""
        return np.flatnonzero(self.present[a] & self.present[b])

    def modalities_of_groups(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (groups (g,), seen (g, modalities) bool): which group has which modality."""
        names, inverse = np.unique(self.groups, return_inverse=True)
        seen = np.zeros((len(names), len(self.X)), bool)
        for j, m in enumerate(self.X):
            seen[inverse[self.present[m]], j] = True
        return names, seen

    def paired_groups(self) -> int:
        """Return the number of groups with at least two modalities: the pairs there are to learn from."""
        return int((self.modalities_of_groups()[1].sum(1) >= 2).sum())

    def check_trainable(self, name: str = "the training data") -> None:
        """Raise `BadInput` unless there are two pairs to tell apart and every modality is paired with another."""
        _, seen = self.modalities_of_groups()
        paired = seen[seen.sum(1) >= 2]
        if len(paired) < 2:
            raise BadInput(
                f"{name} holds {len(paired)} pairs (groups of items seen in two modalities) and at least 2 are needed: "
                "a pair is learned by telling it from another; pass more items or check present and groups"
            )
        for j, m in enumerate(self.X):
            if not paired[:, j].any():
                raise BadInput(f"no item of {name} has {m!r} together with another modality: leave {m!r} out")

    def split(self, fraction: float, rng: np.random.Generator) -> tuple[PairData, PairData]:
        """Return (training, validation) with about `fraction` of the groups in the second; no group is in both."""
        if not 0 < fraction < 1:
            raise BadInput(f"valid as a fraction must lie between 0 and 1, not {fraction!r}")
        names, seen = self.modalities_of_groups()
        # Paired groups are drawn apart from the others, so that a small validation part is not all single items.
        held = []
        for kind in (seen.sum(1) >= 2, seen.sum(1) < 2):
            members = rng.permutation(names[kind])
            held.append(members[: round(fraction * len(members))])
        if len(held[0]) < 2 or self.paired_groups() - len(held[0]) < 2:
            raise BadInput(
                f"{self.paired_groups()} pairs cannot be split at {fraction}: both parts need at least 2; "
                "pass valid=None, another fraction or more items"
            )
        out = np.isin(self.groups, np.concatenate(held))
        return self.take(np.flatnonzero(~out)), self.take(np.flatnonzero(out))


def _stack(value: Any, name: str) -> np.ndarray:
    """Return features as (n, variants, d), a copy that may be written to."""
    if isinstance(value, Sequence) and len(value) and all(np.ndim(v) == 2 for v in value):
        shapes = {np.shape(v) for v in value}
        if len(shapes) > 1:
            raise BadInput(f"all variants of {name} must have one shape, got {sorted(shapes)}")
        value = np.stack([np.asarray(v, np.float32) for v in value], axis=1)
    try:
        a = np.array(value, dtype=np.float32)
    except (TypeError, ValueError) as e:
        raise BadInput(f"{name} must be a numeric array: {e}") from None
    if a.ndim == 2:
        a = a[:, None, :]
    if a.ndim != 3 or 0 in a.shape[1:]:
        raise BadInput(f"{name} must have shape (n, d) or (n, variants, d), not {np.shape(value)}")
    return a


def _masks(present: Mapping[str, Any] | None, modalities: list[str], n: int, name: str) -> dict[str, np.ndarray]:
    masks = {m: np.ones(n, bool) for m in modalities}
    for m, given in (present or {}).items():
        if m not in masks:
            raise BadInput(f"present names the modality {m!r}, but {name} has {modalities}")
        mask = np.asarray(given)
        if mask.shape != (n,) or mask.dtype != bool:
            raise BadInput(f"present[{m!r}] must be ({n},) bool, not {mask.shape} {mask.dtype}")
        masks[m] = mask.copy()
    return masks


def _earlier(old: Mapping[str, Any] | None, present: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return unit rows in an earlier space by modality, zeros where the modality is absent."""
    found: dict[str, np.ndarray] = {}
    for m, given in (old or {}).items():
        if m not in present:
            raise BadInput(f"old names the modality {m!r}, but there is {', '.join(present)}")
        here = present[m]
        if np.ndim(given) != 2 or len(given) != len(here):
            raise BadInput(f"old[{m!r}] must have one row an item, ({len(here)}, d_old), not {np.shape(given)}")
        seen = unit(check_vectors(np.asarray(given)[here], name=f"old[{m!r}]"))
        found[m] = np.zeros((len(here), seen.shape[1]), np.float32)
        found[m][here] = seen
    if len(shapes := {v.shape for v in found.values()}) > 1:
        raise BadInput(f"the rows of old must come from one earlier space, got the shapes {sorted(shapes)}")
    return found


def _groups(groups: Any, n: int, name: str) -> np.ndarray:
    if groups is None:
        return np.arange(n)
    g = np.asarray(groups)
    if g.shape != (n,) or g.dtype.kind not in "iu":
        raise BadInput(
            f"groups of {name} must be ({n},) whole numbers, not {g.shape} {g.dtype}; labels are numbered by "
            "np.unique(labels, return_inverse=True)[1], those of several parts all at once"
        )
    return g.astype(np.int64)
