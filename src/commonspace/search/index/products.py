"""The product of prepared queries and expanded codes, on whatever multiplies fastest here.

    S[i, j] = <left_i, right_j>

Codes are integers from -128 to 127, which bfloat16 holds exactly; only the queries are rounded, to 8 bits a coordinate.
On machines with matrix units for bfloat16 (AMX, AVX512-BF16) such a product through torch is several times faster than
float32 by BLAS, and its result takes half the memory traffic of the selection that follows. Elsewhere, or without
torch, the product is float32 by NumPy. Where the processor does not say what it has, one measurement decides.
"""

from __future__ import annotations

import importlib.util
import re
import threading
import time
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from commonspace.search.index.workers import each

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_ROWS = 64  # sizes of products are multiples of it


class Product(Protocol):
    """One way to multiply. What `left` and `right` return is its own business."""

    name: str
    #: Threads that may multiply at once; a product that uses several threads itself says 1.
    workers: int
    #: Most that rounding the factors and the result may change a score of unit vectors by.
    rounding: float

    def left(self, prepared: Floats) -> Any:
        """Return prepared queries (q, r) in the form that `scores` takes."""

    def right(self, expanded: npt.NDArray[Any]) -> Any:
        """Return expanded codes (t, r), integers of 8 bits or float32, in the form that `scores` takes."""

    def scores(self, left: Any, ask: slice | Ints, right: Any) -> npt.NDArray[Any]:
        """Return (q, t) scores of some queries, for the other methods; overwritten at this thread's next call."""

    def above(self, scores: npt.NDArray[Any], floors: Floats) -> tuple[Ints, Ints, Floats]:
        """Return query, row and score of those that exceed the floor of their query, in order of query and row.

        Scores that round to the floor may be among them.
        """

    def values(self, scores: npt.NDArray[Any]) -> Floats:
        """Return scores as float32, of any shape."""


class Float32:
    """BLAS, through NumPy."""

    name = "float32"
    workers = 1
    rounding = 2.0**-23

    def left(self, prepared: Floats) -> Floats:
        """Return (q, r) as they are."""
        return prepared

    def right(self, expanded: npt.NDArray[Any]) -> Floats:
        """Return (t, r) float32."""
        return expanded.astype(np.float32, copy=False)

    def scores(self, left: Floats, ask: slice | Ints, right: Floats) -> Floats:
        """Return (q, t) float32."""
        out: Floats = left[ask] @ right.T
        return out

    def above(self, scores: Floats, floors: Floats) -> tuple[Ints, Ints, Floats]:
        """Return query, row and score of those that exceed the floor of their query."""
        query, row = np.divmod(true_places(scores > floors[:, None]), max(1, scores.shape[1]))
        return query, row, scores[query, row]

    def values(self, scores: Floats) -> Floats:
        """Return the scores."""
        return scores


