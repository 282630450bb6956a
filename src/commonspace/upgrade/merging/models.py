"""What can be merged: anything with a state, seen through one small contract.

kind          read as                                  forward pass for probes
NumpyHead     its arrays                               in torch, see `Reopened`
heads         modality/array; a mapping of heads       that of the modality a view is named after
              or anything with `.heads`, as a space
torch module  its state dict                           functional_call in evaluation mode
state         a mapping of arrays or tensors, or the   that of `module`, if one is given
              path of a safetensors file
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from commonspace.align.forward import NumpyHead
from commonspace.align.heads.reopened import Reopened
from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.upgrade.merging.states import State, from_path, tensors


class Model:
    """A model as merging sees it; `state` and `buffers` are filled by subclasses."""

    state: State
    buffers: set[str]

    def rebuild(self, state: State) -> Any:
        """Return a model of this kind with the numbers of a state."""
        raise NotImplementedError

    def rows(self, state: State, inputs: Any, view: str) -> Any:
        """Return what the model gives for inputs with the numbers of a state, as it is called for a view."""
        raise BadInput(
            "a state has no forward pass: give the network it belongs to as module=, so that probes can be run"
        )

    @property
    def device(self) -> torch.device:
        """Where the numbers lie."""
        return device_of(self.state)

    def check_like(self, other: Model, task: str) -> None:
        """Raise `SpaceMismatch` if another model is built otherwise in a way that names and shapes do not show."""


class Head(Model):
    """A single `NumpyHead`."""

    def __init__(self, head: NumpyHead) -> None:
        self.head = head
        self.state = tensors(head.arrays(), "the head")
        self.opened = Reopened(head)
        self.inside = {name: _place(name) for name in self.state}
        fixed = {name for name, _ in self.opened.named_buffers()}
        self.buffers = {name for name, place in self.inside.items() if place in fixed}

    def rebuild(self, state: State) -> NumpyHead:
        """Return the head with other numbers."""
        return NumpyHead.from_config(self.head.config(), {k: v.cpu().numpy() for k, v in state.items()})

    def rows(self, state: State, inputs: Any, view: str) -> Tensor:
        """Return unit rows."""
        placed = {self.inside[name]: value for name, value in state.items()}
        return normalize(torch.func.functional_call(self.opened, placed, (rows_of(inputs, device_of(state)),)), dim=1)

    def check_like(self, other: Model, task: str) -> None:
        """Raise `SpaceMismatch` unless the layers are the same."""
        if isinstance(other, Head) and other.head.config() != self.head.config():
            raise SpaceMismatch(f"the head {task!r} has other layers than the base: {other.head!r}, not {self.head!r}")


class Heads(Model):
    """The heads of a space, one a modality."""

    def __init__(self, heads: Mapping[str, NumpyHead]) -> None:
        self.parts = {m: Head(h) for m, h in heads.items()}
        self.state = {f"{m}/{k}": v for m, p in self.parts.items() for k, v in p.state.items()}
        self.buffers = {f"{m}/{k}" for m, p in self.parts.items() for k in p.buffers}

    def rebuild(self, state: State) -> dict[str, NumpyHead]:
        """Return the heads with other numbers."""
        return {m: p.rebuild(_below(state, m)) for m, p in self.parts.items()}

    def rows(self, state: State, inputs: Any, view: str) -> Tensor:
        """Return unit rows of the modality that the view is named after: "text" or "text#query"."""
        modality = view.partition("#")[0]
        if modality not in self.parts:
            raise BadInput(
                f"the view {view!r} of the probes is no modality of these heads ({', '.join(self.parts)}): name views "
                'after modalities; two of one modality are "text#1" and "text#2"'
            )
        return self.parts[modality].rows(_below(state, modality), inputs, view)

    def check_like(self, other: Model, task: str) -> None:
        """Raise `SpaceMismatch` unless modalities and layers are the same."""
        if not isinstance(other, Heads):
            return
        if set(other.parts) != set(self.parts):
            raise SpaceMismatch(f"{task!r} has the modalities {sorted(other.parts)}, the base {sorted(self.parts)}")
        for m, part in self.parts.items():
            part.check_like(other.parts[m], f"{task}: {m}")


class Module(Model):
    """A torch module, or a state together with the module it belongs to."""

    def __init__(self, module: nn.Module, state: State | None = None) -> None:
        self.module = module
        self.state = tensors(module.state_dict(), "the module") if state is None else state
        self.buffers = {name for name, _ in module.named_buffers(remove_duplicate=False)}
        self.rebuilds = state is None

    def rebuild(self, state: State) -> Any:
        """Return a copy of the module with the numbers of a state; the state itself where states were given."""
        if not self.rebuilds:
            return dict(state)
        import copy

        module = copy.deepcopy(self.module)
        module.load_state_dict(dict(state))
        return module

    def rows(self, state: State, inputs: Any, view: str) -> Any:
        """Return the module's output in evaluation mode: no dropout, running statistics as they are."""
        device = device_of(state)
        given = _prepared(self.module, inputs, device)
        # Buffers that a state dict leaves out, such as positions, must be where the computation is, too.
        left_out = {n: b.to(device) for n, b in self.module.named_buffers() if n not in state}
        was, _ = self.module.training, self.module.eval()
        try:
            args, kwargs = _arguments(self.module, given)
            # Tied names all have their value in the state.
            return torch.func.functional_call(self.module, {**left_out, **state}, args, kwargs, tie_weights=False)
        finally:
            self.module.train(was)


