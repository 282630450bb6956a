"""Data sets of different kinds under one figure, for claims about what suits which data.

    icons          pictures and names, one to one
    noisy icons    the same with 40 % of the names dealt out anew
    languages      emoji drawings with their names in three languages: four modalities
    tags           emoji drawings and names, graded by how many keywords two of them share
    classes        halves of turned digits, forty classes of many items
    sentences      a sentence and its English translation (tatoeba, three languages)
    noisy sentences   the same with 40 % of the translations dealt out anew
    code           a task in words and its solution in three programming languages (code_mbxp)

The figure is nDCG@10, mean over all directions between modalities, on things never seen in training. The last three
had no part in any choice.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from claims import Skip
from claims.align._classes import turned_digits
from claims.align._emoji import emoji
from claims.align._icons import encoded, with_wrong_pairs
from scipy.sparse import csr_array

from commonspace.align.fit import fit_heads
from commonspace.align.relevance import by_sets
from commonspace.encode.ngrams import NGrams
from commonspace.measure import evaluate

Vectors = dict[str, np.ndarray]
WRONG = 0.4


@dataclass(frozen=True)
class Task:
    """Training data as `fit_heads` takes them, test vectors, and what is relevant to what among them."""

    train: Vectors
    groups: np.ndarray
    test: Vectors
    truth: np.ndarray
    relevance: Callable[[np.ndarray], np.ndarray] | None = None


def icons(seed: int) -> Task:
    split = encoded(seed, 1500, 500)
    return Task(split.train, split.train_groups, split.test, _same(split.test_groups))


def noisy_icons(seed: int) -> Task:
    split = with_wrong_pairs(encoded(seed, 1500, 500), WRONG, seed)
    return Task(split.train, split.train_groups, split.test, _same(split.test_groups))


def languages(seed: int) -> Task:
    spoken = ("en", "de", "ru")
    data = emoji(spoken)
    train, test = data.split(seed)
    test = np.random.default_rng(seed).permutation(test)[:500]
    X = {"image": data.images["noto"]} | {lang: _words(data.names[lang], train) for lang in spoken}
    return Task(_rows(X, train), np.arange(len(train)), _rows(X, test), np.eye(len(test)))


def tags(seed: int) -> Task:
    data = emoji()
    train, test = data.split(seed)
    test = np.random.default_rng(seed).permutation(test)[:500]
    X = {"image": data.images["noto"], "text": _words(data.names["en"], train)}

    def grades(rows: np.ndarray) -> Any:
        return by_sets({"keywords": [set(data.keywords["en"][i]) for i in rows]})

    truth = grades(test)(np.arange(len(test)))
    return Task(_rows(X, train), np.arange(len(train)), _rows(X, test), truth, grades(train))


def classes(seed: int) -> Task:
    train, test = turned_digits(seed, 1200, 500)
    return Task(train.X, train.classes, test.X, _same(test.classes))


@lru_cache(maxsize=4)
def sentences(seed: int) -> Task:
    import pandas as pd

    table = pd.read_parquet(_set("tatoeba") / "pairs.parquet")
    table = table[table.lang.isin(["deu", "fra", "nld"])].drop_duplicates("text_en").reset_index(drop=True)
    order = np.random.default_rng(seed).permutation(len(table))
    train, test = order[500:2000], order[:500]
    X = {"foreign": _words(list(table.text), train), "english": _words(list(table.text_en), train)}
    return Task(_rows(X, train), np.arange(len(train)), _rows(X, test), np.eye(len(test)))


def noisy_sentences(seed: int) -> Task:
    task = sentences(seed)
    rng = np.random.default_rng(seed)
    wrong = rng.permutation(len(task.groups))[: int(WRONG * len(task.groups))]
    order = np.arange(len(task.groups))
    order[wrong] = np.roll(wrong, 1)
    train = {"foreign": task.train["foreign"], "english": task.train["english"][order]}
    return Task(train, task.groups, task.test, task.truth)


def code(seed: int) -> Task:
    import pandas as pd

    table = pd.read_parquet(_set("code_mbxp") / "code.parquet")
    chosen = ("python", "java", "ruby")
    by_task = {lang: table[table.lang == lang].drop_duplicates("task").set_index("task") for lang in chosen}
    tasks = sorted(set.intersection(*(set(t.index) for t in by_task.values())))
    order = np.random.default_rng(seed).permutation(len(tasks))
    train, test = order[250:], order[:250]
    X = {"task": _words(list(by_task["python"].description.reindex(tasks)), train)}
    X |= {lang: _words(list(t.code.reindex(tasks)), train) for lang, t in by_task.items()}
    return Task(_rows(X, train), np.arange(len(train)), _rows(X, test), np.eye(len(test)))


KINDS: dict[str, Callable[[int], Task]] = {
    "icons": icons,
    "noisy icons": noisy_icons,
    "languages": languages,
    "tags": tags,
    "classes": classes,
    "sentences": sentences,
    "noisy sentences": noisy_sentences,
    "code": code,
}
UNSEEN = ("sentences", "noisy sentences", "code")


def ndcg(task: Task, objective: Any, seed: int, epochs: int, **options: Any) -> tuple[float, Any]:
    """Return mean nDCG@10 over all directions on the test part, and the fit."""
    head = {"name": "mlp", "hidden": 256, "dropout": 0.3}
    found = fit_heads(
        task.train, groups=task.groups, relevance=task.relevance, objective=objective, head=head, dim=64,
        epochs=epochs, valid=None, baselines=(), random_state=seed, **{"batch_size": 256, **options},
    )  # fmt: skip
    z = {m: found.heads[m](v) for m, v in task.test.items()}
    truth = csr_array(task.truth)
    ways = [(a, b) for a in z for b in z if a != b]
    values = [evaluate(z[a] @ z[b].T, truth, ["ndcg@10"], resamples=1)["ndcg@10"].value for a, b in ways]
    return float(np.mean(values)), found


def _set(name: str) -> Path:
    path = Path(os.environ.get("COMMONSPACE_DATA", "../shared/data")) / name
    if not path.is_dir():
        raise Skip(f"the shared set {name} is not at {path}: set COMMONSPACE_DATA")
    return path


def _same(groups: np.ndarray) -> np.ndarray:
    return (groups[:, None] == groups[None, :]).astype(float)


def _rows(X: Vectors, rows: np.ndarray) -> Vectors:
    return {m: v[rows] for m, v in X.items()}


def _words(texts: list[str], train: np.ndarray) -> np.ndarray:
    """N-grams that know the training part only."""
    return NGrams(dim=128, max_features=5000).fit([texts[i] for i in train]).encode(texts)
