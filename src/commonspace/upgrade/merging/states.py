"""States: the numbers of a model by name, wherever they come from, and how they are told apart.

Of a state are merged only the *blocks*, its trained floating-point tensors. The rest has rules of its own:

    tied        names that share memory in the base are one block and stay one
    averaged    floating-point buffers (running statistics): a mean of the tuned models, by the weights of ways to merge
                that take means, else a plain one: a combination with weights below 0 or above 1 would leave their range
                (a variance would become negative)
    kept        integers and booleans, and what none of the models changed: as in the base
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from commonspace.core.errors import BadInput, NotFound, SpaceMismatch

State = Mapping[str, Tensor]
RUNNING = ("running_mean", "running_var")


class FileState(Mapping[str, Tensor]):
    """The tensors of a safetensors file, each read when it is asked for.

    Parameters
    ----------
    path : path
        The file.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import safe_open

        if not path.is_file():
            raise NotFound(f"there is no file {path}: name a safetensors file that holds a state")
        try:
            self._file: Any = safe_open(str(path), framework="pt")
        except Exception as e:  # safetensors has errors of its own
            raise BadInput(f"{path} cannot be read as safetensors: {e}") from None
        self._names: list[str] = list(self._file.keys())  # type: ignore[no-untyped-call]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._names:
            raise KeyError(name)
        tensor: Tensor = self._file.get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def tensors(values: Mapping[str, Any], what: str) -> dict[str, Tensor]:
    """Return a mapping of arrays or tensors as one of tensors, without copying where that can be."""
    found = {}
    for name, value in values.items():
        if isinstance(value, Tensor):
            found[str(name)] = value.detach()
        elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
            found[str(name)] = torch.from_numpy(value if value.flags.writeable else value.copy())
        else:
            raise BadInput(f"{name!r} of {what} is a {type(value).__name__}: a state holds arrays or tensors only")
    if not found:
        raise BadInput(f"{what} holds no numbers")
    return found


def from_path(path: str | os.PathLike[str]) -> FileState:
    """Return the state in a safetensors file, without reading it yet."""
    return FileState(Path(path).expanduser())


@dataclass(frozen=True)
class Layout:
    """What becomes of each name of a state.

    Parameters
    ----------
    blocks : dict of str to tuple of str
        Name of a block -> all names that share its memory, itself first.
    averaged, kept : tuple of str
        As in the module's docstring.
    sources : dict of str to (dict of str to str)
        Task -> name in the base -> the name under which that task's state holds it.
    """

    blocks: dict[str, tuple[str, ...]]
    averaged: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    sources: dict[str, dict[str, str]] = field(default_factory=dict)


def layout_of(base: State, tuned: Mapping[str, State], buffers: Container[str]) -> Layout:
    """Return how the states of several models are to be merged.

    Raises
    ------
    SpaceMismatch
        Other names or shapes; ties that one model has and another has not.
    BadInput
        NaN or Inf.
    """
    groups = tied(base)
    sources = {task: _same_names(base, state, groups, task) for task, state in tuned.items()}
    blocks: dict[str, tuple[str, ...]] = {}
    averaged: list[str] = []
    kept: list[str] = []
    for first, names in groups.items():
        mine = base[first]
        moved = False
        _finite(mine, first, "the base")
        for task, state in tuned.items():
            theirs = state[sources[task][first]]
            _same_shape(mine, theirs, first, task)
            _still_tied(state, sources[task], names, task)
            _finite(theirs, first, task)
            moved = moved or not torch.equal(theirs.to(mine.device, mine.dtype), mine)
        if not mine.is_floating_point() or not moved:
            kept += names
        elif first in buffers or first.rpartition(".")[2] in RUNNING:
            averaged += names
        else:
            blocks[first] = names
    return Layout(blocks, tuple(averaged), tuple(kept), sources)


def tied(state: State) -> dict[str, tuple[str, ...]]:
    """Return first name -> names that are views of the very same numbers, in the order of the state."""
    groups: dict[Any, list[str]] = {}
    if isinstance(state, FileState):
        return {name: (name,) for name in state}
    for name, value in state.items():
        same = (value.device, value.data_ptr(), value.dtype, tuple(value.shape), value.stride())
        groups.setdefault(same if value.numel() else name, []).append(name)
    return {names[0]: tuple(names) for names in groups.values()}


def whole(base: State, layout: Layout, make: Callable[[str], Tensor], average: Callable[[str], Tensor]) -> State:
    """Return the state in which each block is what `make` makes of it, in the base's dtype and on its device.

    Blocks are made one after the other, so that no second copy of a model is held beside the result.

    Raises
    ------
    BadInput
        If a block is no longer finite in the base's dtype.
    """
    found: dict[str, Tensor] = {}
    for names in layout.blocks.values():
        mine = base[names[0]]
        made = make(names[0]).to(mine.device, mine.dtype)
        if not torch.isfinite(made).all():
            raise BadInput(
                f"the merged {names[0]!r} holds NaN or Inf as {mine.dtype}: use smaller weights or scales, or a base "
                "of a wider dtype"
            )
        found |= dict.fromkeys(names, made.contiguous())
    for name in layout.averaged:
        found[name] = average(name).to(base[name].device, base[name].dtype)
    for name in layout.kept:
        found[name] = base[name].clone()
    return {name: found[name] for name in base}


def _same_names(base: State, state: State, groups: Mapping[str, tuple[str, ...]], task: str) -> dict[str, str]:
    """Return name in the base -> name in a task's state; tied names that a file keeps once stand for each other."""
    found: dict[str, str] = {}
    for names in groups.values():
        there = [n for n in names if n in state]
        if there:
            found |= {n: n if n in state else there[0] for n in names}
    missing = [n for n in base if n not in found]
    more = [n for n in state if n not in base]
    if missing or more:
        raise SpaceMismatch(
            f"the model {task!r} is not built like the base: it lacks {_some(missing)} and has besides {_some(more)}. "
            "Models can be merged only if they have the same layers by the same names; if only a prefix differs, "
            "rename the keys of one state"
        )
    return found


def _same_shape(mine: Tensor, theirs: Tensor, name: str, task: str) -> None:
    if mine.shape != theirs.shape or mine.is_floating_point() != theirs.is_floating_point():
        raise SpaceMismatch(
            f"{name!r} is {tuple(mine.shape)} {mine.dtype} in the base but {tuple(theirs.shape)} {theirs.dtype} in "
            f"{task!r}: models can be merged only if they have the same shapes; a new vocabulary or another dimension "
            "needs a bridge instead"
        )


def _still_tied(state: State, source: Mapping[str, str], names: tuple[str, ...], task: str) -> None:
    for name in names[1:]:
        if source[name] != source[names[0]] and not torch.equal(state[source[name]], state[source[names[0]]]):
            raise SpaceMismatch(
                f"{names[0]!r} and {name!r} share their numbers in the base but differ in {task!r}: untie them in the "
                "base (give each its own copy) or merge models that kept them tied"
            )


def _finite(value: Tensor, name: str, where: str) -> None:
    if value.is_floating_point() and not torch.isfinite(value).all():
        raise BadInput(f"{name!r} of {where} holds NaN or Inf: that training went wrong; leave the model out")


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(map(repr, names[:3])) + more if names else "nothing"
