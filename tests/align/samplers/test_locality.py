from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from commonspace.align.data import PairData
from commonspace.align.samplers.locality import Locality
from commonspace.core.errors import BadInput

ROOMS = np.repeat(np.arange(12), 10)  # items of one room share their near misses, items of two rooms share none


def misses(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return ROOMS[:, None] * 100 + rng.integers(0, 6, size=(len(ROOMS), 5))


def epoch(sampler: Locality, n: int = len(ROOMS), seed: int = 0) -> list[np.ndarray]:
    return list(sampler.batches(n, np.random.default_rng(seed)))


def linked(batch: np.ndarray) -> float:
    """Share of the pairs of a batch that are of one room."""
    rooms = ROOMS[batch]
    same = rooms[:, None] == rooms[None, :]
    return float((same.sum() - len(batch)) / (len(batch) * (len(batch) - 1)))


@pytest.mark.parametrize("growth", ["walk", "snowball"])
@pytest.mark.parametrize("size", [1, 7, 20, 500])
def test_every_item_comes_once_an_epoch(growth: str, size: int) -> None:
    batches = epoch(Locality(batch_size=size, misses=misses(), growth=growth))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(ROOMS)))
    assert max(map(len, batches)) <= size


@pytest.mark.parametrize("growth", ["walk", "snowball"])
def test_items_that_share_near_misses_meet(growth: str) -> None:
    local = np.mean([linked(b) for b in epoch(Locality(batch_size=10, misses=misses(), growth=growth))])
    random = np.mean([linked(b) for b in epoch(Locality(batch_size=10))])
    assert local > 0.6
    assert random < 0.2


def test_a_batch_follows_links_as_long_as_there_are_any() -> None:
    chain = np.stack([np.arange(30), np.arange(1, 31)], 1)  # item i shares one near miss with i - 1, another with i + 1
    for batch in epoch(Locality(batch_size=30, misses=chain), n=30):
        position = {int(item): i for i, item in enumerate(batch)}
        reached = sum(any(abs(a - b) == 1 and position[b] < position[a] for b in (a - 1, a + 1) if b in position)
                      for a in position)  # fmt: skip
        assert reached == 29


def test_a_walk_goes_on_from_the_last_offer_and_a_snowball_from_the_first() -> None:
    star = np.full((9, 2), -1)
    star[:5, 0] = 50  # items 0..4 share a miss
    star[4:, 1] = 60  # items 4..8 share another
    orders = {
        growth: epoch(Locality(batch_size=9, misses=star, growth=growth), n=9)[0].tolist()
        for growth in ("walk", "snowball")
    }
    assert sorted(orders["walk"]) == sorted(orders["snowball"]) == list(range(9))
    first = orders["snowball"]
    side = {i for i in range(9) if (i <= 4) == (first[0] <= 4) or i == 4}
    assert set(first[:5]) == side  # all neighbours of the first item come before theirs


def test_missing_near_misses_are_no_links() -> None:
    none = np.full((len(ROOMS), 3), -1)
    batches = epoch(Locality(batch_size=10, misses=none))
    assert np.mean([linked(b) for b in batches]) < 0.2


def test_nothing_to_sample_gives_no_batch() -> None:
    assert epoch(Locality(misses=np.zeros((0, 3), int)), n=0) == []


@pytest.mark.parametrize("wrong", [np.zeros((5, 2), int), np.zeros(120, int), np.zeros((120, 2))])
def test_misses_must_be_one_row_an_item(wrong: Any) -> None:
    with pytest.raises(BadInput, match="misses must be"):
        epoch(Locality(misses=wrong))


def test_an_unknown_growth_is_refused() -> None:
    with pytest.raises(BadInput, match="growth"):
        Locality(growth="tree")


def test_near_misses_are_those_of_the_items_that_are_left() -> None:
    data = PairData.check({m: np.ones((len(ROOMS), 2)) for m in "ab"}).take(np.arange(0, len(ROOMS), 2))
    mine = Locality(batch_size=5, misses=misses())
    mine.prepare(data, np.random.default_rng(0))
    batches = epoch(mine, len(data))
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(data)))
    rooms = ROOMS[::2]
    assert np.mean([len(set(rooms[batch])) == 1 for batch in batches]) > 0.5  # random ones hold 4 of the 12 rooms
    assert mine.misses.shape == (len(ROOMS), 5)


def test_near_misses_of_other_data_are_refused_before_training() -> None:
    data = PairData.check({m: np.ones((200, 2)) for m in "ab"})
    with pytest.raises(BadInput, match="one row an item given to training"):
        Locality(misses=misses()).prepare(data, np.random.default_rng(0))
