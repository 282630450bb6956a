"""The demonstration's report: one HTML file with its pictures inside, and one JSON file."""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from commonspace.judge.cells import number
from commonspace.judge.page import policy, style_sheet

# What only this page has: rows of pictures that are ink without paper, so that they can be inverted in the dark.
OWN = """
.query { border-top: 1px solid var(--line); padding: .9rem 0 .4rem; }
.query h3 { font-size: 1rem; font-weight: 600; margin: 0 0 .5rem; display: flex; align-items: center; gap: .5rem; }
.query h3 .kind { font-weight: 400; font-size: .84rem; color: var(--dim); }
.hits { display: grid; grid-template-columns: repeat(auto-fill, minmax(6.4rem, 1fr)); gap: .6rem; }
figure { padding: .6rem .3rem .4rem; background: var(--soft); border-radius: .5rem; text-align: center; }
figcaption { font-size: .74rem; line-height: 1.25; overflow-wrap: anywhere; margin-top: .3rem; }
img { width: 48px; height: 48px; vertical-align: middle; }
@media screen and (prefers-color-scheme: dark) { img { filter: invert(1); } }
@media print { .query { break-inside: avoid; } }
"""


@dataclass(frozen=True)
class Example:
    """One query and what it found.

    Parameters
    ----------
    words : str
        The text of the query, or "".
    image : (size, size) uint8 or None
        The image of the query, as ink.
    note : str
        What the example shows.
    hits : list of (name, family, score, image)
        Best first.
    """

    words: str
    image: np.ndarray | None
    note: str
    hits: Sequence[tuple[str, str, float, np.ndarray]]


def write_json(path: Path, metrics: Sequence[dict[str, Any]], about: dict[str, Any]) -> None:
    """Write the machine-readable report."""
    path.write_text(json.dumps({"metrics": list(metrics), "about": about}, indent=1) + "\n", encoding="utf-8")


def write_html(
    path: Path,
    *,
    metrics: Sequence[dict[str, Any]],
    systems: Sequence[dict[str, Any]],
    examples: Sequence[Example],
    steps: Sequence[tuple[str, float, str]],
    commands: Sequence[str],
    intro: str,
    seconds: float,
) -> None:
    """Write the report for people.

    Parameters
    ----------
    path : Path
    metrics : rows of task, metric, value, low, high, n, baseline
    systems : rows of system and its figures, for the comparison with closed forms
    examples : the queries
    steps : (name, seconds, plain sentence)
    commands : what to type next
    intro : one paragraph
    seconds : total
    """
    style = style_sheet() + OWN
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f'<meta http-equiv="Content-Security-Policy" content="{policy(style)}">',
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>Icons in one space</title><style>{style}</style></head><body>",
        "<h1>Icons and their names in one space</h1>",
        f"<p>{html.escape(intro)}</p>",
        "<h2>Twelve searches</h2>",
        *map(_example, examples),
        "<h2>How good it is</h2>",
        "<p>All queries below are names and icons of concepts that were held out: nothing of them was seen in "
        "training. The interval says where the figure would lie for other held-out concepts of the same kind "
        "(bootstrap over queries). <b>hit@k</b>: a right answer is among the first k (image-text papers write R@k). "
        "<b>recall@k</b>: the share of all right answers among the first k.</p>",
        _metrics(metrics),
        "<h2>Trained heads beside closed forms</h2>",
        "<p>The same encoders, the same training pairs, the same held-out queries.</p>",
        _systems(systems),
        "<h2>What was done</h2>",
        _steps(steps, seconds),
        "<h2>Next</h2>",
        f"<pre>{html.escape(chr(10).join(commands))}</pre>",
        "</body></html>",
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def _example(example: Example) -> str:
    query = " ".join(
        filter(
            None,
            [
                "" if example.image is None else _picture(example.image, "query"),
                "+" if example.words and example.image is not None else "",
                f"“{html.escape(example.words)}”" if example.words else "",
            ],
        )
    )
    hits = "".join(
        f"<figure>{_picture(image, name)}<figcaption>{html.escape(name)}<br>{html.escape(family)} · {score:.2f}"
        "</figcaption></figure>"
        for name, family, score, image in example.hits
    )
    head = f"<h3>{query} <span class='kind'>{html.escape(example.note)}</span></h3>"
    return f"<div class='query'>{head}<div class='hits'>{hits}</div></div>"


def _metrics(rows: Sequence[dict[str, Any]]) -> str:
    body = "".join(
        f"<tr><td>{html.escape(r['task'])}</td><td>{html.escape(r['metric'])}</td><td class='big'>{number(r['value'])}"
        f"</td><td class='dim'>{number(r['low'])} to {number(r['high'])}</td><td>{r['n']:,}</td>"
        f"<td>{'' if r['baseline'] is None else number(r['baseline'])}</td></tr>"
        for r in rows
    )
    head = "<th>task</th><th>metric</th><th>value</th><th>95 % interval</th><th>queries</th><th>best closed form</th>"
    return f"<table><tr>{head}</tr>{body}</table>"


def _systems(rows: Sequence[dict[str, Any]]) -> str:
    names = list(rows[0]) if rows else []
    head = "".join(f"<th>{html.escape(n)}</th>" for n in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(r[n]))}</td>" for n in names) + "</tr>" for r in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _steps(steps: Sequence[tuple[str, float, str]], seconds: float) -> str:
    body = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{took:.1f} s</td><td class='dim'>{html.escape(sentence)}</td></tr>"
        for name, took, sentence in steps
    )
    return f"<table>{body}<tr><td class='big'>all</td><td class='big'>{seconds:.0f} s</td><td></td></tr></table>"


def _picture(ink: np.ndarray, name: str) -> str:
    """Return an <img> with the drawing inside: black on a transparent ground, so that it suits light and dark."""
    alpha = Image.fromarray(ink)
    image = Image.new("LA", alpha.size, 0)
    image.putalpha(alpha)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f"<img src='data:image/png;base64,{data}' alt='{html.escape(name, quote=True)}'>"
