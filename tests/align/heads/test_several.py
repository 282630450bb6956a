from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from commonspace.align.heads.several import Several
from commonspace.core.errors import BadInput


def test_a_dot_product_is_the_mean_cosine_of_the_heads() -> None:
    torch.manual_seed(0)
    head = Several(d_in=6, dim=8, heads=3, head="linear").eval()
    x = torch.randn(5, 6)
    apart = [normalize(part(x), dim=1) for part in head.parts]
    assert [p.shape[1] for p in apart] == [3, 3, 2]
    torch.testing.assert_close(head(x) @ head(x).T, torch.stack([p @ p.T for p in apart]).mean(0))
    torch.testing.assert_close(head(x).norm(dim=1), torch.ones(5))


def test_each_head_starts_elsewhere_and_finds_its_part() -> None:
    torch.manual_seed(0)
    head = Several(d_in=6, dim=8, heads=2, head={"name": "mlp", "hidden": 5}).eval()
    x = torch.randn(4, 6)
    first, second = head(x).tensor_split(2, dim=1)
    torch.testing.assert_close(first * 2**0.5, normalize(head.parts[0](x), dim=1))
    assert not torch.allclose(first, second)


def test_every_head_is_calibrated() -> None:
    head = Several(d_in=3, dim=4, heads=2, head="linear")
    X = np.random.default_rng(0).normal(5, 2, size=(40, 3)).astype(np.float32)
    head.calibrate(X)
    for part in head.parts:
        np.testing.assert_allclose(part.standardise.mean.numpy(), X.mean(0), rtol=1e-5)


def test_more_heads_than_numbers_are_refused() -> None:
    with pytest.raises(BadInput, match="5 heads"):
        Several(d_in=3, dim=4, heads=5)
