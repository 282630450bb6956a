from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views, two_views

from commonspace.align.fit import fit_heads
from commonspace.align.mixing import Mixing, beta_draw, beta_draws, mix, mixing_of, placed
from commonspace.align.objectives.base import ObjectiveModule, build_objective
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.layered import cut
from commonspace.align.objectives.matryoshka import prefix
from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.core.views import Mixed, Views

FEW: dict[str, Any] = {"dim": 6, "batch_size": 40, "epochs": 2, "baselines": (), "valid": None}
FEW["head"] = {"name": "mlp", "hidden": 16, "dropout": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class Spy(ObjectiveModule):
    """Learns by InfoNCE on the mixtures and remembers what it saw; asks for mixtures of `mixing`."""

    def __init__(self, mixing: Mixing | None, seen: list[tuple[Views, dict[str, torch.Tensor]]]) -> None:
        super().__init__()
        self.mixing = mixing
        self.seen = seen
        self.inner = InfoNCE()

    def __deepcopy__(self, memo: dict[int, Any]) -> Spy:
        return Spy(self.mixing, self.seen)

    @property
    def wants_mixed(self) -> Mixing | None:
        return self.mixing

    def prepare(self, heads: Mapping[str, torch.nn.Module], dim: int) -> None:
        self.heads = dict(heads)

    def forward(self, views: Views) -> torch.Tensor:
        expected = {}
        with torch.no_grad():
            for m, mixture in views.mixed.items():
                rows = mix(views.frozen[m], mixture.partner, mixture.share)
                expected[m] = torch.nn.functional.normalize(self.heads[m](rows), dim=1)
        self.seen.append((views, expected))
        z = {m: views.mixed[m].z if m in views.mixed else v for m, v in views.z.items()}
        loss: torch.Tensor = self.inner(Views(z=z, present=views.present, relevance=views.relevance))
        return loss


def spied(mixing: Mixing | None, **options: Any) -> tuple[list[tuple[Views, dict[str, torch.Tensor]]], Any]:
    seen: list[tuple[Views, dict[str, torch.Tensor]]] = []
    X = two_views(120)
    return seen, fit_heads(X, objective=Spy(mixing, seen), **{**FEW, **options})


def test_a_mixture_is_so_much_of_the_one_and_the_rest_of_the_other() -> None:
    x = torch.eye(3)
    mixed = mix(x, torch.tensor([1, 2, 0]), torch.tensor([1.0, 0.25, 0.0]))
    torch.testing.assert_close(mixed, torch.tensor([[1.0, 0, 0], [0, 0.25, 0.75], [1.0, 0, 0]]))


def test_partners_are_a_permutation_and_shares_follow_the_beta_distribution() -> None:
    partner, share = Mixing(0.5).draw(20_000, seeded())
    assert torch.equal(partner.sort().values, torch.arange(20_000))
    assert share.mean().item() == pytest.approx(0.5, abs=0.01)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * 0.5 + 1)), abs=0.005)
    draws = torch.tensor([beta_draw(2.0) for _ in range(4000)])
    assert draws.var().item() == pytest.approx(1 / (4 * 5), abs=0.005)


def test_only_the_chosen_share_of_rows_is_mixed() -> None:
    _, share = Mixing(2.0, chance=0.3).draw(20_000, seeded())
    assert (share < 1).float().mean().item() == pytest.approx(0.3, abs=0.02)


def test_the_smallest_beta_gives_one_or_the_other_and_no_nan() -> None:
    share = beta_draws(1e-4, 1000, seeded())
    assert torch.isfinite(share).all()
    assert ((share >= 0) & (share <= 1)).all()


@pytest.mark.parametrize("arguments", [{"beta": 0.0}, {"beta": 1.0, "chance": 0.0}, {"beta": 1.0, "chance": 1.5}])
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="beta must be positive"):
        Mixing(**arguments)


