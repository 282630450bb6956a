import json

import numpy as np
import pytest

from commonspace.compress import LeanVec, ScalarCode
from commonspace.core.errors import BadInput, SpaceMismatch
from commonspace.core.protocols import Code
from commonspace.core.vectors import unit
from commonspace.measure import estimate
from commonspace.search.advisor import Measured, advise, recommend

RNG = np.random.default_rng(0)
X = unit(RNG.normal(size=(1500, 32)) * np.linspace(2, 0.2, 32)).astype(np.float32)
QUERIES = unit(RNG.normal(size=(400, 32)) * np.linspace(1, 0.5, 32)).astype(np.float32)
CODES = [ScalarCode(), ScalarCode(bits=4), LeanVec(dim=8)]


class Whole(Code):
    """The vectors themselves, in bytes."""

    def fit(self, X, queries=None):
        self.dim_, self.taught_ = X.shape[1], None if queries is None else len(queries)
        return self

    def encode(self, X):
        return np.ascontiguousarray(X, np.float32).view(np.uint8)

    def expand(self, codes):
        return np.ascontiguousarray(codes).view(np.float32)

    def prepare(self, queries):
        return queries

    @property
    def bytes_per_vector(self):
        return 4 * self.dim_


class Refuses(Whole):
    """A code that cannot work with these vectors."""

    def fit(self, X, queries=None):
        raise BadInput("needs a million vectors")


@pytest.fixture(scope="module")
def advice():
    return advise(X, QUERIES, codes=CODES, budgets=(4, 8, 32), target_recall=0.95)


def row(name, size, recalls, spread=0.0):
    made = {}
    for shortlist, value in recalls.items():
        per_query = np.clip(np.linspace(value - spread, value + spread, 100), 0, 1)
        made[shortlist] = estimate(per_query, bounds=(0, 1))
    return Measured(name, size, made, 0.0, 0.0)


def test_the_vectors_themselves_lose_nothing():
    whole = Whole()
    found = advise(X, QUERIES, codes=[whole], budgets=(128,))
    assert [e.value for e in found.measured[0].recalls.values()] == [1, 1, 1]
    assert found.measured[0].recalls[10].low < 1  # 100 queries say nothing about the next thousand
    assert found.recommended[0].confirmed.value == 1
    assert whole.taught_ == 200


def test_recall_is_the_share_of_the_exact_top_in_the_shortlist():
    found = advise(X, QUERIES, codes=[LeanVec(dim=8)], shortlists=(30,), random_state=3)
    order = np.random.default_rng(3)
    order.permutation(len(X))
    Q = QUERIES[order.permutation(400)]
    code = LeanVec(dim=8).fit(X, Q[:200])
    scores, exact = code.score(Q[200:300], code.encode(X)), Q[200:300] @ X.T
    naive = [len(set(np.argsort(-s)[:30]) & set(np.argsort(-e)[:10])) / 10 for s, e in zip(scores, exact, strict=True)]
    np.testing.assert_allclose(found.measured[0].recalls[30].per_query, naive, atol=0.11)
    assert found.measured[0].recalls[30].value == pytest.approx(np.mean(naive), abs=2e-3)


def test_a_copy_of_what_is_best_is_no_miss():
    class Later(Whole):
        """Prefers the later one of two that are the same."""

        def expand(self, codes):
            return super().expand(codes) * (1 + 1e-7 * np.arange(len(codes), dtype=np.float32))[:, None]

    found = advise(np.concatenate([X[:300]] * 3), QUERIES, codes=[Later()], shortlists=(10,))
    assert found.measured[0].recalls[10].value > 0.99


def test_longer_shortlists_hold_more_and_every_figure_has_its_interval(advice):
    assert [m.bytes for m in advice.measured] == [8, 16, 32]
    for m in advice.measured:
        values = [m.recalls[s].value for s in (10, 30, 100)]
        assert values == sorted(values)
        assert all(e.low <= e.value <= e.high and e.n == 100 for e in m.recalls.values())
    assert all(r.confirmed.n == 100 for r in advice.recommended if r.code)


def test_a_budget_that_no_code_meets_gets_no_code(advice):
    first = advice.recommended[0]
    assert (first.budget, first.code, first.confirmed) == (4, None, None)
    assert "4 bytes: no code that was measured is this small" in str(advice)


def test_the_text_shows_every_code_the_rule_and_the_intervals(advice):
    text = str(advice)
    for m in advice.measured:
        assert m.name in text
        assert f"{m.recalls[30].value:.3f} [{m.recalls[30].low:.3f}, {m.recalls[30].high:.3f}]" in text
    assert "the shortest shortlist whose recall reaches the target" in text
    assert "on unused queries" in text
    assert max(len(line) for line in text.splitlines()[:6]) < 160


