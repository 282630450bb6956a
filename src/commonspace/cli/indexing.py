"""The command about the index of a collection: bring it up to date, drop it, say what it holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from commonspace.cli.shared import CollectionPath, Json, app, print_json, sheet
from commonspace.core.errors import BadInput


@app.command()
def index(
    collection: CollectionPath,
    modality: Annotated[
        str | None, typer.Option("--modality", "-m", help="Stored modality; by default every one there is.")
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            help="Short form of vectors: a name of [cyan]commonspace methods --family compress[/], or a JSON object of "
            "name and arguments."
        ),
    ] = None,
    degree: Annotated[
        int | None,
        typer.Option(help="Links of a vector, over which searches walk; 0 for none. By default as there is, or 64."),
    ] = None,
    workload: Annotated[
        Path | None,
        typer.Option(
            help="File of past filters, one a line as often as it was asked; what they select is kept together."
        ),
    ] = None,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Build everything anew, whatever is there.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Remove the index instead.")] = False,
    as_json: Json = False,
) -> None:
    """Bring the index of a collection up to date, so that searches are fast, and say what it holds."""
    from commonspace.collection import Collection

    if drop and (rebuild or code is not None or degree is not None or workload is not None):
        raise BadInput("--drop removes the index: give it without --code, --degree, --workload and --rebuild")
    with Collection.open(collection) as opened:
        if drop:
            removed = opened.drop_index(modality)
            if as_json:
                print_json({"removed": removed})
            else:
                typer.echo(f"Removed {removed} segments; {collection} is searched exactly")
            return
        built = opened.build_index(
            modality, code=_code(code), degree=degree, workload=_lines(workload), rebuild=rebuild
        )
        segments = opened.index()
    rows = [{**vars(b), **_of(b.modality, segments)} for b in built]
    if as_json:
        print_json(rows)
        return
    head = ["modality", "code", "links", "vectors", "in no segment", "segments", "written", "bytes a vector", "memory"]
    sheet(
        head,
        [
            [
                r["modality"], ", ".join(r["codes"]) or "none", r["degree"], f"{r['vectors']:,}", f"{r['fresh']:,}",
                r["segments"], f"{r['written']:,}", f"{r['bytes_per_vector']:g}",
                f"{r['bytes_in_memory'] / 2**20:,.1f} MiB",
            ]
            for r in rows
        ],
    )  # fmt: skip
    if few := [r["modality"] for r in rows if not r["segments"]]:
        typer.echo(
            f"{', '.join(few)}: so few vectors are searched exactly just as fast; name a --code to have an index"
        )


def _of(modality: str, segments: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the segments of a modality are made of."""
    mine = [s for s in segments if s["modality"] == modality]
    return {
        "codes": sorted({s["code"] for s in mine}),
        "degree": max((s["degree"] for s in mine), default=0),
        "bytes_in_memory": sum(s["bytes_in_memory"] for s in mine),
    }


def _lines(path: Path | None) -> list[str] | None:
    """Return the lines of a file that are not empty."""
    if path is None:
        return None
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as e:
        raise BadInput(f"--workload {path} cannot be read: {e}") from None


def _code(given: str | None) -> Any:
    """Return a name, or what a JSON object names."""
    if given is None or not given.lstrip().startswith("{"):
        return given
    try:
        return json.loads(given)
    except ValueError as e:
        raise BadInput(f"--code must be a name or a JSON object, and {given!r} is neither ({e})") from None
