"""What stands beyond an encoder's window is lost, unless the document is read in chunks.

all-MiniLM-L6-v2 reads 256 tokens. Documents of 64, 256 and 1,024 words hold one planted sentence each, at depths from
the beginning to the end; the query asks for one of them. Ways to read a long document: as it comes (cut off by the
encoder), the mean of its chunks, the best of its chunks; BM25 beside them. Nothing was tuned: chunks have 128 words and
share 32, as the function does by default.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from claims._outcome import compared

from commonspace.core.registry import build
from commonspace.judge.benchmarks import chunked, needle_benchmarks, run_benchmark


def run(seeds: int = 5, lengths: tuple[int, ...] = (64, 256, 1024), candidates: int = 25) -> dict[str, Any]:
    encode = build("Encoder", "minilm").encode
    systems = {
        "cut off": encode,
        "mean of chunks": chunked(encode, how="mean"),
        "best chunk": chunked(encode, how="max"),
    }
    found: dict[tuple[str, int], list[float]] = {}
    late: dict[str, list[float]] = {s: [] for s in systems}
    for seed in range(seeds):
        made = needle_benchmarks(
            task="needle", lengths=lengths, queries=candidates, candidates=candidates, random_state=seed
        )
        for length, benchmark in made.items():
            result = run_benchmark(
                benchmark, systems, baselines=["bm25"], metrics=["hit@1"], split=None, resamples=1, progress=False
            )
            depth = np.array(list(benchmark.about["depths"].values()))
            for s, f in result.figures.items():
                hits = f["hit@1"].per_query
                found.setdefault((s, length), []).append(hits.mean())
                if length == max(lengths) and s in late:
                    late[s].append(hits[depth >= 0.5].mean())
    outcome = compared(np.array(late["best chunk"]), np.array(late["cut off"]))
    details = {f"{s}, {k} words: hit@1": round(float(np.mean(v)), 3) for (s, k), v in found.items()}
    details |= {f"{s}, {max(lengths)} words, second half": round(float(np.mean(v)), 3) for s, v in late.items()}
    return {
        "method": "needle_benchmarks, chunked",
        "titles": ["LongEmbed: Extending Embedding Models for Long Context Retrieval"],
        "claim": "A sentence in the second half of a document longer than the encoder's window is found by the best "
        "chunk and not by the document as the encoder reads it.",
        "data": f"planted needles in filler, {candidates} candidates and queries a length and seed; hit@1 for needles "
        f"in the second half of {max(lengths):,} words; baseline: all-MiniLM-L6-v2 on the whole text",
        **outcome,
        "sentence": "At "
        + "; ".join(
            f"{k:,} words cut off {np.mean(found['cut off', k]):.2f}, mean of chunks "
            f"{np.mean(found['mean of chunks', k]):.2f}, best chunk {np.mean(found['best chunk', k]):.2f}, BM25 "
            f"{np.mean(found['bm25', k]):.2f}"
            for k in lengths
        )
        + ".",
        "details": details,
    }


if __name__ == "__main__":
    print(json.dumps(run()))
