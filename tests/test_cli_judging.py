"""`commonspace doctor` on everything it takes, and on what it does not."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from commonspace.cli import run_command
from commonspace.cli.shared import sheet


@pytest.fixture
def matrix(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 16)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    x[7] = np.nan
    np.save(tmp_path / "m.npy", x)
    return tmp_path / "m.npy"


def run(capsys, *arguments):
    capsys.readouterr()
    status = run_command([str(a) for a in arguments])
    out, err = capsys.readouterr()
    return status, out, err


def test_findings_are_printed_flagged_first_with_advice_and_the_status_is_zero(matrix, capsys):
    status, out, err = run(capsys, "doctor", matrix)
    assert status == 0
    assert "1 of 6 findings needs attention: norms." in out
    assert "row 7" in out
    assert "norms: Leave out or encode again" in out
    assert "not looked for: gap (there is one modality only)" in err


def test_one_finding_as_json(matrix, capsys):
    status, out, _ = run(capsys, "doctor", matrix, "--finding", "norms", "--json")
    assert status == 0
    (found,) = json.loads(out)["found"]
    assert (found["finding"], found["flag"]) == ("norms", True)


def test_what_is_not_a_number_is_null_in_json(tmp_path, capsys):
    np.save(tmp_path / "m.npy", np.full((3, 8), np.nan))
    _, out, _ = run(capsys, "doctor", tmp_path / "m.npy", "--json")
    found = json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["found"][0]["flag"]


def test_remedies_are_tried_when_asked_for(matrix, capsys):
    _, out, _ = run(capsys, "doctor", matrix, "-f", "norms", "--treat")
    assert "unit-length" in out
    assert "not measured" in out


def test_reports_are_written(matrix, tmp_path, capsys):
    assert run(capsys, "doctor", matrix, "-f", "isotropy", "--out", tmp_path / "r.html")[0] == 0
    assert "Isotropy" in (tmp_path / "r.html").read_text(encoding="utf-8")
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["title"] == "Check-up of m.npy"


def test_a_matrix_can_be_compared_with_an_earlier_one_and_with_training(matrix, tmp_path, capsys):
    np.save(tmp_path / "old.npy", np.load(matrix)[:100])
    options = ["--earlier", tmp_path / "old.npy", "--training", tmp_path / "old.npy"]
    _, out, _ = run(capsys, "doctor", matrix, *options, "-f", "leaks", "-f", "drift", "--json")
    found = {f["finding"]: f for f in json.loads(out)["found"]}
    assert found["leaks"]["flag"]
    assert not found["drift"]["flag"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nosuch"], "there is no space, collection or matrix nosuch"),
        (["m.npy", "-f", "nosuch"], "there is no Finding named 'nosuch'"),
        (["m.npy", "--table", "t.csv"], "is a matrix"),
        (["m.npy", "--group", "g"], "which has none"),
        (["m.npy", "--out", "r.pdf"], "must end in .html or .json"),
        (["m.npy", "--earlier", "nosuch.npy"], "there is no space, collection or matrix nosuch.npy"),
        (["m.npy", "--training", "wide.npy"], "two spaces"),
        (["t.csv"], "is no .npy matrix"),
        (["folder"], "neither a space"),
        (["m.npy", "-c", "text"], "--column must look like"),
        (["space"], "name a table"),
    ],
)
def test_wrong_input_is_one_line_and_status_two(matrix, arguments, words, capsys, monkeypatch):
    monkeypatch.chdir(matrix.parent)
    (matrix.parent / "t.csv").write_text("a\n1\n")
    (matrix.parent / "folder").mkdir()
    (matrix.parent / "space").mkdir()
    (matrix.parent / "space" / "config.json").write_text("{}")
    np.save(matrix.parent / "wide.npy", np.eye(20))
    status, out, err = run(capsys, "doctor", *arguments)
    assert status == 2
    assert out == ""
    assert words in err
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_prints_what_was_found_and_says_so_with_its_status(tmp_path):
    np.save(tmp_path / "big.npy", np.random.default_rng(0).normal(size=(40_000, 64)).astype(np.float32))
    slow = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # runs in the background inherit its being ignored
        "from commonspace.judge.findings.norms import Norms\n"
        "from commonspace.cli import main\n"
        "def look(self, subject, rng):\n"
        "    print('looking', file=sys.stderr, flush=True)\n"
        "    time.sleep(60)\n"
        "Norms.look = look\n"
        "main(sys.argv[1:])\n"
    )
    command = [sys.executable, "-c", slow, "doctor", str(tmp_path / "big.npy"), "-f", "isotropy", "-f", "norms"]
    running = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert running.stderr is not None
    assert running.stderr.readline().strip() == "looking"
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert "isotropy" in out
    assert "Stopped before all was done" in out
    assert "Traceback" not in err


def test_what_looks_like_markup_is_printed_as_it_is(capsys):
    sheet(["of", "said"], [["[red]", "worst is [/x] [bold]loud"]])
    assert "[red]  worst is [/x] [bold]loud" in capsys.readouterr().out


def test_a_wrong_finding_is_refused_before_anything_is_read(matrix, monkeypatch, capsys):
    monkeypatch.setattr("commonspace.cli.judging._subject", lambda *_: pytest.fail("it was read"))
    status, _, err = run(capsys, "doctor", matrix, "-f", "nosuch")
    assert status == 2
    assert "nosuch" in err


def test_where_no_report_can_be_written_is_said_before_anything_is_read(matrix, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("commonspace.cli.judging._subject", lambda *_: pytest.fail("it was read"))
    (tmp_path / "r.json").mkdir()
    status, _, err = run(capsys, "doctor", matrix, "-o", tmp_path / "r.html")
    assert status == 2
    assert "r.json is a folder" in err
