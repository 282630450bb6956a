"""A cut-off and a calibrator of a collection that goes over: those that the plain arrays of both sides give."""

import numpy as np
import pytest
from tests.planted_space import migration, new_space, old_space, saved_spaces
from tests.upgrades import WAYS, filled, naive, rows, upgraded

from commonspace import BadInput, Collection, NotFound
from commonspace.core.vectors import unit
from commonspace.measure import calibration
from commonspace.upgrade import migrate_calibrator, migrate_cutoff

QUICK = {"resamples": 60}
QUERIES = [str(i) for i in range(40)]


@pytest.fixture(autouse=True)
def spaces():
    with saved_spaces():
        yield


@pytest.fixture
def c(tmp_path):
    with Collection.create(tmp_path / "c.cs", old_space(), durability="os") as found:
        yield found


def of_old(c, query, against=("text", "image"), space=None):
    """Score every item by its old vectors alone."""
    space = space or old_space()
    q = unit(np.sum([space.encode([x], m)[0] for m, x in query.items()], axis=0)[None])[0]
    scores = {}
    for m in against:
        for id, x in zip(*c.vectors(m, space_id=space.id), strict=True):
            scores[id] = max(scores.get(id, -9), float(x @ q))
    return scores


def answers(scores, k, keep=lambda id: True):
    """Return the ids and scores of the k best of each query."""
    best = [sorted((id for id in one if keep(id)), key=lambda id: -one[id])[:k] for one in scores]
    query = np.repeat(np.arange(len(best)), [len(ids) for ids in best])
    flat = np.array([one[id] for one, ids in zip(scores, best, strict=True) for id in ids])
    return flat, query, [id for ids in best for id in ids]


def same(found, wanted):
    assert float(found) == pytest.approx(float(wanted), abs=1e-5)
    assert found.value.low == pytest.approx(wanted.value.low, abs=1e-4)
    assert found.value.high == pytest.approx(wanted.value.high, abs=1e-4)
    for mine, theirs in zip(found.shares, wanted.shares, strict=True):
        assert mine.value == pytest.approx(theirs.value, abs=1e-6)
    assert found.by == wanted.by


@pytest.mark.parametrize("carries", WAYS)
@pytest.mark.parametrize("native", [0.0, 0.5, 1.0])
def test_a_cutoff_is_that_of_the_scores_of_both_sides(c, carries, native):
    upgraded(c, carries)
    if native:
        c.backfill(share=native, progress=False)
    asked = [{"text": q} for q in QUERIES]
    old, query, _ = answers([of_old(c, q) for q in asked], 4)
    new, other, _ = answers([naive(c, q) for q in asked], 4)
    cutoff = float(np.quantile(old, 0.7))
    wanted = migrate_cutoff(cutoff, old, new, groups=(query, other), **QUICK)
    for queries in (QUERIES, asked, {"text": QUERIES}):
        same(c.migrate_cutoff(cutoff, queries, k=4, **QUICK), wanted)
    assert wanted.doubts == c.migrate_cutoff(cutoff, QUERIES, k=4, **QUICK).doubts


def test_it_asks_as_the_application_does(c):
    upgraded(c)
    c.backfill(share=0.5, progress=False)
    asked = [{"text": q} for q in QUERIES]
    odd = lambda id: id % 7 > 2  # noqa: E731
    old, query, _ = answers([of_old(c, q, ["image"]) for q in asked], 3, odd)
    new, other, _ = answers([naive(c, q, ["image"]) for q in asked], 3, odd)
    cutoff = float(np.quantile(old, 0.6))
    found = c.migrate_cutoff(cutoff, QUERIES, k=3, where="n > 2", against="image", **QUICK)
    same(found, migrate_cutoff(cutoff, old, new, groups=(query, other), **QUICK))
    new, other, _ = answers([naive(c, q, hubs=True) for q in asked], 3)
    hubs = c.migrate_cutoff(0.6, QUERIES, k=3, hubs="csls", **QUICK)
    share = hubs.shares[1].value
    assert np.mean(new >= float(hubs)) == pytest.approx(share)
    both = [{"text": q, "image": str(i)} for i, q in enumerate(QUERIES)]
    weights = {"text": 2.0, "image": 0.5}
    new, other, _ = answers([naive(c, q, weights=weights) for q in both], 3)
    found = c.migrate_cutoff(0.6, both, k=3, weights=weights, **QUICK)
    assert np.mean(new >= float(found)) == pytest.approx(found.shares[1].value)


