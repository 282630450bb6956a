"""The registry, on entries of its own: each test starts from an empty one and leaves the real one alone."""

import importlib
import sys
import textwrap
import threading

import pytest

from commonspace.core import BadInput, NotFound, NotInstalled, Paper, registry
from commonspace.core.method import Method
from commonspace.core.registry import ROOMS, build, entries, entry_of, find, need, register, resolve, unavailable


@pytest.fixture(autouse=True)
def empty(monkeypatch):
    """An empty registry that believes to have loaded everything."""
    monkeypatch.setattr(registry, "_entries", {})
    monkeypatch.setattr(registry, "_missing", {})
    monkeypatch.setattr(registry, "_loaded", {registry.GROUP, *ROOMS.values()})


@pytest.fixture
def loss():
    @register("ring-loss", protocol="Objective", synonyms=("circle",), papers=[Paper("A ring", 2001)])
    class RingLoss:
        """Pull towards a ring.

        More words.
        """

        def __init__(self, *, radius=1.0, seed=None):
            self.radius, self.seed = radius, seed

    return RingLoss


@pytest.fixture
def room(tmp_path, monkeypatch):
    """Let a temporary package stand for the room `align`; returns a function that adds modules to it."""

    def add(**modules):
        folder = tmp_path / "align"
        folder.mkdir(exist_ok=True)
        for name, source in {"__init__": "", **modules}.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()

    import commonspace

    monkeypatch.setattr(commonspace, "__path__", [str(tmp_path)])
    for name in [n for n in sys.modules if n.split(".")[:2] == ["commonspace", "align"]]:
        monkeypatch.delitem(sys.modules, name)
    registry._loaded.discard("align")
    yield add
    for name in [n for n in sys.modules if n.split(".")[:2] == ["commonspace", "align"]]:
        del sys.modules[name]


REGISTERED = """
from commonspace.core.registry import register

@register("{name}", protocol="Objective")
class Loss:
    '''A loss.'''
"""


def test_a_method_is_found_by_name_synonym_case_and_either_dash(loss):
    for name in ("ring-loss", "ring_loss", "Ring-Loss", " circle ", "CIRCLE"):
        assert resolve("Objective", name) is loss
    assert find("Objective", "circle").name == "ring-loss"


def test_names_belong_to_their_protocol(loss):
    with pytest.raises(NotFound, match="no Head named 'circle'"):
        find("Head", "circle")


def test_an_entry_carries_what_docs_and_tests_need(loss):
    (entry,) = entries()
    assert entry.summary == "Pull towards a ring."
    assert (entry.family, entry.claim) == ("align", "align/ring_loss")
    assert entry_of(loss()) is entry
    assert entry_of(object()) is None
    assert entry.to_dict()["titles"] == ["A ring"]


def test_the_files_of_a_method_of_ours_follow_from_its_module_and_name():
    cls = type("Loss", (), {"__module__": "commonspace.align.objectives.ring"})
    register("ring", protocol="Objective", claim="align/shared")(cls)
    known = find("Objective", "ring").to_dict()
    assert known["test"] == "tests/align/objectives/test_ring.py"
    assert known["claim"] == "claims/align/shared.py"
    assert known["docs"] == "docs/methods/align.md#ring"


def test_a_method_of_others_promises_no_files(loss):
    loss.__module__ = "elsewhere.losses"
    assert [entries()[0].to_dict()[k] for k in ("test", "claim", "docs")] == [None, None, None]


def test_entries_list_each_method_once_in_a_stable_order(loss):
    for protocol, name, synonyms in (("Sampler", "b", ()), ("Sampler", "a", ("one", "uno")), ("Encoder", "z", ())):
        register(name, protocol=protocol, synonyms=synonyms)(type(name, (), {}))
    assert [e.name for e in entries()] == ["ring-loss", "a", "b", "z"]
    assert [e.name for e in entries("Sampler")] == ["a", "b"]


def test_a_name_or_synonym_that_is_taken_is_refused_and_nothing_of_it_is_kept(loss):
    with pytest.raises(BadInput, match=r"'circle' is already taken by .*RingLoss"):
        register("new", protocol="Objective", synonyms=("circle",))(type("New", (), {}))
    with pytest.raises(NotFound):
        find("Objective", "new")
    with pytest.raises(BadInput, match="already taken"):
        register("ring_loss", protocol="Objective")(type("New", (), {}))


