from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from commonspace import BadInput, BadItems, NotFitted, Space, SpaceMismatch
from commonspace.align.compatible import Compatible, check_earlier, earlier_rows, held_out
from commonspace.core.vectors import unit
from commonspace.encode.columns import Rows
from commonspace.encode.precomputed import Precomputed
from commonspace.measure import compare, compatibility, evaluate_retrieval

QUICK: dict[str, Any] = {"head": "linear", "epochs": 30, "batch_size": 64, "lr": 0.01, "cache": False, "baselines": ()}


def table(n: int, seed: int = 0) -> dict[str, list[Any]]:
    """Things seen through two pairs of glasses, with some noise."""
    rng = np.random.default_rng(seed)
    hidden, glasses = rng.normal(size=(n, 8)), np.random.default_rng(99)
    seen = {m: hidden @ glasses.normal(size=(8, 12)) + 0.7 * rng.normal(size=(n, 12)) for m in ("front", "back")}
    return {m: list(v.astype(np.float32)) for m, v in seen.items()} | {"thing": list(range(n))}


def space(dim: int, modalities: tuple[str, ...] = ("front", "back")) -> Space:
    return Space({m: Precomputed(dim=12) for m in modalities}, dim=dim)


def fitted(dim: int = 4, n: int = 40, **options: Any) -> Space:
    found = space(dim)
    found.fit(table(n), group="thing", valid=0.0, **{**QUICK, "batch_size": 20, **options})
    return found


@pytest.fixture(scope="module")
def old() -> Space:
    return fitted()


@pytest.fixture(scope="module")
def new(old: Space) -> tuple[Space, Any]:
    found = space(10)
    report = found.fit(table(500, seed=1), group="thing", valid=0.2, compatible_with=old, **QUICK)
    return found, report


def test_the_first_numbers_of_new_queries_find_more_in_the_old_gallery(old: Space, new: tuple[Space, Any]) -> None:
    test = table(200, seed=2)
    gallery = old.encode(test["back"], "back", cache=False)
    asked = {
        "old": old.encode(test["front"], "front", cache=False),
        "new": unit(new[0].encode(test["front"], "front", cache=False)[:, :4]),
    }
    keys = np.arange(200), np.arange(200)
    found = {v: evaluate_retrieval(q, gallery, keys, ["hit@10"])["hit@10"] for v, q in asked.items()}
    assert compare(found["new"], found["old"]).low > 0.03


def test_the_report_says_how_well_it_went_on_held_out_rows(old: Space, new: tuple[Space, Any]) -> None:
    _, report = new
    compatible = report.compatible
    assert (compatible.id, compatible.dim) == (old.id, 4)
    assert compatible.items == {"front": 400, "back": 400}
    assert set(compatible.held_out) == {"front->back", "back->front"}
    gain = compatible.held_out["front->back"].gain("new", "old")
    assert gain.n == 100
    assert gain.low > 0
    text = str(report)
    assert f"Comparable with space {old.id[:12]}, by the first 4 numbers" in text
    assert "new on old - old on old" in text
    assert json.loads(json.dumps(compatible.to_dict()))["held_out"]["back->front"]["metric"] == "hit@10"


def test_the_card_and_a_loaded_space_know_the_earlier_one(old: Space, new: tuple[Space, Any], tmp_path: Any) -> None:
    found, _ = new
    found.save(tmp_path / "s")
    again = Space.load(tmp_path / "s")
    assert again.compatible_with is not None
    assert (again.compatible_with["id"], again.compatible_with["dim"]) == (old.id, 4)
    assert again.id == found.id
    card = (tmp_path / "s" / "README.md").read_text(encoding="utf-8")
    assert "## Comparable with an earlier space" in card
    assert (
        f"The first 4 numbers of a vector, brought to length one, are compared with vectors of space `{old.id[:12]}`"
        in card
    )
    assert "| front->back | hit@10 | " in card
    assert "Orthogonal Transformation Layer" in card
    assert old.compatible_with is None


def test_what_the_report_holds_is_what_measure_finds() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) // 2
    new = {m: unit(rng.normal(size=(60, 6)) + np.eye(60)[labels][:, :6]) for m in "abc"}
    old = {m: new[m][:, :4].copy() for m in "ab"}
    old["a"][5] = new["b"][7] = 0  # nothing is known of these
    found = held_out(new, old, labels)
    assert set(found) == {"a->b", "b->a"}
    asks, there = np.arange(60) != 5, np.arange(60) != 7
    expected = compatibility(
        [old["a"][asks], new["a"][asks]], [old["b"][there], new["b"][there]], (labels[asks], labels[there]), "hit@10",
        names=["old", "new"], groups=labels[asks],
    )  # fmt: skip
    assert found["a->b"].to_dict() == expected.to_dict()
    twice = np.concatenate([np.arange(60), [0, 0, 7]])  # an item again in rows of its label changes nothing
    again = held_out({m: v[twice] for m, v in new.items()}, {m: v[twice] for m, v in old.items()}, labels[twice])
    assert again["b->a"].to_dict() == found["b->a"].to_dict()
    assert held_out({m: v[:8] for m, v in new.items()}, {m: v[:8] for m, v in old.items()}, labels[:8]) == {}


