"""`Rows`: vectors that are read block by block, whatever holds them.

An array, a memory map, or an iterable of blocks (a list of memory maps, a reader of Parquet files) gives the same
blocks, so that a measure written once works on a million rows as on a hundred, in bounded memory. Health is measured
on vectors that may be sick: rows that are not finite or have no length are left out and counted, not refused.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.vectors import unit

ENTRIES = 1 << 22  # of a block: 16 MB as float32


class Rows:
    """Vectors that can be read in blocks.

    Parameters
    ----------
    X : (n, dim) array, memory map, or iterable of (rows, dim) arrays
        An iterable is read anew for each pass; an iterator can only be read once.
    name : str
        What to call them in a message.

    Attributes
    ----------
    n, dim : int
        Rows and columns; of an iterable they are known after the first pass (0 before).
    skipped : int
        Rows that the last pass of `unit_blocks` or `finite_blocks` left out.
    """

    def __init__(self, X: Any, name: str = "X") -> None:
        self.name = name
        self.n = self.dim = self.skipped = 0
        self.dtype = np.dtype(np.float32)
        self._array = _as_array(X, name)
        self._source: Iterable[Any] = () if self._array is not None else X
        self._used = False
        if self._array is not None:
            (self.n, self.dim), self.dtype = self._array.shape, self._array.dtype
        elif not isinstance(X, Iterable):
            raise BadInput(f"{name} must be an array of shape (n, dim) or an iterable of such blocks, not {type(X)}")

    @property
    def once(self) -> bool:
        """Whether these rows can be read only once."""
        return self._array is None and iter(self._source) is self._source

    def again(self, why: str) -> None:
        """Raise `BadInput` if the rows can be read only once."""
        if self.once:
            raise BadInput(
                f"{self.name} is an iterator, which can be read once, but {why}: pass an array, a memory map, a list "
                "of blocks, or an object whose __iter__ starts afresh"
            )

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (position of the first row, rows in their own dtype), in order."""
        if self._array is not None:
            step = max(1, ENTRIES // max(self.dim, 1))
            for start in range(0, self.n, step):
                yield start, np.asarray(self._array[start : start + step])
                _let_go(self._array)
            return
        if self.once and self._used:
            self.again("this needs a second pass")
        self._used, start = True, 0
        for item in self._source:
            block = _numeric(item, f"a block of {self.name}")
            if self.dim and block.shape[1] != self.dim:
                raise SpaceMismatch(f"{self.name} has blocks of dimension {self.dim} and {block.shape[1]}")
            self.dim, self.dtype = block.shape[1], block.dtype
            yield start, block
            start += len(block)
        self.n = start

    def finite_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (positions, finite rows as float64)."""
        self.skipped = 0
        for start, block in self.blocks():
            good = np.isfinite(block).all(axis=1)
            self.skipped += int((~good).sum())
            yield start + np.flatnonzero(good), np.asarray(block if good.all() else block[good], dtype=np.float64)

    def unit_blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield (positions, rows as float32 of length one), without rows that have no direction."""
        self.skipped = 0
        for start, block in self.blocks():
            good = np.isfinite(block).all(axis=1) & block.any(axis=1)
            self.skipped += int((~good).sum())
            yield start + np.flatnonzero(good), _directions(block if good.all() else block[good])

    def sample(self, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Return positions (m,), ascending, and unit rows (m, dim) of at most `most` rows drawn without replacement.

        Rows without a direction are left out; `skipped` counts them among those that were drawn.
        """
        if self._array is not None:
            kept = np.sort(rng.permutation(self.n)[:most])
            rows = self._taken(kept)
        else:
            kept, rows = self._reservoir(most, rng)
        good = np.isfinite(rows).all(axis=1) & rows.any(axis=1)
        self.skipped = int((~good).sum())
        return kept[good], _directions(rows[good])

    def take(self, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (m, dim) unit rows at ascending positions, and (m,) whether each has a direction (else it is zero)."""
        if self._array is not None:
            rows = self._taken(positions)
        else:
            rows = np.concatenate(
                [b[positions[(positions >= s) & (positions < s + len(b))] - s] for s, b in self.blocks()]
            )
        good = np.isfinite(rows).all(axis=1) & rows.any(axis=1)
        return _directions(np.where(good[:, None], rows, 0)), good

    def length(self) -> int:
        """Return how many rows there are, for which an iterable is read through."""
        if not self.n and self._array is None:
            self.again("its rows must be counted first")
            for _ in self.blocks():
                pass
        return self.n

    def _taken(self, positions: np.ndarray) -> np.ndarray:
        """Return single rows of the array, without holding the pages of a memory map."""
        assert self._array is not None
        pieces = np.array_split(positions, max(1, len(positions) // 4096))
        rows = [np.asarray(self._array[piece]) for piece in pieces]
        _let_go(self._array)
        return np.concatenate(rows)

    def _reservoir(self, most: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Give every row a random key, and keep the rows with the smallest ones."""
        keys, kept, rows = np.zeros(0), np.zeros(0, np.int64), np.zeros((0, self.dim), np.float32)
        for start, block in self.blocks():
            new = rng.random(len(block))
            keys, kept = np.concatenate([keys, new]), np.concatenate([kept, start + np.arange(len(block))])
            rows = np.concatenate([rows, block]) if len(rows) else block
            if len(keys) > most:
                small = np.argpartition(keys, most - 1)[:most]
                keys, kept, rows = keys[small], kept[small], rows[small]
        order = np.argsort(kept)
        return kept[order], rows[order]


def _directions(rows: np.ndarray) -> np.ndarray:
    """Return the rows as float32 of length one (zero rows stay zero)."""
    if rows.dtype == np.float32:
        squares = np.square(rows).sum(axis=1, keepdims=True)
        if ((squares > 1e-30) & (squares < 1e30)).all():  # a tenth of the time of the careful way
            found: np.ndarray = rows / np.sqrt(squares)
            return found
    return unit(rows if rows.dtype == np.float64 else rows.astype(np.float32)).astype(np.float32)


def _as_array(X: Any, name: str) -> Any:
    """Return X where it is one two-dimensional array, None where it is an iterable of blocks."""
    if isinstance(X, np.memmap) and X.ndim == 2:
        return X
    numbers = isinstance(X, list | tuple) and len(X) > 0 and np.ndim(X[0]) < 2  # a list of rows, not of blocks
    if not (numbers or hasattr(X, "shape") or hasattr(X, "__array__")):
        return None
    return _numeric(X, name)


def _numeric(X: Any, name: str) -> np.ndarray:
    try:
        a = np.asarray(X)
    except (TypeError, ValueError, RuntimeError) as e:  # RuntimeError: a torch tensor that requires grad
        raise BadInput(f"{name} must be a numeric array of shape (n, dim): {e}") from None
    if a.dtype.kind not in "fiub" or a.ndim != 2:
        raise BadInput(f"{name} must be a numeric array of shape (n, dim), not {a.dtype} of shape {a.shape}")
    return a


def _let_go(array: Any) -> None:
    """Give the pages of a read-only memory map back, which otherwise count as memory of this process."""
    held = getattr(array, "_mmap", None)
    if held is not None and getattr(array, "mode", None) == "r" and hasattr(mmap, "MADV_DONTNEED"):
        held.madvise(mmap.MADV_DONTNEED)
