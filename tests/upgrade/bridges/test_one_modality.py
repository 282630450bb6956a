import numpy as np
import pytest
from tests.bridge_worlds import rotation, rows, turned, turned_apart

from commonspace.core.errors import BadInput
from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.pairs import Pairs

DIM = 10


def gapped(n=200, moved=0.0, seed=0):
    """Return texts that vary in half of the directions and images in all, apart by an offset; the new space is turned.

    `moved` is what the images are moved by on the way, which texts know nothing of.
    """
    rng = np.random.default_rng(seed)
    turn = rotation(DIM, 3)
    text = rng.normal(size=(n, DIM)) * (np.arange(DIM) < DIM // 2) + 0.02 * rng.normal(size=(n, DIM))
    image = rng.normal(size=(n, DIM))
    image[:, -1] += 3
    old = {"text": text, "image": image}
    new = {m: x @ turn for m, x in old.items()}
    new["image"] = new["image"] + moved * np.ones(DIM)
    return Pairs(*({m: unit(x.astype(np.float32)) for m, x in side.items()} for side in (old, new)))


def error(bridge, pairs, m):
    start, land = (pairs.old, pairs.new) if bridge.carries == "items" else (pairs.new, pairs.old)
    return float(np.square(bridge.carry(start[m], m) - land[m]).sum(axis=1).mean())


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_vectors_of_the_other_modality_are_never_looked_at(carries):
    pairs = gapped()
    nonsense = Pairs(pairs.old, {**pairs.new, "image": rows(200, DIM, seed=9)})
    one, two = (build("Bridge", "one-modality", carries=carries, learns_from="text").fit(p) for p in (pairs, nonsense))
    for m in ("text", "image", None):
        np.testing.assert_allclose(one.carry(pairs.old["image"], m), two.carry(pairs.old["image"], m), atol=1e-6)


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_a_rotation_carries_what_the_learned_modality_hardly_varies_in(carries):
    pairs = gapped()
    turned_, same = (
        build("Bridge", "one-modality", carries=carries, learns_from="text", others=others, way="direct").fit(pairs)
        for others in ("rotation", "same")
    )
    assert error(turned_, pairs, "image") < 0.5 * error(same, pairs, "image")
    assert error(turned_, pairs, "text") == error(same, pairs, "text") < 0.01


def test_the_learned_modality_crosses_as_by_ridge():
    pairs = gapped()
    text = Pairs({"text": pairs.old["text"]}, {"text": pairs.new["text"]})
    want = build("Bridge", "ridge").fit(text).carry(pairs.old["text"], "text")
    bridge = build("Bridge", "one-modality", learns_from="text").fit(pairs)
    np.testing.assert_allclose(bridge.carry(pairs.old["text"], "text"), want, atol=1e-6)
    assert not np.allclose(bridge.carry(pairs.old["text"], "image"), want)


def test_by_default_it_learns_from_the_modality_with_most_rows():
    assert build("Bridge", "one-modality").fit(turned_apart(n=90, few=30)).learned_from_ == "text"
    assert build("Bridge", "one-modality").fit(turned_apart(n=30, few=90)).learned_from_ == "image"


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_a_few_items_show_an_offset(carries):
    pairs = gapped(moved=2.0)
    none, few = (
        build("Bridge", "one-modality", carries=carries, learns_from="text", few=k).fit(pairs) for k in (0, 15)
    )
    assert none.offsets_ == {}
    assert few.offsets_["image"] > 0.3
    assert error(few, pairs, "image") < 0.7 * error(none, pairs, "image")


def test_an_offset_that_chance_explains_is_shrunk_away():
    lengths = [
        build("Bridge", "one-modality", learns_from="text", few=5)
        .fit(Pairs(turned(seed=s).old, {**turned(seed=s).new, "image": rows(60, 6, seed=70 + s)}))
        .offsets_["image"]
        for s in range(10)
    ]
    assert np.median(lengths) < 0.2  # unshrunk, the mean of five such rows is 0.6 long


def test_one_row_of_another_modality_shows_nothing():
    bridge = build("Bridge", "one-modality", learns_from="text", few=5).fit(turned_apart(few=1))
    assert bridge.offsets_ == {"image": 0.0}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"learns_from": "sound"}, "text, image only"), ({"few": -1}, "few"), ({"few": 1.5}, "few"),
     ({"others": "noise"}, "others"), ({"way": "back"}, "way")],
)  # fmt: skip
def test_bad_arguments_are_named(arguments, says):
    with pytest.raises(BadInput, match=says):
        build("Bridge", "one-modality", **arguments).fit(turned())


# Which modality it learns from


def test_of_equals_the_first_is_learned_from():
    assert build("Bridge", "one-modality").fit(turned(modalities=("b", "a"))).learned_from_ == "b"


def test_folds_learn_from_the_modality_that_all_items_would_choose():
    pairs = turned_apart(n=60, few=55)
    rest = pairs.take({"text": np.arange(30), "image": np.arange(50)})  # in this fold images are the more numerous
    assert build("Bridge", "one-modality").fit(rest).learned_from_ == "text"
    again = rest.take({"text": np.arange(20), "image": np.arange(40)})
    assert build("Bridge", "one-modality").fit(again).learned_from_ == "text"
    assert build("Bridge", "one-modality").fit(pairs.take({"image": np.arange(5)})).learned_from_ == "image"
