"""What the library says of an upgrade, in the words of the command line.

An error names what a Python programmer would change: arguments and methods. Whoever types commands needs the options
and commands that stand for them. What has no command is left, and said to be Python.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from commonspace.core.errors import CommonspaceError

P = ParamSpec("P")
R = TypeVar("R")

#: Digits of an id that are shown.
SHOWN = 12

#: What the library says -> what the command line says; {} is the collection. The first that match are replaced first.
WORDS = (
    (r"collection\.upgrade\(new_space\) plans one", "`commonspace upgrade plan {} SPACE` plans one"),
    (r"make a plan with collection\.upgrade\b", "make one with `commonspace upgrade plan {} SPACE`"),
    (r"make it with Collection\.create", "`commonspace add {} TABLE --space SPACE` makes one"),
    (r"call finish_upgrade\(\) or roll_back_upgrade\(\) first", "{finish} or {rollback} ends that"),
    (r"finish_upgrade\(\) or roll_back_upgrade\(\) first", "{finish} or {rollback} ends that"),
    (r"(or )?roll_back_upgrade\(\)", r"\1{rollback}"),
    (r"finish_upgrade\(\)", "{finish}"),
    (r"call apply again, which goes on where it was", "repeat `commonspace upgrade apply`, which goes on where it was"),
    (r"call apply again, which goes on, first", "repeat `commonspace upgrade apply`, which goes on, first"),
    (r"(see |See )?(collection\.)?upgrading\(\)", r"\1`commonspace upgrade status {}`"),
    (r"apply\(plan\.migration\(option\), new_space\), or --option on the command line", "--option names it"),
    (r"give the new space with the plan", "name its folder after that of the plan"),
    (r"backfill\(modality, vectors=\.\.\.\) takes vectors of the others; upsert gives an item anew;",
     "of the others, `commonspace add {} TABLE --upsert` takes the items, and in Python backfill(vectors=...) takes "
     "vectors;"),
    (r"backfill\(modality, space_id='?([^',]*)'?, vectors=\.\.\.\) takes their vectors",
     "In Python backfill(modality, space_id='{{}}', vectors=...) takes their vectors"),
    (r"backfill\(space_id='?[^')]*'?\) makes vectors of the other space all the same", ""),
    (r"backfill\(\)", "{backfill}"),
    (r"column=\.\.\. is of one modality: say of which of (.*?), as in backfill\('([^']*)', \.\.\.\)",
     r"--column is of one modality: say of which of \1, as in --modality \2"),
    (r"Name one with column=\.\.\., give vectors=\.\.\., or store the items with add\(\.\.\., keep=\.\.\.\)",
     "Name one with --column, or store the items with `commonspace add --keep`"),
    (r"store items with add\(\.\.\., keep=\.\.\.\)", "store items with `commonspace add --keep`"),
    (r"^columns are those of a table of probes\b", "--column is of a table of --probes"),
    (r"\bleave columns out\b", "leave --column out"),
    (r"\bleave queries out\b", "leave --queries out"),
    (r"^the queries are an empty table\b", "--queries is an empty table"),
    (r"\bmatches where=", "matches --where "),
    (r"give probes, a table of items", "give --probes, a table of items"),
    (r"Name one with columns=\{modality: column\}", "Name one with --column modality=column"),
    (r"\bcolumns names\b", "--column names"),
    (r"\bqueries name items by id, but the probes have\b", "--queries name items by id, but --probes has"),
    (r"\bthe queries have\b", "--queries has"),
    (r"\bthe probes have\b", "--probes has"),
    (r"\bthere is no (Bridge|Metric) named\b", "there is no {option} named"),
    (r"what is kept is a ratio of means, so that ('[^']*') does not do", r"--metric \1 does not do, since what is kept "
     "is a ratio of means"),
    (r"give more items or queries", "give more of --items, or more in --probes or --queries"),
    (r"\bprobes must\b", "--items must"),
    (r"\bshares? must\b", "--share must"),
    (r"\brandom_state must\b", "--seed must"),
    (r"\bon_error must\b", "--on-error must"),
    (r"\b(keep|precision|hubs) must\b", r"--\1 must"),
    (r"\bprecision=", "--precision"),
    (r"\bleave right out\b", "leave the column of --relevant out"),
    (r"\bleave=True\b", "--leave"),
    (r'on_error="skip"', "--on-error skip"),
    (r"space_id= which", "--from which"),
    (r"use_space\b", "use_space in Python"),
)  # fmt: skip


def spoken(message: str, collection: Path) -> str:
    """Return a message of the library with options and commands instead of arguments and methods, and short ids."""
    names = {
        name: f"`commonspace upgrade {name} {collection}`" for name in ("finish", "rollback", "backfill")
    }  # fmt: skip
    for said, meant in WORDS:

        def put(found: re.Match[str], meant: str = meant) -> str:
            text = found.expand(meant) if "\\" in meant else meant
            if found.lastindex:
                text = text.replace("{{}}", found.group(1)).replace("{option}", f"--{found.group(1).lower()}")
            for name, command in names.items():
                text = text.replace(f"{{{name}}}", command)
            return text.replace("{}", str(collection))

        message = re.sub(said, put, message)
    return short(message).rstrip()


def short(text: str) -> str:
    """Return a text with short ids, but for those that are to be copied into a call."""
    return re.sub(rf"(?<!space_id=')\b([0-9a-f]{{{SHOWN}}})[0-9a-f]{{20}}\b", r"\1", text)


def in_words(command: Callable[P, R]) -> Callable[P, R]:
    """Let a command, whose first argument is the collection, speak of its errors in its own words."""

    @functools.wraps(command)
    def speaking(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return command(*arguments, **options)
        except CommonspaceError as e:
            collection = options.get("collection")
            if not isinstance(collection, Path) or (said := spoken(str(e), collection)) == str(e):
                raise
            raise CommonspaceError(said) from e

    return speaking
