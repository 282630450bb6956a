import json

import pytest

from commonspace.search.planner import Settings, plan

INDEX = {"vectors": 1_000_000, "dim": 384, "width": 160, "cells": 1000, "k": 10, "settings": Settings()}


def chosen(**given):
    return plan(**{**INDEX, "selected": given.get("vectors", INDEX["vectors"]), "queries": 1, **given})


def test_few_selected_vectors_are_compared_exactly_and_many_are_scanned():
    ways = [chosen(selected=n).way for n in (0, 1, 100, 1000, 100_000, 1_000_000)]
    assert ways[:4] == ["exact"] * 4
    assert ways[-1] == "index"
    assert sorted(ways) == ways  # one change, from exact to index


def test_no_more_vectors_than_would_be_re_ranked_are_never_scanned():
    assert chosen(selected=250, settings=Settings(shortlist=250)).way == "exact"


def test_the_estimates_grow_with_the_work():
    for word, values in {"selected": (10_000, 100_000), "queries": (1, 20, 300), "dim": (100, 900)}.items():
        plans = [chosen(**{word: v}) for v in values]
        assert [p.exact_ms for p in plans] == sorted(p.exact_ms for p in plans)
        assert [p.index_ms for p in plans] == sorted(p.index_ms for p in plans)
    probes = [chosen(settings=Settings(probe=s)).index_ms for s in (0.05, 0.3, 1)]
    assert probes == sorted(probes)


def test_the_cheaper_way_is_taken():
    for n in (200, 3000, 30_000, 1_000_000):
        for q in (1, 8, 9, 64, 1000):
            for packed in (True, False):
                p = chosen(selected=n, queries=q, packed=packed)
                assert (p.way == "exact") == (p.exact_ms <= p.index_ms)


@pytest.mark.parametrize(("probe", "probes"), [(1.0, None), (0.25, 250), (0.0001, 1)])
def test_the_share_of_cells_becomes_a_number_of_them(probe, probes):
    p = chosen(settings=Settings(probe=probe, shortlist=5))
    assert p.probes == probes
    assert p.shortlist == 10  # never fewer than the hits wanted


def test_many_queries_look_at_a_share_of_the_cells_only_where_that_spares_enough_of_them():
    quarter = Settings(probe=0.25)
    assert [chosen(queries=q, settings=quarter).probes for q in (1, 8, 9, 700, 800, 5000)] == [
        250, 250, None, None, 250, 250,
    ]  # fmt: skip
    assert chosen(queries=3, packed=False, settings=quarter).probes is None


def test_a_plan_is_plain_data():
    assert json.loads(json.dumps(chosen().to_dict()))["way"] == "index"


# ---------------------------------------------------------------- walks


def test_single_queries_of_many_vectors_walk_where_there_are_links():
    assert chosen(degree=64).way == "graph"
    assert chosen(degree=0).way == "index"
    assert chosen(degree=64, settings=Settings(beam=0)).way == "index"
    assert chosen(degree=64, vectors=1000).way == "exact"


def test_a_walk_is_taken_only_where_it_is_much_cheaper_for_it_misses_more():
    seen = set()
    for n in (3000, 30_000, 1_000_000):
        for q in (1, 8, 100, 3000):
            for beam in (20, 256, 2000):
                p = chosen(vectors=n, queries=q, degree=64, settings=Settings(beam=beam))
                assert (p.way == "graph") == (p.graph_ms < 0.7 * min(p.exact_ms, p.index_ms))
                seen.add(p.way)
    assert seen == {"graph", "index", "exact"}


def test_behind_a_filter_the_beam_is_as_much_longer_as_fewer_rows_are_left():
    n = INDEX["vectors"]
    plans = {share: chosen(selected=int(share * n), degree=64) for share in (1.0, 0.5, 0.3, 0.29, 0.01)}
    assert [p.way for p in plans.values()][:3] == ["graph"] * 3
    assert [p.beam for p in plans.values()][:3] == [256, 512, 854]
    assert not {plans[0.29].way, plans[0.01].way} & {"graph"}
    assert chosen(degree=64, k=700).beam == 700


def test_the_estimate_of_a_walk_grows_with_its_work_and_little_with_the_vectors():
    def cost(**given):
        return chosen(**{"degree": 64, **given}).graph_ms

    for word, values in {"queries": (1, 20, 300), "degree": (16, 64), "dim": (100, 900), "cells": (10, 1000)}.items():
        costs = [cost(**{word: v}) for v in values]
        assert costs == sorted(costs)
        assert costs[0] < costs[-1]
    assert cost(settings=Settings(beam=50)) < cost(settings=Settings(beam=100))
    assert cost(vectors=10_000_000) == cost(vectors=1_000_000)


def test_a_plan_with_a_walk_is_plain_data_and_what_it_falls_back_to_is_in_it():
    found = json.loads(json.dumps(chosen(degree=64, settings=Settings(shortlist=70, probe=0.25)).to_dict()))
    assert (found["way"], found["beam"], found["shortlist"], found["probes"]) == ("graph", 256, 70, 250)
    assert json.loads(json.dumps(chosen().to_dict()))["graph_ms"] is None
