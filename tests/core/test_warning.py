"""A warning names the line that called the library, from whatever depth it comes."""

import types

import pytest

from commonspace.core.warning import warn


def inside(source):
    """Return a module's functions as if they were the library's."""
    module = {"__name__": "commonspace.deep", "warn": warn}
    exec(compile(source, "library.py", "exec"), module)
    return types.SimpleNamespace(**module)


@pytest.mark.parametrize("depth", [0, 1, 5])
def test_the_line_of_the_caller_is_named_however_deep_it_arises(depth):
    library = inside("def go(depth):\n    return go(depth - 1) if depth else warn('look')")
    with pytest.warns(RuntimeWarning, match="look") as warned:
        library.go(depth)
    assert [w.filename for w in warned] == [__file__]


def test_a_library_with_a_name_that_begins_like_ours_is_a_caller():
    source = compile("def go(f):\n    f()", "theirs.py", "exec")
    theirs = {"__name__": "commonspace_more"}
    exec(source, theirs)
    with pytest.warns(RuntimeWarning) as warned:
        theirs["go"](lambda: inside("def go():\n    warn('look')").go())
    assert [w.filename for w in warned] == [__file__]
    with pytest.warns(RuntimeWarning) as warned:
        theirs["go"](inside("def go():\n    warn('look')").go)
    assert [w.filename for w in warned] == ["theirs.py"]
