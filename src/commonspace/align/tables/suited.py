"""`suited`: which methods suit a table, and why the others do not.

The table is read in its roles (given, or guessed by `detect`), what it has is compared with what each method reads
(`grid`), and the answer is one row a method. Nothing is encoded or trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from commonspace.align.auto import Choice, Facts, choose
from commonspace.align.hygiene.enough import LEAST
from commonspace.align.tables.detection import Detected, detect
from commonspace.align.tables.grid import Reads, objectives_grid, samplers_grid
from commonspace.align.tables.roles import Roles
from commonspace.align.tables.training_rows import TrainingRows
from commonspace.align.training.recipe import RECIPES
from commonspace.core.registry import entries
from commonspace.core.tables import read_table

# What a call reads beside arrays: its name as users write it, and what must be there.
CALLS: dict[str, str] = {
    "pair_quality": "pairs to judge",
    'fit(noisy_pairs="drop")': "pairs to judge",
    'fit(noisy_pairs="reweight")': "pairs to judge",
    'fit(noisy_pairs="repair")': "two sides",
    'fit(objective="auto")': "pairs",
    "fit_two_tier": "two sides",
    "rank_encoders": "pairs",
    "curate": "label",
    "clean_labels": "label",
    "filter_texts": "texts",
    "find_triggers": "pairs to judge",
    "continue_training": "pairs",
    "refine": "pairs",
    "choose_bridge": "label",
    "grow_anchors": "pairs",
    "relevance.by_text": "label",
    "relevance.by_sets": "tags",
}


@dataclass(frozen=True)
class Suits:
    """Whether one method suits the table.

    Parameters
    ----------
    protocol, name : str
        The method; the protocol of a function is "call".
    suits : bool
        Whether the table has what it needs.
    why : str
        What it uses, or what is missing.
    """

    protocol: str
    name: str
    suits: bool
    why: str


@dataclass(frozen=True)
class Suited:
    """The answer for a table.

    Parameters
    ----------
    title : str
        The table.
    seen : Detected
        Its columns.
    rows : TrainingRows
        It, in its roles.
    choice : Choice
        What ``objective="auto"`` would take before it sees vectors.
    methods : list of Suits
        One a method.
    """

    title: str
    seen: Detected
    rows: TrainingRows
    choice: Choice
    methods: list[Suits]

    @property
    def summary(self) -> str:
        """What the table is, in its roles."""
        return str(self.rows)

    @property
    def advice(self) -> str:
        """What to do next."""
        return (
            f"Before the vectors are seen, auto would take the {self.choice.reason} The roles that were used: "
            f"{self.rows.roles.to_dict()}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as JSON data."""
        return {
            "rows": self.seen.n,
            "columns": [vars(c) for c in self.seen.columns],
            "roles": self.rows.roles.to_dict(),
            "facts": self.choice.facts.to_dict(),
            "auto": {"objective": self.choice.objective, "reason": self.choice.reason},
            "methods": [vars(m) for m in self.methods],
        }


def suited(table: Any, roles: Any = None, *, batch_size: int = RECIPES["strong"].batch_size) -> Suited:
    """Return which methods suit a table.

    Parameters
    ----------
    table : table-like
        As `read_table` takes it.
    roles : Roles or mapping, optional
        Its columns; a guess otherwise.
    batch_size : int
        Items a batch, for what `auto` would take.

    Raises
    ------
    BadInput, NotFound
        A table that cannot be read, has no two sides, or lacks a column of the roles.
    """
    source = read_table(table)
    seen = detect(source)
    rows = (seen.roles if roles is None else Roles.of(roles)).apply(source)
    right = ~rows.wrong
    present = np.array([mask[right] for mask in rows.present.values()])
    pairs = len(np.unique(rows.groups[right][present.sum(axis=0) >= 2]))
    facts = Facts.counted(rows.groups[right], len(present), pairs, batch_size, graded=rows.grades is not None)
    has = _Has(rows, seen, max(pairs, int((present.sum(axis=0) >= 2).sum())), facts)
    methods = [_encoder(e, has) for e in entries("Encoder")]
    methods += [_objective(reads, has) for reads in objectives_grid()]
    methods += [_sampler(name, data, has) for name, data in samplers_grid()]
    methods += [Suits("call", name, *has.answer(need)) for name, need in CALLS.items()]
    named = Path(table).name if isinstance(table, str | Path) else "the table"
    return Suited(f"{named}: {len(source):,} rows", seen, rows, choose(facts), methods)


