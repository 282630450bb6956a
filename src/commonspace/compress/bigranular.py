"""`bigranular`: product-quantised codes that are trained to find what queries look for, not to resemble the vectors.

A vector is rotated, cut into M parts, and each part replaced by the nearest of 256 centroids: M bytes.

    y = R x,    code_p = argmin_c |y_p - C_pc|,    score(q, x) = <R A q, [C_1,code_1 ... C_M,code_M]>

R and C start as FAISS's optimised product quantisation. With queries, C and the query matrix A are trained by

    loss = CE(q, quantised) + CE(q, unquantised) + w mean |y - y'|^2

CE is the cross-entropy of a query's positive against the other positives of the batch and one random vector for each;
the query stays as it is, and y' = sum_c p_c C_pc with p = softmax(-|y_p - C_pc|^2 / t), made hard by argmax in the
forward pass while gradients pass as if it were soft (straight through). t is the mean squared error of a part, so that
the softmax is neither flat nor hard whatever the scale of the vectors. Vectors that are positives of a query are never
its negatives.

This is the light tier of a search of two; `commonspace.align.two_tier.fit_two_tier` adds the other, full vectors ranked
by a metric that knows what this tier confuses.

Source: "Progressively Optimized Bi-Granular Document Representation for Scalable Embedding Based Retrieval", with a
matrix on frozen vectors in place of its text encoders.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from commonspace.compress.pairs import check_pairs, known_pairs
from commonspace.compress.rows import blocks, check_fit, project, sample
from commonspace.core.errors import BadInput
from commonspace.core.paper import Paper
from commonspace.core.progress import task
from commonspace.core.protocols import Code
from commonspace.core.random import RandomState, generator, seed_of
from commonspace.core.registry import register
from commonspace.core.vectors import check_codes, check_positive, check_vectors

CENTROIDS = 256  # a byte names one
SAMPLE = 16384  # vectors that FAISS learns from
ROTATIONS = 8  # rounds of its alternation; more change little
PAPER = Paper(
    "Progressively Optimized Bi-Granular Document Representation for Scalable Embedding Based Retrieval",
    2022,
    "https://arxiv.org/abs/2201.05409",
)


@register("bigranular", protocol="Code", synonyms=("bidr", "contrastive-pq"), papers=[PAPER])
class BigranularCode(Code):
    """Product quantisation trained contrastively.

    Parameters
    ----------
    parts : int
        Bytes a vector; must divide its dimension.
    steps : int
        Gradient steps; 0 leaves FAISS's quantisation as it is, as does a fit without queries.
    batch_size : int
        Pairs of a query and its positive a step.
    lr : float
        Learning rate of Adam for the centroids; a tenth of it for the query matrix.
    temperature : float
        Of both cross-entropies.
    reconstruction : float
        w above.
    random_state : int, Generator or None
        Which pairs meet in a batch.

    Attributes
    ----------
    rotation_ : (dim, dim) float32
        R, applied as x @ rotation_.
    query_ : (dim, dim) float32
        A and R together, applied as q @ query_.
    books_ : (parts, 256, dim / parts) float32
        C.
    """

    def __init__(
        self,
        *,
        parts: int = 32,
        steps: int = 200,
        batch_size: int = 128,
        lr: float = 1e-3,
        temperature: float = 0.05,
        reconstruction: float = 1.0,
        random_state: RandomState = 0,
    ) -> None:
        self.parts = parts
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.temperature = temperature
        self.reconstruction = reconstruction
        self.random_state = random_state

    def fit(self, X: np.ndarray, queries: np.ndarray | None = None) -> Self:
        """Learn from vectors X (n, dim) and queries (m, dim), whose positives are their best rows of X."""
        X = check_fit(X, queries)
        if queries is None or not len(queries):
            return self._initialise(X)
        Q = check_vectors(queries, name="queries", dim=X.shape[1])
        best = np.concatenate([(Q[rows] @ X.T).argmax(1) for rows in blocks(len(Q), 256)])
        return self.fit_pairs(X, Q, np.stack([np.arange(len(Q)), best], 1))

    def fit_pairs(self, X: np.ndarray, queries: np.ndarray, pairs: np.ndarray) -> Self:
        """Learn from vectors X (n, dim), queries (m, dim) and what belongs together.

        Parameters
        ----------
        pairs : (p, 2) int
            A position in `queries` and one in X, each.
        """
        X = check_fit(X, queries)
        Q = check_vectors(queries, name="queries", dim=X.shape[1])
        pairs = check_pairs(pairs, len(Q), len(X))
        self._initialise(X)
        if self.steps and len(pairs):
            self._train(X, Q, pairs)
        return self

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Return the nearest centroid of each part: (n, parts) uint8."""
        self.check_fitted()
        X = check_vectors(X, dim=len(self.rotation_))
        out = np.empty((len(X), self.bytes_per_vector), np.uint8)
        books = self.books_.astype(np.float64)
        half = np.square(books).sum(2) / 2
        for rows in blocks(len(X), 1024):
            y = project(X[rows], self.rotation_.astype(np.float64)).astype(np.float64)
            parts = y.reshape(len(y), *self.books_.shape[::2])
            for p in range(len(books)):
                out[rows, p] = (half[p] - parts[:, p] @ books[p].T).argmin(1)
        return out

    def expand(self, codes: np.ndarray) -> np.ndarray:
        """Return the centroids laid side by side: (n, dim) float32, rotated as `prepare` rotates queries."""
        self.check_fitted()
        codes = check_codes(codes, self.bytes_per_vector)
        found: np.ndarray = self.books_[np.arange(len(self.books_)), codes]
        return found.reshape(len(codes), len(self.rotation_))

    def prepare(self, queries: np.ndarray) -> np.ndarray:
        """Return the rotated queries: (q, dim) float32."""
        self.check_fitted()
        return project(check_vectors(queries, name="queries", dim=len(self.rotation_)), self.query_.astype(np.float64))

    @property
    def bytes_per_vector(self) -> int:
        """One byte a part."""
        self.check_fitted()
        return len(self.books_)

    def _initialise(self, X: np.ndarray) -> Self:
        """Start as FAISS's optimised product quantisation."""
        import faiss

        dim = X.shape[1]
        if dim % check_positive("parts", self.parts):
            raise BadInput(f"parts={self.parts} must divide the dimension {dim} of the vectors")
        few = sample(X, SAMPLE)
        if len(few) < CENTROIDS:  # FAISS wants one vector a centroid at least: the same ones again do no harm
            few = np.resize(few, (CENTROIDS, dim))
        few = np.ascontiguousarray(few)
        opq = faiss.OPQMatrix(dim, self.parts)
        opq.niter = ROTATIONS
        opq.niter_pq_0 = ROTATIONS
        opq.verbose = False
        quantiser = faiss.ProductQuantizer(dim, self.parts, 8)
        quantiser.cp.min_points_per_centroid = 1  # small collections are coded, too, and without a warning
        opq.pq = quantiser
        opq.train(few)
        turned = opq.apply(few)
        opq.pq = None  # FAISS must not free what Python owns
        quantiser.train(turned)
        self.rotation_ = faiss.vector_to_array(opq.A).reshape(dim, dim).T.copy()
        self.query_ = self.rotation_.copy()
        self.books_ = faiss.vector_to_array(quantiser.centroids).reshape(self.parts, CENTROIDS, -1).copy()
        return self

    def _train(self, X: np.ndarray, Q: np.ndarray, pairs: np.ndarray) -> None:
        import torch
        from torch.nn.functional import cross_entropy

        rng = np.random.default_rng(seed_of(generator(self.random_state)))
        turn = torch.from_numpy(self.rotation_)
        books = torch.from_numpy(self.books_.copy()).requires_grad_()
        change = torch.zeros(len(turn), len(turn), requires_grad=True)
        groups: list[dict[str, Any]] = [{"params": [books]}, {"params": [change], "lr": self.lr / 10}]
        optimiser = torch.optim.Adam(groups, lr=self.lr)
        softness = self._error(sample(X, 2048))
        positive = known_pairs(pairs, len(X))
        batch = min(self.batch_size, len(pairs))
        with task("Training product quantisation", total=self.steps) as t:
            for step in range(self.steps):
                drawn = pairs[rng.choice(len(pairs), batch, replace=False)]
                docs = np.concatenate([drawn[:, 1], rng.integers(len(X), size=batch)])
                q, y = torch.from_numpy(Q[drawn[:, 0]]), torch.from_numpy(X[docs]) @ turn
                asked = (q + q @ change) @ turn
                quantised = straight_through(y, books, softness)
                clash = torch.from_numpy(positive(drawn[:, 0], docs))
                clash[torch.arange(batch), torch.arange(batch)] = False
                target = torch.arange(batch)
                loss = self.reconstruction * (y - quantised).square().sum(1).mean()
                for right in (quantised, y):
                    scores = (asked @ right.T / self.temperature).masked_fill(clash, -torch.inf)
                    loss = loss + cross_entropy(scores, target)
                for group, lr in zip(optimiser.param_groups, (self.lr, self.lr / 10), strict=True):
                    group["lr"] = lr * (1 - step / self.steps)
                optimiser.zero_grad()
                torch.autograd.backward(loss)
                optimiser.step()
                t.advance(note=f"loss {loss.item():.3f}")
        self.books_ = np.ascontiguousarray(books.detach().numpy())
        self.query_ = np.ascontiguousarray(((torch.eye(len(turn)) + change.detach()) @ turn).numpy())

    def _error(self, X: np.ndarray) -> float:
        """Return the mean squared error of a part."""
        y = project(X, self.rotation_.astype(np.float64))
        return max(float(np.square(y - self.expand(self.encode(X))).sum(1).mean()) / self.parts, 1e-12)


def straight_through(y: Any, books: Any, softness: float) -> Any:
    """Return y (n, dim) with each part replaced by its nearest centroid; gradients as of the soft assignment.

    books : (parts, 256, dim / parts) tensor.
    """
    parts = y.view(len(y), books.shape[0], books.shape[2]).transpose(0, 1)  # (parts, n, width)
    distance = books.square().sum(2)[:, None] - 2 * parts @ books.transpose(1, 2)  # |y_p|^2 is the same for all
    soft = (-distance / softness).softmax(2)
    hard = soft.new_zeros(soft.shape).scatter_(2, distance.argmin(2, keepdim=True), 1.0)
    return ((hard - soft.detach() + soft) @ books).transpose(0, 1).reshape(len(y), -1)
