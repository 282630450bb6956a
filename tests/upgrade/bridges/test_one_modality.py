import numpy as np
import pytest
from tests.bridge_worlds import rotation, rows, turned, turned_apart

from commonspace.core.errors import BadInput, NotFitted
from commonspace.core.registry import build
from commonspace.core.vectors import unit
from commonspace.upgrade.migration import Migration
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
     ({"others": "noise"}, "others"), ({"way": "back"}, "way"), ({"form": "tree"}, "form"), ({"noise": -1.0}, "noise"),
     ({"contrast": np.inf}, "contrast"), ({"hidden": 0}, "hidden"), ({"steps": 1.5}, "steps")],
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


# The perceptron


def curved(n=400, seed=0, moved=0.0):
    """Return texts and images of one cloud whose old vectors are a curved function of the new ones."""
    rng = np.random.default_rng(seed)
    into, out = (np.random.default_rng(s).normal(size=(DIM, DIM)) for s in (1, 2))
    new = {m: unit(rng.normal(size=(n, DIM)).astype(np.float32)) for m in ("text", "image")}
    old = {m: np.tanh(3 * x @ into) @ out for m, x in new.items()}
    old["image"] = old["image"] + moved * np.ones(DIM)
    return Pairs({m: unit(x.astype(np.float32)) for m, x in old.items()}, new)


def perceptron(**options):
    plain = {"carries": "queries", "learns_from": "text", "form": "perceptron", "noise": 0.1, "hidden": 64}
    return build("Bridge", {"name": "one-modality", **plain, **options})


def test_a_perceptron_follows_a_curve_that_no_line_does():
    pairs, fresh = curved(), curved(seed=1)
    line = build("Bridge", "one-modality", carries="queries", learns_from="text", others="same").fit(pairs)
    curve = perceptron(steps=600).fit(pairs)
    assert error(curve, fresh, "text") < 0.6 * error(line, fresh, "text")
    assert error(curve, fresh, "image") < 0.6 * error(line, fresh, "image")


def test_a_perceptron_never_looks_at_the_other_modality_unless_it_may():
    pairs = curved(n=100)
    nonsense = Pairs(pairs.old, {**pairs.new, "image": rows(100, DIM, seed=9)})
    one, two, few = (
        perceptron(steps=20, few=k).fit(p).carry(pairs.new["text"])
        for p, k in ((pairs, 0), (nonsense, 0), (nonsense, 10))
    )
    np.testing.assert_allclose(one, two, atol=1e-5)
    assert not np.allclose(two, few, atol=1e-3)


def test_a_few_items_show_a_perceptron_where_the_others_land():
    pairs, fresh = curved(moved=6.0), curved(seed=1, moved=6.0)
    none, few = (perceptron(few=k).fit(pairs) for k in (0, 40))
    assert error(few, fresh, "image") < 0.7 * error(none, fresh, "image")


@pytest.mark.parametrize("carries", ["items", "queries"])
def test_a_perceptron_can_be_written_down(carries, tmp_path):
    pairs = curved(n=80)
    was = perceptron(carries=carries, steps=20, few=5).fit(pairs)
    Migration("a", "b", DIM, was).save(tmp_path / "m")
    back = Migration.load(tmp_path / "m").bridge
    assert back.fingerprint == was.fingerprint
    assert back.numbers == was.numbers > DIM * 64 * 2
    for m in ("text", "image", None, "sound"):
        assert np.array_equal(back.carry(pairs.new["text"], m), was.carry(pairs.new["text"], m))


def test_a_bridge_that_learns_again_is_what_it_learned_last():
    pairs, bridge = curved(n=80), perceptron(steps=20)
    curve = bridge.fit(pairs).carry(pairs.new["text"], "text")
    bridge.form = "linear"
    line = bridge.fit(pairs).carry(pairs.new["text"], "text")
    want = build("Bridge", "one-modality", carries="queries", learns_from="text").fit(pairs)
    assert np.array_equal(line, want.carry(pairs.new["text"], "text"))
    assert not np.allclose(line, curve)


def test_other_noise_and_another_contrast_make_another_bridge():
    pairs = curved(n=80)
    made = {perceptron(steps=20, **o).fit(pairs).fingerprint for o in ({}, {"noise": 1.0}, {"contrast": 0.5})}
    assert len(made) == 3


# Tuning


def apart(bridge, new):
    return float(np.square(bridge.carry(new["text"], "text") - bridge.carry(new["image"], "image")).sum(axis=1).mean())


def pictured(n=300, seed=5):
    """Return things in the new space whose images lie where the texts do, but for noise and a turn of two axes."""
    rng = np.random.default_rng(seed)
    text = rng.normal(size=(n, DIM))
    image = text + 0.2 * rng.normal(size=(n, DIM))
    image[:, [0, 1]] = image[:, [1, 0]]
    return {m: unit(x.astype(np.float32)) for m, x in (("text", text), ("image", image))}


