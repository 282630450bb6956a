"""The comparison of search engines runs on a tiny set, and its figures are what they say."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
from bench.search import plots, synthetic, wordnet
from bench.search import run as runs
from bench.search.cells import filters
from bench.search.data import exact, tiny
from bench.search.figures import cheapest, cost_at, recall, speed_at
from bench.search.peers import OURS, variants
from bench.search.worker import Failed, Worker

from bench import __main__ as bench_main

LINE = '00001740 03 n 02 entity 0 thing(p) 1 002 ~ 00001930 n 0000 ~ 00002137 n 0000 | that which exists; "a | b"  \n'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMONSPACE_BENCH", str(tmp_path / "cache"))
    monkeypatch.setattr("bench._results.FOLDER", tmp_path / "results")
    return tmp_path


def test_a_line_of_wordnet_gives_its_words_and_its_gloss():
    synset = wordnet.parse(LINE, "noun")
    assert synset.words == ("entity", "thing")
    assert synset.gloss == 'that which exists; "a | b"'


def test_a_machine_without_wordnet_is_told_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv(wordnet.ENVIRONMENT, str(tmp_path))
    with pytest.raises(wordnet.NoWordNet, match="apt-get install wordnet-base"):
        wordnet.folder()


def test_recall_counts_what_exists_and_ignores_what_does_not():
    truth = np.array([[1, 2, 3], [4, -1, -1]])
    assert recall(np.array([[3, 2, 9], [4, -1, -1]]), truth) == pytest.approx((2 / 3 + 1) / 2)
    assert recall(np.array([[-1, -1, -1], [-1, -1, -1]]), truth) == 0


def test_speed_is_interpolated_on_the_envelope():
    points = [{"recall": 0.9, "qps": 400.0}, {"recall": 1.0, "qps": 100.0}, {"recall": 0.89, "qps": 300.0}]
    assert speed_at(0.95, points) == pytest.approx(200.0)
    assert speed_at(0.8, points) == 400.0
    assert speed_at(1.0, points) == pytest.approx(100.0)
    assert speed_at(0.95, points[:1]) is None
    assert cheapest(0.89, points)["qps"] == 400.0


def test_processor_time_is_read_off_at_the_same_recall():
    points = [{"recall": 0.9, "qps": 1.0, "cpu_us": 100.0}, {"recall": 1.0, "qps": 1.0, "cpu_us": 400.0}]
    assert cost_at(0.95, points) == pytest.approx(200.0)
    assert cost_at(0.95, points[:1]) is None


def test_filters_have_their_share_and_stand_where_they_say():
    data = tiny(1000)
    columns, asked = filters(data)
    anchor = data.queries["cross-modal"][asked["correlated_100_0"][0]]
    score = data.X @ anchor
    assert columns["random_100_0"].sum() == columns["correlated_100_0"].sum() == 100
    assert score[columns["correlated_100_0"]].min() >= score[~columns["correlated_100_0"]].max()
    assert score[columns["anti_100_0"]].max() <= score[~columns["anti_100_0"]].min()


def test_true_answers_are_those_of_a_plain_sort():
    data = tiny(500)
    Q = data.queries["cross-modal"][:20]
    mask = np.arange(500) % 7 == 0
    scores = np.where(mask, Q @ data.X.T, -np.inf)
    np.testing.assert_array_equal(exact(Q, data.X, 5, mask=mask)[:, :5], np.argsort(-scores, axis=1)[:, :5])


def test_a_row_that_ties_with_the_last_true_one_counts_as_found():
    X = np.eye(4, dtype=np.float32)[[0, 1, 1, 2]]
    truth = exact(X[1:2], X, 1)
    assert truth[0, :3].tolist() == [1, 2, -1]
    assert recall(np.array([[2]]), truth) == recall(np.array([[1]]), truth) == 1
    assert recall(np.array([[0]]), truth) == 0


def test_generated_rows_have_the_spectrum_and_the_gap_that_were_measured():
    rng = np.random.default_rng(0)
    spectrum = np.linspace(1, 0.05, 24)
    X = synthetic.unit(rng.standard_normal((3000, 24)) * spectrum + 0.5)
    Q = synthetic.unit(X[rng.integers(3000, size=800)] + 0.2 * rng.standard_normal((800, 24)) + 0.3 * np.eye(24)[0])
    model, shown = synthetic.fit(X, Q[:300], sample=600)
    for name in ("cone", "gap", "effective_rank", "contrast"):
        assert shown["generated"][name] == pytest.approx(shown["measured"][name], rel=0.2), name
    drawn, asked = model.draw(4000, 10)
    assert drawn.shape == (4000, 24)
    assert asked.shape == (10, 24)
    np.testing.assert_allclose(np.linalg.norm(drawn, axis=1), 1, atol=1e-5)


def test_every_engine_of_the_grid_is_named_once():
    names = [v.name for v in variants()]
    assert len(set(names)) == len(names)
    assert OURS in names


def test_an_engine_that_is_not_installed_is_reported_and_left_out(monkeypatch, capsys):
    missing = next(v for v in variants() if v.name == "hnswlib")
    monkeypatch.setattr(missing.cls, "package", "no_such_package_here")
    assert runs.choose(["hnswlib"], ["speed"]) == []
    assert "pip install hnswlib" in capsys.readouterr().out


def test_an_engine_that_fails_says_so_and_does_not_end_the_run(cache, monkeypatch):
    data = tiny(200)
    corpus, train = data.files()
    flat = next(v for v in variants() if v.name == "faiss flat")
    broken = type(flat)("broken", flat.engine, {"spec": "NoSuchIndex"})
    with pytest.raises(Failed, match="NoSuchIndex"):
        Worker(broken, threads=1, corpus=corpus, train=train)


def test_a_whole_run_measures_ours_and_a_peer_in_every_cell(cache, monkeypatch):
    only = ["commonspace", "numpy exact", "faiss HNSW32 SQ8"]
    rows = runs.run(["tiny"], only=only, size=600, threads=1, repeats=1)
    measured = {(r["measure"], r["system"]) for r in rows}
    assert {("speed", OURS), ("filter", OURS), ("batch of filters", OURS), ("changed", OURS)} <= measured
    assert ("speed", "faiss HNSW32 SQ8") in measured
    for row in rows:
        points = row.get("points", [])
        if row["system"] in (OURS, "numpy exact"):
            assert all(p["recall"] > 0.99 for p in points)
            assert all(p.get("deleted_returned", 0) == 0 for p in points)
    assert (cache / "results" / "search-tiny.json").is_file()
    if importlib.util.find_spec("matplotlib"):
        assert (cache / "results" / "search-tiny-cross-modal.png").stat().st_size < 200_000


def test_a_whole_name_means_one_engine_and_a_part_all_that_have_it():
    assert [v.name for v in runs.choose([OURS], ["speed"])] == [OURS]
    assert len(runs.choose(["commonspac"], ["speed"])) > 1


def test_the_pictures_are_drawn_from_rows_in_which_some_engines_miss_the_goal(tmp_path):
    pytest.importorskip("matplotlib")
    points = [{"recall": 0.5, "qps": 900.0}, {"recall": 0.97, "qps": 300.0}]
    rows = [
        {"system": s, "kind": kind, "share": share, "points": points[: 2 - (s == "peer" and share < 0.01)]}
        for s in (OURS, "peer")
        for kind, share in (("random", 1.0), ("random", 0.1), ("correlated", 0.1), ("random", 0.001))
    ]
    plots.filters(rows, tmp_path / "filters.png", "title")
    plots.growth([{"system": OURS, "n": n, "qps_at_0.95": 1e8 / n} for n in (10_000, 30_000)], tmp_path / "growth.png")
    assert {p.name for p in tmp_path.iterdir()} == {"filters.png", "growth.png"}


def test_the_long_comparison_runs_only_when_it_is_named(monkeypatch):
    ran = []
    monkeypatch.setattr(bench_main.subprocess, "run", lambda call, **_: ran.append(call[2]))
    bench_main.main([])
    assert "bench.search" not in ran
    assert "bench.exact_search" in ran
    ran.clear()
    bench_main.main(["search", "--size", "100"])
    assert ran == ["bench.search"]
