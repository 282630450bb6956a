import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from commonspace.cli import run_command

pytest.importorskip("torch")
COLOURS = {"black": 0, "grey": 120, "white": 245}
SHAPES = ("bar", "block")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with pictures, a table, a fitted space and a filled collection, all made by the command line."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    lines = ["id,text,image,kind"]
    for i in range(72):
        colour, shape = list(COLOURS)[i % 3], SHAPES[i // 3 % 2]
        ink = np.full((16, 16), 200, np.uint8)
        ink[4:12, 2:14] = COLOURS[colour] if shape == "block" else ink[4:12, 2:14]
        ink[:, 6:9] = COLOURS[colour] if shape == "bar" else ink[:, 6:9]
        noisy = np.clip(ink + rng.integers(-5, 6, ink.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i}.png")
        lines.append(f"{i},{colour} {shape},{i}.png,{shape}")
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COMMONSPACE_CACHE", str(folder / "cache"))
        fit = ["fit", str(folder / "t.csv"), "-e", "text=ngrams", "-e", "image=pixels,hog"]
        assert run_command([*fit, "--dim", "16", "--out", str(folder / "space"), "--epochs", "15"]) == 0
        add = ["add", str(folder / "i.cs"), str(folder / "t.csv"), "--space", str(folder / "space")]
        assert run_command([*add, "-c", "text=text", "-c", "image=image", "-f", "kind", "-f", "text"]) == 0
        yield folder


def run(capsys, *arguments):
    """Run a command in this process: (status, standard output, standard error)."""
    capsys.readouterr()
    status = run_command([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_search_by_words_finds_what_they_name(place, capsys):
    status, out, _ = run(capsys, "search", place / "i.cs", "black bar", "-k", 3, "--against", "image", "--json")
    assert status == 0
    hits = json.loads(out)
    assert [h["text"] for h in hits] == ["black bar"] * 3


def test_search_by_picture_with_a_condition(place, capsys):
    picture = f"image={place / '0.png'}"
    status, out, _ = run(
        capsys, "search", place / "i.cs", "--by", picture, "--where", "kind = 'block'", "-k", 5, "--json"
    )
    assert status == 0
    assert {h["kind"] for h in json.loads(out)} == {"block"}


def test_words_and_picture_are_summed(place, capsys):
    status, out, _ = run(capsys, "search", place / "i.cs", "block", "--by", f"image={place / '0.png'}", "-k", 2)
    assert status == 0
    assert len(out.strip().splitlines()) == 3


def test_encode_writes_arrays_and_tables(place, capsys, tmp_path):
    for name in ("v.npy", "v.parquet"):
        arguments = ("encode", place / "space", place / "t.csv", "-m", "image", "-o", tmp_path / name)
        assert run(capsys, *arguments)[0] == 0
    vectors = np.load(tmp_path / "v.npy", allow_pickle=False)
    assert vectors.shape == (72, 16)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    from commonspace.core.tables import read_table

    table = read_table(tmp_path / "v.parquet")
    np.testing.assert_array_equal(table["vector"], vectors)
    assert list(table["id"]) == list(range(72))


def test_eval_prints_figures_with_intervals(place, capsys):
    status, out, _ = run(capsys, "eval", place / "space", place / "t.csv", "--json", "-m", "hit@1")
    assert status == 0
    rows = json.loads(out)["metrics"]
    assert {r["task"] for r in rows} == {"text->image", "image->text"}
    assert all(r["low"] <= r["value"] <= r["high"] for r in rows)


def test_info_tells_a_space_from_a_collection(place, capsys):
    assert json.loads(run(capsys, "info", place / "space", "--json")[1])["kind"] == "space"
    facts = json.loads(run(capsys, "info", place / "i.cs", "--json")[1])
    assert (facts["kind"], facts["items"]) == ("collection", 72)


def test_hubs_can_be_corrected_in_search_and_eval(place, capsys):
    found = [
        json.loads(run(capsys, "search", place / "i.cs", "grey block", "--against", "image", "--json", *more)[1])
        for more in ((), ("--hubs", "csls"))
    ]
    assert found[0][0]["score"] > found[1][0]["score"]  # no longer a cosine: something was taken off
    assert run(capsys, "eval", place / "space", place / "t.csv", "--hubs", "csls", "-m", "hit@1", "--json")[0] == 0
    status, _, err = run(capsys, "search", place / "i.cs", "grey block", "--hubs", "magic")
    assert status == 2
    assert "csls" in err


def test_methods_lists_every_entry_of_the_registry(capsys):
    from commonspace.core.registry import entries

    status, out, _ = run(capsys, "methods", "--json")
    listed = json.loads(out)
    assert status == 0
    assert len(listed) == len(entries())
    assert set(listed[0]) == {"name", "family", "protocol", "titles", "test", "claim", "docs"}
    assert "infonce" in run(capsys, "methods")[1]


def test_methods_for_a_table_say_what_suits_and_why_the_rest_does_not(place, capsys, tmp_path):
    status, out, _ = run(capsys, "methods", "--for", place / "t.csv", "--json")
    told = json.loads(out)
    assert status == 0
    assert told["roles"] == {"sides": {"text": "text", "image": "image"}, "label": "kind"}
    suits = {m["name"]: m for m in told["methods"]}
    assert suits["equiangular"]["suits"]
    assert not suits["locality"]["suits"]
    plain = run(capsys, "methods", "--for", place / "t.csv", "-p", "Sampler")[1]
    assert "auto would take" in plain
    assert "uniform" in plain
    assert "infonce" not in plain
    (tmp_path / "r.toml").write_text('anchor = "text"\npositive = "image"\nnegatives = "kind"\n')
    given = run(capsys, "methods", "--for", place / "t.csv", "--roles", tmp_path / "r.toml", "--json")[1]
    assert {m["name"]: m for m in json.loads(given)["methods"]}["locality"]["suits"]


def test_fit_prints_which_objective_was_chosen_and_why(place, capsys, tmp_path):
    command = ("fit", place / "t.csv", "-e", "text=ngrams", "-e", "image=pixels", "-o", tmp_path / "s", "--epochs", 1)
    status, out, _ = run(capsys, *command, "--objective", "auto")
    assert status == 0
    assert "Chosen: objective" in out
    assert "Chosen" not in run(capsys, *command, "--objective", "tal")[1]


def test_fit_stays_comparable_with_an_earlier_space(place, capsys, tmp_path):
    command = ("fit", place / "t.csv", "-e", "text=ngrams", "-e", "image=pixels", "-o", tmp_path / "s", "--epochs", 1)
    status, out, _ = run(capsys, *command, "--dim", 20, "--compatible-with", place / "space")
    assert status == 0
    assert "by the first 16 numbers brought to length one" in out
    status, _, err = run(capsys, *command, "--dim", 8, "--compatible-with", place / "space")
    assert status != 0
    assert "has no 16 numbers to compare" in err


def test_fit_trains_against_edits_of_texts(place, capsys, tmp_path):
    command = ("fit", place / "t.csv", "-e", "text=ngrams", "-e", "image=pixels", "-o", tmp_path / "s", "--epochs", 1)
    for asked in ("text", "text=word,number"):
        status, out, _ = run(capsys, *command, "--edits", asked)
        assert status == 0
        assert "edits of text items were trained against" in out
    for asked, message in (("image", "only texts and records"), ("text=swap", "'swap'"), ("text=", "modality=value")):
        status, _, err = run(capsys, *command, "--edits", asked)
        assert status == 2
        assert message in err


def test_adding_the_same_items_again_needs_upsert(place, capsys):
    again = ("add", place / "i.cs", place / "t.csv", "-c", "text=text", "-c", "image=image", "-f", "kind", "-f", "text")
    status, _, err = run(capsys, *again)
    assert status == 2
    assert "upsert" in err
    assert run(capsys, *again, "--upsert")[0] == 0
    assert json.loads(run(capsys, "info", place / "i.cs", "--json")[1])["items"] == 72


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "nothing.cs", "word"), "nothing.cs"),
        (("search", "{i.cs}", "word", "-k", "0"), "at least 1"),
        (("search", "{i.cs}", "word", "--where", "kind === 'x'"), "kind === 'x'"),
        (("search", "{i.cs}", "word", "--where", "colour = 'x'"), "kind"),
        (("search", "{i.cs}", "--by", "audio=x.wav"), "audio"),
        (("search", "{i.cs}", "--by", "image"), "modality=value"),
        (("search", "{i.cs}", "--by", "image=missing.png"), "missing.png"),
        (("search", "{i.cs}"), "words to search for"),
        (("encode", "{space}", "{t.csv}", "-m", "audio", "-o", "v.npy"), "no modality 'audio'"),
        (("encode", "{space}", "{t.csv}", "-m", "text", "-o", "v.txt"), ".npy or .parquet"),
        (("encode", "{space}", "{t.csv}", "-m", "text", "-c", "title", "-o", "v.npy"), "no column 'title'"),
        (("eval", "{space}", "{t.csv}", "-m", "speed@1"), "speed"),
        (("fit", "{t.csv}", "-e", "text=ngram", "-e", "image=hog", "-o", "x"), "Did you mean 'ngrams'"),
        (("fit", "none.csv", "-e", "text=ngrams", "-e", "image=hog", "-o", "x"), "none.csv"),
        (("add", "new.cs", "{t.csv}"), "--space"),
        (("info", "nowhere"), "nowhere"),
        (("methods", "--protocol", "Wheel"), "unknown protocol"),
        (("methods", "--for", "none.csv"), "none.csv"),
        (("methods", "--for", "{t.csv}", "--roles", "none.toml"), "no recipe none.toml"),
        (("methods", "--roles", "none.toml"), "--for"),
        (("fit", "{t.csv}", "-e", "text=ngrams", "-e", "image=hog", "-o", "x", "--objective", "infonc"), "infonce"),
        (
            ("fit", "{t.csv}", "-e", "text=ngrams", "-e", "image=hog", "-o", "x", "--objective", "nonsense"),
            "Known: auto, ",
        ),
        (("frobnicate",), "frobnicate"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(place, capsys, arguments, message):
    filled = [str(place / a[1:-1]) if a.startswith("{") else a for a in arguments]
    status, out, err = run(capsys, *filled)
    assert status == 2
    assert out == ""
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert "Traceback" not in err


def test_help_names_every_command(capsys):
    status, out, _ = run(capsys, "--help")
    assert status == 0
    assert all(c in out for c in ("demo", "fit", "encode", "add", "search", "eval", "info", "methods"))


def test_an_unreadable_picture_can_be_skipped_and_is_named(place, capsys, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    (tmp_path / "u.csv").write_text(f"id,image\n100,{place / '1.png'}\n101,bad.png\n")
    arguments = ("add", tmp_path / "n.cs", tmp_path / "u.csv", "--space", place / "space")
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert "position 1" in err
    status, out, err = run(capsys, *arguments, "--on-error", "skip")
    assert status == 0
    assert "left out row 1" in err
    assert "Added 1 items" in out


def test_ctrl_c_in_training_saves_what_was_learned_and_says_so_with_130(place, capsys, tmp_path, monkeypatch):
    import importlib

    trainer = importlib.import_module("commonspace.align.training.trainer").Trainer
    whole = trainer.epoch

    def epoch(self, number):
        if number == 2:
            raise KeyboardInterrupt
        return whole(self, number)

    monkeypatch.setattr(trainer, "epoch", epoch)
    command = ("fit", place / "t.csv", "-e", "text=ngrams", "-e", "image=pixels", "-o", tmp_path / "s", "--epochs", 5)
    status, out, err = run(capsys, *command)
    assert status == 130
    assert "2 epochs" in out
    assert "stopped" in err
    assert run(capsys, "info", tmp_path / "s")[0] == 0


@pytest.mark.e2e
def test_ctrl_c_stops_with_130_and_leaves_nothing_half_done(place, tmp_path):
    command = ["fit", place / "t.csv", "-e", "text=ngrams", "-e", "image=hog", "-o", tmp_path / "s", "--epochs", "1"]
    code = (
        "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "import commonspace.align.fit as f; from commonspace.cli import main\n"
        "f.fit_heads = lambda *a, **k: (print('training', flush=True), time.sleep(60))\n"
        f"main({[str(c) for c in command]!r})"
    )
    environment = {**os.environ, "PYTHONPATH": "src"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, text=True, **pipes)
    assert child.stdout.readline() == "training\n"
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err.strip().endswith("stopped")
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []
