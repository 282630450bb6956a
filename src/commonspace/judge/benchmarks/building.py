"""Benchmarks from what a corpus already holds: links between its items, or fields of its records.

Relevance by links follows "PMC-Patients" (2023): what comes from the same source has grade 2, what is linked has grade
1, in either direction; a source, with all that comes from it, lies in one split. Relevance by fields takes one field
of a record as the query and another as the document that answers it.

Both are made by rule, not by people: the labels are as good as the rule. `find_leaks` looks for what would make the
task easier than the use it stands for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.random import RandomState, generator
from commonspace.core.tables import none_for_nan, read_table
from commonspace.judge.benchmarks.benchmark import Benchmark

SHARES = {"train": 0.6, "valid": 0.2, "test": 0.2}


def from_links(
    items: Any,
    links: Any,
    *,
    item: str = "text",
    id: str = "id",
    ends: tuple[str, str] = ("source", "target"),
    same: str | None = None,
    grade: str | None = None,
    name: str = "links",
    shares: Mapping[str, float] = SHARES,
    random_state: RandomState = 0,
) -> Benchmark:
    """Return the task of finding, for every item, those that it is linked with.

    Parameters
    ----------
    items : table-like
        One row an item. Rows without a content are left out, with their links.
    links : table-like
        One row a link.
    item, id : str
        Columns of `items`: what is encoded, and what links call it.
    ends : (str, str)
        Columns of `links`: the two ends. Direction does not count.
    same : str, optional
        Column of `items`: rows of one value come from the same source and answer one another with grade 2.
    grade : str, optional
        Column of `links` with a grade above 0; 1 by default. Of several links of one pair the highest counts.
    name : str
    shares : mapping of str to float
        Share of sources in each split.
    random_state : int, Generator or None
        Seed of the split.

    Returns
    -------
    Benchmark
        Its queries are the items with at least one answer, its documents all items.

    Raises
    ------
    BadInput
        Ids that are missing or occur twice, links to unknown items, no link at all.
    """
    table, edges = read_table(items), read_table(links)
    row = _rows_by_id(table[id], id)
    documents = {d: table[item][i] for d, i in row.items() if _there(table[item][i])}
    qrels: dict[str, dict[str, float]] = {d: {} for d in documents}
    grades = [1.0] * len(edges) if grade is None else [float(g) for g in edges[grade]]
    for number, (a, b, g) in enumerate(zip(edges[ends[0]], edges[ends[1]], grades, strict=True)):
        left, right = _key(a), _key(b)
        for end in (left, right):
            if end not in row:
                raise BadInput(f"link {number} names {end!r}, which is not among the items")
        if left != right and left in documents and right in documents:
            for x, y in ((left, right), (right, left)):
                qrels[x][y] = max(g, qrels[x].get(y, 0.0))
    sources = {d: none_for_nan(table[same][row[d]]) for d in documents} if same else {}
    for members in _members(sources).values():
        for a in members:
            qrels[a].update({b: 2.0 for b in members if b != a})
    asked = {q: found for q, found in qrels.items() if found}
    if not asked:
        raise BadInput("there are no links between different items, and so no queries")
    clusters = {q: q if sources.get(q) is None else f"{same}={sources[q]}" for q in asked}
    return Benchmark(
        name,
        queries={q: documents[q] for q in asked},
        documents=documents,
        qrels=asked,
        split=_split(clusters, shares, generator(random_state)),
        clusters=clusters,
        itself=True,
        about={"made": "links", "links": len(edges), "same": same, "seed": _seed(random_state)},
    )


def from_fields(
    table: Any,
    *,
    query: str,
    document: str,
    id: str | None = None,
    document_id: str | None = None,
    cluster: str | None = None,
    name: str = "fields",
    shares: Mapping[str, float] = SHARES,
    random_state: RandomState = 0,
) -> Benchmark:
    """Return the task of finding a record's document by its query: abstracts by titles, tables by questions.

    Parameters
    ----------
    table : table-like
        One row a record. Rows without a query or a document are left out; several queries may share a document.
    query, document : str
        Columns.
    id : str, optional
        Column of ids of queries; their place in the table by default.
    document_id : str, optional
        Column that says which rows hold the same document; by default equal documents are one.
    cluster : str, optional
        Column of what hangs together (a user, a source); by default queries of one document do.
    name, shares, random_state
        As in `from_links`.

    Raises
    ------
    BadInput
        Ids that occur twice, one document id with different documents, no complete row.
    """
    rows = read_table(table)
    asked, held = rows[query], rows[document]
    whole = [i for i in range(len(rows)) if _there(asked[i]) and _there(held[i])]
    if not whole:
        raise BadInput(f"no row has both {query!r} and {document!r}")
    numbers: dict[Any, str] = {}
    documents: dict[str, Any] = {}
    queries: dict[str, Any] = {}
    qrels: dict[str, dict[str, float]] = {}
    clusters: dict[str, str] = {}
    for i in whole:
        if document_id is not None:
            d = _key(rows[document_id][i])
        elif isinstance(held[i], str):
            d = numbers.setdefault(held[i], f"d{len(numbers)}")
        else:
            raise BadInput(f"row {i}: documents that are no texts cannot be told apart: name their document_id")
        if documents.setdefault(d, held[i]) is not held[i] and isinstance(held[i], str) and documents[d] != held[i]:
            raise BadInput(f"row {i}: the document {d!r} has another content in an earlier row")
        q = f"q{i}" if id is None else _key(rows[id][i])
        if q in queries:
            raise BadInput(f"row {i}: the query id {q!r} occurs twice")
        value = None if cluster is None else none_for_nan(rows[cluster][i])
        queries[q], qrels[q], clusters[q] = asked[i], {d: 1.0}, d if value is None else f"{cluster}={value}"
    split = _split(clusters, shares, generator(random_state))
    about = {"made": "fields", "query": query, "document": document, "seed": _seed(random_state)}
    return Benchmark(name, queries, documents, qrels, split, clusters, about=about)


def _split(clusters: Mapping[str, str], shares: Mapping[str, float], rng: np.random.Generator) -> dict[str, str]:
    """Return query -> split, so that whole clusters lie in one and each split has about its share of clusters."""
    if not shares or any(not 0 <= s <= 1 for s in shares.values()) or abs(sum(shares.values()) - 1) > 1e-9:
        raise BadInput(f"shares of splits must add up to 1, got {dict(shares)}")
    known = sorted(set(clusters.values()))
    ends = np.round(np.cumsum(list(shares.values())) * len(known)).astype(int)
    places = np.searchsorted(ends, np.argsort(rng.permutation(len(known))), side="right")
    of = {c: list(shares)[p] for c, p in zip(known, places, strict=True)}
    return {q: of[c] for q, c in clusters.items()}


def _rows_by_id(ids: Iterable[Any], column: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for number, id in enumerate(ids):
        key = _key(id)
        if key in found:
            raise BadInput(f"row {number}: the id {key!r} in column {column!r} occurs twice")
        found[key] = number
    return found


def _members(sources: Mapping[str, Any]) -> dict[Any, list[str]]:
    found: dict[Any, list[str]] = {}
    for d, source in sources.items():
        if source is not None:
            found.setdefault(source, []).append(d)
    return found


def _there(item: Any) -> bool:
    item = none_for_nan(item)
    return item is not None and not (isinstance(item, str) and not item.strip())


def _key(id: Any) -> str:
    if none_for_nan(id) is None:
        raise BadInput("an id is missing")
    return str(id)


def _seed(random_state: RandomState) -> int | None:
    return int(random_state) if isinstance(random_state, int | np.integer) else None