def test_two_classes_of_one_name_in_two_modules_are_two_classes(loss):
    other = type("RingLoss", (), {"__module__": "elsewhere", "__qualname__": loss.__qualname__})
    with pytest.raises(BadInput, match="already taken"):
        register("ring-loss", protocol="Objective")(other)


def test_importing_a_module_afresh_replaces_its_class(loss):
    again = type("RingLoss", (), {"__module__": loss.__module__, "__qualname__": loss.__qualname__})
    register("ring-loss", protocol="Objective")(again)
    assert resolve("Objective", "ring-loss") is again


@pytest.mark.parametrize("name", ["", "Ring", "ring loss", "-ring", "ring--loss", "ring/loss"])
def test_a_name_that_users_could_not_type_twice_alike_is_refused(name):
    with pytest.raises(BadInput, match="lower-case words"):
        register(name, protocol="Objective")


def test_one_string_of_synonyms_is_not_a_list_of_letters():
    with pytest.raises(BadInput, match="sequence of strings"):
        register("ring", protocol="Objective", synonyms="circle")


def test_an_unknown_protocol_is_refused_everywhere_with_those_there_are():
    for call in (lambda: register("x", protocol="Loss"), lambda: find("Loss", "x"), lambda: entries("Loss")):
        with pytest.raises(BadInput, match=r"unknown protocol 'Loss'; known: .*Objective"):
            call()


@pytest.mark.parametrize(
    ("typed", "meant"), [("ring-los", "ring-loss"), ("rign_loss", "ring-loss"), ("cirle", "circle")]
)
def test_a_misspelt_name_is_answered_with_the_nearest_name_or_synonym(loss, typed, meant):
    with pytest.raises(NotFound, match=f"Did you mean '{meant}'. Known: ring-loss"):
        find("Objective", typed)


def test_words_that_only_the_caller_understands_are_offered_like_names(loss):
    with pytest.raises(NotFound, match="Known: auto, ring-loss"):
        find("Objective", "zzz", besides=["auto"])
    with pytest.raises(NotFound, match="Did you mean 'auto'"):
        find("Objective", "auto-", besides=["auto"])


def test_a_strange_name_is_answered_with_all_names_and_no_guess(loss):
    with pytest.raises(NotFound) as e:
        find("Objective", "zzz")
    assert "Did you mean" not in str(e.value)
    with pytest.raises(NotFound, match="Known: none"):
        find("Head", "zzz")
    with pytest.raises(BadInput, match="must be a string, not 3"):
        find("Objective", 3)


def test_build_takes_a_name_a_mapping_a_class_and_an_instance(loss):
    made = loss(radius=3.0)
    assert build("Objective", "circle").radius == 1.0
    assert build("Objective", {"name": "circle", "radius": 2.0}).radius == 2.0
    assert build("Objective", loss).radius == 1.0
    assert build("Objective", made) is made


def test_defaults_fill_only_what_a_constructor_takes_and_the_spec_leaves_open(loss):
    assert build("Objective", "circle", radius=5.0, dim=7).radius == 5.0
    assert build("Objective", {"name": "circle", "radius": 2.0}, radius=5.0).radius == 2.0
    assert build("Objective", loss, radius=5.0).radius == 5.0
    spec = {"name": "circle", "radius": 2.0}
    build("Objective", spec, radius=5.0)
    assert spec == {"name": "circle", "radius": 2.0}


def test_arguments_that_do_not_fit_are_refused_with_those_that_do(loss):
    with pytest.raises(BadInput, match="'circle' has no argument radios; it takes radius, seed"):
        build("Objective", {"name": "circle", "radios": 1})
    with pytest.raises(BadInput, match='needs a "name"'):
        build("Objective", {"radius": 1})

    @register("strict", protocol="Objective")
    class Strict:
        def __init__(self, *, dim):
            self.dim = dim

    with pytest.raises(BadInput, match="missing a required argument: 'dim'; it takes dim"):
        build("Objective", "strict")


def test_a_class_that_takes_any_argument_gets_them_but_not_the_defaults():
    @register("open", protocol="Objective")
    class Open:
        def __init__(self, *, dim=1, **rest):
            self.dim, self.rest = dim, rest

    made = build("Objective", {"name": "open", "colour": "red"}, dim=3, seed=0)
    assert (made.dim, made.rest) == (3, {"colour": "red"})


def test_a_room_is_imported_when_a_name_of_it_is_asked_for(room):
    room(ring=REGISTERED.format(name="ring"))
    assert "commonspace.align.ring" not in sys.modules
    assert find("Objective", "ring").cls.__module__ == "commonspace.align.ring"


