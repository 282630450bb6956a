from __future__ import annotations

import copy
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views, take, two_views
from tests.align.objectives.conftest import prepared
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views, log_softmax

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.tcl import TCL
from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.views import Views

T = 0.2
Rows = dict[str, np.ndarray]


def slow_views(modalities: tuple[str, ...] = ("a", "b"), share: float = 1.0, seed: int = 0) -> Views:
    """A batch with encoder outputs as wide as the space, so that the identity is a head."""
    views = graded_views(modalities, share, seed)
    g = torch.Generator().manual_seed(seed + 7)
    frozen = {m: torch.randn(9, 5, generator=g, dtype=torch.float64) for m in modalities}
    return replace(views, frozen=frozen, groups=torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 5]))


def units(views: Views) -> Rows:
    return {m: (v / v.norm(dim=1, keepdim=True)).numpy() for m, v in views.frozen.items()}


def naive(
    views: Views, slow: Rows, *, cross: float, within: float, distillation: float = 0.0, queued: Views | None = None
) -> float:
    """The formula, one query and one candidate at a time, with the identity as slow copy."""

    def way(a: str, b: str) -> float | None:
        losses = []
        for i in range(len(views)):
            near = [(slow[b][j], float(views.relevance[i, j])) for j in range(len(views)) if views.present[b][j]]
            if not views.present[a][i] or not sum(r for _, r in near):
                continue
            if queued is not None:
                old = units(queued)[b]
                near += [
                    (old[j], 0.0)
                    for j in range(len(queued))
                    if queued.present[b][j] and queued.groups[j] != views.groups[i]
                ]
            rows = np.stack([row for row, _ in near])
            share = np.array([r for _, r in near]) / sum(r for _, r in near)
            seen = np.exp(log_softmax(rows @ slow[a][i] / T))
            target = (1 - distillation) * share + distillation * seen
            losses.append(-float(target @ log_softmax(rows @ views.z[a][i].numpy() / T)))
        return float(np.mean(losses)) if losses else None

    pairs = [[v for q, g in ((a, b), (b, a)) if (v := way(q, g)) is not None] for a, b in views.pairs()]
    own = [v for m in views.modalities if (v := way(m, m)) is not None]
    return cross * float(np.mean([np.mean(p) for p in pairs if p])) + within * float(np.mean(own))


@pytest.mark.parametrize(("modalities", "share"), CASES)
@pytest.mark.parametrize(("cross", "within", "distillation"), [(1.0, 1.0, 0.0), (0.5, 2.0, 0.4), (1.0, 0.3, 1.0)])
def test_it_equals_the_naive_loop(
    modalities: tuple[str, ...], share: float, cross: float, within: float, distillation: float
) -> None:
    views = slow_views(modalities, share)
    loss = prepared(TCL(cross=cross, within=within, distillation=distillation, temperature=T), modalities)
    expected = naive(views, units(views), cross=cross, within=within, distillation=distillation)
    assert loss(views).item() == pytest.approx(expected, rel=1e-6)


def test_rows_of_earlier_batches_are_negatives_but_not_those_of_the_query_s_group() -> None:
    first, second = slow_views(share=0.7, seed=1), slow_views(share=0.7, seed=2)
    loss = prepared(TCL(queue=100, temperature=T))
    loss(first)
    loss.after_step()
    expected = naive(second, units(second), cross=1.0, within=1.0, queued=first)
    assert loss(second).item() == pytest.approx(expected, rel=1e-6)


def test_a_queue_keeps_its_newest_rows_and_no_more_than_it_may() -> None:
    loss = prepared(TCL(queue=12, temperature=T))
    batches = [slow_views(seed=s) for s in range(3)]
    for views in batches:
        loss(views)
        loss.after_step()
    rows, groups = loss._queued["a"]
    assert len(rows) == len(groups) == 12
    np.testing.assert_allclose(rows[:9].numpy(), units(batches[2])["a"])
    np.testing.assert_allclose(rows[9:].numpy(), units(batches[1])["a"][:3])


def test_a_loss_that_is_only_looked_at_changes_nothing() -> None:
    loss = prepared(TCL(queue=50, temperature=T))
    views = slow_views()
    assert loss(views).item() == loss(views).item()


def test_against_itself_and_across_modalities_alone_it_is_infonce() -> None:
    for share in (1.0, 0.6):
        views = random_views(9, modalities=("a", "b", "c"), share=share)
        loss = prepared(TCL(within=0.0, temperature=T), ("a", "b", "c"))
        assert loss(views).item() == pytest.approx(InfoNCE(temperature=T).double()(views).item(), rel=1e-9)


