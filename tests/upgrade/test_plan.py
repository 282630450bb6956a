import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from tests.upgrade import worlds

from commonspace.core.errors import BadInput, NotFound
from commonspace.upgrade.bridges.procrustes import ProcrustesBridge
from commonspace.upgrade.options import Corpus
from commonspace.upgrade.plan import Plan, plan_upgrade
from commonspace.upgrade.probes import Probes
from commonspace.upgrade.showing import duration, size

QUICK = {"bridges": ["swap", "procrustes", "ridge"], "progress": False, "resamples": 200}


def test_a_rotation_is_bridged():
    plan = plan_upgrade(worlds.rotated(), keep=0.9, **QUICK)
    assert plan.verdict == "bridge"
    assert plan["swap of items"].least_kept < 0.3
    assert plan.migration().bridge is not None


def test_a_space_that_knows_something_else_is_re_embedded():
    plan = plan_upgrade(worlds.unrelated(), **QUICK)
    assert plan.verdict == "re-embed"
    assert plan.migration().bridge is None


def test_a_worse_space_is_refused():
    plan = plan_upgrade(worlds.worse(), **QUICK)
    assert plan.verdict == "do not upgrade"
    assert plan.certain
    with pytest.raises(BadInput, match="name another option"):
        plan.migration()


def test_a_plan_is_plain_data():
    plan = plan_upgrade(worlds.worse(200), **QUICK)
    assert json.loads(json.dumps(plan.to_dict()))["verdict"] == plan.verdict
    with pytest.raises(NotFound, match="re-embed"):
        plan["nothing"]


def test_a_plan_that_was_saved_can_be_carried_out_later(tmp_path):
    plan = plan_upgrade(worlds.rotated(200), old="1", new="2", **QUICK)
    plan.save(tmp_path / "plan")
    back = Plan.load(tmp_path / "plan")
    assert str(back) == str(plan)
    assert back.to_dict() == plan.to_dict()
    for option in ("ridge of items", "25% random, rest both encoders", "re-embed"):
        assert back.migration(option).id == plan.migration(option).id
    assert len(list((tmp_path / "plan").glob("bridge-*"))) == 6  # one a bridge, however many options use it


def test_an_interval_that_is_open_above_stays_open_when_a_plan_is_loaded(tmp_path):
    rng = np.random.default_rng(3)
    lost = worlds.probes(*({m: rng.normal(size=(60, 8)) for m in ("text", "image")} for _ in range(2)))
    plan = plan_upgrade(lost, metric="recall@1", shares=[0.5], **QUICK)
    assert any(np.isinf(e.high) for o in plan.options for e in o.kept.values())
    plan.save(tmp_path / "plan")
    back = Plan.load(tmp_path / "plan")
    assert str(back) == str(plan)
    for one in plan.options:
        assert back[one.name].least_kept == one.least_kept
        assert back[one.name].most_kept == one.most_kept


def test_a_migration_can_put_scores_of_the_old_space_on_the_scale_of_the_new_one():
    plan = plan_upgrade(worlds.rotated(200), **QUICK)
    for option in ("ridge of queries", "25% random, rest both encoders"):
        migration = plan.migration(option)
        for asks in ("", *(d.partition("->")[0] for d in plan.directions)):
            for m, (old, new) in migration.samples.items():
                across = old[0] if migration.bridge is None else migration.bridge.carry(new[:1])[0]
                assert not migration.scale(asks, m, across, new[0]).standard
    assert not plan.migration("ridge of items").samples  # whose scales are between plain scores


def test_the_same_seed_gives_the_same_plan_but_for_the_clock():
    def told(seed):
        plan = plan_upgrade(worlds.rotated(60), random_state=seed, shares=[0.5], **QUICK).to_dict()
        for option in plan["options"]:
            option["cost"] = {k: v for k, v in option["cost"].items() if "seconds" not in k}
        return plan

    assert told(3) == told(3)
    assert told(3) != told(4)


def test_costs_are_those_of_the_corpus():
    corpus = Corpus({"text": 1000, "image": 500}, {"text": 0.5, "image": 2.0})
    plan = plan_upgrade(worlds.rotated(100, dim=8), corpus=corpus, shares=[0.1], **QUICK)
    number = 4 * 8
    by_name = {o.name: o.cost for o in plan.options}
    assert by_name["keep"].seconds == 0
    assert by_name["re-embed"].encoder_calls == 1500
    assert by_name["re-embed"].bytes_written == 1500 * number
    assert by_name["re-embed"].encode_seconds == pytest.approx(1000 * 0.5 + 500 * 2.0)
    assert by_name["ridge of queries"].bytes_written == 0
    assert by_name["ridge of items"].bytes_written == 1500 * number
    assert by_name["ridge of items"].encoder_calls == 0
    assert by_name["10% random, rest both encoders"].bytes_written == 150 * number
    assert by_name["10% random, rest both encoders"].calls_per_query == 2
    assert by_name["10% random, rest both encoders"].encode_seconds == pytest.approx(50.0 + 100.0)
    (rescored,) = (o for o in plan.options if o.kind == "rescore" and o.bridge)
    assert rescored.cost.calls_per_query == 51
    with pytest.raises(BadInput, match="measured for comparison"):
        plan.migration(rescored.name)


