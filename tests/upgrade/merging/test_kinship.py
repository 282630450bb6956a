import warnings

import numpy as np
import pytest
import torch

from commonspace.core.errors import BadInput
from commonspace.upgrade.merging.kinship import cosines, insist, kinship


def test_independent_weights_are_strangers_and_a_step_away_is_kin():
    g = torch.Generator().manual_seed(0)
    a, b = torch.randn(50, 40, generator=g), torch.randn(50, 40, generator=g)
    assert kinship("a", "b", [(a, b)]).verdict == "different starts"
    assert kinship("a", "b", [(a, a + 2 * b)]).verdict == "one start"


def test_the_correlation_is_that_of_numpy_over_centred_blocks():
    g = torch.Generator().manual_seed(1)
    pairs = [(torch.randn(9, 8, generator=g) + 5, torch.randn(9, 8, generator=g)) for _ in range(2)]
    centred = [np.concatenate([(p[i] - p[i].mean()).ravel() for p in pairs]) for i in (0, 1)]
    found = kinship("a", "b", pairs)
    assert found.correlation == pytest.approx(np.corrcoef(*centred)[0, 1], rel=1e-5)
    assert found.weights == 144


def test_biases_and_norms_do_not_count():
    same = torch.ones(500)
    found = kinship("a", "b", [(same, same)])
    assert found.verdict == "cannot tell"
    assert found.to_dict()["correlation"] is None


def test_too_few_weights_say_nothing():
    a = torch.randn(3, 3)
    assert kinship("a", "b", [(a, a)]).verdict == "cannot tell"


def test_strangers_are_refused_warned_of_or_let_pass():
    g = torch.Generator().manual_seed(0)
    found = [kinship("the base", "b", [(torch.randn(50, 40, generator=g), torch.randn(50, 40, generator=g))])]
    with pytest.raises(BadInput, match="Fine-tune all of them from one set of weights"):
        insist(found, "refuse")
    with pytest.warns(RuntimeWarning, match="different starts"):
        insist(found, "warn")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        insist(found, "ignore")
    with pytest.raises(BadInput, match="unrelated must be one of"):
        insist(found, "maybe")


def test_cosines_of_a_vector_of_length_zero_are_zero():
    np.testing.assert_allclose(cosines(np.array([[4.0, 0], [0, 0]])), [[1, 0], [0, 0]])
