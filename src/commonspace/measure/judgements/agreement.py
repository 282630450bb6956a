"""How far systems can be trusted where nothing is judged: by their agreement with systems that err on their own.

What several independent systems return for a query is likely right; what one of them returns alone is likely its own
error. With A(q, a, b) the rank-biased overlap (or Jaccard) of two systems' rankings of query q, and systems in clusters
of near-clones C, the reliability of a system is

    R(q, a) = sum over b outside C(a) of w_b A(q, a, b) / sum over b outside C(a) of w_b,    w_b = c_b / |C(b)|

c_b is the self-consistency of b: its mean overlap with itself when queries or items are perturbed a little; 1 for all
where no perturbed runs are given. A cluster holds systems of which every two agree by at least `clones` on average; its
members do not vouch for each other, and for the rest they count as one.

Agreement is not truth. Systems that share an error, a corpus or an encoder confirm each other in it; near-clones are
found, a common bias is not. The middle of a field agrees with all of it, so the best system may come second to one that
is like many. And it compares these systems only: another field, other figures.

Source: "CrossCheckGPT: Universal Hallucination Ranking for Multimodal Foundation Models", which compares sentences of
generated texts by a language model and weighs the evidence of each system by its consistency with itself. Ours: ranked
lists in place of sentences, the weights as above, and all about near-clones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.random import RandomState, generator
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.judgements.overlap import SIMILARITIES, between
from commonspace.measure.judgements.runs import Id, check_runs
from commonspace.measure.statistics.correlations import places
from commonspace.measure.statistics.estimates import Estimate, draw_counts, estimate, group_numbers


@dataclass(frozen=True)
class SystemCheck:
    """One system as the others see it.

    Parameters
    ----------
    name : str
    reliability : Estimate
        R as defined above, mean over queries; `per_query` holds every query's.
    rank : Estimate
        Its place by reliability, 1 is best and equal ones share the mean of theirs, with the interval over resamples of
        the queries.
    self_consistency : Estimate or None
        Overlap with itself under perturbation, where perturbed runs were given.
    clones : tuple of str
        Other systems of its cluster.
    """

    name: str
    reliability: Estimate
    rank: Estimate
    self_consistency: Estimate | None
    clones: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        consistency = None if self.self_consistency is None else self.self_consistency.to_dict()
        figures = {"reliability": self.reliability.to_dict(), "rank": self.rank.to_dict()}
        return {"name": self.name, **figures, "self_consistency": consistency, "clones": list(self.clones)}

    def __str__(self) -> str:
        own = "" if self.self_consistency is None else f", with itself {self.self_consistency.value:.3f}"
        alike = f", near-clone of {', '.join(self.clones)}" if self.clones else ""
        place = f"{self.rank.value:g} [{self.rank.low:g}, {self.rank.high:g}]"
        return f"{place:<12}{self.name}: {self.reliability}{own}{alike}"


@dataclass(frozen=True)
class CrossCheck:
    """What `cross_check` found.

    Parameters
    ----------
    systems : tuple of SystemCheck
        Most reliable first.
    consensus : Estimate
        Mean reliability of all systems; `per_query` is low where systems disagree, which is where to look first.
    queries : tuple
        Ids of the queries, in the order of every `per_query`.
    agreement : (n_systems, n_systems) float64
        Mean overlap of every two systems, in the order of `systems`.
    """

    systems: tuple[SystemCheck, ...]
    consensus: Estimate
    queries: tuple[Id, ...]
    agreement: np.ndarray

    @property
    def clusters(self) -> tuple[tuple[str, ...], ...]:
        """Clusters of near-clones, of two systems or more."""
        return tuple(dict.fromkeys(tuple(sorted((s.name, *s.clones))) for s in self.systems if s.clones))

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the values of single queries, ready for JSON."""
        return {
            "systems": [s.to_dict() for s in self.systems],
            "consensus": self.consensus.to_dict(),
            "clusters": [list(c) for c in self.clusters],
            "agreement": self.agreement.tolist(),
        }

    def __str__(self) -> str:
        return "\n".join([f"consensus {self.consensus}", *map(str, self.systems)])


