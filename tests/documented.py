"""The examples of a page of the documentation, as they are printed there."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def examples(page, language):
    """Return the blocks of a language, in order; "" for those that name none."""
    return [body for found, body in _BLOCK.findall((DOCS / page).read_text(encoding="utf-8")) if found == language]


def commands(block):
    """Return the arguments of each command of a block, comments left out."""
    import shlex

    return [shlex.split(line, comments=True)[1:] for line in block.splitlines() if line.startswith("commonspace ")]
