"""Four encoders whose behaviour is known are told apart."""

import hashlib

import numpy as np
import pytest

from commonspace.core.errors import BadInput
from commonspace.judge.probes import table_properties

DIM = 64


def code(text):
    seed = int.from_bytes(hashlib.blake2b(str(text).encode(), digest_size=8).digest(), "little")
    return np.random.default_rng(seed).normal(size=DIM)


def sets(header, rows):
    """Mean over the values of a column: order does not matter, shared values show."""
    return np.stack([np.mean([code(row[j]) for row in rows], axis=0) for j in range(len(header))])


def places(header, rows):
    """Values weighted by their place."""
    weights = 0.5 ** np.arange(len(rows))
    return np.stack([sum(w * code(row[j]) for w, row in zip(weights, rows, strict=True)) for j in range(len(header))])


def headers(header, rows):
    """Nothing but the header."""
    return np.stack([code(h) for h in header])


def surrounded(header, rows):
    """A column and half of what stands beside it."""
    own = sets(header, rows)
    return own + 2 * own.mean(axis=0)


def lake(n=12, seed=0):
    """Tables in pairs that share the values of one column; city determines country in each."""
    rng = np.random.default_rng(seed)
    tables = []
    for i in range(n):
        cities = [f"city {(i // 2) * 8 + j}" for j in range(8)]
        picked = rng.integers(0, 8, 40)
        tables.append([
            {
                f"city name {i}": cities[p],
                f"country {i}": f"land {(i // 2) * 3 + p // 3}",
                f"sold {i}": int(rng.integers(0, 5)),
            }
            for p in picked
        ])  # fmt: skip
    return tables


TABLES = lake()


def ask(encode, **options):
    return table_properties(encode, TABLES, **{"resamples": 100, "shuffles": 3, **options})


def test_an_encoder_of_sets_is_blind_to_order_and_sees_joins():
    found = ask(sets)
    assert found.row_order.value == pytest.approx(1, abs=1e-6)
    assert found.column_order.value == pytest.approx(1, abs=1e-6)
    assert found.spread.value == pytest.approx(0, abs=1e-6)
    assert found.join.low > 0.2
    assert found.header.value == pytest.approx(1, abs=1e-6)
    assert found.context.value == pytest.approx(1, abs=1e-6)
    assert found.sample_25.value < found.sample_50.value < found.sample_75.value < 1


def test_an_encoder_of_places_is_flagged_for_its_order():
    found = ask(places)
    assert found.row_order.high < 0.9
    assert found.spread.low > 0.1
    assert any("sort them" in said for said in found.advice)


def test_an_encoder_of_headers_fails_joins_and_moves_with_a_renamed_header():
    found = ask(headers)
    assert found.join.low <= 0 <= found.join.high + 0.1
    assert found.header.value < 0.5
    assert found.sample_25.value == pytest.approx(1)
    assert any("do not use it to find joins" in said for said in found.advice)
    assert any("renamed header" in said for said in found.advice)


def test_an_encoder_that_looks_around_is_moved_by_its_context():
    assert ask(surrounded).context.high < 0.95


def test_steps_along_a_dependency_are_steadier_for_an_encoder_that_adds_them():
    step = code("step")

    def lands(header, rows):
        def vector(value):
            if str(value).startswith("land"):
                return code("of " + str(value)) + step
            if str(value).startswith("city"):
                number = int(str(value).split()[1])
                return code(f"of land {number // 8 * 3 + number % 8 // 3}")
            return code(value)

        return np.stack([np.mean([vector(row[j]) for row in rows], axis=0) for j in range(len(header))])

    assert ask(lands).dependency.low > 0
    assert ask(lands).dependency.value > ask(sets).dependency.value


def test_the_spread_is_albert_and_zhangs_coefficient():
    from commonspace.judge.probes.tables import _spread

    versions = np.random.default_rng(0).normal(size=(7, 1, 5)) + 2
    mu, S = versions[:, 0].mean(axis=0), np.cov(versions[:, 0].T, bias=True)
    assert _spread(list(versions))[0] == pytest.approx(np.sqrt(mu @ S @ mu) / (mu @ mu))


def test_where_nothing_is_shared_and_nothing_depends_there_is_nothing_to_ask():
    tables = [[{f"c{i}": f"{i}-{j}"} for j in range(5)] for i in range(3)]
    found = table_properties(sets, tables, resamples=20)
    assert found.join is None
    assert found.dependency is None
    assert "nothing to ask" in str(found)
    assert found.to_dict()["join"] is None


def test_renaming_by_a_mapping_or_a_function():
    assert ask(headers, rename={}).header.value == pytest.approx(1)
    assert ask(headers, rename=str.upper).header.value < 0.5


@pytest.mark.parametrize(
    ("encode", "tables", "words"),
    [
        (sets, TABLES[:2], "at least three"),
        (sets, [*TABLES[:3], TABLES[0][:2]], "table 3 has 2 rows"),
        (lambda header, rows: np.ones((1, 3)), TABLES, "1 vectors for 3 columns"),
    ],
)
def test_what_cannot_be_measured_is_refused(encode, tables, words):
    with pytest.raises(BadInput, match=words):
        table_properties(encode, tables)
