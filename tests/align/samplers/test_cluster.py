from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.align.conftest import two_views

from commonspace.align.data import PairData
from commonspace.align.fit import fit_heads
from commonspace.align.hygiene.remedies import Likely
from commonspace.align.samplers.cluster import Cluster
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.registry import find


def items(n: int) -> PairData:
    """Items whose vectors do not matter."""
    return PairData.check({"a": np.ones((n, 2)), "b": np.ones((n, 2))})


def test_its_source_is_cited_by_the_title_it_was_published_under() -> None:
    entry = find("Sampler", "cluster")
    title = "G-SimCLR : Self-Supervised Contrastive Learning with Guided Projection via Pseudo Labelling"
    assert [paper.title for paper in entry.papers] == [title]  # arXiv has the blank before the colon


def epoch(labels: np.ndarray, seed: int = 0, **options: Any) -> list[np.ndarray]:
    sampler = Cluster(clusters=labels, **options)
    rng = np.random.default_rng(seed)
    sampler.prepare(items(len(labels)), rng)
    return list(sampler.batches(len(labels), rng))


def rooms(k: int, size: int, seed: int = 0) -> tuple[PairData, np.ndarray]:
    """Items around k far points, seen twice; which point each belongs to."""
    rng = np.random.default_rng(seed)
    of = np.repeat(np.arange(k), size)
    centres = 10 * rng.normal(size=(k, 6))
    X = {m: (centres[of] + 0.1 * rng.normal(size=(len(of), 6))).astype(np.float32) for m in "ab"}
    return PairData.check(X), of


