import json

import pytest
from tests.upgrade import worlds

from commonspace.core.errors import BadInput, NotFound
from commonspace.upgrade.plan import Plan, plan_upgrade

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


def test_a_migration_can_put_scores_of_the_old_space_on_the_scale_of_the_new_one():
    plan = plan_upgrade(worlds.rotated(200), **QUICK)
    for option in ("ridge of queries", "25% random, rest both encoders"):
        migration = plan.migration(option)
        for asks in ("", *(d.partition("->")[0] for d in plan.directions)):
            for m, (old, new) in migration.samples.items():
                across = old[0] if migration.bridge is None else migration.bridge.carry(new[:1])[0]
                assert not migration.scale(asks, m, across, new[0]).standard
    assert not plan.migration("ridge of items").samples  # whose scales are between plain scores
