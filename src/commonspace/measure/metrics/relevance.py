"""`Relevance`: which gallery items answer which query, from any of three forms, read block by block.

Users hold relevance as a dense array, as a scipy sparse array, or as labels ("same key = relevant"). All three come
down to one layout: query i owns ``items[begin[i]:end[i]]``. Labels are never expanded as a whole, because two queries
of one class share one stretch of `items`; a million queries of ten classes cost no more than a million integers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput

_NAMES: dict[type, str] = {int: "number", float: "number", bool: "number"}


@dataclass(frozen=True)
class Relevance:
    """The relevant items of each query.

    Parameters
    ----------
    begin, end : (n_queries,) int64
        Query i owns ``items[begin[i]:end[i]]``.
    items : (m,) int64
        Positions in the gallery.
    grades : (m,) float64 or None
        How relevant, greater than 0; None means 1 everywhere.
    n_items : int
        Size of the gallery.
    leave_one_out : bool
        Query i *is* gallery item i and does not count as its own answer.
    """

    begin: np.ndarray
    end: np.ndarray
    items: np.ndarray
    grades: np.ndarray | None
    n_items: int
    leave_one_out: bool = False

    @classmethod
    def of(cls, source: Any) -> Relevance:
        """Read a dense (q, n) array, a scipy sparse array or a *tuple* (query_keys, gallery_keys).

        Raises
        ------
        BadInput
            Not two-dimensional, NaN or negative grades, keys of different kinds.
        """
        if isinstance(source, cls):
            return source
        if isinstance(source, tuple):
            if len(source) != 2:
                raise BadInput(
                    f"relevance given as a tuple must be (query_keys, gallery_keys), not {len(source)} parts"
                )
            return cls._of_keys(*source)
        if hasattr(source, "tocsr"):
            return cls._of_sparse(source)
        return cls._of_dense(source)

    @classmethod
    def _of_dense(cls, source: Any) -> Relevance:
        dense = np.asarray(source)
        if dense.ndim != 2 or dense.dtype.kind not in "fiub":
            raise BadInput(
                f"relevance must be a numeric array of shape (queries, items), not {dense.dtype} {dense.shape}; "
                "labels are given as a tuple (query_keys, gallery_keys)"
            )
        query, items = np.nonzero(dense)  # NaN is not zero, so it is seen by the check
        ends = np.cumsum(np.bincount(query, minlength=len(dense)))
        begin = np.concatenate([[0], ends[:-1]])[: len(dense)]
        return cls(begin, ends, items, _check_grades(dense[query, items]), dense.shape[1])

    @classmethod
    def _of_sparse(cls, source: Any) -> Relevance:
        csr = source.tocsr().copy()
        csr.sum_duplicates()
        csr.eliminate_zeros()
        begin, end = csr.indptr[:-1].astype(np.int64), csr.indptr[1:].astype(np.int64)
        return cls(begin, end, csr.indices.astype(np.int64), _check_grades(csr.data), csr.shape[1])

    @classmethod
    def _of_keys(cls, query_keys: Any, gallery_keys: Any) -> Relevance:
        asked, held = np.asarray(query_keys), np.asarray(gallery_keys)
        if asked.ndim != 1 or held.ndim != 1:
            raise BadInput(f"keys must be one-dimensional, not {asked.shape} and {held.shape}")
        if len(asked) and len(held) and _kind(asked) != _kind(held):
            raise BadInput(
                f"query keys are {asked.dtype} and gallery keys {held.dtype}, so that no key could ever be equal: "
                "give both as the same type"
            )
        known, code = np.unique(held, return_inverse=True)
        starts = np.concatenate([[0], np.cumsum(np.bincount(code, minlength=len(known)))]).astype(np.int64)
        if not len(known) or not len(asked):
            nothing = np.zeros(len(asked), np.int64)
            return cls(nothing, nothing, np.zeros(0, np.int64), None, len(held))
        at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
        length = np.where(known[at] == asked, starts[at + 1] - starts[at], 0)
        return cls(starts[at], starts[at] + length, np.argsort(code, kind="stable"), None, len(held))

    def without_self(self) -> Relevance:
        """Return the same relevance for queries that are the gallery itself, each item not answering itself."""
        if len(self) != self.n_items:
            raise BadInput(f"leave_one_out needs as many queries as items, got {len(self)} and {self.n_items}")
        return replace(self, leave_one_out=True)

    def __len__(self) -> int:
        return len(self.begin)

    def block(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the judgements of some queries as flat arrays.

        Returns
        -------
        query : (m,) int64
            Position within the block, never falling.
        item : (m,) int64
            Position in the gallery.
        grade : (m,) float64
        """
        begin, length = self.begin[start:stop], self.end[start:stop] - self.begin[start:stop]
        query = np.repeat(np.arange(len(begin)), length)
        within = np.arange(len(query)) - np.repeat(np.cumsum(length) - length, length)
        place = begin[query] + within
        item = self.items[place]
        grade = np.ones(len(item)) if self.grades is None else self.grades[place]
        if self.leave_one_out:
            other = item != query + start
            query, item, grade = query[other], item[other], grade[other]
        return query, item, grade

    def dense(self, start: int, stop: int) -> np.ndarray:
        """Return the grades of some queries as a (stop - start, n_items) float64 array."""
        query, item, grade = self.block(start, stop)
        out = np.zeros((len(self.begin[start:stop]), self.n_items))
        out[query, item] = grade
        return out


def _kind(keys: np.ndarray) -> str:
    """Return "number" for everything that compares as a number, else the kind of the keys."""
    if keys.dtype.kind == "O":
        kinds = {_NAMES.get(t, t.__name__) for t in set(map(type, keys.tolist()))}
        if len(kinds) > 1:
            raise BadInput(f"keys of one array must be of one kind, got {sorted(kinds)}; None cannot be a key")
        return kinds.pop()
    if keys.dtype.kind == "f" and np.isnan(keys).any():
        raise BadInput("keys hold NaN, which equals nothing: leave such rows out or give them a key of their own")
    return "number" if keys.dtype.kind in "fiub" else {"U": "str", "S": "bytes"}.get(keys.dtype.kind, keys.dtype.kind)


def _check_grades(grades: Any) -> np.ndarray:
    out = np.asarray(grades, dtype=np.float64)
    if not np.isfinite(out).all() or (out < 0).any():
        raise BadInput("relevance must be finite and not negative: 0 = not relevant, greater = more relevant")
    return out
