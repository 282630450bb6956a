"""Tuning: which code, how many cells and how long a shortlist reach a wanted recall at the least cost.

    recall(q) = share of the k best that is found, by exact search; see `search.recall`

Three disjoint parts of the queries: a code learns from the first; on the second every setting is measured, and the
fastest is taken whose recall reaches the target with the lower end of its 95 % interval; on the third, which had no say
in anything, the recall that is reported is measured.

Source of the procedure: sample splitting; of the trade-off: Johnson, Douze and Jegou, "Billion-scale similarity search
with GPUs", 2017.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from commonspace.core import progress as bars
from commonspace.core.errors import BadInput
from commonspace.core.protocols import Code
from commonspace.core.registry import build, check_restorable, name_of
from commonspace.core.vectors import check_positive, check_share
from commonspace.measure.statistics.estimates import Estimate, estimate
from commonspace.search.exact import top_k
from commonspace.search.index import graph as graphs
from commonspace.search.index.arranging import arrange
from commonspace.search.index.graph import Graph
from commonspace.search.index.segment import Origin, Segment, sample
from commonspace.search.index.shortlist import Coded
from commonspace.search.planner import FEW, SPARED, Settings
from commonspace.search.recall import among_best, kth_best, recall

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

SHORTLISTS = (10, 20, 30, 50, 75, 100, 150, 200)
PROBES = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15, 0.08)
BEAMS = (16, 24, 32, 40, 50, 64, 80, 100, 130, 170, 220, 300, 400)
_BLOCK = 8192
_ENOUGH = 0.25  # seconds for which one setting is timed


@dataclass(frozen=True)
class Trial:
    """One setting and what it does.

    Parameters
    ----------
    code : dict
        Name and arguments of the code.
    bytes_per_vector : int
        Size of a code, and of a vector's links where they are walked.
    probe : float
        Share of the cells that a query looks at.
    shortlist : int
        Vectors that are re-ranked.
    beam : int
        Vectors kept and re-ranked by a walk over the graph, of which this is a trial; 0 for a scan. Then `probe` and
        `shortlist` are what a scan by the same code needs, for searches in which it is cheaper.
    degree : int
        Links of a vector in that graph; 0 for a scan.
    recall, low, high : float
        Mean recall on the queries that choose, with its 95 % interval.
    ms : float
        Milliseconds a query; NaN for settings that were not timed because they miss the target and were not chosen.
    """

    code: dict[str, Any]
    bytes_per_vector: int
    probe: float
    shortlist: int
    recall: float
    low: float
    high: float
    ms: float = float("nan")
    beam: int = 0
    degree: int = 0

    @property
    def name(self) -> str:
        """The code in words."""
        given = ", ".join(f"{k}={v}" for k, v in self.code.items() if k != "name")
        return f"{self.code['name']}({given})"


@dataclass(frozen=True)
class Tuned:
    """What tuning found.

    Parameters
    ----------
    chosen : Trial
        The setting taken.
    recall : Estimate
        Its recall on queries that had no part in the choice.
    exact_ms : float
        Milliseconds a query of exact search, in the same run.
    target : float
        The recall that was asked for.
    k : int
        Hits a query.
    batch : int
        Queries asked at once when measuring.
    trials : list of Trial
        All settings, the fastest first; those that were not timed last.
    """

    chosen: Trial
    recall: Estimate
    exact_ms: float
    target: float
    k: int
    batch: int
    trials: list[Trial]

    @property
    def settings(self) -> Settings:
        """How to search with what was chosen."""
        return Settings(shortlist=self.chosen.shortlist, probe=self.chosen.probe, beam=self.chosen.beam)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, the trials left out."""
        r = self.recall
        return {
            **asdict(self.chosen), "target": self.target, "k": self.k, "batch": self.batch, "exact_ms": self.exact_ms,
            "unseen": {"recall": r.value, "low": r.low, "high": r.high, "n": r.n},
        }  # fmt: skip

    def __str__(self) -> str:
        r, c = self.recall, self.chosen
        lines = [f"{'code':34} {'bytes':>5} {'cells':>6} {'list':>5} {'beam':>5}  {'recall':22} {'ms':>8}"]
        shown = [t for t in self.trials if np.isfinite(t.ms)][:12]
        for t in shown if c in shown else [*shown, c]:
            recall = f"{t.recall:.4f} [{t.low:.4f}, {t.high:.4f}]"
            mark = "  <- chosen" if t is c else ""
            lines.append(
                f"{t.name:34} {t.bytes_per_vector:>5} {t.probe:>6.0%} {t.shortlist:>5} {t.beam or '':>5}  {recall:22} "
                f"{t.ms:>8.3f}{mark}"
            )
        lines.append(
            f"recall@{self.k} on {r.n:,} unseen queries: {r.value:.4f} [{r.low:.4f}, {r.high:.4f}], asked for "
            f"{self.target}; {c.ms:.3f} ms a query, exact search {self.exact_ms:.3f} ms ({self.batch} at once)"
        )
        return "\n".join(lines)

    def plot(self, path: str | Path) -> None:
        """Draw recall against milliseconds for each code, as a PNG."""
        from commonspace.core.registry import need

        need("matplotlib")
        from matplotlib.figure import Figure

        figure = Figure(figsize=(7, 4.5), layout="constrained")
        axes = figure.add_subplot()
        timed = [t for t in self.trials if np.isfinite(t.ms)]
        for name, walked in dict.fromkeys((t.name, t.beam > 0) for t in timed):
            mine = sorted((t for t in timed if (t.name, t.beam > 0) == (name, walked)), key=lambda t: t.ms)
            label = f"{name}, {mine[0].bytes_per_vector} bytes{', walked' if walked else ''}"
            axes.plot([t.ms for t in mine], [t.recall for t in mine], ".", label=label)
        axes.axhline(self.target, color="0.6", lw=1, ls="--")
        axes.axvline(self.exact_ms, color="0.6", lw=1, ls=":")
        axes.plot([self.chosen.ms], [self.chosen.recall], "o", mfc="none", ms=12, color="black", label="chosen")
        axes.set(xscale="log", xlabel=f"ms a query ({self.batch} at once)", ylabel=f"recall@{self.k}")
        axes.legend(fontsize="small")
        figure.savefig(path, dpi=110)


