"""Collections whose index has links: built, kept, tuned and walked."""

import numpy as np
import pytest
from tests.fake_space import DIM, FakeSpace

from commonspace import Collection
from commonspace.collection import building
from commonspace.core.bags import Bags
from commonspace.core.errors import BadInput
from commonspace.core.vectors import unit
from commonspace.search import planner
from commonspace.search.index import graph, merging

pytest.importorskip("numba")


class Space(FakeSpace):
    def bank(self, modality):
        return unit(np.random.default_rng(1).normal(size=(20, DIM)).astype(np.float32))


def vectors(n, seed):
    return unit(np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32))


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Build segments of few vectors, and walk wherever there are links."""
    monkeypatch.setattr(building, "SMALL", 50)
    monkeypatch.setattr(merging, "LEAST", 20)
    monkeypatch.setattr(graph, "LEAST", 1000)
    monkeypatch.setattr(planner, "_WORTH", np.inf)
    assert graph.load()


@pytest.fixture
def c(tmp_path):
    with Collection.create(tmp_path / "c.cs", Space()) as found:
        yield found


def add(c, ids, seed, **fields):
    c.add({"id": list(ids), **fields}, vectors={"image": vectors(len(ids), seed)})


def agree(c, **options):
    """Return the share of exact search's hits that are found, and the ways that were taken."""
    queries = [{"vector": v} for v in vectors(20, 99)]
    got = c.search_many(queries, against="image", **options)
    want = c.search_many(queries, against="image", exact=True, **options)
    assert [len(g) for g in got] == [len(w) for w in want]
    same = [len(set(g.ids) & set(w.ids)) / max(1, len(w)) for g, w in zip(got, want, strict=True)]
    return np.mean(same), [p.way for p in got[0].plan.plans["image"]]


def degrees(c):
    return [s["degree"] for s in c.index()]


def test_enough_vectors_are_linked_and_walked_with_filters_after_deletes_and_beside_new_ones(c):
    add(c, range(1500), 1, n=[i % 10 for i in range(1500)])
    c.build_index("image", code="scalar", progress=False)
    assert degrees(c) == [graph.DEGREE]
    share, ways = agree(c)
    assert (share > 0.98, ways) == (True, ["graph"])
    c.delete(list(range(0, 1500, 5)))
    add(c, range(1500, 1520), 2)
    share, ways = agree(c)
    assert (share > 0.98, ways) == (True, ["graph", "exact"])
    share, ways = agree(c, where="n < 8")
    assert (share > 0.98, ways[0]) == (True, "graph")
    assert agree(c, where="n = 3")[1][0] != "graph"
    text = str(c.search({"vector": vectors(1, 5)[0]}, against="image").plan)
    assert "image: graph, 1,200 of 1,500 vectors" in text
    assert "vectors kept while walking" in text


def test_so_many_vectors_that_the_usual_beam_misses_some_are_scanned_until_walks_are_tuned(c, monkeypatch):
    add(c, range(1500), 1)
    c.build_index("image", code="scalar", progress=False)
    assert agree(c)[1] == ["graph"]
    monkeypatch.setattr(graph, "UNTUNED", 1400)
    share, ways = agree(c)
    assert (share > 0.98, "graph" in ways) == (True, False)


def test_few_vectors_are_linked_only_if_asked_for(c):
    add(c, range(300), 1)
    c.build_index("image", code="scalar", progress=False)
    assert degrees(c) == [0]
    (built,) = c.build_index("image", degree=8, progress=False)
    assert built.written == 300
    assert degrees(c) == [8]
    assert c.build_index("image", degree=8, progress=False)[0].written == 0
    add(c, range(300, 500), 2)
    c.build_index("image", progress=False)  # takes the smaller segment in, and links as before
    assert degrees(c) == [8]
    share, ways = agree(c)
    assert (share > 0.95, ways) == (True, ["graph"])
    c.build_index("image", degree=0, progress=False)
    assert degrees(c) == [0]


def test_bags_are_found_by_their_best_vector(c):
    c.add({"id": list(range(400))}, vectors={"image": Bags(vectors(1200, 3), np.arange(0, 1201, 3))})
    c.build_index("image", code="scalar", degree=16, progress=False)
    share, ways = agree(c, k=50)
    assert (share > 0.95, ways) == (True, ["graph"])
    assert agree(c, k=400)[0] == 1


def test_tuning_measures_walks_and_links_are_kept_only_if_they_are_used(c, monkeypatch):
    add(c, range(1500), 1)
    tuned = c.tune("image", target_recall=0.6, codes=["scalar"], queries=vectors(90, 7), progress=False)
    assert any(t.beam for t in tuned.trials)
    (segment,) = c.index()
    assert segment["degree"] == (graph.DEGREE if tuned.chosen.beam else 0)
    assert segment["tuned"]["beam"] == tuned.chosen.beam
    way, beam = ("graph", tuned.chosen.beam) if tuned.chosen.beam else ("index", 0)
    (plan,) = c.search({"vector": vectors(1, 5)[0]}, against="image").plan.plans["image"]
    assert (plan.way in (way, "exact"), plan.beam) == (True, beam)


def test_what_tuning_chose_is_dropped_with_the_links_it_was_measured_with(c):
    add(c, range(1500), 1)
    (column,) = c._columns("image")
    c.tune("image", target_recall=0.6, codes=["scalar"], queries=vectors(90, 7), progress=False)
    c._set(column, {**c._tuned(column), "beam": 24, "degree": graph.DEGREE})
    c.build_index("image", degree=graph.DEGREE, rebuild=True, progress=False)
    assert c._tuned(column)["beam"] == 24
    with pytest.warns(RuntimeWarning, match="64 links and now have .* no links"):
        c.build_index("image", degree=0, progress=False)
    assert c._tuned(column) is None


def test_an_index_that_was_tuned_before_there_were_links_never_walks(c):
    add(c, range(1500), 1)
    c.tune("image", target_recall=0.6, codes=["scalar"], queries=vectors(90, 7), progress=False)
    (column,) = c._columns("image")
    old = {k: v for k, v in c._tuned(column).items() if k != "beam"}
    c._tuned = lambda column: old
    assert c._settings(column).beam == 0


@pytest.mark.parametrize("code", ["rabitq", {"name": "scalar", "bits": 2}])
def test_links_that_a_code_cannot_have_are_no_reason_to_build_again(c, code):
    add(c, range(300), 1)
    assert c.build_index("image", code=code, degree=8, progress=False)[0].written == 300
    assert degrees(c) == [0]
    assert c.build_index("image", degree=8, progress=False)[0].written == 0
    assert c.build_index("image", code="scalar", degree=8, progress=False)[0].written == 300
    assert degrees(c) == [8]


@pytest.mark.parametrize(
    "given", [{"degree": -3}, {"degree": 1}, {"degree": 2.5}, {"degree": "x"}, {"degree": True}, {"cells": 0}]
)
def test_an_index_without_sense_is_refused_before_any_work(c, given):
    add(c, range(100), 0)
    with pytest.raises(BadInput, match=next(iter(given))):
        c.build_index("image", **given)
    assert c.index() == []
