from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import normalize

from commonspace.align.heads.mlp import MLP
from commonspace.align.objectives.infonce import InfoNCE
from commonspace.align.training.gradcache import cached_backward, depends_on_neighbours
from commonspace.core.errors import BadInput
from commonspace.core.views import Views

N = 12


def world(dropout: float) -> tuple[dict[str, nn.Module], dict[str, torch.Tensor], InfoNCE]:
    torch.manual_seed(0)
    heads: dict[str, nn.Module] = {m: MLP(d_in=6, dim=4, hidden=16, dropout=dropout).double() for m in "ab"}
    inputs = {m: torch.randn(N, 6, dtype=torch.float64) for m in "ab"}
    return heads, inputs, InfoNCE().double()


def gradients(heads: dict[str, nn.Module], objective: InfoNCE) -> list[torch.Tensor]:
    found = [p.grad.clone() for part in (*heads.values(), objective) for p in part.parameters()]
    for part in (*heads.values(), objective):
        part.zero_grad()
    return found


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("chunk_size", [1, 5, 12, 50])
def test_gradients_equal_those_of_the_whole_batch(dropout: float, chunk_size: int) -> None:
    heads, inputs, objective = world(dropout)
    forward = {m: lambda x, head=h: normalize(head(x), dim=1) for m, h in heads.items()}
    everyone = {m: torch.ones(N, dtype=torch.bool) for m in "ab"}

    def loss_of(z: dict[str, torch.Tensor]) -> torch.Tensor:
        return objective(Views(z=z, present=everyone, relevance=torch.eye(N)))

    torch.manual_seed(1)
    cached = cached_backward(forward, inputs, loss_of, chunk_size=chunk_size)
    mine = gradients(heads, objective)

    torch.manual_seed(1)  # the same masks, drawn chunk by chunk, but one graph
    plain = loss_of({m: torch.cat([forward[m](c) for c in x.split(chunk_size)]) for m, x in inputs.items()})
    plain.backward()
    theirs = gradients(heads, objective)

    assert cached.item() == pytest.approx(plain.item(), abs=1e-12)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, atol=1e-9, rtol=1e-6)


def test_the_random_state_moves_on_as_if_there_had_been_one_forward() -> None:
    heads, inputs, _ = world(0.5)
    forward = {m: lambda x, head=h: normalize(head(x), dim=1) for m, h in heads.items()}
    torch.manual_seed(1)
    for m, x in inputs.items():
        for c in x.split(4):
            forward[m](c)
    expected = torch.rand(1)
    torch.manual_seed(1)
    cached_backward(forward, inputs, lambda z: (z["a"] * z["b"]).sum(), chunk_size=4)
    assert torch.equal(torch.rand(1), expected)


def test_a_modality_that_the_loss_ignores_is_no_problem() -> None:
    heads, inputs, _ = world(0.0)
    cached_backward(dict(heads), inputs, lambda z: z["a"].sum(), chunk_size=5)
    assert all((p.grad == 0).all() for p in heads["b"].parameters())


def test_batch_normalisation_is_recognised() -> None:
    assert depends_on_neighbours(MLP(d_in=3, dim=2, norm="batch"))
    assert not depends_on_neighbours(MLP(d_in=3, dim=2, norm="layer"))


def test_a_chunk_of_nothing_is_refused() -> None:
    with pytest.raises(BadInput, match="chunk_size"):
        cached_backward({}, {}, lambda z: torch.zeros(()), chunk_size=0)


def test_a_batch_with_nothing_to_learn_from_brings_no_gradient() -> None:
    heads, inputs, _ = world(0.0)
    loss = cached_backward(
        {m: heads[m] for m in inputs}, inputs, lambda _: torch.zeros((), dtype=torch.float64), chunk_size=4
    )
    assert loss == 0
    assert all(p.grad is None for head in heads.values() for p in head.parameters())
