"""What a training step costs with each objective, against plain InfoNCE on the same batch.

A step is what the objective is charged with: forward and backward of the loss alone ("loss"), and with the heads that
it trains, their optimiser left out ("step"). Both are processor time; the ratio to `infonce` is what counts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from bench._results import in_turn, write

from commonspace.align.mixing import mix
from commonspace.core.registry import build, entries
from commonspace.core.views import Mixed, Views

D_IN = 384
BASE = "infonce"


def main(batch: int = 512, dim: int = 128, modalities: int = 2, rounds: int = 5) -> None:
    """Time every registered objective on one batch, one item in four sharing its group with another."""
    torch.manual_seed(0)
    names = [f"m{i}" for i in range(modalities)]
    frozen = {m: torch.randn(batch, D_IN) for m in names}
    groups = torch.arange(batch) % (batch - batch // 8)
    present = {m: torch.ones(batch, dtype=torch.bool) for m in names}
    layered = {"layers": 4, "hidden": 256}
    work: dict[str, Callable[[], None]] = {}
    for entry in entries("Objective"):
        deep = entry.name in ("starbucks", "2d-matryoshka")
        spec = {"name": "residual", **layered} if deep else {"name": "mlp", "hidden": 384}
        heads = {m: copy.deepcopy(build("Head", spec, d_in=D_IN, dim=dim)) for m in names}
        for m, head in heads.items():
            head.calibrate(frozen[m].numpy())
        for kind in ("loss", "step"):
            given = {"classes": int(groups.max()) + 1} if entry.name in ("madacos", "equiangular") else {}
            objective = build("Objective", {"name": entry.name, **given})
            if hasattr(objective, "prepare"):
                objective.prepare(heads, dim)
            work[f"{entry.name} {kind}"] = _step(objective, heads, frozen, present, groups, whole=kind == "step")
    times = in_turn(work, rounds=rounds)
    rows = []
    for entry in entries("Objective"):
        row: dict[str, Any] = {"objective": entry.name}
        for kind in ("loss", "step"):
            took, base = times[f"{entry.name} {kind}"]["cpu_seconds"], times[f"{BASE} {kind}"]["cpu_seconds"]
            row |= {f"{kind}_ms": round(1000 * took, 2), f"{kind}_over_infonce": round(took / base, 2)}
        rows.append(row)
        print(f"{entry.name:24} loss {row['loss_over_infonce']:6.2f}  step {row['step_over_infonce']:6.2f}")
    about = {"batch": batch, "dim": dim, "modalities": modalities, "d_in": D_IN}
    write("objectives", goals=[], rows=[about, *rows], packages=["torch", "numpy"])


def _step(objective: Any, heads: Any, frozen: Any, present: Any, groups: Any, *, whole: bool) -> Callable[[], None]:
    """Return a forward and backward pass, of the heads too if the step is whole."""
    relevance = (groups[:, None] == groups[None, :]).float()
    deep = {m: head for m, head in heads.items() if hasattr(head, "every_layer")}

    mixing = getattr(objective, "wants_mixed", None)

    def outputs() -> tuple[dict[str, Any], dict[str, Any]]:
        layers = {m: torch.stack([_unit(z) for z in head.every_layer(frozen[m])]) for m, head in deep.items()}
        return {m: layers[m][-1] if m in layers else _unit(head(frozen[m])) for m, head in heads.items()}, layers

    def mixtures() -> dict[str, Mixed]:
        if mixing is None:
            return {}
        drawn = {m: mixing.draw(len(x), torch.Generator().manual_seed(0)) for m, x in frozen.items()}
        return {m: Mixed(_unit(heads[m](mix(frozen[m], *two))), *two) for m, two in drawn.items()}

    with torch.no_grad():
        fixed, still = outputs(), mixtures()

    def work() -> None:
        z, layers = outputs() if whole else ({m: v.clone().requires_grad_() for m, v in part.items()} for part in fixed)
        mixed = mixtures() if whole else still
        views = Views(
            z=z, present=present, relevance=relevance, frozen=frozen, layers=layers, groups=groups, mixed=mixed
        )
        objective(views).backward()

    return work


def _unit(rows: Any) -> Any:
    return torch.nn.functional.normalize(rows, dim=1)


if __name__ == "__main__":
    main()
