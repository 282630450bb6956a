import numpy as np

from commonspace.judge import Subject
from commonspace.judge.remedies.deduplicate import Deduplicate
from commonspace.judge.treatment import treat


def twins(same_thing: bool) -> Subject:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 12))
    images, texts = z + 0.2 * rng.normal(size=z.shape), z + 0.2 * rng.normal(size=z.shape)
    things = np.arange(300)
    if same_thing:
        images, image_things = np.concatenate([images, images + 1e-4]), np.tile(things, 2)
    else:  # every second thing looks and reads as the one before it
        images[1::2], texts[1::2] = images[::2] + 1e-4, texts[::2] + 1e-4
        image_things = things
    return Subject({"image": images, "text": texts}, things={"image": image_things, "text": things})


def test_the_first_of_each_group_stays():
    subject = twins(True)
    kept = Deduplicate(threshold=0.999).fit(subject, np.random.default_rng(0)).keeps(subject)
    assert kept["image"].tolist() == [True] * 300 + [False] * 300
    assert kept["text"].all()


def test_dropping_copies_of_one_thing_hurts_nobody_but_dropping_another_thing_does():
    done = treat(twins(True), {"name": "deduplicate", "threshold": 0.999}, [], np.random.default_rng(0))
    assert {d.task: d.effect for d in done.directions}["text->image"] == 0
    lost = treat(twins(False), {"name": "deduplicate", "threshold": 0.999}, [], np.random.default_rng(0))
    assert {d.task: d.effect for d in lost.directions}["text->image"] == -1
    assert lost.directions[-1].treated.n == lost.directions[-1].without.n  # who finds nothing any more still counts
