from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array
from tests.align.conftest import two_views

from commonspace.align.data import PairData
from commonspace.align.training.inputs import checked_blocks, relevance_function, split_off
from commonspace.core.blocks import Block
from commonspace.core.errors import BadInput


def data(n: int = 20, seed: int = 0) -> PairData:
    return PairData.check(two_views(n, seed))


def test_a_share_is_held_out_and_nothing_if_nothing_is_asked_for() -> None:
    training, held = split_off(data(), 0.25, np.random.default_rng(0))
    assert held is not None
    assert (len(training), len(held)) == (15, 5)
    everything, none = split_off(data(), None, np.random.default_rng(0))
    assert (len(everything), none) == (20, None)


def test_given_validation_data_is_taken_whole() -> None:
    training, held = split_off(data(), (two_views(7, 1), None, None), np.random.default_rng(0))
    assert held is not None
    assert (len(training), len(held)) == (20, 7)


@pytest.mark.parametrize(
    ("valid", "message"),
    [
        (True, "valid must be .X, present, groups., a fraction or None, not bool"),
        (({"a": np.ones((3, 24)), "c": np.ones((3, 30))}, None, None), "valid has the modalities"),
        (({"a": np.ones((3, 9)), "b": np.ones((3, 30))}, None, None), "'a' has dimension 24 in training and 9"),
        ((two_views(1), None, None), "holds 1 pairs and at least 2"),
    ],
)
def test_validation_data_that_does_not_fit_is_refused(valid: Any, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        split_off(data(), valid, np.random.default_rng(0))


def test_widths_become_blocks_that_are_as_wide_as_the_rows() -> None:
    assert checked_blocks({"a": [20, Block(4)]}, data()) == {"a": [Block(20), Block(4)]}
    assert checked_blocks(None, data()) == {}
    with pytest.raises(BadInput, match=r"blocks\['a'\] sums to 20, but its rows have dimension 24"):
        checked_blocks({"a": [20]}, data())
    with pytest.raises(BadInput, match="names the modality 'c'"):
        checked_blocks({"c": [20]}, data())


def test_relevance_is_looked_up_by_position_whatever_it_was_given_as() -> None:
    dense = np.random.default_rng(0).random((6, 6)).round(1)
    index = np.array([4, 0, 2])
    for given in (csr_array(dense), lambda i: dense[np.ix_(i, i)]):
        look_up = relevance_function(given, 6)
        assert look_up is not None
        np.testing.assert_allclose(look_up(index), dense[np.ix_(index, index)], rtol=1e-6)
    assert relevance_function(None, 6) is None
    with pytest.raises(BadInput, match=r"a \(5, 5\) SciPy sparse matrix"):
        relevance_function(csr_array(dense), 5)
