"""What objectives share that keep a space comparable with an earlier one (`Views.old`).

New and old vectors are compared over as many numbers as the old ones have: the first d_old of the new, brought to
length one, stand in the earlier space. Where a batch is cut shorter than that (`matryoshka`), both are.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

from torch import Tensor
from torch.nn.functional import normalize

from commonspace.core.errors import BadInput
from commonspace.core.views import Views

PAIRS = ("all", "across", "within")


def check_old(views: Views, name: str) -> None:
    """Raise `BadInput` unless the batch has vectors in an earlier space."""
    if not views.old:
        raise BadInput(
            f"{name} keeps a space comparable with an earlier one and needs the items' vectors in that: pass "
            "old={modality: rows} to fit_heads, or compatible_with=old_space to Space.fit"
        )


def check_room(objective: Any, old: Mapping[str, Tensor], dim: int) -> None:
    """Raise `BadInput` if an objective compares first numbers with old vectors that are longer than the new ones.

    Parameters
    ----------
    objective : objective
        One with ``compares_prefixes = True``, or with such a part, needs as many numbers as the old vectors have.
    old : mapping of str to (n, d_old) tensor
        Vectors in the earlier space.
    dim : int
        Dimension of the new space.
    """
    size = max((rows.shape[1] for rows in old.values()), default=0)
    if dim < size and _compares_prefixes(objective):
        raise BadInput(
            f"a new space of {dim} dimensions has no {size} numbers to compare with those of old: pass a dim of at "
            f"least {size}, more where the new space is to hold more, or keep what was found with 'mod-x', which "
            "compares no numbers"
        )


def _compares_prefixes(objective: Any) -> bool:
    parts = objective.parts() if hasattr(objective, "parts") else ()
    return bool(getattr(objective, "compares_prefixes", False)) or any(_compares_prefixes(p) for p in parts)


def known_old(views: Views, m: str) -> Tensor:
    """Return (batch,) bool: which items have the modality and a vector in the earlier space."""
    known: Tensor = views.present[m] & (views.old[m] != 0).any(1)
    return known


def old_units(views: Views, m: str) -> Tensor:
    """Return (batch, k) unit rows in the earlier space, k the lesser of its dimension and that of the batch."""
    rows: Tensor = views.old[m].to(views.z[m].dtype)
    size = views.z[m].shape[1]
    return rows if rows.shape[1] <= size else normalize(rows[:, :size], dim=1)


def prefix_units(views: Views, m: str) -> Tensor:
    """Return (batch, k) the first numbers of the new rows, of length one, to be compared with vectors of the old space.

    Of any modality, also of one that the earlier space lacks.
    """
    size = next(iter(views.old.values())).shape[1]
    return normalize(views.z[m][:, :size], dim=1)


def meetings(views: Views, pairs: str) -> list[tuple[str, str]]:
    """Return which new modality meets which old one: each meets each, only others, or only its own."""
    both = list(product(views.modalities, views.old))
    return [(a, b) for a, b in both if pairs == "all" or (a == b) == (pairs == "within")]
