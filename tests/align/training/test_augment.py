from __future__ import annotations

import pytest
import torch

from commonspace.align.training.augment import Augment, choose_variant
from commonspace.core.errors import BadInput

N, D = 4000, 3


def run(augment: Augment, present: torch.Tensor | None = None, seed: int = 0) -> tuple[dict[str, torch.Tensor], ...]:
    g = torch.Generator().manual_seed(1)
    x = {m: torch.randn(N, D, generator=g) for m in "ab"}
    masks = {"a": torch.ones(N, dtype=torch.bool), "b": torch.ones(N, dtype=torch.bool) if present is None else present}
    moments = {m: torch.tensor([1.0, 10.0, 0.0]) for m in "ab"}
    out = augment(x, masks, mean=moments, std=moments, generator=torch.Generator().manual_seed(seed))
    return x, out


def test_by_default_nothing_happens() -> None:
    x, out = run(Augment())
    assert all(torch.equal(x[m], out[m]) for m in x)


def test_noise_is_measured_in_each_features_own_spread() -> None:
    x, out = run(Augment(noise=0.5))
    spread = (out["a"] - x["a"]).std(0)
    torch.testing.assert_close(spread, torch.tensor([0.5, 5.0, 0.0]), rtol=0.05, atol=1e-6)


def test_dropped_features_take_their_mean() -> None:
    x, out = run(Augment(drop=0.2))
    changed = out["a"] != x["a"]
    assert 0.17 < changed.float().mean() < 0.23
    assert (out["a"][:, 1][changed[:, 1]] == 10).all()


def test_mixing_keeps_pairs_together_and_the_item_itself_dominant() -> None:
    same = torch.eye(200)  # so that a mixed row shows who is in it
    present = {m: torch.ones(200, dtype=torch.bool) for m in "ab"}
    moments = {m: torch.ones(200) for m in "ab"}
    out = Augment(mixup=0.5)(
        {"a": same, "b": same}, present, mean=moments, std=moments, generator=torch.Generator().manual_seed(0)
    )
    assert torch.equal(out["a"], out["b"])
    assert (torch.diagonal(out["a"]) >= 0.5).all()
    assert ((out["a"] > 0).sum(1) == 2).float().mean() > 0.9
    torch.testing.assert_close(out["a"].sum(1), torch.ones(200))


def test_only_items_with_the_same_modalities_are_mixed() -> None:
    alone = torch.zeros(N, dtype=torch.bool)
    alone[0] = True  # the only item that has both
    x, out = run(Augment(mixup=0.5), present=alone)
    assert torch.equal(out["a"][0], x["a"][0])


def test_the_same_seed_disturbs_in_the_same_way() -> None:
    augment = Augment(noise=0.1, drop=0.1, mixup=0.3)
    assert torch.equal(run(augment, seed=3)[1]["a"], run(augment, seed=3)[1]["a"])
    assert not torch.equal(run(augment, seed=3)[1]["a"], run(augment, seed=4)[1]["a"])


def test_each_item_brings_one_of_its_own_variants() -> None:
    X = torch.arange(10)[:, None, None] * 100.0 + torch.arange(4)[None, :, None]
    index = torch.tensor([7, 7, 7, 7, 7, 7, 7, 7, 2])
    out = choose_variant(X, index, torch.Generator().manual_seed(0)).squeeze(1)
    assert ((out // 100).long() == index).all()
    assert len(set((out[:8] % 100).tolist())) > 1


@pytest.mark.parametrize("arguments", [{"noise": -1.0}, {"drop": 1.0}, {"mixup": -0.1}])
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput):
        Augment(**arguments)
