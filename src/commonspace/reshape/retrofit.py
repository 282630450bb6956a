"""Retrofitting: pull the vectors of linked items together, after the fact, and keep each near to what it was.

    minimise  sum_i a_i |q_i - e_i|^2  +  sum_{i < j} w_ij |q_i - q_j|^2          hence  (A + L) Q = A E

with e the vectors given, W the strengths of the links, L = D - W the graph's Laplacian and A = diag(a). Rows without a
link stay. `exact` solves by conjugate gradients, column by column; `jacobi` goes in sweeps

    q_i <- (a_i e_i + sum_j w_ij q_j) / (a_i + d_i),     d_i = sum_j w_ij

which is the usual form of retrofitting: a_i = 1 and w_ij = 1 / deg(i) is, row by row times deg(i), the symmetric system
with a_i = deg(i) and w_ij = 1. So `fidelity` f gives a_i = f d_i (each row listens to itself f times as much as to all
its neighbours together; a sweep divides the error by 1 + f or more) or, with `normalise=False`, a_i = f, by which a row
with many links moves further.

Pairs that must stay `apart` add  repulsion * sum max(0, margin - |q_i - q_j|)^2. With u the direction from q_j to q_i
and t = max(margin, |q_i - q_j|) as they are now, |q_i - q_j - t u|^2 lies above each term and touches it, so that
solving again with these squares never raises the whole (majorise and minimise).

New rows have no links. What retrofitting did to the linked ones is learned by ridge regression, as a displacement:

    e -> e + ridge(e),     fitted to q_i - e_i of linked rows, penalty by generalised cross-validation

so that where vectors do not tell how they will move, new rows stay where they are. Any other regression of `vectors_`
on the vectors given does as well, such as a trained head.

Sources: Faruqui et al., "Retrofitting Word Vectors to Semantic Lexicons", 2015, for the objective and the sweeps;
"Integration of Domain Knowledge using Medical Knowledge Graph Deep Learning for Cancer Phenotyping", which brings
linked terms together before it trains on texts. The exact solution, repulsion in this form and the displacement are
ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from commonspace.core.errors import BadInput
from commonspace.core.method import check_choice
from commonspace.core.paper import Paper
from commonspace.core.protocols import Map
from commonspace.core.registry import register
from commonspace.core.vectors import check_positive, check_vectors
from commonspace.reshape.graph import read_graph
from commonspace.reshape.ridge import ALPHAS, Ridge

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SOLVERS = ("exact", "jacobi")
PRECISION = 1e-6  # of conjugate gradients: rows come and go as float32
ROUNDS = 20  # of repulsion, each with a solution of its own


@register(
    "retrofit",
    protocol="Map",
    papers=[
        Paper(
            "Integration of Domain Knowledge using Medical Knowledge Graph Deep Learning for Cancer Phenotyping",
            2021,
            "https://arxiv.org/abs/2101.01337",
        ),
        Paper("Retrofitting Word Vectors to Semantic Lexicons", 2015, "https://arxiv.org/abs/1411.4166"),
    ],
)
class Retrofit(Map):
    """Pull the vectors of linked items together.

    Parameters
    ----------
    fidelity : float
        How much a row listens to itself; above 0. The larger, the less moves.
    weights : mapping of str to float, optional
        Strength of each relation, where the graph has several; 1 for those not named.
    normalise : bool
        Whether fidelity is a multiple of a row's links or the same number for every row.
    solver : {"exact", "jacobi"}
    sweeps : int
        Of `jacobi`. The error falls at least by 1 + fidelity in each: 14 sweeps reach 1e-4 with the default.
    repulsion : float
        Strength of each pair of `apart`; 0 for none.
    margin : float
        Distance up to which they repel each other, in units of that of two rows taken at random (root mean square).
    alpha : float or sequence of float
        Penalties to choose from for new rows, see `Ridge`.

    Attributes
    ----------
    vectors_ : (n, d) float32
        The rows of `fit`, retrofitted. `transform` is for other rows, whose links are not known.
    linked_ : (n,) bool
        Rows with a link, or with one that repels them.
    weights_ : (d, d) float32
    offset_ : (d,) float32
        New rows become x + x weights_ + offset_.
    """

    def __init__(
        self,
        *,
        fidelity: float = 1.0,
        weights: Mapping[str, float] | None = None,
        normalise: bool = True,
        solver: str = "exact",
        sweeps: int = 20,
        repulsion: float = 0.0,
        margin: float = 0.5,
        alpha: float | Sequence[float] = ALPHAS,
    ) -> None:
        self.fidelity = fidelity
        self.weights = weights
        self.normalise = normalise
        self.solver = solver
        self.sweeps = sweeps
        self.repulsion = repulsion
        self.margin = margin
        self.alpha = alpha

    def fit(self, X: np.ndarray, Y: np.ndarray | None = None, *, graph: Any = None, apart: Any = None) -> Self:
        """Retrofit rows to a graph over them, and learn what that does to rows in general.

        Parameters
        ----------
        X : (n, d) array
        Y : optional
            Not looked at; another modality of the same space is moved by `transform_target`.
        graph : (m, 2) integer array, (n, n) scipy sparse matrix, or mapping of str to either
            Which rows are linked, for each relation; see `read_graph`.
        apart : (m, 2) integer array or (n, n) scipy sparse matrix, optional
            Rows that must not come together; used where `repulsion` is above 0.
        """
        self._check()
        if graph is None:
            raise BadInput("retrofitting needs to know which rows are linked: fit(X, graph=edges)")
        e = check_vectors(X).astype(np.float64)
        links = read_graph(graph, len(e), self.weights)
        degree = np.asarray(links.sum(axis=1))
        linked = degree > 0
        if linked.sum() < 2:
            raise BadInput("the graph links no two rows: there is nothing to pull together")
        own = np.where(linked, self.fidelity * degree, 1.0) if self.normalise else np.full(len(e), self.fidelity, float)
        q = e.copy()
        q[linked] = self._solved(e[linked], links[linked][:, linked], own[linked])
        if self.repulsion and apart is not None:
            pushed = read_graph(apart, len(e))
            q = self._repelled(e, q, links, own, pushed)
            linked = linked | (np.asarray(pushed.sum(axis=1)) > 0)
        moved = Ridge(alpha=self.alpha).fit(e[linked], (q - e)[linked])
        self.vectors_, self.linked_ = q.astype(np.float32), linked
        self.weights_ = moved.weights_
        self.offset_ = moved.mean_y_ - moved.mean_x_ @ moved.weights_
        return self

    def transform(self, X: np.ndarray) -> np.ndarray:
        """Return new rows moved as the linked ones were: (m, d) float32. Those of `fit` are in `vectors_`."""
        self.check_fitted()
        x = check_vectors(X, dim=len(self.offset_))
        out: np.ndarray = x + x @ self.weights_ + self.offset_
        return out

    def transform_target(self, Y: np.ndarray) -> np.ndarray:
        """Return rows of another modality of the same space, moved alike."""
        return self.transform(Y)

    def _check(self) -> None:
        for name in ("fidelity", "repulsion", "margin"):
            value, least = getattr(self, name), "above 0" if name == "fidelity" else "of at least 0"
            if not (value > 0 if name == "fidelity" else value >= 0) or not np.isfinite(value):
                raise BadInput(f"{name} must be a number {least}, not {value!r}")
        check_choice("solver", self.solver, SOLVERS)
        check_positive("sweeps", self.sweeps)

    def _solved(
        self, e: np.ndarray, links: csr_array, own: np.ndarray, right: np.ndarray | None = None, start: Any = None
    ) -> np.ndarray:
        """Return Q of (A + L) Q = A E + right: (n, d)."""
        from scipy.sparse import diags_array
        from scipy.sparse.linalg import cg

        whole = own + np.asarray(links.sum(axis=1))
        wanted = own[:, None] * e if right is None else own[:, None] * e + right
        q: np.ndarray = e.copy() if start is None else start.copy()
        if self.solver == "jacobi":
            for _ in range(self.sweeps):
                q = (wanted + links @ q) / whole[:, None]
            return q
        system, inverse = diags_array(whole) - links, diags_array(1 / whole)
        for column in range(q.shape[1]):
            q[:, column], _ = cg(system, wanted[:, column], x0=q[:, column], rtol=PRECISION, M=inverse)
        return q

    def _repelled(
        self, e: np.ndarray, q: np.ndarray, links: csr_array, own: np.ndarray, apart: csr_array
    ) -> np.ndarray:
        from scipy.sparse import csr_array, triu

        pairs = triu(apart, k=1).tocoo()
        i, j, strength = pairs.coords[0], pairs.coords[1], self.repulsion * pairs.data
        both = links + self.repulsion * apart
        many = np.arange(len(i))
        ends = csr_array((np.r_[strength, -strength], (np.r_[i, j], np.r_[many, many])), shape=(len(e), len(i)))
        margin = self.margin * np.sqrt(2 * e.var(axis=0).sum())
        for _ in range(ROUNDS):
            between = q[i] - q[j]
            length = np.linalg.norm(between, axis=1, keepdims=True)
            # Two rows in one place have no direction to part in, and stay together.
            wanted = between * np.divide(np.maximum(margin, length), length, where=length > 0, out=np.ones_like(length))
            q = self._solved(e, both, own, ends @ wanted, q)
        return q
