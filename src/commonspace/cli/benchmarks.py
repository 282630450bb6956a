"""The command about benchmarks: build one from a corpus, look for leaks, run encoders over it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from commonspace.cli.shared import Json, app, print_json, remark, sheet
from commonspace.core.errors import BadInput, NotFound


@app.command()
def benchmark(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="A table to build a benchmark from, or a folder of one in the layout of BEIR."
        ),
    ],
    query: Annotated[str | None, typer.Option("--query", help="Column of queries, with --document.")] = None,
    document: Annotated[str | None, typer.Option("--document", help="Column of what answers them.")] = None,
    links: Annotated[
        Path | None, typer.Option("--links", help="Table of links between the rows, instead of --query and --document.")
    ] = None,
    item: Annotated[str, typer.Option("--item", help="With --links: the column that is searched.")] = "text",
    id: Annotated[str | None, typer.Option("--id", help="Column of ids.")] = None,
    ends: Annotated[str, typer.Option("--ends", help="With --links: its two columns of ids.")] = "source,target",
    same: Annotated[
        str | None, typer.Option("--same", help="With --links: rows with one value of it answer one another.")
    ] = None,
    grade: Annotated[str | None, typer.Option("--grade", help="With --links: its column of grades.")] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Column of what must not be split, such as a source.")
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option("--encoder", "-e", help="An encoder of texts to try, such as [cyan]minilm[/]. Repeat for more."),
    ] = None,
    space: Annotated[
        list[Path] | None, typer.Option("--space", help="A saved space with a modality of texts to try.")
    ] = None,
    split: Annotated[str, typer.Option(help="[cyan]train[/], [cyan]valid[/] or [cyan]test[/].")] = "test",
    pool: Annotated[int | None, typer.Option(help="Candidates, drawn by the seed; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split, the pool and the intervals.")] = 0,
    save: Annotated[Path | None, typer.Option("--save", help="Folder to save the benchmark in.")] = None,
    as_json: Json = False,
) -> None:
    """Build a retrieval benchmark from a corpus, look for leaks, run cheap baselines beside your encoders."""
    from commonspace.judge.benchmarks import Benchmark, find_leaks, from_fields, from_links, run_benchmark

    if not source.exists():
        raise NotFound(f"there is no table or folder {source}")
    if links is not None and (query is not None or document is not None):
        raise BadInput("either --links or --query and --document say what answers what, not both")
    systems = _systems(encoder or [], space or [])  # before anything is read: a slip in a name is cheap then
    name = source.stem
    options: dict[str, Any] = {"name": name, "random_state": seed}
    if source.is_dir():
        made = Benchmark.load(source)
    elif links is not None:
        pair = tuple(ends.split(","))
        if len(pair) != 2:
            raise BadInput(f"--ends names two columns with a comma between them, not {ends!r}")
        given: dict[str, Any] = {"item": item, "id": id or "id", "ends": pair, "same": same, "grade": grade}
        made = from_links(source, links, **given, **options)
    elif query is not None and document is not None:
        made = from_fields(source, query=query, document=document, id=id, cluster=cluster, **options)
    else:
        raise BadInput("say what answers what: --query and --document name two columns, or --links a table of links")
    if save is not None:
        made.save(save)
        remark(f"saved in {save}")
    leaks = find_leaks(made, split=split, random_state=seed)
    chosen = made if pool is None else made.with_pool(pool, split=split, random_state=seed)
    result = run_benchmark(chosen, systems, split=split if chosen.split else None, random_state=seed)
    if as_json:
        print_json({**result.to_dict(), "verdict": result.verdict, "leaks": [leak.to_dict() for leak in leaks]})
        return
    head = f"{result.benchmark}: {result.queries:,} queries, {result.documents:,} documents, id {result.id[:12]}"
    typer.echo(f"{head}\n")
    metrics = list(next(iter(result.figures.values())))
    sheet(
        ["system", *metrics, "pairs told apart"],
        [[s, *(str(f[m]) for m in metrics), str(result.pair_auc[s])] for s, f in result.figures.items()],
    )
    typer.echo(f"\n{result.verdict}\n")
    sheet(["leak", "share", "", "what to do"], [[x.name, x.share, "!" if x.flag else "", _todo(x)] for x in leaks])


def _todo(leak: Any) -> str:
    return str(leak.advice) if leak.flag else "-"


def _systems(encoders: list[str], spaces: list[Path]) -> dict[str, Any]:
    """Return what is to be tried, by the name that the table shows."""
    from commonspace.core.registry import build
    from commonspace.space import Space

    found: dict[str, Any] = {e: build("Encoder", e) for e in encoders}
    for path in spaces:
        loaded = Space.load(path)
        texts = [m for m in loaded.modalities if loaded.kind_of(m) == "text"]
        if not texts:
            raise BadInput(f"the space in {path} has no modality of texts; it has {', '.join(loaded.modalities)}")

        def encode(items: list[Any], space: Any = loaded, modality: str = texts[0]) -> Any:
            return space.encode(items, modality)

        found[str(path)] = encode
    return found
