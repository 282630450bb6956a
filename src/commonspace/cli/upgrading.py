"""Commands that bring a collection to another space: plan, apply, backfill, status, cutoff, finish, rollback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from commonspace.cli.shared import (
    CollectionPath,
    Columns,
    HubsOption,
    Json,
    OnError,
    SpacePath,
    app,
    assignments,
    print_json,
    remark,
    sheet,
)
from commonspace.cli.words import SHOWN, in_words, short
from commonspace.core.errors import BadInput, NotFound

if TYPE_CHECKING:
    from commonspace.collection import Collection

upgrade = typer.Typer(
    name="upgrade",
    help="Bring a collection to another space, without encoding everything again where that is good enough.",
    no_args_is_help=True,
)
app.add_typer(upgrade)

PlanPath = Annotated[Path, typer.Argument(metavar="PLAN", help="Folder of a plan that `upgrade plan` wrote.")]
Leave = Annotated[bool, typer.Option("--leave", help="Do it although items are not found any more after that.")]


@upgrade.command()
@in_words
def plan(
    collection: CollectionPath,
    space: SpacePath,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder to write the plan to, for `apply`.")] = None,
    probes: Annotated[
        Path | None, typer.Option("--probes", "-p", help="Table of items to measure on; by default those kept.")
    ] = None,
    items: Annotated[
        int | None, typer.Option("--items", "-n", help="How many of the collection's items to draw instead; 2,000.")
    ] = None,
    column: Columns = None,
    group: Annotated[
        str | None, typer.Option("--group", "-g", help="Field or column of labels; one label, one thing.")
    ] = None,
    queries: Annotated[
        Path | None, typer.Option("--queries", "-q", help="Table of queries, with the ids that are right for each.")
    ] = None,
    relevant: Annotated[str, typer.Option("--relevant", help="Column of these ids.")] = "relevant",
    bridge: Annotated[
        list[str] | None, typer.Option("--bridge", "-b", help="Try this bridge only. Repeat for more.")
    ] = None,
    keep: Annotated[float, typer.Option(help="Share of a full re-embed's quality that is enough.")] = 0.95,
    metric: Annotated[str, typer.Option(help="What is measured.")] = "recall@10",
    share: Annotated[
        list[float] | None, typer.Option("--share", help="Share of the items to encode anew. Repeat for more.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the drawing and of the plan.")] = 0,
    on_error: OnError = "skip",
    as_json: Json = False,
) -> None:
    """Measure what a new space would bring and what each way to it keeps and costs; nothing is changed."""
    from commonspace.cli.planned import shown
    from commonspace.collection import Collection
    from commonspace.space import Space

    if probes is not None and items is not None:
        raise BadInput("--probes is a table, --items draws from the collection: give one of them")
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"--out {out} exists already: choose another name, or remove it first")
    _check_columns(queries, "--queries", {"--relevant": relevant})
    columns = assignments(column, "--column")
    _check_columns(probes, "--probes", {f"--column {m}={name}": name for m, name in columns.items()})
    options: dict[str, Any] = {"bridges": bridge, "keep": keep, "metric": metric}
    if share:
        options["shares"] = share
    with Collection.open(collection) as opened:
        fields = opened.info()["fields"]
        if group is not None and probes is None and group not in fields:
            raise NotFound(f"--group: {collection} has no field {group!r}; it has {', '.join(fields) or 'none'}")
        found = opened.upgrade(
            Space.load(space), probes=probes if probes is not None else items,
            columns=columns or None, group=group, queries=queries, relevant=relevant,
            random_state=seed, on_error=on_error, **options,
        )  # fmt: skip
    if out is not None:
        found.save(out)
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(shown(found))
        if out is not None and found.verdict != "do not upgrade":
            typer.echo(f"\ncommonspace upgrade apply {collection} {out} {space} carries it out")


@upgrade.command()
@in_words
def apply(
    collection: CollectionPath,
    plan: PlanPath,
    space: Annotated[
        Path | None, typer.Argument(metavar="[SPACE]", help="The new space; not needed if the collection has it.")
    ] = None,
    option: Annotated[
        str | None, typer.Option("--option", help="Another way than the one that the plan has chosen.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a collection use the new space from now on; old items are found through the plan's bridge."""
    from commonspace.cli.planned import list_ways
    from commonspace.collection import Collection
    from commonspace.space import Space
    from commonspace.upgrade.plan import Plan

    chosen = Plan.load(plan)
    if option is not None and option not in {o.name for o in chosen.options}:
        nearest = list_ways(chosen, option)
        raise BadInput(f"the plan in {plan} has no option {option!r}; the nearest is --option {nearest!r}")
    with Collection.open(collection) as opened:
        opened.apply(
            chosen if option is None else chosen.migration(option), None if space is None else Space.load(space)
        )
        _say(opened, as_json)
    share = chosen.share if option is None else chosen[option].share
    if not as_json and share:
        typer.echo(f"commonspace upgrade backfill {collection} --share {share:g} goes on as the plan says")


