"""A plan is made of what the collection holds, or of a table; `apply` carries it out."""

from pathlib import Path

import numpy as np
import pytest
from tests.planted_space import Planted, new_space, old_space, saved_spaces

from commonspace import BadInput, Collection, NotFound
from commonspace.upgrade.plan import Plan

N = 120
QUICK = {"bridges": ["ridge"], "shares": (0.5,), "depths": (), "resamples": 200, "progress": False}


@pytest.fixture(autouse=True)
def spaces():
    with saved_spaces():
        yield


@pytest.fixture
def c(tmp_path):
    with Collection.create(tmp_path / "c.cs", old_space(noise=0.4), durability="os") as found:
        table = [{"id": i, "text": str(i), "image": str(i), "thing": f"t{i // 2}"} for i in range(N)]
        found.add(table, keep=("text", "image"), progress=False)
        yield found


def calls(c, new, **options):
    """Return a plan, and how many items each space has encoded for it."""
    before = c.space.calls
    plan = c.upgrade(new, **QUICK, **options)
    return plan, c.space.calls - before, new.calls


def test_items_of_the_collection_are_encoded_by_the_new_space_only(c):
    plan, by_old, by_new = calls(c, new_space(), probes=80)
    assert (by_old, by_new) == (0, 160)
    assert (plan.old, plan.new, plan.dims) == ("old", "new", (8, 10))
    assert plan.corpus.items == {"text": N, "image": N}
    assert plan.corpus.seconds.keys() == {"text", "image"}
    assert all(s > 0 for s in plan.corpus.seconds.values())
    assert "80 of text" in plan.corpus.measured_on
    assert plan.galleries == {"text": 80, "image": 80}
    assert set(plan.directions) == {"text->image", "image->text"}
    assert plan["re-embed"].cost.encoder_calls == 2 * N
    assert c.upgrading() is None


def test_a_modality_that_was_not_measured_is_named(tmp_path):
    with Collection.create(tmp_path / "c.cs", old_space(noise=0.4), durability="os") as c:
        table = [{"id": i, "words": str(i), "picture": str(i)} for i in range(N)]
        c.add(table, columns={"text": "words", "image": "picture"}, keep="text", fields=[], progress=False)
        with pytest.warns(RuntimeWarning, match="no probe has image"):
            plan = c.upgrade(new_space(), **QUICK)
        assert plan.galleries == {"text": N}


def test_what_a_cache_had_does_not_make_the_encoder_look_fast(c):
    class Cached(Planted):
        def encode_items(self, items, modality, *, on_error="raise", cache=None):
            found = super().encode_items(items, modality, on_error=on_error)
            found.cached = 0 if cache is False else len(items)
            return found

    new = Cached(id="new", dim=10, seed=2)
    plan, _, by_new = calls(c, new, probes=80)
    assert by_new == 2 * (80 + 64)
    assert "64 of" in plan.corpus.measured_on


def test_a_group_is_drawn_whole_and_asks_within_a_modality_too(c):
    plan, *_ = calls(c, new_space(), probes=81, group="thing")
    assert plan.galleries == {"text": 82, "image": 82}
    assert "text->text" in plan.directions
    with pytest.raises(NotFound, match="no field 'kind'"):
        c.upgrade(new_space(), group="kind", **QUICK)


def test_a_table_is_encoded_by_both(c):
    table = [{"title": str(i), "image": str(i)} for i in range(5000, 5060)]
    plan, by_old, by_new = calls(c, new_space(), probes=table, columns={"text": "title"})
    assert (by_old, by_new) == (120, 120)
    assert plan.galleries == {"text": 60, "image": 60}
    assert plan.corpus.items == {"text": N, "image": N}
    with pytest.raises(BadInput, match="no column of a modality that both spaces know"):
        c.upgrade(new_space(), probes=[{"n": 1}] * 30, **QUICK)


def test_queries_bring_the_items_that_are_right_for_them(c):
    queries = [{"text": str(i), "relevant": [i, i + 1] if i % 2 else i} for i in range(40)]
    plan, *_ = calls(c, new_space(), probes=60, queries=queries)
    assert set(plan.directions) == {"text->text", "text->image"}
    assert all(n >= 60 for n in plan.galleries.values())
    assert plan["re-embed"].quality["text->text"].n == 40
    with pytest.raises(NotFound, match="relevant"):
        c.upgrade(new_space(), queries=[{"text": "1"}], **QUICK)
    with pytest.raises(NotFound, match="no column 'id'"):
        c.upgrade(new_space(), queries=queries, probes=[{"text": str(i)} for i in range(50)], **QUICK)


