"""See test_mixtures.py for what it shares with `m3co`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.align.conftest import two_views
from tests.align.objectives.blends import mixed_views, naive_mixed_loss
from tests.align.objectives.graded import CASES, log_softmax, naive_loss

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.bimixco import BiMixCo
from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.core.views import Views


def late(**arguments: object) -> BiMixCo:
    built = BiMixCo(temperature=0.2, soft_temperature=0.3, **arguments).double()  # type: ignore[arg-type]
    built.before_step(0.5)
    return built


def naive_soft(views: Views, source: str | None, centred: bool) -> float:
    """Cross-entropy against the softmax of the target's own similarities, by hand."""

    def row_loss(q: str, g: str, i: int, candidates: list[int]) -> float | None:
        weights = np.array([float(views.relevance[i, j]) for j in candidates])
        if not weights.sum() > 0:
            return None
        t = q if source == g else g
        rows = views.frozen[t].numpy() if t in views.frozen else views.z[t].numpy()
        own = views.present[t].numpy()
        rows = unit(rows - rows[own].mean(0) if centred else rows)
        seen = np.array([np.exp((rows[i] @ rows[j] - 1) / 0.3) if own[i] and own[j] else 0.0 for j in candidates])
        soft = np.maximum(weights / weights.max(), seen)
        log_p = log_softmax(np.array([5.0 * float(views.z[q][i] @ views.z[g][j]) for j in candidates]))
        return float(-(soft / soft.sum()) @ log_p)

    return naive_loss(views, row_loss)


@pytest.mark.parametrize("source", [None, "a"])
@pytest.mark.parametrize("centred", [True, False])
@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_soft_targets_are_those_of_the_naive_loop(
    modalities: tuple[str, ...], share: float, centred: bool, source: str | None
) -> None:
    views = mixed_views(modalities, share, frozen=True)
    expected = naive_soft(views, source, centred)
    assert late(source=source, centred=centred)(views).item() == pytest.approx(expected, rel=1e-5)


def test_the_space_stands_in_where_encoder_outputs_are_unknown() -> None:
    views = mixed_views(share=0.8)
    assert late()(views).item() == pytest.approx(naive_soft(views, None, True), rel=1e-5)


@pytest.mark.parametrize(("modalities", "share"), CASES)
def test_a_source_alone_is_mixed(modalities: tuple[str, ...], share: float) -> None:
    views = mixed_views(modalities, share)
    loss = BiMixCo(source="b", temperature=0.2).double()
    assert loss.wants_mixed is not None
    assert loss.wants_mixed.modality == "b"
    views = replace(views, mixed={"b": views.mixed["b"]})
    assert loss(views).item() == pytest.approx(naive_mixed_loss(views, 5.0, only="b"), rel=1e-6)


def test_a_source_that_nobody_knows_is_refused() -> None:
    with pytest.raises(BadInput, match="'sound'"):
        BiMixCo(source="sound").double()(mixed_views())


def test_a_cold_encoder_says_nothing_but_the_pair() -> None:
    views = mixed_views(frozen=True)
    views.relevance = torch.eye(9, dtype=torch.float64)
    cold = late()
    cold.soft_temperature = 1e-4
    plain = BiMixCo(temperature=0.2).double()(replace(views, mixed={}))
    assert cold(views).item() == pytest.approx(plain.item(), rel=1e-6)


def test_it_trains_heads_through_both_phases() -> None:
    X, new = two_views(400), two_views(80, seed=1)
    found = fit_heads(
        X, objective={"name": "bimixco", "source": "a"}, head={"name": "mlp", "hidden": 48, "dropout": 0.1}, dim=16,
        epochs=20, batch_size=64, lr=3e-3, baselines=(), chunk_size=32,
    )  # fmt: skip
    a, b = (found.heads[m](new[m]) for m in "ab")
    assert ((a @ b.T).argmax(1) == np.arange(80)).mean() > 0.7
