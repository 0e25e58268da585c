"""The site builds without a warning, opens without a network, and a warning stops it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from site_tool import ROOT, load

SITE = load()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this checkout, built in a folder of its own."""
    folder = tmp_path_factory.mktemp("built")
    shutil.copy(ROOT / SITE.CONFIG, folder)
    (folder / "src").symlink_to(ROOT / "src")
    assert SITE.build(ROOT, folder) == 0
    return folder / "site"


def page(site: Path, name: str) -> str:
    return (site / name).read_text(encoding="utf-8")


def test_every_page_is_there_and_none_fetches_anything(site: Path) -> None:
    pages = [place.removesuffix(".md") + ".html" for place in SITE.documents(ROOT)]
    assert [name for name in pages if not (site / name).is_file()] == []
    assert [name for name in pages if SITE.FETCHED.search(page(site, name))] == []
    assert (site / "assets" / "iframe-worker.js").is_file()


def test_titles_formulas_pictures_and_names_are_in_the_pages(site: Path) -> None:
    assert re.search(r"<h1[^>]*>I use Lightning<", page(site, "lightning.html"))
    assert "needs:" not in page(site, "lightning.html")
    assert page(site, "method.html").count("<math") > 20
    assert "$" not in re.sub(r"<(pre|code|script)\b.*?</\1>", "", page(site, "method.html"), flags=re.DOTALL)
    assert page(site, "notebook.html").count("data:image/png;base64,") == 4
    assert 'id="adaselection.RecordedLoader"' in page(site, "api/loaders.html")
    assert "learnt_from_others" in page(site, "api/functional.html")


def test_the_search_knows_the_pages(site: Path) -> None:
    found = json.loads((site / "search.json").read_text(encoding="utf-8"))["items"]
    assert any("trusted" in item["text"] and item["location"].startswith("recorded.html") for item in found)


def test_a_warning_stops_the_build(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# A\n\n[b](#nowhere)\n", encoding="utf-8")
    (tmp_path / SITE.CONFIG).write_text(
        '[project]\nsite_name = "a"\ndocs_dir = "build/docs"\nnav = [{ "A" = "index.md" }]\n', encoding="utf-8"
    )
    assert SITE.build(tmp_path, tmp_path) != 0
    assert "anchor does not exist" in capfd.readouterr().err
