from __future__ import annotations

import pytest
import torch
from tests.align.conftest import random_views, take
from tests.align.objectives.grouped import real_views

from commonspace.align.objectives.hinge import Hinge, hardest
from commonspace.align.objectives.ranking import Ranking
from commonspace.align.objectives.tal import TAL

KINDS = [*(Ranking(negatives=c) for c in ("all", "semihard", "hardest")), TAL()]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_order_of_the_items_does_not_matter(kind: Hinge) -> None:
    views = real_views()
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(kind(views), kind(take(views, order)))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_batch_with_nothing_to_tell_apart_costs_nothing(kind: Hinge) -> None:
    one = random_views(1)
    apart = random_views(4)
    apart.present["text"][:2] = False
    apart.present["image"][2:] = False
    for views in (one, apart):
        assert kind(views).item() == 0


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_missing_modality_leaves_the_others_untouched(kind: Hinge) -> None:
    views = real_views(share=1.0)
    views.present["c"][:] = False
    two = real_views(share=1.0)
    for rows in (two.z, two.present):
        rows.pop("c")
    torch.testing.assert_close(kind(views), kind(two))


def test_nothing_chosen_is_worse_than_anything() -> None:
    assert hardest(torch.ones(1, 3), torch.zeros(1, 3, dtype=torch.bool)).item() == -torch.inf
