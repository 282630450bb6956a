"""Which code for how many bytes: measures codes on one's own vectors and queries, and recommends one for each budget.

    print(advise(vectors, queries, budgets=(48, 64, 128)))

The figure is the share of the exact top k that a code's shortlist holds, because the shortlist is re-ranked with the
full vectors and only what is missing from it is lost. Half of the queries teach the codes, a quarter chooses among
them, and a quarter that had no part in the choice says what the chosen one reaches: the best of many is otherwise
praised for its luck.

Source: Zhang, Zhang, Zhao, Huang, Nie, Guo, Tao, Li, Shi, Miao and Cui, "Experimental Analysis of Large-scale Learnable
Vector Storage Compression", 2023, whose finding is that the best method depends on the budget. Its methods that share
memory between rows need an id for each row and a model trained around them; they cannot score new vectors.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from commonspace.core.errors import BadInput, CommonspaceError
from commonspace.core.progress import track
from commonspace.core.protocols import Code
from commonspace.core.random import RandomState, generator
from commonspace.core.registry import build, entries
from commonspace.core.vectors import check_positive, check_share, check_vectors
from commonspace.measure import Estimate, estimate
from commonspace.search.exact import top_k
from commonspace.search.recall import among_best, kth_best, recall

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
RULE = (
    "within the budget, the shortest shortlist whose recall reaches the target with the lower end of its interval, "
    "then the fewest bytes; where nothing reaches it, the highest recall in the longest shortlist"
)
LEAST_QUERIES = 16  # a quarter of fewer says nothing


@dataclass(frozen=True)
class Measured:
    """What one code was found to do.

    Parameters
    ----------
    name : str
        The code as it would be written.
    bytes : int
        Size of one vector's code.
    recalls : dict of int to Estimate
        Shortlist -> share of the exact top k in it, over the queries that choose.
    fit_seconds, encode_seconds : float
        On the vectors measured, on this machine.
    """

    name: str
    bytes: int
    recalls: dict[int, Estimate]
    fit_seconds: float
    encode_seconds: float


@dataclass(frozen=True)
class Recommendation:
    """The code for one budget.

    Parameters
    ----------
    budget : int
        Bytes a vector.
    code : Measured or None
        None if no code is that small.
    shortlist : int
        How many to re-rank.
    confirmed : Estimate or None
        Recall in that shortlist over queries that had no part in the choice.
    """

    budget: int
    code: Measured | None
    shortlist: int
    confirmed: Estimate | None


@dataclass(frozen=True)
class Advice:
    """All that was measured, and a recommendation for each budget; `print` shows both.

    Parameters
    ----------
    measured : tuple of Measured
        Smallest codes first.
    recommended : tuple of Recommendation
        One a budget.
    refused : dict of str to str
        Codes that could not be measured -> why.
    k, vectors, target, asked : int, int, float, str
        Size of the exact result, number of vectors, recall asked for, and what the queries were.
    """

    measured: tuple[Measured, ...]
    recommended: tuple[Recommendation, ...]
    refused: dict[str, str]
    k: int
    vectors: int
    target: float
    asked: str

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain data, ready for JSON."""

        def plain(row: Measured) -> dict[str, Any]:
            return {**vars(row), "recalls": {str(s): e.to_dict() for s, e in row.recalls.items()}}

        recommended = [
            {
                "budget": r.budget,
                "code": r.code and r.code.name,
                "shortlist": r.shortlist,
                "confirmed": r.confirmed and r.confirmed.to_dict(),
            }
            for r in self.recommended
        ]
        return {**vars(self), "measured": [plain(m) for m in self.measured], "recommended": recommended, "rule": RULE}

    def __str__(self) -> str:
        sizes = list(self.measured[0].recalls) if self.measured else []
        width = max([4, *(len(m.name) for m in self.measured)])
        head = "  ".join(f"in {s}".ljust(22) for s in sizes)
        lines = [
            f"Share of the exact top {self.k} in a shortlist; {self.vectors:,} vectors, {self.asked}.",
            "",
            f"{'code':{width}}  bytes  {head}  fit s  encode s",
        ]
        for m in self.measured:
            cells = "  ".join(f"{_interval(m.recalls[s]):22}" for s in sizes)
            lines.append(f"{m.name:{width}}  {m.bytes:5d}  {cells}  {m.fit_seconds:5.1f}  {m.encode_seconds:8.1f}")
        lines += [f"{name}: not measured, {why}" for name, why in self.refused.items()]
        lines += ["", f"Recommended: {RULE} ({self.target:.2f})."]
        lines += [f"{r.budget:5d} bytes: {_sentence(r, self.target)}" for r in self.recommended]
        return "\n".join(lines)


