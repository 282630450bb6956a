"""The product of expanded codes and prepared queries, on whatever multiplies fastest here, and what exceeds a floor.

    S[i, j] = <row_i, query_j>

Codes are integers from -128 to 127, which bfloat16 holds exactly; only the queries are rounded, to 8 bits a coordinate.
On machines with matrix units for bfloat16 (AMX, AVX512-BF16) such a product through torch is several times faster than
float32 by BLAS, and its result takes half the memory traffic of the selection that follows. Elsewhere, or without
torch, the product is float32 by NumPy. Where the processor does not say what it has, one measurement decides.

Rows stand above each other, so that the maxima of every 16 rows, for all queries, are made by comparing whole stretches
of memory. Only where such a maximum exceeds the floor of its query are the 16 scores looked at.
"""

from __future__ import annotations

import importlib.util
import re
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from commonspace.compress import ScalarCode
from commonspace.core.protocols import Code
from commonspace.search.index.workers import each

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

_GROUP = 16  # rows that share a maximum
_BLOCK = 256  # rows that are taken apart at once
_ROWS = 64  # rows of products are multiples of it
_QUERIES = 16, 64  # and so are queries: of the first where they are few, else of the second
_GRAIN = 32_000  # numbers that torch copies without waking threads


class Product(Protocol):
    """One way to multiply. What `left`, `right`, `scores` and `limits` return is its own business."""

    name: str
    #: Threads that may multiply at once; a product that uses several threads itself says 1.
    workers: int
    #: Most that rounding the factors and the result may change a score of unit vectors by.
    rounding: float

    def left(self, prepared: Floats) -> Any:
        """Return prepared queries (q, r) in the form that `scores` takes."""

    def right(self, code: Code) -> Callable[[Bytes], Any]:
        """Return what expands codes (t, width) into the form that `scores` takes.

        What it returns is overwritten at this thread's next call.
        """

    def scores(self, right: Any, left: Any, ask: slice | Ints) -> npt.NDArray[Any]:
        """Return scores of rows and some queries, for the other methods; overwritten at this thread's next call.

        They are (t, q) or larger; what lies beyond means nothing.
        """

    def limits(self, floors: Floats) -> npt.NDArray[Any]:
        """Return floors (q,) in the form that `above` takes."""

    def above(self, scores: npt.NDArray[Any], rows: int, limits: npt.NDArray[Any]) -> tuple[Ints, Ints, Floats]:
        """Return row, query and score of those of the first rows that exceed the floor of their query, in no order.

        Scores that round to the floor may be among them.
        """

    def values(self, scores: npt.NDArray[Any]) -> Floats:
        """Return scores as float32, of any shape."""