def test_rows_without_an_item_have_no_old_vector_and_bad_items_are_named(old: Space) -> None:
    data = table(6)
    items = {"front": [None, *data["front"][1:]], "back": [*data["back"][:4], np.full(12, np.nan), data["back"][5]]}
    rows = Rows(items, np.arange(6), np.arange(10, 16))
    with pytest.raises(BadItems, match="14"):
        earlier_rows(old, rows, ["front", "back"], on_error="raise", cache=None)
    found = earlier_rows(old, rows, ["front", "back"], on_error="skip", cache=None)
    assert found["front"].shape == (6, 4)
    assert not found["front"][0].any()
    assert not found["back"][4].any()
    np.testing.assert_allclose(found["back"][5], old.encode([data["back"][5]], "back", cache=False)[0], atol=1e-6)


def test_one_shared_modality_is_enough_and_another_compatibility_may_be_named(old: Space) -> None:
    found = Space({"front": Precomputed(dim=12), "side": Precomputed(dim=12)}, dim=6)
    data = table(60)
    data["side"] = data.pop("back")
    report = found.fit(
        data, group="thing", compatible_with=old, compatibility={"name": "bct", "weight": 0.5}, **{**QUICK, "epochs": 1}
    )
    assert report.compatible.items == {"front": 54}
    assert report.compatible.held_out == {}  # nothing in the old gallery to ask for across modalities
    assert report.result.params["objective"] == ["infonce", {"name": "bct", "weight": 0.5}]
    assert "new vectors" not in str(report)


def test_spaces_that_cannot_be_compared_are_refused_before_anything_is_encoded(old: Space) -> None:
    data = table(40)
    for wrong, words in (
        (space(3), "a new space of 3 dimensions has no 4 numbers"),
        (Space({"left": Precomputed(dim=12), "right": Precomputed(dim=12)}), "must share a modality by name"),
        (
            Space({"front": "ngrams", "back": Precomputed(dim=12)}),
            "'front' is of the kind 'vector' in the earlier space",
        ),
    ):
        with pytest.raises(BadInput, match=words):
            wrong.fit(data, group="thing", compatible_with=old, **QUICK)
    with pytest.raises(BadInput, match="must be a fitted space, not str"):
        space(8).fit(data, group="thing", compatible_with="old", **QUICK)  # type: ignore[arg-type]
    with pytest.raises(NotFitted):
        space(8).fit(data, group="thing", compatible_with=space(4), **QUICK)
    before = fitted()
    with pytest.raises(BadInput, match="cannot be fitted anew and be searched as it was"):
        before.fit(data, group="thing", compatible_with=before, **QUICK)
    assert before.fitted
    with pytest.raises(BadInput, match="either compatible_with, which encodes the rows for you, or old"):
        space(8).fit(data, group="thing", compatible_with=old, old={"front": np.ones((40, 4))}, **QUICK)


def test_a_space_whose_encoders_changed_is_a_mismatch_here_too(old: Space, tmp_path: Any, monkeypatch: Any) -> None:
    old.save(tmp_path / "s")
    again = Space.load(tmp_path / "s")
    monkeypatch.setattr(Precomputed, "fingerprint", property(lambda self: "other"))
    with pytest.raises(SpaceMismatch):
        space(8).fit(table(40), group="thing", compatible_with=again, **QUICK)


def test_what_is_compatible_prints_without_figures_too() -> None:
    text = str(Compatible("0123456789abcdef", 32, {"text": 1200}))
    assert text == (
        "Comparable with space 0123456789ab, by the first 32 numbers brought to length one (trained on old vectors of "
        "1,200 text items)"
    )


def test_check_earlier_names_what_is_shared(old: Space) -> None:
    assert check_earlier(old, {"side": [Precomputed(dim=3)], "back": [Precomputed(dim=12)]}, 4) == ["back"]


def test_heads_to_start_from_say_how_long_new_vectors_are(old: Space) -> None:
    short = fitted(3)
    with pytest.raises(BadInput, match=r"3 dimensions has no 4 numbers .* leave out start"):
        space(8).fit(table(40), group="thing", valid=0.0, start=short, compatible_with=old, **QUICK)
    found = Space(old.encoders, dim=2)  # of no account: the heads have 4
    found.fit(table(40), group="thing", valid=0.0, start=old, compatible_with=old, **{**QUICK, "epochs": 1})
    assert found.dim == old.dim == 4


def test_compatibility_is_not_passed_over_without_an_earlier_space(old: Space) -> None:
    with pytest.raises(BadInput, match="compatibility needs the items' vectors in an earlier space"):
        space(8).fit(table(40), group="thing", valid=0.0, compatibility="bct", **QUICK)
    rows, found = table(40), space(8)
    known = {m: old.encode(rows[m], m, cache=False) for m in old.modalities}
    found.fit(rows, group="thing", valid=0.0, old=known, compatibility="bct", **{**QUICK, "epochs": 1})
    assert found.info()["training"]["compatibility"] == "bct"
    assert space(8).fit(rows, group="thing", valid=0.0, **{**QUICK, "epochs": 1}).result.params["compatibility"] is None
