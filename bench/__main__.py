"""Run side-by-side speed comparisons, one process each: ``python -m bench [WORD ...] [--OPTION ...]``.

The comparison of search engines takes more than half an hour and packages of its own, so it runs only when it is named:
``python -m bench search``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
BY_NAME = {"search"}  # too long to be run along with the others


def main(words: list[str]) -> None:
    """Run the benchmarks whose names contain one of the words; options go to each of them.

    Without words all are run but those that must be named in full.
    """
    first = next((i for i, w in enumerate(words) if w.startswith("-")), len(words))
    words, options = words[:first], words[first:]
    files = [f for f in HERE.glob("*.py") if not f.name.startswith("_")]
    packages = [f.parent for f in HERE.glob("*/__main__.py")]
    names = sorted(f.stem for f in [*files, *packages])
    exact = [n for n in names if n in words]  # "search" means that one, not "exact_search"
    some = [n for n in names if n not in BY_NAME]
    chosen = exact or [n for n in some if not words or any(w in n for w in words)]
    if not chosen:
        raise SystemExit(f"no benchmark matches {' '.join(words)}; there is {', '.join(names)}")
    for name in chosen:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, "-m", f"bench.{name}", *options], cwd=HERE.parent, check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