def advise(
    X: npt.ArrayLike,
    queries: npt.ArrayLike | None = None,
    *,
    budgets: Sequence[int] = (32, 64, 128, 256),
    codes: Sequence[str | dict[str, Any] | Code] | None = None,
    k: int = 10,
    shortlists: Sequence[int] = (10, 30, 100),
    target_recall: float = 0.95,
    rows: int = 50_000,
    random_state: RandomState = 0,
) -> Advice:
    """Return what codes do to these vectors, and which to take for each budget.

    Parameters
    ----------
    X : (n, dim)
        The vectors.
    queries : (m, dim), optional
        Queries of the kind that will be asked, at least 16. Without them a fifth of the vectors, at most 2,000, are
        taken out and asked: this says nothing about queries of another kind.
    budgets : sequence of int
        Bytes a vector.
    codes : sequence of names, {"name": ...} or Code, optional
        What to measure; by default every registered code as it comes, and `leanvec` filling each budget with 8, 4 and 2
        bits. An instance is fitted anew.
    k : int
        Size of the exact result that must be found again.
    shortlists : sequence of int
        How many of the best by codes are looked at, each at least k.
    target_recall : float
        Share of the exact result that is enough, above 0 and below 1; as in `Collection.tune`, which takes it for the
        hits of a whole search.
    rows : int
        Larger sets are measured on so many vectors, drawn at random. Shortlists of a larger set must be longer.

    Raises
    ------
    BadInput
        Too few vectors or queries, a budget, shortlist or target that makes no sense.
    """
    X = check_vectors(X)
    k, rows = check_positive("k", k), check_positive("rows", rows)
    target = check_share("target_recall", target_recall)
    sizes = sorted({check_positive("shortlists", s) for s in shortlists})
    budgets = sorted({check_positive("budgets", b) for b in budgets})
    if not sizes or not budgets or sizes[0] < k:
        raise BadInput(f"shortlists must hold k = {k} or more, and there must be a budget: {sizes}, {budgets}")
    rng = generator(random_state)
    corpus, parts, asked = _split(X, queries, rows, rng)
    if len(corpus) <= sizes[-1]:
        raise BadInput(f"{len(corpus)} vectors are no more than the longest shortlist, {sizes[-1]}: nothing to measure")
    teach, choose, confirm = parts
    truths = [(part, kth_best(part, corpus, k)) for part in (choose, confirm)]
    chosen = None if codes is None else [build("Code", c) for c in codes]
    wanted, refused = _candidates(budgets, corpus.shape[1]) if chosen is None else (chosen, {})
    measured, confirmed = [], {}
    for code in track(wanted, "Measuring codes"):
        try:
            found, (fit_s, encode_s) = _shortlists(code, corpus, teach, (choose, confirm), sizes[-1])
        except CommonspaceError as e:
            refused[repr(code)] = str(e)
            continue
        best = [among_best(f, part, corpus, kth) for f, (part, kth) in zip(found, truths, strict=True)]
        recalls = [{s: _recall(b, k, s) for s in sizes} for b in best]
        measured.append(Measured(repr(code), code.bytes_per_vector, recalls[0], fit_s, encode_s))
        confirmed[id(measured[-1])] = recalls[1]
    measured.sort(key=lambda m: (m.bytes, m.name))
    picks = [(b, *recommend(measured, b, target)) for b in budgets]
    recommended = (Recommendation(b, m, s, confirmed[id(m)][s] if m else None) for b, m, s in picks)
    return Advice(tuple(measured), tuple(recommended), refused, k, len(corpus), target, asked)


