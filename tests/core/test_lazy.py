import importlib
import subprocess
import sys
import types

import pytest

from commonspace.core.lazy import lazy

PACKAGES = ("commonspace", "commonspace.align", "commonspace.upgrade", "commonspace.upgrade.merging")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that hands on two names, one of them from a module of its own."""
    folder = tmp_path / "handing"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "from commonspace.core.lazy import lazy\nhere = 1\n__all__ = ['there', 'here']\n"
        "__getattr__, __dir__ = lazy(__name__, {'there': 'inner.place', 'lost': 'inner'}, __all__)\n"
    )
    (folder / "inner").mkdir()
    (folder / "inner" / "__init__.py").write_text("")
    (folder / "inner" / "place.py").write_text("there = object()\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("handing")
    for name in [m for m in sys.modules if m.partition(".")[0] == "handing"]:
        del sys.modules[name]


def test_the_module_of_a_name_is_imported_when_the_name_is_asked_for(package):
    assert "handing.inner.place" not in sys.modules
    assert package.there is importlib.import_module("handing.inner.place").there
    assert package.here == 1


def test_names_that_were_not_asked_for_yet_are_listed(package):
    assert dir(package) == ["here", "there"]
    assert "handing.inner.place" not in sys.modules


def test_an_unknown_name_is_refused_with_the_name_of_the_package(package):
    with pytest.raises(AttributeError, match="module 'handing' has no attribute 'nowhere'"):
        package.nowhere
    with pytest.raises(ImportError, match="nowhere"):
        from handing import nowhere  # noqa: F401
    assert not hasattr(package, "nowhere")


def test_a_name_that_its_module_lacks_is_refused(package):
    with pytest.raises(AttributeError, match=r"handing\.inner"):
        package.lost


def test_what_stands_in_for_a_module_is_handed_on(package, monkeypatch):
    monkeypatch.setitem(sys.modules, "handing.inner.place", types.SimpleNamespace(there="planted"))
    assert package.there == "planted"


def test_the_names_may_be_a_copy():
    names = ["b", "a"]
    assert lazy("anywhere", {}, names)[1]() == ["a", "b"]
    assert names == ["b", "a"]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_name_that_a_package_hands_on_is_there(name):
    pytest.importorskip("torch")
    package = importlib.import_module(name)
    assert dir(package) == sorted(package.__all__)
    assert set(package._LAZY) <= set(package.__all__)
    for handed in package.__all__:
        assert getattr(package, handed) is not None


@pytest.mark.parametrize("name", PACKAGES)
def test_importing_a_package_that_hands_on_lazily_does_not_import_torch(name):
    program = f"import sys; import {name}; print('torch' in sys.modules, {name}.__all__ == [])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