def cross_check(
    runs: Mapping[str, Any],
    *,
    perturbed: Sequence[Mapping[str, Any]] = (),
    similarity: str = "rbo",
    p: float = 0.9,
    depth: int = 100,
    clones: float | None = 0.7,
    groups: Any = None,
    resamples: int = 1000,
    confidence: float = 0.95,
    random_state: RandomState = 0,
) -> CrossCheck:
    """Rank systems by their agreement with independent ones, without any judgement.

    Parameters
    ----------
    runs : mapping of str to run
        Name of each system, at least three -> query -> ids, best first (or id -> score).
    perturbed : sequence of mappings like `runs`
        The same systems asked again, each time with queries or items changed a little (words left out, paraphrases,
        noise). Weighs systems by how far they stay with what they said.
    similarity : {"rbo", "jaccard"}
    p : float
        Of rank-biased overlap; with 0.9 the first ten ranks carry 86 % of the weight.
    depth : int
        Only so many of the first of each ranking.
    clones : float, optional
        Systems of which every two agree by at least so much count as one. None trusts all systems to be independent.
    groups : (n,) array, optional
        Queries of one label are drawn together.
    resamples, confidence, random_state
        As in `estimate`.

    Raises
    ------
    BadInput
        Fewer than three systems, queries or systems that differ, or all systems near-clones of each other.
    """
    check_choice("similarity", similarity, SIMILARITIES)
    if clones is not None:
        check_share("clones", clones)
    tables = check_runs(runs, least=3, depth=check_positive("depth", depth))
    names, queries = list(tables), list(next(iter(tables.values())))
    agreement = np.array([between([t[q] for t in tables.values()], similarity, p) for q in queries])
    consistency = _self_consistency(tables, perturbed, similarity, p, depth)
    member = _clusters(agreement.mean(axis=0), clones)
    reliability = _reliability(agreement, np.ones(len(names)) if consistency is None else consistency.mean(0), member)
    options: dict[str, Any] = {
        "groups": groups, "resamples": resamples, "confidence": confidence, "random_state": random_state,
        "ids": tuple(queries),
    }  # fmt: skip
    figures = [estimate(values, "reliability", bounds=(0.0, 1.0), **options) for values in reliability.T]
    own: list[Estimate | None] = [None] * len(names)
    if consistency is not None:
        own = [estimate(values, "self-consistency", bounds=(0.0, 1.0), **options) for values in consistency.T]
    ranks = _ranks(reliability, options)
    clusters = {m: [n for n, other in zip(names, member, strict=True) if other == m] for m in set(member.tolist())}
    systems = [
        SystemCheck(name, figures[i], ranks[i], own[i], tuple(n for n in clusters[member[i]] if n != name))
        for i, name in enumerate(names)
    ]
    order = sorted(range(len(names)), key=lambda i: ranks[i].value)
    return CrossCheck(
        tuple(systems[i] for i in order),
        estimate(reliability.mean(axis=1), "consensus", bounds=(0.0, 1.0), **options),
        tuple(queries),
        agreement.mean(axis=0)[np.ix_(order, order)],
    )


def _self_consistency(
    tables: dict[str, dict[Id, list[Id]]],
    perturbed: Sequence[Mapping[str, Any]],
    similarity: str,
    p: float,
    depth: int,
) -> np.ndarray | None:
    """Return the mean overlap of each system with itself when perturbed: (n_queries, n_systems), or None."""
    if isinstance(perturbed, Mapping):
        raise BadInput("perturbed is a sequence of runs of all systems, one a perturbation: give [runs], not runs")
    found = []
    for changed in perturbed:
        others = check_runs(changed, least=1, depth=depth)
        if set(others) != set(tables):
            odd = sorted(set(others) ^ set(tables))
            raise BadInput(f"perturbed runs must be of the same systems; on one side only: {odd}")
        check_runs({"runs": next(iter(tables.values())), "perturbed": next(iter(others.values()))})
        found.append(
            [[between([table[q], others[name][q]], similarity, p)[0, 1] for name, table in tables.items()]
             for q in next(iter(tables.values()))]
        )  # fmt: skip
    if not found:
        return None
    mean: np.ndarray = np.mean(found, axis=0)
    return mean


def _clusters(agreement: np.ndarray, clones: float | None) -> np.ndarray:
    """Return the cluster of each system: (n,). Every two of a cluster agree by at least `clones`."""
    if clones is None:
        return np.arange(len(agreement))
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    apart = 1 - np.clip(agreement, 0, 1)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), method="complete")
    member: np.ndarray = fcluster(tree, 1 - clones + 1e-12, criterion="distance")
    if len(set(member.tolist())) == 1:
        raise BadInput(
            f"every two of these systems agree by at least {clones:g}: near-clones tell nothing about each other; add "
            "systems of another kind, or pass clones=None if they are independent all the same"
        )
    return member


def _reliability(agreement: np.ndarray, trust: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Return R: (n_queries, n_systems), from overlaps (n_queries, n_systems, n_systems)."""
    same = member[:, None] == member[None, :]
    weights = np.where(same, 0.0, trust / same.sum(axis=0))
    if not (weights.sum(axis=1) > 0).all():
        weights = np.where(same, 0.0, 1.0 / same.sum(axis=0))  # nobody is consistent: all count alike
    found: np.ndarray = np.einsum("qab,ab->qa", agreement, weights) / weights.sum(axis=1)
    return found


def _ranks(reliability: np.ndarray, options: dict[str, Any]) -> list[Estimate]:
    """Return each system's place by mean reliability, with its interval over resamples of the queries."""
    n, systems = reliability.shape
    member = group_numbers(options["groups"], n)
    counts = draw_counts(generator(options["random_state"]), options["resamples"], int(member.max()) + 1)[:, member]
    drawn = (counts @ reliability) / counts.sum(axis=1, keepdims=True)
    place = places(reliability.mean(axis=0)[:, None])[:, 0]
    tail = (1 - options["confidence"]) / 2
    low, high = np.quantile(places(drawn.T), [tail, 1 - tail], axis=1, method="closest_observation")
    seed = options["random_state"]
    seed = int(seed) if isinstance(seed, int | np.integer) else None
    return [
        Estimate("rank", float(place[i]), float(low[i]), float(high[i]), n, options["confidence"], seed=seed)
        for i in range(systems)
    ]
