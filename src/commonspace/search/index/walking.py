"""The walk over a graph of codes and the pruning of its links, compiled by Numba. `graph` says what they are for.

    score = sum_j (u_j mod 16) a_j + h (u_j div 16) b_j         u_j the bytes of a code

A byte is read as two integers of 4 bits: two numbers of a 4-bit code (a and b the even and odd coordinates of the
query, h = 1), or the halves of one number of an 8-bit code (a = b, h = 16). Queries are integers of 8 bits, so that
processors with VNNI multiply and add 64 pairs in one instruction, `vpdpbusd`; others run a plain loop. The sums are
exact integers, the same either way.

Importing this module compiles it, 2 s of processor; what was compiled is kept beside the file, or in the user's cache
folder, and later processes load it in half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import llvmlite.binding as llvm
import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils as tools
from numba.core.registry import cpu_target
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
Bytes = npt.NDArray[np.uint8]
Signed = npt.NDArray[np.int8]
Links = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]

if getattr(numba.config, "DISABLE_JIT", False):  # for a debugger; what is written below is no Python then
    raise ImportError("NUMBA_DISABLE_JIT is set")

_STARTS = 4  # best entries from which a walk begins
_LANES = 64  # bytes of a code multiplied at once
_NEXT = 3  # places of the beam whose links are fetched ahead of time
_DONE = np.int64(1) << 62  # after every key

_i8, _i32, _i64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_bytes, _sums, _lanes = ir.VectorType(_i8, _LANES), ir.VectorType(_i32, 16), ir.VectorType(ir.IntType(1), _LANES)


_tools: Any = tools  # some releases of Numba have types and some have none


def _inline(write: Callable[..., Any]) -> Any:
    """Let a function write the machine's instructions for a call."""
    return intrinsic(write)


def _called(function: Callable[..., Any]) -> Any:
    """Compile for the arguments that it is called with by other compiled functions."""
    return numba.njit(nogil=True)(function)


def _compiled(*signature: Any, fast: bool = False) -> Callable[[F], F]:
    """Compile for arguments of these types, in a form that other threads can run beside."""

    def compiled(function: F) -> F:
        options: dict[str, Any] = {"nogil": True, "fastmath": fast, "error_model": "numpy"}
        try:
            return cast(F, numba.njit(types.void(*signature), cache=True, **options)(function))
        except RuntimeError:  # no folder to keep it in
            return cast(F, numba.njit(types.void(*signature), **options)(function))

    return compiled


def _read(kind: Any, dimensions: int) -> Any:
    """Return the type of an array that is only read, such as a memory map; others fit it, too."""
    return types.Array(kind, dimensions, "C", readonly=True)


