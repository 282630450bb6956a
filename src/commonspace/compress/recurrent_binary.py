"""Recurrent binarisation (BEBR): each bit plane encodes the signs of what the planes before it left over.

    b_0 = sign(W_0 f)
    f_u = unit(R_u b_u),   r_u = sign(T_u (f - f_u)),   b_{u+1} = b_u + 2^-(u+1) r_u          u = 0 .. bits - 2

W, R and T are small residual networks, x -> A x + V relu(U x) + c; a code of `bits` planes is a point of the odd grid
2^(bits-1) b in {-(2^bits - 1), ..., -1, 1, ..., 2^bits - 1}^dim, kept as integers of `bits` bits. Trained on vectors
alone, with gradients that pass each sign where its argument lies within [-1, 1], on batches of queries, one of the
nearest vectors of each, and hard ones from just beyond the nearest:

    L = mean_i -sum_j p_ij log softmax_j( cos(b(q_i), b(x_j)) / temperature )
    relevance="nearest", InfoNCE as published:    p_ij = 1 if j is the positive of i; other near ones are left out
    relevance="soft", ours and the default:       p_i  = softmax_j( cos(q_i, x_j) / temperature )

InfoNCE pulls one vector up and pushes its neighbours down, wherever they were. A search by codes should find what the
full vectors find, and for that soft relevance did better wherever it was measured; on sentence vectors InfoNCE was even
worse than no training.

Symmetric distance: the query is binarised, too, score = <b(q), b(x)> / (|b(q)| |b(x)|). Asymmetric: the query stays as
it is and meets the vector that the code stands for, x ~ D b(x) + const by least squares, so score = <D'q, b(x)>.

Compatible training: with an older code and older vectors of the same items, L gets a second term, the same between new
query codes and old item codes, which do not change; then new queries search codes that were made long ago.

Known matches (`fit_pairs`): the positive of a query is an item that it is known to belong to, its other known items are
left out, and both terms are InfoNCE; as published.

Source: Gan et al., "Binary Embedding-based Retrieval at Tencent", 2023. As in the configuration that its authors
released there is neither a momentum copy nor a queue. Ours: soft relevance; networks start at a rotation of
the principal axes and its least-squares inverse instead of at random, which is already a fair code, and train for
seconds; no batch normalisation; hard negatives come from the ranking of the full vectors.
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np

from commonspace.compress.bits import bytes_of, check_within, pack, unpack
from commonspace.compress.least_squares import least_squares
from commonspace.compress.pairs import check_pairs
from commonspace.compress.rabitq import random_rotation
from commonspace.compress.rows import blocks, check_fit, sample, second_moment
from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.protocols import Code
from commonspace.core.random import RandomState, generator
from commonspace.core.registry import register
from commonspace.core.vectors import check_codes, check_vectors, unit

_SAMPLE = 20_000  # vectors to learn from: enough for a few hundred thousand weights
_ASKING = 8192  # queries whose neighbours are looked up


@register(
    "recurrent_binary",
    protocol="Code",
    synonyms=("bebr",),
    papers=[Paper("Binary Embedding-based Retrieval at Tencent", 2023, "https://arxiv.org/abs/2302.08714")],
)
class RecurrentBinary(Code):
    """Bit planes that each encode what the planes before them left over, trained for search.

    Parameters
    ----------
    bits : int
        Bits a number, 1 to 4: how many planes.
    dim : int, optional
        Numbers a code has; that of the vectors if None.
    symmetric : bool
        Whether queries are binarised, too. Otherwise they stay as they are.
    hidden : int
        Width of the non-linear part of each network; 0 leaves them linear.
    steps : int
        Steps of training, of 256 queries each; 0 leaves the networks at their closed-form start and needs no torch.
    relevance : "soft" or "nearest"
        What a query's code should be near to: all vectors as much as the query is, or one of its nearest.
    temperature : float
        Of the softmax.
    random_state : int, Generator or None
        Draws the rotation and the batches.

    Attributes
    ----------
    binarize_, binarize_in_, binarize_out_ : (bits, d + 1, dim), (bits, d + 1, hidden), (bits, hidden, dim) float32
        Linear and non-linear parts of W and T; the last of d + 1 rows is added.
    rebuild_, rebuild_in_, rebuild_out_ : (bits - 1, dim + 1, d), (bits - 1, dim + 1, hidden), (bits - 1, hidden, d)
        The same for R.
    decoder_ : (dim, d) float32
        D', from the odd grid to vectors.
    """

    def __init__(
        self,
        *,
        bits: int = 2,
        dim: int | None = None,
        symmetric: bool = True,
        hidden: int = 0,
        steps: int = 300,
        relevance: Literal["soft", "nearest"] = "soft",
        temperature: float = 0.1,
        random_state: RandomState = None,
    ) -> None:
        self.bits = bits
        self.dim = dim
        self.symmetric = symmetric
        self.hidden = hidden
        self.steps = steps
        self.relevance = relevance
        self.temperature = temperature
        self.random_state = random_state

    def fit(
        self,
        X: np.ndarray,
        queries: np.ndarray | None = None,
        *,
        compatible_with: RecurrentBinary | None = None,
        old: np.ndarray | None = None,
    ) -> Self:
        """Train on vectors X (n, d) and queries (m, d); without queries, vectors ask for their neighbours.

        Parameters
        ----------
        compatible_with : RecurrentBinary, optional
            A fitted code with the same bits and dim, whose codes of `old` new queries shall be able to search.
        old : (n, d_old), optional
            The older vectors of the same items as X.
        """
        return self._fit(X, queries, None, compatible_with, old)

    def fit_pairs(
        self,
        X: np.ndarray,
        queries: np.ndarray,
        pairs: np.ndarray,
        *,
        compatible_with: RecurrentBinary | None = None,
        old: np.ndarray | None = None,
    ) -> Self:
        """Train on vectors X (n, d), queries (m, d) and what belongs together; `relevance` is not read.

        Parameters
        ----------
        pairs : (p, 2) int
            A position in `queries` and one in X, each.
        compatible_with, old
            As for `fit`.
        """
        X = check_fit(X, queries)
        queries = check_vectors(queries, name="queries", dim=X.shape[1])
        pairs = check_pairs(pairs, len(queries), len(X))
        if not len(pairs):
            raise BadInput("pairs is empty: name what belongs together, or call fit, which needs no pairs")
        return self._fit(X, queries, pairs, compatible_with, old)

    def _fit(
        self,
        X: np.ndarray,
        queries: np.ndarray | None,
        pairs: np.ndarray | None,
        compatible_with: RecurrentBinary | None,
        old: np.ndarray | None,
    ) -> Self:
        check_within("bits", self.bits, 1, 4)
        check_within("hidden", self.hidden, 0, 1 << 16)
        check_within("steps", self.steps, 0, 1 << 20)
        check_choice("relevance", self.relevance, ("soft", "nearest"))
        X = check_fit(X, queries)
        dim = check_within("dim", X.shape[1] if self.dim is None else self.dim, 1, 1 << 16)
        if (compatible_with is None) != (old is None):
            raise BadInput(
                "compatible training needs both: compatible_with, the older code, and old, the older vectors"
            )
        rows = sample(np.arange(len(X)), _SAMPLE)
        if queries is not None:
            queries = check_vectors(queries)
            if pairs is None:
                queries = sample(queries, _ASKING)
            else:
                rows, asking, pairs = _few(pairs, rows)
                queries = queries[asking]
        older = None if old is None or compatible_with is None else _older(compatible_with, old, len(X))[rows]
        if older is not None and (older.shape[1] != dim or compatible_with.bits != self.bits):  # type: ignore[union-attr]
            raise BadInput("codes of different bits or dim cannot be compared: give compatible_with's bits and dim")
        if not (isinstance(self.temperature, float | int) and self.temperature > 0):
            raise BadInput(f"temperature must be greater than 0, not {self.temperature!r}")
        rng = generator(self.random_state)
        X = X[rows]
        self._start(X, dim, rng, older)
        if self.steps and len(X) > 1:
            from commonspace.compress.recurrent_training import train

            train(self, X, queries, older, rng, pairs)
        self._fit_decoder(X, older)
        return self

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Return (n, bytes_per_vector) uint8: one bit plane after the other. Only the direction of a row counts."""
        self.check_fitted()
        X = check_vectors(X, dim=self.decoder_.shape[1])
        out = np.empty((len(X), self.bytes_per_vector), np.uint8)
        for rows in blocks(len(X), 4096):
            out[rows] = pack(np.hstack([p > 0 for p in self._planes(X[rows])]))
        return out

    def expand(self, codes: np.ndarray) -> np.ndarray:
        """Return (n, dim): integers as uint8, or unit rows of float32 where norms differ (symmetric, bits > 1)."""
        self.check_fitted()
        codes = check_codes(codes, self.bytes_per_vector)
        dim = len(self.decoder_)
        if not self.symmetric or self.bits == 1:
            return self._levels(codes)
        out = np.empty((len(codes), dim), np.float32)
        for rows in blocks(len(codes)):
            out[rows] = unit(self._grid(codes[rows]))
        return out

    def prepare(self, queries: np.ndarray) -> np.ndarray:
        """Return (q, dim) float32: the queries' own codes of unit length, or their products with the decoder."""
        self.check_fitted()
        q = check_vectors(queries, name="queries", dim=self.decoder_.shape[1])
        if not self.symmetric:
            return (2 * q @ self.decoder_.T).astype(np.float32, copy=False)
        own = unit(self._grid(self.encode(q)))
        return own if self.bits > 1 else own * np.float32(2 / np.sqrt(len(self.decoder_)))

    @property
    def bytes_per_vector(self) -> int:
        """Bits times dim, filled up to whole bytes."""
        self.check_fitted()
        return bytes_of(self.bits * len(self.decoder_))

    def _planes(self, X: np.ndarray) -> list[np.ndarray]:
        """Return `bits` arrays (n, dim) of -1 and 1; in float64, so that a row's signs depend on that row alone."""
        f = unit(X.astype(np.float64))
        rest, code, found = f, np.zeros((len(X), self.binarize_.shape[2])), []
        for u in range(self.bits):
            if u:
                rest = f - unit(_network(code, self.rebuild_, self.rebuild_in_, self.rebuild_out_, u - 1))
            signs = np.where(_network(rest, self.binarize_, self.binarize_in_, self.binarize_out_, u) > 0, 1.0, -1.0)
            found.append(signs)
            code = code + signs / 2**u
        return found

    def _levels(self, codes: np.ndarray) -> np.ndarray:
        """Return the integers 0 .. 2^bits - 1 of packed codes: (n, dim) uint8, first plane highest."""
        dim = len(self.decoder_)
        planes = unpack(codes, self.bits * dim).reshape(len(codes), self.bits, dim)
        level = np.zeros((len(codes), dim), np.uint8)
        for u in range(self.bits):
            level = (level << 1) | planes[:, u]
        return level

    def _grid(self, codes: np.ndarray) -> np.ndarray:
        """Return the points of the odd grid: (n, dim) float32."""
        return 2 * self._levels(codes).astype(np.float32) - np.float32(2**self.bits - 1)

    def _start(self, X: np.ndarray, dim: int, rng: np.random.Generator, older: np.ndarray | None) -> None:
        """Set the networks in closed form: rotated principal axes, or the least-squares way to an older code."""
        d, h = X.shape[1], self.hidden
        f = unit(X.astype(np.float64))
        self.binarize_ = np.zeros((self.bits, d + 1, dim), np.float32)
        self.rebuild_ = np.zeros((self.bits - 1, dim + 1, d), np.float32)
        self.binarize_in_, self.binarize_out_ = _first_weights(rng, self.bits, d, h, dim)
        self.rebuild_in_, self.rebuild_out_ = _first_weights(rng, self.bits - 1, dim, h, d)
        _, axes = np.linalg.eigh(second_moment(f))
        axes = axes[:, ::-1][:, :dim]
        turn = axes @ random_rotation(dim, rng)[: axes.shape[1]].astype(np.float64)
        old_planes = None if older is None else _planes_of(older, self.bits)
        code, rest = np.zeros((len(f), dim)), f
        for u in range(self.bits):
            if u:
                self.rebuild_[u - 1] = least_squares(code, f)
                rest = f - unit(_network(code, self.rebuild_, self.rebuild_in_, self.rebuild_out_, u - 1))
            if old_planes is not None:
                self.binarize_[u] = least_squares(rest, old_planes[u])
            else:
                self.binarize_[u, :-1] = turn
                self.binarize_[u, -1] = -rest.mean(axis=0) @ turn
            spread = _network(rest, self.binarize_, self.binarize_in_, self.binarize_out_, u).std()
            self.binarize_[u] /= max(float(spread), 1e-6)  # so that most arguments of sign let gradients pass
            code = code + np.where(rest @ self.binarize_[u, :-1] + self.binarize_[u, -1] > 0, 1.0, -1.0) / 2**u

    def _fit_decoder(self, X: np.ndarray, older: np.ndarray | None) -> None:
        """Set D', the least-squares way from grid points (old ones, too) to the vectors."""
        self.decoder_ = np.zeros((self.binarize_.shape[2], X.shape[1]), np.float32)  # gives encode its shapes
        grid = self._grid(self.encode(X))
        if older is not None:
            grid, X = np.concatenate([grid, older]), np.concatenate([X, X])
        self.decoder_ = least_squares(grid, X)[:-1].astype(np.float32)