def test_without_labels_the_plan_cannot_say_no():
    plan = plan_upgrade(Probes(worlds.worse(200).items), shares=[0.5], **QUICK)
    assert not plan.labelled
    assert plan.verdict != "do not upgrade"
    assert all(not o.against_old for o in plan.options)
    assert "cannot be not to upgrade" in str(plan)


def test_few_probes_give_an_answer_that_is_not_certain():
    plan = plan_upgrade(worlds.rotated(40), shares=[0.5], **QUICK)
    assert not plan.certain
    assert any("queries" in r and "would be needed" in r for r in plan.reasons)


def test_half_known_and_half_not_is_a_partial_backfill():
    """A part of what the new space knows, the old one never knew: no bridge brings it back, a share of new vectors
    does."""
    rng = np.random.default_rng(0)
    new = worlds.two_views(rng, 700, 24, 0.9)
    known = np.arange(24) < 18
    old = {m: np.where(known, x, 0.5 * rng.normal(size=x.shape)) for m, x in new.items()}
    plan = plan_upgrade(worlds.probes(old, new), keep=0.85, **QUICK)
    assert plan.verdict == "partial backfill"
    assert 0 < plan.share < 1
    shares = [o for o in plan.options if o.kind == "partial" and o.bridge]
    kept = [o.kept["text->image"].value for o in sorted(shares, key=lambda o: o.share)]
    assert kept == sorted(kept)


def test_a_bridge_that_cannot_be_learned_is_left_out_with_the_reason():
    class Refuses(ProcrustesBridge):
        def learn(self, source, target, rng):
            raise BadInput("not today")

    plan = plan_upgrade(worlds.rotated(60), bridges=[Refuses(), "procrustes"], shares=[0.5], progress=False)
    assert plan.left_out["Refuses of items"] == "not today"
    assert "not today" in str(plan)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"metric": "median_rank"}, "ratio of means"),
        ({"keep": 1.0}, "keep"),
        ({"shares": [0.0]}, "shares"),
        ({"depths": [0]}, "depths"),
        ({"folds": 2}, "at least 3"),
        ({"corpus": {"text": 100}}, "corpus must be a Corpus"),
        ({"corpus": Corpus({"video": 100})}, "the corpus holds video, the probes text, image"),
        ({"confidence": 95}, "confidence"),
        ({"resamples": 0}, "resamples"),
    ],
)
def test_wrong_arguments_are_refused(wrong, says):
    with pytest.raises(BadInput, match=says):
        plan_upgrade(worlds.rotated(60), **{**QUICK, **wrong})


def test_shares_that_are_nearly_the_same_are_two_options():
    plan = plan_upgrade(worlds.rotated(60), **QUICK | {"bridges": ["swap"]}, shares=[0.101, 0.104, 0.55])
    assert [o.share for o in plan.options if o.kind == "partial" and "swap" in o.name] == [0.101, 0.104, 0.55]
    assert plan["55% random, rest both encoders"].share == 0.55


@pytest.mark.parametrize("n", [float("nan"), "many", -1, 0.5])
def test_a_corpus_holds_whole_numbers(n):
    with pytest.raises(BadInput, match="whole number"):
        Corpus({"text": n})


def test_a_plan_is_made_from_probes():
    with pytest.raises(BadInput, match=r"Probes\(items"):
        plan_upgrade(worlds.rotated(60).items, **QUICK)


def test_a_single_bridge_direction_share_or_depth_may_be_given_as_it_is():
    one = {"bridges": "ridge", "directions": "text->image", "shares": 0.5, "depths": 20}
    told = []
    for given in (one, {k: [v] for k, v in one.items()}):
        plan = plan_upgrade(worlds.rotated(60), **{**QUICK, **given})
        told.append([(o.name, o.kept["text->image"].value) for o in plan.options])
        assert plan.directions == ("text->image",)
    assert told[0] == told[1]


def test_a_plan_is_shown_as_text_and_on_a_terminal(capsys):
    plan = plan_upgrade(worlds.rotated(100), shares=[0.5], **QUICK)
    text = str(plan)
    assert plan.verdict in text.splitlines()[0]
    assert all(o.name in text for o in plan.options)
    assert sum(line.startswith("> ") for line in text.splitlines()) == 1
    assert "Rule: Do not upgrade if" in text
    assert "with 99.5% intervals" in str(replace(plan, confidence=0.995))
    console = Console(width=200)
    with console.capture() as shown:
        console.print(plan)
    assert all(o.name in shown.get() for o in plan.options)


@pytest.mark.parametrize(
    ("value", "said"),
    [(size(0), "0"), (size(1536), "1.54 kB"), (size(2.5e9), "2.5 GB"), (duration(0), "0"), (duration(90), "90 s"),
     (duration(3 * 3600), "3 h"), (duration(float("nan")), "?")],
)  # fmt: skip
def test_numbers_are_spelled_for_people(value, said):
    assert value == said
