"""The verdict says what the figures show, and no more."""

import json

import numpy as np
import pytest
from tests.judge.test_directions import sides

from commonspace.core.errors import BadInput, NotFound
from commonspace.core.vectors import unit
from commonspace.judge import Report
from commonspace.judge.directions import Direction, Side, directions_of
from commonspace.judge.evaluation import evaluation_report
from commonspace.judge.judged import judge_all, weaker
from commonspace.judge.page import jsonable, render

SOME = ("hit@1", "hit@10", "median_rank")


def noise(n=200, seed=0, kind="vector"):
    """Two modalities that know nothing of each other."""
    rng = np.random.default_rng(seed)
    x, y = (unit(rng.normal(size=(n, 6))).astype(np.float32) for _ in range(2))
    return {"text": Side(x, np.arange(n), kind), "image": Side(y, np.arange(n), kind)}


def lopsided(n=300, seed=0):
    """Queries of `a` find their partner; many of `b` lie so near one thing of `a` that they find that one instead."""
    rng = np.random.default_rng(seed)
    x = unit(rng.normal(size=(n, 8))).astype(np.float32)
    y = unit(x + 0.25 * rng.normal(size=x.shape)).astype(np.float32)
    x = np.vstack([x, *[unit(y[: n // 2] + 0.01 * rng.normal(size=(n // 2, 8)))]]).astype(np.float32)
    labels = np.r_[np.arange(n), -1 - np.arange(n // 2)]
    return {"a": Side(x, labels), "b": Side(y, np.arange(n))}


def sheet(report: Report, section: str, title: str = ""):
    (found,) = [s for s in report.sections if s.title == section]
    (one,) = [s for s in found.sheets if not title or s.title == title]
    return one


def test_a_space_that_finds_is_said_to_work_in_both_directions():
    report = evaluation_report(directions_of(sides(n=200)), metrics=SOME)
    assert report.verdict.startswith("Search works in both directions: it finds more than chance.")
    assert "text → image: the first answer is right for" in report.verdict
    figure = next(r for r in report.data["metrics"] if (r["task"], r["metric"]) == ("text->image", "hit@1"))
    assert f"{100 * figure['value']:.1f} % of {figure['n']} queries" in report.verdict
    assert f"({100 * figure['low']:.1f} to {100 * figure['high']:.1f} %)" in report.verdict


def test_a_space_that_finds_no_more_than_chance_is_not_said_to_work():
    report = evaluation_report(directions_of(noise()), metrics=SOME)
    assert report.verdict.startswith("Search is not shown to work in any direction.")
    assert "text → image is not shown to find more than chance." in report.verdict


def test_a_weaker_direction_is_named_where_the_same_things_show_it():
    judged = judge_all(directions_of(lopsided()), ["hit@1"])
    ((first, second, c),) = weaker(judged, "hit@1")
    assert (first.direction.task, second.direction.task) == ("a->b", "b->a")
    assert c.p_value < 0.001
    assert c.difference > 0.2
    words = evaluation_report(directions_of(lopsided()), metrics=["hit@1"]).verdict
    assert "b → a is the weaker direction: for the same 300 things" in words


def test_directions_that_differ_by_chance_are_not_told_apart():
    words = evaluation_report(directions_of(sides(n=150, seed=5)), metrics=SOME).verdict
    assert "No difference between text → image and image → text is shown" in words
    assert "weaker" not in words


def test_baselines_of_words_stand_beside_directions_between_texts():
    n = 60
    given = noise(n, kind="text")
    words = [f"thing number{i}" for i in range(n)]
    texts = {m: Side(s.vectors, s.labels, "text", words) for m, s in given.items()}
    report = evaluation_report(directions_of(texts), metrics=SOME)
    found = sheet(report, "How much is found", "text → image")
    assert "n-grams" in found.head
    assert "finds less than" in report.verdict
    row = found.rows[0]
    assert row[found.head.index("n-grams")].value == 1
    assert row[-1] == "worse"


def test_the_most_popular_is_a_baseline_where_counts_are_known():
    given = sides(n=100)
    counted = Side(given["image"].vectors, given["image"].labels, counts=np.arange(100))
    (judged,) = judge_all([Direction("text", "image", given["text"], counted)], ["hit@1"])
    top = given["image"].labels[99]
    assert judged.baselines["popularity"]["hit@1"].value == pytest.approx(
        np.mean(given["text"].labels[np.isin(given["text"].labels, given["image"].labels)] == top)
    )


def test_two_spaces_are_compared_query_by_query_and_share_a_rank_where_nothing_is_shown():
    good, bad = directions_of(sides(n=200, noise=0.4)), directions_of(sides(n=200, noise=1.6))
    report = evaluation_report(good, metrics=SOME, name="good", other=("bad", bad))
    rows = {r[0]: r for r in sheet(report, "good beside bad", "text → image").rows}
    assert rows["hit@1"][4] == "1 : 2"
    assert rows["median_rank"][3:] == [None, ""]
    assert "text → image: good finds more than bad" in report.verdict
    same = evaluation_report(good, metrics=SOME, name="good", other=("copy", good))
    same_rows = sheet(same, "good beside copy", "text → image").rows
    assert [r[4] for r in same_rows] == ["1 : 1", "1 : 1", ""]
    assert {d["system"] for d in report.data["compared"]} == {"bad"}


def test_queries_that_only_one_of_two_spaces_finds_are_shown_with_the_answers_of_both():
    good, bad = directions_of(sides(n=200, noise=0.4)), directions_of(sides(n=200, noise=1.6))
    report = evaluation_report(good, metrics=SOME, name="good", other=("bad", bad))
    cases = next(s for s in report.sections if s.title == "good beside bad").cases
    assert cases
    assert "found by good, at rank" in cases[0].note
    assert cases[0].answers[0].right
    assert {a.note.split(",")[0] for a in cases[0].answers} == {"good", "bad"}


def test_spaces_that_were_asked_different_things_are_not_compared():
    good, other = directions_of(sides(n=100)), directions_of(sides(n=90))
    with pytest.raises(BadInput, match="not asked the same"):
        evaluation_report(good, metrics=SOME, name="a", other=("b", other))
    with pytest.raises(BadInput, match="different names"):
        evaluation_report(good, metrics=SOME, name="a", other=("a", good))


def test_what_an_index_loses_is_a_figure_of_its_own():
    given = directions_of(sides(n=200))[0]
    best = given.answers.rows[:, :20].copy()
    full = np.full((200, 20), -1)
    full[given.judged] = best
    full[given.judged[::3]] = -1
    report = evaluation_report(
        [Direction("text", "image", given.queries, given.gallery, full)], metrics=("hit@1", "hit@10", "mrr")
    )
    assert [r[0] for r in sheet(report, "What the index costs").rows] == ["hit@1", "hit@10"]
    assert "text → image: the index costs" in report.verdict


def test_worst_queries_are_shown_worst_first_and_one_of_a_thing():
    direction = directions_of(sides(n=300, noise=1.2))[0]
    report = evaluation_report([direction], metrics=SOME)
    fails = next(s for s in report.sections if s.title == "Where text → image fails")
    ranks = [float(c.note.rpartition(" ")[2]) for c in fails.cases]
    assert ranks == sorted(ranks, reverse=True)
    assert ranks[0] == direction.first.max()
    assert len({c.item for c in fails.cases}) == len(fails.cases) == 6
    works = next(s for s in report.sections if s.title == "Where text → image works")
    assert all(c.answers[0].right for c in works.cases)


def test_classes_have_figures_with_one_correction_over_all_of_them():
    report = evaluation_report(directions_of(sides(n=300)), metrics=SOME)
    found = next(s for s in report.sections if s.title == "By class")
    assert [s.title for s in found.sheets] == ["text → image"]  # images have no classes here
    assert {row[0] for row in found.sheets[0].rows} == {"0", "1", "2"}


def test_the_report_is_a_page_and_a_document_with_the_same_rows():
    report = evaluation_report(directions_of(sides(n=120)), metrics=SOME, about={"table": "t.csv"})
    page, document = render(report), json.loads(json.dumps(jsonable(report.to_dict()), allow_nan=False))
    assert len(document["metrics"]) == 6
    assert {"task", "metric", "value", "low", "high", "n", "baseline"} <= set(document["metrics"][0])
    assert "t.csv" in page
    assert "text → image: 120 queries" in page.replace("119 queries (1 more have no right answer)", "120 queries")


def test_a_few_queries_make_a_report_without_what_they_cannot_show():
    report = evaluation_report(directions_of(sides(n=12, things=4)), metrics=SOME)
    titles = [s.title for s in report.sections]
    assert titles[0] == "How much is found"
    assert "How far scores can be trusted" not in titles
    render(report)


def test_a_metric_without_a_test_is_reported_without_a_judgement():
    words = evaluation_report(directions_of(sides(n=100)), metrics=["median_rank"]).verdict
    assert words.startswith("text → image: median_rank is")
    assert "works" not in words


def test_what_cannot_be_evaluated_is_refused():
    with pytest.raises(BadInput, match="no direction"):
        evaluation_report([])
    with pytest.raises(NotFound, match="speed"):
        evaluation_report(directions_of(sides()), metrics=["speed@1"])
