"""Which engines run at which parameters, each by its own documentation."""

from __future__ import annotations

from bench.search.peers.base import Variant
from bench.search.peers.databases import DuckDB, LanceDB, Milvus, Qdrant
from bench.search.peers.graphs import SVS, HNSWLib, SVSDynamic, USearch
from bench.search.peers.in_faiss import Faiss, FaissBigBatch, FaissChanging
from bench.search.peers.ours import NumPy, Ours

OURS = "commonspace"
LEANVEC = {"name": "leanvec", "dim": 160, "bits": 4, "projection": "sphering"}
EF = (16, 32, 64, 128, 256, 512, 1024)
#: Share of the cells looked at, and vectors re-ranked.
SETTINGS = ((0.08, 30), (0.15, 40), (0.25, 50), (0.35, 75), (1.0, 30), (1.0, 40), (1.0, 75), (1.0, 200))
#: The same, and vectors kept while walking.
WALKS = tuple((1.0, 40, beam) for beam in (16, 24, 32, 36, 42, 48, 64, 100, 150, 200, 256))
NPROBE = (4, 8, 16, 32, 64, 128, 256)


def variants() -> list[Variant]:
    """Return every line of the comparison; which of them are installed is asked later."""
    return [
        Variant(OURS, Ours, {"degree": 64}, "setting", WALKS),
        Variant(f"{OURS} scan", Ours, {"code": LEANVEC}, "setting", SETTINGS),
        Variant(f"{OURS} scalar", Ours, {"code": {"name": "scalar", "bits": 4}}, "setting", SETTINGS),
        Variant("numpy exact", NumPy),
        Variant("faiss flat", Faiss, {"spec": "Flat"}),
        Variant("faiss HNSW32", Faiss, {"spec": "HNSW32,Flat"}, "ef", EF),
        Variant("faiss HNSW32 SQ8", Faiss, {"spec": "HNSW32,SQ8"}, "ef", EF),
        Variant("faiss IVF SQ8", Faiss, {"spec": "IVF{lists},SQ8"}, "nprobe", NPROBE),
        Variant("faiss IVF SQ8 big batch", FaissBigBatch, {"spec": "IVF{lists},SQ8"}, "nprobe", NPROBE),
        Variant("faiss IVF PQ fast-scan", Faiss, {"spec": "IVF{lists},PQ192x4fs", "refine": 10}, "nprobe", NPROBE),
        Variant("faiss IVF RaBitQ fast-scan", Faiss, {"spec": "IVF{lists},RaBitQfs", "refine": 10}, "nprobe", NPROBE),
        Variant("faiss IVF SQ8 changing", FaissChanging, {"spec": "IVF{lists},SQ8"}, "nprobe", NPROBE),
        Variant("usearch f32", USearch, {"dtype": "f32"}, "ef", EF),
        Variant("usearch bf16", USearch, {"dtype": "bf16"}, "ef", EF),
        Variant("usearch i8", USearch, {"dtype": "i8"}, "ef", EF),
        Variant("hnswlib", HNSWLib, {}, "ef", EF),
        Variant("svs Vamana", SVS, {"code": "float32"}, "window", EF),
        Variant("svs Vamana LVQ4x8", SVS, {"code": "lvq4x8"}, "window", EF),
        Variant("svs Vamana LVQ8", SVS, {"code": "lvq8"}, "window", EF),
        Variant("svs Vamana LeanVec160", SVS, {"code": "leanvec160"}, "window", EF),
        Variant("lancedb IVF-HNSW-SQ", LanceDB, {"index": "IVF_HNSW_SQ"}, "ef", EF[1:], batch=False),
        Variant("lancedb IVF-RQ", LanceDB, {"index": "IVF_RQ"}, "nprobe", (4, 16, 64, 256), batch=False),
        Variant("milvus-lite HNSW", Milvus, {}, "ef", EF),
        Variant("qdrant-edge HNSW", Qdrant, {}, "ef", EF),
        Variant("qdrant-edge HNSW int8", Qdrant, {"int8": True}, "ef", EF),
        Variant("duckdb exact", DuckDB, batch=False),
        Variant("svs Vamana changing", SVSDynamic, {"code": "float32"}, "window", EF),
    ]
