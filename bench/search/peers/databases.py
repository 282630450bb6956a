"""Vector databases that run inside a Python process: LanceDB, Milvus Lite, Qdrant Edge, DuckDB.

They answer one query a call, or a batch through one call where they have one; their filters name a column.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from bench.search.peers.base import Peer, padded

ROWS = 5000  # rows in one insert


def table(ids: np.ndarray, X: np.ndarray, fields: dict[str, np.ndarray]) -> pa.Table:
    """Return ids, vectors and fields as one Arrow table."""
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(X).reshape(-1)), X.shape[1])
    columns = {name: pa.array(np.asarray(mask, bool)) for name, mask in fields.items()}
    return pa.table({"id": pa.array(np.asarray(ids, np.int64)), "vector": vectors, **columns})


class LanceDB(Peer):
    """LanceDB's IVF with HNSW and 8-bit codes in each list, or IVF-RQ, refined from the stored vectors.

    By default it makes a list for every million rows in the one and for every 8,192 in the other.
    """

    package: ClassVar[str] = "lancedb"
    distribution: ClassVar[str] = "lancedb"
    filters: ClassVar[bool] = True
    changes: ClassVar[bool] = True

    def __init__(self, index: str, **common: Any) -> None:
        super().__init__(**common)
        self.index = index

    def build(self, X: np.ndarray, fields: dict[str, np.ndarray], queries: np.ndarray) -> None:
        import lancedb

        self.fields = fields
        self.items = lancedb.connect(str(self.folder / "lance")).create_table(
            "items", table(np.arange(len(X)), X, fields)
        )
        if self.index:
            self.items.create_index(metric="dot", index_type=self.index, vector_column_name="vector")
        for name in fields:
            self.items.create_scalar_index(name, index_type="BITMAP")

    def search_one(self, q: np.ndarray, k: int, *, name: str | None = None, **knob: Any) -> np.ndarray:
        asked = self.items.search(q).distance_type("dot").limit(k).select(["id", "_distance"])
        if self.index:
            asked = asked.refine_factor(5)
            asked = asked.ef(int(knob["ef"])) if "ef" in knob else asked.nprobes(int(knob["nprobe"]))
        if name is not None:
            asked = asked.where(name, prefilter=True)
        return padded(asked.to_arrow().column("id").to_numpy(), k)

    def search(self, Q: np.ndarray, k: int, **knob: Any) -> np.ndarray:
        return np.stack([self.search_one(q, k, **knob) for q in Q])

    def search_filtered(self, Q: np.ndarray, k: int, name: str, **knob: Any) -> np.ndarray:
        return np.stack([self.search_one(q, k, name=name, **knob) for q in Q])

    def delete(self, ids: np.ndarray) -> None:
        for start in range(0, len(ids), ROWS):
            self.items.delete(f"id IN ({', '.join(map(str, ids[start : start + ROWS].tolist()))})")

    def upsert(self, ids: np.ndarray, X: np.ndarray) -> None:
        columns = {name: mask[ids] for name, mask in self.fields.items()}
        merge = self.items.merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
        merge.execute(table(ids, X, columns))

    def settle(self) -> None:
        self.items.optimize()


class Milvus(Peer):
    """Milvus Lite with its HNSW (of FAISS), M = 32 and efConstruction = 200."""

    package: ClassVar[str] = "pymilvus"
    distribution: ClassVar[str] = "milvus-lite"
    filters: ClassVar[bool] = True
    changes: ClassVar[bool] = True

    def build(self, X: np.ndarray, fields: dict[str, np.ndarray], queries: np.ndarray) -> None:
        from pymilvus import DataType, MilvusClient

        self.fields = fields
        self.client = MilvusClient(str(self.folder / "milvus.db"))
        schema = self.client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=X.shape[1])
        for name in fields:
            schema.add_field(name, DataType.BOOL)
        index = self.client.prepare_index_params()
        index.add_index("vector", index_type="HNSW", metric_type="IP", params={"M": 32, "efConstruction": 200})
        self.client.create_collection("items", schema=schema)
        self._put(np.arange(len(X)), X, "insert")
        self.client.flush("items")
        self.client.create_index("items", index)
        self.client.load_collection("items")

    def _put(self, ids: np.ndarray, X: np.ndarray, how: str) -> None:
        for start in range(0, len(ids), ROWS):
            part = ids[start : start + ROWS]
            rows = [
                {"id": int(i), "vector": x, **{name: bool(mask[i]) for name, mask in self.fields.items()}}
                for i, x in zip(part, X[start : start + ROWS], strict=True)
            ]
            getattr(self.client, how)("items", rows)

    def _ask(self, Q: np.ndarray, k: int, where: str, knob: dict[str, Any]) -> np.ndarray:
        out = []
        for start in range(0, len(Q), 1000):
            found = self.client.search(
                "items",
                data=list(Q[start : start + 1000]),
                limit=k,
                filter=where,
                anns_field="vector",
                search_params={"metric_type": "IP", "params": {"ef": int(knob["ef"])}},
            )
            out += [padded([hit["id"] for hit in hits], k) for hits in found]
        return np.stack(out)

    def search(self, Q: np.ndarray, k: int, **knob: Any) -> np.ndarray:
        return self._ask(Q, k, "", knob)

    def search_filtered(self, Q: np.ndarray, k: int, name: str, **knob: Any) -> np.ndarray:
        return self._ask(Q, k, f"{name} == true", knob)

    def delete(self, ids: np.ndarray) -> None:
        for start in range(0, len(ids), ROWS):
            self.client.delete("items", ids=ids[start : start + ROWS].tolist())

    def upsert(self, ids: np.ndarray, X: np.ndarray) -> None:
        self._put(ids, X, "upsert")

    def settle(self) -> None:
        self.client.flush("items")


class Qdrant(Peer):
    """Qdrant Edge: HNSW with m = 16 and ef_construct = 100, its defaults, float32 or 8-bit codes with rescoring.

    Fields are integers: its filter on a Python bool finds nothing in 0.9.0.
    """

    package: ClassVar[str] = "qdrant_edge"
    distribution: ClassVar[str] = "qdrant-edge-py"
    filters: ClassVar[bool] = True
    changes: ClassVar[bool] = True

    def __init__(self, *, int8: bool = False, **common: Any) -> None:
        super().__init__(**common)
        self.int8 = int8

    def build(self, X: np.ndarray, fields: dict[str, np.ndarray], queries: np.ndarray) -> None:
        import qdrant_edge as q

        self.q, self.fields = q, fields
        codes = q.ScalarQuantizationConfig(type=q.ScalarType.Int8, always_ram=True) if self.int8 else None
        (self.folder / "shard").mkdir()
        self.shard = q.EdgeShard.create(
            str(self.folder / "shard"),
            q.EdgeConfig(
                vectors=q.EdgeVectorParams(size=X.shape[1], distance=q.Distance.Dot),
                hnsw_config=q.HnswIndexConfig(
                    m=16, ef_construct=100, full_scan_threshold=10_000, max_indexing_threads=self.threads
                ),
                optimizers=q.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1000),
                quantization_config=codes,
                max_search_threads=self.threads,
            ),
        )
        for name in fields:
            self.shard.update(q.UpdateOperation.create_field_index(name, q.PayloadSchemaType.Integer))
        self._put(np.arange(len(X)), X)
        self.settle()

    def _put(self, ids: np.ndarray, X: np.ndarray) -> None:
        q = self.q
        for start in range(0, len(ids), ROWS):
            part = ids[start : start + ROWS].tolist()
            points = [
                q.Point(i, x, {name: int(mask[i]) for name, mask in self.fields.items()})
                for i, x in zip(part, X[start : start + ROWS].tolist(), strict=True)
            ]
            self.shard.update(q.UpdateOperation.upsert_points(points))

    def settle(self) -> None:
        while self.shard.optimize():
            pass

    def _request(self, x: np.ndarray, k: int, name: str | None, knob: dict[str, Any]) -> Any:
        q = self.q
        rescore = q.QuantizationSearchParams(rescore=True, oversampling=2.0) if self.int8 else None
        where = q.Filter(must=[q.FieldCondition(key=name, match=q.MatchValue(1))]) if name else None
        params = q.SearchParams(hnsw_ef=int(knob["ef"]), quantization=rescore)
        return q.QueryRequest(limit=k, query=q.Query.Nearest(x.tolist()), params=params, filter=where)

    def _ask(self, Q: np.ndarray, k: int, name: str | None, knob: dict[str, Any]) -> np.ndarray:
        asked = self.q.QueryBatchRequest([self._request(x, k, name, knob) for x in Q])
        return np.stack([padded([p.id for p in found], k) for found in self.shard.query_batch(asked)])

    def search(self, Q: np.ndarray, k: int, **knob: Any) -> np.ndarray:
        return self._ask(Q, k, None, knob)

    def search_one(self, q: np.ndarray, k: int, **knob: Any) -> np.ndarray:
        return padded([p.id for p in self.shard.query(self._request(q, k, None, knob))], k)

    def search_filtered(self, Q: np.ndarray, k: int, name: str, **knob: Any) -> np.ndarray:
        return self._ask(Q, k, name, knob)

    def delete(self, ids: np.ndarray) -> None:
        for start in range(0, len(ids), ROWS):
            self.shard.update(self.q.UpdateOperation.delete_points(ids[start : start + ROWS].tolist()))

    def upsert(self, ids: np.ndarray, X: np.ndarray) -> None:
        self._put(ids, X)


class DuckDB(Peer):
    """DuckDB's exact scan with `array_inner_product`; its HNSW is an extension that must be downloaded."""

    package: ClassVar[str] = "duckdb"
    distribution: ClassVar[str] = "duckdb"
    filters: ClassVar[bool] = True
    changes: ClassVar[bool] = True

    def build(self, X: np.ndarray, fields: dict[str, np.ndarray], queries: np.ndarray) -> None:
        import duckdb

        self.fields, self.dim = fields, X.shape[1]
        self.db = duckdb.connect(str(self.folder / "items.duckdb"), config={"threads": self.threads})
        columns = "".join(f", {name} BOOLEAN" for name in fields)
        self.db.execute(f"CREATE TABLE items (id BIGINT PRIMARY KEY, vector FLOAT[{self.dim}]{columns})")
        self._put(np.arange(len(X)), X, "INSERT")
        self.settle()

    def _put(self, ids: np.ndarray, X: np.ndarray, how: str) -> None:
        batch = table(ids, X, {name: mask[ids] for name, mask in self.fields.items()})
        self.db.execute(f"{how} INTO items SELECT * FROM batch")
        del batch  # DuckDB found it by its name

    def search_one(self, q: np.ndarray, k: int, *, name: str | None = None, **knob: Any) -> np.ndarray:
        where = f"WHERE {name}" if name else ""
        score = f"array_inner_product(vector, $1::FLOAT[{self.dim}])"
        rows = self.db.execute(f"SELECT id FROM items {where} ORDER BY {score} DESC LIMIT {k}", [q.tolist()]).fetchall()
        return padded([i for (i,) in rows], k)

    def search(self, Q: np.ndarray, k: int, **knob: Any) -> np.ndarray:
        return np.stack([self.search_one(q, k, **knob) for q in Q])

    def search_filtered(self, Q: np.ndarray, k: int, name: str, **knob: Any) -> np.ndarray:
        return np.stack([self.search_one(q, k, name=name) for q in Q])

    def delete(self, ids: np.ndarray) -> None:
        self.db.execute("DELETE FROM items WHERE id IN (SELECT unnest($1))", [np.asarray(ids).tolist()])

    def upsert(self, ids: np.ndarray, X: np.ndarray) -> None:
        self._put(ids, X, "INSERT OR REPLACE")

    def settle(self) -> None:
        self.db.execute("CHECKPOINT")
