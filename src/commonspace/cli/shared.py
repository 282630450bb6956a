"""What the commands share: the application, options that several take, and how results are printed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as Sheet
from rich.text import Text

from commonspace.core.errors import BadInput

STOPPED = 130

app = typer.Typer(
    name="commonspace",
    help="Put items of any kind into one embedding space, search across them, and know how good the space is.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Columns = Annotated[
    list[str] | None,
    typer.Option("--column", "-c", help="Which column a modality reads: [cyan]text=name[/]. Repeat for more."),
]
Group = Annotated[
    str | None, typer.Option("--group", "-g", help="Column of labels; rows with one label show the same thing.")
]
OnError = Annotated[
    str, typer.Option("--on-error", help="[cyan]raise[/] stops at an unreadable item, [cyan]skip[/] leaves it out.")
]
HubsOption = Annotated[
    str | None, typer.Option("--hubs", help="[cyan]csls[/] lowers items that lie near every query; good across kinds.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
TablePath = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A .parquet, .csv, .tsv, .jsonl or .json file, one item a row.")
]
SpacePath = Annotated[Path, typer.Argument(metavar="SPACE", help="Folder of a saved space.")]
CollectionPath = Annotated[Path, typer.Argument(metavar="COLLECTION", help="Folder of a collection, e.g. icons.cs")]


def assignments(given: list[str] | None, option: str) -> dict[str, str]:
    """Return ``["text=name"]`` as ``{"text": "name"}``."""
    pairs = {}
    for item in given or []:
        key, equals, value = item.partition("=")
        if not (key and equals and value):
            raise BadInput(f"{option} must look like modality=value, not {item!r}")
        if key in pairs:
            raise BadInput(f"{option} names {key!r} twice")
        pairs[key] = value
    return pairs


def space_or_migration(path: Path) -> Any:
    """Load what is saved in a folder of a collection's spaces."""
    from commonspace.space import Space
    from commonspace.store.migrating import saved_migration
    from commonspace.upgrade.migration import Migration

    return Space.load(path) if saved_migration(path) is None else Migration.load(path)


def sheet(head: list[str], rows: list[list[Any]], *, err: bool = False) -> None:
    """Print a table, or a remark that is one (`err`); what stands in its cells is shown as it is, brackets too."""
    grid = Sheet(*head, box=None, show_header=any(head), header_style="bold", pad_edge=False)
    for row in rows:
        grid.add_row(*(Text(str(cell)) for cell in row))
    console = Console(stderr=err)
    if not console.is_terminal:
        console = Console(stderr=err, width=200)  # a pipe has no width of its own; do not fold lines at 80
    console.print(grid)


def page_path(out: Path) -> None:
    """Raise `BadInput` if no report can be written there: before the work, not after it."""
    if out.suffix not in (".html", ".json"):
        raise BadInput(f"--out must end in .html or .json, not {out.name!r}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise BadInput(f"--out cannot be written, no folder {out.parent} can be made: {e.strerror}") from None
    for file in {out, out.with_suffix(".json")}:
        if file.is_dir() or not os.access(file if file.exists() else out.parent, os.W_OK):
            raise BadInput(f"--out cannot be written: {file} is a folder, or may not be changed")


def write_report(report: Any, out: Path) -> None:
    """Write a page and its document beside it, or the document alone."""
    from commonspace.judge.pages.page import write_html, write_json

    if out.suffix == ".html":
        write_html(report, out)
    write_json(report, out.with_suffix(".json"))


def print_json(value: Any) -> None:
    """Print one JSON document."""
    typer.echo(json.dumps(value, indent=1, ensure_ascii=False, default=_jsonable))


def _jsonable(value: Any) -> Any:
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return value.tolist() if hasattr(value, "tolist") else str(value)


def say_skipped(skipped: dict[int, str], what: str) -> None:
    """Say what was left out, the first five."""
    for position, reason in list(skipped.items())[:5]:
        remark(f"left out {what} {position}: {reason}")
    if len(skipped) > 5:
        remark(f"... and {len(skipped) - 5} more")


def remark(text: str) -> None:
    """Print a line on standard error."""
    typer.echo(text, err=True)
