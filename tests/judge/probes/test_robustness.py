"""Manipulations change what they say and nothing at level 0; recognition is counted at a rate that is kept."""

import numpy as np
import pytest
from PIL import Image

from commonspace.core.errors import BadInput
from commonspace.judge.probes import IMAGES, TEXTS, robustness

RNG = np.random.default_rng(0)


def picture(size=24):
    pixels = np.full((size, size, 3), 250, np.uint8)
    pixels[4:16, 6:14] = (200, 30, 60)
    pixels[8:20, 10:12] = (10, 90, 160)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_is_unchanged_at_level_0_and_changed_more_at_higher_levels(name):
    image = picture()
    pixels = np.asarray(image, float)

    def distance(level, seed):
        return np.abs(np.asarray(IMAGES[name](image, level, np.random.default_rng(seed)), float) - pixels).mean()

    far = [np.mean([distance(level, seed) for seed in range(10)]) for level in (0.0, 0.3, 1.0)]
    assert far[0] == 0
    assert 0 < far[1] < far[2]
    changed = IMAGES[name](image, 1.0, np.random.default_rng(3))
    assert changed.size == image.size
    np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_is_unchanged_at_level_0_and_changed_at_level_1(name):
    text = "a quick brown fox jumps over the lazy dog near the river"
    assert TEXTS[name](text, 0.0, np.random.default_rng(0)) == text
    assert TEXTS[name](text, 1.0, np.random.default_rng(0)) not in ("", text)
    assert TEXTS[name]("x", 1.0, np.random.default_rng(0)).strip()


def vectors(n, seed=0, dim=16):
    return list(np.random.default_rng(seed).normal(size=(n, dim)))


def towards_noise(item, level, rng):
    return (1 - level) * item + level * rng.normal(size=len(item))


def ask(change=towards_noise, strangers=400, **options):
    given = {"levels": [0.0, 0.55, 1.0], "false_positive_rate": 0.05, "resamples": 50, "progress": False, **options}
    return robustness(np.stack, vectors(60), vectors(strangers, 1), {"noise": change}, **given)


def test_unchanged_items_are_recognised_and_noise_is_not():
    found = ask().recall["noise"]
    assert found[0.0].value == 1
    assert found[0.0].value > found[0.55].value > found[1.0].value
    assert found[1.0].value < 0.05


def test_the_false_positive_rate_is_kept_on_strangers_that_set_nothing():
    rates = [ask(random_state=seed, levels=[0.0]).false_positives.value for seed in range(20)]
    assert np.mean(rates) == pytest.approx(0.05, abs=0.015)


def test_a_changed_item_that_comes_to_lie_near_another_reference_is_missed():
    def swap(item, level, rng):
        return item if level == 0 else vectors(60)[0]

    found = ask(swap, levels=[0.0, 1.0]).recall["noise"]
    assert found[1.0].value == pytest.approx(1 / 60)


def test_precision_follows_from_recall_rate_and_base_rate():
    found = ask(base_rate=0.1)
    r, f = min(e.value for e in found.recall["noise"].values()), found.false_positives.value
    precision = found.precision["noise"]
    assert precision.value == pytest.approx(0.1 * r / (0.1 * r + 0.9 * f))
    assert precision.low <= precision.value <= precision.high
    assert precision.n == 60


def test_no_alarm_among_few_strangers_is_no_promise_of_precision():
    found = ask(strangers=40, base_rate=0.01, levels=[0.0])
    assert found.false_positives.value < 0.2
    assert found.precision["noise"].low < 0.1 < found.precision["noise"].high


def test_the_weakest_manipulation_and_items_that_evade_are_named():
    changes = {"same": lambda item, level, rng: item, "noise": towards_noise}
    found = robustness(
        np.stack, vectors(60), vectors(400, 1), changes, false_positive_rate=0.05, resamples=20, progress=False
    )
    assert found.weakest == "noise"
    assert found.evaded
    assert {name for name, _, _ in found.evaded} == {"noise"}
    assert found.to_dict()["weakest"] == "noise"
    assert "weakest against noise" in str(found)
    page = found.to_report().to_dict()
    assert page["sections"][0]["pictures"][0]["lines"]["noise"]
    assert found.to_report().verdict == "Recognition suffers most from: noise."


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"strangers": 30}, "at least 40"),
        ({"levels": [2.0]}, "levels within"),
        ({"false_positive_rate": 0.0}, "false_positive_rate"),
    ],
)
def test_what_cannot_be_measured_is_refused(options, words):
    with pytest.raises(BadInput, match=words):
        ask(**options)
    with pytest.raises(BadInput, match="two references"):
        robustness(np.stack, vectors(1), vectors(400), {"noise": towards_noise}, progress=False)
    with pytest.raises(BadInput, match="1 vectors for 60"):
        robustness(lambda items: np.ones((1, 3)), vectors(60), vectors(400), {"noise": towards_noise}, progress=False)


def test_texts_that_were_missed_are_shown_as_texts():
    def spelling(texts):  # says which letters stand where, so that any change is seen
        return np.array([[ord(c) for c in t.ljust(12)[:12]] for t in texts], float) - 90

    names = [f"{a}{b}" for a in ("stone", "river", "cloud") for b in ("field", "house", "light")]
    others = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    found = robustness(spelling, names, others, TEXTS, levels=[1.0], false_positive_rate=0.1, resamples=20)
    shown = found.to_report().sections[1].cases
    assert shown
    assert {c.kind for c in shown} == {"text"}
