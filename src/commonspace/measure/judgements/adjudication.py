"""Which documents to judge next, when there is a budget for few of them.

Pools of several systems hold far more documents than anybody can judge. `Adjudicator` proposes one at a time, learns
from each judgement and goes on; `judge_next` returns the next n at once. The query with the fewest judgements always
comes first, so that the effort is spread evenly. The orders and their sources are in `judging_orders`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush
from itertools import islice
from typing import Any, Self

import numpy as np

from commonspace.core.digest import digest
from commonspace.core.errors import BadInput, Corrupt, NotFound
from commonspace.core.method import check_choice
from commonspace.core.vectors import check_positive
from commonspace.measure.judgements.judging_orders import ORDERS, Pool
from commonspace.measure.judgements.runs import Id, check_grade, check_judgements, check_runs, plain_id

FORMAT = 1
STATE = {"method", "parameters", "depth", "relevant_from", "random_state", "runs", "judged", "pending"}


class Adjudicator:
    """Proposes documents to judge and learns from the grades.

        order = Adjudicator(runs, method="max_mean")
        for query, document in islice(order, 100):
            order.tell(query, document, ask_a_judge(query, document))

    Grades may come late, in any order, or never: a document that was proposed is not proposed again. `state` is plain
    data for JSON, and `resume` goes on from there as if nothing had happened.

    Parameters
    ----------
    runs : mapping of str to run
        Name of each system -> query -> ids, best first (or id -> score).
    method : {"depth_k", "move_to_front", "hedge", "max_mean", "max_mean_recent", "random"}
        Who decides; see `judging_orders`.
    depth : int
        The pool of a query holds the first `depth` documents of every system.
    judged : mapping, optional
        Query -> id -> grade, what is known already. Documents outside the pool do no harm and teach nothing.
    relevant_from : float
        The lowest grade that counts as relevant.
    random_state : int
        Seed of all that would otherwise be settled by the order of the input.
    **parameters
        Of the method: ``beta`` of hedge (0.1), ``memory`` of max_mean_recent (0).

    Raises
    ------
    BadInput
        An unknown method or parameter, runs whose queries differ.
    NotFound
        Judgements of a query that no run has.
    """

    def __init__(
        self,
        runs: Mapping[str, Any],
        *,
        method: str = "max_mean",
        depth: int = 100,
        judged: Any = None,
        relevant_from: float = 1,
        random_state: int = 0,
        **parameters: float,
    ) -> None:
        check_choice("method", method, tuple(ORDERS))
        if isinstance(random_state, bool) or not isinstance(random_state, int | np.integer) or random_state < 0:
            raise BadInput(f"random_state must be a whole number of at least 0, not {random_state!r}: it is kept")
        known = ORDERS[method].parameters
        unknown = sorted(set(parameters) - set(known))
        if unknown:
            raise BadInput(f"{method} takes {sorted(known) or 'no parameters'}, not {unknown}")
        self.method, self.depth, self.relevant_from = method, check_positive("depth", depth), float(relevant_from)
        self.random_state, self.parameters = int(random_state), {**known, **parameters}
        tables = list(check_runs(runs, depth=self.depth).values())
        self.queries = list(tables[0])
        self._number = {q: i for i, q in enumerate(self.queries)}
        self._pools = [
            Pool([t[q] for t in tables], np.random.default_rng([self.random_state, i]))
            for i, q in enumerate(self.queries)
        ]
        self._orders = [ORDERS[method](pool, **self.parameters) for pool in self._pools]
        self._open = [np.ones(len(pool.ids), bool) for pool in self._pools]
        self._left = [len(pool.ids) for pool in self._pools]
        self._queue = [(0, i) for i in range(len(self._pools))]  # a heap of (judged or out, query), some out of date
        self._history: list[tuple[Id, Id, float]] = []
        self._grades: dict[Id, dict[Id, float]] = {q: {} for q in self.queries}
        self._pending: dict[tuple[Id, Id], None] = {}  # an ordered set
        for query, grades in check_judgements({} if judged is None else judged, self.queries).items():
            for document, grade in grades.items():
                self.tell(query, document, grade)

    @property
    def pool_size(self) -> int:
        """Documents in the pools of all queries together."""
        return sum(len(pool.ids) for pool in self._pools)

    @property
    def judged(self) -> dict[Id, dict[Id, float]]:
        """Judgements so far: query -> id -> grade."""
        return {q: dict(grades) for q, grades in self._grades.items() if grades}

    @property
    def pending(self) -> list[tuple[Id, Id]]:
        """Documents that were proposed and not told yet."""
        return list(self._pending)

    def __iter__(self) -> Iterator[tuple[Id, Id]]:
        return self

    def __next__(self) -> tuple[Id, Id]:
        """Propose the next (query, document); the pools are exhausted when there is none."""
        while self._queue and not self._is_next(*self._queue[0]):
            heappop(self._queue)
        if not self._queue:
            raise StopIteration
        number = self._queue[0][1]
        doc = self._orders[number].next(self._open[number])
        self._close(number, doc)
        proposed = self.queries[number], self._pools[number].ids[doc]
        self._pending[proposed] = None
        return proposed

    def tell(self, query: Id, document: Id, grade: float) -> None:
        """Take in a judgement, of a document that was proposed or of any other.

        Raises
        ------
        NotFound
            An unknown query.
        BadInput
            A document that is judged already, or a grade that is not a number.
        """
        if query not in self._number:
            raise NotFound(f"there is no query {query!r} in the runs")
        query, document, value = plain_id(query), plain_id(document), check_grade(grade)
        if document in self._grades[query]:
            raise BadInput(f"document {document!r} of query {query!r} is judged already: one grade a document")
        number = self._number[query]
        doc = self._pools[number].position.get(document)
        self._grades[query][document] = value
        self._history.append((query, document, value))
        self._pending.pop((query, document), None)
        if doc is not None:
            self._close(number, doc)
            self._orders[number].tell(doc, value >= self.relevant_from)

    def _is_next(self, done: int, number: int) -> bool:
        return self._left[number] > 0 and done == len(self._pools[number].ids) - self._left[number]

    def _close(self, number: int, doc: int) -> None:
        if self._open[number][doc]:
            self._open[number][doc] = False
            self._left[number] -= 1
            heappush(self._queue, (len(self._pools[number].ids) - self._left[number], number))

    def _digest(self) -> str:
        return digest([[pool.ids, [docs.tolist() for docs in pool.lists]] for pool in self._pools])

    def state(self) -> dict[str, Any]:
        """Return all that `resume` needs beside the runs, ready for JSON."""
        return {
            "format": FORMAT,
            "method": self.method,
            "parameters": dict(self.parameters),
            "depth": self.depth,
            "relevant_from": self.relevant_from,
            "random_state": self.random_state,
            "runs": self._digest(),
            "judged": [list(row) for row in self._history],
            "pending": [list(row) for row in self._pending],
        }

    @classmethod
    def resume(cls, runs: Mapping[str, Any], state: Mapping[str, Any]) -> Self:
        """Go on from what `state` returned, with the same runs.

        Raises
        ------
        Corrupt
            The state is not one, or was written for other runs.
        """
        if not isinstance(state, Mapping) or state.get("format") != FORMAT or STATE - set(state):
            raise Corrupt("this is not the state of an Adjudicator, or one of another version")
        settings = {k: state[k] for k in ("method", "depth", "relevant_from", "random_state")}
        again = cls(runs, **settings, **state["parameters"])
        if again._digest() != state["runs"]:
            raise Corrupt(
                "this state was written for other runs; to go on with what is judged, and other runs, pass "
                "judged={query: {id: grade}} to a new Adjudicator"
            )
        for query, document, grade in state["judged"]:
            again.tell(query, document, grade)
        for query, document in state["pending"]:
            number = again._number[query]
            again._close(number, again._pools[number].position[document])
            again._pending[(query, document)] = None
        return again


def judge_next(
    runs: Mapping[str, Any],
    judged: Any = None,
    n: int = 10,
    *,
    method: str = "max_mean",
    depth: int = 100,
    relevant_from: float = 1,
    random_state: int = 0,
    **parameters: float,
) -> list[tuple[Id, Id]]:
    """Return the n documents to judge next, given what is judged already; fewer where the pools are exhausted.

    Parameters
    ----------
    runs : mapping of str to run
    judged : mapping, optional
        Query -> id -> grade, in the order in which they were judged.
    n : int
        How many documents. The more at once, the less is learnt in between: ask for few and often.

    Returns
    -------
    list of (query, document)

    Notes
    -----
    The remaining parameters are those of `Adjudicator`, which does the same one document at a time.
    """
    order = Adjudicator(
        runs,
        method=method,
        depth=depth,
        judged=judged,
        relevant_from=relevant_from,
        random_state=random_state,
        **parameters,
    )
    return list(islice(order, check_positive("n", n)))
