from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.align.conftest import two_views
from tests.align.test_fit import SMALL, same_heads

from commonspace.align.fit import fit_heads
from commonspace.align.objectives.bct import BCT
from commonspace.align.objectives.mod_x import ModX
from commonspace.align.objectives.oca import OCA
from commonspace.align.training.compatible import compatible
from commonspace.align.training.recipe import Recipe
from commonspace.core.errors import BadInput, NotFound

BCT_INSTANCE = BCT()
OCA_OF_HCL = OCA(objective="hcl")


@pytest.mark.parametrize(
    ("base", "compatibility", "expected"),
    [
        ("infonce", None, "infonce"),
        ("infonce", "bct", ["infonce", "bct"]),
        (["infonce", "siamlip"], {"name": "bct", "weight": 2}, ["infonce", "siamlip", {"name": "bct", "weight": 2}]),
        ("infonce", "oca", {"name": "oca", "objective": "infonce"}),
        ("cwcl", {"name": "oca", "pull": 0.1}, {"name": "oca", "pull": 0.1, "objective": "cwcl"}),
        ("infonce", {"name": "oca", "objective": "hcl"}, ["infonce", {"name": "oca", "objective": "hcl"}]),
        ("infonce", BCT_INSTANCE, ["infonce", BCT_INSTANCE]),
        ("infonce", {"name": "oca", "objective": "infonce"}, {"name": "oca", "objective": "infonce"}),
        ("cwcl", OCA, {"name": "oca", "objective": "cwcl"}),
        ("infonce", OCA_OF_HCL, ["infonce", OCA_OF_HCL]),
    ],
)
def test_an_objective_gets_company_or_a_frame(base: Any, compatibility: Any, expected: Any) -> None:
    assert compatible(Recipe(objective=base), compatibility, old=True).objective == expected


@pytest.mark.parametrize("base", ["infonce", "cwcl", {"name": "matryoshka", "objective": "infonce", "sizes": [4, 16]}])
def test_the_base_that_an_instance_has_by_default_is_not_added_to_that_of_the_recipe(base: Any) -> None:
    found = compatible(Recipe(objective=base), OCA(pull=0.1, temperature=0.2), old=True).objective
    assert (found["name"], found["objective"], found["pull"], found["temperature"]) == ("oca", base, 0.1, 0.2)
    kept = compatible(Recipe(objective=base), ModX(alpha=5.0), old=True).objective
    assert kept == {"name": "mod-x", "objective": base, "alpha": 5.0, "temperature": 1.0, "only_right": True}


def test_an_instance_trains_as_its_name_does() -> None:
    X = two_views(120)
    old = {m: np.random.default_rng(0).normal(size=(120, 6)) for m in X}
    options = {**SMALL, "epochs": 2, "old": old}
    named = fit_heads(X, compatibility="oca", **options)
    assert same_heads(named, fit_heads(X, compatibility=OCA(), **options))
    assert named.history[0]["loss"] == fit_heads(X, compatibility=OCA(), **options).history[0]["loss"]


@pytest.mark.parametrize("objective", ["bct", {"name": "simplex", "classes": 120}, {"name": "oca"}])
def test_a_space_without_room_for_the_old_numbers_is_refused(objective: Any) -> None:
    X = two_views(120)
    old = {m: np.random.default_rng(0).normal(size=(120, 17)) for m in X}
    nested = {"name": "matryoshka", "objective": ["infonce", objective], "sizes": [4]}
    for asked in (objective, ["infonce", objective], nested, {"name": "oca", "objective": objective}):
        with pytest.raises(BadInput, match=r"16 dimensions has no 17 numbers.*pass a dim of at least 17"):
            fit_heads(X, old=old, objective=asked, **SMALL)
    fit_heads(X, old=old, objective=objective, **{**SMALL, "dim": 17, "epochs": 1})


def test_what_compares_no_numbers_may_have_any_dimensions() -> None:
    X = two_views(120)
    old = {m: np.random.default_rng(0).normal(size=(120, 17)) for m in X}
    found = fit_heads(X, old=old, objective="mod-x", **{**SMALL, "epochs": 1})
    assert "divergence" in found.history[0]


def test_an_earlier_space_that_has_no_item_is_refused() -> None:
    X = two_views(120)
    none = {m: np.zeros((120, 6), np.float32) for m in X}
    with pytest.raises(BadInput, match=r"old holds no vector of a training item: the rows of 'a', 'b'"):
        fit_heads(X, old=none, compatibility="oca", **SMALL)
    some = {**none, "a": np.eye(120, 6, dtype=np.float32)}
    fit_heads(X, old=some, compatibility="oca", **{**SMALL, "epochs": 1})


def test_without_an_earlier_space_there_is_nothing_to_be_compatible_with() -> None:
    assert compatible(Recipe(), None, old=False) == Recipe()
    with pytest.raises(BadInput, match=r"old=\{modality: rows\} to fit_heads, or compatible_with"):
        fit_heads(two_views(40), compatibility="bct", **SMALL)
    with pytest.raises(NotFound, match="bct"):
        fit_heads(two_views(40), old={"a": np.eye(40)}, compatibility="bctt", **SMALL)


def test_a_fit_is_that_of_the_objective_it_makes() -> None:
    X = two_views(120)
    old = {m: np.random.default_rng(0).normal(size=(120, 6)) for m in X}
    options = {**SMALL, "epochs": 2, "old": old}
    asked = fit_heads(X, compatibility="bct", **options)
    assert same_heads(asked, fit_heads(X, objective=["infonce", "bct"], **options))
    assert asked.params["compatibility"] == "bct"
    assert not same_heads(asked, fit_heads(X, **options))


def test_only_whole_vectors_of_a_nested_space_are_made_comparable() -> None:
    X = two_views(120)
    old = {m: np.random.default_rng(0).normal(size=(120, 6)) for m in X}
    options = {**SMALL, "epochs": 1, "old": old, "matryoshka": [4]}
    found = fit_heads(X, compatibility="oca", **options)
    assert found.params["objective"] == {
        "name": "oca", "objective": {"name": "matryoshka", "objective": "infonce", "sizes": [4, 16]},
    }  # fmt: skip
    assert set(found.by_size) == {4, 16}


def test_what_auto_chooses_is_made_compatible_too() -> None:
    X = two_views(120)
    found = fit_heads(X, old={"a": X["a"]}, objective="auto", compatibility="oca", **{**SMALL, "epochs": 1, "dim": 24})
    assert found.choice is not None
    assert found.params["objective"] == {"name": "oca", "objective": found.choice.objective}


@pytest.mark.parametrize("wrong", [["oca", "bct"], [OCA_OF_HCL], 3])
def test_what_is_no_objective_is_refused_in_words(wrong: Any) -> None:
    with pytest.raises(BadInput, match="compatibility is the name of one objective"):
        compatible(Recipe(objective="infonce"), wrong, old=True)
