from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.align.test_fit import same_heads

from commonspace.align.edited import edited_rows
from commonspace.align.fit import fit_heads
from commonspace.align.fit_rows import RowsFit, fit_rows
from commonspace.align.negatives import Negatives
from commonspace.align.samplers.cluster import Cluster
from commonspace.core.errors import BadInput
from commonspace.core.protocols import Encoder
from commonspace.encode.columns import Rows
from commonspace.encode.joint import encode_joint, encode_rows
from commonspace.encode.ngrams import NGrams
from commonspace.encode.precomputed import Precomputed

THINGS = [f"{a}{b}" for a in ("ka", "lo", "mi", "nu", "pe") for b in ("tan", "rik", "sol", "wed")]
QUICK: dict[str, Any] = {"recipe": "plain", "epochs": 3, "batch_size": 16, "dim": 8, "baselines": (), "random_state": 0}


def rows(n: int = 60) -> Rows:
    """Things with a size that the name tells; a thing has one size, so the thing alone tells pairs apart."""
    rng = np.random.default_rng(0)
    thing = np.arange(n) % len(THINGS)
    big = rng.integers(0, 2, len(THINGS))[thing]
    texts = [f"{THINGS[t]} {'big' if b else 'small'}" for t, b in zip(thing, big, strict=True)]
    turn = np.linalg.qr(rng.normal(size=(22, 22)))[0]
    seen = np.hstack([np.eye(len(THINGS))[thing], np.eye(2)[big]]) @ turn
    return Rows({"image": list(seen), "text": texts}, thing, np.arange(n))


def encoders() -> dict[str, list[Encoder]]:
    return {"image": [Precomputed(dim=22)], "text": [NGrams(dim=16)]}


def fitted(train: Rows, valid: Rows | None = None, edits: Any = None, **options: Any) -> RowsFit:
    given = encoders()
    edited = edited_rows(edits, train, given, np.random.default_rng(0))
    return fit_rows(given, train, valid, edited=edited, **{**QUICK, **options})


SIZES = {"text": {"kinds": ["word"], "slots": {"size": ["big", "small"]}, "least": 99.0}}


def test_it_is_fit_heads_on_what_the_encoders_give() -> None:
    train, valid = rows().take(np.arange(60) % 20 < 15), rows().take(np.arange(60) % 20 >= 15)
    given = encoders()
    given["text"][0].fit(train.items["text"])
    X, present, blocks, _ = encode_rows(given, train)
    Xv, present_v, _, _ = encode_rows(given, valid)
    held = Xv, present_v, valid.labels
    edits = edited_rows(SIZES, train, given, np.random.default_rng(0))["text"].edits
    encoded = encode_joint(given["text"], edits.items, modality="text").vectors
    negatives = {"text": Negatives(encoded, edits.source, edits.owner, draws=4)}
    for asked, made in ((None, None), (SIZES, negatives)):
        want = fit_heads(X, present=present, groups=train.labels, valid=held, blocks=blocks, negatives=made, **QUICK)
        found = fitted(train, valid, asked)
        assert same_heads(found.result, want)
        assert found.n_valid == 15
        np.testing.assert_array_equal(found.X["text"], X["text"])


def test_a_detail_that_pairs_never_show_is_learned_from_edits() -> None:
    train = rows(200)
    swapped = [t.replace("big", "?").replace("small", "big").replace("?", "small") for t in train.items["text"]]

    def margin(edits: Any) -> float:
        given = encoders()
        edited = edited_rows(edits, train, given, np.random.default_rng(0))
        found = fit_rows(given, train, None, edited=edited, **{**QUICK, "epochs": 15})
        z = {m: h(found.X[m]) for m, h in found.result.heads.items()}
        other = found.result.heads["text"](encode_joint(given["text"], swapped, modality="text").vectors)
        return float(((z["image"] * z["text"]).sum(1) - (z["image"] * other).sum(1)).mean())

    assert margin(SIZES) > margin(None) + 0.02


def test_unusable_items_are_named_and_negatives_of_ones_own_exclude_edits() -> None:
    train = rows()
    train.items["text"][3] = 7
    assert fitted(train, on_error="skip", edits=SIZES).skipped["text"] == {3: "a text must be a string, not int"}
    negatives = {"text": Negatives(np.zeros((1, 16)), np.array([0]))}
    with pytest.raises(BadInput, match="either edits"):
        fitted(rows(), edits=SIZES, negatives=negatives)


