"""Training of recurrent binarisation: the codes of queries and of what they should find come together, in torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from commonspace.compress.pairs import known_pairs
from commonspace.core.progress import task
from commonspace.core.random import seed_of
from commonspace.core.registry import need
from commonspace.core.vectors import unit

if TYPE_CHECKING:
    from commonspace.compress.recurrent_binary import RecurrentBinary

_NEAR, _BEYOND = 10, 60  # positives come from the nearest 10 of a query, hard negatives from the next 50
_BATCH = 256
_RATE = 1e-4
_RATE_PAIRS = 1e-3  # to old codes: a regression on these is where it starts, and pairs ask for more than small steps
_NAMES = ("binarize_", "binarize_in_", "binarize_out_", "rebuild_", "rebuild_in_", "rebuild_out_")


def train(
    code: RecurrentBinary,
    X: np.ndarray,
    queries: np.ndarray | None,
    older: np.ndarray | None,
    rng: np.random.Generator,
    pairs: np.ndarray | None = None,
) -> None:
    """Train the networks of `code` in place.

    Parameters
    ----------
    X, queries : (n, d) and (m, d), or None for X itself
        Vectors, and what looks for them.
    older : (n, dim), optional
        Older grid points of X.
    pairs : (p, 2) int64, optional
        A position in `queries` and one in X, which belong together; without any, the nearest vectors are to be found.
    """
    torch = need("torch")
    functional = torch.nn.functional
    f = unit(X).astype(np.float32)
    q = f if queries is None else unit(queries).astype(np.float32)
    near = neighbours(q, f, itself=queries is None)
    known = None if pairs is None else known_pairs(pairs, len(f))
    keep = min(_NEAR, max(1, near.shape[1] // 2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(rng))
        weights = {n: torch.tensor(getattr(code, n), requires_grad=True) for n in _NAMES if getattr(code, n).size}
        steps = torch.optim.Adam(list(weights.values()), lr=_RATE if pairs is None or older is None else _RATE_PAIRS)
        rate = torch.optim.lr_scheduler.CosineAnnealingLR(steps, code.steps)

        def network(x: Any, kind: str, u: int) -> Any:
            out = x @ weights[kind][u, :-1] + weights[kind][u, -1]
            if f"{kind}in_" in weights:
                inner = weights[f"{kind}in_"]
                out = out + torch.relu(x @ inner[u, :-1] + inner[u, -1]) @ weights[f"{kind}out_"][u]
            return out

        def codes(x: Any) -> Any:
            total: Any = 0.0
            rest = x
            for u in range(code.bits):
                if u:
                    rest = x - functional.normalize(network(total, "rebuild_", u - 1), dim=1)
                total = total + signs(network(rest, "binarize_", u)) / 2**u
            return functional.normalize(total, dim=1)

        def signs(x: Any) -> Any:
            passed = x.clamp(-1, 1)  # forwards the sign, backwards the slope of this
            return passed + (torch.where(x > 0, 1.0, -1.0) - passed).detach()

        def cross_entropy(left: Any, right: Any, target: Any, hidden: Any) -> Any:
            return functional.cross_entropy(left @ right.T / code.temperature + hidden, target)

        with task(f"Training binary codes of {len(f):,} vectors", total=code.steps) as t:
            for _ in range(code.steps):
                if pairs is None:
                    asked = rng.integers(0, len(q), _BATCH)
                    right = near[asked, rng.integers(0, keep, _BATCH)]
                else:
                    asked, right = pairs[rng.integers(0, len(pairs), _BATCH)].T
                hard = near[asked, rng.integers(keep, near.shape[1], _BATCH)] if near.shape[1] > keep else right
                items = np.concatenate([right, hard])
                if known is None:
                    wanted = goal(q[asked], f[items], near[asked, :keep], items, code)
                else:
                    wanted = one_of(known(asked, items))
                target, hidden = map(torch.from_numpy, wanted)
                left = codes(torch.from_numpy(q[asked]))
                loss = cross_entropy(left, codes(torch.from_numpy(f[items])), target, hidden)
                if older is not None:
                    was = functional.normalize(torch.from_numpy(older[items]), dim=1)
                    loss = loss + cross_entropy(left, was, target, hidden)
                steps.zero_grad()
                loss.backward()
                steps.step()
                rate.step()
                t.advance(note=f"loss {loss.item():.3f}")
    for name, value in weights.items():
        setattr(code, name, value.detach().numpy().astype(np.float32))


def goal(
    q: np.ndarray, x: np.ndarray, nearest: np.ndarray, items: np.ndarray, code: RecurrentBinary
) -> tuple[np.ndarray, np.ndarray]:
    """Return what the softmax over the items of a batch should be, and what is added to its arguments: (q, x) each.

    Parameters
    ----------
    q, x : (q, d) and (x, d) float32
        Unit rows of the queries and of the items; item i is the positive of query i.
    nearest : (q, k) int
        The items nearest to each query.
    items : (x,) int
        Which items x are.
    """
    if code.relevance == "soft":
        p = np.exp((q @ x.T - 1) / code.temperature)
        return (p / p.sum(axis=1, keepdims=True)).astype(np.float32), np.zeros((1, 1), np.float32)
    return one_of((nearest[:, :, None] == items).any(axis=1))


def one_of(positive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same where item i is to be found by query i, and other positives (q, x) are no negatives."""
    one = np.zeros(positive.shape, np.float32)
    np.fill_diagonal(one, 1)
    return one, np.where(positive & (one == 0), np.float32(-1e9), np.float32(0))


def neighbours(queries: np.ndarray, X: np.ndarray, *, itself: bool) -> np.ndarray:
    """Return the nearest rows of X for each query, best first: (q, up to 60); without the query `itself`."""
    k = min(_BEYOND + itself, len(X))
    out = np.empty((len(queries), k), np.int64)
    for start in range(0, len(queries), 1024):
        rows = slice(start, start + 1024)
        scores = queries[rows] @ X.T
        if itself:
            np.fill_diagonal(scores[:, start:], np.inf)
        best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        out[rows] = np.take_along_axis(best, np.argsort(-np.take_along_axis(scores, best, 1), axis=1), 1)
    return out[:, 1:] if itself and k > 1 else out