def leanvec(dim: int) -> dict[str, Any]:
    """Return LeanVec in closed form, which loses least of what queries see, at 4 bits a number."""
    return {"name": "leanvec", "dim": dim, "bits": 4, "projection": "sphering"}


def default_code(dim: int) -> dict[str, Any]:
    """Return the code for vectors of a dimension when nothing was measured: small, and next to nothing is missed."""
    return leanvec(dim // 2) if dim >= 64 else {"name": "scalar"}


def default_codes(dim: int, memory: float | None) -> list[dict[str, Any]]:
    """Return codes worth trying for vectors of a dimension, within so many bytes a vector."""
    widths = [r for r in (64, 96, 128, 160, 192, 256, 320) if r < dim]
    found: list[dict[str, Any]] = [leanvec(r) for r in widths]
    found += [{"name": "scalar", "bits": 4}, {"name": "scalar", "bits": 8}]
    size = {4: 0.5, 8: 1.0}
    if memory is not None:
        found = [c for c in found if c.get("dim", dim) * size[c["bits"]] <= memory]
    return found


def tune_index(
    vectors: Floats,
    queries: Floats,
    *,
    target_recall: float = 0.95,
    memory: float | None = None,
    k: int = 10,
    codes: Sequence[Any] | None = None,
    leaves: Ints | None = None,
    batch: int = 1,
    degree: int | None = None,
    random_state: int = 0,
    progress: bool = True,
) -> Tuned:
    """Measure codes and settings on vectors and queries, and choose.

    Parameters
    ----------
    vectors : (n, dim) float32
        What is searched.
    queries : (m, dim) float32
        Typical queries, at least 60.
    target_recall : float
        Share of the true k best that shall be found, above 0 and below 1.
    memory : float, optional
        Most bytes a vector, of code and links.
    k : int
        Hits a query.
    codes : sequence, optional
        What to try: names, mappings with arguments, or codes.
    leaves : (n,) int64, optional
        The layout of the index, see `segment.build`.
    batch : int
        Queries asked at once when measuring; 1 measures latency.
    degree : int, optional
        Links of a vector, for walks; see `build`. By default those of `graph.usual`.
    random_state : int
        Seed of the split and of k-means.
    progress : bool
        Show progress bars on terminals.

    Raises
    ------
    BadInput
        Too few queries, a target out of range, no hits or queries at once, a memory that no code fits into, no code, or
        one that is not registered.
    """
    target_recall = check_share("target_recall", target_recall)
    if len(queries) < 60:
        raise BadInput(
            f"tuning needs at least 60 queries, a third of them to judge what was chosen, not {len(queries)}"
        )
    k, batch = check_positive("k", k), check_positive("batch", batch)
    specs = default_codes(vectors.shape[1], memory) if codes is None else list(codes)
    if codes is not None and not specs:
        raise BadInput("codes is empty: name at least one code to try, or leave it out")
    for spec in specs:
        check_restorable("Code", build("Code", spec))
    rng = np.random.default_rng(random_state)
    learn, choose, judge = np.array_split(queries[rng.permutation(len(queries))], 3)
    choose, judge = choose[:1000], judge[:2000]
    order, cells = arrange(vectors, leaves=leaves, random_state=random_state, progress=progress)
    vectors = np.ascontiguousarray(vectors[order])
    kth = kth_best(choose, vectors, k)
    exact_ms = _milliseconds(lambda Q: top_k(Q, vectors, k, max_length=1.001), _filled(choose, batch), batch)
    degree = graphs.usual(len(vectors)) if degree is None else graphs.check_degree(degree)
    links: Graph | None = None
    if degree and (memory is None or 4 * degree < memory):
        finder: Code = build("Code", default_code(vectors.shape[1])).fit(vectors, learn)
        links = _coded(finder, vectors, cells).linked(degree, learn, progress=progress).graph
    trials: list[tuple[Trial, Segment]] = []
    with bars.task("Measuring codes", total=len(specs)) if progress else bars.silent() as bar:
        for spec in specs:
            code: Code = build("Code", spec)
            code.fit(vectors, learn)
            if memory is None or code.bytes_per_vector <= memory:
                segment = _coded(code, vectors, cells)
                if memory is None or code.bytes_per_vector + 4 * degree <= memory:
                    segment.graph = links if code.packing is not None else None
                trials += [(t, segment) for t in _trials(segment, choose, kth, k, target_recall, batch)]
            bar.advance(note=name_of(code))
    if not trials:
        raise BadInput(f"no code takes at most {memory:g} bytes a vector; the smallest are those of few dimensions")
    good = [(t, s) for t, s in trials if t.low >= target_recall]
    chosen, segment = min(good, key=lambda ts: ts[0].ms) if good else max(trials, key=lambda ts: ts[0].recall)
    if not good:
        timed = _timed(segment, chosen, choose, k, batch)
        trials, chosen = [(timed if t is chosen else t, s) for t, s in trials], timed
    judged = _recall(segment, judge, kth_best(judge, vectors, k), k, batch, chosen)
    ranked = sorted((t for t, _ in trials), key=lambda t: (not np.isfinite(t.ms), t.ms, -t.recall))
    return Tuned(chosen, judged, exact_ms, target_recall, k, batch, ranked)


def _coded(code: Code, vectors: Floats, cells: Any) -> Segment:
    n = len(vectors)
    rows = np.empty((n, code.bytes_per_vector), np.uint8)
    for i in range(0, n, _BLOCK):
        rows[i : i + _BLOCK] = code.encode(vectors[i : i + _BLOCK])
    nothing = np.zeros(n, np.int32)
    return Segment(
        Coded(code, rows, cells, sample(n)), vectors, Origin(("",), nothing, nothing, np.empty((0, 2), np.int32))
    )


def _trials(segment: Segment, queries: Floats, kth: Floats, k: int, target: float, batch: int) -> list[Trial]:
    """Return, for each share of cells and for walks, the least work that reaches the target, timed; or the most."""
    code, cells = segment.coded.code, len(segment.coded.cells)
    spec = {"name": name_of(code), **{a: v for a, v in code.get_params().items() if v is not None}}
    found: list[Trial] = []
    for probe in PROBES:
        if probe < 1 and (cells < 10 or (not _alone(segment, batch) and (1 - probe) * batch < SPARED)):
            continue  # all cells would be looked at
        if found and found[-1].low < target:
            break  # fewer cells find no more
        ways = [Trial(spec, code.bytes_per_vector, probe, c, 0, 0, 0) for c in lengths(SHORTLISTS, k)]
        found.append(_least(segment, queries, kth, k, target, batch, ways))
    if segment.graph is not None:
        degree, c = segment.graph.links.shape[1], found[0].shortlist
        size = code.bytes_per_vector + 4 * degree
        ways = [Trial(spec, size, 1.0, c, 0, 0, 0, beam=b, degree=degree) for b in lengths(BEAMS, k)]
        found.append(_least(segment, queries, kth, k, target, batch, ways))
    return found


def lengths(usual: Sequence[int], k: int) -> list[int]:
    """Return the lengths worth trying for k hits: the usual ones from k on, and k, 2 k and 4 k where these end."""
    return [n for n in usual if n >= k] + [n for n in (k, 2 * k, 4 * k) if n > usual[-1]]


def _alone(segment: Segment, batch: int) -> bool:
    """Return whether so many queries at once are scanned one by one."""
    return batch <= FEW and segment.coded.code.packing is not None


def _filled(queries: Floats, least: int) -> Floats:
    """Return at least so many queries, the first ones again where there are not as many."""
    return queries if least <= len(queries) else queries[np.arange(least) % len(queries)]


def _least(
    segment: Segment, queries: Floats, kth: Floats, k: int, target: float, batch: int, ways: Sequence[Trial]
) -> Trial:
    """Return the first way that reaches the target, timed; or the last."""
    for way in ways:
        r = _recall(segment, queries, kth, k, batch, way)
        trial = replace(way, recall=r.value, low=r.low, high=r.high)
        if r.low >= target:
            return _timed(segment, trial, queries, k, batch)
    return trial


def _timed(segment: Segment, trial: Trial, queries: Floats, k: int, batch: int) -> Trial:
    """Return a trial with the milliseconds that a query takes."""
    return replace(trial, ms=_milliseconds(lambda Q: _search(segment, Q, k, trial), _filled(queries, batch), batch))


def _search(segment: Segment, queries: Floats, k: int, way: Trial, *, apart: bool = False) -> Ints:
    if way.beam:
        return segment.walk(queries, k, beam=way.beam)[0]
    cells = len(segment.coded.cells)
    probes = max(1, round(way.probe * cells))
    probed = None if probes >= cells else probes
    return segment.search(queries, k, shortlisted=way.shortlist, probes=probed, apart=apart)[0]


def _recall(segment: Segment, queries: Floats, kth: Floats, k: int, batch: int, way: Trial) -> Estimate:
    """Return the recall of queries asked as many at once as they will be: together they find more than alone."""
    if way.beam or way.probe == 1 or _alone(segment, batch):
        found = _search(segment, queries, k, way, apart=True)
    else:
        asked = _filled(queries, -(-len(queries) // batch) * batch)
        parts = [_search(segment, asked[i : i + batch], k, way) for i in range(0, len(asked), batch)]
        found = np.concatenate(parts)[: len(queries)]
    share = recall(among_best(found, queries, segment.vectors, kth), min(k, len(segment)))
    return estimate(share, metric=f"recall@{k}", random_state=0)


def _milliseconds(search: Any, queries: Floats, batch: int) -> float:
    """Return milliseconds a query, the median over calls."""
    batch = min(batch, len(queries))
    search(queries[:batch])
    times: list[float] = []
    start, i = time.perf_counter(), 0
    while len(times) < 3 or time.perf_counter() - start < _ENOUGH:
        part = queries[i : i + batch]
        if len(part) < batch:
            i, part = 0, queries[:batch]
        began = time.perf_counter()
        search(part)
        times.append((time.perf_counter() - began) / batch)
        i += batch
    return float(1000 * np.median(times))
