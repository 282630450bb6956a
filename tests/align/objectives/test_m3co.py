"""See test_mixtures.py for what it shares with `bimixco`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tests.align.conftest import two_views
from tests.align.objectives.blends import mixed_views
from tests.align.objectives.graded import CASES, log_softmax, naive_loss

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.m3co import M3Co
from commonspace.core.views import Views


def late() -> M3Co:
    built = M3Co(temperature=0.2, soft_temperature=0.3).double()
    built.before_step(0.5)
    return built


@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_soft_targets_are_the_similarities_of_what_is_asked_for(modalities: tuple[str, ...], share: float) -> None:
    views = mixed_views(modalities, share, frozen=True)

    def row_loss(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        weights = np.array([float(views.relevance[i, j]) for j in candidates])
        if not weights.sum() > 0:
            return None
        y = views.z[g].numpy()
        known = bool(views.present[g][i])
        seen = np.array([np.exp((y[i] @ y[j] - 1) / 0.3) if known else 0.0 for j in candidates])
        soft = np.maximum(weights / weights.max(), seen)
        log_p = log_softmax(np.array([5.0 * float(views.z[q][i] @ y[j]) for j in candidates]))
        return float(-(soft / soft.sum()) @ log_p)

    assert late()(views).item() == pytest.approx(naive_loss(views, row_loss), rel=1e-5)


def test_targets_carry_no_gradient() -> None:
    views = mixed_views()
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    late()(Views(z=z, present=views.present, relevance=views.relevance)).backward()
    fixed = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    loss = late()
    loss.similar = lambda _, m: views.z[m]  # type: ignore[method-assign, misc]
    loss(Views(z=fixed, present=views.present, relevance=views.relevance)).backward()
    assert all(torch.allclose(z[m].grad, fixed[m].grad) for m in z)


def test_it_trains_heads_through_both_phases() -> None:
    X, new = two_views(400), two_views(80, seed=1)
    found = fit_heads(
        X, objective=["m3co"], head={"name": "mlp", "hidden": 48, "dropout": 0.1}, dim=16, epochs=20, batch_size=64,
        lr=3e-3, baselines=(), matryoshka=[8],
    )  # fmt: skip
    a, b = (found.heads[m](new[m]) for m in "ab")
    assert ((a @ b.T).argmax(1) == np.arange(80)).mean() > 0.7
