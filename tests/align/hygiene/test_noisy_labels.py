from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from commonspace.align.hygiene.noisy_labels import CleanedLabels, clean_labels, mutual_neighbours
from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit


def web(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Four kinds of things; kinds 0 and 1 share a name, the others are wrong by a third; texts are noisy, some missing.

    Returns X, labels, texts, definitions and the truth.
    """
    rng = np.random.default_rng(seed)
    truth = np.arange(n) % 4
    X = 3 * np.eye(4)[truth] @ np.linalg.qr(rng.normal(size=(12, 12)))[0][:4] + 0.5 * rng.normal(size=(n, 12))
    labels = np.where(
        truth < 2, rng.integers(2, size=n), np.where(rng.random(n) < 0.33, rng.integers(4, size=n), truth)
    )
    told = np.where(rng.random(n) < 0.25, rng.integers(4, size=n), truth)
    texts = np.eye(6)[told] + 0.4 * rng.normal(size=(n, 6))
    texts[rng.random(n) < 0.2] = 0
    return X.astype(np.float32), labels, texts.astype(np.float32), np.eye(6)[:4].astype(np.float32), truth


@pytest.fixture(scope="module")
def cleaned() -> tuple[CleanedLabels, np.ndarray]:
    *given, truth = web()
    return clean_labels(*given), truth


def test_most_labels_are_right_afterwards(cleaned: tuple[CleanedLabels, np.ndarray]) -> None:
    found, truth = cleaned
    assert (found.given == truth).mean() < 0.7
    assert (found.labels == truth)[found.kept].mean() > 0.95
    assert len(found.kept) > 0.9 * len(truth)


def test_wrong_labels_are_doubted(cleaned: tuple[CleanedLabels, np.ndarray]) -> None:
    found, truth = cleaned
    assert roc_auc_score(found.given != truth, found.doubt) > 0.95


def test_what_shares_a_name_is_told_apart_by_the_texts_alone(cleaned: tuple[CleanedLabels, np.ndarray]) -> None:
    *given, truth = web()
    blind = clean_labels(*given, anchors_by="label")
    shared = truth < 2
    assert (cleaned[0].labels == truth)[shared].mean() > 0.9
    assert (blind.labels == truth)[shared].mean() < 0.7


def test_the_verdict_follows_from_the_chances(cleaned: tuple[CleanedLabels, np.ndarray]) -> None:
    found, _ = cleaned
    for p, own, now, action in zip(found.probability, found.given, found.labels, found.action, strict=True):
        if p.max() >= 0.6:
            assert now == p.argmax()
            assert action == ("kept" if now == own else "corrected")
        else:
            assert (now, action) == ((own, "kept") if p[own] >= 1 / 4 else (-1, "dropped"))
    np.testing.assert_allclose(found.probability.sum(axis=1), 1)


def test_anchors_are_the_items_of_a_label_whose_smoothed_text_is_nearest() -> None:
    X, labels, texts, definitions, _ = web(80)
    found = clean_labels(X, labels, texts, definitions, anchors=5, rounds=1)
    smooth = unit(mutual_neighbours(unit(X - X.mean(axis=0))) @ unit(texts)) @ definitions.T
    for c in range(4):
        members = np.flatnonzero(labels == c)
        assert set(found.anchors[c]) == set(members[np.argsort(-smooth[members, c])][:5])


def naive_neighbours(X: np.ndarray, k: int, few: int, mix: float) -> np.ndarray:
    """The graph by its words, over sets and a dense matrix."""
    n = len(X)
    cosine = X @ X.T
    order = [sorted(range(n), key=lambda j: -np.inf if j == i else -cosine[i, j]) for i in range(n)]

    def mutual(i: int, size: int) -> set[int]:
        return {j for j in order[i][:size] if i in order[j][:size]}

    E = np.zeros((n, n))
    for i in range(n):
        members = set(mutual(i, k + 1))
        for j in mutual(i, k + 1):
            core = mutual(j, (k + 1) // 2 + 1)
            if len(core & mutual(i, k + 1)) >= 2 / 3 * len(core):
                members |= core
        for j in members:
            E[i, j] = np.exp(-(2 - 2 * cosine[i, j]))
        E[i] /= E[i].sum()
    E = np.stack([E[order[i][:few]].mean(axis=0) for i in range(n)])
    graph = np.eye(n)
    for i in range(n):
        for j in order[i][1 : k + 1]:
            jaccard = 1 - np.minimum(E[i], E[j]).sum() / np.maximum(E[i], E[j]).sum()
            if jaccard < 1:
                graph[i, j] = max(0, 1 - ((1 - mix) * jaccard + mix * (1 - cosine[i, j])))
    return graph / graph.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("mix", [0.0, 0.3])
def test_the_graph_is_that_of_the_naive_loop(mix: float) -> None:
    X = unit(np.random.default_rng(0).normal(size=(40, 5)))
    np.testing.assert_allclose(mutual_neighbours(X, 6, 3, mix).toarray(), naive_neighbours(X, 6, 3, mix), atol=1e-9)


def test_equal_items_are_neighbours_of_each_other() -> None:
    X = unit(np.repeat(np.eye(3), 4, axis=0))
    graph = mutual_neighbours(X, 3, 2).toarray()
    np.testing.assert_allclose(graph, np.kron(np.eye(3), np.full((4, 4), 0.25)), atol=1e-9)


def test_a_single_neighbourhood_may_be_larger_than_the_data() -> None:
    X = unit(np.random.default_rng(0).normal(size=(5, 3)))
    graph = mutual_neighbours(X, 20, 6).toarray()
    np.testing.assert_allclose(graph.sum(axis=1), 1)


def test_the_audit_can_be_read(cleaned: tuple[CleanedLabels, np.ndarray], tmp_path: Path) -> None:
    found, truth = cleaned
    names = ["bank of a river", "bank of money", "crane", "mouse"]
    rows = found.table(
        {"text": [f"text {i}" for i in range(400)]}, classes=names, ids=[f"item {i}" for i in range(400)]
    )
    worst = rows[0]
    i = int(worst["id"].split()[1])
    assert found.doubt[i] == found.doubt.max()
    assert worst["label"] == names[found.given[i]]
    assert worst["new label"] == names[truth[i]]
    assert worst["text"] == f"text {i}"
    assert "text and definition agree by" in worst["reason"]
    found.to_csv(tmp_path / "audit.csv", classes=names)
    with (tmp_path / "audit.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 400
    assert str(found).startswith("of 400 labels ")


def test_the_same_seed_gives_the_same_verdicts() -> None:
    *given, _ = web(120)
    np.testing.assert_array_equal(clean_labels(*given).labels, clean_labels(*given).labels)


def test_items_without_any_text_are_cleaned_by_the_others() -> None:
    X, labels, texts, definitions, truth = web()
    texts[:50] = 0
    found = clean_labels(X, labels, texts, definitions)
    assert (found.labels == truth)[:50].mean() > 0.85


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"labels": np.zeros(8, int)}, "no item is labelled 1"),
        ({"labels": np.full(8, 4)}, "from 0 to 3"),
        ({"labels": np.zeros(8)}, "whole numbers"),
        ({"texts": np.ones((7, 6))}, "its text"),
        ({"definitions": np.eye(6)[:1], "labels": np.zeros(8, int)}, "two classes"),
        ({"relabel": 1.5}, "relabel"),
        ({"temperature": 0.0}, "temperature"),
        ({"anchors": 0}, "anchors"),
        ({"anchors_by": "guess"}, "anchors_by"),
    ],
)
def test_impossible_arguments_are_refused(change: dict[str, object], match: str) -> None:
    X, _, texts, definitions, _ = web(8)
    arguments = {"X": X, "labels": np.arange(8) % 4, "texts": texts, "definitions": definitions, **change}
    with pytest.raises(BadInput, match=match):
        clean_labels(**arguments)


def test_an_audit_with_too_few_names_of_classes_is_refused(cleaned: tuple[CleanedLabels, np.ndarray]) -> None:
    with pytest.raises(BadInput, match="classes names 1 classes, and there are 4"):
        cleaned[0].table(classes=["one"])
