from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views, take
from tests.align.objectives.grouped import OfQuery, checks_gradient, naive, real_views

from commonspace.align.objectives.contrastive import each_positive
from commonspace.align.objectives.ranking import Ranking, drawn
from commonspace.core.errors import BadInput
from commonspace.core.views import Views


def chosen(choice: str, positive: float, negatives: list[float]) -> list[float]:
    if choice == "hardest":
        return [max(negatives)]
    if choice == "semihard":
        below = [n for n in negatives if n < positive]
        return [max(below) if below else min(negatives)]
    return negatives


def of_query(choice: str, margin: float) -> OfQuery:
    def loss(positives: list[float], shares: list[float], negatives: list[float]) -> float:
        total = 0.0
        for s, share in zip(positives, shares, strict=True):
            against = chosen(choice, s, negatives)
            total += share * sum(max(0.0, margin - s + n) for n in against) / len(against)
        return total

    return loss


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("choice", ["all", "semihard", "hardest"])
def test_it_equals_the_naive_loop(share: float, choice: str) -> None:
    views = real_views(share)
    expected = naive(views, of_query(choice, 0.3))
    assert expected > 0
    assert Ranking(negatives=choice, margin=0.3)(views).item() == pytest.approx(expected, rel=1e-9)


def test_more_draws_than_negatives_are_all_of_them() -> None:
    views = real_views()
    torch.testing.assert_close(Ranking(negatives="random", draws=99)(views), Ranking(negatives="all")(views))


def test_random_negatives_cost_on_average_what_all_cost() -> None:
    views = real_views()
    torch.manual_seed(0)
    draws = [Ranking(negatives="random", draws=2)(views).item() for _ in range(150)]
    assert np.mean(draws) == pytest.approx(Ranking(negatives="all")(views).item(), rel=0.04)
    assert np.std(draws) > 0


def test_so_many_negatives_are_drawn_and_nothing_else() -> None:
    torch.manual_seed(0)
    negatives = torch.rand(50, 12) < 0.5
    found = drawn(negatives, 3)
    assert not (found & ~negatives).any()
    assert (found.sum(1) == negatives.sum(1).clamp(max=3)).all()


def test_directions_have_their_own_weights_and_negatives() -> None:
    views = real_views(modalities=("a", "b"))
    weights = {"a->b": 3.0, "b->a": 0.5}
    loss = Ranking(weights=weights, negatives="hardest")(views).item()
    expected = naive(views, of_query("hardest", 0.4), lambda q, g: weights[f"{q}->{g}"])
    assert loss == pytest.approx(expected, rel=1e-9)

    one_way = {"b->a": 0.0}
    mixed = Ranking(weights=one_way, negatives={"a->b": "hardest", "b->a": "all"})(views).item()
    expected = naive(views, of_query("hardest", 0.4), lambda q, g: one_way.get(f"{q}->{g}", 1.0))
    assert mixed == pytest.approx(expected, rel=1e-9)
    assert Ranking(weights={"a->b": 0.0, "b->a": 0.0})(views).item() == 0


@pytest.mark.parametrize("choice", ["all", "semihard", "hardest"])
def test_the_gradient_agrees_with_finite_differences(choice: str) -> None:
    assert checks_gradient(Ranking(negatives=choice, margin=0.3), real_views())


def test_pairs_better_than_all_others_by_the_margin_cost_nothing() -> None:
    z = torch.eye(4)
    views = Views(z={"a": z, "b": z}, present={m: torch.ones(4, dtype=torch.bool) for m in "ab"}, relevance=z)
    for choice in ("all", "random", "semihard", "hardest"):
        loss = Ranking(negatives=choice, margin=0.9)
        assert loss(views).item() == 0
        assert loss.diagnostics == {"accuracy": 1.0, "several_positives": 0.0, "failing": 0.0}


def test_a_relevant_item_is_never_a_negative() -> None:
    views = random_views(4, modalities=("a", "b"), groups=np.array([0, 0, 1, 1]))
    alone = take(views, torch.tensor([0, 1]))
    assert Ranking()(alone).item() == 0  # both are right answers: there is nothing to tell apart


def test_positives_come_place_by_place() -> None:
    scores = torch.arange(8.0).view(2, 4)
    shares = torch.tensor([[0.0, 0.25, 0.75, 0.0], [1.0, 0.0, 0.0, 0.0]])
    first, second = each_positive(scores, shares)
    assert first[0].tolist() == [[2.0], [4.0]]
    assert first[1].tolist() == [0.75, 1.0]
    assert second[1].tolist() == [0.25, 0.0]
    assert second[0][0].item() == 1.0
    assert list(each_positive(scores[:0], shares[:0])) == []


@pytest.mark.parametrize(
    "arguments",
    [{"negatives": "nearest"}, {"negatives": {"a->b": "x"}}, {"margin": -1.0}, {"weights": {"a->b": -1}}, {"draws": 0}],
)
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Ranking(**arguments)


@pytest.mark.parametrize("arguments", [{"weights": {"text->img": 0.0}}, {"negatives": {"img->text": "hardest"}}])
def test_a_direction_that_there_is_not_is_named(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=r"no direction .*; there is text->image, image->text"):
        Ranking(**arguments)(random_views())