def recommend(measured: Sequence[Measured], budget: int, target: float) -> tuple[Measured | None, int]:
    """Return the code for a budget by `RULE`, and its shortlist; None and 0 if none is that small."""
    within = [m for m in measured if m.bytes <= budget]
    good = [(s, m.bytes, -e.value, i) for i, m in enumerate(within) for s, e in m.recalls.items() if e.low >= target]
    if good:
        shortlist, _, _, at = min(good)
        return within[at], shortlist
    if not within:
        return None, 0
    longest = max(within[0].recalls)
    return max(within, key=lambda m: (m.recalls[longest].value, -m.bytes)), longest


def _split(
    X: Floats, queries: npt.ArrayLike | None, rows: int, rng: np.random.Generator
) -> tuple[Floats, tuple[Floats | None, Floats, Floats], str]:
    """Return the corpus, queries that (teach, choose, confirm), and words for them."""
    order = rng.permutation(len(X))
    if queries is None:
        m = min(len(X) // 5, 2000)
        Q, order = X[order[:m]], order[m:]
    else:
        Q = check_vectors(queries, name="queries", dim=X.shape[1])
        Q = Q[rng.permutation(len(Q))]
    if len(Q) < LEAST_QUERIES:
        raise BadInput(f"{len(Q)} queries are too few to choose by and to confirm with; give {LEAST_QUERIES} or more")
    corpus = X[np.sort(order[:rows])]
    if queries is None:
        half = len(Q) // 2
        words = f"asked {half} of their own kind to choose and {len(Q) - half} to confirm"
        return corpus, (None, Q[:half], Q[half:]), words
    a, b = len(Q) // 2, len(Q) * 3 // 4
    words = f"taught by {a} queries, asked {b - a} to choose and {len(Q) - b} to confirm"
    return corpus, (Q[:a], Q[a:b], Q[b:]), words


def _candidates(budgets: Sequence[int], dim: int) -> tuple[list[Code], dict[str, str]]:
    """Return every registered code as it comes, `leanvec` at each budget that it can fill, and what needs arguments."""
    made: dict[str, Code] = {}
    refused: dict[str, str] = {}
    pairs = sorted({(b * 8 // bits, bits) for b in budgets for bits in (8, 4, 2) if b * 8 // bits < dim})
    filling = [{"name": "leanvec", "dim": d, "bits": bits} for d, bits in pairs]
    specs: list[dict[str, Any]] = [*({"name": e.name} for e in entries("Code")), *filling]
    for spec in specs:
        try:
            code: Code = build("Code", spec)
        except BadInput as e:
            refused[spec["name"]] = str(e)
            continue
        made.setdefault(repr(code), code)
    return list(made.values()), refused


def _shortlists(
    code: Code, corpus: Floats, teach: Floats | None, asked: tuple[Floats, ...], size: int
) -> tuple[list[Ints], tuple[float, float]]:
    """Return the best rows of each part of the queries by codes, and the seconds to fit and to encode."""
    start = time.perf_counter()
    code.fit(corpus, teach)
    fitted = time.perf_counter()
    codes = code.encode(corpus)
    encoded = time.perf_counter()
    right = code.expand(codes).astype(np.float32, copy=False)
    return [top_k(code.prepare(q), right, size)[0] for q in asked], (fitted - start, encoded - fitted)


def _recall(best: npt.NDArray[np.bool_], k: int, size: int) -> Estimate:
    per_query = recall(best[:, :size], k)
    return estimate(per_query, f"recall of the top {k} in {size}", bounds=(0, 1), random_state=0)


def _interval(e: Estimate) -> str:
    return f"{e.value:.3f} [{e.low:.3f}, {e.high:.3f}]"


def _sentence(r: Recommendation, target: float) -> str:
    if r.code is None or r.confirmed is None:
        return "no code that was measured is this small"
    short = "" if r.code.recalls[r.shortlist].low >= target else "; the target is not reached"
    return f"{r.code.name}, {r.code.bytes} bytes, re-rank {r.shortlist}: {r.confirmed} on unused queries{short}"