@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=12),
    batch_size=st.integers(1, 20),
    whole=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    seed=st.integers(0, 3),
)
def test_every_item_comes_once_in_batches_of_nearly_one_size(
    sizes: list[int], batch_size: int, whole: float, seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    batches = epoch(labels, seed, batch_size=batch_size, whole=whole)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(labels)))
    found = [len(b) for b in batches]
    assert max(found) <= batch_size
    assert max(found) - min(found) <= 1


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), batch_size=st.integers(1, 20), seed=st.integers(0, 3)
)
def test_apart_no_batch_holds_more_of_a_cluster_than_it_must(sizes: list[int], batch_size: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    batches = epoch(labels, seed, batch_size=batch_size)
    for cluster, size in enumerate(sizes):
        assert max((labels[b] == cluster).sum() for b in batches) == -(-size // len(batches))


@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=12), batch_size=st.integers(1, 20), seed=st.integers(0, 3)
)
def test_whole_clusters_lie_in_as_few_batches_as_a_run_does(sizes: list[int], batch_size: int, seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    batches = epoch(labels, seed, batch_size=batch_size, whole=1.0)
    smallest = min(map(len, batches))
    for cluster, size in enumerate(sizes):
        lies_in = sum(bool((labels[b] == cluster).any()) for b in batches)
        assert lies_in <= -(-(size - 1) // max(smallest, 1)) + 1  # a run may start anywhere in a batch
    cut = sum(len(np.unique(labels[b])) for b in batches) - len(sizes)
    assert cut <= len(batches) - 1  # a boundary between batches cuts one cluster at the most


def test_the_dial_goes_from_apart_to_whole() -> None:
    labels = np.repeat(np.arange(40), 10)
    together = []
    for whole in (0.0, 0.25, 0.5, 0.75, 1.0):
        sampler = Cluster(batch_size=40, clusters=labels, whole=whole)
        rng = np.random.default_rng(0)
        sampler.prepare(items(400), rng)
        batches = list(sampler.batches(400, rng))
        naive = np.mean([np.mean([labels[i] == labels[j] for i in b for j in b if i != j]) for b in batches])
        assert sampler.diagnostics["same_cluster"] == pytest.approx(naive)
        together.append(naive)
    assert together[0] == 0
    assert together[-1] > 0.2
    assert together == sorted(together)


def test_which_clusters_stay_whole_changes_from_epoch_to_epoch() -> None:
    labels = np.repeat(np.arange(20), 5)
    sampler, rng = Cluster(batch_size=20, clusters=labels, whole=0.5), np.random.default_rng(0)
    sampler.prepare(items(100), rng)

    def kept() -> set[int]:
        in_one = [set(labels[b][np.unique(labels[b], return_index=True)[1]]) for b in sampler.batches(100, rng)]
        return {c for c in range(20) if sum(c in s for s in in_one) == 1}

    epochs = [kept() for _ in range(20)]
    assert len({frozenset(e) for e in epochs}) > 1
    assert set.union(*epochs) == set(range(20))


def test_clusters_are_found_in_the_frozen_vectors() -> None:
    data, of = rooms(8, 12)
    sampler, rng = Cluster(batch_size=12, clusters=8), np.random.default_rng(0)
    sampler.prepare(data, rng)
    assert sampler.labels_ is not None
    pairs = {(a, b) for a, b in zip(of, sampler.labels_, strict=True)}
    assert len(pairs) == 8  # one name for one room
    assert sampler.batch_size < len(of)
    assert all(np.bincount(of[b]).max() <= 2 for b in sampler.batches(96, rng))  # 12 of a room in 8 batches


def test_one_modality_may_say_what_is_alike() -> None:
    data, of = rooms(6, 10)
    data.X["b"][:] = np.random.default_rng(1).normal(size=data.X["b"].shape) * 50
    sampler = Cluster(batch_size=10, clusters=6, modality="a")
    sampler.prepare(data, np.random.default_rng(0))
    assert sampler.labels_ is not None
    assert len(set(zip(of.tolist(), sampler.labels_.tolist(), strict=True))) == 6


def test_items_without_a_modality_are_clustered_by_the_others() -> None:
    data, of = rooms(6, 10)
    data.present["b"][::2] = False
    data.X["b"][::2] = 1e6  # what is absent may hold anything
    sampler = Cluster(batch_size=10, clusters=6, modality="a")
    both = Cluster(batch_size=10, clusters=12)
    for s in (sampler, both):
        s.prepare(data, np.random.default_rng(0))
        assert s.labels_ is not None
        mixed = [len(set(of[s.labels_ == c])) for c in range(s.labels_.max() + 1)]
        assert max(mixed) == 1


@pytest.mark.parametrize("n", [1, 2, 3, 40])
@pytest.mark.parametrize("asked", [None, 1, 7, 500])
def test_any_number_of_items_and_clusters_will_do(n: int, asked: int | None) -> None:
    X = two_views(n)
    sampler, rng = Cluster(batch_size=8, clusters=asked), np.random.default_rng(0)
    sampler.prepare(PairData.check(X), rng)
    assert sorted(np.concatenate(list(sampler.batches(n, rng))).tolist()) == list(range(n))


def test_training_prepares_a_copy_and_reports_the_share_of_one_cluster() -> None:
    X, labels = two_views(120), np.arange(120) // 6
    for sampler in ({"name": "cluster"}, Cluster(batch_size=32, clusters=labels, whole=1.0)):
        fitted = fit_heads(X, sampler=sampler, epochs=2, batch_size=32, dim=8, head="linear", baselines=())
        assert 0 <= fitted.history[-1]["same_cluster"] < 1
        if isinstance(sampler, Cluster):
            assert sampler.labels_ is None
            assert fitted.history[-1]["same_cluster"] > 0.1


def test_labels_follow_their_items_through_a_split_and_a_remedy() -> None:
    labels = np.arange(200) % 50
    data = PairData.check(two_views(200)).take(np.arange(199, 99, -1))
    sampler = Likely(Cluster(batch_size=30, clusters=labels), np.ones(100))
    rng = np.random.default_rng(0)
    sampler.prepare(data, rng)
    for batch in sampler.batches(100, rng):
        assert np.bincount(labels[data.rows[batch]]).max() == 1


def test_it_says_what_is_missing_or_wrong() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(NotFitted, match="prepare"):
        list(Cluster().batches(10, rng))
    with pytest.raises(BadInput, match="whole"):
        Cluster(whole=1.5)
    with pytest.raises(BadInput, match="clusters"):
        Cluster(clusters=0)
    with pytest.raises(BadInput, match="clusters must be"):
        Cluster(clusters=np.zeros(5, int)).prepare(items(6), rng)
    with pytest.raises(BadInput, match="modality is 'c'"):
        Cluster(modality="c").prepare(items(6), rng)
    ready = Cluster()
    ready.prepare(items(6), rng)
    with pytest.raises(BadInput, match="prepared for 6"):
        list(ready.batches(5, rng))
