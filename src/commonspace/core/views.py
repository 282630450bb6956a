"""`Views`: one training batch, as every objective receives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from commonspace.core.errors import BadInput


@dataclass(frozen=True, eq=False)
class Mixed:
    """Where mixtures of two inputs of one modality lie: `share` of the item's own, the rest of its partner's.

    Parameters
    ----------
    z : (batch, dim) tensor
        Unit rows; those of items without the modality may hold anything finite.
    partner : (batch,) int64 tensor
        Position of the other item of each mixture; it has the modality if the item itself does.
    share : (batch,) float tensor
        How much of a mixture is the item's own input, 0 to 1; 1 where nothing was mixed.
    """

    z: Any
    partner: Any
    share: Any


@dataclass(eq=False)
class Views:
    """A batch of items, each seen in one or more modalities.

    Missing modalities are the rule, not the exception: an objective reads `present` and never the rows of `z`
    that are absent (they may hold anything finite).

    Parameters
    ----------
    z : mapping of str to (batch, dim) tensor
        Modality -> unit rows.
    present : mapping of str to (batch,) bool tensor
        Modality -> which items have it.
    relevance : (batch, batch) float tensor, >= 0
        Row i says how relevant item j is to item i. The diagonal is the pair itself; several positives, grades
        and false negatives are all expressed here.
    frozen : mapping of str to (batch, d_in) tensor, optional
        Modality -> encoder outputs, for objectives that use a teacher's similarities.
    layers : mapping of str to (depth, batch, dim) tensor, optional
        Modality -> unit rows after every layer of a head that has several, the last of them those of `z`; for
        objectives that train a head to be cut.
    groups : (batch,) int64 tensor, optional
        The class of each item, by the same number in every batch, for objectives that keep something a class. What is
        relevant to what is said by `relevance` alone.
    mixed : mapping of str to Mixed, optional
        Modality -> mixtures of the batch's own inputs, for objectives that ask for them.
    old : mapping of str to (batch, d_old) tensor, optional
        Modality -> unit rows of the same items in an earlier space, for objectives that keep the two comparable. A row
        of zeros says that an item which is there has no vector in that space, as a negative that was made up.

    Raises
    ------
    BadInput
        If the shapes do not agree, a modality has no mask or a mask is not boolean.
    """

    z: Mapping[str, Any]
    present: Mapping[str, Any]
    relevance: Any
    frozen: Mapping[str, Any] = field(default_factory=dict)
    layers: Mapping[str, Any] = field(default_factory=dict)
    groups: Any = None
    mixed: Mapping[str, Mixed] = field(default_factory=dict)
    old: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.z:
            raise BadInput("Views needs at least one modality")
        sizes = {m: tuple(v.shape) for m, v in self.z.items()}
        if any(len(s) != 2 for s in sizes.values()) or len(set(sizes.values())) > 1:
            raise BadInput(f"all modalities of Views must have one shape (batch, dim), got {sizes}")
        if set(self.present) != set(self.z):
            raise BadInput(f"present names {sorted(self.present)} but z names {sorted(self.z)}")
        n = len(self)
        for m, mask in self.present.items():
            if tuple(mask.shape) != (n,):
                raise BadInput(f"present[{m!r}] must have shape ({n},), not {tuple(mask.shape)}")
            if not str(mask.dtype).endswith("bool"):  # "bool" in NumPy, "torch.bool" in torch
                raise BadInput(f"present[{m!r}] must hold booleans, not {mask.dtype}: pass mask > 0")
        for m, rows in self.frozen.items():
            if len(rows.shape) != 2 or rows.shape[0] != n:
                raise BadInput(f"frozen[{m!r}] must have shape ({n}, d_in), not {tuple(rows.shape)}")
        for m, rows in self.layers.items():
            if len(rows.shape) != 3 or tuple(rows.shape[1:]) != tuple(self.z[m].shape):
                raise BadInput(f"layers[{m!r}] must have shape (depth, {n}, dim), not {tuple(rows.shape)}")
        if self.groups is not None and tuple(self.groups.shape) != (n,):
            raise BadInput(f"groups must have shape ({n},), not {tuple(self.groups.shape)}")
        for m, mixture in self.mixed.items():
            if m not in self.z or tuple(mixture.z.shape) != tuple(self.z[m].shape):
                raise BadInput(f"mixed[{m!r}] must hold rows of shape {sizes.get(m)}, not {tuple(mixture.z.shape)}")
            if tuple(mixture.partner.shape) != (n,) or tuple(mixture.share.shape) != (n,):
                raise BadInput(
                    f"mixed[{m!r}] must name ({n},) partners and shares, not {tuple(mixture.partner.shape)} and "
                    f"{tuple(mixture.share.shape)}"
                )
        earlier = {m: tuple(rows.shape) for m, rows in self.old.items()}
        for m, shape in earlier.items():
            if m not in self.z or len(shape) != 2 or shape[0] != n:
                raise BadInput(f"old[{m!r}] must name a modality of z and have shape ({n}, d_old), not {shape}")
        if len(set(earlier.values())) > 1:
            raise BadInput(f"all modalities of old must lie in one earlier space, got the shapes {earlier}")
        if tuple(self.relevance.shape) != (n, n):
            raise BadInput(f"relevance must have shape ({n}, {n}), not {tuple(self.relevance.shape)}")

    def __len__(self) -> int:
        return int(next(iter(self.z.values())).shape[0])

    @property
    def modalities(self) -> list[str]:
        """Names of the modalities, in the order given."""
        return list(self.z)

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield every unordered pair of modalities once."""
        return combinations(self.z, 2)
