import importlib

import pytest

import commonspace.upgrade as room


@pytest.mark.parametrize("name", room.__all__)
def test_every_name_handed_on_is_there(name):
    assert room.__all__ == sorted(room.__all__)
    assert getattr(room, name).__name__ == name
    assert name in dir(room)


def test_what_users_call_is_handed_on():
    wanted = {
        "plan": ("plan_upgrade", "Plan"), "probes": ("Probes",), "pairs": ("Pairs",), "options": ("Corpus", "Option"),
        "cutoffs": ("migrate_cutoff",), "calibrators": ("migrate_calibrator",), "scale": ("fit_scale", "level"),
    }  # fmt: skip
    for module, names in wanted.items():
        for name in names:
            assert getattr(room, name) is getattr(importlib.import_module(f"commonspace.upgrade.{module}"), name)


def test_what_is_not_there_is_no_name():
    with pytest.raises(AttributeError, match="nothing"):
        _ = room.nothing
