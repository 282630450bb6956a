from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.align.conftest import two_views

from commonspace.align.fit import fit_heads
from commonspace.align.forward import NumpyHead
from commonspace.align.heads.between import between
from commonspace.core.errors import BadInput

OPTIONS: dict[str, Any] = {"valid": None, "baselines": (), "batch_size": 64, "random_state": 0}


@pytest.fixture(scope="module")
def two() -> tuple[dict[str, NumpyHead], dict[str, NumpyHead]]:
    old = fit_heads(two_views(150), dim=6, epochs=2, **OPTIONS).heads
    return old, fit_heads(two_views(150, seed=1), start=old, epochs=2, **OPTIONS).heads


def numbers(head: NumpyHead) -> np.ndarray:
    return np.concatenate([v.ravel() for v in head.arrays().values()])


def test_the_ends_are_the_heads_themselves_and_the_middle_is_the_mean(two: Any) -> None:
    old, new = two
    for m in "ab":
        for share in (0.0, 0.25, 1.0):
            expected = (1 - share) * numbers(old[m]) + share * numbers(new[m])
            np.testing.assert_allclose(numbers(between(old, new, share)[m]), expected, atol=1e-6)
    X = two_views(20, seed=2)
    np.testing.assert_allclose(between(old, new, 1.0)["a"](X["a"]), new["a"](X["a"]), atol=1e-6)


def test_a_modality_that_is_new_keeps_its_head(two: Any) -> None:
    old, new = two
    found = between({"a": old["a"]}, new)
    assert found["b"] is new["b"]
    assert set(found) == {"a", "b"}


def test_heads_of_different_layers_or_shares_beyond_are_refused(two: Any) -> None:
    old, new = two
    other = fit_heads(two_views(60), dim=6, epochs=1, head="linear", **OPTIONS).heads
    with pytest.raises(BadInput, match="heads of 'a' have different layers"):
        between(other, new)
    for share in (-0.1, 1.1):
        with pytest.raises(BadInput, match="share must lie between 0 and 1"):
            between(old, new, share)