def judged(n=40):
    """Every third query has no right answer, another third two, one of them as the only one of a list."""
    right = [[i, i + 1] if i % 3 == 0 else None if i % 3 == 1 else i for i in range(n)]
    return [{"text": str(i), "relevant": one} for i, one in enumerate(right)]


def test_with_judged_queries_what_passes_is_as_often_right(c):
    upgraded(c)
    c.backfill(share=0.5, progress=False)
    table = judged()
    asked = [{"text": q["text"]} for q in table]
    sides = [answers([one(c, q) for q in asked], 3) for one in (of_old, naive)]
    right = [
        np.array([id in np.atleast_1d(table[q]["relevant"]) for q, id in zip(query, ids, strict=True)])
        for _, query, ids in sides
    ]
    groups = tuple(query for _, query, _ in sides)
    cutoff = float(np.quantile(sides[0][0], 0.7))
    wanted = migrate_cutoff(cutoff, sides[0][0], sides[1][0], right, groups=groups, **QUICK)
    found = c.migrate_cutoff(cutoff, table, k=3, **QUICK)
    same(found, wanted)
    assert found.by == "precision"
    assert found.goal == pytest.approx(wanted.goal)
    assert c.migrate_cutoff(cutoff, table, k=3, precision=0.3, **QUICK).goal == 0.3
    assert c.migrate_cutoff(cutoff, asked, k=3, **QUICK).by == "share"
    named = [{"text": q["text"], "good": q["relevant"]} for q in table]
    same(c.migrate_cutoff(cutoff, named, k=3, relevant="good", **QUICK), wanted)


def test_a_calibrator_is_that_of_the_scores_of_both_sides(c):
    upgraded(c)
    table = judged()
    asked = [{"text": q["text"]} for q in table]
    (old, query, ids), (new, other, found) = (answers([one(c, q) for q in asked], 3) for one in (of_old, naive))
    right, now = (
        np.array([id in np.atleast_1d(table[q]["relevant"]) for q, id in zip(who, what, strict=True)])
        for who, what in ((query, ids), (other, found))
    )
    before = calibration(old, right, groups=query, **QUICK)
    by_share = c.migrate_calibrator(before, asked, k=3, **QUICK)
    wanted = migrate_calibrator(before, old, new)
    at = np.linspace(-1, 1, 50)
    np.testing.assert_allclose(by_share.probability(at), wanted.probability(at), atol=1e-3)
    by_labels = c.migrate_calibrator(before, table, k=3, **QUICK)
    wanted = migrate_calibrator(before, old, new, now, groups=other, **QUICK)
    np.testing.assert_allclose(by_labels.probability(at), wanted.probability(at), atol=1e-3)
    assert by_labels.left.value == pytest.approx(wanted.left.value, abs=1e-3)


def test_items_that_came_since_take_no_part_and_are_counted(c):
    upgraded(c)
    before = c.migrate_cutoff(0.6, QUERIES, k=3, **QUICK)
    assert not any("take no part" in d for d in before.doubts)
    c.add(rows(range(2000, 2030)), progress=False)
    after = c.migrate_cutoff(0.6, QUERIES, k=3, **QUICK)
    assert after.doubts[-1].endswith("have no vector of the space old and take no part: 30")
    same(after, before)


