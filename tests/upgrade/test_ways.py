from dataclasses import replace
from itertools import islice
from types import SimpleNamespace

import numpy as np
import pytest
from tests.upgrade import worlds
from tests.upgrade.test_measuring import NATIVE, bench_of

from commonspace.upgrade.bridges.procrustes import ProcrustesBridge
from commonspace.upgrade.crossfit import CrossFitted
from commonspace.upgrade.pairs import Pairs
from commonspace.upgrade.probes import Probes
from commonspace.upgrade.scale import fit_scale
from commonspace.upgrade.scaling import ScorePairs, level_of
from commonspace.upgrade.ways import BOTH, DRAWS, FOUND, Best, Hits, Ways

NAME = "procrustes of items"


def apart(n=150, queries=80, dim=10, seed=0):
    """Queries apart from the items, of which some are asked for often."""
    rng = np.random.default_rng(seed)
    things = rng.normal(size=(n, dim))
    asked = np.minimum(rng.geometric(0.05, queries), n) - 1
    turn = worlds.rotation(rng, dim)
    items, asking = things + 0.3 * rng.normal(size=(n, dim)), things[asked] + 0.5 * rng.normal(size=(queries, dim))
    old = [(x + 0.4 * rng.normal(size=x.shape)) @ turn for x in (items, asking)]
    return Probes(
        Pairs({"doc": old[0]}, {"doc": items}), {"doc": np.arange(n)},
        Pairs({"query": old[1]}, {"query": asking}), {"query": asked},
        asked={"doc": np.bincount(asked, minlength=n)},
    )  # fmt: skip


def ways_of(probes):
    bench = bench_of(probes)
    crossed = CrossFitted.fit(ProcrustesBridge, probes, bench.folds, 0)
    hits, pairs = Hits(), {NAME: ScorePairs(standard=False), BOTH: ScorePairs(standard=True)}

    def watch(block):
        hits.add(block)
        pairs[NAME].add(block, block.across(crossed))
        pairs[BOTH].add(block, block.native("old"))

    whole, _ = bench.measure({**NATIVE, NAME: lambda b: (b.across(crossed),)}, watch)
    best = Best.of(bench, whole, {NAME: crossed})
    return Ways(bench, {NAME: crossed}, best, pairs, hits), crossed, whole


@pytest.mark.parametrize("through", [NAME, BOTH])
@pytest.mark.parametrize("probes", [worlds.rotated(100), apart()])
def test_a_share_is_met_in_the_new_space_and_the_rest_on_a_scale_of_other_folds(through, probes):
    ways, crossed, _ = ways_of(probes)
    direction = ways.bench.directions[0]
    for block in ways.bench.blocks(direction):
        got = next(ways.partial(0.4, "random", through)(block))
        old = block.native("old") if through == BOTH else block.across(crossed)
        new = block.native("new")
        others = [b for b in ways.bench.blocks(direction) if b.fold != block.fold]
        x = np.concatenate([b.native("old") if through == BOTH else b.across(crossed) for b in others])
        y = np.concatenate([b.native("new") for b in others])
        levels = (level_of(x), level_of(y)) if through == BOTH else None
        scale = fit_scale(x, y, levels=levels, resamples=2)
        scaled = scale(old, level_of(old), level_of(new))
        anew = np.broadcast_to(ways.anew(0.4, "random", block), got.shape)
        assert np.allclose(got[anew], new[anew])
        assert np.allclose(got[~anew], scaled[~anew], atol=1e-5)


def test_a_larger_share_holds_the_smaller_one_in_every_order():
    ways, _, _ = ways_of(apart())
    block = next(ways.bench.blocks(ways.bench.directions[0]))
    assert ways.orders == ["random", "hits", "asked"]
    for order in ways.orders:
        few, many = (ways.anew(s, order, block) for s in (0.2, 0.5))
        assert (few <= many).all()
        assert many.mean() == pytest.approx(0.5, abs=0.05)
        assert np.array_equal(few, ways.anew(0.2, order, block))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.9])
def test_each_item_is_left_out_of_as_many_draws_as_the_share_says(share):
    ways, _, _ = ways_of(apart())
    block = next(ways.bench.blocks(ways.bench.directions[0]))
    often = sum(ways.anew(share, "random", block, draw).astype(int) for draw in range(DRAWS))
    assert often.min() >= np.floor(share * DRAWS)
    assert often.max() <= np.ceil(share * DRAWS)
    assert len(list(ways.partial(share, "random", NAME)(block))) == DRAWS
    assert len(list(ways.partial(share, "hits", NAME)(block))) == 1


