from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from commonspace.align.curation import curate
from commonspace.core.errors import BadInput, SpaceMismatch


def crowd() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three concepts with 100, 10 and 3 pairs, and five pairs that belong to none: vectors, concepts, prototypes."""
    rng = np.random.default_rng(0)
    prototypes = np.eye(6)[:3]
    label = np.repeat([0, 1, 2, -1], [100, 10, 3, 5])
    vectors = np.where(label[:, None] >= 0, prototypes[label], np.eye(6)[5]) + 0.1 * rng.normal(size=(118, 6))
    return vectors, label, prototypes


def test_every_concept_gets_its_quota_and_no_more() -> None:
    vectors, label, prototypes = crowd()
    chosen = curate(vectors, prototypes, quota=8, min_similarity=0.5)
    assert np.bincount(label[chosen]).tolist() == [8, 8, 3]


def test_the_nearest_to_the_prototype_are_taken() -> None:
    vectors, label, prototypes = crowd()
    chosen = curate(vectors, prototypes, quota=8, min_similarity=0.5)
    cosine = vectors[:, 0] / np.linalg.norm(vectors, axis=1)
    taken, left = cosine[chosen[label[chosen] == 0]], np.delete(cosine, chosen)[np.delete(label, chosen) == 0]
    assert taken.min() >= left.max()


def test_near_duplicates_are_passed_over() -> None:
    vectors, _, prototypes = crowd()
    doubled = np.vstack([vectors, vectors * 2])
    chosen = curate(doubled, prototypes, quota=8, min_similarity=0.5)
    assert len(set(chosen % 118)) == len(chosen)


def test_extra_pairs_come_from_what_is_left() -> None:
    vectors, _, prototypes = crowd()
    base = curate(vectors, prototypes, quota=2, min_similarity=0.5)
    more = curate(vectors, prototypes, quota=2, min_similarity=0.5, extra=10, random_state=3)
    assert set(base) <= set(more)
    assert len(more) == len(base) + 10


@given(quota=st.integers(1, 20), extra=st.integers(0, 200), seed=st.integers(0, 5))
def test_positions_are_valid_sorted_and_unique(quota: int, extra: int, seed: int) -> None:
    vectors, _, prototypes = crowd()
    chosen = curate(vectors, prototypes, quota=quota, extra=extra, random_state=seed)
    assert (np.diff(chosen) > 0).all()
    assert 0 <= chosen.min() <= chosen.max() < 118


@pytest.mark.parametrize("arguments", [{"quota": 0}, {"quota": 1, "extra": -1}])
def test_impossible_arguments_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(BadInput):
        curate(*crowd()[::2], **arguments)


def test_nothing_to_choose_from_and_other_dimensions_are_refused() -> None:
    with pytest.raises(BadInput, match="got 0 and 3"):
        curate(np.zeros((0, 6)), np.eye(6)[:3], quota=1)
    with pytest.raises(SpaceMismatch):
        curate(np.ones((4, 5)), np.eye(6), quota=1)
