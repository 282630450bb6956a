"""A sealed folder: written whole or not at all, and read only if every byte is the one that was written.

``config.json`` names the digest of every data file beside it, and its own digest over everything else in it. Arrays
travel as safetensors, the rest as JSON: nothing in the folder is ever executed. ``README.md`` is for people, may be
edited, and is not part of the seal.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_safetensors
from safetensors.numpy import save as save_safetensors

from commonspace.core.digest import digest, new
from commonspace.core.errors import BadInput, Corrupt, NotFound

CONFIG = "config.json"
SEAL = "digest"
FILES = "files"


def write_sealed(
    path: str | os.PathLike[str],
    config: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, np.ndarray]],
    *,
    readme: str = "",
) -> None:
    """Write a folder of safetensors files, `config.json` and `README.md`.

    Parameters
    ----------
    path : path
        Where; an existing sealed folder of the same kind is replaced, anything else that exists is left alone.
    config : mapping
        JSON data; the keys ``files`` and ``digest`` are added.
    arrays : mapping of str to (mapping of str to array)
        File stem -> arrays of that file.
    readme : str
        Text for people.

    Raises
    ------
    BadInput
        If `path` exists and is not a sealed folder, or one of another kind: a plan does not replace a space.
    """
    target = Path(path)
    if target.exists() and not (target / CONFIG).is_file() and (not target.is_dir() or any(target.iterdir())):
        raise BadInput(f"{target} exists and is not a space: choose another name, or remove it first")
    if (kind := _kind(target)) not in (None, held := config.get("kind", "space")):
        raise BadInput(f"{target} holds a {kind}, which a {held} does not replace: choose another name")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        files = {}
        for stem, tensors in arrays.items():
            data = save_safetensors({k: np.ascontiguousarray(v) for k, v in tensors.items()})
            _write(draft / f"{stem}.safetensors", data)
            files[f"{stem}.safetensors"] = _digest(data)
        body = json.loads(json.dumps({**config, FILES: files}))
        body[SEAL] = digest(body)
        _write(draft / CONFIG, _spell(body))
        _write(draft / "README.md", readme.encode())
        os.chmod(draft, 0o755)
        _replace(draft, target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read_sealed(
    path: str | os.PathLike[str], what: str = "space"
) -> tuple[dict[str, Any], dict[str, dict[str, np.ndarray]]]:
    """Return (config, file stem -> arrays) of a sealed folder; `what` it should be is said if there is none.

    Raises
    ------
    NotFound
        If there is no such folder.
    Corrupt
        If a byte of `config.json` or of a data file differs from what was written, or a file is missing.
    """
    folder = Path(path)
    if not (folder / CONFIG).is_file():
        raise NotFound(f"there is no {what} at {folder} (a folder with {CONFIG} is needed)")
    config = _read_config(folder)
    arrays = {}
    for name, written in config[FILES].items():
        file = folder / name
        try:
            data = file.read_bytes()
        except OSError as e:
            raise Corrupt(f"{file} cannot be read ({e.strerror}): restore the folder from a copy") from None
        if _digest(data) != written:
            raise Corrupt(f"{file} is not what was written (its digest differs): restore the folder from a copy")
        try:
            arrays[file.stem] = load_safetensors(data)
        except (SafetensorError, ValueError, KeyError) as e:
            raise Corrupt(f"{file} is not a safetensors file: {e}") from None
    return config, arrays


def below(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin so, under the rest of their names."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _kind(folder: Path) -> str | None:
    """Return what a sealed folder holds, None if there is none or it cannot be told."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        return str(config.get("kind", "space"))
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def _read_config(folder: Path) -> dict[str, Any]:
    file = folder / CONFIG
    broken = f"{file} is not what was written (its digest differs): restore the folder from a copy"
    try:
        data = file.read_bytes()
        config = json.loads(data.decode())
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
        raise Corrupt(broken) from None
    if not isinstance(config, dict) or SEAL not in config or _spell(config) != data:
        raise Corrupt(broken)
    seal = config.pop(SEAL)
    if seal != digest(config) or not isinstance(config.get(FILES), dict):
        raise Corrupt(broken)
    for name in config[FILES]:
        if Path(name).name != name:
            raise Corrupt(f"{file} names a file outside its folder: {name!r}")
    return config


def _replace(draft: Path, target: Path) -> None:
    """Put the draft in the target's place; what was there goes only once the draft stands."""
    if not target.exists():
        os.rename(draft, target)
        return
    old = draft.with_name(draft.name + ".old")
    os.rename(target, old)
    try:
        os.rename(draft, target)
    except OSError:
        os.rename(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _spell(body: Mapping[str, Any]) -> bytes:
    """Return the one spelling of a config, so that even a changed blank is a changed byte."""
    return json.dumps(body, indent=1, ensure_ascii=False).encode()


def _write(path: Path, data: bytes) -> None:
    with open(path, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())


def _digest(data: bytes) -> str:
    h = new()
    h.update(data)
    return h.hexdigest()
