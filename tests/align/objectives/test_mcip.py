from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.graded import CASES, check_finite, check_gradient, graded_views

from commonspace.align.objectives.mcip import MCIP
from commonspace.core.errors import BadInput
from commonspace.core.views import Views

T = 0.3


def more_captions(views: Views, b: str, i: int, k: int, share: float) -> dict[int, float]:
    """The k nearest unrelated rows of b to item i's own, by the frozen encoder, centred."""
    if not views.present[b][i]:
        return {}
    here = [j for j in range(len(views)) if views.present[b][j]]
    known = views.frozen.get(b, views.z[b])
    centred = {j: known[j] - known[here].mean(0) for j in here}
    free = [j for j in here if views.relevance[i, j] == 0]
    cosine = {j: float(centred[i] @ centred[j] / (centred[i].norm() * centred[j].norm())) for j in free}
    nearest = sorted(free, key=lambda j: -cosine[j])[:k]
    return {j: share * max(cosine[j], 0) for j in nearest}


def naive(
    views: Views,
    modalities: tuple[str, ...],
    *,
    margin: float = 0.0,
    k: int = 0,
    share: float = 0.5,
    joint: float = 1.0,
) -> float:
    """The formula, one item and one candidate at a time."""
    means = []
    for m in modalities:
        captions = [b for b in views.modalities if b != m]
        asked = [(1.0, [m]), *([(joint, [m, *captions])] if joint else [])]
        parts = []
        for weight, galleries in asked:
            losses = []
            for i in range(len(views)):
                candidates = []
                for b in galleries:
                    extra = more_captions(views, b, i, k, share) if b != m else {}
                    for j in range(len(views)):
                        if views.present[b][j] and (b, j) != (m, i):
                            cosine = float(views.z[m][i] @ views.z[b][j])
                            candidates.append((cosine, float(views.relevance[i, j]) + extra.get(j, 0.0)))
                positives = [(c, w) for c, w in candidates if w > 0]
                negatives = [c for c, w in candidates if w == 0]
                if views.present[m][i] and positives and negatives:
                    losses.append(cost(positives, negatives, margin))
            parts += [weight * np.mean(losses)] if losses else []
        means += [sum(parts)] if parts else []
    return float(np.mean(means)) if means else 0.0


def cost(positives: list[tuple[float, float]], negatives: list[float], margin: float) -> float:
    mass = sum(math.exp(c / T) for c in negatives)
    loss = 0.0
    for c, w in positives:
        right = math.exp(math.cos(min(math.acos(c) + margin, math.pi)) / T)
        loss -= w * math.log(right / (right + mass))
    return loss / sum(w for _, w in positives)


@pytest.mark.parametrize(("modalities", "share"), CASES)
@pytest.mark.parametrize(("margin", "captions"), [(0.0, 0), (0.3, 0), (0.0, 2), (0.2, 20)])
@pytest.mark.parametrize("joint", [0.0, 0.7])
def test_it_equals_the_naive_loop(
    modalities: tuple[str, ...], share: float, margin: float, captions: int, joint: float
) -> None:
    for frozen in (True, False):
        views = graded_views(modalities, share, frozen=frozen)
        arguments = {"margin": margin, "joint": joint}
        loss = MCIP(captions=captions, temperature=T, weight=0.7, **arguments)
        assert loss(views).item() == pytest.approx(0.7 * naive(views, modalities, k=captions, **arguments), rel=1e-6)
        one = MCIP(items="b", captions=captions, temperature=T, **arguments)
        assert one(views).item() == pytest.approx(naive(views, ("b",), k=captions, **arguments), rel=1e-6)


@pytest.mark.parametrize("joint", [0.0, 1.0])
def test_the_gradient_is_that_of_moving_items_among_captions_that_stay(joint: float) -> None:
    views = graded_views(("a", "b"), 0.8, frozen=True)
    loss = MCIP(items="a", margin=0.2, captions=2, temperature=T, joint=joint)
    captions = views.z["b"].clone()

    def fixed(a: torch.Tensor) -> torch.Tensor:
        return loss(replace(views, z={"a": a, "b": captions}))

    assert torch.autograd.gradcheck(fixed, (views.z["a"].clone().requires_grad_(),))
    z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
    loss(replace(views, z=z)).backward()
    assert z["b"].grad is None or not z["b"].grad.any()


def test_with_its_own_modality_alone_the_gradient_agrees_with_finite_differences() -> None:
    views = graded_views(("a", "b"))
    views.present["b"][:] = False  # no captions, so nothing is held fixed
    check_gradient(MCIP(temperature=T), views)


def test_a_margin_asks_for_more_and_more() -> None:
    views = graded_views()
    losses = [MCIP(margin=m, temperature=T)(views).item() for m in (0.0, 0.2, 0.5, math.pi)]
    assert losses == sorted(losses)
    assert losses[0] < losses[-1]


def test_items_of_one_concept_draw_together_and_stay_where_their_caption_is() -> None:
    groups = np.repeat(np.arange(4), 3)
    views = random_views(12, dim=6, modalities=("image", "text"), groups=groups)
    text = views.z["text"][::3][groups]
    image = views.z["image"].clone().requires_grad_()
    loss = MCIP(items="image")
    optimiser = torch.optim.Adam([image], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        unit = torch.nn.functional.normalize(image, dim=1)
        loss(replace(views, z={"image": unit, "text": text})).backward()
        optimiser.step()
    unit = torch.nn.functional.normalize(image, dim=1).detach()
    same = torch.from_numpy(groups[:, None] == groups[None, :])
    assert (unit @ unit.T)[same].min() > (unit @ unit.T)[~same].max()
    assert torch.equal((unit @ text.T).argmax(1) // 3, torch.from_numpy(groups))


def test_more_captions_are_no_negatives() -> None:
    views = graded_views(frozen=True)
    more, fewer = (MCIP(captions=k, share=1e-9, temperature=T) for k in (3, 0))
    assert more(views) < fewer(views)


def test_without_anything_relevant_in_its_modality_there_is_nothing_to_learn() -> None:
    views = random_views(6)
    assert MCIP(joint=0.0)(views).item() == 0
    assert MCIP()(views) > 0  # its caption is


@pytest.mark.parametrize("temperature", [1e-4, 1e4])
@pytest.mark.parametrize("margin", [0.0, 0.5, math.pi])
def test_extremes_stay_finite(temperature: float, margin: float) -> None:
    views = random_views(8, modalities=("a", "b"), groups=np.repeat(np.arange(4), 2))
    alike, opposite = (replace(views, z={"a": views.z["a"], "b": s * views.z["a"]}) for s in (1, -1))
    for v in (views, alike, opposite):
        check_finite(MCIP(temperature=temperature, margin=margin, captions=3), v)


@pytest.mark.parametrize(
    "arguments",
    [{"temperature": 0.0}, {"margin": -0.1}, {"margin": 4.0}, {"weight": -1.0}, {"joint": -1.0}, {"captions": -1}],
)
def test_impossible_arguments_are_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="must be"):
        MCIP(**arguments)


def test_a_modality_that_is_not_there_is_named() -> None:
    with pytest.raises(BadInput, match="'sound'"):
        MCIP(items="sound")(random_views())
