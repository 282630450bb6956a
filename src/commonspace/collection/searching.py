"""Reading a collection: items by id, vectors, search."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from commonspace.collection.crossing import NATIVE
from commonspace.collection.underway import Migrating
from commonspace.core.bags import Bags
from commonspace.core.errors import BadInput, NotFound
from commonspace.core.method import check_choice
from commonspace.core.tables import none_for_nan
from commonspace.core.vectors import check_positive
from commonspace.search.best import Found, Gallery, Searchable, best_items
from commonspace.search.csls import HUBS
from commonspace.search.explanation import Explanation
from commonspace.search.hits import Hits, to_hits
from commonspace.search.planner import Plan
from commonspace.search.query import RAW, Encode, compose, parts_of
from commonspace.search.sides import Side
from commonspace.store import folder as folders
from commonspace.store import incoming, payload
from commonspace.store.migrating import State
from commonspace.store.records import VectorColumn, column_name
from commonspace.store.snapshot import Snapshot

if TYPE_CHECKING:
    from commonspace.space import Space


class Searching(Migrating):
    """The part of `Collection` that reads and searches."""

    def count(self, where: str | None = None) -> int:
        """Return the number of items, or of those that a filter selects."""
        now = self._items.snapshot()
        return len(now) if where is None else len(now.where(where))

    def get(self, ids: Any, *, missing: str = "raise") -> list[dict[str, Any]]:
        """Return items as dicts of id and fields, in the order asked.

        Parameters
        ----------
        ids : id or sequence of ids
            The items.
        missing : "raise" or "skip"
            Whether an id that is not stored is an error.

        Raises
        ------
        NotFound
            Naming the ids that are not stored.
        """
        check_choice("missing", missing, ("raise", "skip"))
        return self._items.snapshot().get(ids, missing=missing)

    def items(self, ids: Any, modality: str) -> list[Any]:
        """Return the items themselves, where `add` was told to keep them: text, or the bytes of a file.

        None stands for an item that lacks the modality, or was not kept.

        Raises
        ------
        NotFound
            Naming the ids that are not stored; or if no item of the modality was ever kept.
        """
        now = self._items.snapshot()
        name = payload.column_of(modality)
        if name not in now.schema.names:
            raise NotFound(f"{self._path} keeps no items of {modality}: pass keep={modality!r} to add")
        return now.column(ids, name)

    def vectors(self, modality: str, *, space_id: str | None = None) -> tuple[list[Any], np.ndarray | Bags]:
        """Return the ids of the items that have a modality, and their vectors.

        Parameters
        ----------
        modality : str
            One of the space's.
        space_id : str, optional
            The space; the collection's current one by default.

        Returns
        -------
        ids : list of m ids
            The items, in the order of their rows.
        vectors : (m, dim) float32 array, or Bags of length m
            Unit rows; bags if the modality was stored as bags.
        """
        now = self._items.snapshot()
        column = self._column(modality, space_id)
        rows, matrix = now.matrix(column.name, column.dim)
        items, counts = np.unique(rows, return_counts=True)
        ids = now.ids.take(pa.array(items)).to_pylist()
        return ids, matrix if column.kind == "vector" else Bags(matrix, np.concatenate([[0], np.cumsum(counts)]))

    def _column(self, modality: str, space_id: str | None) -> VectorColumn:
        """Return the vector column of a modality and space, which may have no vectors yet."""
        space = self._space_id if space_id is None else space_id
        if space == self._space_id:
            incoming.check_modalities([modality], self.space.modalities)
        known = {c.modality: c for c in self._catalogue.columns(space)}
        if modality not in known and space != self._space_id:
            there = ", ".join(f"{c.modality} of {c.space}" for c in self._catalogue.columns()) or "none"
            raise NotFound(f"{self._path} has no vectors of {modality} in the space {space}; it has {there}")
        return known.get(modality) or VectorColumn(column_name(modality, space), modality, space, self.space.dim)

    def search(
        self,
        query: Any = None,
        /,
        *,
        k: int = 10,
        where: str | None = None,
        against: str | Sequence[str] | None = None,
        weights: Mapping[str, float] | None = None,
        hubs: str | None = None,
        exact: bool = False,
        with_fields: bool | Sequence[str] = True,
        vector: Any = None,
        **modalities: Any,
    ) -> Hits:
        """Return the items nearest to a query, best first.

        Parameters
        ----------
        query : str, mapping or (dim,) array, optional
            A string is a text, a mapping names modalities, an array is a vector of the space. Or name them:
        **modalities
            Modality -> item, as in ``search(text="trash bin", image=img)``; several are summed.
        vector : (dim,) array, optional
            A vector of the space, alone or as one more part of the sum.
        k : int
            Number of hits; all there are if fewer.
        where : str, optional
            SQL expression over the fields; only items for which it is true are searched.
        against : str or sequence of str, optional
            Which stored modalities to compare with; all by default, and an item's score is its best. Cosines
            across modalities are usually lower (the modality gap): name one to compare like with like.
        weights : mapping of str to float, optional
            Weight of each part of the query, 1 by default.
        hubs : {None, "csls"}
            Lower the score of items that lie near every query; usually finds more across modalities. Compares with
            all vectors, whatever index there is.
        exact : bool
            Compare with all vectors, whatever index there is.
        with_fields : bool or sequence of str
            Which fields hits carry.

        Raises
        ------
        BadInput, SpaceMismatch
            k below 1, an unknown modality, a query without direction, a filter that cannot be evaluated; a vector
            of another dimension.
        """
        parts: dict[str, Any] = {} if query is None else parts_of(query, self.space.modalities)
        named = {**modalities, **({} if vector is None else {RAW: vector})}
        if twice := set(parts) & set(named):
            raise BadInput(f"the query gives {', '.join(sorted(twice))} twice")
        asked = [{**parts, **named}]
        return self.search_many(
            asked, k=k, where=where, against=against, weights=weights, hubs=hubs, exact=exact, with_fields=with_fields
        )[0]

    def search_many(
        self,
        queries: Sequence[Any],
        *,
        k: int | Iterable[int] = 10,
        where: str | Iterable[str | None] | None = None,
        against: str | Sequence[str] | None = None,
        weights: Mapping[str, float] | None = None,
        hubs: str | None = None,
        exact: bool = False,
        with_fields: bool | Sequence[str] = True,
    ) -> list[Hits]:
        """Return the hits of each query; encodes once and compares together, so that it is much faster than a loop.

        Queries with the same filter are answered together: the filter is evaluated once, and what it selects is
        compared with all of them in one product.

        Parameters
        ----------
        queries : sequence
            Each what `search` takes as its first argument; with ``hubs`` all must have the same modalities.
        k : int or iterable of int
            Number of hits, of all queries or of each.
        where : str or iterable of str or None, optional
            Filter of all queries, or of each; a list, an array or a column of a data frame.
        against, weights, hubs, exact, with_fields
            As in `search`, for all queries.

        Raises
        ------
        BadInput, SpaceMismatch
            As `search`; or as many filters or numbers of hits as there are no queries.

        Notes
        -----
        Grouping by filter follows "High-Throughput Vector Similarity Search in Knowledge Graphs" (2023); its layout of
        partitions is what ``build_index(workload=...)`` makes.
        """
        check_choice("hubs", hubs, HUBS)
        if isinstance(queries, str | Mapping):
            raise BadInput("search_many needs a list of queries; for a single one use search")
        state, now = self._moment()
        space = self._space_of(state.space)
        asked = [parts_of(q, space.modalities) for q in queries]
        if any(RAW in parts for parts in asked):
            self._refuse_unlabelled("the vector that is searched for")
        wanted = [check_positive("k", one) for one in _one_each("k", k, len(asked))]
        filters = [_filter(one) for one in _one_each("where", where, len(asked))]
        chosen = [against] if isinstance(against, str) else list(against or space.modalities)
        incoming.check_modalities(chosen, space.modalities)
        fields = now.choose_fields(with_fields)
        masks = {one: _Mask.of(now, one) for one in dict.fromkeys(filters)}
        Q, native, bridged = self._asked_of(state, now, asked, chosen, weights, hubs=hubs is not None, exact=exact)
        answers: dict[int, tuple[list[Found], Explanation]] = {}
        for one, mask in masks.items():
            group = [i for i, f in enumerate(filters) if f == one]
            galleries: list[Searchable] = [*native, *(side.of(group) for side in bridged)]
            start, before = time.perf_counter(), [len(g.plans) for g in galleries]
            found = best_items(Q[group], galleries, max(wanted[i] for i in group), mask=mask.rows)
            plan = Explanation(
                items=len(now), version=now.version, where=one, selected=mask.selected, filter_ms=mask.ms,
                search_ms=1000 * (time.perf_counter() - start),
                plans=_plans(galleries, before),
            )  # fmt: skip
            answers.update((i, (hits[: wanted[i]], plan)) for i, hits in zip(group, found, strict=True))
        rows = np.unique(np.array([hit.row for hits, _ in answers.values() for hit in hits], np.int64))
        stored = dict(zip(rows.tolist(), now.rows(rows, fields), strict=True))  # each row is read once
        hits = [to_hits(answers[i][0], stored, now.id_name, answers[i][1]) for i in range(len(asked))]
        if state.serving is not None and self._items.fixed is None:
            self._demand.count(state.serving.id, (one.ids for one in hits))
        return hits

    def _asked_of(
        self,
        state: State,
        now: Snapshot,
        asked: Sequence[Mapping[str, Any]],
        chosen: Sequence[str],
        weights: Mapping[str, float] | None,
        *,
        hubs: bool,
        exact: bool,
    ) -> tuple[np.ndarray, list[Searchable], list[Side]]:
        """Return queries as vectors of the space of a state, its galleries, and those across a migration's bridge."""
        space = self._space_of(state.space)
        encode = _once(space)
        Q = compose(asked, encode, space.dim, weights)
        known = self._catalogue.columns()
        columns = [c for c in known if c.space == state.space and c.modality in chosen]
        native: list[Searchable]
        if hubs:
            plain = [Gallery(c.modality, *now.matrix(c.name, c.dim)) for c in columns]
            native = list(self._hubs.apply(plain, asked, space.bank))
        else:
            native = [self._gallery(now, c, exact=exact) for c in columns]
        if state.serving is None:
            return Q, native, []
        native = [replace(g, side=NATIVE) for g in native]  # type: ignore[type-var]
        crossing = self._crossing(state.serving, known)
        bridged = self._bridged.sides(
            crossing, now, asked, Q, lambda: crossing.queries(asked, encode, weights), chosen, hubs=hubs, exact=exact
        )
        return Q, native, bridged

    def info(self) -> dict[str, Any]:
        """Return what the collection holds, as plain data.

        Returns
        -------
        dict
            ``path``, ``items``, ``version``, ``id`` (name and type), ``fields`` (name -> type), ``modalities``
            (name -> items that have it), ``index`` (modality -> ``segments``, items whose vectors are ``inside`` them
            and those still ``fresh``, ``bytes`` on disk, and as ``tuned`` the recall that tuning has measured),
            ``without_vectors``, ``space``, ``spaces``, ``upgrading`` (see there; None without a migration),
            ``created``, ``bytes``.
        """
        state, now = self._moment()
        columns = [c for c in self._catalogue.columns(state.space) if c.name in now.schema.names]
        there = {c.modality: now.having(c.name) for c in columns}
        found = dict(there)
        old = [] if state.serving is None else self._catalogue.columns(state.serving.old)
        for column in old:
            either = now.present(column.name) | now.present(column_name(column.modality, state.space))
            found[column.modality] = int(np.count_nonzero(either))
        return {
            "path": str(self._path),
            "items": len(now),
            "version": now.version,
            "id": {"name": self.id_name, "type": None if now.id_type is None else str(now.id_type)},
            "fields": {name: str(kind) for name, kind in now.fields.items()},
            "modalities": found,
            "index": {c.modality: self._summary(now, c, there[c.modality]) for c in columns},
            "without_vectors": now.missing([c.name for c in [*columns, *old]]),
            "space": state.space,
            "spaces": [s for s in self._catalogue.spaces() if state.underway is None or s != state.underway.id],
            "upgrading": self.upgrading(),
            "created": self._catalogue.get("created"),
            "bytes": folders.bytes_on_disk(self._path),
        }


