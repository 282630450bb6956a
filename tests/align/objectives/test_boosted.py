from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import gradient
from tests.align.objectives.grouped import checks_gradient, naive, real_views
from torch import nn
from torch.nn.functional import normalize

from commonspace.align.fit import fit_heads
from commonspace.align.heads.mlp import MLP
from commonspace.align.objectives.boosted import Boosted
from commonspace.align.objectives.ranking import Ranking
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.views import Views

MODALITIES = ("a", "b", "c")


def world(seen: float = 0.7, **arguments: Any) -> tuple[Boosted, Views]:
    torch.manual_seed(0)
    heads: dict[str, nn.Module] = {m: nn.Linear(3, 5) for m in MODALITIES}
    loss = Boosted(**arguments)
    loss.prepare(heads, 5)
    loss.double()
    views = real_views(seen, modalities=MODALITIES)
    views.frozen = {m: torch.randn(10, 3, dtype=torch.float64) for m in MODALITIES}
    return loss, views


def as_the_anchor_sees(loss: Boosted, views: Views) -> Views:
    z = {m: normalize(loss.anchors.parts[m](views.frozen[m]), dim=1).detach() for m in views.z}
    return Views(z=z, present=views.present, relevance=views.relevance)


def boost_of(loss: Boosted, views: Views) -> float:
    """The formula, with the gains of each pair in place of its scores."""
    anchored = as_the_anchor_sees(loss, views)

    def of_query(positives: list[float], shares: list[float], negatives: list[float]) -> float:
        total = 0.0
        for gain, share in zip(positives, shares, strict=True):
            if loss.boost == "relative":
                total += share * max(max(0.0, loss.margin - (gain - d)) for d in negatives)
            else:
                nearer = 2 * max(0.0, loss.share * loss.margin - gain)
                farther = max(max(0.0, (1 - loss.share) * loss.margin + d) for d in negatives)
                total += share * (nearer + farther)
        return total

    # cosines of [z, anchor] against [z, -anchor] are the gains
    total, pairs = 0.0, 0
    for a, b in views.pairs():
        ways = []
        for q, g in ((a, b), (b, a)):
            rows = {
                q: torch.cat([views.z[q], anchored.z[q]], 1),
                g: torch.cat([views.z[g], -anchored.z[g]], 1),
            }
            two = Views(z=rows, present={m: views.present[m] for m in rows}, relevance=views.relevance)
            ways.append(naive(two, of_query, lambda x, y, q=q: 1.0 if x == q else 0.0))
        total += sum(ways) / 2
        pairs += 1
    return total / pairs


@pytest.mark.parametrize("seen", [1.0, 0.7])
@pytest.mark.parametrize("boost", ["relative", "absolute"])
def test_it_is_both_losses_and_the_demand_to_beat_the_anchor(seen: float, boost: str) -> None:
    loss, views = world(seen, boost=boost, objective="ranking", share=0.3, weight=2.0)
    ranking = Ranking()
    expected = ranking(views) + ranking(as_the_anchor_sees(loss, views)) + 2 * boost_of(loss, views)
    assert loss(views).item() == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("boost", ["relative", "absolute"])
def test_the_gradient_of_the_rows_agrees_with_finite_differences(boost: str) -> None:
    loss, views = world(boost=boost)
    assert checks_gradient(loss, views)


def test_the_anchor_learns_from_its_own_loss_alone() -> None:
    loss, views = world(objective="ranking")
    loss(views).backward()
    found = [p.grad.clone() for p in loss.anchors.parameters()]
    loss.zero_grad()
    z = {m: normalize(loss.anchors.parts[m](views.frozen[m]), dim=1) for m in MODALITIES}
    Ranking()(Views(z=z, present=views.present, relevance=views.relevance)).backward()
    for p, g in zip(loss.anchors.parameters(), found, strict=True):
        torch.testing.assert_close(p.grad, g)


def test_without_encoder_outputs_every_gap_is_widened_alike() -> None:
    loss, views = world(weight=3.0)
    views.frozen = {}
    plain = loss.target(views).item()
    assert loss(views).item() == pytest.approx(2 * plain + 3 * 0.2)  # both see the same, and nothing beats itself
    assert all(torch.isfinite(g).all() for g in gradient(loss, views).values())


def test_weight_zero_leaves_the_target_its_own_gradient() -> None:
    loss, views = world(weight=0.0)
    alone = gradient(loss.target, views)
    for m, g in gradient(loss, views).items():
        torch.testing.assert_close(g, alone[m])


def test_anchors_share_the_standardisation_but_not_the_start() -> None:
    head = MLP(d_in=4, dim=3, hidden=6)
    head.calibrate(torch.randn(50, 4).mul(3).add(2).numpy())
    loss = Boosted()
    loss.prepare({"a": head, "b": head}, 3)
    anchor = loss.anchors.parts["a"]
    torch.testing.assert_close(anchor.standardise.scale, head.standardise.scale)
    weights = [p for n, p in head.named_parameters() if n.endswith("weight") and p.ndim == 2]
    others = [p for n, p in anchor.named_parameters() if n.endswith("weight") and p.ndim == 2]
    assert all(not torch.equal(p, q) for p, q in zip(weights, others, strict=True))


def test_it_trains_and_the_anchor_is_dropped() -> None:
    views = random_views(60, modalities=("a", "b"), dtype=torch.float32)
    X = {m: v.numpy() for m, v in views.z.items()}
    found = fit_heads(X, objective="boosted", head="linear", epochs=2, dim=4, valid=None, batch_size=20)
    assert set(found.heads) == {"a", "b"}
    assert found.history[-1]["boost"] > 0
    assert found.heads["a"](X["a"]).shape == (60, 4)


def test_it_must_be_prepared() -> None:
    with pytest.raises(NotFitted, match="prepare"):
        Boosted()(random_views(4))


@pytest.mark.parametrize("arguments", [{"boost": "x"}, {"share": 2.0}, {"weight": -1.0}, {"margin": -1.0}])
def test_impossible_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Boosted(**arguments)
