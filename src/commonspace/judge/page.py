"""A `Report` as one HTML file that needs no network and no script, and as a JSON document with the same figures.

The page is made from the template ``page.html``, which escapes all that comes from data. Its content security policy
allows what the page itself brings and nothing else: pictures from data addresses, one style sheet and one script, both
named by their digest. It follows the reader's choice of light or dark, and prints.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from commonspace.core.errors import NotInstalled
from commonspace.judge.cells import NOTHING, grid, number
from commonspace.judge.report import Report, Section
from commonspace.judge.tiles import plain, tile

FEW = 2  # answers of a query that leave room for another query beside it


def write_html(report: Report, path: str | os.PathLike[str]) -> None:
    """Write a report for people: one file, readable without network or script.

    Parameters
    ----------
    report : Report
    path : path
        Folders on the way are made; a file that is there is replaced.
    """
    _write(path, render(report))


def write_json(report: Report, path: str | os.PathLike[str]) -> None:
    """Write a report for programs: the figures of the page with all their digits, and the pictures as numbers.

    What is not a number (NaN, infinity) becomes null, which every reader of JSON understands.
    """
    _write(path, json.dumps(jsonable(report.to_dict()), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def render(report: Report) -> str:
    """Return the page of a report as text."""
    from markupsafe import Markup

    style, script = style_sheet() + _own("page.css"), _own("page.js")
    return str(
        _template().render(
            title=plain(report.title),
            verdict=paragraphs(report.verdict),
            sections=[_section(s, i) for i, s in enumerate(report.sections)],
            about=[(plain(k), _fact(v)) for k, v in report.about.items()],
            policy=policy(style, script),
            style=Markup(style),  # both are ours, and an escaped > in them would change what they say
            script=Markup(script),
        )
    )


def style_sheet() -> str:
    """Return the style that all our pages share: colours for light, dark and print, type, tables."""
    return _own("style.css")


def policy(style: str, script: str | None = None) -> str:
    """Return the content security policy of a page with this style and script and nothing from elsewhere."""
    scripts = "" if script is None else f"script-src '{_digest(script)}'; "
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; {scripts}base-uri 'none'; form-action 'none'"
    )


def paragraphs(text: str) -> list[str]:
    """Return the parts of a text between empty lines."""
    return [part for part in re.split(r"\n\s*\n", plain(text).strip()) if part]


def jsonable(value: Any) -> Any:
    """Return nested data with plain Python numbers, text keys, and null for NaN and infinity."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [jsonable(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int):
        return value
    if hasattr(value, "to_dict"):
        return jsonable(value.to_dict())
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else str(value)


def _section(section: Section, place: int) -> dict[str, Any]:
    tiles = [tile(c) for c in section.cases]
    return {
        "id": f"part-{place + 1}",
        "title": plain(section.title),
        "text": paragraphs(section.text),
        "flag": None if section.flag is None else bool(section.flag),
        "sheets": [grid(s) for s in section.sheets],
        "pictures": [_picture(p, f"part-{place + 1}-{i + 1}") for i, p in enumerate(section.pictures)],
        "asked": (asked := [t for t in tiles if t.answers]),
        "narrow": max((len(t.answers) for t in asked), default=0) <= FEW,
        "tiles": [t for t in tiles if not t.answers],
    }


def _picture(picture: Any, id: str) -> dict[str, Any]:
    """Return a picture as drawn, or its figures as a table where nothing can draw."""
    from markupsafe import Markup

    from commonspace.judge.svg import draw, figures

    said = {"title": plain(picture.title), "note": plain(picture.note), "svg": None, "sheet": None}
    try:
        return {**said, "svg": Markup(draw(picture, id))}
    except NotInstalled as e:
        return {**said, "sheet": grid(figures(picture, f"Shown as figures: {e}."))}


def _fact(value: Any) -> str:
    """Return a fact about a report in words."""
    if isinstance(value, Mapping):
        return "; ".join(f"{plain(k)}: {_fact(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_fact, value))
    if isinstance(value, float | np.floating):
        return number(value)
    return NOTHING if value is None else plain(value)


@lru_cache(maxsize=1)
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(_own("page.html"))


@lru_cache(maxsize=8)
def _own(name: str) -> str:
    """Return a file that lies beside this module."""
    return files("commonspace.judge").joinpath(name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _write(path: str | os.PathLike[str], text: str) -> None:
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
