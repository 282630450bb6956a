"""Commands about spaces: fit one, encode with it, measure it; the demonstration, and the list of methods."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from commonspace.cli.shared import (
    STOPPED,
    Columns,
    Group,
    Json,
    OnError,
    SpacePath,
    TablePath,
    app,
    assignments,
    print_json,
    remark,
    say_skipped,
    sheet,
)
from commonspace.core.errors import BadInput


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the report, the space and the collection.")] = (
        Path("demo")
    ),
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget cached encodings first.")] = False,
) -> None:
    """Build a search engine for 16,242 real icons and write demo/report.html."""
    from commonspace.demo.run import run

    if run(out, fresh=fresh)["about"]["interrupted"]:
        raise typer.Exit(STOPPED)


@app.command()
def fit(
    table: TablePath,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to save the space in.")],
    encoder: Annotated[
        list[str],
        typer.Option(
            "--encoder", "-e", help="Encoders of a modality: [cyan]text=minilm,ngrams[/]. Repeat for each modality."
        ),
    ],
    column: Columns = None,
    group: Group = None,
    dim: Annotated[int, typer.Option(help="Dimension of the space.")] = 256,
    valid: Annotated[float, typer.Option(help="Share of groups kept for validation.")] = 0.1,
    recipe: Annotated[str, typer.Option(help="Preset of training options: [cyan]strong[/] or [cyan]plain[/].")] = (
        "strong"
    ),
    objective: Annotated[
        str | None,
        typer.Option(help="What to train for: a name of [cyan]methods[/], or [cyan]auto[/] to choose by the data."),
    ] = None,
    edits: Annotated[
        list[str] | None,
        typer.Option(
            help="Train against edited items, one thing changed in each: [cyan]text[/], or the kinds of edit, "
            "[cyan]text=word,number[/]; of records, the fields. Repeat for each modality."
        ),
    ] = None,
    compatible_with: Annotated[
        Path | None,
        typer.Option(help="Folder of an earlier space, whose gallery the first numbers of new vectors shall search."),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data; the recipe's number by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split and of training.")] = 0,
    on_error: OnError = "raise",
) -> None:
    """Fit light heads over frozen encoders and save the space."""
    from commonspace.space import Space

    encoders = {m: names.split(",") for m, names in assignments(encoder, "--encoder").items()}
    space = Space(encoders, dim=dim)
    earlier = None if compatible_with is None else Space.load(compatible_with)
    given = {"epochs": epochs, "objective": objective, "edits": _edits(edits), "compatible_with": earlier}
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    report = space.fit(
        table,
        columns=assignments(column, "--column"),
        group=group,
        valid=valid,
        on_error=on_error,
        random_state=seed,
        recipe=recipe,
        **options,
    )
    space.save(out)
    typer.echo(str(report))
    typer.echo(f"Saved {space!r} in {out}")
    if report.result.interrupted:  # what was learned until then is kept, but a script should know
        raise typer.Exit(STOPPED)


def _edits(asked: list[str] | None) -> dict[str, list[str] | None] | None:
    """Return ``["text=word,number"]`` as ``{"text": ["word", "number"]}``; a modality alone is edited in every way."""
    if not asked:
        return None
    named = assignments([item for item in asked if "=" in item], "--edits")
    return {m: None for m in asked if "=" not in m} | {m: kinds.split(",") for m, kinds in named.items()}


@app.command()
def encode(
    space: SpacePath,
    table: TablePath,
    out: Annotated[Path, typer.Option("--out", "-o", help="A .npy file, or .parquet with all columns of the table.")],
    modality: Annotated[str, typer.Option("--modality", "-m", help="Modality to encode.")],
    column: Annotated[
        str | None, typer.Option("--column", "-c", help="Column to read; the modality's name by default.")
    ] = None,
    on_error: OnError = "raise",
) -> None:
    """Encode one column of a table into vectors of a space."""
    import numpy as np

    from commonspace.core.tables import read_table, write_table
    from commonspace.encode.columns import items_of
    from commonspace.space import Space

    if out.suffix not in (".npy", ".parquet"):
        raise BadInput(f"--out must end in .npy or .parquet, not {out.name!r}")
    loaded, rows = Space.load(space), read_table(table)
    loaded.check_modality(modality)
    items = items_of(rows, modality, {modality: column or modality}, loaded.kind_of(modality))
    encoded = loaded.encode_items(items, modality, on_error=on_error)
    if out.suffix == ".npy":
        with open(out, "wb") as f:
            np.save(f, encoded.vectors, allow_pickle=False)
    else:
        write_table(rows.take(encoded.kept).with_columns(vector=encoded.vectors), out)
    say_skipped(encoded.skipped, modality)
    typer.echo(f"Wrote {len(encoded.vectors):,} vectors of {loaded.dim} dimensions to {out}")


@app.command()
def methods(
    protocol: Annotated[str | None, typer.Option("--protocol", "-p", help="Only these, e.g. [cyan]Encoder[/].")] = None,
    table: Annotated[
        Path | None,
        typer.Option("--for", metavar="TABLE", help="Say which methods suit this table, and why others do not."),
    ] = None,
    roles: Annotated[
        Path | None,
        typer.Option("--roles", help="With --for: a .toml or .json recipe of the columns, instead of a guess."),
    ] = None,
    as_json: Json = False,
) -> None:
    """List every method: what it is called, what it implements, where it comes from; or what suits a table."""
    from commonspace.core.registry import ROOMS, entries, unavailable

    if protocol is not None and protocol not in ROOMS:
        raise BadInput(f"unknown protocol {protocol!r}; known: {', '.join(ROOMS)}")
    if table is not None:
        _suited(table, roles, protocol, as_json)
        return
    if roles is not None:
        raise BadInput("--roles says how to read the table of --for: name that, too")
    found = entries(protocol)
    if as_json:
        print_json([e.to_dict() for e in found])
    else:
        sheet(["family", "protocol", "name", "what it is"], [[e.family, e.protocol, e.name, e.summary] for e in found])
    for module, package in unavailable().items():
        remark(f"not listed: {module} (needs {package})")


def _suited(table: Path, roles: Path | None, protocol: str | None, as_json: bool) -> None:
    """Print what suits a table."""
    from commonspace.align.tables.roles import Roles
    from commonspace.align.tables.suited import suited

    found = suited(table, None if roles is None else Roles.read(roles))
    methods = [m for m in found.methods if protocol in (None, m.protocol)]
    if as_json:
        print_json({**found.to_dict(), "methods": [vars(m) for m in methods]})
        return
    typer.echo(found.title)
    sheet(["column", "holds", "role", "why"], [[c.column, c.holds, c.role or "-", c.why] for c in found.seen.columns])
    typer.echo(f"\n{found.summary}\n")
    sheet(
        ["protocol", "name", "suits", "why"],
        [[m.protocol, m.name, "yes" if m.suits else "no", m.why] for m in methods],
    )
    typer.echo(f"\n{found.advice}")