def test_after_the_end_the_space_is_named(c):
    upgraded(c)
    c.backfill(progress=False)
    meanwhile = c.migrate_cutoff(0.6, QUERIES, **QUICK)
    c.finish_upgrade()
    with pytest.raises(BadInput, match=r"no migration of .* is under way: say with space_id= .* there is old"):
        c.migrate_cutoff(0.6, QUERIES, **QUICK)
    same(c.migrate_cutoff(0.6, QUERIES, space_id="old", **QUICK), meanwhile)
    with pytest.raises(BadInput, match="of the space new already"):
        c.migrate_cutoff(0.6, QUERIES, space_id="new", **QUICK)
    with pytest.raises(NotFound, match="no space 'third'"):
        c.migrate_cutoff(0.6, QUERIES, space_id="third", **QUICK)
    for m in ("text", "image"):
        c.drop_vectors(m, space_id="old")
    with pytest.raises(NotFound, match="no vectors of text, image in the space old any more"):
        c.migrate_cutoff(0.6, QUERIES, space_id="old", **QUICK)


def test_a_copy_tells_before_anybody_searches_by_the_new_space(c, tmp_path):
    """What docs/scores.md advises: the copy shares its files with the collection, and goes ahead."""
    filled(c)
    before = c.search(text="4")
    c.snapshot(tmp_path / "ahead.cs", link=True, progress=False)
    with Collection.open(tmp_path / "ahead.cs") as ahead:
        ahead.apply(migration(), new_space(), progress=False)
        told = ahead.migrate_cutoff(0.6, QUERIES, **QUICK)
    assert c.search(text="4") == before
    c.apply(migration(), new_space(), progress=False)
    same(c.migrate_cutoff(0.6, QUERIES, **QUICK), told)


def test_what_says_nothing_is_refused(c, monkeypatch):
    upgraded(c)
    with pytest.raises(
        NotFound, match="no column of a modality that both spaces know, text, image; their columns: name"
    ):
        c.migrate_cutoff(0.6, [{"name": "4"}], **QUICK)
    with pytest.raises(BadInput, match="query 1 asks nothing: text is empty"):
        c.migrate_cutoff(0.6, [{"text": "4"}, {"text": None}], **QUICK)
    with pytest.raises(BadInput, match="at least 20 are needed"):
        c.migrate_cutoff(0.6, ["4"], **QUICK)
    with pytest.raises(NotFound, match="none of the 1 ids that are right is stored, the first being 999"):
        c.migrate_cutoff(0.6, [{"text": q, "relevant": 999} for q in QUERIES], **QUICK)
    with pytest.raises(BadInput, match="no item is right for any of the queries"):
        c.migrate_cutoff(0.6, [{"text": q, "relevant": None} for q in QUERIES], **QUICK)
    with pytest.raises(NotFound, match="no column 'good'"):
        c.migrate_cutoff(0.6, [{"text": q} for q in QUERIES], relevant="good", **QUICK)
    with pytest.raises(BadInput, match="this space has no modality 'audio'"):
        c.migrate_cutoff(0.6, QUERIES, against="audio", **QUICK)
    for nobody, said in (([], "there are no queries"), ({"text": [], "relevant": []}, "an empty table")):
        with pytest.raises(BadInput, match=said):
            c.migrate_cutoff(0.6, nobody, **QUICK)
    with pytest.raises(NotFound, match="no item with a vector of image in the space old matches where='id < 0'"):
        c.migrate_cutoff(0.6, QUERIES, against="image", where="id < 0", **QUICK)
    with pytest.raises(BadInput, match="of 400 old scores reach the cut-off 7"):
        c.migrate_cutoff(7, QUERIES, **QUICK)
    c.roll_back_upgrade(progress=False)
    monkeypatch.setattr(Collection, "_uncarried", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        c.apply(migration(), progress=False)
    with pytest.raises(BadInput, match="still uses the space old: call apply again"):
        c.migrate_cutoff(0.6, QUERIES, **QUICK)
