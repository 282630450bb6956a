"""The rules of the house, held by machine: fast import, floors, evidence for every method, no pickle, small modules."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from commonspace.core import Paper
from commonspace.core.registry import Entry, entries, unavailable

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
HEAVY = {"torch", "sklearn", "scipy", "pyarrow", "lance", "rich", "pandas", "polars", "transformers", "faiss"}
# Modules whose formats run code when they are read, and the calls that run a text.
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "torch.load", "pandas.read_pickle", "pd.read_pickle"}
# Places that exist on one machine only. Spelt in pieces, so that this file does not break its own rule.
OF_ONE_MACHINE = re.compile("|".join(rf"(?<![\w.]){re.escape('/' + p)}/\w" for p in ("home", "root", "work", "Users")))


def name_of(path):
    return path.relative_to(ROOT).as_posix()


# Import


def test_import_commonspace_loads_no_heavy_library():
    program = "import sys; import commonspace; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    path = f"import sys; sys.path.insert(0, {str(ROOT / 'src')!r}); "
    done = subprocess.run([sys.executable, "-c", path + program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "commonspace" in loaded
    assert loaded & HEAVY == set()


@pytest.mark.parametrize("room", sorted(p.parent.name for p in (ROOT / "src/commonspace").glob("*/__init__.py")))
def test_what_a_room_hands_on_is_not_hidden_by_a_module_of_that_name(room):
    # A function that is handed on lazily, from a module of its own name: whoever imports it would get the module.
    package = importlib.import_module(f"commonspace.{room}")
    names = getattr(package, "__all__", [])
    for name in names:
        if (ROOT / "src/commonspace" / room / f"{name}.py").exists():
            importlib.import_module(f"commonspace.{room}.{name}")
    assert [name for name in names if inspect.ismodule(getattr(package, name))] == []


def test_the_import_rules_hold():
    pytest.importorskip("importlinter")
    lint = (
        "import sys; sys.path[:0] = ['src']; from importlinter.cli import lint_imports_command as c; c(['--no-cache'])"
    )
    done = subprocess.run([sys.executable, "-c", lint], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert re.search(r"[1-9]\d* kept, 0 broken", done.stdout)


# Evidence


def complaints(entry: Entry, root: Path = ROOT) -> list[str]:
    """Return what a registered method of ours lacks; an empty list if it has earned its place."""
    known = entry.to_dict()
    found = []
    if known["test"] is None:
        return [f"{entry.name}: the class lives outside the package"]
    for what in ("test", "claim"):
        if not (root / known[what]).is_file():
            found.append(f"{entry.name}: there is no {what} {known[what]}")
    docs = known["docs"].partition("#")[0]
    text = (root / docs).read_text(encoding="utf-8") if (root / docs).is_file() else ""
    if not re.search(rf"^### `?{re.escape(entry.name)}`?\s*$", text, re.MULTILINE):
        found.append(f"{entry.name}: {docs} has no heading '### {entry.name}'")
    if entry.name != entry.name.lower():
        found.append(f"{entry.name}: the name is not lower-case")
    if not all(isinstance(t, str) and t.strip() for t in known["titles"]):
        found.append(f"{entry.name}: a paper has no title")
    if not (entry.cls.__dict__.get("__doc__") or "").strip().partition("\n")[0]:
        found.append(f"{entry.name}: the class has no summary line")
    return found


def ours() -> list[Entry]:
    return [e for e in entries() if e.cls.__module__.split(".")[0] == "commonspace"]


@pytest.mark.parametrize("entry", ours(), ids=lambda e: f"{e.protocol}-{e.name}")
def test_every_method_has_a_test_a_claim_a_docs_entry_titles_and_a_summary(entry):
    assert complaints(entry) == []


@pytest.mark.parametrize("entry", ours(), ids=lambda e: f"{e.protocol}-{e.name}")
def test_every_method_takes_its_arguments_by_keyword(entry):
    kinds = {n: p.kind for n, p in inspect.signature(entry.cls).parameters.items()}
    loose = [
        n for n, k in kinds.items() if k in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    ]
    assert loose == []
    assert "name" not in kinds, '{"name": "hog", ...} names the method; an argument of that name could not be given'


def test_the_listing_is_complete_where_all_optional_packages_are_installed():
    hidden = [
        m for m, p in unavailable().items() if importlib.util.find_spec(p.split(".")[0]) and m.startswith("commonspace")
    ]
    assert hidden == []


@pytest.fixture
def earned(tmp_path):
    """A method that has everything, in a house of its own."""

    class Ring:
        """Pull towards a ring."""

    Ring.__module__ = "commonspace.align.objectives.ring"
    files = ("tests/align/objectives/test_ring.py", "claims/align/ring.py", "docs/methods/align.md")
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("# Methods\n\n### ring\n\nWhen to use it.\n")
    entry = Entry("ring", "Objective", Ring, (Paper("A ring", 2001),), (), "align/ring")
    assert complaints(entry, tmp_path) == []
    return entry


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("tests/align/objectives/test_ring.py", "no test tests/align/objectives/test_ring.py"),
        ("claims/align/ring.py", "no claim claims/align/ring.py"),
        ("docs/methods/align.md", "no heading '### ring'"),
    ],
)
def test_a_method_without_a_file_is_complained_of(earned, tmp_path, file, words):
    (tmp_path / file).unlink()
    (complaint,) = complaints(earned, tmp_path)
    assert words in complaint


@pytest.mark.parametrize("heading", ["## ring", "### rings", "#### ring", "see ### ring", "### the ring"])
def test_another_heading_is_not_the_entry_of_a_method(earned, tmp_path, heading):
    (tmp_path / "docs/methods/align.md").write_text(f"# Methods\n\n{heading}\n")
    assert "no heading" in complaints(earned, tmp_path)[0]


def test_a_method_without_title_summary_or_proper_name_is_complained_of(earned, tmp_path):
    assert "no title" in complaints(replace(earned, papers=(Paper(" ", 2001),)), tmp_path)[0]
    mute = type("Mute", (earned.cls,), {"__module__": earned.cls.__module__})
    assert "no summary" in complaints(replace(earned, cls=mute), tmp_path)[0]
    assert any("lower-case" in c for c in complaints(replace(earned, name="Ring"), tmp_path))
    stranger = type("Ring", (), {"__doc__": "A ring.", "__module__": "elsewhere"})
    assert "outside the package" in complaints(replace(earned, cls=stranger), tmp_path)[0]


# Source


def code_that_runs_data(tree: ast.AST) -> list[str]:
    """Return the places of a module that could execute what they read."""
    found = []
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] + [f"{node.module}.{a.name}" for a in node.names]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            names = texts if called.endswith(("import_module", "__import__", "need")) else []
            if called in FORBIDDEN_CALLS:
                found.append(f"line {line}: {called}()")
            for k in node.keywords:
                if k.arg == "allow_pickle" and not (isinstance(k.value, ast.Constant) and k.value.value is False):
                    found.append(f"line {line}: allow_pickle")
        else:
            continue
        found += [f"line {line}: {n}" for n in names if n.split(".")[0] in FORBIDDEN_MODULES or n in FORBIDDEN_CALLS]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_nothing_that_is_read_is_ever_executed(path):
    assert code_that_runs_data(ast.parse(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import joblib.memory as m",
        "from marshal import loads",
        "from torch import load",
        "def f():\n    import shelve",
        "import_module('pickle')",
        "need('joblib')",
        "np.load(p, allow_pickle=True)",
        "np.load(p, allow_pickle=flag)",
        "torch.load(p, weights_only=True)",
        "eval(text)",
        "exec(text)",
    ],
)
def test_the_scan_finds_what_would_execute(code):
    assert code_that_runs_data(ast.parse(code))


@pytest.mark.parametrize("code", ["np.load(p, allow_pickle=False)", "model.eval()", "x = 'pickle'", "json.load(f)"])
def test_the_scan_leaves_harmless_code_alone(code):
    assert code_that_runs_data(ast.parse(code)) == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_module_is_longer_than_400_lines(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def texts_we_wrote() -> list[Path]:
    """Return every text file of the project, without what was built or installed."""
    folders = ("src", "tests", "claims", "bench", "docs", ".ci")
    files = [p for f in folders for p in (ROOT / f).rglob("*")] + list(ROOT.glob("*"))
    endings = {".py", ".md", ".toml", ".txt", ".json", ".yml", ".yaml", ".html", ".js", ".css", ".sh", ""}
    return sorted(p for p in files if p.is_file() and p.suffix in endings and "__pycache__" not in p.parts)


def test_no_file_names_a_path_of_one_machine():
    named = {}
    for path in texts_we_wrote():
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.name != ".git" and (hit := OF_ONE_MACHINE.search(text)):
            named[name_of(path)] = hit.group()
    assert named == {}


def test_the_search_for_such_paths_finds_them_and_leaves_addresses_and_relative_paths_alone():
    for place in ("home/me", "root/x", "work/shared", "Users/me"):
        assert OF_ONE_MACHINE.search(f'open("/{place}")')
    for text in ("https://host.org/home/page", "../home/x", "a/root/b", "/homes/x"):
        assert not OF_ONE_MACHINE.search(text)
