"""Constructors that say only what differs from their base, and are whole all the same for whoever asks.

    class Options(TypedDict, total=False):
        temperature: float

    class Softmax:
        def __init__(self, *, temperature: float = 0.07) -> None: ...

    class Hard(Softmax):
        def __init__(self, *, hardness: float = 1.0, **options: Unpack[Options]) -> None:
            super().__init__(**options)

Type checkers read off the TypedDict what `Hard` takes. `make_whole(Hard)` says the same at run time: its signature
becomes ``(*, hardness=1.0, temperature=0.07)``, which is what `help`, editors and the registry read, and its docstring
gains the entries of the parameters that a base documents.
"""

from __future__ import annotations

import inspect
from typing import Any, get_args, get_type_hints

_TITLE = ["Parameters", "----------"]


def make_whole(cls: type) -> None:
    """Give a class the signature and the documented parameters of all that its constructor hands on.

    Raises
    ------
    TypeError
        If the constructor hands on what no base takes by that name.
    """
    signature = whole_signature(cls)
    cls.__signature__ = signature  # type: ignore[attr-defined]
    own = vars(cls).get("__doc__")
    if own:
        cls.__doc__ = _documented(own, list(signature.parameters), [base.__doc__ or "" for base in cls.__mro__[1:]])


def whole_signature(cls: type) -> inspect.Signature:
    """Return what a class is constructed with, ``**options: Unpack[...]`` spelt out with the defaults of its bases."""
    owner, *bases = [c for c in cls.__mro__ if "__init__" in vars(c)]
    own = _parameters(owner)
    options = next((p for p in own if p.kind is inspect.Parameter.VAR_KEYWORD), None)
    # Hints are looked up only where they must be: those of a stranger may name what is imported for a checker alone.
    if options is None or "Unpack" not in str(options.annotation):
        return inspect.Signature(own)
    names = _names_of(get_type_hints(vars(owner)["__init__"])[options.name])
    handed: dict[str, inspect.Parameter] = {}
    for parameter in (p for base in bases for p in _parameters(base)):
        if parameter.name in names and parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            handed.setdefault(parameter.name, parameter)
    if unknown := [name for name in names if name not in handed]:
        raise TypeError(f"{owner.__qualname__} hands on {', '.join(unknown)}, which no base takes by keyword")
    return inspect.Signature([*(p for p in own if p is not options), *handed.values()])


def _parameters(owner: type) -> list[inspect.Parameter]:
    """Return the parameters of a class's own constructor, without ``self``."""
    return list(inspect.signature(vars(owner)["__init__"]).parameters.values())[1:]


def _names_of(unpacked: Any) -> list[str]:
    """Return the names of ``Unpack[a TypedDict]``."""
    return [name for of in get_args(unpacked) for name in of.__annotations__]


def _documented(own: str, parameters: list[str], bases: list[str]) -> str:
    """Return a docstring with the entries of bases for parameters that it does not document itself."""
    lines = inspect.cleandoc(own).splitlines()
    known = {name for names, _ in _entries(lines) for name in names}
    added: list[str] = []
    for names, entry in (e for base in bases for e in _entries(inspect.cleandoc(base).splitlines())):
        if any(name in parameters and name not in known for name in names):
            known |= set(names)
            added += entry
    if not added:
        return own
    if _section(lines) is None:
        lines += ["", *_TITLE]
    _, end = _section(lines) or (0, len(lines))
    return "\n".join([*lines[:end], *added, *lines[end:], ""])


def _entries(lines: list[str]) -> list[tuple[list[str], list[str]]]:
    """Return (names, lines) of every parameter that a docstring in numpydoc style documents."""
    start, end = _section(lines) or (0, 0)
    entries: list[tuple[list[str], list[str]]] = []
    for line in lines[start:end]:
        if not line.startswith(" "):
            entries.append(([name.strip() for name in line.partition(" : ")[0].split(",")], []))
        if entries:
            entries[-1][1].append(line)
    return entries


def _section(lines: list[str]) -> tuple[int, int] | None:
    """Return where the parameters begin and end; None without any."""
    start = next((i + 2 for i in range(len(lines)) if lines[i : i + 2] == _TITLE), None)
    return None if start is None else (start, next((i for i in range(start, len(lines)) if not lines[i]), len(lines)))