class _Has:
    """What a table has, asked for by name; every answer is (yes or no, in words)."""

    def __init__(self, rows: TrainingRows, seen: Detected, pairs: int, facts: Facts) -> None:
        self.rows, self.seen, self.facts, self.pairs = rows, seen, facts, pairs
        self.sides = list(rows.roles.sides)
        sizes = np.unique(rows.groups[~rows.wrong], return_counts=True)[1]
        self.several = int(np.count_nonzero(sizes > 1))
        self.groups = len(sizes)

    def kind(self, side: str) -> str:
        """Return what a side holds, as far as it can be told."""
        source = self.rows.roles.sides[side]
        column = source if isinstance(source, str) else source.get("column", "")
        known = next((c.holds for c in self.seen.columns if c.column == column), "text")
        return known if known in ("text", "image", "vector") else "text"

    def answer(self, need: str) -> tuple[bool, str]:
        """Return whether a call's need is met."""
        roles = self.rows.roles
        if need == "pairs":
            return self.pairs >= 2, f"{self.pairs:,} pairs"
        if need == "pairs to judge":
            enough = self.pairs >= LEAST
            return enough, f"{self.pairs:,} pairs" + ("" if enough else f", and at least {LEAST} are needed")
        if need == "two sides":
            return len(self.sides) == 2, f"{len(self.sides)} sides: {', '.join(self.sides)}"
        if need == "texts":
            texts = [side for side in self.sides if self.kind(side) == "text"]
            return bool(texts), f"texts: {', '.join(texts) or 'no side holds any'}"
        source = getattr(roles, need)
        return source is not None, f"{need}: {source}" if source is not None else f"needs a column of {need}"


def _encoder(entry: Any, has: _Has) -> Suits:
    kind = getattr(entry.cls, "kind", None)
    if not isinstance(kind, str):  # one that reads texts or images, as it is told
        sides = [side for side in has.sides if has.kind(side) in ("text", "image")]
        return Suits("Encoder", entry.name, bool(sides), "reads texts or images: " + (", ".join(sides) or "no side is"))
    sides = [side for side in has.sides if has.kind(side) == kind]
    return Suits("Encoder", entry.name, bool(sides), f"reads {kind}s: " + (", ".join(sides) or "no side holds any"))


def _objective(reads: Reads, has: _Has) -> Suits:
    label = has.rows.roles.label
    if reads.pairs == "needed" and has.pairs < 2:
        return Suits("Objective", reads.name, False, "needs rows with two sides, and there are none")
    if reads.groups == "needed" and label is None and not has.several:
        return Suits("Objective", reads.name, False, "needs groups: a label column, or rows with an equal anchor")
    if reads.old_vectors == "needed":
        return Suits("Objective", reads.name, True, "if you give it vectors in an earlier space (compatible_with)")
    uses = [f"{has.pairs:,} pairs"] if reads.pairs != "not needed" else []
    if reads.groups != "-" and has.several:
        uses.append(f"{has.groups:,} groups")
    if has.rows.grades is not None:
        uses.append("grades" if reads.grades == "used" else "but not the grades")
    if reads.encoder_outputs == "used":
        uses.append("what the encoders hold for alike")
    if reads.modalities == "together":
        alone = "" if len(has.sides) > 2 else ", but two sides are no more than a pair"
        uses.append(f"all sides together{alone}")
    if reads.head != "any":
        uses.append("a head of several layers (head='residual')")
    return Suits("Objective", reads.name, True, "uses " + (", ".join(uses) or "the items as they are"))


def _sampler(name: str, data: tuple[str, ...], has: _Has) -> Suits:
    if not data:
        return Suits("Sampler", name, True, "needs nothing")
    missing = [d for d in data if d not in ("misses",)]
    if missing:
        return Suits("Sampler", name, True, f"if you give it {', '.join(missing)}")
    wrong = has.rows.misses is not None
    return Suits("Sampler", name, wrong, "wrong items meet those they are wrong for" if wrong else "needs wrong items")
