"""`Migration`: how a collection is served while it goes from one space to another.

It is saved in the collection like a space, and vectors that a bridge carried over are stored under its id, so that they
are never taken for vectors of either space.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.digest import digest
from commonspace.core.errors import BadInput, Corrupt
from commonspace.core.registry import describe, restore
from commonspace.store.sealed import below, read_sealed, write_sealed
from commonspace.upgrade.bridges.base import Bridge
from commonspace.upgrade.scale import Scale, level

FORMAT = 1
KIND = "migration"
SIDES = ("old", "new")


@dataclass(frozen=True)
class Migration:
    """What serves old items while they wait for vectors of the new space.

    Parameters
    ----------
    old, new : str
        Ids of the spaces.
    dim : int
        Dimension of the new space.
    bridge : Bridge or None
        Carries old items forward, or new queries back. None: queries are encoded by both spaces, and each item is
        compared in the one that has its vector.
    scales : mapping of str to Scale
        Direction (``"text->image"``) -> what brings scores of old items to the scale of the new space's. A direction
        that is not named takes that of ``"->image"``, or that of ``"->"``, or none.
    samples : mapping of str to ((m, d_old), (m, dim)) arrays
        Modality -> vectors of some items as old queries meet them, and of the same items in the new space: the level
        of a query's scores, which scales between standard scores need.
    """

    old: str
    new: str
    dim: int
    bridge: Bridge | None = None
    scales: Mapping[str, Scale] = field(default_factory=dict)
    samples: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def id(self) -> str:
        """Identity: 32 hexadecimal digits that change with anything that changes a vector or a score."""
        bridge = None if self.bridge is None else [type(self.bridge).__name__, self.bridge.fingerprint]
        scales = {d: s.to_dict() for d, s in sorted(self.scales.items())}
        samples = {m: list(both) for m, both in sorted(self.samples.items())}
        return digest([KIND, FORMAT, self.old, self.new, self.dim, bridge, scales, samples])

    @property
    def stores(self) -> bool:
        """Whether old items get vectors of their own: those that the bridge carried forward."""
        return self.bridge is not None and self.bridge.carries == "items"

    def scale(self, asks: str | None, searched: str, across: Any = None, native: Any = None) -> Scale:
        """Return the scale of scores between a query and stored items that wait for vectors of the new space.

        Parameters
        ----------
        asks : str or None
            Modality of the query, None if it is not one.
        searched : str
            Modality of the items.
        across, native : (d,) arrays, optional
            The query as it meets items of the old space, and in the new space. With both a scale between standard
            scores becomes the line of this query.
        """
        names = [f"{asks or ''}->{searched}", f"->{searched}", "->"]
        found = next((self.scales[n] for n in names if n in self.scales), Scale())
        if not found.standard or across is None or native is None or searched not in self.samples:
            return found
        old, new = self.samples[searched]
        return found.of(level(across, old), level(native, new))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a folder of `config.json`, `bridge.safetensors`, `samples.safetensors` and `README.md`."""
        arrays = {} if self.bridge is None else self.bridge.split_state()[1]
        config: dict[str, Any] = {
            "format": FORMAT, "kind": KIND, "id": self.id, "old": self.old, "new": self.new, "dim": self.dim,
            "bridge": None if self.bridge is None else describe(self.bridge),
            "scales": {d: s.to_dict() for d, s in self.scales.items()}, "samples": sorted(self.samples),
        }  # fmt: skip
        about = f"# A migration\n\nFrom the space {self.old} to {self.new}, through {self.bridge or 'both encoders'}.\n"
        samples = pack(self.samples)
        files = {"bridge": arrays, **({"samples": samples} if samples else {})}
        write_sealed(path, config, files, readme=about)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Migration:
        """Return what `save` wrote; `NotFound` without such a folder, `Corrupt` if a byte changed since."""
        config, arrays = read_sealed(path, "migration")
        if config.get("kind") != KIND:
            raise BadInput(f"{path} is not a migration: it was written by something else")
        if (found := config.get("format")) != FORMAT:
            raise BadInput(f"{path} has format {found!r}, this version reads {FORMAT}: use the release that wrote it")
        try:
            bridge = config["bridge"] and restore("Bridge", config["bridge"], below(arrays["bridge"], ""))
            scales = {d: Scale(**s) for d, s in config["scales"].items()}
            samples = unpack(arrays.get("samples", {}), config["samples"])
            found = cls(config["old"], config["new"], config["dim"], bridge, scales, samples)
        except (KeyError, TypeError, AttributeError) as e:
            raise Corrupt(f"the migration in {path} is incomplete ({e!r}): restore the folder from a copy") from e
        if found.id != config["id"]:
            raise Corrupt(f"the migration in {path} is not the one that was saved: restore the folder from a copy")
        return found


def pack(samples: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> dict[str, np.ndarray]:
    """Return vectors of both spaces as named arrays of one file."""
    return {f"{m}/{side}": x for m, both in samples.items() for side, x in zip(SIDES, both, strict=True)}


def unpack(arrays: Mapping[str, np.ndarray], modalities: Iterable[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return what `pack` made an array of each of."""
    return {m: (arrays[f"{m}/{SIDES[0]}"], arrays[f"{m}/{SIDES[1]}"]) for m in modalities}
