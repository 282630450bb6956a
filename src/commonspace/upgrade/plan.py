"""`Plan`: what can be done about a new space, what each keeps and costs, and what should be done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.progress import Task, silent, task
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.metrics.metric import RankMetric
from commonspace.measure.metrics.metric import metric as rankedof
from commonspace.upgrade.bridges.base import Bridge
from commonspace.upgrade.crossfit import Folds
from commonspace.upgrade.figures import figures
from commonspace.upgrade.measuring import Bench, Half, Measured
from commonspace.upgrade.migration import Migration
from commonspace.upgrade.options import Corpus, Option
from commonspace.upgrade.probes import Probes, directions_of, units
from commonspace.upgrade.saving import read_plan, write_plan
from commonspace.upgrade.scale import Scale
from commonspace.upgrade.showing import lines, sheet
from commonspace.upgrade.steps import steps
from commonspace.upgrade.study import Study
from commonspace.upgrade.verdict import Rule, decide

SAMPLE = 256  # items that tell a query's level; more would change the third digit


@dataclass(frozen=True)
class Plan:
    """What can be done about a new space.

    Parameters
    ----------
    verdict : str
        ``"bridge"``, ``"partial backfill"``, ``"re-embed"`` or ``"do not upgrade"``.
    certain : bool
        Whether the intervals leave no room for another verdict.
    reasons : tuple of str
        Why, in words.
    rule : str
        The rule, in words.
    options : tuple of Option
        What was measured.
    chosen : str
        Name of the option that the verdict means.
    directions : tuple of str
        What was measured, as ``"text->image"``.
    left_out : mapping of str to str
        Direction or bridge that could not be measured -> why.
    labelled : bool
        Whether it is known what is right; if not, what a full re-embed finds counts as right.
    metric : str
        The metric.
    old, new : str
        Ids of the spaces.
    dims : (int, int)
        Their dimensions.
    corpus : Corpus
        What the costs are of.
    galleries : mapping of str to int
        Modality -> items of the probes.
    learned : float
        Share of them that each bridge that was measured has learned from.
    confidence : float
        With which what the verdict advises keeps enough, and of every interval, each by itself.
    bridges : mapping of str to Bridge
        Option -> the bridge that it uses, learned from all probes.
    scales : mapping of str to (mapping of str to Scale)
        Option -> direction -> what brings scores across its bridge to the scale of the new space.
    samples : mapping of str to (old, new) arrays
        Modality -> vectors of some probes in both spaces, for the levels of queries, see `Scale`.
    measured : Measured, optional
        The value of every query under every option; not saved.
    """

    verdict: str
    certain: bool
    reasons: tuple[str, ...]
    rule: str
    options: tuple[Option, ...]
    chosen: str
    directions: tuple[str, ...]
    left_out: Mapping[str, str]
    labelled: bool
    metric: str
    old: str
    new: str
    dims: tuple[int, int]
    corpus: Corpus
    galleries: Mapping[str, int]
    learned: float
    confidence: float
    bridges: Mapping[str, Bridge] = field(default_factory=dict, repr=False)
    scales: Mapping[str, Mapping[str, Scale]] = field(default_factory=dict, repr=False)
    samples: Mapping[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict, repr=False)
    measured: Measured | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, name: str) -> Option:
        found = {o.name: o for o in self.options}
        if name not in found:
            raise NotFound(f"this plan has no option {name!r}; there are {', '.join(map(repr, found))}")
        return found[name]

    @property
    def share(self) -> float:
        """Share of the items that the chosen option encodes anew."""
        return self[self.chosen].share

    def migration(self, option: str | None = None) -> Migration:
        """Return what a collection is served through under an option, the chosen one by default.

        Raises
        ------
        BadInput
            For ``"keep"``, which changes nothing, and for re-scoring, which serves nothing by itself.
        """
        one = self[option or self.chosen]
        if one.kind in ("keep", "rescore"):
            raise BadInput(
                f"{one.name!r} is no migration: "
                + (
                    "the plan says to keep the old space; name another option to migrate all the same"
                    if one.kind == "keep"
                    else "it was measured for comparison; name a bridge, a share, or re-embed"
                )
            )
        scales = dict(self.scales.get(one.name, {}))
        samples = self.samples if any(s.standard for s in scales.values()) else {}
        return Migration(self.old, self.new, self.dims[1], self.bridges.get(one.name), scales, samples)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it as a folder of `config.json`, bridges and `README.md`, to be carried out later."""
        write_plan(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Plan:
        """Return what `save` wrote; `NotFound` without such a folder, `Corrupt` if a byte changed since."""
        return cls(**read_plan(path))

    def __str__(self) -> str:
        return "\n".join(lines(self))

    def __rich__(self) -> Any:
        return sheet(self)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it but the bridges, ready for JSON."""
        plain = ("verdict", "certain", "rule", "chosen", "share", "labelled", "metric", "old", "new")
        return {
            **{n: getattr(self, n) for n in plain},
            "reasons": list(self.reasons),
            "directions": list(self.directions),
            "left_out": dict(self.left_out),
            "dims": list(self.dims),
            "corpus": self.corpus.to_dict(),
            "galleries": dict(self.galleries),
            "learned": self.learned,
            "confidence": self.confidence,
            "options": [o.to_dict() for o in self.options],
        }


def plan_upgrade(
    probes: Probes,
    *,
    corpus: Corpus | None = None,
    bridges: Sequence[Any] | None = None,
    keep: float = 0.95,
    metric: Any = "recall@10",
    directions: Sequence[str] | None = None,
    shares: Sequence[float] = (0.1, 0.25, 0.5, 0.75, 0.9),
    depths: Sequence[int] = (50,),
    folds: int = 5,
    most: int = 2000,
    resamples: int = 1000,
    confidence: float = 0.95,
    old: str = "old",
    new: str = "new",
    random_state: RandomState = 0,
    progress: bool = True,
) -> Plan:
    """Measure what can be done about a new space, and say what should be.

    Parameters
    ----------
    probes : Probes
        Items and queries that both spaces have encoded.
    corpus : Corpus, optional
        What the costs are of; the probes themselves by default.
    bridges : sequence of str, mapping or Bridge, optional
        What to try; by default every registered bridge whose packages are installed.
    keep : float
        Share of the quality of a full re-embed that is enough.
    metric : str or metric
        A mean of queries of which more is better.
    directions : sequence of str, optional
        Those that count, as ``"text->image"``; all by default. One of which there are few queries, or nobody asks,
        stands in the way of a verdict.
    shares : sequence of float
        Shares of the items to encode anew.
    depths : sequence of int
        How many of a first search's answers to encode anew for each query.
    folds : int
        Into which the things are dealt, see `crossfit`.
    most : int
        Queries of a direction that are measured.
    resamples : int
        Of the bootstrap of each quality, and random signs by which the ends of the options of a step hold at once.
    confidence : float
        With which what the verdict advises keeps enough, above 0.5; and that of every interval, each by itself.
    old, new : str
        Ids of the spaces.
    random_state : int, Generator or None
        Seed of folds, bridges and resamples.
    progress : bool
        Whether to show how far it is.

    Raises
    ------
    BadInput
        Too few probes to measure anything, with how many are needed.
    """
    rule, ranked = Rule(keep, confidence=confidence), _check_metric(metric)
    _check_kinds(probes, corpus)
    bridges, directions = _several(bridges, str, Mapping, Bridge), _several(directions, str)
    shares, depths = _several(shares, float), _several(depths, int)
    check_positive("resamples", resamples)
    rng = generator(random_state)
    k = getattr(ranked, "k", None) or 10
    found, left_out = directions_of(probes, k, check_positive("most", most), rng, directions)
    dealt = Folds.deal(probes, folds, rng)
    halves = {d.task: Half.of(probes, d, k, rng) for d in found}
    bench = Bench(probes, dealt, found, halves, ranked, seed_of(rng))
    shown: AbstractContextManager[Task] = task("Planning the upgrade") if progress else silent()
    with shown as t:
        study = Study.of(bench, bridges, _check_shares(shares), [check_positive("depths", d) for d in depths], t)
    corpus = corpus or Corpus({m: len(x) for m, x in probes.items.old.items()})
    doublings = {d.task: corpus.doublings(d.searched, bench.size(d)) for d in found}
    values = Measured(study.whole, study.halved, units(found), doublings, found[0].labelled)
    said = figures(values, ranked, confidence=confidence, resamples=resamples, seed=bench.seed)
    options = study.options(said, corpus)
    told = decide(options, steps(options, values, confidence=confidence, resamples=resamples, seed=bench.seed), rule)
    return Plan(
        verdict=told.verdict, certain=told.certain, reasons=told.reasons, rule=rule.text(values.labelled),
        options=options, chosen=told.chosen.name, directions=tuple(d.task for d in found),
        left_out={**left_out, **study.left_out}, labelled=values.labelled, metric=ranked.label, old=old, new=new,
        dims=probes.items.dims, corpus=corpus,
        galleries={m: len(x) for m, x in probes.items.old.items()}, learned=dealt.learned, confidence=confidence,
        bridges=study.bridges, scales=study.scales, samples=_samples(probes, np.random.default_rng(bench.seed)),
        measured=values,
    )  # fmt: skip


def _samples(probes: Probes, rng: np.random.Generator) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return some items of each modality in both spaces."""
    drawn = {m: np.sort(rng.permutation(len(x))[:SAMPLE]) for m, x in probes.items.old.items() if len(x) > 1}
    return {m: (probes.items.old[m][rows], probes.items.new[m][rows]) for m, rows in drawn.items()}


def _several(given: Any, *kinds: type) -> Any:
    """Return a sequence, of one where a single thing was given."""
    return [given] if isinstance(given, kinds) else given


def _check_kinds(probes: Any, corpus: Any) -> None:
    if not isinstance(probes, Probes):
        raise BadInput(f"a plan is made from Probes(items, things, ...), not from {type(probes).__name__}")
    if corpus is not None and not isinstance(corpus, Corpus):
        raise BadInput(f"corpus must be a Corpus({{modality: items}}, seconds=...), not {type(corpus).__name__}")
    if corpus is not None and not set(corpus.items) & set(probes.items.old):
        raise BadInput(
            f"the corpus holds {', '.join(corpus.items) or 'nothing'}, the probes {', '.join(probes.items.old)}: costs "
            "are those of the same modalities"
        )


def _check_shares(shares: Sequence[float]) -> list[float]:
    return sorted({check_share("shares", s) for s in shares})


def _check_metric(metric: Any) -> RankMetric:
    built: RankMetric = rankedof(metric)
    if not isinstance(built, RankMetric) or not built.higher_is_better or built.statistic != "mean":
        raise BadInput(
            f"what is kept is a ratio of means, so that {metric!r} does not do: take recall@10, ndcg@10, mrr"
        )
    return built
