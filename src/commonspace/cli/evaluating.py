"""`eval`: how well a space or a collection finds what a table asks, on the terminal, as a page and as JSON."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from commonspace import __version__
from commonspace.cli.shared import (
    Columns,
    Group,
    HubsOption,
    Json,
    OnError,
    TablePath,
    app,
    assignments,
    page_path,
    print_json,
    sheet,
    write_report,
)
from commonspace.core.errors import BadInput


@app.command("eval")
def evaluate(
    path: Annotated[Path, typer.Argument(metavar="SPACE|COLLECTION", help="Folder of a space or a collection.")],
    table: TablePath,
    column: Columns = None,
    group: Group = None,
    metric: Annotated[
        list[str] | None, typer.Option("--metric", "-m", help="E.g. [cyan]hit@1[/], [cyan]ndcg@10[/]. Repeat for more.")
    ] = None,
    hubs: HubsOption = None,
    class_column: Annotated[
        str | None, typer.Option("--class-column", help="Column of classes: figures for each, and which differ.")
    ] = None,
    compare: Annotated[
        Path | None, typer.Option("--compare", metavar="SPACE", help="Another space, on the same rows, with tests.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a page, e.g. report.html, and beside it report.json.")
    ] = None,
    on_error: OnError = "raise",
    as_json: Json = False,
) -> None:
    """Measure retrieval between the modalities of a table that was not trained on."""
    from commonspace.cli.asked import Question, ask_collection, ask_spaces
    from commonspace.collection import Collection
    from commonspace.core.method import check_choice
    from commonspace.core.tables import read_table
    from commonspace.judge.evaluating.evaluation import evaluation_report
    from commonspace.judge.pages.page import jsonable
    from commonspace.measure import metric as known
    from commonspace.search.csls import HUBS
    from commonspace.space import METRICS, Space

    check_choice("hubs", hubs, HUBS)
    if out is not None:
        page_path(out)
    metrics = metric or list(METRICS)
    for one in metrics:  # before anything is encoded
        known(one)
    question = Question(read_table(table), assignments(column, "--column"), group, class_column, hubs, on_error)
    about = _about(path, table, question)
    name, other = path.resolve().name, None
    if (path / "catalogue.sqlite").exists():
        if compare is not None:
            raise BadInput("--compare puts two spaces side by side: give the folder of a space, not of a collection")
        with Collection.open(path) as opened:
            directions = ask_collection(opened, question)
            label = group or opened.id_name
            about |= {"space": opened.space.id, "right answers": f"items of the collection with the row's {label}"}
    elif compare is None:
        space = Space.load(path)
        (directions,) = ask_spaces([space], question)
        about["space"] = space.id
    else:
        if compare.resolve() == path.resolve():
            raise BadInput(f"--compare names {path} itself: give another space")
        spaces = [Space.load(path), Space.load(compare)]
        directions, theirs = ask_spaces(spaces, question)
        rival = compare.resolve().name
        name, rival = (name, rival) if name != rival else (str(path), str(compare))
        other = rival, theirs
        about |= {"space": spaces[0].id, f"space of {rival}": spaces[1].id}
    report = evaluation_report(
        directions, metrics=metrics, title=f"How well {name} finds", name=name, other=other, about=about
    )
    if out is not None:
        write_report(report, out)
    if as_json:
        print_json(jsonable(report.to_dict()))
        return
    _print(report)
    if out is not None:
        typer.echo(f"\nWrote {out}" + (f" and {out.with_suffix('.json')}" if out.suffix == ".html" else ""))


def _print(report: Any) -> None:
    typer.echo(report.verdict + "\n")
    sheet(
        ["task", "metric", "value", "95 % interval", "n", "baseline", ""],
        [
            [
                r["task"], r["metric"], f"{r['value']:.3f}", f"{r['low']:.3f} to {r['high']:.3f}", f"{r['n']:,}",
                f"{r['baseline']:.3f}", r["baseline_name"],
            ]
            for r in report.data["metrics"]
        ],
    )  # fmt: skip


def _about(path: Path, table: Path, question: Any) -> dict[str, Any]:
    """Return what a reader needs to do it again."""
    facts = {
        "evaluated": path.resolve().name,
        "table": f"{table.name}, {len(question.table):,} rows",
        "columns": ", ".join(f"{m} = {c}" for m, c in question.columns.items()) or "by the names of the modalities",
        "right answers": f"rows with the same {question.group}" if question.group else "rows with the same first item",
        "date": date.today().isoformat(),
        "commonspace": __version__,
    }
    return facts | ({"hubs": question.hubs} if question.hubs else {})