@pytest.mark.parametrize("given", [dict, Cluster])
def test_a_sampler_is_told_of_the_rows_that_are_left(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Cluster] = []
    prepare = Cluster.prepare

    def noted(self: Cluster, *news: Any) -> None:
        prepare(self, *news)
        found.append(self)

    monkeypatch.setattr(Cluster, "prepare", noted)
    every = rows()
    train = every.take(np.arange(60) % 20 >= 5)
    asked = {"name": "cluster", "clusters": every.labels} if given is dict else Cluster(clusters=every.labels)
    fitted(train, sampler=asked)
    kinds = np.unique(train.labels, return_inverse=True)[1]
    assert found[0].labels_ is not None
    assert found[0].labels_.tolist() == kinds.tolist()


def of_table(table: Rows) -> Negatives:
    """One negative a row of the table, told apart by its first number; that of row 0 is right for the last row."""
    X = np.eye(16)[np.zeros(len(table), int)] * np.arange(1, len(table) + 1)[:, None]
    owner = np.full(len(table), -1)
    owner[0] = len(table) - 1
    return Negatives(X, np.arange(len(table)), owner)


def seen(monkeypatch: pytest.MonkeyPatch) -> list[Negatives]:
    """Return where the negatives will stand that training is handed."""
    handed: list[Negatives] = []

    def train(*_: Any, negatives: Any, **__: Any) -> None:
        handed.append(negatives["text"])

    monkeypatch.setattr("commonspace.align.fit_rows.fit_heads", train)
    return handed


def test_negatives_stand_at_positions_of_the_table_whatever_went_to_validation(monkeypatch: pytest.MonkeyPatch) -> None:
    handed, table = seen(monkeypatch), rows()
    held = table.labels % 3 == 1
    train, valid = table.take(~held), table.take(held)
    found = fitted(train, valid, negatives={"text": of_table(table)})
    assert found.left_out == {"text": int(held.sum())}
    left = handed[0]
    was = left.X[:, 0].astype(int) - 1  # the row of the table that each was made for
    np.testing.assert_array_equal(train.positions[left.source], was)
    assert sorted(was) == sorted(np.flatnonzero(~held))
    assert held[-1]
    assert (left.owner == -1).all()  # the last row, for which one would be right, is not trained on


def test_an_owner_that_is_trained_on_is_kept_at_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    handed, table = seen(monkeypatch), rows()
    held = table.labels % 3 == 2
    assert not held[-1]
    train = table.take(~held)
    fitted(train, table.take(held), negatives={"text": of_table(table)})
    assert train.positions[handed[0].owner[0]] == len(table) - 1


def test_a_validation_table_of_its_own_takes_no_negative_away(monkeypatch: pytest.MonkeyPatch) -> None:
    handed, table = seen(monkeypatch), rows()
    found = fitted(table, rows(90), negatives={"text": of_table(table)})
    assert found.left_out == {"text": 0}
    np.testing.assert_array_equal(handed[0].source, np.arange(len(table)))
    with pytest.raises(BadInput, match="positions from 0 to 59"):
        fitted(table, rows(90), negatives={"text": of_table(rows(61))})


def test_positions_beyond_the_table_are_refused_though_some_of_it_went_to_validation() -> None:
    table = rows()
    held = table.labels >= 15
    beyond = {"text": Negatives(np.ones((1, 16)), np.array([60]))}
    with pytest.raises(BadInput, match="positions from 0 to 59"):
        fitted(table.take(~held), table.take(held), negatives=beyond)
    with pytest.raises(BadInput, match=r"must be Negatives\(X, source\)"):
        fitted(table, negatives={"text": np.ones((60, 16))})


def test_old_vectors_stand_at_positions_of_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    handed: list[Any] = []
    monkeypatch.setattr("commonspace.align.fit_rows.fit_heads", lambda *_, **options: handed.append(options["old"]))
    table = rows()
    held = table.labels % 3 == 1
    train, valid = table.take(~held), table.take(held)
    old = np.random.default_rng(0).normal(size=(60, 4))
    fitted(train, valid, old={"image": old})
    np.testing.assert_array_equal(handed[0]["image"], old[train.positions])
    with pytest.raises(BadInput, match=r"old\['image'\] must have one row for each of the 60 rows"):
        fitted(train, valid, old={"image": old[:50]})
