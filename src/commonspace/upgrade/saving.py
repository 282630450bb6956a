"""A plan as a sealed folder: its figures as JSON, each bridge that it learned once."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.core.errors import BadInput, Corrupt
from commonspace.core.registry import describe, restore
from commonspace.measure.statistics.comparison import Comparison
from commonspace.measure.statistics.estimates import Estimate
from commonspace.store.sealed import read_sealed, write_sealed
from commonspace.upgrade.bridges.base import Bridge
from commonspace.upgrade.migration import pack, unpack
from commonspace.upgrade.options import Corpus, Cost, Option, Trend
from commonspace.upgrade.scale import Scale

if TYPE_CHECKING:
    from commonspace.upgrade.plan import Plan

FORMAT = 1
KIND = "plan"


def write_plan(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Write a plan as a folder."""
    different: list[Bridge] = []
    uses: dict[str, int] = {}
    for option, bridge in plan.bridges.items():
        place = next((i for i, b in enumerate(different) if b is bridge), len(different))
        if place == len(different):
            different.append(bridge)
        uses[option] = place
    scales = {o: {d: s.to_dict() for d, s in by.items()} for o, by in plan.scales.items()}
    config: dict[str, Any] = {
        "format": FORMAT, "kind": KIND, "plan": plan.to_dict(), "uses": uses, "scales": scales,
        "bridges": [describe(b) for b in different], "samples": sorted(plan.samples),
    }  # fmt: skip
    arrays: dict[str, Mapping[str, np.ndarray]] = {f"bridge-{i}": b.split_state()[1] for i, b in enumerate(different)}
    if plan.samples:
        arrays["samples"] = pack(plan.samples)
    write_sealed(path, config, arrays, readme=f"# A plan\n\n```\n{plan}\n```\n")


def read_plan(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the fields of a plan that was written to a folder."""
    config, arrays = read_sealed(path, "plan")
    if config.get("kind") != KIND:
        raise BadInput(f"{path} is not a plan: it was written by something else")
    if (found := config.get("format")) != FORMAT:
        raise BadInput(f"{path} has format {found!r}, this version reads {FORMAT}: use the release that wrote it")
    try:
        plain = {k: v for k, v in config["plan"].items() if k != "share"}
        bridges = [restore("Bridge", b, arrays[f"bridge-{i}"]) for i, b in enumerate(config["bridges"])]
        return {
            **plain,
            **{k: tuple(plain[k]) for k in ("reasons", "directions", "dims")},
            "options": tuple(_option(o) for o in plain["options"]),
            "corpus": Corpus(**plain["corpus"]),
            "bridges": {o: bridges[i] for o, i in config["uses"].items()},
            "scales": {o: {d: Scale(**s) for d, s in by.items()} for o, by in config["scales"].items()},
            "samples": unpack(arrays.get("samples", {}), config["samples"]),
        }
    except (KeyError, TypeError, IndexError, AttributeError) as e:
        raise Corrupt(f"the plan in {path} is incomplete ({e!r}): restore the folder from a copy") from e


def _option(plain: Mapping[str, Any]) -> Option:
    cost = {k: v for k, v in plain["cost"].items() if k != "seconds"}
    return Option(
        **{
            **plain,
            "quality": {d: _figure(Estimate, e) for d, e in plain["quality"].items()},
            "kept": {d: _figure(Estimate, e) for d, e in plain["kept"].items()},
            "against_old": {d: _figure(Comparison, c) for d, c in plain["against_old"].items()},
            "trend": {d: _trend(t) for d, t in plain["trend"].items()},
            "cost": _figure(Cost, cost),
        }
    )


def _trend(plain: Mapping[str, Any]) -> Trend:
    figures = {k: _figure(Estimate, plain[k]) for k in ("half", "change", "at_corpus")}
    return Trend(**figures, doublings=plain["doublings"])


def _figure(kind: type, plain: Mapping[str, Any]) -> Any:
    """Return a figure from JSON, where a number that was not finite is None; a seed that is None was None.

    An interval that has a lower end only is open above.
    """
    numbers = {f.name for f in fields(kind) if f.type == "float"}
    lost = dict.fromkeys(numbers, math.nan)
    if plain.get("low") is not None:
        lost["high"] = math.inf
    return kind(**{k: lost[k] if v is None and k in numbers else v for k, v in plain.items()})