def test_what_a_share_keeps_depends_less_on_luck_than_with_one_draw():
    ways, _, _ = ways_of(worlds.unrelated(100))
    direction = ways.bench.directions[1]
    spread = {}
    for name, draws in (("one", 1), ("all", DRAWS)):
        found = []
        for seed in range(30):
            again = replace(ways, bench=replace(ways.bench, seed=seed))
            scorer = again.partial(0.9, "random", NAME)
            whole, _ = again.bench.measure({"share": lambda b, s=scorer, n=draws: islice(s(b), n)})
            found.append(whole[direction.task]["share"].mean())
        spread[name] = np.std(found)
    assert spread["all"] < spread["one"] / 2


def test_the_most_asked_come_first():
    probes = apart()
    ways, _, _ = ways_of(probes)
    block = next(ways.bench.blocks(ways.bench.directions[0]))
    first = ways.anew(0.1, "asked", block)
    assert probes.asked["doc"][first].min() >= probes.asked["doc"][~first].max()


def test_what_was_found_is_counted_on_other_folds():
    probes = apart()
    ways, _, _ = ways_of(probes)
    direction = ways.bench.directions[0]
    for block in ways.bench.blocks(direction):
        counts = np.zeros(150)
        for other in ways.bench.blocks(direction):
            if other.fold != block.fold:
                top = np.argsort(-other.native("old"), axis=1)[:, :FOUND]
                counts += np.bincount(top.ravel(), minlength=150)
        first = ways.anew(0.1, "hits", block)
        assert counts[first].min() >= counts[~first].max()


def test_things_that_ask_for_themselves_have_no_order_by_what_others_found():
    ways, _, _ = ways_of(worlds.rotated(60))
    assert ways.orders == ["random"]


def test_re_scoring_puts_the_best_of_a_first_search_in_the_order_of_the_new_space():
    ways, crossed, _ = ways_of(worlds.rotated(100))
    block = next(ways.bench.blocks(ways.bench.directions[0]))
    (got,) = ways.rescore(7, NAME)(block)
    first, new = block.across(crossed), block.native("new")
    for scores, before, native in zip(got, first, new, strict=True):
        top = np.argsort(-before)[:7]
        wanted = [*top[np.argsort(-native[top])], *np.argsort(-before)[7:]]
        assert np.argsort(-scores).tolist() == wanted
    assert np.allclose(block.across(crossed), first)  # nothing was changed in place


def test_a_bridge_is_chosen_without_the_fold_that_it_serves():
    """Each bridge is best by far in one fold, and only there: chosen on the others, none is taken where it shines."""
    bench = bench_of(worlds.rotated(100))
    names = {f"b{i}": SimpleNamespace(carries="items") for i in range(4)}
    values = {
        d.task: {"re-embed": np.ones(len(d)), **{n: (bench.fold_of(d) == i) * 1.0 for i, n in enumerate(names)}}
        for d in bench.directions
    }
    best = Best.of(bench, values, names)
    assert all(best.by_fold[i] != f"b{i}" for i in range(4))


def test_of_bridges_that_keep_nearly_the_same_one_that_writes_nothing_is_chosen():
    bench = bench_of(worlds.rotated(60))
    bridges = {n: SimpleNamespace(carries=n) for n in ("items", "queries")}
    for lead, chosen in ((0.004, "queries"), (0.02, "items")):
        values = {
            d.task: {"re-embed": np.ones(len(d)), "items": np.full(len(d), 0.9 + lead), "queries": np.full(len(d), 0.9)}
            for d in bench.directions
        }
        assert Best.of(bench, values, bridges).name == chosen


def test_items_are_never_their_own_answer():
    probes = Probes(worlds.rotated(60).items)
    ways, _, _ = ways_of(probes)
    for d in ways.bench.directions:
        if d.asks == d.searched:
            block = next(ways.bench.blocks(d))
            for scores in (*ways.partial(0.5, "random", BOTH)(block), *ways.rescore(5, NAME)(block)):
                own = scores[np.arange(len(scores)), d.own[block.some]]
                assert (own <= np.sort(scores, axis=1)[:, 0]).all()
