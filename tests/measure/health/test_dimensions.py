import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import dimensions


def healthy(n: int = 1000, dim: int = 24, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


def test_independent_dimensions_have_nothing_wrong():
    found = dimensions(healthy())
    assert (found.dead, found.redundant, found.dominating) == ((), (), ())
    assert found.top_share.value == pytest.approx(1 / 24, abs=0.01)
    assert found.precision == "float32"


def test_constants_are_dead_whatever_their_value():
    X = healthy()
    X[:, 3], X[:, 7] = 0, 5
    X[:, 9] = 1 + 1e-6 * X[:, 9]
    found = dimensions(X)
    assert found.dead == (3, 7, 9)
    assert found.dead_share.value == 3 / 24
    assert found.redundant == ()


def test_dimensions_that_say_the_same_are_redundant_with_the_first():
    X = healthy()
    X[:, 5] = -2 * X[:, 1] + 0.05 * X[:, 5]
    X[:, 8] = X[:, 1] + 3
    X[:, 9] = X[:, 2] + 0.3 * X[:, 9]  # a correlation of 0.96
    found = dimensions(X)
    assert [(j, i) for j, i, _ in found.redundant] == [(5, 1), (8, 1)]
    assert found.redundant[0][2] == pytest.approx(np.corrcoef(X[:, 5], X[:, 1])[0, 1], abs=1e-6)
    assert [j for j, _, _ in dimensions(X, correlation=0.9).redundant] == [5, 8, 9]


def test_a_dimension_that_decides_every_cosine_is_found_by_variance_or_by_mean():
    for change in (lambda v: 20 * v, lambda v: v + 20):
        X = healthy()
        X[:, 4] = change(X[:, 4])
        found = dimensions(X)
        share = np.square(X[:, 4].astype(float)).sum() / np.square(X.astype(float)).sum()
        assert found.dominating[0] == (4, pytest.approx(share))
        assert len(found.dominating) == 1
        assert found.top_share.low < share < found.top_share.high


def test_the_interval_of_the_top_share_covers_the_truth():
    scale = np.ones(8)
    scale[0] = 3
    inside = 0
    for seed in range(60):
        found = dimensions(healthy(150, 8, seed) * scale, random_state=seed).top_share
        inside += found.low <= 9 / 16 <= found.high
    assert inside >= 51


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda X: X.astype(np.float16), "float16"),
        (lambda X: X.astype(np.float16).astype(np.float32), "float16"),
        (lambda X: (X.view(np.uint32) & 0xFFFF0000).view(np.float32), "bfloat16"),
        (lambda X: np.round(X * 20).clip(-127, 127).astype(np.float32) / 20 * 0.3, "8 bits"),
        (lambda X: np.round(X * 20).clip(-127, 127).astype(np.int8), "8 bits"),
        (lambda X: np.round(X * 2).clip(-7, 7) * 0.1, "4 bits"),
        (lambda X: np.sign(X), "binary"),
        (lambda X: X.astype(np.float64) * 1.1, "float64"),
    ],
)
def test_the_precision_that_numbers_were_stored_in_shows(change, name):
    X = np.random.default_rng(0).normal(size=(4000, 6)).astype(np.float32)
    assert dimensions(change(X)).precision == name


def test_blocks_give_the_same_and_sick_rows_are_skipped():
    X = healthy()
    X[:, 4] *= 20
    assert dimensions([X[:300], X[300:]]).dominating == dimensions(X).dominating
    X[5] = np.nan
    found = dimensions(X)
    assert (found.top_share.n, found.top_share.skipped) == (999, 1)


def test_zeros_and_too_few_rows():
    assert len(dimensions(np.zeros((5, 3))).dead) == 3
    with pytest.raises(BadInput, match="two finite rows"):
        dimensions(healthy(1))
    with pytest.raises(BadInput, match="correlation"):
        dimensions(healthy(), correlation=1.0)


def test_the_report_is_plain_data():
    assert "stored as   float32" in str(dimensions(healthy()))
    json.dumps(dimensions(healthy()).to_dict())