def test_a_missing_optional_package_is_reported_and_takes_nothing_else_down(room):
    room(ring=REGISTERED.format(name="ring"), clip="import open_clip.nothing")
    sys.modules["open_clip"] = None  # what an import of an absent package sees
    try:
        assert [e.name for e in entries("Objective")] == ["ring"]
        assert unavailable() == {"commonspace.align.clip": "open_clip"}
        with pytest.raises(NotInstalled, match=r"'zzz' may need .*pip install 'commonspace\[open-clip\]'"):
            find("Objective", "zzz")
        with pytest.raises(NotFound, match="Did you mean 'ring'"):
            find("Objective", "rings")
    finally:
        del sys.modules["open_clip"]


def test_a_room_that_needs_a_missing_package_as_a_whole_is_reported_too(room):
    room(__init__="raise ModuleNotFoundError('no torch', name='torch')")
    assert entries("Objective") == []
    assert unavailable() == {"commonspace.align": "torch"}


def test_a_room_that_is_not_built_yet_is_empty(room):
    assert entries("Objective") == []
    assert unavailable() == {}


@pytest.mark.parametrize("source", ["import no_such_package_of_anyone", "1 / 0"])
def test_a_defect_of_a_module_is_raised_every_time_and_never_hidden(room, source):
    room(ring=source)
    for _ in range(2):
        with pytest.raises((ModuleNotFoundError, ZeroDivisionError)):
            entries("Objective")


def test_a_second_thread_waits_until_a_room_is_loaded(room):
    room(slow="import time\ntime.sleep(0.2)\n" + REGISTERED.format(name="slow"))
    found = []

    def ask():
        found.append(find("Objective", "slow").name)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert found == ["slow"] * 4


def install(folder, name, entry_point, source):
    """Write a distribution the way an installer leaves it: a module and its metadata."""
    (folder / f"{name}.py").write_text(textwrap.dedent(source))
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{registry.GROUP}]\n{entry_point}\n")


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._loaded.discard(registry.GROUP)
    yield tmp_path
    for name in ("stranger", "broken"):
        sys.modules.pop(name, None)


def test_a_strangers_method_joins_through_its_entry_point(site):
    install(site, "stranger", "mine = stranger", REGISTERED.format(name="strange"))
    assert build("Objective", "strange").__class__.__module__ == "stranger"
    assert [e.name for e in entries("Objective")] == ["strange"]


def test_a_broken_plugin_is_reported_and_the_others_still_join(site):
    install(site, "broken", "bad = broken", "1 / 0")
    install(site, "stranger", "mine = stranger", REGISTERED.format(name="strange"))
    assert [e.name for e in entries("Objective")] == ["strange"]
    assert unavailable() == {"bad (broken)": "ZeroDivisionError: division by zero"}


def test_a_plugin_cannot_take_a_name_of_ours(site, loss):
    install(site, "stranger", "mine = stranger", REGISTERED.format(name="ring-loss"))
    assert [e.cls for e in entries("Objective")] == [loss]
    assert "already taken" in unavailable()["mine (stranger)"]


def test_need_imports_what_is_there_and_names_the_extra_of_what_is_not(monkeypatch):
    assert need("json.decoder").__name__ == "json.decoder"
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "torch.nn", raising=False)  # another test may have imported it
    with pytest.raises(NotInstalled, match=r"package torch, .*pip install 'commonspace\[train\]'"):
        need("torch.nn")
    with pytest.raises(NotInstalled, match=r"pip install no_such_package$"):
        need("no_such_package")


def test_need_does_not_blame_a_package_for_what_it_fails_to_import_itself(tmp_path, monkeypatch):
    (tmp_path / "leaky.py").write_text("import no_such_package_of_anyone")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_package_of_anyone") as e:
        need("leaky")
    assert not isinstance(e.value, NotInstalled)


def test_what_could_not_be_made_again_from_its_description_is_refused(loss):
    class Own(Method):
        def __init__(self, *, radius=1.0):
            self.radius = radius

    with pytest.raises(BadInput, match=r'Objective Own is not registered.*@register.*protocol="Objective"'):
        registry.check_restorable("Objective", Own())
    known = register("own", protocol="Objective")(Own)
    registry.check_restorable("Objective", known(radius=2.0))
    with pytest.raises(BadInput, match="'own' has an argument that cannot be written down"):
        registry.check_restorable("Objective", known(radius=b"2"))
    with pytest.raises(BadInput, match="not registered"):
        registry.check_restorable("Objective", type("Heir", (Own,), {})())