def _pointer(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return builder.bitcast(context.make_array(kind)(context, builder, array).data, _i8.as_pointer())


@_inline
def _fetch(_: Any, array: Any, byte: Any) -> Any:
    """Ask for a byte of an array, and so for its line of 64, to come into the first cache."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = builder.gep(_pointer(context, builder, signature.args[0], args[0]), [args[1]])
        of = ir.FunctionType(ir.VoidType(), [_i8.as_pointer(), _i32, _i32, _i32])
        call = _tools.get_or_insert_function(builder.module, of, "llvm.prefetch.p0")
        builder.call(call, [place, *(ir.Constant(_i32, v) for v in (0, 3, 1))])  # to read, keep it near, data
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


@_inline
def _vnni(_: Any, codes: Any, row: Any, queries: Any, query: Any, heavy: Any) -> Any:
    """Return the score of a row with a query, by `vpdpbusd`; see `_plain`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kinds = signature.args
        width, padded = (
            builder.extract_value(context.make_array(k)(context, builder, a).shape, i)
            for k, a, i in ((kinds[0], args[0], 1), (kinds[2], args[2], 2))
        )
        code = builder.gep(_pointer(context, builder, kinds[0], args[0]), [builder.mul(args[1], width)])
        first = builder.mul(builder.shl(args[3], _i64(1)), padded)
        low = builder.gep(_pointer(context, builder, kinds[2], args[2]), [first])
        high = builder.gep(low, [padded])
        load = _tools.get_or_insert_function(
            builder.module,
            ir.FunctionType(_bytes, [_bytes.as_pointer(), _i32, _lanes, _bytes]),
            f"llvm.masked.load.v{_LANES}i8.p0",
        )
        multiply = ir.InlineAsm(ir.FunctionType(_sums, [_bytes, _bytes, _sums]), "vpdpbusd $2, $1, $0", "=v,v,v,0")
        sums = [_tools.alloca_once_value(builder, ir.Constant(_sums, None)) for _ in range(2)]
        with _tools.for_range(builder, builder.lshr(padded, _i64(6))) as loop:
            at = builder.shl(loop.index, _i64(6))
            left = builder.sub(width, at)
            part = builder.sub(builder.shl(_i64(1), left), _i64(1))  # the next row begins after so many bytes
            mask = builder.select(builder.icmp_unsigned(">=", left, _i64(_LANES)), _i64(-1), part)
            place = builder.bitcast(builder.gep(code, [at]), _bytes.as_pointer())
            zero = ir.Constant(_bytes, None)
            u = builder.call(load, [place, _i32(1), builder.bitcast(mask, _lanes), zero])
            halves = (
                builder.and_(u, ir.Constant(_bytes, [_i8(15)] * _LANES)),
                builder.lshr(u, ir.Constant(_bytes, [_i8(4)] * _LANES)),
            )
            for half, side, total in zip(halves, (low, high), sums, strict=True):
                numbers = builder.load(builder.bitcast(builder.gep(side, [at]), _bytes.as_pointer()))
                numbers.align = 1
                builder.store(builder.call(multiply, [half, numbers, builder.load(total)]), total)
        factor = ir.Constant(_sums, ir.Undefined)
        factor = builder.insert_element(factor, args[4], _i32(0))
        factor = builder.shuffle_vector(factor, factor, ir.Constant(ir.VectorType(_i32, 16), [_i32(0)] * 16))
        total = builder.add(builder.load(sums[0]), builder.mul(builder.load(sums[1]), factor))
        add = _tools.get_or_insert_function(
            builder.module, ir.FunctionType(_i32, [_sums]), "llvm.vector.reduce.add.v16i32"
        )
        return builder.call(add, [total])

    return types.int32(codes, types.int64, queries, types.int64, types.int32), codegen


@_called
def _plain(codes: Bytes, row: int, queries: Signed, query: int, heavy: int) -> Any:
    """Return the score of a row with a query.

    Every step is rounded to 32 bits, or Numba would compute in 64, of which half as many fit into a register.
    """
    low, high = np.int32(0), np.int32(0)
    for j in range(codes.shape[1]):
        u = codes[row, j]
        low = np.int32(low + np.int32(np.int32(u & 15) * np.int32(queries[query, 0, j])))
        high = np.int32(high + np.int32(np.int32(u >> 4) * np.int32(queries[query, 1, j])))
    return np.int32(low + np.int32(high * heavy))


def _has_vnni() -> bool:
    """Return whether Numba compiles for such a processor; it may be told to do with less than there is."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return {"+avx512vnni", "+avx512bw"} <= set(features.split(","))


if _has_vnni():
    llvm.initialize_native_asmparser()
    _score = _vnni
else:
    _score = _plain


@_compiled(
    _read(types.uint8, 2), types.int32, _read(types.int32, 2), _read(types.int32, 1), _read(types.int8, 3), types.int64,
    types.Array(types.int32, 2, "C"),
)  # fmt: skip
def walk(codes: Bytes, heavy: int, links: Links, entries: Links, queries: Signed, beam: int, found: Links) -> None:
    """Fill `found` (q, beam) with the rows of each query's beam, best first, and -1 where there are fewer.

    Parameters
    ----------
    codes : (n, width) uint8
        The codes.
    heavy : int
        What the high half of a byte counts: 1 or 16.
    links : (n, degree) int32
        Rows that each leads to; -1 after the last.
    entries : (e,) int32
        Rows to begin from, distinct, e at least 1.
    queries : (q, 2, m) int8
        What the low and the high halves are multiplied with, filled up with zeros to a multiple of 64.
    beam : int
        Rows to keep, at least 1.
    found : (q, beam) int32
        Filled.
    """
    n, width, degree = len(codes), np.int64(codes.shape[1]), np.int64(links.shape[1])
    seen = np.empty((n + 7) // 8, np.uint8)
    keys = np.empty(beam, np.int64)  # -score, row, and whether its links were followed, in 32, 31 and 1 bits
    first = np.empty(len(entries), np.int64)
    fresh = np.empty(degree, np.int64)
    for q in range(len(queries)):
        seen[:] = 0
        for j in range(len(entries)):
            row = np.int64(entries[j])
            first[j] = (np.int64(-_score(codes, row, queries, q, heavy)) << 32) | (row << 1)
        size = 0
        for _ in range(min(_STARTS, beam, len(entries))):
            at = 0
            for j in range(1, len(entries)):
                if first[j] < first[at]:
                    at = j
            row = (first[at] & 0xFFFFFFFF) >> 1
            seen[row >> 3] |= np.uint8(1 << (row & 7))
            for line in range(0, 4 * degree, 64):
                _fetch(links, 4 * row * degree + line)
            keys[size] = first[at]
            size += 1
            first[at] = _DONE
        at = 0
        while at < size:
            row = (keys[at] & 0xFFFFFFFF) >> 1
            keys[at] |= 1
            count = 0
            for j in range(degree):
                near = np.int64(links[row, j])
                if near < 0:
                    break
                old, bit = seen[near >> 3], np.uint8(1 << (near & 7))
                seen[near >> 3] = old | bit
                fresh[count] = near
                count += (old & bit) == 0  # not an if: nobody could foresee it
                _fetch(codes, near * width)
                _fetch(codes, near * width + width - 1)
            lowest = at + 1
            for j in range(count):  # apart from what follows: its branches would keep scores from being made ahead
                fresh[j] = (np.int64(-_score(codes, fresh[j], queries, q, heavy)) << 32) | (fresh[j] << 1)
            for j in range(count):
                key = fresh[j]
                near = (key & 0xFFFFFFFF) >> 1
                if size < beam:
                    place = size
                    size += 1
                elif key < keys[beam - 1]:
                    place = beam - 1
                else:
                    continue
                while place > 0 and keys[place - 1] > key:
                    keys[place] = keys[place - 1]
                    place -= 1
                keys[place] = key
                lowest = min(lowest, place)
                if place < at + _NEXT:
                    for line in range(0, 4 * degree, 64):
                        _fetch(links, 4 * near * degree + line)
            at = min(at + 1, lowest)
            while at < size and keys[at] & 1:
                at += 1
        for j in range(beam):
            found[q, j] = (keys[j] & 0xFFFFFFFF) >> 1 if j < size else -1


@_compiled(
    _read(types.float32, 2), types.int64, _read(types.int32, 2), types.float32, types.int64,
    types.Array(types.int32, 2, "C"), fast=True,
)  # fmt: skip
def prune(vectors: Floats, start: int, candidates: Links, alpha: float, least: int, links: Links) -> None:
    """Fill `links` (m, degree) with the candidates that no nearer link makes superfluous, nearest first.

    Parameters
    ----------
    vectors : (n, dim) float32
        All vectors.
    start : int
        The first of the m rows whose links are chosen.
    candidates : (m, c) int32
        Rows, in any order; -1 for none. The row itself and repetitions are passed over.
    alpha : float
        A candidate is dropped if some link is nearer to it, alpha times the squared distance, than the row is.
    least : int
        Links that dropped candidates fill up to, nearest first.
    links : (m, degree) int32
        Filled; -1 after the last.
    """
    dim = vectors.shape[1]
    order = np.empty(candidates.shape[1], np.int64)
    apart = np.empty(candidates.shape[1], np.float32)
    for i in range(len(candidates)):
        row, count, size = start + i, 0, 0
        for j in range(candidates.shape[1]):
            near = np.int64(candidates[i, j])
            if near < 0 or near == row:
                continue
            d = np.float32(0)
            for t in range(dim):
                d += (vectors[row, t] - vectors[near, t]) ** 2
            place = count
            while place > 0 and (apart[place - 1] > d or (apart[place - 1] == d and order[place - 1] > near)):
                place -= 1
            if place > 0 and order[place - 1] == near:
                continue
            for p in range(count, place, -1):
                order[p], apart[p] = order[p - 1], apart[p - 1]
            order[place], apart[place] = near, d
            count += 1
        links[i] = -1
        for fill in range(2):
            for j in range(count):
                if size == links.shape[1] or (fill and size >= least):
                    break
                kept = order[j] >= 0
                for s in range(0 if fill or not kept else size):
                    d = np.float32(0)
                    for t in range(dim):
                        d += (vectors[links[i, s], t] - vectors[order[j], t]) ** 2
                    if alpha * d <= apart[j]:
                        kept = False
                        break
                if kept:
                    links[i, size] = order[j]
                    size += 1
                    order[j] = -1  # chosen


@_compiled(_read(types.int32, 2), types.Array(types.int32, 2, "C"))
def turned(links: Links, out: Links) -> None:
    """Fill `out` (n, c) with the rows that link to each row: those that rank it high first; -1 after the last."""
    size = np.zeros(len(out), np.int64)
    out[:] = -1
    for j in range(links.shape[1]):
        for row in range(len(links)):
            near = links[row, j]
            if near >= 0 and size[near] < out.shape[1]:
                out[near, size[near]] = row
                size[near] += 1


@_compiled(_read(types.int32, 2), types.int64, types.Array(types.int32, 2, "C"))
def asked_together(tops: Links, best: int, out: Links) -> None:
    """Fill `out` (n, c) with pairs of rows that answer a query: its best few, each with all its others, both ways.

    `tops` (m, t) are the best rows of each query, best first. Where there is no room for all pairs of a row, those with
    the very best of queries come first.
    """
    size = np.zeros(len(out), np.int64)
    out[:] = -1
    for i in range(min(best, tops.shape[1])):
        for q in range(len(tops)):
            for j in range(tops.shape[1]):
                if tops[q, i] < 0 or tops[q, j] < 0:
                    break
                for row, near in ((tops[q, i], tops[q, j]), (tops[q, j], tops[q, i])):
                    known = row == near or size[row] == out.shape[1]
                    for s in range(size[row]):
                        known = known or out[row, s] == near
                    if not known:
                        out[row, size[row]] = near
                        size[row] += 1


@_compiled(_read(types.int32, 2), types.Array(types.int32, 2, "C"))
def join(others: Links, links: Links) -> None:
    """Append to the links (n, degree) those of `others` (n, d) that are not among them, as far as there is room."""
    for row in range(len(links)):
        size = 0
        while size < links.shape[1] and links[row, size] >= 0:
            size += 1
        for j in range(others.shape[1]):
            near = others[row, j]
            if near < 0 or size == links.shape[1]:
                break
            known = False
            for s in range(size):
                known = known or links[row, s] == near
            if not known:
                links[row, size] = near
                size += 1


@_compiled(types.Array(types.int32, 2, "C"), types.int64)
def adopt(links: Links, least: int) -> None:
    """Let `least` of the rows that a row links to lead back to it where fewer rows lead there: no row shall be lost.

    A row whose links are all taken gives up the last one that enough others share.
    """
    n, degree = links.shape
    leading = np.zeros(n, np.int64)
    for row in range(n):
        for j in range(degree):
            if links[row, j] >= 0:
                leading[links[row, j]] += 1
    for row in range(n):
        for j in range(degree):
            near = links[row, j]
            if near < 0 or leading[row] >= least:
                break
            free, known = -1, False
            for s in range(degree - 1, -1, -1):
                other = links[near, s]
                known = known or other == row
                if other < 0 or (free < 0 and leading[other] > least):
                    free = s
            if free >= 0 and not known:
                if links[near, free] >= 0:
                    leading[links[near, free]] -= 1
                links[near, free] = row
                leading[row] += 1