def _once(space: Space) -> Encode:
    """Return what encodes the parts of queries: each modality once, however many sides of a migration ask."""
    known: dict[str, Any] = {}

    def encode(items: list[Any], modality: str) -> Any:
        if modality not in known:
            known[modality] = space.encode(items, modality, cache=False)
        return known[modality]

    return encode


def _plans(galleries: Sequence[Searchable], before: Sequence[int]) -> dict[str, Sequence[Plan]]:
    """Return modality, with the side of a migration -> what was done in the last search."""
    found: dict[str, Sequence[Plan]] = {}
    for gallery, done in zip(galleries, before, strict=True):
        name = f"{gallery.modality} ({gallery.side})" if gallery.side else gallery.modality
        found[name] = [*found.get(name, ()), *gallery.plans[done:]]
    return found


@dataclass(frozen=True)
class _Mask:
    """What a filter selects: the rows (None for all), their number, and the milliseconds it took."""

    rows: npt.NDArray[np.bool_] | None
    selected: int
    ms: float

    @classmethod
    def of(cls, now: Snapshot, where: str | None) -> _Mask:
        if where is None:
            return cls(None, len(now), 0.0)
        start = time.perf_counter()
        rows = np.zeros(len(now), bool)
        rows[now.where(where)] = True
        return cls(rows, int(np.count_nonzero(rows)), 1000 * (time.perf_counter() - start))


def _one_each(name: str, value: Any, n: int) -> list[Any]:
    """Return a value for each of n queries: the same one, or those of any list, array, column or iterator."""
    if isinstance(value, Mapping | Set | bytes):
        raise BadInput(f"{name} must be one value or a list of {n}, not a {type(value).__name__}")
    if getattr(value, "ndim", 1) == 0:  # a number of NumPy, alone
        value = value.item()
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [value] * n
    values = list(value)
    if len(values) != n:
        raise BadInput(f"{name} must be one value, or one for each of the {n} queries, not {len(values)}")
    return values


def _filter(where: Any) -> str | None:
    """Return a filter; None for none, however a data frame spells that."""
    where = none_for_nan(where)
    if where is not None and not isinstance(where, str):
        raise BadInput(f"where must be an SQL expression in a string, or None for no filter, not {where!r}")
    return where