def test_objectives_trained_together_share_one_mixing() -> None:
    one, other = Mixing(0.3), Mixing(0.5)
    assert mixing_of([InfoNCE(), Spy(None, [])]) is None
    assert mixing_of([InfoNCE(), Spy(one, []), Spy(Mixing(0.3), [])]) == one
    with pytest.raises(BadInput, match="one mixing"):
        mixing_of([Spy(one, []), Spy(other, [])])


@pytest.mark.parametrize("wrapper", ["matryoshka", "boosted", "starbucks", "2d-matryoshka"])
def test_a_wrapper_passes_the_wish_on(wrapper: str) -> None:
    built = build_objective({"name": wrapper, "objective": Spy(Mixing(0.3), [])})
    built.prepare({m: torch.nn.Linear(6, 16) for m in "ab"}, 16)
    assert built.wants_mixed == Mixing(0.3)
    assert build_objective(["infonce", Spy(Mixing(0.3), [])]).wants_mixed == Mixing(0.3)
    assert build_objective(["infonce", "siamlip"]).wants_mixed is None


def test_prefixes_of_mixtures_are_cut_and_mixtures_without_layers_left_out() -> None:
    views = random_views(6, dim=8, modalities=("a", "b"))
    views.mixed = {"a": Mixed(z=views.z["b"], partner=torch.arange(6), share=torch.ones(6))}
    torch.testing.assert_close(prefix(views, 3).mixed["a"].z, torch.nn.functional.normalize(views.z["b"][:, :3], dim=1))
    assert cut(views, 0, 3).mixed == {}


def test_rows_not_mixed_stand_for_themselves() -> None:
    units = torch.eye(2, 3)
    found = placed(units, torch.tensor([1, 3]), torch.tensor([1, 0]), torch.tensor([0.2, 0.7]), batch=4)
    assert found.partner.tolist() == [0, 3, 2, 1]
    torch.testing.assert_close(found.share, torch.tensor([1.0, 0.2, 1.0, 0.7]))
    torch.testing.assert_close(found.z, torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 1, 0]]))


@pytest.mark.parametrize(
    "options",
    [{}, {"chunk_size": 7}, {"members": 2}, {"head": {"name": "residual", "hidden": 16, "layers": 2, "dropout": 0.0}}],
    ids=["plain", "chunked", "members", "residual"],
)
def test_heads_see_mixtures_of_the_inputs_of_items_that_are_there(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    present = {"a": rng.random(120) < 0.7, "b": rng.random(120) < 0.7}
    seen, _ = spied(Mixing(0.5, chance=0.8), present=present, **options)
    assert seen
    for views, expected in seen:
        for m, mixture in views.mixed.items():
            here = views.present[m]
            assert here[mixture.partner[here]].all()
            assert (mixture.share[here] < 1).float().mean() > 0.5
            torch.testing.assert_close(mixture.z[here], expected[m][here], atol=1e-5, rtol=1e-4)
            assert (mixture.share[~here] == 1).all()
        assert set(views.mixed) == {"a", "b"}


def test_one_modality_alone_may_be_mixed_or_none() -> None:
    assert all(set(views.mixed) == {"b"} for views, _ in spied(Mixing(0.5, modality="b"))[0])
    assert all(not views.mixed for views, _ in spied(None)[0])


def test_each_modality_is_mixed_for_itself() -> None:
    views, _ = spied(Mixing(0.5))[0][0]
    assert not torch.equal(views.mixed["a"].partner, views.mixed["b"].partner)


def test_chunks_give_the_same_heads() -> None:
    whole, chunked = (spied(Mixing(0.5), chunk_size=size)[1] for size in (None, 7))
    X = two_views(30, seed=1)
    for m in "ab":
        np.testing.assert_allclose(whole.heads[m](X[m]), chunked.heads[m](X[m]), atol=2e-4)


def test_heads_learn_from_mixtures_alone() -> None:
    _, fitted = spied(Mixing(0.15, chance=0.5), epochs=60, lr=3e-3, dim=16)
    new = two_views(60, seed=1)
    a, b = (unit(fitted.heads[m](new[m])) for m in "ab")
    assert ((a @ b.T).argmax(1) == np.arange(60)).mean() > 0.5
