"""One contract for every remedy: it learns from one half, and changes neither what it saw nor what it is applied to."""

import numpy as np
import pytest

from commonspace.core.registry import build, entries
from commonspace.judge.treatment import measured, treat

NAMES = [e.name for e in entries("Remedy") if e.cls.__module__.startswith("commonspace.")]


@pytest.mark.parametrize("name", NAMES)
def test_a_remedy_changes_no_vector_that_it_is_given(name, pairs):
    subject = pairs(common=1, gap=1)
    before = {m: x.copy() for m, x in subject.vectors.items()}
    learn, test = subject.halves(np.random.default_rng(0), most=1000)
    remedy = build("Remedy", name).fit(learn, np.random.default_rng(0))
    remedy.apply(test)
    measured(test, remedy, np.random.default_rng(0))
    for m, x in before.items():
        np.testing.assert_array_equal(subject.vectors[m], x)


@pytest.mark.parametrize("name", NAMES)
def test_queries_and_gallery_keep_their_number_and_meet_in_one_dimension(name, pairs):
    learn, test = pairs(common=1, gap=1).halves(np.random.default_rng(0), most=1000)
    remedy = build("Remedy", name).fit(learn, np.random.default_rng(0))
    for meet in (remedy.meet, remedy.without):
        q, g = meet("text", "image", test.vectors["text"][:7], test.vectors["image"])
        assert (len(q), len(g)) == (7, len(test.vectors["image"]))
        assert q.shape[1] == g.shape[1]
        assert np.isfinite(q).all()
        assert np.isfinite(g).all()


@pytest.mark.parametrize("name", NAMES)
def test_it_is_tried_and_named_and_the_same_for_one_seed(name, pairs):
    one, two = (treat(pairs(common=1, gap=1), name, [], np.random.default_rng(3)) for _ in range(2))
    assert one.remedy == name
    assert one.title
    assert [d.task for d in one.directions] == ["image->text", "text->image"]
    assert one.to_dict() == two.to_dict()
