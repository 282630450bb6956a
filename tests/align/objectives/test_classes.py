from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import prepared
from tests.align.objectives.grouped import real_views

from commonspace.align.objectives.equiangular import Equiangular
from commonspace.align.objectives.madacos import MadaCos
from commonspace.core.errors import BadInput, NotFitted

KINDS: list[Any] = [Equiangular, MadaCos]


def naive_targets(views: Any, classes: int) -> list[list[float]]:
    """For every item the share of its relevance that falls on each class, over items seen in any modality."""
    table = []
    for i in range(len(views)):
        row = [0.0] * classes
        for j in range(len(views)):
            if any(views.present[m][j] for m in views.z):
                row[int(views.groups[j])] += float(views.relevance[i, j])
        table.append([r / sum(row) if sum(row) else 0.0 for r in row])
    return table


def rows(views: Any, classes: int) -> list[tuple[torch.Tensor, list[float]]]:
    """Every item of every modality that belongs to a class: its vector and its classes."""
    targets = naive_targets(views, classes)
    return [
        (views.z[m][i], targets[i])
        for m in views.z
        for i in range(len(views))
        if views.present[m][i] and sum(targets[i]) > 0
    ]


def test_an_item_may_belong_to_several_classes_by_grade() -> None:
    views = real_views(share=0.7)
    found = prepared(Equiangular(classes=8)).targets_of(views)
    torch.testing.assert_close(found, torch.tensor(naive_targets(views, 8), dtype=torch.float64))
    assert ((found > 0).sum(1) > 1).any()


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_number_of_a_class_there_is_no_vector(kind: Any) -> None:
    views = random_views(4)
    loss = prepared(kind(classes=4))
    with pytest.raises(BadInput, match="pass groups"):
        loss(replace(views, groups=None))
    with pytest.raises(BadInput, match="group is number 4"):
        loss(replace(views, groups=torch.tensor([0, 1, 2, 4])))
    with pytest.raises(BadInput, match="group is number -1"):
        loss(replace(views, groups=torch.tensor([0, 1, 2, -1])))


@pytest.mark.parametrize("kind", KINDS)
def test_modalities_learn_even_where_no_item_has_two(kind: Any) -> None:
    views = random_views(6, modalities=("a", "b"))
    views.present["a"][:3] = False
    views.present["b"][3:] = False
    views.z = {m: z.clone().requires_grad_() for m, z in views.z.items()}
    prepared(kind(classes=6))(views).backward()
    assert (views.z["a"].grad[3:].abs().sum(1) > 0).all()
    assert (views.z["b"].grad[:3].abs().sum(1) > 0).all()


@pytest.mark.parametrize("kind", KINDS)
def test_it_must_be_prepared_and_have_classes(kind: Any) -> None:
    with pytest.raises(NotFitted, match="prepare"):
        kind()(random_views(3))
    with pytest.raises(BadInput, match="classes"):
        kind(classes=1)
