import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.measure import compare_many, cross_check, rbo
from commonspace.measure.judgements.agreement import _clusters, _reliability


def world(skills, queries=40, docs=60, seed=0):
    """Systems that see the same truth through noise of their own: the more skill, the less noise."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=(queries, docs))
    return {
        f"s{i}": dict(enumerate(np.argsort(-(skill * truth + rng.normal(size=truth.shape)))[:, :30]))
        for i, skill in enumerate(skills)
    }


def nudged(run, seed):
    """Nearly the same run: neighbours in the ranking change places here and there."""
    rng = np.random.default_rng(seed)
    return {q: np.asarray(r)[np.argsort(np.arange(len(r)) + rng.uniform(0, 1.5, len(r)))] for q, r in run.items()}


def test_reliability_equals_a_loop_over_the_formula():
    runs = world([3, 2, 1, 0.5])
    runs["copy"] = nudged(runs["s3"], 0)
    perturbed = [{name: nudged(run, seed) for name, run in runs.items()} for seed in (1, 2)]
    found = cross_check(runs, perturbed=perturbed, p=0.8, clones=0.75)
    assert found.clusters == (("copy", "s3"),)

    def alike(a, b, q):
        return rbo(a[q].tolist(), b[q].tolist(), p=0.8).value

    clone = {"s3": {"s3", "copy"}, "copy": {"s3", "copy"}}
    trust = {n: np.mean([alike(runs[n], other[n], q) for other in perturbed for q in range(40)]) for n in runs}
    for system in found.systems:
        assert system.self_consistency.value == pytest.approx(trust[system.name])
        for q in (0, 7, 39):
            weights = {
                n: trust[n] / len(clone.get(n, {n})) for n in runs if n not in clone.get(system.name, {system.name})
            }
            total = sum(w * alike(runs[system.name], runs[n], q) for n, w in weights.items())
            assert system.reliability.per_query[q] == pytest.approx(total / sum(weights.values()))


def test_the_better_a_system_the_more_the_others_agree_with_it():
    found = cross_check(world([4, 2, 1, 0.3, 0.0]))
    assert [s.name for s in found.systems] == ["s0", "s1", "s2", "s3", "s4"]
    assert [s.rank.value for s in found.systems] == [1, 2, 3, 4, 5]
    assert found.systems[0].reliability.low > found.systems[2].reliability.high
    assert found.clusters == ()


def test_three_clones_of_a_bad_system_win_unless_they_count_as_one():
    runs = world([3, 2, 1.5, 1, 0.3])
    for seed in range(3):
        runs[f"clone {seed}"] = nudged(runs["s4"], seed)
    fooled, warned = cross_check(runs, clones=None), cross_check(runs)
    bad = {"s4", "clone 0", "clone 1", "clone 2"}
    assert {s.name for s in fooled.systems[:4]} == bad
    assert {s.name for s in warned.systems[-4:]} == bad
    assert [s.name for s in warned.systems[:2]] == ["s0", "s1"]
    assert warned.clusters == (("clone 0", "clone 1", "clone 2", "s4"),)


def test_a_cluster_weighs_as_much_as_one_system():
    agreement = np.random.default_rng(0).random((5, 4, 4))
    agreement = (agreement + agreement.transpose(0, 2, 1)) / 2
    twice = agreement[:, [0, 1, 2, 3, 3]][:, :, [0, 1, 2, 3, 3]]
    alone = _reliability(agreement, np.ones(4), np.arange(4))
    np.testing.assert_allclose(_reliability(twice, np.ones(5), np.array([0, 1, 2, 3, 3]))[:, :4], alone)


def test_every_two_of_a_cluster_agree_and_a_chain_is_not_one_cluster():
    chain = np.array([[1, 0.8, 0.3, 0], [0.8, 1, 0.8, 0], [0.3, 0.8, 1, 0], [0, 0, 0, 1]])
    member = _clusters(chain, 0.75)
    assert member[0] != member[2]
    assert len(set(member.tolist())) == 3


def test_systems_that_contradict_themselves_weigh_less():
    agreement = np.array([[[1.0, 0.9, 0.1], [0.9, 1.0, 0.5], [0.1, 0.5, 1.0]]])
    member = np.arange(3)
    assert _reliability(agreement, np.array([1.0, 1.0, 0.0]), member)[0, 0] == pytest.approx(0.9)
    assert _reliability(agreement, np.array([1.0, 1.0, 1.0]), member)[0, 0] == pytest.approx(0.5)
    assert _reliability(agreement, np.zeros(3), member)[0, 0] == pytest.approx(0.5)  # nobody to trust: all alike


def test_queries_on_which_systems_disagree_show_in_the_consensus():
    runs = world([3, 3, 3], queries=20)
    rng = np.random.default_rng(9)
    for run in runs.values():
        for q in range(5):
            run[q] = rng.permutation(60)[:30]
    found = cross_check(runs, clones=None)
    assert set(np.argsort(found.consensus.per_query)[:5]) == set(range(5))
    assert found.queries == tuple(range(20))


def test_names_and_order_of_systems_do_not_matter():
    runs = world([3, 1, 0.5, 2])
    found = {s.name: s.reliability.value for s in cross_check(runs).systems}
    again = {s.name: s.reliability.value for s in cross_check({n: runs[n] for n in reversed(runs)}).systems}
    assert found == pytest.approx(again)


def test_values_of_queries_can_be_compared_and_groups_widen_intervals():
    runs = world([2, 1, 0.5])
    found = cross_check(runs)
    assert compare_many({s.name: s.reliability for s in found.systems})[0].p_value < 0.05
    groups = np.repeat(np.arange(4), 10)
    few = cross_check(runs, groups=groups, random_state=3)
    assert few.systems[0].reliability.seed == 3
    assert few.systems[0].rank.low <= 1 <= few.systems[0].rank.high


def test_the_rank_of_equals_is_uncertain():
    found = cross_check(world([1.0] * 5, queries=15), resamples=200)
    assert max(s.rank.high - s.rank.low for s in found.systems) >= 2


def test_jaccard_sees_what_is_found_and_not_in_which_order():
    runs = {"a": [[1, 2, 3]], "b": [[3, 2, 1]], "c": [[1, 8, 9]]}
    found = cross_check(runs, similarity="jaccard", clones=None)
    by_name = {s.name: s.reliability.value for s in found.systems}
    assert by_name == pytest.approx({"a": (1 + 0.2) / 2, "b": (1 + 0.2) / 2, "c": 0.2})
    assert [s.name for s in found.systems] == ["a", "b", "c"]
    np.testing.assert_allclose(found.agreement, [[1, 1, 0.2], [1, 1, 0.2], [0.2, 0.2, 1]])


def test_results_can_be_read_and_written():
    runs = world([2, 1, 0.5])
    runs["s3"] = nudged(runs["s0"], 1)
    found = cross_check(runs, perturbed=[runs])
    assert "near-clone of s" in str(found)
    assert "with itself 1.000" in str(found)
    back = json.loads(json.dumps(found.to_dict()))
    assert back["clusters"] == [["s0", "s3"]]
    assert back["systems"][0]["rank"]["value"] == 1
    assert json.loads(json.dumps(cross_check(runs).to_dict()))["systems"][0]["self_consistency"] is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: cross_check({n: r[n] for n in ("s0", "s1")}), "at least 3 systems"),
        (lambda r: cross_check({"a": r["s0"], "b": r["s0"], "c": r["s0"]}), "near-clones tell nothing"),
        (lambda r: cross_check(r, perturbed=r), "give .runs., not runs"),
        (lambda r: cross_check(r, perturbed=[{"s0": r["s0"]}]), "on one side only: .'s1'"),
        (lambda r: cross_check(r, perturbed=[{n: {0: run[0]} for n, run in r.items()}]), "query 1"),
        (lambda r: cross_check(r, similarity="cosine"), "similarity must be"),
        (lambda r: cross_check(r, clones=1.5), "clones must lie"),
        (lambda r: cross_check(r, p=0), "p must lie"),
        (lambda r: cross_check(r, groups=[1, 2]), "groups must hold"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(BadInput, match=words):
        call(world([3, 2, 1]))


def test_figures_know_their_queries():
    found = cross_check(world([3, 2, 1]))
    for figure in (found.consensus, *(s.reliability for s in found.systems)):
        assert figure.ids == found.queries


def test_systems_that_say_the_same_share_their_place():
    runs = world([3, 2, 1])
    found = cross_check({**runs, "copy": runs["s1"]}, clones=None)
    of = {s.name: s.rank for s in found.systems}
    assert of["copy"].to_dict() == of["s1"].to_dict()
    assert of["copy"].value % 1 == 0.5
    assert of["copy"].low <= of["copy"].value <= of["copy"].high
