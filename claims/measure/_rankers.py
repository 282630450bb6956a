"""Two small judged collections and rankers of graded quality on them, for the claims of this folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from claims import Skip
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.preprocessing import normalize

Run = dict[int, list[int]]


@dataclass(frozen=True)
class Judged:
    """A collection: texts of documents and queries, and what is relevant."""

    name: str
    documents: pd.DataFrame
    queries: pd.Series
    judgements: dict[int, dict[int, float]]


@lru_cache(maxsize=2)
def collection(name: str) -> Judged:
    """Cranfield (1,400 abstracts of aerodynamics, 225 queries) or CISI (1,460 of library science, 76 queries)."""
    path = Path(os.environ.get("COMMONSPACE_DATA", "../shared/data")) / name
    if not path.exists():
        raise Skip(f"the shared set {name} is not at {path}: set COMMONSPACE_DATA")
    documents, queries, qrels = (pd.read_parquet(path / f"{f}.parquet") for f in ("docs", "queries", "qrels"))
    qrels = qrels[qrels.grade > 0]
    judgements: dict[int, dict[int, float]] = {}
    for q, d, g in zip(qrels.query_id, qrels.doc_id, qrels.grade, strict=True):
        judgements.setdefault(int(q), {})[int(d)] = float(g)
    texts = queries.set_index("query_id").text
    return Judged(name, documents.set_index("doc_id"), texts[list(judgements)], judgements)


class Rankers:
    """Fifteen rankers of one collection: BM25, TF-IDF, latent semantic analysis, titles only."""

    def __init__(self, data: Judged) -> None:
        texts, words = data.documents.text.tolist(), {"stop_words": "english"}
        self.bm25 = bm25(texts)
        self.kinds = {
            "tf-idf": TfidfVectorizer(**words),
            "tf-idf, log tf": TfidfVectorizer(sublinear_tf=True, **words),
            "tf": TfidfVectorizer(use_idf=False, **words),
            "shared words": TfidfVectorizer(use_idf=False, binary=True, norm=None, **words),
            "characters": TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, min_df=2),
            "titles": TfidfVectorizer(**words),
        }
        titles = data.documents.title.fillna("").tolist()
        self.documents = {n: kind.fit_transform(titles if n == "titles" else texts) for n, kind in self.kinds.items()}
        self.lsa = TruncatedSVD(200, random_state=0).fit(self.documents["tf-idf, log tf"])
        self.topics = self.lsa.transform(self.documents["tf-idf, log tf"])

    def __call__(self, queries: list[str]) -> dict[str, np.ndarray]:
        """Return the (queries, documents) scores of each."""
        asked = {name: kind.transform(queries) for name, kind in self.kinds.items()}
        out = {name: (q @ self.documents[name].T).toarray() for name, q in asked.items()}
        q = self.lsa.transform(asked["tf-idf, log tf"])
        out |= {
            f"lsa {dim}": normalize(q[:, :dim]) @ normalize(self.topics[:, :dim]).T for dim in (10, 25, 50, 100, 200)
        }
        words = bm25_words(queries)
        none = np.zeros(len(self.topics))
        out |= {n: np.array([i.get_scores(w) if w else none for w in words]) for n, i in self.bm25.items()}
        return out


@lru_cache(maxsize=2)
def rankers(name: str) -> Rankers:
    return Rankers(collection(name))


def bm25(texts: list[str]) -> dict[str, Any]:
    """Return four indexes that weigh repetition and length differently."""
    try:
        import bm25s
    except ImportError:
        raise Skip("BM25 needs bm25s: pip install bm25s") from None
    out = {}
    for k1, b in ((1.5, 0.75), (0.9, 0.4), (3.0, 1.0), (1.2, 0.0)):
        out[f"bm25 {k1}/{b}"] = bm25s.BM25(k1=k1, b=b)
        out[f"bm25 {k1}/{b}"].index(bm25_words(texts), show_progress=False)
    return out


def bm25_words(texts: list[str]) -> list[list[str]]:
    import bm25s

    words: list[list[str]] = bm25s.tokenize(texts, stopwords="en", show_progress=False, return_ids=False)
    return words


def noisy(score: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    """Return scores with noise in units of the spread of each query's best 100."""
    spread = np.sort(score, axis=1)[:, -100:].std(axis=1, keepdims=True)
    return score + noise * spread * rng.normal(size=score.shape)


def as_runs(data: Judged, tables: dict[str, np.ndarray], depth: int = 100) -> dict[str, Run]:
    """Return the first documents of every query; equal scores stand in the order of the documents."""
    ids, queries = data.documents.index.to_numpy(), data.queries.index
    return {
        name: {int(q): ids[np.argsort(-row, kind="stable")[:depth]].tolist() for q, row in zip(queries, s, strict=True)}
        for name, s in tables.items()
    }