@upgrade.command()
@in_words
def backfill(
    collection: CollectionPath,
    modality: Annotated[
        str | None, typer.Option("--modality", "-m", help="Stored modality; by default every one there is.")
    ] = None,
    share: Annotated[float | None, typer.Option(help="Stop when that share of the items is done.")] = None,
    column: Annotated[str | None, typer.Option("--column", "-c", help="Field that holds the items.")] = None,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="Not those first that were searched for: fewer bytes are written.")
    ] = False,
    on_error: OnError = "skip",
    as_json: Json = False,
) -> None:
    """Encode old items by the new space, the most wanted first; Ctrl-C stops, a repetition goes on."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        done = opened.backfill(
            modality, share=share, column=column, first=None if in_order else "asked", on_error=on_error
        )
        state, fields = opened.upgrading(), ", ".join(opened.info()["fields"]) or "none"
    if as_json:
        print_json({"made": done.n, "bytes": done.bytes, "skipped": done.skipped, "left": done.left, "state": state})
        return
    typer.echo(f"Made {done.n:,} vectors, {done.bytes / 2**20:,.1f} MiB written")
    for id, why in list(done.skipped.items())[:5]:
        remark(f"left out {id}: {why}")
    if done.left:
        typer.echo(f"Still found through the bridge: {', '.join(f'{n:,} of {m}' for m, n in done.left.items())}")
        if share is None and not done.skipped:
            remark(f"nothing is kept of those; --modality and --column name a field that holds them (fields: {fields})")
    elif state is None:
        remark(f"no migration of {collection} is under way: vectors were made of the space that it has")
    elif state is not None:
        typer.echo(f"commonspace upgrade finish {collection} ends the migration")


@upgrade.command()
@in_words
def status(collection: CollectionPath, as_json: Json = False) -> None:
    """Say how far the migration of a collection is."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        _say(opened, as_json)