class Bare(Model):
    """A state without a network: it can be merged, but not run."""

    def __init__(self, state: State, arrays: bool = False) -> None:
        self.state = state
        self.buffers = set()
        self.arrays = arrays

    def rebuild(self, state: State) -> dict[str, Any]:
        """Return the state; as arrays where arrays were given."""
        return {k: v.cpu().numpy() if self.arrays else v for k, v in state.items()}


def model_of(value: Any, module: nn.Module | None = None, what: str = "the base") -> Model:
    """Return anything that can be merged as a `Model`."""
    if isinstance(value, Model):
        return value
    if isinstance(value, NumpyHead):
        return Head(value)
    if isinstance(value, nn.Module):
        return Module(value)
    heads = value if isinstance(value, Mapping) else getattr(value, "heads", None)
    if isinstance(heads, Mapping) and heads and all(isinstance(h, NumpyHead) for h in heads.values()):
        return Heads(heads)
    if isinstance(value, str | os.PathLike):
        state: State = from_path(value)
    elif isinstance(value, Mapping):
        state = tensors(value, what)
    else:
        raise BadInput(
            f"{what} is a {type(value).__name__}: give a head, heads by modality, a space, a torch module, a state "
            "(names to arrays or tensors) or the path of a safetensors file"
        )
    if module is not None:
        return Module(module, state)
    return Bare(state, arrays=isinstance(value, Mapping) and all(isinstance(v, np.ndarray) for v in value.values()))


def device_of(state: State) -> torch.device:
    """Return where a state lies."""
    return next(iter(state.values())).device


def _place(name: str) -> str:
    """Return where `Reopened` keeps the array "1.0.2.weight" (layer, branch, layer ...)."""
    *numbers, array = name.split(".")
    inner = [f"branches.{j}.{k}" for j, k in zip(numbers[1::2], numbers[2::2], strict=True)]
    return ".".join(["steps", numbers[0], *inner, array])


def rows_of(inputs: Any, device: torch.device) -> Tensor:
    """Return rows as a float tensor (n, d) on a device."""
    if isinstance(inputs, Tensor):
        return inputs.to(device, torch.float32 if inputs.is_floating_point() else None)
    return torch.from_numpy(np.ascontiguousarray(inputs, np.float32)).to(device)


def _below(state: State, modality: str) -> dict[str, Tensor]:
    start = f"{modality}/"
    return {k[len(start) :]: v for k, v in state.items() if k.startswith(start)}


def _prepared(module: nn.Module, inputs: Any, device: torch.device) -> Any:
    """Return inputs as the module takes them: texts in tokens, tensors where the computation is."""
    if isinstance(inputs, Sequence) and not isinstance(inputs, str) and inputs and isinstance(inputs[0], str):
        to_tokens: Any = getattr(module, "preprocess", None) or getattr(module, "tokenize", None)
        if to_tokens is None:
            raise BadInput(
                f"a {type(module).__name__} has no tokenizer of its own: give the probes as lists of batches that it "
                "takes as they are"
            )
        inputs = to_tokens(list(inputs))
    if isinstance(inputs, Mapping):  # a copy, because some modules write their output into it
        return {k: v.to(device) if isinstance(v, Tensor) else v for k, v in inputs.items()}
    return rows_of(inputs, device) if isinstance(inputs, Tensor | np.ndarray) else inputs


def _arguments(module: nn.Module, given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return a mapping as keywords where the module takes them, and as one argument otherwise."""
    if isinstance(given, Mapping):
        try:
            inspect.signature(module.forward).bind(**given)
            return (), dict(given)
        except TypeError:
            return (given,), {}
    return (given,), {}
