"""Commands about damage: find it, mend it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from commonspace.cli.shared import CollectionPath, app, space_or_migration
from commonspace.core.errors import Corrupt

DAMAGED = 1


@app.command()
def verify(collection: CollectionPath) -> None:
    """Compare every file of a collection with what was written; exit status 1 if there is damage."""
    from commonspace.store.verify import verify

    try:
        found = verify(collection)
    except Corrupt as e:
        typer.echo(str(e))
        raise typer.Exit(DAMAGED) from None
    typer.echo(str(found))
    if not found.ok:
        raise typer.Exit(DAMAGED)


@app.command()
def repair(
    collection: CollectionPath,
    trust_unchecked: Annotated[
        bool,
        typer.Option(
            "--trust-unchecked", help="Make a damaged catalogue anew from items that can then not be checked."
        ),
    ] = False,
    space: Annotated[
        Path | None, typer.Option("--space", "-s", help="A space of the collection, to replace a damaged copy of it.")
    ] = None,
) -> None:
    """Restore what is whole of a damaged collection, and say what was lost; exit status 1 if damage is left."""
    from commonspace.collection import Collection

    given = None if space is None else space_or_migration(space)
    done = Collection.repair(collection, space=given, trust_unchecked=trust_unchecked)
    typer.echo(str(done))
    if not done.ok:
        raise typer.Exit(DAMAGED)