@upgrade.command()
@in_words
def cutoff(
    collection: CollectionPath,
    score: Annotated[
        float,
        typer.Argument(
            metavar="CUTOFF", help="Hits of at least this score were used; one below 0 comes last, as in -- -0.2."
        ),
    ],
    queries: Annotated[
        Path, typer.Option("--queries", "-q", help="Table of typical queries, in columns named like modalities.")
    ],
    relevant: Annotated[
        str, typer.Option("--relevant", help="Its column of the ids that are right; without it shares are kept.")
    ] = "relevant",
    precision: Annotated[
        float | None, typer.Option("--precision", help="Precision to keep; by default that of the old cut-off.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many hits of each query.")] = 10,
    where: Annotated[str | None, typer.Option("--where", "-w", help="SQL condition on the fields.")] = None,
    against: Annotated[str | None, typer.Option(help="Stored modality to compare with; by default every one.")] = None,
    hubs: HubsOption = None,
    space: Annotated[
        str | None,
        typer.Option("--from", help="Space of the cut-off, the first digits do; by default the migration's old."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the interval.")] = 0,
    as_json: Json = False,
) -> None:
    """Say which score takes the place of a cut-off that was chosen on searches of the old space."""
    from commonspace.collection import Collection

    if relevant != "relevant":
        _check_columns(queries, "--queries", {"--relevant": relevant})
    with Collection.open(collection) as opened:
        alike = [one for one in opened.spaces() if space is not None and one.startswith(space)]
        found = opened.migrate_cutoff(
            score, queries, k=k, where=where, against=against, hubs=hubs, relevant=relevant, precision=precision,
            space_id=alike[0] if len(alike) == 1 else space, random_state=seed,
        )  # fmt: skip
    if as_json:
        print_json(found.to_dict())
    else:
        typer.echo(short(str(found)))


@upgrade.command()
@in_words
def finish(
    collection: CollectionPath,
    drop_old: Annotated[bool, typer.Option("--drop-old", help="Drop the vectors of the old space, too.")] = False,
    leave: Leave = False,
) -> None:
    """End the migration: only the new space is left."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        left = opened.finish_upgrade(drop_old=drop_old, leave=leave)
        typer.echo(f"{collection} uses the space {opened.space.id[:SHOWN]}{_left(left)}")


@upgrade.command()
@in_words
def rollback(
    collection: CollectionPath,
    drop_new: Annotated[bool, typer.Option("--drop-new", help="Drop the vectors of the new space, too.")] = False,
    leave: Leave = False,
) -> None:
    """Go back to the old space; items that came meanwhile are encoded by it."""
    from commonspace.collection import Collection

    with Collection.open(collection) as opened:
        left = opened.roll_back_upgrade(drop_new=drop_new, leave=leave)
        typer.echo(f"{collection} uses the space {opened.space.id[:SHOWN]} again{_left(left)}")


def _left(left: dict[str, int]) -> str:
    return f"; without a vector are {', '.join(f'{n:,} of {m}' for m, n in left.items())}" if left else ""


def _say(opened: Collection, as_json: bool) -> None:
    """Print the state of a migration."""
    state = opened.upgrading()
    if as_json:
        print_json(state)
        return
    if state is None:
        typer.echo(f"{opened.path} uses the space {opened.info()['space'][:SHOWN]}; no migration is under way")
        return
    old, new = state["old"][:SHOWN], state["new"][:SHOWN]
    typer.echo(f"From {old} to {new} through {_way(opened, state)}; {state['phase']} since {state['since']}")
    head = ["modality", "items", "of the new space", "through the bridge", "share"]
    rows = [
        [m, f"{n['items']:,}", f"{n['native']:,}", f"{n['bridged']:,}", f"{n['share']:.1%}"]
        for m, n in state["modalities"].items()
    ]
    sheet(head, rows)


def _way(opened: Collection, state: dict[str, Any]) -> str:
    """Return what a migration goes through, by the name that plans give it."""
    from commonspace.core.registry import name_of

    if state["bridge"] is None:
        return "both encoders"
    migration = opened.migration if state["carries"] is not None else None
    if migration is None or migration.bridge is None:
        return f"a bridge that is damaged (`commonspace repair {opened.path}` says more)"
    return f"{name_of(migration.bridge)} of {state['carries']}"


def _check_columns(path: Path | None, option: str, wanted: dict[str, str]) -> None:
    """Raise `NotFound` if a table that an option names lacks a column that another one names."""
    if path is None or not wanted:
        return
    from commonspace.core.tables import read_table

    there = read_table(path).columns
    for other, name in wanted.items():
        if name not in there:
            raise NotFound(f"{option} {path} has no column {name!r}, which {other} names; it has {', '.join(there)}")
