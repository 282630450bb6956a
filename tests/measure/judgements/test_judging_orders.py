import numpy as np
import pytest

from commonspace.measure.judgements.judging_orders import (
    DepthK,
    Hedge,
    MaxMean,
    MaxMeanRecent,
    MoveToFront,
    Pool,
    Random,
)


class Untouched:
    """A generator that leaves everything in the order of the input, so that examples can be worked by hand."""

    def permutation(self, n):
        return np.arange(n)


def worked(order_of, rankings, relevant, **parameters):
    """Return the whole order of judging for rankings whose systems stand in the order given."""
    pool = Pool(rankings, Untouched())
    order = order_of(pool, **parameters)
    is_open, seen = np.ones(len(pool.ids), bool), []
    while is_open.any():
        doc = order.next(is_open)
        is_open[doc] = False
        seen.append(pool.ids[doc])
        order.tell(doc, pool.ids[doc] in relevant)
    return seen


def test_depth_k_goes_rank_by_rank():
    seen = worked(DepthK, [["a", "b", "c"], ["d", "a", "e"], ["f", "d", "g"]], set())
    assert [set(seen[:3]), set(seen[3:4]), set(seen[4:])] == [set("adf"), {"b"}, set("ceg")]


def test_random_takes_every_document_in_an_order_that_was_drawn():
    rankings = [list("abcdef"), list("fgh")]
    drawn = {tuple(Pool(rankings, np.random.default_rng(s)).ids) for s in range(5)}
    assert len(drawn) > 1
    assert all(sorted(d) == list("abcdefgh") for d in drawn)
    assert worked(Random, rankings, set()) == list("abcdefgh")


def test_move_to_front_follows_a_system_while_it_brings_relevant_documents():
    # A: a is relevant, so on to b, which is not: A has -1. B: c is not: B has -1. C: d is, e is, f is not: C has -1.
    # All have -1 and A comes first: g is not, A has -2. B: h is, then i, and B ends; C: j; A: k.
    a, b, c = ["a", "b", "g", "k"], ["c", "h", "i"], ["d", "e", "f", "j"]
    assert worked(MoveToFront, [a, b, c], set("adehij")) == list("abcdefghijk")


def test_move_to_front_does_not_charge_a_system_for_what_another_was_charged_for():
    # a is not relevant and costs A a point; B passes it over, has none lost and goes on with b.
    assert worked(MoveToFront, [["a", "c"], ["a", "b", "d"]], {"b"}) == list("abdc")


def test_max_mean_asks_the_arm_with_the_best_record():
    # a (A) relevant: A 2/3, B 1/2. c not: A 2/4, level with B, and A comes first: e not: A 2/5. Now B: b yes 2/3, d, f.
    a, b = ["a", "c", "e", "g"], ["b", "d", "f", "h"]
    assert worked(MaxMean, [a, b], {"a", "b", "d"}) == ["a", "c", "e", "b", "d", "f", "h", "g"]


def test_with_no_memory_only_the_last_judgement_counts():
    # a, c relevant: A 2/3. e not: A 1/3, B 1/2: b not, B 1/3, level, A first: g not. Then B.
    a, b = ["a", "c", "e", "g"], ["b", "d"]
    assert worked(MaxMean, [a, b], {"a", "c"}, memory=0.0) == ["a", "c", "e", "b", "g", "d"]


def test_a_judgement_counts_for_every_arm_that_holds_the_document():
    # a is not relevant and both A and B hold it (1/3), so C (1/2) is asked next.
    assert worked(MaxMean, [["a", "x"], ["a", "y"], ["c"]], set())[:2] == ["a", "c"]


def test_hedge_matches_a_loop_over_the_published_formulas():
    rng = np.random.default_rng(0)
    rankings = [[int(i) for i in rng.permutation(12)[: rng.integers(4, 9)]] for _ in range(5)]
    relevant = {0, 3, 5, 7}
    everything = list(dict.fromkeys(i for r in rankings for i in r))

    def gain(ranking, doc):
        if doc in ranking:
            return 0.5 * np.log(len(ranking) / (ranking.index(doc) + 1))
        behind = range(len(ranking) + 1, len(everything) + 1)
        return 0.5 * np.mean([np.log(len(ranking) / r) for r in behind])

    weights, left, want = np.ones(5), list(everything), []
    while left:
        sums = [sum(w / weights.sum() * gain(r, d) for w, r in zip(weights, rankings, strict=True)) for d in left]
        doc = left.pop(int(np.argmax(sums)))
        want.append(doc)
        losses = np.array([gain(r, doc) * (-1 if doc in relevant else 1) for r in rankings])
        weights = weights * 0.1**losses
    assert worked(Hedge, rankings, relevant, beta=0.1) == want


def test_hedge_goes_over_to_the_system_that_was_right():
    good, bad = [f"r{i}" for i in range(10)], [f"n{i}" for i in range(10)]
    seen = worked(Hedge, [bad, good], set(good), beta=0.1)
    assert seen[:2] == ["n0", "r0"]
    assert seen[2:8] == good[1:7]


def test_memory_one_is_the_bandit_with_fixed_chances():
    rng = np.random.default_rng(1)
    rankings = [rng.permutation(15)[:8].tolist() for _ in range(4)]
    relevant = {1, 2, 3, 8, 9}
    assert worked(MaxMeanRecent, rankings, relevant, memory=1.0) == worked(MaxMean, rankings, relevant)


def test_a_pool_knows_who_holds_what_at_which_rank():
    pool = Pool([["a", "b"], ["c", "a", "d"], []], Untouched())
    assert pool.ids == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(pool.ranks, [[0, 1, 3, 3], [1, 3, 0, 2], [3, 3, 3, 3]])
    np.testing.assert_array_equal(pool.holds, [[1, 1, 0, 0], [1, 0, 1, 1], [0, 0, 0, 0]])


def test_asking_when_nothing_is_open_is_an_error_of_the_caller():
    order = MaxMean(Pool([["a"]], Untouched()))
    with pytest.raises(ValueError, match="no document"):
        order.next(np.zeros(1, bool))
