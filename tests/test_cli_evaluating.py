"""The command eval: a page and a document, two spaces side by side, a collection with its index."""

import json

import numpy as np
import pytest
from tests.fake_space import DIM, Encoded, FakeSpace, text_vector

from commonspace import Collection
from commonspace.cli import run_command
from commonspace.core.vectors import unit

WORDS = [
    f"{a} {b}" for a in ("red", "blue", "green", "old", "new") for b in ("car", "boat", "house", "tree", "bird", "hat")
]


class Space(FakeSpace):
    """Whose images are vectors near those of their texts; that of id "worse" turns half of them away."""

    def bank(self, modality):
        return unit(np.random.default_rng(1).normal(size=(20, DIM)).astype(np.float32))

    def encode_items(self, items, modality, **options):
        found = super().encode_items(items, modality, **options)
        if self.id != "worse" or modality != "image":
            return found
        vectors = found.vectors.copy()
        vectors[::2] = vectors[::2, ::-1]
        return Encoded(vectors, found.kept, found.skipped)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a table, two spaces, and a collection of the pictures with an index."""
    folder = tmp_path_factory.mktemp("eval")
    rng = np.random.default_rng(0)
    rows = []
    for i, words in enumerate(WORDS * 3):
        near = text_vector(words) + 0.15 * rng.normal(size=DIM)
        rows.append({"id": i, "text": words, "image": near.tolist(), "kind": words.split()[1]})
    (folder / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("commonspace.space.Space", Space)
        for name in ("good", "worse"):
            Space(name).save(folder / name)
        with Collection.create(folder / "c.cs", Space("good")) as c:
            c.add(
                [{k: r[k] for k in ("id", "image", "kind")} | {"name": r["text"]} for r in rows],
                fields=["name", "kind"],
            )
            c.build_index(code="scalar")
        yield folder


@pytest.fixture
def run(place, capsys):
    """Run eval in this process: (status, standard output, standard error)."""

    def call(path, *arguments):
        capsys.readouterr()
        status = run_command(["eval", str(place / path), str(place / "t.jsonl"), *map(str, arguments)])
        return (status, *capsys.readouterr())

    return call


def test_the_verdict_comes_first_then_figures_beside_chance(run):
    status, out, _ = run("good")
    assert status == 0
    assert out.startswith("Search works in both directions: it finds more than chance.")
    (row,) = [line for line in out.splitlines() if line.startswith("text->image") and " hit@10 " in line]
    assert row.split()[-1] == "chance"


def test_a_page_and_a_document_of_the_same_name_are_written(run, tmp_path):
    status, out, _ = run("good", "--out", tmp_path / "deep" / "r.html", "--class-column", "kind")
    assert status == 0
    assert "r.html" in out.splitlines()[-1]
    page, document = (tmp_path / "deep" / "r.html").read_text(), json.loads((tmp_path / "deep" / "r.json").read_text())
    assert page.startswith("<!doctype html>")
    assert {"How much is found", "By class"} <= {s["title"] for s in document["sections"]}
    for s in document["sections"]:
        assert s["title"] in page
    assert document["about"]["table"] == "t.jsonl, 90 rows"


def test_the_document_can_be_printed_or_written_alone(run, tmp_path):
    status, out, _ = run("good", "--json", "-m", "hit@1")
    printed = json.loads(out)
    assert status == 0
    assert [(r["task"], r["metric"]) for r in printed["metrics"]] == [
        ("text->image", "hit@1"),
        ("image->text", "hit@1"),
    ]
    assert run("good", "-m", "hit@1", "-o", tmp_path / "r.json")[0] == 0
    assert json.loads((tmp_path / "r.json").read_text())["metrics"] == printed["metrics"]
    assert not (tmp_path / "r.html").exists()


def test_figures_are_those_of_evaluate_modalities(run, place):
    from commonspace.core.tables import read_table
    from commonspace.search.evaluation import evaluate_modalities

    printed = json.loads(run("good", "--json")[1])["metrics"]
    table, space = read_table(place / "t.jsonl"), Space("good")
    labels = np.unique(list(table["text"]), return_inverse=True)[1]
    vectors = {m: (space.encode(list(table[m]), m), labels) for m in ("text", "image")}
    plain = evaluate_modalities(vectors, metrics=["hit@1", "mrr"], bank=space.bank)
    for row in printed:
        if row["metric"] in ("hit@1", "mrr"):
            assert row["value"] == pytest.approx(plain[row["task"]][row["metric"]].value)


def test_two_spaces_are_put_side_by_side(run, place):
    status, out, _ = run("good", "--compare", place / "worse", "--json")
    assert status == 0
    document = json.loads(out)
    assert "good finds more than worse" in document["verdict"]
    compared = {(r["task"], r["metric"]): r for r in document["compared"]}
    assert compared["text->image", "hit@1"]["difference"]["p_value"] < 0.05
    assert compared["text->image", "median_rank"]["difference"] is None
    assert "good beside worse" in {s["title"] for s in document["sections"]}


def test_a_collection_answers_by_its_index_beside_exact_search(run):
    status, out, _ = run("c.cs", "-c", "text=text", "--json")
    assert status == 0
    document = json.loads(out)
    assert {r["task"] for r in document["metrics"]} == {"text->image"}
    assert {r["metric"] for r in document["index"]} >= {"hit@1", "hit@10"}
    assert "the index" in document["verdict"]
    assert document["about"]["right answers"] == "items of the collection with the row's id"


def test_right_answers_of_a_collection_are_those_of_the_same_label_where_a_group_is_named(run, tmp_path, place):
    by_id = json.loads(run("c.cs", "--json", "-m", "recall@10")[1])["metrics"][0]
    by_kind = json.loads(run("c.cs", "--json", "-m", "recall@10", "-g", "kind")[1])["metrics"][0]
    assert by_id["value"] > by_kind["value"]  # of 15 pictures of a kind the first ten hold at most ten


def test_rows_and_items_without_a_label_are_no_right_answers_to_one_another(run, tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {
            "id": i,
            "text": w,
            "image": (text_vector(w) + 0.1 * rng.normal(size=DIM)).tolist(),
            "kind": None if i % 2 else w,
        }
        for i, w in enumerate(WORDS)
    ]
    with Collection.create(tmp_path / "c.cs", Space("good")) as c:
        c.add([{k: r[k] for k in ("id", "image", "kind")} for r in rows], fields=["kind"])
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    status = run_command(["eval", str(tmp_path / "c.cs"), str(tmp_path / "t.jsonl"), "-g", "kind", "-m", "hit@1",
                          "-o", str(tmp_path / "r.json")])  # fmt: skip
    assert status == 0
    assert json.loads((tmp_path / "r.json").read_text())["metrics"][0]["n"] == len(WORDS) // 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [("", "no rows"), ('{"text": "red", "image": "broken"}', "no row of the table has an item of image")],
)
def test_a_table_of_which_nothing_is_left_says_so(place, tmp_path, capsys, rows, words):
    (tmp_path / "t.jsonl").write_text(rows)
    assert run_command(["eval", str(place / "good"), str(tmp_path / "t.jsonl"), "--on-error", "skip"]) == 2
    assert words in capsys.readouterr().err


def test_hubs_can_be_corrected(run):
    plain, corrected = (json.loads(run("good", "--json", *more)[1]) for more in ((), ("--hubs", "csls")))
    assert corrected["about"]["hubs"] == "csls"
    assert plain["metrics"] != corrected["metrics"]


@pytest.mark.parametrize(
    ("path", "arguments", "words"),
    [
        ("good", ("-o", "r.pdf"), ".html or .json"),
        ("good", ("-m", "speed@1"), "speed"),
        ("good", ("--class-column", "nothing"), "nothing"),
        ("good", ("--hubs", "magic"), "csls"),
        ("good", ("-c", "text=title"), "no column 'title'"),
        ("c.cs", ("--compare", "good"), "not of a collection"),
        ("good", ("--compare", "good/../good"), "another space"),
        ("good", ("-o", "/dev/null/new/r.html"), "no folder /dev/null/new"),
        ("good", ("-o", "folder.html"), "is a folder"),
        ("c.cs", ("-g", "colour"), "colour"),
        ("c.cs", ("-g", "text"), "no field 'text'"),
    ],
)
def test_bad_input_is_one_clear_line_and_status_2(run, place, monkeypatch, path, arguments, words):
    monkeypatch.chdir(place)
    (place / "folder.html").mkdir(exist_ok=True)
    status, _, err = run(path, *arguments)
    assert status == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1
