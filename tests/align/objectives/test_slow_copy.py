from __future__ import annotations

import copy

import torch
from tests.align.conftest import random_views
from torch import nn
from torch.nn.functional import normalize

from commonspace.align.objectives.slow_copy import SlowCopy


def heads() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return {m: nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 5)).double() for m in "ab"}


def test_it_sees_the_encoder_output_without_dropout_and_without_gradient() -> None:
    online = heads()
    slow = SlowCopy(online, decay=0.9)
    views = random_views(6, modalities=("a", "b"))
    views.frozen = {"a": torch.randn(6, 3, dtype=torch.float64)}
    rows = torch.tensor([0, 2, 5])
    found = slow.units(views, "a", rows)
    expected = normalize(online["a"][1](views.frozen["a"][rows]), dim=1)
    torch.testing.assert_close(found, expected.detach())
    assert not found.requires_grad


def test_without_encoder_outputs_it_returns_the_items_own_view_without_gradient() -> None:
    views = random_views(6, modalities=("a", "b"))
    views.z["b"].requires_grad_()
    found = SlowCopy(heads(), decay=0.9).units(views, "b", torch.tensor([1, 3]))
    torch.testing.assert_close(found, views.z["b"][[1, 3]].detach())
    assert not found.requires_grad


def test_it_follows_heads_and_projectors_by_the_decay() -> None:
    online = heads()
    top = {m: nn.Linear(5, 4).double() for m in "ab"}
    slow = SlowCopy(online, top, decay=0.05)
    before = copy.deepcopy(slow.target.projectors["b"].weight)
    with torch.no_grad():
        top["b"].weight += 1.0
        online["a"][1].bias += 1.0
    slow.follow()
    torch.testing.assert_close(slow.target.projectors["b"].weight - before, torch.full_like(before, 0.95))
    moved = slow.target.heads["a"][1].bias - online["a"][1].bias
    torch.testing.assert_close(moved, torch.full_like(moved, -0.05))


def test_what_it_follows_is_no_part_of_it() -> None:
    online = heads()
    slow = SlowCopy(online, decay=0.9)
    assert not {id(p) for p in slow.parameters()} & {id(p) for h in online.values() for p in h.parameters()}
    assert not [p for p in slow.parameters() if p.requires_grad]
