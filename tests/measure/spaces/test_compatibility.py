import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.vectors import unit
from commonspace.measure import compare, compatibility, evaluate


def versions(dims=(4, 6, 6), noises=(0.9, 0.6, 0.3), n=60, classes=6, seed=0):
    """Each version sees the classes more sharply; every next one begins with the axes of the one before."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(classes, max(dims)))
    asked, held = np.arange(n) % classes, np.repeat(np.arange(classes), n // classes)
    queries, galleries = (
        [centres[of, :d] + noise * rng.normal(size=(n, d)) for d, noise in zip(dims, noises, strict=True)]
        for of in (asked, held)
    )
    return queries, galleries, (asked, held)


def naive(queries, galleries, keys, metric):
    relevant = keys[0][:, None] == keys[1][None, :]
    M = np.full((len(queries), len(queries)), np.nan)
    for i, q in enumerate(queries):
        for j, g in enumerate(galleries[: i + 1]):
            d = min(q.shape[1], g.shape[1])
            scores = unit(q[:, :d].astype(np.float32)) @ unit(g[:, :d].astype(np.float32)).T
            M[i, j] = evaluate(scores, relevant, [metric], resamples=1)[metric].value
    return M


@pytest.mark.parametrize("metric", ["map", "hit@1", "recall@10"])
def test_the_matrix_ac_and_aa_are_those_of_the_naive_loop(metric):
    queries, galleries, keys = versions()
    found = compatibility(queries, galleries, keys, metric)
    M = naive(queries, galleries, keys, metric)
    assert [len(row) for row in found.matrix] == [1, 2, 3]
    for i, row in enumerate(found.matrix):
        np.testing.assert_allclose([e.value for e in row], M[i, : i + 1], atol=1e-9)
    pairs = [(i, j) for i in range(3) for j in range(i)]
    assert found.ac.value == pytest.approx(np.mean([M[i, j] > M[j, j] for i, j in pairs]))
    assert found.aa.value == pytest.approx(np.nanmean(M[np.tril_indices(3)]))
    assert found.anew.value == pytest.approx(np.mean([M[i, i] for i, _ in zip(*np.tril_indices(3), strict=True)]))
    assert found.cost.difference == pytest.approx(found.aa.value - found.anew.value)


def test_hit_at_one_with_classes_is_the_accuracy_of_the_nearest_neighbour():
    queries, galleries, (asked, held) = versions()
    found = compatibility(queries, galleries, (asked, held), "hit@1")
    nearest = held[(unit(queries[2][:, :4]) @ unit(galleries[0]).T).argmax(axis=1)]
    assert found.matrix[2][0].value == pytest.approx((nearest == asked).mean())


def test_what_new_queries_gain_is_a_paired_comparison_with_corrected_p():
    queries, galleries, keys = versions()
    found = compatibility(queries, galleries, keys)
    plain = compare(found.matrix[2][0].per_query, found.matrix[0][0].per_query)
    gain = found.gain("v3", "v1")
    assert (gain.a, gain.b) == ("v3 on v1", "v1 on v1")
    assert (gain.difference, gain.low, gain.high) == (plain.difference, plain.low, plain.high)
    assert plain.p_value == gain.p_value_raw <= gain.p_value
    assert [c.a for c in found.gains] == ["v2 on v1", "v3 on v1", "v3 on v2"]


def test_spaces_that_never_met_are_not_compatible_and_a_copy_is_without_gain():
    queries, galleries, keys = versions(dims=(5, 5), noises=(0.3, 0.3))
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(5, 5)))[0]
    strange = compatibility([queries[0], queries[0] @ turn], [galleries[0], galleries[0] @ turn], keys)
    assert strange.ac.value == strange.sure == 0
    assert strange.cost.high < 0
    copy = compatibility([queries[0]] * 2, [galleries[0]] * 2, keys)
    assert (copy.ac.value, copy.ac.high, copy.cost.difference) == (0, 0, 0)


def test_a_clear_gain_is_sure_and_one_by_chance_is_not():
    queries, galleries, keys = versions(dims=(6, 6), noises=(1.0, 0.1), n=120)
    clear = compatibility(queries, galleries, keys)
    assert (clear.ac.value, clear.ac.low, clear.sure) == (1, 1, 1)
    again = queries[0] + 0.02 * np.random.default_rng(5).normal(size=queries[0].shape)
    doubtful = compatibility([queries[0], again], [galleries[0], galleries[0]], keys)
    assert doubtful.sure == 0
    assert doubtful.ac.low < doubtful.ac.high


def test_longer_vectors_are_cut_to_the_numbers_that_are_shared():
    queries, galleries, keys = versions(dims=(4, 6), noises=(0.5, 0.5))
    found = compatibility(queries, galleries, keys)
    cut = compatibility([queries[0], queries[1][:, :4]], [galleries[0], galleries[1][:, :4]], keys)
    assert found.matrix[1][0].value == cut.matrix[1][0].value
    assert found.matrix[1][1].value != cut.matrix[1][1].value


def test_queries_without_an_answer_count_nowhere_and_groups_are_one_unit():
    queries, galleries, (asked, held) = versions()
    asked = asked.copy()
    asked[:10] = 99
    groups = np.arange(60) // 6
    found = compatibility(queries, galleries, (asked, held), groups=groups)
    assert {e.n for row in found.matrix for e in row} == {50, found.aa.n}
    assert found.aa.n == found.ac.n == 50
    assert found.ac.skipped == 10
    assert found.cost.groups == len(np.unique(groups[10:]))
    whole = compatibility(queries, galleries, (asked, held))
    assert whole.aa.value == found.aa.value
    assert (whole.aa.low, whole.aa.high) != (found.aa.low, found.aa.high)


def test_items_that_ask_for_each_other_do_not_find_themselves():
    _, galleries, (_, held) = versions(n=30)
    held = np.concatenate([held[:-1], [77]])  # the last has nobody left to find
    found = compatibility(galleries, galleries, (held, held), leave_one_out=True)
    scores = unit(galleries[0].astype(np.float32)) @ unit(galleries[0].astype(np.float32)).T
    np.fill_diagonal(scores, -np.inf)
    relevant = (held[:, None] == held) & ~np.eye(30, dtype=bool)
    assert found.matrix[0][0].value == pytest.approx(evaluate(scores, relevant, ["map"])["map"].value)
    assert found.aa.n == 29


def test_the_scale_of_vectors_does_not_matter_nor_the_type():
    queries, galleries, keys = versions()
    found = compatibility(queries, galleries, keys)
    other = compatibility([9 * q for q in queries], [g.astype(np.float16) for g in galleries], keys)
    assert other.aa.value == pytest.approx(found.aa.value, abs=0.01)


def test_the_interval_of_aa_covers_the_figure_of_many_queries_about_as_often_as_it_says():
    centres = np.random.default_rng(0).normal(size=(5, 3))
    gallery = [np.eye(3)[:, :3][np.arange(15) % 3] + 0.3 * centres[np.arange(15) % 5] for _ in range(2)]
    held = np.arange(15) % 5

    def asked(n, seed):
        rng = np.random.default_rng(seed)
        of = rng.integers(0, 5, n)
        queries = [centres[of] + noise * rng.normal(size=(n, 3)) for noise in (0.8, 0.4)]
        return compatibility(queries, gallery, (of, held), "hit@1", resamples=200, random_state=seed)

    truth = asked(20_000, 999).aa.value
    covered = [asked(60, s).aa for s in range(60)]
    assert np.mean([e.low <= truth <= e.high for e in covered]) > 0.85


def test_it_prints_as_a_table_and_goes_into_json():
    queries, galleries, keys = versions()
    found = compatibility(queries, galleries, keys, names=["spring", "summer", "autumn"])
    lines = str(found).splitlines()
    assert lines[0] == "map of queries by row in galleries by column"
    assert lines[1].split() == ["spring", "summer", "autumn"]
    assert lines[4].split()[0] == "autumn"
    assert len(lines[4].split()) == 4
    assert lines[5].startswith("AC ")
    data = json.loads(json.dumps(found.to_dict()))
    assert data["names"] == ["spring", "summer", "autumn"]
    assert len(data["gains"]) == 3
    assert data["matrix"][1][0]["n"] == 60


def test_a_pair_that_is_none_is_named():
    queries, galleries, keys = versions()
    with pytest.raises(NotFound, match="newer 'v1' and an older 'v2'"):
        compatibility(queries, galleries, keys).gain("v1", "v2")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda q, g: (q[:1], g[:1]), "two versions or more"),
        (lambda q, g: (q, g[:2]), "two versions or more of both, not 3 and 2"),
        (lambda q, g: ([q[0][:9], *q[1:]], g), "every version of queries must hold the same rows"),
        (lambda q, g: (q, [g[0] * np.nan, *g[1:]]), r"galleries\[0\] holds NaN"),
        (lambda q, g: (q, [g[0] * 0, *g[1:]]), "zero vectors"),
        (lambda q, g: ([q[1], *q[1:]], g), "v1 has queries of dimension 6 and a gallery of 4"),
        (lambda q, g: (q[0], g), "one array a version"),
    ],
)
def test_versions_that_do_not_fit_are_refused(change, words):
    queries, galleries, keys = versions()
    with pytest.raises(BadInput, match=words):
        compatibility(*change(queries, galleries), keys)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"metric": "median_rank"}, "no mean of which more is better"),
        ({"names": ["a", "a", "b"]}, "3 different ones"),
        ({"names": ["a"]}, "3 different ones"),
        ({"confidence": 1.0}, "confidence"),
        ({"groups": np.zeros(3)}, "groups"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, words):
    with pytest.raises(BadInput, match=words):
        compatibility(*versions(), **options)
