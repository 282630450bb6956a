from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import prepared
from tests.align.objectives.grouped import checks_gradient, real_views

from commonspace.align.objectives.amcl import AMCL
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.views import Views


def amcl(views: Views, **options: float) -> AMCL:
    built: AMCL = prepared(AMCL(**options), tuple(views.z), next(iter(views.z.values())).shape[1])
    return built


@torch.no_grad()
def naive(loss: AMCL, views: Views) -> float:
    """The formula, one part, query and candidate at a time."""

    def part(z: torch.Tensor, c: int) -> torch.Tensor:
        own = z.tensor_split(loss.heads)[c]
        full = torch.zeros(loss.width, dtype=z.dtype)
        full[: len(own)] = own / own.norm()
        return full

    def tau(x: torch.Tensor, y: torch.Tensor) -> float:
        assert loss.phi is not None
        score = float(loss.offset - loss.phi(x) @ loss.phi(y))
        return loss.lowest + (loss.highest - loss.lowest) / (1 + math.exp(-score))

    pairs = []
    for a, b in views.pairs():
        ways = []
        for q, g in ((a, b), (b, a)):
            rows = []
            for i in range(len(views)):
                candidates = [j for j in range(len(views)) if views.present[g][j]]
                r = np.array([float(views.relevance[i, j]) for j in candidates])
                if not views.present[q][i] or not (r > 0).any() or not (r == 0).any():
                    continue
                heads = []
                for c in range(loss.heads):
                    x, ys = part(views.z[q][i], c), [part(views.z[g][j], c) for j in candidates]
                    t = np.array([tau(x, y) for y in ys])
                    logits = np.array([float(x @ y) for y in ys]) / t
                    log_p = logits - np.log(np.exp(logits).sum())
                    omega = loss.width / 2 * np.log(t) + 1 / t
                    heads.append(-(r / r.sum() * log_p).sum() + loss.beta * omega.mean())
                rows.append(np.mean(heads))
            if rows:
                ways.append(np.mean(rows))
        if ways:
            pairs.append(np.mean(ways))
    return float(np.mean(pairs)) if pairs else 0.0


@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("heads", [1, 2, 5])
@pytest.mark.parametrize("beta", [0.0, 0.3])
def test_it_equals_the_naive_loop(share: float, heads: int, beta: float) -> None:
    views = real_views(share)
    loss = amcl(views, heads=heads, beta=beta, temperature=0.3)
    with torch.no_grad():
        assert loss.phi is not None
        for p in loss.phi.parameters():
            p.mul_(3)  # so that temperatures differ clearly
    assert loss(views).item() == pytest.approx(naive(loss, views), rel=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_one_head_at_one_temperature_without_cost_is_infonce(share: float) -> None:
    views = random_views(9, modalities=("a", "b", "c"), share=share)
    loss = amcl(views, heads=1, beta=0.0, temperature=0.1)
    with torch.no_grad():
        assert loss.phi is not None
        for p in loss.phi.parameters():
            p.zero_()
    assert loss(views).item() == pytest.approx(InfoNCE(temperature=0.1).double()(views).item(), rel=1e-6)


def test_the_cost_of_temperatures_is_least_at_two_over_the_width() -> None:
    views = random_views(6, dim=8, modalities=("a", "b"))
    loss = amcl(views, heads=2, beta=1e6, temperature=0.3)  # the cross-entropy counts for nothing
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.02)
    for _ in range(400):
        optimiser.zero_grad()
        loss(views).backward()
        optimiser.step()
    tau = loss.temperatures(loss.parts_of(views.z["a"]), loss.parts_of(views.z["b"]))
    assert (tau - 2 / 4).abs().max() < 0.02


def test_temperatures_stay_between_their_bounds_and_are_those_of_the_pair() -> None:
    views = random_views(6, dim=8, modalities=("a", "b"))
    loss = amcl(views, heads=2, lowest=0.05, highest=0.5)
    x, y = loss.parts_of(views.z["a"]), loss.parts_of(views.z["b"])
    tau = loss.temperatures(x, y)
    assert tau.shape == (2, 6, 6)
    assert ((tau > 0.05) & (tau < 0.5)).all()
    torch.testing.assert_close(loss.temperatures(y, x), tau.mT)
    torch.testing.assert_close(loss.temperatures(x[:, 2:3], y[:, 4:5])[:, 0, 0], tau[:, 2, 4])


def test_a_wrong_pair_gets_a_higher_temperature() -> None:
    torch.manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(40, 8, dtype=torch.float64), dim=1)
    order = torch.arange(40)
    order[:8] = order[:8].roll(1)  # eight pairs that do not belong together
    views = Views(
        z={"a": z, "b": z[order]}, present={m: torch.ones(40, dtype=torch.bool) for m in "ab"}, relevance=torch.eye(40)
    )
    loss = amcl(views, heads=1, beta=0.01, temperature=0.2)
    optimiser = torch.optim.Adam(loss.parameters(), lr=0.01)
    for _ in range(200):
        optimiser.zero_grad()
        loss(views).backward()
        optimiser.step()
    tau = loss.temperatures(loss.parts_of(z), loss.parts_of(z[order]))[0].diagonal()
    assert tau[:8].mean() > tau[8:].mean()


@pytest.mark.parametrize("heads", [1, 3])
def test_the_gradient_agrees_with_finite_differences(heads: int) -> None:
    views = real_views()
    assert checks_gradient(amcl(views, heads=heads, temperature=0.3), views)


@pytest.mark.parametrize(
    "options",
    [
        {"lowest": 1e-4, "temperature": 2e-4, "highest": 1e-3},
        {"lowest": 1.0, "temperature": 1e3, "highest": 1e4},
        {"beta": 1e4},
        {"heads": 5},
    ],
)
def test_extremes_stay_finite(options: dict[str, float]) -> None:
    views = random_views(8, dtype=torch.float32)
    views.z["image"] = views.z["text"].clone()
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    loss = amcl(views, **options).float()(Views(z=z, present=views.present, relevance=views.relevance))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(v.grad).all() for v in z.values())


def test_it_says_what_is_missing_or_wrong() -> None:
    with pytest.raises(NotFitted, match="prepare"):
        AMCL().temperatures(torch.ones(3, 2, 2), torch.ones(3, 2, 2))
    with pytest.raises(BadInput, match="6 parts"):
        prepared(AMCL(heads=6))
    with pytest.raises(BadInput, match="lowest < temperature < highest"):
        AMCL(lowest=0.1)
    with pytest.raises(BadInput, match="beta"):
        AMCL(beta=-1.0)
