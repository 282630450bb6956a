"""Gradient caching: the gradients of a large contrastive batch in the memory of a small chunk.

A contrastive loss couples all items of a batch, but only through their embeddings. So:

    1  z = forward(x), chunk by chunk, without a graph; the state of the random generators is kept for each chunk
    2  g = d loss / d z, for the whole batch (only z is in memory)
    3  chunk by chunk again, same random state, with a graph: backward of <forward(x_chunk), g_chunk>

The sum of step 3 is the gradient of the plain loss, exactly, dropout and noise included. Not with batch normalisation,
whose output depends on the other rows of its chunk.

Source: "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from commonspace.core.vectors import check_positive


def cached_backward(
    forward: Mapping[Any, Callable[[Tensor], Tensor]],
    inputs: Mapping[Any, Tensor],
    loss_of: Callable[[dict[Any, Tensor]], Tensor],
    *,
    chunk_size: int,
) -> Tensor:
    """Add the gradients of ``loss_of({name: forward[name](inputs[name])})`` to the parameters.

    Parameters
    ----------
    forward : mapping of any name to callable
        (chunk, d_in) -> (chunk, dim), row by row independent.
    inputs : mapping of the same names to (n, d_in) tensor
        Numbers of rows may differ between names.
    loss_of : callable
        From the embeddings of the whole batch to a scalar.
    chunk_size : int
        The most rows whose activations are in memory at once.

    Returns
    -------
    scalar tensor
        The loss, detached.
    """
    check_positive("chunk_size", chunk_size)
    z: dict[Any, Tensor] = {}
    states: list[_RandomState] = []
    with torch.no_grad():
        for name, x in inputs.items():
            parts = []
            for chunk in torch.split(x, chunk_size):
                states.append(_RandomState(x.device))
                parts.append(forward[name](chunk))
            z[name] = torch.cat(parts).requires_grad_()
    loss = loss_of(z)
    if not loss.requires_grad:  # a batch with nothing in it to learn from
        return loss.detach()
    torch.autograd.backward(loss)
    replay = iter(states)
    for name, x in inputs.items():
        g = z[name].grad
        if g is None:
            g = torch.zeros_like(z[name])
        for chunk, g_chunk in zip(torch.split(x, chunk_size), torch.split(g, chunk_size), strict=True):
            with next(replay).again():
                out = forward[name](chunk)
            torch.autograd.backward(out, g_chunk)
    return loss.detach()


def depends_on_neighbours(module: nn.Module) -> bool:
    """Return whether a module's output for one row depends on the other rows of its batch."""
    return any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in module.modules())


class _RandomState:
    """The random state at one moment, to be replayed."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cpu = torch.get_rng_state()
        self.cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None

    @contextmanager
    def again(self) -> Iterator[None]:
        """Run a block from this state and leave the present one untouched."""
        with torch.random.fork_rng(devices=[self.device] if self.cuda is not None else []):
            torch.set_rng_state(self.cpu)
            if self.cuda is not None:
                torch.cuda.set_rng_state(self.cuda, self.device)
            yield