def test_tuning_brings_things_together_and_a_hold_keeps_them_where_they_were():
    pairs, seen, fresh = curved(), pictured(), pictured(seed=6)
    was = perceptron().fit(pairs)
    before, stood = apart(was, fresh), was.carry(fresh["text"], "text")
    free, held = (perceptron().fit(pairs).tune(seen, hold=h) for h in (0.0, 20.0))
    assert apart(free, fresh) < 0.8 * before
    moved = [float(np.square(b.carry(fresh["text"], "text") - stood).sum(axis=1).mean()) for b in (free, held)]
    assert moved[1] < 0.5 * moved[0]


def test_tuning_on_what_is_stored_moves_new_queries_to_the_old_items_that_they_ask_for():
    pairs, fresh = curved(moved=2.0), curved(seed=1, moved=2.0)
    # What is stored of a thing is its old image; what asks is its new text, which is that of the image.
    things = {"text": pairs.new["image"]}
    was, now = perceptron().fit(pairs), perceptron().fit(pairs)
    now.tune(things, stored={"image": pairs.old["image"]}, hold=0.0)

    def found(bridge):
        scores = bridge.carry(fresh.new["image"], "text") @ fresh.old["image"].T
        return float((scores.argmax(axis=1) == np.arange(len(scores))).mean())

    assert found(now) > found(was) + 0.1


def test_stored_vectors_have_the_dimension_of_the_old_space_and_stand_for_one_modality():
    pairs = curved(n=80)
    bridge = perceptron(steps=5).fit(Pairs({m: x[:, :7] for m, x in pairs.old.items()}, pairs.new))
    text, image = pairs.new["text"], pairs.old["image"]
    with pytest.raises(BadInput, match="stored vectors of image"):
        bridge.tune({"text": text}, stored={"image": image})
    with pytest.raises(BadInput, match="new ones of one and stored= of the other"):
        bridge.tune({"text": text, "image": text}, stored={"image": image[:, :7]})
    with pytest.raises(BadInput, match="80 rows of the vectors of text, 79 rows of the stored vectors of image"):
        bridge.tune({"text": text}, stored={"image": image[:79, :7]})
    assert bridge.tune({"text": text}, stored={"image": image[:, :7]}).carry(text).shape == (80, 7)


def test_tuning_is_the_same_for_the_same_seed():
    pairs, seen = curved(n=80), pictured(n=50)
    one, two, other = (perceptron(steps=20).fit(pairs).tune(seen, random_state=s).fingerprint for s in (1, 1, 2))
    assert one == two != other


@pytest.mark.parametrize(
    ("options", "vectors", "says"),
    [({"form": "linear"}, {}, "perceptron"), ({"carries": "items"}, {}, "queries"),
     ({}, {"text": rows(5, DIM)}, "two modalities"),
     ({}, {"text": rows(5, DIM), "image": rows(4, DIM)}, "4 rows of the vectors of image"),
     ({}, {"text": rows(1, DIM), "image": rows(1, DIM)}, "two things"), ({}, {}, "got none"),
     ({}, {"text": rows(5, DIM), "image": rows(5, DIM + 1)}, "the vectors of image")],
)  # fmt: skip
def test_what_cannot_be_tuned_is_refused_with_a_reason(options, vectors, says):
    bridge = perceptron(**{"steps": 5, **options}).fit(curved(n=80))
    was = bridge.fingerprint
    with pytest.raises(BadInput, match=says):
        bridge.tune(vectors)
    assert bridge.fingerprint == was


def test_stored_vectors_are_of_another_modality_and_both_are_named():
    pairs = curved(n=80)
    bridge = perceptron(steps=5).fit(pairs)
    was = bridge.fingerprint
    with pytest.raises(BadInput, match="text is among vectors and stored: name another modality"):
        bridge.tune({"text": pairs.new["text"]}, stored={"text": pairs.old["text"]})
    with pytest.raises(BadInput, match="vectors must map a modality to its vectors, not be a ndarray"):
        bridge.tune(pairs.new["text"])
    with pytest.raises(BadInput, match="stored must map a modality"):
        bridge.tune({"text": pairs.new["text"]}, stored=pairs.old["image"])
    assert bridge.fingerprint == was


def test_nothing_is_tuned_before_something_was_learned():
    with pytest.raises(NotFitted):
        perceptron().tune(pictured())
    with pytest.raises(BadInput, match="hold"):
        perceptron(steps=5).fit(curved(n=80)).tune(pictured(), hold=-1.0)
