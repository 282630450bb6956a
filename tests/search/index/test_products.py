import numpy as np
import pytest
from tests.search.index.codes import Integers, Whole

from commonspace.search.index import products
from commonspace.search.index.products import BFloat16, Float32, product, true_places

RNG = np.random.default_rng(0)
Q = RNG.normal(size=(70, 24)).astype(np.float32)
BYTES = RNG.integers(-128, 128, (130, 24))
NIBBLES = RNG.integers(-8, 8, (130, 24))


@pytest.fixture(params=["float32", "bfloat16"])
def way(request):
    if request.param == "float32":
        return Float32()
    pytest.importorskip("torch")
    return BFloat16()


def scored(way, rows, queries, bits=8, ask=None):
    """Return the scores, as a product leaves them, of rows that are integers of so many bits."""
    code = Integers(bits=bits).fit(rows)
    return way.scores(way.right(code)(code.encode(rows)), way.left(queries), ask or slice(0, len(queries)))


@pytest.mark.parametrize("ask", [slice(0, 70), slice(3, 4), slice(5, 5), slice(60, 70), np.array([69, 0, 7])])
@pytest.mark.parametrize("rows", [1, 63, 64, 130])
@pytest.mark.parametrize("bits", [8, 4])
def test_scores_are_inner_products_to_eight_bits(way, ask, rows, bits):
    X = (BYTES if bits == 8 else NIBBLES)[:rows]
    code = Integers(bits=bits).fit(X)
    scores = way.values(way.scores(way.right(code)(code.encode(X)), way.left(Q), ask))
    want = X @ Q[ask].T
    assert scores.shape[0] >= len(X)
    size = np.abs(X) @ np.abs(Q[ask]).T
    assert (np.abs(scores[: len(X), : len(Q[ask])] - want) <= 2**-7 * size + 1e-6).all()


@pytest.mark.parametrize("bits", [8, 4])
def test_integers_are_exact(way, bits):
    whole = RNG.integers(-3, 4, (600, 8))  # products below 256 fit into eight bits
    scores = way.values(scored(way, whole, whole[:5].astype(np.float32), bits))
    np.testing.assert_array_equal(scores[:600, :5], whole @ whole[:5].T)


def test_a_read_only_array_gives_the_same_and_no_warning(way, recwarn):
    code = Whole().fit(BYTES)
    codes = code.encode(BYTES)
    codes.flags.writeable = False
    got = way.values(way.scores(way.right(code)(codes), way.left(Q), slice(0, 9)))[:130, :9].copy()
    np.testing.assert_array_equal(got, way.values(scored(way, BYTES, Q, ask=slice(0, 9)))[:130, :9])
    assert not recwarn


@pytest.mark.parametrize("shift", [0.0, -1e5, -np.inf])
@pytest.mark.parametrize("rows", [1, 64, 130])
def test_what_exceeds_the_floor_is_found_whatever_the_signs(way, shift, rows):
    scores = scored(way, BYTES[:rows], Q)
    values = way.values(scores)[:rows, :70].copy()
    floors = np.quantile(values, 0.9, axis=0).astype(np.float32) + np.float32(shift)
    row, query, score = way.above(scores, rows, way.limits(floors))
    above = np.zeros(values.shape, bool)
    above[row, query] = True
    assert above.sum() == len(row)
    np.testing.assert_array_equal(score, values[row, query])
    assert above[values > floors].all()
    assert not above[values < floors - 2**-7 * np.abs(floors)].any()


def test_floors_that_none_exceeds_and_no_floors_at_all(way):
    scores = scored(way, BYTES, Q)
    for floors in (np.full(70, np.inf, np.float32), np.empty(0, np.float32)):
        assert [len(part) for part in way.above(scores, 130, way.limits(floors))] == [0, 0, 0]


@pytest.fixture
def _afresh():
    """Let the choice be made in the test, and again after it."""
    product.cache_clear()
    yield
    product.cache_clear()


@pytest.mark.usefixtures("_afresh")
@pytest.mark.parametrize(
    ("units", "faster", "name"),
    [
        (True, "float32", "bfloat16"),
        (False, "bfloat16", "float32"),
        (None, "bfloat16", "bfloat16"),
        (None, "float32", "float32"),
    ],
)
def test_the_processor_says_which_product_is_faster_or_else_a_measurement(monkeypatch, units, faster, name):
    pytest.importorskip("torch")
    measured = []

    def seconds(way):
        measured.append(way.name)
        return 1e-6 if way.name == faster else 1.0

    monkeypatch.setattr(products, "_units", lambda: units)
    monkeypatch.setattr(products, "_seconds", seconds)
    assert product().name == name
    assert product() is product()  # and kept
    assert sorted(measured) == ([] if units is not None else ["bfloat16", "float32"])


@pytest.mark.usefixtures("_afresh")
def test_without_torch_products_are_those_of_numpy(monkeypatch):
    monkeypatch.setattr(products.importlib.util, "find_spec", lambda _: None)
    assert product().name == "float32"


def test_queries_are_rounded_as_torch_rounds_them():
    torch = pytest.importorskip("torch")
    X = (RNG.normal(size=(70, 33)) * 10.0 ** RNG.integers(-30, 30, (70, 33))).astype(np.float32)
    X[0, :4] = 0.0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8  # the last two lie half way
    left = BFloat16().left(X)
    assert torch.equal(left[:70], torch.from_numpy(X).bfloat16())
    assert not left[70:].any()


@pytest.mark.parametrize("shape", [(0, 8), (3, 5), (1, 8), (40, 64), (17, 128)])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
def test_places_of_true_are_those_of_numpy(shape, share):
    mask = np.random.default_rng(0).random(shape) < share
    np.testing.assert_array_equal(true_places(mask), np.flatnonzero(mask))
