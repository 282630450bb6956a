import json
import os

import numpy as np
import pytest

from commonspace.core.errors import BadInput, Corrupt, NotFound
from commonspace.store.sealed import read_sealed, write_sealed

CONFIG = {"name": "t", "numbers": [1, 2.5, None], "deep": {"a": "ü"}}
ARRAYS = {"heads": {"w": np.arange(6, dtype=np.float32).reshape(2, 3)}, "encoders": {"v": np.ones(2)}}


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "space"
    write_sealed(path, CONFIG, ARRAYS, readme="# hello")
    return path


def test_what_was_written_is_read_back(folder):
    config, arrays = read_sealed(folder)
    assert {k: config[k] for k in CONFIG} == CONFIG
    np.testing.assert_array_equal(arrays["heads"]["w"], ARRAYS["heads"]["w"])
    assert (folder / "README.md").read_text() == "# hello"


def test_every_single_changed_byte_of_every_sealed_file_is_noticed(folder):
    rng = np.random.default_rng(0)
    for name in ("config.json", "heads.safetensors", "encoders.safetensors"):
        file = folder / name
        good = file.read_bytes()
        for position in rng.choice(len(good), size=min(200, len(good)), replace=False):
            changed = bytearray(good)
            changed[position] ^= 1 << int(rng.integers(8))
            file.write_bytes(changed)
            with pytest.raises(Corrupt, match=name.replace(".", r"\.")):
                read_sealed(folder)
        file.write_bytes(good)
    read_sealed(folder)


def test_a_missing_or_truncated_file_is_corrupt(folder):
    (folder / "heads.safetensors").write_bytes(b"")
    with pytest.raises(Corrupt, match=r"heads\.safetensors"):
        read_sealed(folder)
    (folder / "heads.safetensors").unlink()
    with pytest.raises(Corrupt, match=r"heads\.safetensors"):
        read_sealed(folder)


def test_the_readme_may_be_edited(folder):
    (folder / "README.md").write_text("mine")
    read_sealed(folder)


def test_no_folder_is_not_found(tmp_path):
    with pytest.raises(NotFound, match="no space at"):
        read_sealed(tmp_path / "nothing")


def test_a_config_that_names_a_file_elsewhere_is_refused(folder):
    from commonspace.core.digest import digest

    config = json.loads((folder / "config.json").read_text())
    config.pop("digest")
    config["files"]["../secret"] = "0" * 32
    config["digest"] = digest(config)
    (folder / "config.json").write_text(json.dumps(config, indent=1, ensure_ascii=False), encoding="utf-8")
    with pytest.raises(Corrupt, match="outside"):
        read_sealed(folder)


def test_a_folder_that_is_not_ours_is_never_overwritten(tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match="not a space"):
        write_sealed(tmp_path / "notes", CONFIG, ARRAYS)
    assert (tmp_path / "notes" / "thesis.txt").read_text() == "years of work"


def test_a_folder_of_another_kind_is_never_overwritten(folder):
    with pytest.raises(BadInput, match="holds a space, which a plan does not replace"):
        write_sealed(folder, {**CONFIG, "kind": "plan"}, {})
    assert read_sealed(folder)[0]["name"] == "t"
    plan = folder.parent / "plan"
    for number in (1, 2):
        write_sealed(plan, {"kind": "plan", "n": number}, {})
    with pytest.raises(BadInput, match="holds a plan"):
        write_sealed(plan, CONFIG, {})
    assert read_sealed(plan)[0]["n"] == 2
    (plan / "config.json").write_text("[")  # what cannot be read may be replaced, as before
    write_sealed(plan, CONFIG, {})


def test_writing_again_replaces_the_folder_and_leaves_no_litter(folder):
    write_sealed(folder, {"name": "second"}, {})
    assert read_sealed(folder)[0]["name"] == "second"
    assert os.listdir(folder.parent) == ["space"]


def test_a_failed_write_leaves_the_old_folder_whole(folder):
    with pytest.raises(TypeError):
        write_sealed(folder, {"name": object()}, ARRAYS)
    assert read_sealed(folder)[0]["name"] == "t"
    assert os.listdir(folder.parent) == ["space"]