def _few(pairs: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which vectors and which queries to learn from, and the pairs among these by their places in both.

    Parameters
    ----------
    pairs : (p, 2) int64
        All pairs, of which some thousand are taken.
    rows : (r,) int64
        Vectors that are learned from whatever the pairs.
    """
    some = sample(pairs, _SAMPLE)
    rows, asking = np.union1d(rows, some[:, 1]), np.unique(some[:, 0])
    known = pairs[np.isin(pairs[:, 0], asking) & np.isin(pairs[:, 1], rows)]
    return rows, asking, np.column_stack([np.searchsorted(asking, known[:, 0]), np.searchsorted(rows, known[:, 1])])


def _first_weights(rng: np.random.Generator, n: int, inner: int, hidden: int, outer: int) -> tuple[np.ndarray, ...]:
    """Return the non-linear parts of n networks, random inwards and zero outwards: they start without effect."""
    inwards = rng.normal(size=(n, inner + 1, hidden)) / np.sqrt(inner)
    return inwards.astype(np.float32), np.zeros((n, hidden, outer), np.float32)


def _network(x: np.ndarray, linear: np.ndarray, inner: np.ndarray, outer: np.ndarray, u: int) -> np.ndarray:
    """Return network u of a stack: x A + relu(x U) V, the last rows of A and U added."""
    out: np.ndarray = x @ linear[u, :-1].astype(np.float64) + linear[u, -1]
    if inner.shape[2]:
        out = out + np.maximum(x @ inner[u, :-1].astype(np.float64) + inner[u, -1], 0) @ outer[u].astype(np.float64)
    return out


def _older(code: RecurrentBinary, old: np.ndarray, n: int) -> np.ndarray:
    """Return the (n, dim) grid points that the older code gives the older vectors."""
    if not isinstance(code, RecurrentBinary):
        raise BadInput(f"compatible_with must be the fitted RecurrentBinary of the older codes, not {code!r:.60}")
    old = check_vectors(old, name="old")
    if len(old) != n:
        raise BadInput(f"old must hold the older vectors of the same items as X: {len(old)} rows against {n}")
    return code._grid(code.encode(old))


def _planes_of(grid: np.ndarray, bits: int) -> list[np.ndarray]:
    """Return the bit planes of points of the odd grid, first plane first, as -1 and 1."""
    level = ((grid + (2**bits - 1)) / 2).astype(np.int64)
    return [2.0 * ((level >> (bits - 1 - u)) & 1) - 1 for u in range(bits)]
