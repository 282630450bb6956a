"""Items of real sets as they are stored and asked for: texts with what belongs together.

cranfield, cisi     documents (without their titles), asked by title and by the collection's own questions
xquad               sentences of the English passages, asked by the questions that they answer
wikitables          tables (header and first rows), asked by questions and by the title of the page
emoji, icons        names and drawings of one thing
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from claims import Skip


@dataclass(frozen=True)
class Texts:
    """Texts of one collection.

    Parameters
    ----------
    items : dict of str to list of str
        Modality -> texts of the things, in one order.
    questions : list of str
        What people ask, empty if nothing.
    relevant : (questions, things) bool
        Which things answer each question.
    """

    items: dict[str, list[str]]
    questions: list[str]
    relevant: np.ndarray


def table(name: str, part: str) -> Any:
    """Return a table of a shared set, or skip the claim."""
    import pandas as pd

    path = Path(os.environ.get("COMMONSPACE_DATA", "../shared/data")) / name / f"{part}.parquet"
    if not path.is_file():
        raise Skip(f"the shared set {name} is not at {path.parent}: set COMMONSPACE_DATA")
    return pd.read_parquet(path)


@lru_cache(maxsize=8)
def texts(name: str) -> Texts:
    """Return a collection of texts by its name."""
    return {"cisi": _judged, "cranfield": _judged, "xquad": _xquad, "wikitables": _wikitables}[name](name)


def _judged(name: str) -> Texts:
    """Documents under their titles, with judged questions."""
    docs, queries, qrels = (table(name, part) for part in ("docs", "queries", "qrels"))
    body = [_without(str(t), str(x)) for t, x in zip(docs.title, docs.text, strict=True)]
    full = [i for i, (t, b) in enumerate(zip(docs.title, body, strict=True)) if str(t).strip() and len(b) > 40]
    place = {d: row for row, d in enumerate(docs.doc_id.to_numpy()[full])}
    qrels = qrels[(qrels.grade > 0) & qrels.doc_id.isin(place)]
    queries = queries[queries.query_id.isin(qrels.query_id)]
    row = {q: i for i, q in enumerate(queries.query_id)}
    relevant = np.zeros((len(row), len(place)), bool)
    relevant[[row[q] for q in qrels.query_id], [place[d] for d in qrels.doc_id]] = True
    titles = [str(docs.title.iloc[i]).strip() for i in full]
    return Texts({"title": titles, "document": [body[i] for i in full]}, list(queries.text), relevant)


def _without(title: str, text: str) -> str:
    """Return a text without its title at the start."""
    return text[len(title) :].lstrip(" .") if text.startswith(title) else text


def _xquad(name: str) -> Texts:
    """Sentences with the questions they answer; a question is a modality, because every one has its sentence."""
    passages, questions = (table(name, part) for part in ("passages", "questions"))
    passages, questions = passages[passages.lang == "en"], questions[questions.lang == "en"]
    found: list[tuple[str, str]] = []
    whole = dict(zip(passages.passage_id, passages.text, strict=True))
    for q in questions.itertuples():
        text, at = whole[q.passage_id], int(q.answer_start)
        start = max(text.rfind(". ", 0, at) + 2, 0) if ". " in text[:at] else 0
        end = text.find(". ", at)
        found.append((str(q.question), text[start : end + 1 if end >= 0 else len(text)]))
    return Texts({"question": [q for q, _ in found], "sentence": [s for _, s in found]}, [], np.zeros((0, len(found))))


def _wikitables(name: str, rows: int = 4) -> Texts:
    """Tables under the title of their page, with two questions each."""
    tables, questions = (table(name, part) for part in ("tables", "questions"))
    cells = [
        " | ".join(str(h) for h in t.header) + " ; " + " ; ".join(" | ".join(r) for r in json.loads(t.rows_json)[:rows])
        for t in tables.itertuples()
    ]
    place = {t: i for i, t in enumerate(tables.table_id)}
    asked = questions[questions.table_id.isin(place)].groupby("table_id", sort=True).head(1)
    relevant = np.zeros((len(asked), len(place)), bool)
    relevant[np.arange(len(asked)), [place[t] for t in asked.table_id]] = True
    return Texts({"title": list(tables.page_title.astype(str)), "table": cells}, list(asked.question), relevant)
