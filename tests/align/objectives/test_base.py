from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from tests.align.conftest import random_views
from tests.align.objectives.conftest import prepared

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.base import Sum, build_objective
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.objectives.siamlip import SiamLIP
from commonspace.core.errors import BadInput, NotFitted


def test_a_list_is_the_sum_of_its_parts_with_all_their_parameters_and_numbers() -> None:
    views = random_views(8, modalities=("a", "b"))
    both = prepared(build_objective(["infonce", {"name": "siamlip", "weight": 0.5}]))
    parts = [o(views).item() for o in both.objectives]
    assert both(views).item() == pytest.approx(sum(parts))
    assert {"temperature", "siamlip"} <= set(both.diagnostics)
    expected = sum(p.numel() for o in both.objectives for p in o.parameters())
    assert sum(p.numel() for p in both.parameters()) == expected


def test_a_part_that_is_no_torch_module_takes_part() -> None:
    class Constant:
        diagnostics = {"constant": 1.0}

        def __call__(self, views: object) -> torch.Tensor:
            return torch.tensor(2.0, dtype=torch.float64)

    views = random_views(4, modalities=("a", "b"))
    infonce = InfoNCE().double()
    assert Sum([infonce, Constant()])(views).item() == pytest.approx(infonce(views).item() + 2)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(BadInput, match="empty"):
        build_objective([])


def test_an_extra_asks_to_be_prepared() -> None:
    with pytest.raises(NotFitted, match="prepare"):
        SiamLIP()(random_views(4))


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda inner: [inner, "infonce"],
        lambda inner: {"name": "matryoshka", "objective": inner, "sizes": [5]},
        lambda inner: {"name": "2d-matryoshka", "objective": inner, "sizes": [5]},
        lambda inner: {"name": "starbucks", "objective": inner},
    ],
)
def test_what_is_wrapped_is_told_how_far_training_is(wrapped: Callable[[Any], Any]) -> None:
    class Listening(InfoNCE):
        def before_step(self, done: float) -> None:
            self.heard = done

    objective = build_objective(wrapped(Listening()))
    objective.prepare({"a": torch.nn.Identity(), "b": torch.nn.Identity()}, 5)
    objective.before_step(0.25)
    assert [part.heard for part in objective.parts() if isinstance(part, Listening)] == [0.25]


def test_an_objective_hears_how_much_of_training_is_done() -> None:
    heard = []

    class Listening(InfoNCE):
        def before_step(self, done: float) -> None:
            heard.append(done)

    rng = np.random.default_rng(0)
    data = {"a": rng.normal(size=(20, 4)), "b": rng.normal(size=(20, 3))}
    fit_heads(data, objective=Listening(), epochs=2, batch_size=10, dim=4, valid=None, baselines=())
    assert heard == [0, 0.25, 0.5, 0.75]
