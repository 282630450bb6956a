"""A browser without a window, for tests that look at pages."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DARK = ("--blink-settings=preferredColorScheme=0",)  # 0 is dark, 1 is light
LIGHT = ("--blink-settings=preferredColorScheme=1",)


def run(page: Path, *options: str) -> str:
    """Open a page, do what the options say, and return what it prints."""
    with tempfile.TemporaryDirectory() as profile:
        fixed = ("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={profile}")
        arguments = [PROGRAM, *fixed, *options, page.resolve().as_uri()]
        return subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=300).stdout


def picture(page: Path, to: Path, width: int, height: int, *options: str) -> np.ndarray:
    """Return a screenshot as (height, width, 3) uint8."""
    run(page, f"--screenshot={to}", f"--window-size={width},{height}", *options)
    return np.asarray(Image.open(to).convert("RGB"))
