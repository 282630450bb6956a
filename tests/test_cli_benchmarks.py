"""`commonspace benchmark` builds, checks, runs and saves."""

import json

import pytest

from commonspace.cli import run_command

WORDS = ["coral", "reef", "dune", "sand", "river", "delta", "moss", "fern", "cloud", "storm", "basalt", "granite"]


@pytest.fixture
def books(tmp_path):
    rows = [
        {
            "id": i,
            "title": f"{WORDS[i % 12]} {WORDS[(i * 5 + 1) % 12]} {i}",
            "abstract": f"On {WORDS[i % 12]}, part {i}.",
        }
        for i in range(40)
    ]
    path = tmp_path / "books.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def ask(capsys, *arguments):
    status = run_command(["benchmark", *map(str, arguments)])
    return status, *capsys.readouterr()


def test_fields_of_a_table_become_a_benchmark_with_baselines_and_leaks(books, capsys):
    status, out, _ = ask(capsys, books, "--query", "title", "--document", "abstract", "--json")
    assert status == 0
    found = json.loads(out)
    assert list(found["figures"]) == ["random", "popularity", "bm25", "ngrams"]
    assert found["figures"]["bm25"]["hit@1"]["value"] > found["figures"]["random"]["hit@1"]["value"]
    assert [leak["name"] for leak in found["leaks"]] == ["copies", "twins", "repeats", "known", "length"]
    assert found["verdict"] == "Only baselines were run."


def test_an_encoder_stands_beside_the_baselines_in_the_table(books, capsys):
    status, out, _ = ask(capsys, books, "--query", "title", "--document", "abstract", "-e", "ngrams", "--pool", 20)
    assert status == 2, "an encoder that was not fitted cannot be asked"
    status, out, _ = ask(capsys, books, "--query", "title", "--document", "abstract", "--pool", 20)
    assert status == 0
    assert "20 documents" in out
    assert "pairs told apart" in out


def test_links_become_a_benchmark_that_is_saved_and_run_again(books, tmp_path, capsys):
    links = tmp_path / "links.csv"
    links.write_text("source,target\n" + "\n".join(f"{i},{(i + 12) % 40}" for i in range(40)), encoding="utf-8")
    folder = tmp_path / "saved"
    status, out, _ = ask(capsys, books, "--links", links, "--item", "abstract", "--save", folder, "--json")
    assert status == 0
    status, again, _ = ask(capsys, folder, "--json")
    assert status == 0
    assert json.loads(again)["id"] == json.loads(out)["id"]
    assert json.loads(again)["figures"] == json.loads(out)["figures"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "say what answers what"),
        (["--query", "title", "--document", "text"], "no column 'text'"),
        (["--links", "none.csv"], "none.csv"),
        (["--query", "title", "--document", "abstract", "--pool", "2"], "cannot hold"),
        (["--query", "title", "--document", "abstract", "--split", "dev"], "a split is one of"),
        (["--query", "title", "--document", "abstract", "-e", "nope"], "nope"),
    ],
)
def test_what_cannot_be_built_is_one_line(books, capsys, options, words):
    status, _, err = ask(capsys, books, *options)
    assert status == 2
    assert words in err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no table or folder nowhere"),
        (["t.jsonl", "--links", "t.jsonl", "--query", "q"], "not both"),
        (["t.jsonl", "--query", "q", "--document", "d", "-e", "nosuch"], "no Encoder named 'nosuch'"),
        (["t.jsonl", "--query", "q", "--document", "d", "--save", "/dev/null/made"], "/dev/null/made"),
    ],
)
def test_a_slip_is_one_line_and_status_2(tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.jsonl").write_text("\n".join(f'{{"q": "word {i}", "d": "text {i}"}}' for i in range(9)))
    assert run_command(["benchmark", *arguments]) == 2
    err = capsys.readouterr().err
    assert words in err
    assert len(err.strip().splitlines()) == 1
