"""The command that looks for what is wrong with a space, a collection or a matrix of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from commonspace.cli.shared import (
    STOPPED,
    Columns,
    Group,
    Json,
    OnError,
    app,
    assignments,
    page_path,
    print_json,
    remark,
    sheet,
    write_report,
)
from commonspace.core.errors import BadInput, NotFound

if TYPE_CHECKING:
    from commonspace.judge.doctor import CheckUp
    from commonspace.judge.subject import Subject


@app.command()
def doctor(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A saved space, a collection, or a .npy matrix.")],
    table: Annotated[
        Path | None, typer.Option("--table", "-t", help="Items for a space to encode; best not those of its training.")
    ] = None,
    column: Columns = None,
    group: Group = None,
    class_column: Annotated[
        str | None, typer.Option("--class-column", help="Column of a coarser label: neighbours should share it.")
    ] = None,
    earlier: Annotated[
        Path | None, typer.Option("--earlier", help="An earlier space, collection or matrix, to look for drift.")
    ] = None,
    training: Annotated[
        Path | None, typer.Option("--training", help="Table (or matrix) that was trained on, to look for leaks.")
    ] = None,
    finding: Annotated[
        list[str] | None, typer.Option("--finding", "-f", help="Look for this only. Repeat for more.")
    ] = None,
    treat: Annotated[
        bool, typer.Option("--treat", help="Try the remedy of each finding, measured on pairs it has not seen.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a page, e.g. report.html, and beside it report.json.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of samples, halves and intervals.")] = 0,
    on_error: OnError = "raise",
    as_json: Json = False,
) -> None:
    """Look for what is wrong with vectors: collapse, gaps, hubs, duplicates, leaks and more."""
    from commonspace.core.registry import find
    from commonspace.judge.doctor import check_up
    from commonspace.judge.pages.page import jsonable

    if out is not None:
        page_path(out)
    for name in finding or []:  # before anything is encoded
        find("Finding", name)
    subject = _subject(path, table, assignments(column, "--column"), group, class_column, earlier, training, on_error)
    done = check_up(subject, finding, treat=treat, random_state=seed)
    if out is not None:
        write_report(done.to_report(f"Check-up of {path.resolve().name}"), out)
    if as_json:
        print_json(jsonable(done.to_dict()))
    else:
        _show(done)
    if done.interrupted:  # what was found until then is kept, but a script should know
        raise typer.Exit(STOPPED)


def _subject(
    path: Path,
    table: Path | None,
    columns: dict[str, str],
    group: str | None,
    class_column: str | None,
    earlier: Path | None,
    training: Path | None,
    on_error: str,
) -> Subject:
    """Return what the path and the options say is to be looked at."""
    kind = _kind(path)
    if kind != "space" and (table is not None or columns):
        raise BadInput(f"--table and --column say what a space encodes, but {path} is a {kind}")
    if kind == "matrix" and (group or class_column):
        raise BadInput(f"--group and --class-column name columns, and {path} is a matrix, which has none")
    if earlier is not None and _kind(earlier) != kind:
        raise BadInput(f"--earlier must be a {kind} like {path}, and {earlier} is a {_kind(earlier)}")
    if kind == "matrix":
        return _of_matrix(path, earlier, training)
    if kind == "collection":
        if training is not None:
            raise BadInput("--training needs a space or a matrix: a collection does not say how its items were made")
        return _of_collection(path, group, class_column, earlier)
    if table is None:
        raise BadInput(f"{path} is a space: name a table of items for it to encode with --table")
    from commonspace.judge.spaces import subject_of
    from commonspace.space import Space

    return subject_of(
        Space.load(path),
        table,
        columns=columns,
        group=group,
        class_column=class_column,
        training=training,
        earlier=None if earlier is None else Space.load(earlier),
        on_error=on_error,
    )


def _of_matrix(path: Path, earlier: Path | None, training: Path | None) -> Subject:
    from dataclasses import replace

    from commonspace.judge.reading import read_matrix

    found = read_matrix(path)
    former = None if earlier is None else read_matrix(earlier)
    trained = None if training is None else read_matrix(training)
    if trained is not None and trained.dim != found.dim:
        raise BadInput(f"--training has dimension {trained.dim} and {path} has {found.dim}: they are of two spaces")
    return replace(found, earlier=former, training=trained)


def _of_collection(path: Path, group: str | None, class_column: str | None, earlier: Path | None) -> Subject:
    from commonspace.collection import Collection

    former = None
    if earlier is not None:
        with Collection.open(earlier) as old:
            former = old.subject(group=group)
    # Stays open: the items of a report are read when they are shown.
    return Collection.open(path).subject(group=group, class_column=class_column, earlier=former)


def _kind(path: Path) -> str:
    """Return "matrix", "collection" or "space"."""
    if not path.exists():
        raise NotFound(f"there is no space, collection or matrix {path}")
    if path.is_file():
        if path.suffix != ".npy":
            raise BadInput(f"{path} is no .npy matrix; write one with numpy.save, or name a space or a collection")
        return "matrix"
    if (path / "catalogue.sqlite").exists():
        return "collection"
    if (path / "config.json").exists():
        return "space"
    raise BadInput(f"{path} is neither a space (config.json) nor a collection (catalogue.sqlite)")


def _show(done: CheckUp) -> None:
    """Print the findings, flagged first, with their advice."""
    typer.echo(done.verdict)
    if done.found:
        typer.echo()
        sheet(
            ["", "finding", "of", "score", "what was measured"],
            [["!" if f.flag else "", f.finding, f.about, f"{f.score:.2f}", f.summary] for f in done.found],
        )
    advice = dict.fromkeys((f.finding, f.advice) for f in done.flagged if f.advice)
    if advice:
        typer.echo("\nWhat to do")
        for name, words in advice:
            typer.echo(f"  {name}: {words}")
    if done.treatments:
        typer.echo("\nTried on things that were not learned from")
        for t in done.treatments:
            typer.echo("  " + str(t).replace("\n", "\n  "))
    for name, why in done.unsought.items():
        remark(f"not looked for: {name} ({why})")
