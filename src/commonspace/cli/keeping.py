"""Commands that keep a collection: its versions, its room on disk, its way to other places."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from commonspace.cli.shared import CollectionPath, Json, SpacePath, app, print_json, sheet, space_or_migration

Version = Annotated[
    str | None, typer.Option("--version", "-V", help="A version's number or tag; by default the newest.")
]
ParquetPath = Annotated[Path, typer.Argument(metavar="FILE.parquet", help="A Parquet file.")]


@app.command()
def versions(collection: CollectionPath, as_json: Json = False) -> None:
    """List the versions of a collection that are kept, with their tags."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        tags: dict[int, list[str]] = {}
        for name, number in opened.tags().items():
            tags.setdefault(number, []).append(name)
        kept = [(v.version, v.created, v.what, v.rows, tags.get(v.version, [])) for v in opened.versions()]
    head = ["version", "made", "by", "items", "tags"]
    if as_json:
        print_json([dict(zip(head, row, strict=True)) for row in kept])
        return
    sheet(head, [[*row[:3], f"{row[3]:,}", ", ".join(row[4])] for row in kept])


@app.command()
def tag(
    collection: CollectionPath,
    name: Annotated[str, typer.Argument(help="The tag.")],
    version: Version = None,
    remove: Annotated[bool, typer.Option("--remove", help="Remove the tag instead.")] = False,
) -> None:
    """Name a version of a collection, so that it is kept until the tag is removed."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        if remove:
            opened.untag(name)
            typer.echo(f"Removed the tag {name}")
        else:
            typer.echo(f"Version {opened.tag(name, number_or_tag(version))} is {name}")


@app.command()
def restore(
    collection: CollectionPath,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="A version's number or tag.")],
) -> None:
    """Make an earlier version of a collection the newest again; nothing in between is forgotten."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        wanted = number_or_tag(version)
        assert wanted is not None
        opened.restore(wanted)
        typer.echo(f"{collection} is as it was in version {version} and holds {len(opened):,} items")


@app.command()
def compact(
    collection: CollectionPath,
    older_than: Annotated[
        float | None, typer.Option("--clean-up", metavar="DAYS", help="Also remove versions older than that.")
    ] = None,
) -> None:
    """Merge small files and give up the room of deleted items; others may read and write meanwhile."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        done = opened.compact()
        typer.echo(f"Compacted {done.before} fragments to {done.after}, {done.rows:,} rows rewritten")
        if older_than is not None:
            gone = opened.clean_up(timedelta(days=older_than))
            index = f", {gone.segments} segments of the index" if gone.segments else ""
            typer.echo(f"Removed {gone.versions} versions, {gone.files} files{index}, {gone.bytes / 2**20:,.1f} MiB")
            if gone.in_use:
                typer.echo(f"Versions {', '.join(map(str, gone.in_use))} are being read and stay")


@app.command()
def snapshot(
    collection: CollectionPath,
    target: Annotated[Path, typer.Argument(metavar="TARGET", help="The folder to make.")],
    version: Version = None,
    link: Annotated[
        bool, typer.Option("--link", help="Share the bytes with the collection (hard links) instead of copying them.")
    ] = False,
) -> None:
    """Copy one version of a collection into a folder of its own, every file compared with its digest on the way."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        done = opened.snapshot(target, version=number_or_tag(version), link=link)
    _say_copied(done)


@app.command()
def export(
    collection: CollectionPath,
    file: ParquetPath,
    version: Version = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", "-c", help="Field or vectors ([cyan]_vector_text[/]) to write. Repeat for more."),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there.")] = False,
) -> None:
    """Write the items of a collection, with their vectors, as one Parquet file."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        done = opened.export(file, version=number_or_tag(version), columns=column, overwrite=overwrite)
    _say_copied(done)


@app.command("import")
def import_(
    file: ParquetPath,
    collection: CollectionPath,
    space: SpacePath,
    other: Annotated[
        list[Path] | None, typer.Option("--other", help="Another space that vectors in the file come from. Repeat.")
    ] = None,
    no_vectors: Annotated[bool, typer.Option("--no-vectors", help="Leave all vectors out.")] = False,
) -> None:
    """Make a collection from a Parquet file that export wrote."""
    from commonspace.collection import Collection
    from commonspace.space import Space

    others = [space_or_migration(path) for path in other or []]
    with Collection.from_parquet(collection, file, Space.load(space), others=others, vectors=not no_vectors) as opened:
        typer.echo(f"{collection} holds {len(opened):,} items")


def _say_copied(done: Any) -> None:
    typer.echo(f"Wrote version {done.version} with {done.n:,} items to {done.path}, {done.bytes / 2**20:,.1f} MiB")


def number_or_tag(given: str | None) -> int | str | None:
    """Return what names a version on the command line: digits are its number, anything else a tag."""
    return int(given) if given is not None and given.isdigit() else given
