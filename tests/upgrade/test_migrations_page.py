"""The page of all migrations is what the claim has found, and hides nothing."""

import json

from claims.upgrade import _page


def result():
    found = json.loads((_page.ROOT / "claims" / "results.json").read_text())
    return next(r for r in found if r["name"] == "upgrade/migrations")


def test_the_page_is_written_from_the_results():
    assert _page.PAGE.read_text(encoding="utf-8") == _page.page(result())


def test_every_migration_and_every_wrong_verdict_is_on_it():
    text = _page.PAGE.read_text(encoding="utf-8")
    for f in result()["details"]["migrations"]:
        assert text.count(f"| {_page.title(f)} |") == 2  # what bridges kept, what shares kept
        assert (f"**{_page.title(f)}**: said {f['verdict']}" in text) == (not f["right"])
