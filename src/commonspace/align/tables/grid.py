"""The inputs grid: what each objective and sampler reads of the data, found by asking it.

No list is kept. Every registered objective, third parties' included, is shown small batches that differ in one thing,
and what its loss does says what it reads:

    pairs       items seen in one modality alone, related through groups or not at all: is there still a gradient?
    groups      the same batch with and without items of one group; and without group numbers: does it refuse?
    grades      a positive of relevance 1/2 in place of 1
    encoder outputs   other frozen vectors
    old vectors   other vectors in an earlier space; and without any: does it refuse?
    together    three modalities, against the mean over their pairs

A sampler's arguments that are data (everything without a default of its own but the batch size) are read off its
constructor.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import torch
from torch.nn.functional import normalize

from commonspace.core.errors import BadInput
from commonspace.core.registry import build, entries
from commonspace.core.views import Views

ITEMS, DIM, OLD_DIM = 12, 6, 4


@dataclass(frozen=True)
class Reads:
    """What an objective reads of the data.

    Parameters
    ----------
    name : str
        The objective.
    pairs : {"needed", "or groups", "not needed"}
        Whether items must be seen in two modalities, may be related through groups or grades instead, or neither.
    groups : {"needed", "used", "-"}
        Group numbers and what they make relevant.
    grades : {"used", "-"}
        How relevant, beyond whether.
    encoder_outputs : {"used", "-"}
        Frozen vectors, beside those of the heads.
    old_vectors : {"needed", "used", "-"}
        Vectors of the same items in an earlier space.
    modalities : {"by twos", "together"}
        How three or more are compared.
    head : {"any", "several layers"}
        What it can train as it is meant.
    """

    name: str
    pairs: str
    groups: str
    grades: str
    encoder_outputs: str
    old_vectors: str
    modalities: str
    head: str


@lru_cache(maxsize=1)
def objectives_grid() -> tuple[Reads, ...]:
    """Return what every registered objective reads, in the order of their names."""
    return tuple(probe(e.name) for e in entries("Objective"))


def probe(name: str) -> Reads:
    """Return what an objective reads, by asking it."""
    pairs = _views()
    grouped = _views(groups=_twos())
    plain = _loss(name, pairs)[0]
    linked, alone = _views(groups=_twos(), apart=True), _views(apart=True)
    groups = "used" if _differ(_loss(name, grouped)[0], plain) else "-"
    old = "used" if _differ(_loss(name, _views(old=1))[0], plain) else "-"
    linked_by = [_loss(name, _linked(grouped, grade))[0] for grade in (1.0, 0.5)]
    three = _views(modalities=("a", "b", "c"))
    by_twos = [_loss(name, _only(three, two), three.modalities)[0] for two in three.pairs()]
    return Reads(
        name=name,
        pairs="not needed" if _loss(name, alone)[1] else "or groups" if _loss(name, linked)[1] else "needed",
        groups="needed" if _refuses(name, replace(pairs, groups=None)) else groups,
        grades="used" if _differ(*linked_by) else "-",
        encoder_outputs="used" if _differ(_loss(name, _views(frozen=1))[0], plain) else "-",
        old_vectors="needed" if _refuses(name, replace(pairs, old={})) else old,
        modalities="together" if _differ(_loss(name, three)[0], sum(by_twos) / len(by_twos)) else "by twos",
        head="several layers" if getattr(build("Objective", name), "wants_layers", False) else "any",
    )


@lru_cache(maxsize=1)
def samplers_grid() -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return (sampler, arguments that are data) of every registered sampler."""
    out = []
    for entry in entries("Sampler"):
        arguments = inspect.signature(entry.cls).parameters
        data = [n for n, p in arguments.items() if n != "batch_size" and p.default in (None, inspect.Parameter.empty)]
        out.append((entry.name, tuple(data)))
    return tuple(out)


def markdown() -> str:
    """Return the grid as the table that stands in the documentation."""
    names = [f.name.replace("_", " ") for f in fields(Reads)]
    head = ["objective", *names[1:]]
    lines = [_line(head), "|" + "---|" * len(head)]
    for reads in objectives_grid():
        first, *rest = (getattr(reads, f.name) for f in fields(Reads))
        lines.append(_line([f"`{first}`", *rest]))
    lines += ["", _line(["sampler", "reads"]), "|---|---|"]
    for name, data in samplers_grid():
        lines.append(_line([f"`{name}`", ", ".join(f"`{d}`" for d in data) or "nothing"]))
    return "\n".join(lines)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _twos() -> torch.Tensor:
    return torch.arange(ITEMS) // 2


def _views(
    *,
    groups: torch.Tensor | None = None,
    apart: bool = False,
    frozen: int = 0,
    old: int = 0,
    modalities: tuple[str, ...] = ("a", "b"),
) -> Views:
    """Return the same random batch, with other groups, one modality an item, or other frozen or old vectors."""
    g = torch.Generator().manual_seed(0)
    z = {m: normalize(torch.randn(ITEMS, DIM, generator=g), dim=1) for m in modalities}
    teacher, earlier = torch.Generator().manual_seed(1 + frozen), torch.Generator().manual_seed(3 + old)
    number = torch.arange(ITEMS) if groups is None else groups
    present = {m: torch.ones(ITEMS, dtype=torch.bool) for m in modalities}
    if apart:
        present = {m: torch.arange(ITEMS) % len(modalities) == i for i, m in enumerate(modalities)}
    return Views(
        z=z,
        present=present,
        relevance=(number[:, None] == number[None, :]).float(),
        frozen={m: torch.randn(ITEMS, DIM, generator=teacher) for m in modalities},
        groups=number,
        old={m: normalize(torch.randn(ITEMS, OLD_DIM, generator=earlier), dim=1) for m in modalities},
    )


def _only(views: Views, names: tuple[str, str]) -> Views:
    parts = {part: {m: getattr(views, part)[m] for m in names} for part in ("z", "present", "frozen", "old")}
    return replace(views, **parts)


def _linked(views: Views, grade: float) -> Views:
    """Return the batch with items of different groups relevant to each other by a grade."""
    relevance = views.relevance.clone()
    relevance[0, -1] = relevance[-1, 0] = grade
    return replace(views, relevance=relevance)


def _loss(name: str, views: Views, modalities: list[str] | None = None) -> tuple[float, bool]:
    """Return the loss of a fresh objective, made for these modalities, and whether it moves anything."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        objective = build("Objective", name)
        if hasattr(objective, "prepare"):
            objective.prepare({m: torch.nn.Identity() for m in modalities or views.modalities}, DIM)
        if hasattr(objective, "before_step"):
            objective.before_step(1.0)
        z = {m: v.clone().requires_grad_() for m, v in views.z.items()}
        loss = objective(replace(views, z=z))
        torch.autograd.backward(loss)
    moved = any(v.grad is not None and bool(v.grad.abs().max() > 0) for v in z.values())
    return float(loss.detach()), moved


def _refuses(name: str, views: Views) -> bool:
    try:
        _loss(name, views)
    except BadInput:
        return True
    return False


def _differ(one: float, other: float) -> bool:
    return abs(one - other) > 1e-5 * max(1.0, abs(one), abs(other))


if __name__ == "__main__":
    print(markdown())