def test_what_a_plan_would_pass_over_in_silence_is_refused(c):
    wrong = [{"text": str(i), "relevant": i + 5_000} for i in range(40)]
    with pytest.raises(NotFound, match=r"none of the 40 ids that are right .* among the probes, the first being 5000"):
        c.upgrade(new_space(), queries=wrong, **QUICK)
    with pytest.raises(BadInput, match="the queries are an empty table"):
        c.upgrade(new_space(), queries={"text": [], "relevant": []}, **QUICK)
    with pytest.raises(NotFound, match="no column of a modality that both spaces know, text, image, with"):
        c.upgrade(new_space(), queries=[{"words": "1", "relevant": 1}], **QUICK)
    with pytest.raises(BadInput, match="columns are those of a table of probes, but items of the collection are drawn"):
        c.upgrade(new_space(), columns={"text": "thing"}, **QUICK)


def test_images_of_a_file_of_queries_are_looked_up_beside_it(c, tmp_path):
    class Pictures(Planted):
        def kind_of(self, modality):
            return modality

        def encode_items(self, items, modality, **options):
            return super().encode_items([Path(x).stem for x in items], modality, **options)

    def seen(items, modality, **options):
        asked.extend(items)
        return Planted.encode_items(new, [Path(x).stem for x in items], modality)

    asked, folder = [], tmp_path / "asked"
    folder.mkdir()
    for i in range(40):
        (folder / f"{i}.png").write_bytes(b"")
    lines = ["image,relevant", *(f"{i}.png,{i}" for i in range(40))]
    (folder / "queries.csv").write_text("\n".join(lines))
    new = Pictures(id="new", dim=10, seed=2)
    new.encode_items = seen
    c._spaces["old"] = Pictures(noise=0.4)
    c.upgrade(new, probes=60, queries=folder / "queries.csv", **QUICK)
    assert {str(folder / f"{i}.png") for i in range(40)} <= set(map(str, asked))


def test_the_plan_is_the_one_that_the_arrays_give(c):
    """The collection only gathers vectors: the same probes, put together by hand, give the same plan."""
    from commonspace.upgrade.options import Corpus
    from commonspace.upgrade.pairs import Pairs
    from commonspace.upgrade.plan import plan_upgrade
    from commonspace.upgrade.probes import Probes

    new = new_space()
    plan = c.upgrade(new, probes=N, random_state=np.random.default_rng(3), **QUICK)
    things = [str(i) for i in range(N)]
    both = [{m: s.encode(things, m) for m in ("image", "text")} for s in (c.space, new)]
    labels = {m: np.arange(N) for m in ("image", "text")}
    rng = np.random.default_rng(3)
    rng.permutation(N)  # what the drawing has taken
    corpus = Corpus({"text": N, "image": N})
    byhand = plan_upgrade(Probes(Pairs(*both), labels), corpus=corpus, old="old", new="new", random_state=rng, **QUICK)
    assert plan.verdict == byhand.verdict
    mine, theirs = (next(o for o in p.options if o.kind == "re-embed").to_dict() for p in (plan, byhand))
    assert mine["quality"] == theirs["quality"]


def test_a_plan_is_carried_out_and_saved_for_later(c, tmp_path):
    new = new_space()
    plan = c.upgrade(new, **QUICK)
    plan.save(tmp_path / "plan")
    again = Plan.load(tmp_path / "plan")
    option = next(o.name for o in again.options if o.kind == "bridge")
    state = c.apply(again.migration(option), new, progress=False)
    assert state["phase"] == "serving"
    hits = c.search_many([{"text": str(i)} for i in range(40)], k=10, against="image")
    assert np.mean([i in h.ids for i, h in enumerate(hits)]) > 0.5
    with pytest.raises(BadInput, match="on its way to the space new"):
        c.upgrade(Planted(id="third"), **QUICK)


def test_a_plan_that_says_no_is_not_carried_out(c):
    worse = new_space(noise=6.0)
    plan = c.upgrade(worse, **QUICK)
    assert plan.verdict == "do not upgrade"
    with pytest.raises(BadInput, match="do not upgrade"):
        c.apply(plan, worse)
    assert c.upgrading() is None


def test_what_cannot_be_planned_is_said(c, tmp_path):
    with pytest.raises(BadInput, match="nothing to upgrade"):
        c.upgrade(old_space(), **QUICK)
    with pytest.raises(BadInput, match="probes"):
        c.upgrade(new_space(), probes=0, **QUICK)
    with Collection.create(tmp_path / "bare.cs", old_space()) as bare:
        bare.add([{"id": i, "name": str(i)} for i in range(30)], columns={"text": "name"}, progress=False)
        with pytest.raises(NotFound, match="no items are kept"):
            bare.upgrade(new_space(), **QUICK)
