"""A gallery of an old space is searched by a new one that was trained for it, with no bridge between them."""

import numpy as np
import pytest
from tests.align.test_compatible import QUICK, fitted, space, table

from commonspace import Collection
from commonspace.core.vectors import unit

N = 150
PLAN = {"bridges": ["swap"], "shares": (), "depths": (), "resamples": 200, "progress": False, "group": "thing"}
AHEAD = ["front->back", "back->front"]


@pytest.fixture(scope="module")
def spaces():
    old, new, apart = fitted(), space(10), space(10)
    new.fit(table(400, seed=1), group="thing", valid=0.0, compatible_with=old, **QUICK)
    apart.fit(table(400, seed=1), group="thing", valid=0.0, **QUICK)
    return old, new, apart


@pytest.fixture
def gallery(tmp_path, spaces):
    with Collection.create(tmp_path / "c.cs", spaces[0], durability="os") as found:
        rows = table(N, seed=2)
        found.add([{"id": i, "front": rows["front"][i], "back": rows["back"][i]} for i in range(N)], progress=False)
        yield found


def test_a_plan_finds_that_a_compatible_space_needs_no_bridge(gallery, spaces):
    _, new, apart = spaces
    plans = [gallery.upgrade(s, probes=table(N, seed=3), directions=AHEAD, **PLAN) for s in (new, apart)]
    for task in AHEAD:
        kept, chance = (p["swap of queries"].kept[task] for p in plans)
        assert kept.low > chance.high
        assert kept.value > plans[0]["keep"].kept[task].value


def test_after_it_the_first_numbers_of_new_queries_search_the_old_vectors(gallery, spaces):
    old, new, _ = spaces
    plan = gallery.upgrade(new, probes=table(N, seed=3), directions=AHEAD, **PLAN)
    query, stored = table(1, seed=4)["front"], old.encode(table(N, seed=2)["back"], "back", cache=False)
    prefix = unit(new.encode(query, "front", cache=False)[:, : old.dim])
    before = gallery.search(vector=prefix[0], against="back", k=5)  # without any migration
    gallery.apply(plan.migration("swap of queries"), new, progress=False)
    after = gallery.search(front=query[0], against="back", k=5)
    wanted = np.argsort(-(stored @ prefix[0]))[:5].tolist()
    assert [h.id for h in before] == [h.id for h in after] == wanted
    assert {h.side for h in after} == {"bridged"}
