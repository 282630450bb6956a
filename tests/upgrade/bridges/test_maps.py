import numpy as np
import pytest
from tests.bridge_worlds import crowded, rows, turned, turned_apart

from commonspace.core.errors import BadInput
from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.bridges.keeping import FEWEST, neighbours_kept
from commonspace.upgrade.pairs import Pairs


def kept(bridge, pairs, m="text"):
    """Neighbours kept among new items."""
    old, new = pairs.old[m], pairs.new[m]
    if bridge.carries == "items":
        return neighbours_kept(new, bridge.carry(old, m), (new, new), True)
    return neighbours_kept(bridge.carry(new, m), old, (new, new), True)


@pytest.mark.parametrize("carries", ["items", "queries"])
@pytest.mark.parametrize("name", ["ridge", "procrustes", "low-rank"])
def test_modalities_that_turned_alike_share_a_map_and_others_have_their_own(name, carries):
    alike, apart = (build("Bridge", name, carries=carries).fit(p) for p in (turned(n=120), turned_apart(n=120)))
    assert all(v.startswith("one") for v in alike.chosen_.values())
    assert {m: v.split(",")[0] for m, v in apart.chosen_.items()} == {"text": "each", "image": "each", "": "one"}
    assert apart.numbers > 2 * alike.numbers


def test_what_is_asked_for_is_done():
    pairs = turned_apart(n=120)
    one, each = (build("Bridge", "ridge", maps=maps).fit(pairs) for maps in ("one", "each"))
    x = rows(5, 6, seed=8)
    assert np.array_equal(one.carry(x, "text"), one.carry(x, "image"))
    assert not np.allclose(each.carry(x, "text"), each.carry(x, "image"), atol=0.1)
    np.testing.assert_allclose(each.carry(pairs.old["image"], "image"), pairs.new["image"], atol=1e-2)


@pytest.mark.parametrize("maps", ["auto", "each"])
@pytest.mark.parametrize("few", [1, 3, FEWEST - 1])
def test_a_modality_with_few_rows_takes_the_map_of_all(maps, few):
    bridge = build("Bridge", "ridge", maps=maps).fit(turned_apart(n=120, few=few))
    assert bridge.chosen_["image"] == "one, direct"
    assert np.array_equal(bridge.carry(rows(5, 6), "image"), bridge.carry(rows(5, 6)))


@pytest.mark.parametrize("carries", ["items", "queries"])
@pytest.mark.parametrize("name", ["ridge", "procrustes", "low-rank"])
def test_rows_that_are_all_alike_cannot_have_a_map_of_their_own(name, carries):
    pairs = turned(n=60)
    flat = {m: np.repeat(x[:1], 60, axis=0) if m == "image" else x for m, x in pairs.old.items()}
    bridge = build("Bridge", name, carries=carries).fit(Pairs(flat, pairs.new))
    assert bridge.chosen_["image"].startswith("one")


def test_for_vectors_that_crowd_around_a_mean_queries_go_back_by_the_adjoint():
    pairs = crowded()
    learned, new = (pairs.take({"text": r}) for r in (np.arange(200), np.arange(200, 300)))
    bridge, direct, adjoint = (
        build("Bridge", "ridge", carries="queries", way=way).fit(learned) for way in ("auto", "direct", "adjoint")
    )
    assert bridge.chosen_ == {"text": "one, adjoint", "": "one, adjoint"}
    assert kept(adjoint, new) > kept(direct, new) + 0.05
    assert np.array_equal(bridge.carry(new.new["text"]), adjoint.carry(new.new["text"]))


def test_items_always_go_the_direct_way():
    pairs = turned()
    want = build("Bridge", "ridge").fit(pairs).carry(pairs.old["text"])
    assert np.array_equal(build("Bridge", "ridge", way="adjoint").fit(pairs).carry(pairs.old["text"]), want)


def test_the_adjoint_is_the_transposed_regression():
    pairs = crowded()
    there = build("Bridge", "ridge").fit(pairs).parts[""].factors[0]
    bridge = build("Bridge", "ridge", carries="queries", way="adjoint").fit(pairs)
    asks = rows(7, 12)
    np.testing.assert_allclose(bridge.carry(asks), unit(asks @ there.T), atol=1e-5)


def test_the_scores_of_a_bridge_do_not_hang_on_the_order_of_modalities():
    pairs = turned_apart(n=80)
    turned_round = Pairs(dict(reversed(pairs.old.items())), dict(reversed(pairs.new.items())))
    one, two = (build("Bridge", "ridge", maps="each").fit(p) for p in (pairs, turned_round))
    np.testing.assert_allclose(
        one.carry(pairs.old["text"], "text"), two.carry(pairs.old["text"], "text"), atol=1e-5
    )  # sums of floats know the order of their terms


@pytest.mark.parametrize("argument", ["maps", "way"])
def test_an_unknown_choice_is_named(argument):
    with pytest.raises(BadInput, match=argument):
        build("Bridge", "ridge", **{argument: "both"}).fit(turned())