@pytest.mark.parametrize("distillation", [0.0, 0.4])
def test_the_gradient_is_that_of_finding_fixed_rows(distillation: float) -> None:
    loss = prepared(TCL(distillation=distillation, temperature=T), ("a", "b", "c"))
    check_gradient(loss, slow_views(("a", "b", "c"), 0.7))


def test_the_copy_is_no_part_of_what_is_trained_and_follows_slowly() -> None:
    heads = {m: torch.nn.Linear(5, 5, bias=False) for m in "ab"}
    loss = TCL(decay=0.9)
    loss.prepare(heads, 5)
    assert [n for n, p in loss.named_parameters() if p.requires_grad] == ["log_scale"]
    before = heads["a"].weight.detach().clone()
    with torch.no_grad():
        heads["a"].weight += 1
    loss.after_step()
    share = 1 - min(0.9, 2 / 11)
    torch.testing.assert_close(loss.slow.target.heads["a"].weight, before + share)


def test_the_slow_copy_sees_inputs_without_dropout() -> None:
    heads = {m: torch.nn.Sequential(torch.nn.Dropout(0.9), torch.nn.Identity()).train() for m in "ab"}
    loss = TCL(temperature=T).double()
    loss.prepare(heads, 5)
    views = slow_views()
    assert loss(views).item() == pytest.approx(naive(views, units(views), cross=1.0, within=1.0), rel=1e-6)


def test_items_without_groups_are_queued_as_nobody_s() -> None:
    loss = prepared(TCL(queue=20, temperature=T))
    views = replace(slow_views(), groups=None)
    loss(views)
    loss.after_step()
    assert (loss._queued["a"][1] == -1).all()
    assert torch.isfinite(loss(views))


def test_absent_frozen_rows_are_never_read() -> None:
    views = slow_views(share=0.6)
    loss = prepared(TCL(temperature=T, queue=9))
    plain = loss(views).item()
    spoilt = {m: torch.where(views.present[m][:, None], v, torch.nan) for m, v in views.frozen.items()}
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    again = loss(replace(views, z=z, frozen=spoilt))
    again.backward()
    assert again.item() == plain
    assert all(torch.isfinite(v.grad).all() for v in z.values())


def test_items_that_nobody_needs_may_be_left_out() -> None:
    views = slow_views()
    for m in "ab":
        views.present[m][7:] = False
    loss = prepared(TCL(temperature=T))
    reduced = take(views, torch.arange(7))
    assert loss(views).item() == pytest.approx(loss(reduced).item())


@pytest.mark.parametrize("temperature", [1e-4, 1e4])
@pytest.mark.parametrize("distillation", [0.0, 0.5, 1.0])
def test_extremes_stay_finite(temperature: float, distillation: float) -> None:
    views = random_views(8, modalities=("a", "b"))
    opposite = replace(views, z={"a": views.z["a"], "b": -views.z["a"]})
    loss = prepared(TCL(temperature=temperature, distillation=distillation))
    for v in (views, opposite):
        check_finite(copy.deepcopy(loss), v)


def test_heads_learn_with_it_and_several_members_do_not_share_a_copy() -> None:
    X = two_views(200)
    found = fit_heads(X, objective={"name": "tcl", "queue": 64}, dim=8, epochs=12, batch_size=50, members=2, lr=1e-2)
    assert found.valid_metrics["r@1"] > 0.5
    assert {"cross", "within", "temperature"} <= set(found.history[-1])


@pytest.mark.parametrize(
    "arguments", [{"cross": -1.0}, {"cross": 0.0, "within": 0.0}, {"decay": 1.0}, {"distillation": 2.0}, {"queue": -1}]
)
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="must be"):
        TCL(**arguments)


def test_it_says_that_it_must_be_prepared() -> None:
    with pytest.raises(NotFitted, match="prepare"):
        TCL()(random_views())


def test_every_direction_is_taken() -> None:
    modalities = ("a", "b", "c")
    views = random_views(6, modalities=modalities)
    for a, b in permutations(modalities, 2):
        z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
        present = {m: torch.full((6,), m in (a, b)) for m in modalities}
        prepared(TCL(within=0.0), modalities)(replace(views, z=z, present=present)).backward()
        assert z[a].grad.abs().sum() > 0
