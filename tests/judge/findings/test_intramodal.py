import numpy as np
from claims.judge._worlds import planted, sound

from commonspace.judge import Subject
from commonspace.judge.findings.intramodal import IntraModal


def test_a_look_of_their_own_leads_search_within_images_astray(look):
    found = look("intramodal", planted("intramodal", 2))
    assert set(found) == {"image->image"}  # every thing has one text only
    assert found["image->image"].flag
    assert found["image->image"].evidence["difference"].difference < 0


def test_where_the_item_asks_better_than_its_partner_the_score_is_one(look):
    assert look("intramodal", sound("intramodal", 2))["image->image"].score == 1


def test_it_needs_things_that_occur_twice():
    x = np.random.default_rng(0).normal(size=(30, 4))
    once = Subject({"a": x, "b": x}, things={"a": np.arange(30), "b": np.arange(30)})
    assert "more than once" in IntraModal().lacks(once)


def test_a_sample_holds_whole_things():
    subject = planted("intramodal", 2)
    rows, partners, things = IntraModal(most=60)._pairs(subject, "image", "text", np.random.default_rng(0))
    assert len(rows) == 60
    assert (np.bincount(things)[np.unique(things)] == 2).all()
    assert (subject.codes("image")[rows] == subject.codes("text")[partners]).all()
