"""Whether links learned from queries lead a walk to more of what queries of another kind look for.

The baseline is the same walk over as many links, all of them to similar vectors, as graphs of vectors have them. Both
keep the same beam over the same codes, so they follow about as many links; what differs is where these lead. Judged by
the names of concepts of which neither the codes nor the links have seen any, and nothing is tuned.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from claims import Skip
from claims._outcome import compared
from claims.compress._icons import icons_by_name

from commonspace.core.registry import build as make
from commonspace.search.exact import top_k
from commonspace.search.index import graph
from commonspace.search.index.segment import Origin, Segment, build
from commonspace.search.index.tuning import default_code


def run(seeds: int = 5, *, tests: int = 1000, degree: int = 32, beam: int = 24) -> dict[str, Any]:
    """Run the experiment.

    Parameters
    ----------
    seeds : int
        Splits of the concepts.
    tests : int
        Names of unseen concepts that are asked.
    degree : int
        Links of a vector.
    beam : int
        Vectors that a walk keeps and re-ranks.
    """
    if not graph.load():
        raise Skip("walks need Numba: pip install 'commonspace[fast]'")
    recalls: dict[str, list[float]] = {"learned": [], "similar": []}
    own: dict[str, list[float]] = {"learned": [], "similar": []}
    for seed in range(seeds):
        data = icons_by_name(seed, tests=tests)
        n = len(data.corpus)
        rng = np.random.default_rng(seed)
        like = rng.choice(n, tests, replace=False)
        near = data.corpus[like] + rng.normal(size=(tests, data.corpus.shape[1])).astype(np.float32) * 0.02
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        code = make("Code", default_code(data.corpus.shape[1])).fit(data.corpus, data.known)
        for name, queries in (("learned", data.known), ("similar", None)):
            with tempfile.TemporaryDirectory() as folder:
                origin = Origin(("",), np.zeros(n, np.int32), np.arange(n, dtype=np.int32), np.empty((0, 2), np.int32))
                options = {"degree": degree, "queries": queries, "progress": False}
                build(data.corpus, origin, code, folder=Path(folder), **options)
                segment = Segment.load(Path(folder))
                recalls[name].append(_recall(segment, data.asked, data.truth, beam))
                own[name].append(_recall(segment, near, _exact(data.corpus, near), beam))
                del segment
    learned, similar = np.array(recalls["learned"]), np.array(recalls["similar"])
    return {
        "method": "walks",
        "titles": [
            "RoarGraph: A Projected Bipartite Graph for Efficient Cross-Modal Approximate Nearest Neighbor Search"
        ],
        "claim": "Links half learned from queries find more for queries of another kind than links to neighbours",
        "data": f"icon names -> 16,242 icons of 256 dimensions by CCA, {tests} names of unseen concepts, recall@10, "
        f"{degree} links, beam {beam}",
        **compared(learned, similar),
        "sentence": (
            f"A walk with a beam of {beam} finds {learned.mean():.3f} of a name's true top 10 if half of {degree} "
            f"links are learned from other names, and {similar.mean():.3f} if all lead to similar icons; "
            f"of an icon's own neighbours it finds {np.mean(own['learned']):.3f} and {np.mean(own['similar']):.3f}."
        ),
        "details": {"in distribution": {name: round(float(np.mean(v)), 4) for name, v in own.items()}},
    }


def _recall(segment: Segment, queries: np.ndarray, truth: np.ndarray, beam: int) -> float:
    places, _ = segment.walk(queries, 10, beam=beam)
    found = np.where(places < 0, -1, segment.origin.place[places])
    return float(np.mean([np.isin(t, f).mean() for t, f in zip(truth, found, strict=True)]))


def _exact(corpus: np.ndarray, queries: np.ndarray) -> np.ndarray:
    return top_k(queries, corpus, 10)[0]


if __name__ == "__main__":
    print(json.dumps(run()))
