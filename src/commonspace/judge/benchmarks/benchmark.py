"""`Benchmark`: queries, documents and graded relevance with a split that no cluster crosses.

On disk it is a folder in the layout that BEIR made common, so that other tools read it and theirs can be read:
``corpus.jsonl`` and ``queries.jsonl`` (``_id``, ``text``), ``qrels/<split>.tsv`` (query-id, corpus-id, score). What
BEIR has no place for (clusters, how it was made) is in ``benchmark.json`` and may be missing.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from commonspace.core.digest import digest
from commonspace.core.errors import BadInput, Corrupt, NotFound
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Benchmark:
    """A retrieval task with known answers.

    Parameters
    ----------
    name : str
    queries, documents : mapping of str to item
        Id -> text, or any other item that the models under test can encode.
    qrels : mapping of str to (mapping of str to number)
        Query id -> document id -> grade above 0. Every query has at least one.
    split : mapping of str to str
        Query id -> ``"train"``, ``"valid"`` or ``"test"``.
    clusters : mapping of str to str
        Query id -> what it hangs together with: clusters are drawn together by intervals, and lie in one split.
    itself : bool
        Whether a query is the document of the same id, which then is no answer to it.
    about : mapping
        How it was made.
    """

    name: str
    queries: Mapping[str, Any]
    documents: Mapping[str, Any]
    qrels: Mapping[str, Mapping[str, float]]
    split: Mapping[str, str] = field(default_factory=dict)
    clusters: Mapping[str, str] = field(default_factory=dict)
    itself: bool = False
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.queries or not self.documents:
            raise BadInput(f"the benchmark {self.name!r} needs at least one query and one document")
        for q in self.queries:
            grades = self.qrels.get(q) or {}
            if not any(d in self.documents and not (self.itself and d == q) for d in grades):
                raise BadInput(f"no document answers the query {q!r}: leave it out")
            for d, grade in grades.items():
                if not np.isfinite(grade) or grade <= 0:
                    raise BadInput(f"the grade of query {q!r} and document {d!r} must be above 0, not {grade!r}")
        if lost := [q for q in self.qrels if q not in self.queries]:
            raise BadInput(f"{len(lost)} judged queries are not among the queries, first {lost[0]!r}")
        if wrong := sorted(set(self.split.values()) - set(SPLITS)):
            raise BadInput(f"a split is one of {', '.join(SPLITS)}, not {wrong[0]!r}")

    def ids(self, split: str | None = "test") -> list[str]:
        """Return the ids of the queries of a split, in order; all of them for None, or where nothing is split."""
        if split is None or not self.split:
            return list(self.queries)
        if split not in SPLITS:
            raise BadInput(f"a split is one of {', '.join(SPLITS)}, not {split!r}")
        return [q for q in self.queries if self.split.get(q) == split]

    def relevance(self, ids: Sequence[str]) -> sparse.csr_array:
        """Return the grades of some queries, (len(ids), documents), in the order of both."""
        place = {d: j for j, d in enumerate(self.documents)}
        found = [
            (i, place[d], grade)
            for i, q in enumerate(ids)
            for d, grade in self.qrels[q].items()
            if d in place and not (self.itself and d == q)
        ]
        rows, columns, grades = np.array(found, np.float64).reshape(-1, 3).T
        shape = (len(ids), len(self.documents))
        return sparse.csr_array((grades, (rows.astype(np.int64), columns.astype(np.int64))), shape=shape)

    def groups(self, ids: Sequence[str]) -> np.ndarray:
        """Return the cluster of each query as a number; a query without one stands alone."""
        return np.unique([self.clusters.get(q, f"query {q}") for q in ids], return_inverse=True)[1]

    def own_places(self, ids: Sequence[str]) -> np.ndarray:
        """Return where each query stands among the documents: (len(ids),) int64, -1 where it does not."""
        place = {d: j for j, d in enumerate(self.documents)} if self.itself else {}
        return np.array([place.get(q, -1) for q in ids], np.int64)

    @property
    def id(self) -> str:
        """Digest of queries, documents, judgements and split: figures of different digests are not comparable."""
        items = [{k: _digestible(v) for k, v in part.items()} for part in (self.queries, self.documents)]
        return digest([items, {q: dict(g) for q, g in self.qrels.items()}, dict(self.split), self.itself])

    def with_pool(self, size: int, *, split: str | None = "test", random_state: RandomState = 0) -> Benchmark:
        """Return the benchmark with a fixed pool of candidates: all right answers of a split, the rest drawn.

        Queries of training stay with what the pool holds of their answers, because popularity is counted by them. A
        figure of one pool says little about another, so the pool is part of `id`.
        """
        ids = self.ids(split)
        right = {d for q in ids for d in self.qrels[q] if d in self.documents}
        wanted = check_positive("size", size)
        if wanted < len(right):
            raise BadInput(f"a pool of {wanted} cannot hold the {len(right)} right answers of {len(ids)} queries")
        others = [d for d in self.documents if d not in right]
        drawn = generator(random_state).permutation(len(others))[: wanted - len(right)]
        kept = right | {others[i] for i in drawn}
        documents = {d: item for d, item in self.documents.items() if d in kept}
        asked = set(ids) | {q for q, s in self.split.items() if s == "train" and q in self.queries}
        judged = {q: {d: g for d, g in self.qrels[q].items() if d in kept} for q in self.queries if q in asked}
        qrels = {q: g for q, g in judged.items() if any(not (self.itself and d == q) for d in g)}
        queries = {q: self.queries[q] for q in qrels}
        chosen = {q: s for q, s in self.split.items() if q in queries}
        return replace(
            self, queries=queries, documents=documents, qrels=qrels, split=chosen,
            about={**self.about, "pool": len(documents)},
        )  # fmt: skip

    # ------------------------------------------------------------ save, load

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write a folder in the layout of BEIR; it must not exist, or be empty."""
        path = Path(folder)
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise BadInput(f"{path} exists and is not an empty folder: choose another name")
        for what, items in (("queries", self.queries), ("documents", self.documents)):
            if odd := next((k for k, v in items.items() if not isinstance(v, str)), None):
                raise BadInput(f"only texts can be saved, but {what}[{odd!r}] is {type(items[odd]).__name__}")
        (path / "qrels").mkdir(parents=True)
        for file, items in (("queries.jsonl", self.queries), ("corpus.jsonl", self.documents)):
            with open(path / file, "w", encoding="utf-8") as f:
                f.writelines(json.dumps({"_id": k, "text": v}, ensure_ascii=False) + "\n" for k, v in items.items())
        for split in SPLITS if self.split else ("test",):
            with open(path / "qrels" / f"{split}.tsv", "w", encoding="utf-8", newline="") as f:
                sheet = csv.writer(f, delimiter="\t", lineterminator="\n")
                sheet.writerow(["query-id", "corpus-id", "score"])
                sheet.writerows([q, d, f"{g:g}"] for q in self.ids(split) for d, g in self.qrels[q].items())
        about = {"name": self.name, "itself": self.itself, "clusters": self.clusters, "about": self.about}
        (path / "benchmark.json").write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Benchmark:
        """Read a folder in the layout of BEIR, ours or another's; documents may have a ``title`` too."""
        path = Path(folder)
        for file in ("queries.jsonl", "corpus.jsonl", "qrels"):
            if not (path / file).exists():
                raise NotFound(f"{path} is no benchmark: it has no {file}")
        queries, documents = (_texts(path / file) for file in ("queries.jsonl", "corpus.jsonl"))
        qrels: dict[str, dict[str, float]] = {}
        split = {}
        for file, name in (("train", "train"), ("dev", "valid"), ("valid", "valid"), ("test", "test")):
            for q, d, grade in _judgements(path / "qrels" / f"{file}.tsv"):
                if grade > 0:
                    qrels.setdefault(q, {})[d] = grade
                    split[q] = name
        kept = {q: text for q, text in queries.items() if q in qrels}
        extra = path / "benchmark.json"
        more = json.loads(extra.read_text(encoding="utf-8")) if extra.exists() else {"name": path.name}
        return cls(queries=kept, documents=documents, qrels=qrels, split=split, **more)


def _digestible(item: Any) -> Any:
    return item if isinstance(item, str | bytes) else np.asarray(item)


def _texts(file: Path) -> dict[str, str]:
    found = {}
    with open(file, encoding="utf-8") as f:
        for number, line in enumerate(f, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
                found[str(row["_id"])] = "\n".join(p for p in (row.get("title"), row["text"]) if p)
            except (ValueError, KeyError, TypeError) as e:
                raise Corrupt(f"line {number} of {file} is no object with _id and text: {e!r}") from None
    return found


def _judgements(file: Path) -> Iterator[tuple[str, str, float]]:
    if not file.exists():
        return
    with open(file, encoding="utf-8", newline="") as f:
        for number, row in enumerate(csv.reader(f, delimiter="\t"), 1):
            if number == 1 and row[:1] == ["query-id"]:
                continue
            try:
                query, document, grade = row
                yield query, document, float(grade)
            except ValueError:
                raise Corrupt(f"line {number} of {file} is not query-id, corpus-id and score: {row}") from None
