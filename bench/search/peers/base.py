"""What every engine of the comparison can do: build, search, and, where it can, filter, delete and upsert.

An engine is one class; a line of the comparison is one engine at one set of build parameters, a `Variant`. What a
variant sweeps at search time, its knob, is one keyword with the values that its documentation recommends to try.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np


class Unsupported(Exception):
    """The engine has no such operation."""


class Peer:
    """One search engine over unit rows by inner product; the position of a row is its id.

    Parameters
    ----------
    threads : int
        Threads for building and for a batch of queries.
    folder : Path
        Where the engine may keep files.
    """

    package: ClassVar[str] = "numpy"  # what must be importable
    distribution: ClassVar[str] = "numpy"  # whose version is reported
    filters: ClassVar[bool] = False
    changes: ClassVar[bool] = False

    def __init__(self, *, threads: int, folder: Path) -> None:
        self.threads = threads
        self.folder = folder

    def build(self, X: np.ndarray, fields: dict[str, np.ndarray], queries: np.ndarray) -> None:
        """Index the rows of X (n, dim) float32.

        Parameters
        ----------
        fields : dict of str to (n,) bool
            Columns that a filter may name.
        queries : (m, dim) float32
            Typical queries, none of which is asked later.
        """
        raise NotImplementedError

    def search(self, Q: np.ndarray, k: int, **knob: Any) -> np.ndarray:
        """Return (q, k) ids of a batch, -1 where none was found."""
        raise NotImplementedError

    def how(self) -> str | None:
        """Return by which way the last search was done, if the engine chooses among several."""
        return None

    def search_one(self, q: np.ndarray, k: int, **knob: Any) -> np.ndarray:
        """Return (k,) ids for one query (dim,), the way a service would ask."""
        return self.search(q[None], k, **knob)[0]

    def search_filtered(self, Q: np.ndarray, k: int, name: str, **knob: Any) -> np.ndarray:
        """Return (q, k) ids among the rows whose field `name` is true."""
        raise Unsupported

    def search_many(self, Q: np.ndarray, k: int, names: Sequence[str], **knob: Any) -> np.ndarray:
        """Return (q, k) ids where query i has the filter names[i]: by default one batch a filter."""
        wanted, out = np.asarray(names), np.full((len(Q), k), -1, np.int64)
        for name in np.unique(wanted):
            rows = np.flatnonzero(wanted == name)
            out[rows] = self.search_filtered(Q[rows], k, str(name), **knob)
        return out

    def delete(self, ids: np.ndarray) -> None:
        """Take rows out."""
        raise Unsupported

    def upsert(self, ids: np.ndarray, X: np.ndarray) -> None:
        """Give ids, old or new, these vectors."""
        raise Unsupported

    def settle(self) -> None:
        """Do what the engine's documentation advises after many changes."""

    def size(self) -> int:
        """Return the bytes of the serialised index."""
        return folder_bytes(self.folder)


@dataclass(frozen=True)
class Variant:
    """One line of the comparison.

    Parameters
    ----------
    name : str
    engine : class of Peer
    options : dict
        Build parameters.
    knob : str
        The keyword that trades recall for speed; "" if there is none.
    values : tuple
        Its values, slow and exact last.
    batch : bool
        A batch is one call; otherwise it is a loop of single queries and fewer are asked.
    """

    name: str
    engine: Callable[..., Peer]
    options: dict[str, Any] = field(default_factory=dict)
    knob: str = ""
    values: tuple[Any, ...] = ()
    batch: bool = True

    @property
    def cls(self) -> type[Peer]:
        """The engine's class."""
        return self.engine  # type: ignore[return-value]

    def missing(self) -> str | None:
        """Return why the engine cannot run here, or None."""
        if importlib.util.find_spec(self.cls.package) is None:
            return f"{self.cls.package} is not installed: pip install {self.cls.distribution}"
        return None

    def knobs(self) -> list[dict[str, Any]]:
        """Return the search settings to sweep."""
        return [{self.knob: v} for v in self.values] if self.knob else [{}]


def folder_bytes(folder: Path) -> int:
    """Return the bytes that all files below a folder take; a file with holes counts what is written."""
    stats = [p.stat() for p in folder.rglob("*") if p.is_file()]
    return sum(min(s.st_size, s.st_blocks * 512) if hasattr(s, "st_blocks") else s.st_size for s in stats)


def padded(ids: Sequence[int], k: int) -> np.ndarray:
    """Return (k,) ids, -1 at the end where there were fewer."""
    out = np.full(k, -1, np.int64)
    out[: len(ids)] = ids[:k]
    return out
