from __future__ import annotations

import inspect
from typing import Any, TypedDict, Unpack

import pytest

from commonspace.core.handed_on import make_whole, whole_signature


class Bounds(TypedDict, total=False):
    low: float
    high: float


class Options(Bounds, total=False):
    temperature: float


class Softmax:
    """Compare.

    Parameters
    ----------
    temperature : float
        Where it starts.
    low, high : float
        Its bounds;
        both positive.

    Notes
    -----
    Of the base.
    """

    def __init__(self, *, temperature: float = 0.07, low: float = 1.0, high: float = 9.0) -> None:
        self.temperature, self.low, self.high = temperature, low, high


class Hard(Softmax):
    """Compare with what is hard.

    Parameters
    ----------
    hardness : float
        How hard.

    Notes
    -----
    Of its own.
    """

    def __init__(self, *, hardness: float = 0.5, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self.hardness = hardness


class Harder(Hard):
    """Compare with what is harder."""

    def __init__(self, *, hardness: float = 0.9, **bounds: Unpack[Bounds]) -> None:
        super().__init__(hardness=hardness, temperature=0.01, **bounds)


class AsItIs(Hard):
    """Compare as the base does."""


class AnyOption(Softmax):
    """Compare somehow."""

    def __init__(self, *, shade: ForACheckerAlone | None = None, **options: Any) -> None:  # noqa: F821
        super().__init__(**options)


class Lost(Softmax):
    """Hand on what nobody takes."""

    def __init__(self, *, temperature: float = 0.07, **options: Unpack[Other]) -> None:
        super().__init__(temperature=temperature)


class Other(TypedDict, total=False):
    width: int


def arguments(cls: type) -> dict[str, Any]:
    return {name: p.default for name, p in whole_signature(cls).parameters.items()}


def test_what_is_handed_on_stands_in_the_signature_with_the_defaults_and_in_the_order_of_the_base() -> None:
    assert arguments(Hard) == {"hardness": 0.5, "temperature": 0.07, "low": 1.0, "high": 9.0}
    assert list(arguments(Hard)) == ["hardness", "temperature", "low", "high"]
    assert {p.kind for p in whole_signature(Hard).parameters.values()} == {inspect.Parameter.KEYWORD_ONLY}


def test_what_a_class_sets_itself_is_no_argument_of_it() -> None:
    assert arguments(Harder) == {"hardness": 0.9, "low": 1.0, "high": 9.0}


def test_a_class_without_a_constructor_takes_what_its_base_takes() -> None:
    assert arguments(AsItIs) == arguments(Hard)


def test_the_signature_says_what_the_class_really_takes() -> None:
    for cls in (Softmax, Hard, Harder, AsItIs):
        given = {name: object() for name in arguments(cls)}
        assert {name: getattr(cls(**given), name) for name in given} == given


def test_options_that_are_not_spelt_out_stay_open() -> None:
    assert str(whole_signature(AnyOption)) == "(*, shade: 'ForACheckerAlone | None' = None, **options: 'Any')"


def test_handing_on_what_no_base_takes_is_found_when_the_class_is_made() -> None:
    with pytest.raises(TypeError, match="Lost hands on width, which no base takes"):
        make_whole(Lost)


def test_a_docstring_gains_the_parameters_of_its_bases_at_the_end_of_its_own() -> None:
    class Shown(Hard):
        __doc__ = Hard.__doc__

    make_whole(Shown)
    assert inspect.signature(Shown) == whole_signature(Hard)
    assert Shown.__doc__ == (
        "Compare with what is hard.\n\n"
        "Parameters\n----------\nhardness : float\n    How hard.\n"
        "temperature : float\n    Where it starts.\nlow, high : float\n    Its bounds;\n    both positive.\n\n"
        "Notes\n-----\nOf its own.\n"
    )


def test_a_docstring_without_parameters_gains_a_section() -> None:
    class Shown(Harder):
        """Compare once more."""

    make_whole(Shown)
    assert Shown.__doc__ is not None
    assert Shown.__doc__.startswith("Compare once more.\n\nParameters\n----------\nhardness : float\n    How hard.\n")
    assert "low, high" in Shown.__doc__
    assert "temperature" not in Shown.__doc__


def test_a_docstring_that_says_everything_and_a_class_without_one_stay_as_they_are() -> None:
    class Told(Softmax):
        __doc__ = Softmax.__doc__

    class Mute(Softmax):
        pass

    make_whole(Told)
    make_whole(Mute)
    assert Told.__doc__ == Softmax.__doc__
    assert Mute.__doc__ is None
