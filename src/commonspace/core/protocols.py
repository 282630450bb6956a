"""The extension points. Nothing else is pluggable.

`Encoder`, `Map` and `Code` are base classes because they share behaviour (fingerprints, saving); the others are
structural protocols: any class with these methods, registered under the protocol's name, takes part.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import numpy as np

from commonspace.core.bags import Bags
from commonspace.core.method import Method
from commonspace.core.views import Views


class Encoder(Method):
    """Turns raw items of one kind into vectors; frozen once fitted.

    `kind` says what the items are (``"text"``, ``"image"``, ``"vector"`` ...): it picks the item digest of the cache
    and the words of error messages. `scaling` says how a head should standardise the output (see `core.blocks.Block`).
    `batch_size` is how many items one call of `encode` gets from the library.
    """

    kind: ClassVar[str] = "item"
    scaling: ClassVar[str] = "column"
    batch_size: int = 1024

    @property
    def needs_fit(self) -> bool:
        """Whether `fit` must run before `encode` can."""
        return False

    def fit(self, items: Sequence[Any]) -> Self:
        """Learn from training items; encoders with nothing to learn return themselves."""
        return self

    def encode(self, items: Sequence[Any]) -> np.ndarray | Bags:
        """Return (n, d) float32 rows, or `Bags` with several vectors per item.

        Raises
        ------
        BadItems
            Naming the position of *every* item that cannot be read.
        """
        raise NotImplementedError


class Map(Method):
    """A closed-form map between vector sets, in the manner of scikit-learn.

    A map of two sides puts both into one space, where rows are compared by cosine: queries of the X side go through
    `transform`, items of the Y side through `transform_target`. Maps that land in the space of Y itself leave Y as it
    is, so that a caller can treat all of them alike.
    """

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None) -> Self:
        """Learn from rows that correspond: X (n, d_x), Y (n, d_y)."""
        raise NotImplementedError

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return the mapped rows of X."""
        raise NotImplementedError

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return rows of the Y side in the space that `transform` maps X to; unchanged unless a map says otherwise."""
        return Y


class Code(Method):
    """A short form of vectors, compared with queries without being undone.

    Every code is scored by one inner product, which is all that search has to make fast:

        score(q, x) = <prepare(q), expand(encode(x))>  =  <q, x> + error + (something that depends on q alone)

    Codes are the rows of one uint8 array, so that they can be cut, stored and memory-mapped whatever the method.
    """

    def fit(self, X: np.ndarray, queries: np.ndarray | None = None) -> Self:
        """Learn from vectors X (n, dim) and, if given, from typical queries (m, dim); neither is kept."""
        raise NotImplementedError

    def encode(self, X: np.ndarray) -> np.ndarray:
        """Return one code a row: (n, bytes_per_vector) uint8, C-contiguous. A row's code depends on that row alone."""
        raise NotImplementedError

    def expand(self, codes: np.ndarray) -> np.ndarray:
        """Return the right side of the inner product: (n, r) float32, or int8 or uint8 where that says the same.

        Such integers are exact in every float type that a machine multiplies fast, bfloat16 included. Many levels are
        best counted from the middle: a large constant in the products takes the few bits that tell rows apart.
        """
        raise NotImplementedError

    def prepare(self, queries: np.ndarray) -> np.ndarray:
        """Return the left side of the inner product for queries (q, dim): (q, r) float32."""
        raise NotImplementedError

    def score(self, query: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return (n,) float32 scores of one query (dim,), or (q, n) of several (q, dim), against codes."""
        q = np.asarray(query)
        scores = self.prepare(np.atleast_2d(q)) @ self.expand(codes).astype(np.float32, copy=False).T
        out: np.ndarray = scores[0] if q.ndim == 1 else scores
        return out

    @property
    def bytes_per_vector(self) -> int:
        """Size of one code in bytes, once fitted."""
        raise NotImplementedError

    @property
    def packing(self) -> int | None:
        """8 or 4 if a code is nothing but unsigned integers of so many bits; None otherwise.

        Two of 4 bits share a byte, the first in its low half. `expand` returns the integers, less a constant.
        """
        return None


@runtime_checkable
class Head(Protocol):
    """A torch module from an encoder's output to the space: (batch, d_in) -> (batch, dim)."""

    def __call__(self, x: Any) -> Any:
        """Return (batch, dim) rows, not yet normalised."""

    def to_numpy(self) -> Any:
        """Return the torch-free forward pass with the same outputs."""


@runtime_checkable
class Objective(Protocol):
    """A training loss over `Views`; higher agreement of relevant items, lower loss."""

    def __call__(self, views: Views) -> Any:
        """Return a scalar tensor."""

    @property
    def diagnostics(self) -> dict[str, float]:
        """Numbers of the last call worth showing (temperature, share of positives ...)."""


@runtime_checkable
class Sampler(Protocol):
    """Decides which items form a batch.

    One that must look at the items first has ``prepare(data, rng)`` too, which training calls once with its `PairData`.
    """

    def batches(self, n: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
        """Yield the index arrays of one epoch over n items."""


@runtime_checkable
class Scorer(Protocol):
    """Scores candidates of one query, for re-ranking and normalising."""

    def score(self, query: Any, candidates: Any) -> np.ndarray:
        """Return (n,) scores, higher is better."""


@runtime_checkable
class Metric(Protocol):
    """A retrieval measure: per-query values from scores and relevance."""

    def __call__(self, scores: np.ndarray, relevance: np.ndarray) -> np.ndarray:
        """Return (n_queries,) values from two (n_queries, n_items) arrays."""
