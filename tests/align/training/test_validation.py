from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from commonspace.align.data import PairData
from commonspace.align.training.validation import ranks, retrieval_figures, subsample


@given(seed=st.integers(0, 50))
def test_ranks_equal_a_naive_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Coarse scores, so that ties happen.
    Q, G = rng.integers(-1, 2, size=(6, 3)).astype(np.float32), rng.integers(-1, 2, size=(9, 3)).astype(np.float32)
    q, g = rng.integers(0, 4, 6), rng.integers(0, 4, 9)
    found = ranks(*(torch.from_numpy(v) for v in (Q, G, q, g))).numpy()
    for i in range(6):
        scores = G @ Q[i]
        relevant = g == q[i]
        if not relevant.any():
            assert np.isinf(found[i])
            continue
        best, others = scores[relevant].max(), scores[~relevant]
        assert found[i] == 1 + (others > best).sum() + 0.5 * (others == best).sum()


def test_figures_are_the_mean_over_both_directions_of_what_is_there() -> None:
    X = {"a": np.ones((4, 2)), "b": np.ones((4, 2))}
    data = PairData.check(X, {"b": np.array([True, True, True, False])})
    z = torch.eye(4)
    figures = retrieval_figures({"a": z, "b": z[[0, 2, 1, 3]]}, data)
    # Item 0 finds itself, 1 and 2 find each other first, 3 has nothing to find.
    assert figures["a->b r@1"] == pytest.approx(1 / 3)
    assert figures["mrr"] == pytest.approx((figures["a->b mrr"] + figures["b->a mrr"]) / 2)


def test_a_subsample_takes_whole_groups() -> None:
    groups = np.repeat(np.arange(100), 3)
    data = PairData.check({"a": np.ones((300, 2)), "b": np.ones((300, 2))}, groups=groups)
    part = subsample(data, np.random.default_rng(0), limit=60)
    assert len(part) == 60
    assert (np.unique(part.groups, return_counts=True)[1] == 3).all()
    assert subsample(data, np.random.default_rng(0), limit=300) is data