def test_the_plain_form_is_json(advice):
    back = json.loads(json.dumps(advice.to_dict()))
    assert [r["budget"] for r in back["recommended"]] == [4, 8, 32]
    assert back["measured"][0]["recalls"]["10"]["n"] == 100


def test_the_same_seed_gives_the_same_advice(advice):
    again = advise(X, QUERIES, codes=CODES, budgets=(4, 8, 32), target_recall=0.95)
    assert [m.recalls for m in again.measured] == [m.recalls for m in advice.measured]
    assert [r.confirmed for r in again.recommended] == [r.confirmed for r in advice.recommended]


def test_a_code_that_refuses_is_named_with_its_reason_and_the_others_go_on():
    found = advise(X, QUERIES, codes=[Refuses(), ScalarCode()])
    assert found.refused == {"Refuses()": "needs a million vectors"}
    assert [m.name for m in found.measured] == ["ScalarCode()"]
    assert "Refuses(): not measured, needs a million vectors" in str(found)


def test_without_queries_vectors_are_taken_out_and_asked():
    whole = Whole()
    found = advise(X, codes=[whole], budgets=(128,), shortlists=(10,))
    assert found.vectors == 1200
    assert whole.taught_ is None
    assert "of their own kind" in found.asked


def test_by_default_all_registered_codes_and_leanvec_at_each_budget_are_measured():
    names = [m.name for m in advise(X[:300], QUERIES[:40], budgets=(8,), shortlists=(10,)).measured]
    assert {"LeanVec(dim=8)", "LeanVec(dim=16, bits=4)", "ScalarCode()"} <= set(names)


def test_a_registered_code_that_cannot_do_without_arguments_is_named(monkeypatch):
    from commonspace.core import registry

    class Needy(Whole):
        """Needs a number."""

        def __init__(self, *, number):
            self.number = number

    entry = registry.Entry("needy", "Code", Needy, (), (), "compress/needy")
    registry.entries("Code")
    monkeypatch.setitem(registry._entries, ("Code", "needy"), entry)
    assert "number" in advise(X[:200], QUERIES[:40], budgets=(8,), shortlists=(10,)).refused["needy"]


def test_names_are_codes_too():
    found = advise(X, QUERIES, codes=["scalar", {"name": "leanvec", "dim": 4}], shortlists=(10,))
    assert [m.name for m in found.measured] == ["LeanVec(dim=4)", "ScalarCode()"]


def test_more_vectors_than_asked_for_are_sampled():
    assert advise(X, QUERIES, codes=[ScalarCode()], rows=500).vectors == 500


def test_the_shortest_shortlist_that_reaches_the_target_wins_then_the_fewest_bytes():
    rows = [
        row("long", 10, {10: 0.5, 100: 0.99}),
        row("short", 40, {10: 0.96, 100: 1.0}),
        row("short and small", 30, {10: 0.955, 100: 1.0}),
        row("too large", 90, {10: 1.0, 100: 1.0}),
    ]
    assert (recommend(rows, 50, 0.95)[0].name, recommend(rows, 50, 0.95)[1]) == ("short and small", 10)
    assert (recommend(rows, 20, 0.95)[0].name, recommend(rows, 20, 0.95)[1]) == ("long", 100)
    assert recommend(rows, 5, 0.95) == (None, 0)
    assert recommend([], 5, 0.95) == (None, 0)


def test_a_figure_whose_interval_dips_below_the_target_does_not_reach_it():
    unsure, weaker = row("unsure", 10, {10: 0.951}, spread=0.04), row("weaker", 10, {10: 0.6})
    assert unsure.recalls[10].low < 0.95 < unsure.recalls[10].value
    found, shortlist = recommend([weaker, unsure], 20, 0.95)
    assert (found.name, shortlist) == ("unsure", 10)  # by the second half of the rule: the highest recall


@pytest.mark.parametrize(
    "wrong",
    [
        {"queries": QUERIES[:10]},
        {"shortlists": (5,)},
        {"shortlists": ()},
        {"shortlists": (5000,)},
        {"budgets": ()},
        {"budgets": (0,)},
        {"k": 0},
        {"target_recall": 1.0},
        {"target_recall": 95},
        {"codes": [{"name": "scalar", "nonsense": 1}]},
    ],
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(BadInput):
        advise(X, **{"queries": QUERIES, "codes": CODES, **wrong})


def test_queries_of_another_dimension_are_refused():
    with pytest.raises(SpaceMismatch):
        advise(X, QUERIES[:, :-1], codes=CODES)
