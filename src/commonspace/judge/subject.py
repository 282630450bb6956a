"""`Subject`: what a check-up looks at, whatever it came from.

A matrix in a file has rows and nothing else; a collection knows which rows show the same thing, and the items
themselves; a space with a table can compare with what it was trained on. A finding says which of these it needs, and a
subject says what it has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput


@dataclass(frozen=True)
class Subject:
    """Vectors of one space by modality, and what is known of their rows.

    Parameters
    ----------
    vectors : mapping of str to (n, dim) array
        Modality -> its vectors as they are stored: not brought to unit length, perhaps not finite, perhaps a
        `numpy.memmap`. All of one dimension.
    things : mapping of str to (n,) array
        Modality -> a label a row. Rows of one label show the same thing, within a modality and across: they are the
        pairs. Empty where nothing is known.
    classes : mapping of str to (n,) array
        Modality -> a coarser label a row, such as a family or category. Empty where there is none.
    items : mapping of str to sequence
        Modality -> the items themselves, to be shown. Empty where there are none.
    names : mapping of str to sequence
        Modality -> ids of the rows; their places where there are none.
    training : Subject, optional
        What the space was trained on, to look for leaks.
    earlier : Subject, optional
        An earlier version or sample, to look for drift.
    """

    vectors: Mapping[str, np.ndarray]
    things: Mapping[str, np.ndarray] = field(default_factory=dict)
    classes: Mapping[str, np.ndarray] = field(default_factory=dict)
    items: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    names: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    training: Subject | None = None
    earlier: Subject | None = None

    def __post_init__(self) -> None:
        if not self.vectors:
            raise BadInput("there is nothing to check: vectors must map at least one modality to an array")
        for m, x in self.vectors.items():
            if np.ndim(x) != 2 or not len(x):
                raise BadInput(f"the vectors of {m!r} must be an array of shape (n, dim) with rows, not {np.shape(x)}")
        dims = {m: np.shape(x)[1] for m, x in self.vectors.items()}
        if len(set(dims.values())) > 1:
            raise BadInput(f"the modalities of one space share a dimension, got {dims}")
        for what in ("things", "classes", "items", "names"):
            for m, rows in getattr(self, what).items():
                if m not in self.vectors:
                    raise BadInput(f"{what} name the modality {m!r}, of which there are no vectors")
                if len(rows) != len(self.vectors[m]):
                    raise BadInput(f"{what} of {m!r} hold {len(rows)} rows, its vectors {len(self.vectors[m])}")

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities."""
        return list(self.vectors)

    def name_of(self, modality: str, row: int) -> str:
        """Return what to call a row."""
        return str(self.names[modality][row]) if modality in self.names else f"row {row}"
