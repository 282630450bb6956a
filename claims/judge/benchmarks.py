"""A benchmark built from links: what it can show, how good its labels are, and what fusing cheap systems is worth.

Two collections with links and no judgement by people for this task: CISI (abstracts, joined where at least three later
papers cite both) and Cora (papers as bags of anonymous words, joined by citations; their topics were not used to build
the benchmark). For each of five splits: BM25, n-gram LSA and their reciprocal rank fusion on the held-out queries.

Three things are asked, as the source does for patient notes: is the fusion better than either part; do pairs look easy
(how often a linked item is scored above a random one) where retrieval is hard (recall@10); and how often does a link
join two papers of one topic.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
from claims import Skip
from claims._outcome import compared

from commonspace.judge.benchmarks import Benchmark, from_links, run_benchmark

DATA = Path(os.environ.get("COMMONSPACE_DATA", "../shared/data"))


def cisi(seed: int) -> Benchmark:
    import pandas as pd

    docs = pd.read_parquet(DATA / "cisi/docs.parquet")
    links = pd.read_parquet(DATA / "cisi/doc_relations.parquet")
    docs["words"] = docs["title"] + "\n" + docs["text"]
    # One row a pair and citing place: papers that are cited together often are about one thing.
    pairs = links[links.doc_id < links.other_doc_id].groupby(["doc_id", "other_doc_id"], as_index=False).relation.max()
    often = pairs[pairs.relation >= 3]
    return from_links(
        docs, often, item="words", id="doc_id", ends=("doc_id", "other_doc_id"), name="cisi", random_state=seed
    )


def cora(seed: int) -> tuple[Benchmark, float, float]:
    z = np.load(DATA / "graph_cora/graph.npz", allow_pickle=False)
    rows = np.split(z["x_indices"], z["x_indptr"][1:-1])
    items = [{"id": i, "text": " ".join(f"w{j}" for j in row)} for i, row in enumerate(rows)]
    links = [{"source": int(a), "target": int(b)} for a, b in zip(z["edge_src"], z["edge_dst"], strict=True)]
    made = from_links(items, links, name="cora", random_state=seed)
    same = z["y"][z["edge_src"]] == z["y"][z["edge_dst"]]
    shares = np.bincount(z["y"]) / len(z["y"])
    return made, float(same.mean()), float((shares**2).sum())


def run(seeds: int = 5, queries: int = 300) -> dict[str, Any]:
    if not (DATA / "cisi").is_dir() or not (DATA / "graph_cora").is_dir():
        raise Skip("needs the sets cisi and graph_cora below COMMONSPACE_DATA")
    fused: dict[str, list[float]] = {"cisi": [], "cora": []}
    parts: dict[str, list[float]] = {"cisi": [], "cora": []}
    details: dict[str, Any] = {}
    for seed in range(seeds):
        of_cora, precision, chance = cora(seed)
        details |= {"cora: links within one topic": round(precision, 3), "random pairs": round(chance, 3)}
        for benchmark in (cisi(seed), of_cora):
            asked = {q: benchmark.queries[q] for q in benchmark.ids("test")[:queries]}
            some = Benchmark(
                benchmark.name, asked, benchmark.documents, {q: benchmark.qrels[q] for q in asked}, itself=True
            )
            found = run_benchmark(
                some, {"fusion": ["bm25", "ngrams"]}, baselines=["bm25", "ngrams"], random_state=seed, progress=False
            )
            reached = {s: f["ndcg@10"].value for s, f in found.figures.items()}
            fused[benchmark.name].append(reached["fusion"])
            parts[benchmark.name].append(max(reached["bm25"], reached["ngrams"]))
            for s, f in found.figures.items():
                for what, value in (("recall@10", f["recall@10"].value), ("pairs", found.pair_auc[s].value)):
                    details.setdefault(f"{benchmark.name}, {s}: {what}", []).append(value)
    details = {k: round(float(np.mean(v)), 3) for k, v in details.items()}
    each = {name: compared(np.array(fused[name]), np.array(parts[name])) for name in fused}
    details |= {
        f"{n}: fusion - better part": [round(e[k], 4) for k in ("difference", "low", "high")] for n, e in each.items()
    }
    both = compared(*(np.mean([v[n] for n in v], axis=0) for v in (fused, parts)))
    lows = [e["low"] for e in each.values()]
    verdict = "holds" if min(lows) > 0 else "does not hold" if all(e["high"] < 0 for e in each.values()) else "depends"
    return {
        "method": "benchmarks from links (from_links, run_benchmark)",
        "titles": [
            "PMC-Patients: A Large-scale Dataset of Patient Notes and Relations Extracted from Case Reports in PubMed "
            "Central"
        ],
        "claim": "On a benchmark built from links, pairs are easier told apart than found among all items, and fusing "
        "two cheap rankings beats the better of them.",
        "data": f"cisi (1,460 abstracts, cited together at least three times) and cora (2,708 bags of words, "
        f"citations), at most {queries} held-out queries of each of {seeds} splits; nDCG@10; baseline: the better of "
        "BM25 and n-gram LSA, chosen on the same queries",
        **both,
        "verdict": verdict,
        "sentence": "Fusion against the better part: "
        + "; ".join(f"{n} {e['difference']:+.3f} [{e['low']:+.3f}, {e['high']:+.3f}]" for n, e in each.items())
        + f". On cora BM25 scores a linked paper above a random one {details['cora, bm25: pairs']:.0%} of the time and "
        f"finds {details['cora, bm25: recall@10']:.0%} of the links among the first ten; {precision:.0%} of links join "
        f"papers of one topic ({chance:.0%} of random pairs).",
        "details": details,
    }


if __name__ == "__main__":
    print(json.dumps(run()))
