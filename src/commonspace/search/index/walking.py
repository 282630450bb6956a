"""The walk over a graph of codes, compiled by Numba. `graph` says what it is for.

    score = sum_j (u_j mod 16) a_j + h (u_j div 16) b_j         u_j the bytes of a code

A byte is read as two integers of 4 bits: two numbers of a 4-bit code (a and b the even and odd coordinates of the
query, h = 1), or the halves of one number of an 8-bit code (a = b, h = 16). Queries are integers of 8 bits, so that
processors with VNNI multiply and add 64 pairs in one instruction, `vpdpbusd`; others run a plain loop. The sums are
exact integers, the same either way.

Importing this module compiles it, 2 s of processor, or loads it in half a second.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import llvmlite.binding as llvm
import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.core import cgutils as tools
from numba.core.registry import cpu_target
from numba.extending import intrinsic

from commonspace.search.index.compiling import compiled, filled, read

Bytes = npt.NDArray[np.uint8]
Signed = npt.NDArray[np.int8]
Links = npt.NDArray[np.int32]

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


@compiled(
    read(types.uint8, 2), types.int32, read(types.int32, 2), read(types.int32, 1), read(types.int8, 3), types.int64,
    filled(types.int32),
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
