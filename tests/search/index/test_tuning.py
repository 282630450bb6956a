import json

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.search.exact import top_k
from commonspace.search.index import tuning as module
from commonspace.search.index.segment import Origin
from commonspace.search.index.segment import build as build_segment
from commonspace.search.index.tuning import BEAMS, PROBES, SHORTLISTS, Trial, lengths, tune_index
from commonspace.search.recall import kth_best


def world(n=4000, m=600, dim=24, seed=0):
    """Return vectors in clusters, and queries that lie off them in a common direction."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(40, dim)) * np.linspace(2, 0.2, dim)
    X = centres[rng.integers(40, size=n)] + 0.5 * rng.normal(size=(n, dim))
    Q = centres[rng.integers(40, size=m)] + 0.7 * rng.normal(size=(m, dim)) + 1.5
    return unit(X.astype(np.float32)), unit(Q.astype(np.float32))


X, Q = world()
CODES = [{"name": "leanvec", "dim": 8, "bits": 4}, {"name": "leanvec", "dim": 16, "bits": 4}, {"name": "scalar"}]


@pytest.fixture(scope="module")
def segment():
    code = build("Code", {"name": "leanvec", "dim": 16, "bits": 4}).fit(X, Q)
    nowhere = np.zeros(len(X), np.int32)
    return build_segment(X, Origin(("",), nowhere, nowhere, np.empty((0, 2), np.int32)), code, progress=False)


@pytest.fixture(scope="module")
def tuned():
    return tune_index(X, Q, target_recall=0.9, codes=CODES, progress=False)


def test_the_chosen_setting_reaches_the_target_and_is_the_fastest_that_does(tuned):
    assert tuned.chosen.low >= 0.9
    good = [t for t in tuned.trials if t.low >= 0.9]
    assert tuned.chosen.ms == min(t.ms for t in good)
    assert all(np.isnan(t.ms) for t in tuned.trials if t.low < 0.9)
    assert {t.probe for t in tuned.trials} <= set(PROBES)
    assert {t.shortlist for t in tuned.trials} <= set(SHORTLISTS)


def test_the_recall_that_is_reported_comes_from_queries_without_a_part_in_the_choice(tuned):
    """Their number is a third of all, and queries of another draw give about the same."""
    assert tuned.recall.n == 200
    assert tuned.recall.low <= tuned.recall.value <= tuned.recall.high
    code = build("Code", tuned.chosen.code).fit(X, Q)
    nowhere = np.zeros(len(X), np.int32)
    segment = build_segment(X, Origin(("",), nowhere, nowhere, np.empty((0, 2), np.int32)), code, progress=False)
    _, new = world(seed=0, m=1200)
    new = new[600:]
    cells = len(segment.coded.cells)
    probes = max(1, round(tuned.chosen.probe * cells))
    found, _ = segment.search(new, 10, shortlisted=tuned.chosen.shortlist, probes=None if probes >= cells else probes)
    true = top_k(new, segment.vectors, 10)[0]
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, true, strict=True)])
    assert recall > tuned.recall.low - 0.03


def asked(probe):
    """A way that looks at a share of the cells."""
    return Trial({"name": "leanvec"}, 1, probe, 30, 0, 0, 0)


@pytest.mark.parametrize("batch", [1, 8])
def test_of_queries_that_will_be_alone_the_recall_is_what_they_find_alone(segment, batch):
    """Together they would look at all cells, because so few save nothing."""
    true = top_k(Q[:100], segment.vectors, 10)[0]
    probes = 1
    alone = [segment.search(q[None], 10, shortlisted=30, probes=probes)[0][0] for q in Q[:100]]
    want = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(alone, true, strict=True)])
    got = module._recall(segment, Q[:100], kth_best(Q[:100], segment.vectors, 10), 10, batch, asked(0.01))
    assert got.value == pytest.approx(want, abs=0.003)  # the two products round differently
    assert (
        module._recall(segment, Q[:100], kth_best(Q[:100], segment.vectors, 10), 10, batch, asked(1.0)).value
        > got.value + 0.02
    )


def test_of_many_queries_the_recall_is_what_as_many_find_together(segment, monkeypatch):
    sizes = []
    search = type(segment).search
    monkeypatch.setattr(
        type(segment), "search", lambda self, Q, *a, **k: (sizes.append(len(Q)), search(self, Q, *a, **k))[1]
    )
    kth = kth_best(Q, segment.vectors, 10)
    assert module._recall(segment, Q, kth, 10, 1500, asked(0.25)).n == len(Q)
    assert module._recall(segment, Q, kth, 10, 400, asked(0.25)).n == len(Q)
    assert sizes == [1500, 400, 400]
    probes = {t.probe for t in module._trials(segment, Q, kth, 10, 0.0, 64)}
    assert probes == {1.0}  # fewer cells would save so many nothing


def test_a_limit_of_memory_is_kept():
    tuned = tune_index(X, Q, target_recall=0.5, memory=8, codes=CODES, progress=False)
    assert {t.bytes_per_vector for t in tuned.trials} <= {4, 8}
    with pytest.raises(BadInput, match="no code takes at most 1 bytes"):
        tune_index(X, Q, memory=1, codes=CODES, progress=False)


def test_a_target_out_of_reach_gives_the_best_there_is():
    tuned = tune_index(X, Q, target_recall=0.999, codes=CODES[:1], progress=False)
    assert tuned.chosen.recall == max(t.recall for t in tuned.trials)
    assert tuned.chosen.low < 0.999
    assert tuned.trials[0] is tuned.chosen
    assert "nan" not in str(tuned)
    assert "<- chosen" in str(tuned)
    json.dumps(tuned.to_dict(), allow_nan=False)


@pytest.mark.parametrize(("k", "tried"), [(10, [10, 20, 200]), (60, [75, 200, 240]), (200, [200, 400, 800])])
def test_shortlists_are_tried_up_to_four_times_the_hits(k, tried):
    found = lengths(SHORTLISTS, k)
    assert found == sorted({*found, *tried})
    assert (min(found), max(found)) == (tried[0], tried[-1])


def test_more_hits_than_the_usual_shortlists_hold_can_be_tuned():
    tuned = tune_index(X, Q[:120], k=201, target_recall=0.8, codes=CODES[1:2], progress=False)
    assert tuned.chosen.shortlist >= 201
    assert tuned.recall.value > 0.8


def test_a_copy_of_what_is_best_is_no_miss(monkeypatch):
    copies = np.concatenate([X[:100]] * 3)

    def last_copies(segment, queries, k, way, **_):
        scores = np.round(queries.astype(np.float64) @ segment.vectors.T.astype(np.float64), 9)
        return np.array([np.lexsort((-np.arange(len(s)), -s))[:k] for s in scores])

    monkeypatch.setattr(module, "_search", last_copies)
    tuned = tune_index(copies, Q[:90], target_recall=0.9, codes=["scalar"], degree=0, progress=False)
    assert tuned.recall.value == 1


def test_it_is_shown_as_a_table_and_a_plot(tuned, tmp_path):
    text = str(tuned)
    assert "<- chosen" in text
    assert "on 200 unseen queries" in text
    pytest.importorskip("matplotlib")
    tuned.plot(tmp_path / "tuned.png")
    assert (tmp_path / "tuned.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"target_recall": 1.0}, "target_recall"),
        ({"target_recall": 0}, "target_recall"),
        ({"k": 0}, "k must be"),
        ({"k": 2.5}, "k must be"),
        ({"batch": 0}, "batch must be"),
        ({"codes": []}, "codes is empty"),
        ({"degree": 1}, "degree must be"),
    ],
)
def test_what_cannot_be_is_said(given, word):
    with pytest.raises(BadInput, match=word):
        tune_index(X, Q, progress=False, **given)
    with pytest.raises(BadInput, match="60 queries"):
        tune_index(X, Q[:59], progress=False)


# ---------------------------------------------------------------- walks


@pytest.fixture(scope="module")
def walked():
    pytest.importorskip("numba")
    return tune_index(X, Q, target_recall=0.9, codes=CODES, degree=16, progress=False)


def test_each_packed_code_is_tried_with_walks_and_what_a_scan_by_it_needs_is_known(walked):
    walks = [t for t in walked.trials if t.beam]
    assert {t.name for t in walks} == {t.name for t in walked.trials}
    assert {t.beam for t in walks} <= set(BEAMS)
    for t in walks:
        (scan,) = (s for s in walked.trials if s.name == t.name and not s.beam and s.probe == 1)
        assert (t.probe, t.shortlist) == (1, scan.shortlist)
        assert t.bytes_per_vector == scan.bytes_per_vector + 4 * 16
        assert np.isfinite(t.ms) == (t.low >= 0.9)
    assert any(np.isfinite(t.ms) for t in walks)


def test_what_is_chosen_says_whether_to_walk(walked):
    c = walked.chosen
    assert (walked.settings.shortlist, walked.settings.probe, walked.settings.beam) == (c.shortlist, c.probe, c.beam)
    assert walked.to_dict()["beam"] == c.beam
    assert "beam" in str(walked)


def test_links_count_as_memory():
    pytest.importorskip("numba")
    tuned = tune_index(X, Q, target_recall=0.5, memory=64 + 8, codes=CODES, degree=16, progress=False)
    assert {t.bytes_per_vector for t in tuned.trials if t.beam} == {64 + 4, 64 + 8}
    assert {t.bytes_per_vector for t in tuned.trials if not t.beam} == {4, 8, 24}
    tuned = tune_index(X, Q, target_recall=0.5, memory=64, codes=CODES, degree=16, progress=False)
    assert not any(t.beam for t in tuned.trials)