class BFloat16:
    """bfloat16 through torch. Scores come as the bits of bfloat16, in int16.

    Products are made in a few sizes only, rounded up: a new shape costs about a millisecond before its first product
    begins. And they are made into memory that is kept: fresh memory comes page by page, which takes longer than the
    product.
    """

    name = "bfloat16"
    rounding = 3.03 * 2.0**-8  # of 8 bits: both factors, and the result

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._room = threading.local()
        self.workers = torch.get_num_threads()

    def left(self, prepared: Floats) -> Any:
        """Return (q, r) rounded to bfloat16, filled up with zeros so that blocks of queries are multiplied in place."""
        # By NumPy: torch would wake threads, which then keep a core busy for a while, waiting for more.
        q, r = prepared.shape
        bits = np.array(prepared, np.float32, order="C").view(np.uint32)
        bits += 0x7FFF + (bits >> 16 & 1)  # to the nearest, halves to the even one
        # In torch's memory, which begins where matrix units load fastest: from NumPy's a product takes nearly twice as
        # long.
        out = self._torch.empty((_round_up(q, _ROWS), r), dtype=self._torch.bfloat16)
        rows = out.view(self._torch.int16).numpy()
        rows[:q] = (bits >> 16).astype(np.uint16).view(np.int16)
        rows[q:] = 0
        return out

    def right(self, expanded: npt.NDArray[Any]) -> tuple[Any, int]:
        """Return (t, r), filled up with zeros, and t; small integers are exact."""
        t, r = expanded.shape
        # from_numpy shares memory, and warns of a memory map's, which is read-only; tensor copies.
        share = self._torch.from_numpy if expanded.flags.writeable else self._torch.tensor
        rows = self._torch.empty((_round_up(t, _ROWS), r), dtype=self._torch.bfloat16)
        rows[:t] = share(expanded)
        rows[t:] = 0
        return rows, t

    def scores(self, left: Any, ask: slice | Ints, right: tuple[Any, int]) -> npt.NDArray[np.int16]:
        """Return (q, t) bits."""
        torch, (rows, t) = self._torch, right
        m, r = ask.stop - ask.start if isinstance(ask, slice) else len(ask), rows.shape[1]
        size = _round_up(m, _ROWS)
        if isinstance(ask, slice) and ask.start + size <= len(left):
            queries = left[ask.start : ask.start + size]
        else:
            queries = self._space("queries", size * r).view(-1, r)
            if isinstance(ask, slice):
                queries[:m] = left[ask]
            else:
                torch.index_select(left, 0, torch.from_numpy(ask), out=queries[:m])
        out = self._space("scores", len(queries) * len(rows)).view(len(queries), len(rows))
        torch.mm(queries, rows.T, out=out)
        bits: npt.NDArray[np.int16] = out.view(torch.int16).numpy()
        return bits[:m, :t]

    def _space(self, name: str, size: int, dtype: Any = None) -> Any:
        """Return so many numbers of this thread's own memory."""
        room = getattr(self._room, name, None)
        if room is None or len(room) < size:
            room = self._torch.zeros(size, dtype=dtype or self._torch.bfloat16)
            setattr(self._room, name, room)
        return room[:size]

    def above(self, scores: npt.NDArray[np.int16], floors: Floats) -> tuple[Ints, Ints, Floats]:
        """Return query, row and score of those that exceed the floor of their query."""
        m, t = scores.shape
        width = _round_up(t, _ROWS)
        over = self._space("over", m * width, self._torch.bool).numpy().reshape(m, width)
        over[:, t:] = False
        if m and floors.min() > 0:
            # Positive floats stand in the order of their bits, and negative ones have negative bits.
            bits = (floors.view(np.uint32) >> 16).astype(np.int16)
            np.greater(scores, bits[:, None], out=over[:, :t])
        else:
            np.greater(self.values(scores), floors[:, None], out=over[:, :t])
        query, row = np.divmod(true_places(over), width)
        return query, row, self.values(scores[query, row])

    def values(self, scores: npt.NDArray[np.int16]) -> Floats:
        """Return the float32 that the bits stand for."""
        bits = scores.view(np.uint16).astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)


def true_places(mask: npt.NDArray[np.bool_]) -> Ints:
    """Return `np.flatnonzero(mask)` of a contiguous mask, in less than half the time where few are true.

    Eight at a time are compared with zero as one integer; only those that are not are looked at one by one.
    """
    if mask.size % 8:
        return np.flatnonzero(mask)
    eights = mask.reshape(-1).view(np.uint64)
    some = np.flatnonzero(eights != 0)
    inside = np.flatnonzero(eights[some].view(np.bool_))
    out: Ints = (some[inside >> 3] << 3) + (inside & 7)
    return out


def _round_up(n: int, step: int) -> int:
    return -(-n // step) * step


@cache
def product() -> Product:
    """Return the faster of the two ways on this machine."""
    plain = Float32()
    if importlib.util.find_spec("torch") is None:
        return plain
    short = BFloat16()
    if (units := _units()) is not None:
        return short if units else plain
    # In a thread of the search, as it will be used, of which there are several; BLAS shares its work out by itself.
    taken = each(_seconds, [short], short.workers)[0] / short.workers
    return short if taken < _seconds(plain) else plain


def _units() -> bool | None:
    """Return whether the processor has units for bfloat16, as Linux tells; None elsewhere.

    Asking is surer than timing: on a busy machine a short measurement says more about the other work.
    """
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return None
    flags = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return None if flags is None else not {"amx_bf16", "avx512_bf16", "bf16"}.isdisjoint(flags[1].split())


def _seconds(way: Product) -> float:
    """Return the time of a small product of typical shape."""
    rng = np.random.default_rng(0)
    left = way.left(rng.normal(size=(256, 128)).astype(np.float32))
    right = way.right(rng.integers(-127, 128, (8192, 128), np.int8))
    every = slice(0, 256)
    way.scores(left, every, right)
    times = []
    for _ in range(5):
        start = time.thread_time()  # not the clock on the wall: other work must not decide
        way.scores(left, every, right)
        times.append(time.thread_time() - start)
    return min(times)