class Float32:
    """BLAS, through NumPy."""

    name = "float32"
    workers = 1
    rounding = 2.0**-23

    def __init__(self) -> None:
        self._room = threading.local()

    def left(self, prepared: Floats) -> Floats:
        """Return (q, r) as they are."""
        return prepared

    def right(self, code: Code) -> Callable[[Bytes], Floats]:
        """Return what makes (t, r) float32, filled up with zeros."""

        def expand(codes: Bytes) -> Floats:
            rows = code.expand(codes)
            if len(rows) % _GROUP == 0:
                return rows.astype(np.float32, copy=False)
            out = np.zeros((_round_up(len(rows), _GROUP), rows.shape[1]), np.float32)
            out[: len(rows)] = rows
            return out

        return expand

    def scores(self, right: Floats, left: Floats, ask: slice | Ints) -> Floats:
        """Return float32 scores, one column a query."""
        queries = left[ask]
        size = len(right) * len(queries)
        room = getattr(self._room, "scores", None)
        if room is None or len(room) < size:  # fresh memory comes page by page
            room = self._room.scores = np.empty(size, np.float32)
        out: Floats = np.matmul(right, queries.T, out=room[:size].reshape(len(right), len(queries)))
        return out

    def limits(self, floors: Floats) -> Floats:
        """Return the floors."""
        return floors

    def above(self, scores: Floats, rows: int, limits: Floats) -> tuple[Ints, Ints, Floats]:
        """Return row, query and score of those that exceed the floor of their query."""
        return _above(scores, rows, limits)

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
        q, r = prepared.shape
        # In torch's memory, which begins where matrix units load fastest: from NumPy's a product takes nearly twice as
        # long. And in steps too small for torch to share out: its threads would keep a core busy for a while, waiting
        # for more.
        out = self._torch.empty((_size(q), r), dtype=self._torch.bfloat16)
        rows = prepared if prepared.flags.writeable else np.array(prepared)  # torch warns of a memory map's
        given, step = self._torch.from_numpy(rows), max(1, _GRAIN // max(1, r))
        for i in range(0, q, step):
            out[i : min(i + step, q)] = given[i : i + step]
        out[q:] = 0
        return out

    def right(self, code: Code) -> Callable[[Bytes], Any]:
        """Return what makes (t, r), filled up with zeros; small integers are exact."""
        zero = code.expand(np.zeros((1, code.bytes_per_vector), np.uint8))
        r = zero.shape[1]
        # Looked up two at a time, which is faster than taking them apart and rounding them.
        pairs = _pairs(int(zero[0, 0])) if code.packing == 4 and r % 2 == 0 else None

        def expand(codes: Bytes) -> Any:
            t = len(codes)
            rows = self._space("rows", _round_up(t, _ROWS) * r).view(-1, r)
            if pairs is None:
                made = code.expand(codes)
                # from_numpy shares memory, and warns of a memory map's, which is read-only; tensor copies.
                rows[:t] = self._torch.from_numpy(made) if made.flags.writeable else self._torch.tensor(made)
            else:
                out = rows.view(self._torch.int32).numpy()
                for i in range(0, t, _BLOCK):  # `take` makes wide numbers of the codes, which should not go far
                    block = codes[i : min(i + _BLOCK, t)]
                    pairs.take(block, out=out[i : i + len(block)], mode="wrap")
            rows[t:] = 0
            return rows

        return expand

    def scores(self, right: Any, left: Any, ask: slice | Ints) -> npt.NDArray[np.int16]:
        """Return the bits of scores, one column a query; multiples of `_ROWS` and `_QUERIES`."""
        torch, r = self._torch, right.shape[1]
        m = ask.stop - ask.start if isinstance(ask, slice) else len(ask)
        size = _size(m)
        if isinstance(ask, slice) and ask.start + size <= len(left):
            queries = left[ask.start : ask.start + size]
        else:
            queries = self._space("queries", size * r).view(-1, r)
            if isinstance(ask, slice):
                queries[:m] = left[ask]
            else:
                torch.index_select(left, 0, torch.from_numpy(ask), out=queries[:m])
            queries[m:] = 0
        out = self._space("scores", len(right) * size).view(len(right), size)
        torch.mm(right, queries.T, out=out)
        bits: npt.NDArray[np.int16] = out.view(torch.int16).numpy()
        return bits

    def _space(self, name: str, size: int) -> Any:
        """Return so many numbers of this thread's own memory."""
        room = getattr(self._room, name, None)
        if room is None or len(room) < size:
            room = self._torch.zeros(size, dtype=self._torch.bfloat16)
            setattr(self._room, name, room)
        return room[:size]

    def limits(self, floors: Floats) -> npt.NDArray[np.int16]:
        """Return bits of floors, rounded down: a positive number towards zero, a negative one away from it."""
        bits = np.ascontiguousarray(floors).view(np.uint32) + np.where(floors < 0, np.uint32(0xFFFF), np.uint32(0))
        return (bits >> 16).astype(np.uint16).view(np.int16)

    def above(
        self, scores: npt.NDArray[np.int16], rows: int, limits: npt.NDArray[np.int16]
    ) -> tuple[Ints, Ints, Floats]:
        """Return row, query and score of those that exceed the floor of their query."""
        if limits.min(initial=1) > 0:
            # Positive floats stand in the order of their bits, and negative ones have negative bits.
            row, query, found = _above(scores, rows, limits)
        else:
            row, query, found = _above(_ordered(scores), rows, _ordered(limits))
            found = _ordered(found)
        return row, query, self.values(found)

    def values(self, scores: npt.NDArray[np.int16]) -> Floats:
        """Return the float32 that the bits stand for."""
        bits = scores.view(np.uint16).astype(np.uint32)
        bits <<= 16
        return bits.view(np.float32)


def _above(scores: npt.NDArray[Any], rows: int, limits: npt.NDArray[Any]) -> tuple[Ints, Ints, npt.NDArray[Any]]:
    """Return row, query and score of those of the first rows, (t, m or more), that exceed limits (m,) of their type."""
    width, m = scores.shape[1], len(limits)
    groups = scores.reshape(_GROUP, -1)  # of rows that lie t / 16 apart
    peaks = np.maximum.reduce(groups, axis=0).reshape(-1, width)
    over = np.zeros(peaks.shape, bool)
    np.greater(peaks[:, :m], limits, out=over[:, :m])
    place = true_places(over)
    if len(place) == 0:
        return place, place, scores[:0, 0]
    first = place // width  # faster than divmod
    query = place - first * width
    found = groups.take(place, axis=1)
    hit = true_places(found > limits[query])
    member = hit // len(place)
    which = hit - member * len(place)
    row, query = first[which] + member * len(peaks), query[which]
    score = found.reshape(-1)[hit]
    if rows < len(scores):
        there = row < rows
        row, query, score = row[there], query[there], score[there]
    return row, query, score


def _rounded(floats: Floats) -> npt.NDArray[np.int16]:
    """Return the bits of bfloat16 nearest to each number, halves to the even one."""
    bits = np.array(floats, np.float32, order="C").view(np.uint32)
    bits += 0x7FFF + (bits >> 16 & 1)
    return (bits >> 16).astype(np.uint16).view(np.int16)


def _ordered(bits: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return integers in the order of the floats whose bits these are; done twice, the bits again."""
    return bits ^ ((bits >> 15) & 0x7FFF)


@cache
def _pairs(least: int) -> npt.NDArray[np.int32]:
    """Return, for each byte of codes of 4 bits, the two bfloat16 that it stands for, as one integer.

    The smallest of the sixteen numbers is given.
    """
    numbers, byte = _rounded(np.arange(least, least + 16, dtype=np.float32)), np.arange(256)
    out = np.stack([numbers[byte & 15], numbers[byte >> 4]], axis=1)
    return out.view(np.int32)[:, 0].copy()


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


def _size(queries: int) -> int:
    """Return the number of queries that are multiplied instead of so many."""
    few, many = _QUERIES
    return _round_up(queries, few if queries <= many else many)


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
    ranges = {"low_": np.zeros(128, np.float32), "step_": np.ones(128, np.float32)}
    right = way.right(ScalarCode(bits=8).load_state(ranges, {}))(rng.integers(0, 256, (4096, 128), np.uint8))
    every = slice(0, 256)
    way.scores(right, left, every)
    times = []
    for _ in range(5):
        start = time.thread_time()  # not the clock on the wall: other work must not decide
        way.scores(right, left, every)
        times.append(time.thread_time() - start)
    return min(times)
