"""The pages of the site hang together: navigation, links, anchors, and every public name in the reference."""

import json
import re
import tomllib
import unicodedata
from pathlib import Path

import pytest

import adaselection
from adaselection import AdaSelectionError, diagnosis, errors, functional
from site_tool import ROOT, load

SITE = load()
PAGES = SITE.documents(ROOT)
REFERENCE = re.compile(r"^::: (adaselection[\w.]*)$", re.MULTILINE)
DOCUMENTS = sorted({*PAGES.values(), "README.md"} - {str(SITE.NOTEBOOK)})
REFERENCE_PAGES = sorted((ROOT / "docs" / "api").glob("*.md"))
REFERRED = {name for path in REFERENCE_PAGES for name in REFERENCE.findall(path.read_text(encoding="utf-8"))}


def text_of(file: str) -> str:
    text = (ROOT / file).read_text(encoding="utf-8")
    return SITE.notebook_page(json.loads(text)) if file.endswith(".ipynb") else text


def without_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def on_the_site(title: str) -> str:
    """The anchor that Python-Markdown gives a heading."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def in_the_repository(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    """What a link to a page can end in, both on the site and in the repository."""
    titles = re.findall(r"^#{1,6} (.+)$", without_blocks(text), re.MULTILINE)
    both = {on_the_site(title) for title in titles} & {in_the_repository(title) for title in titles}
    return both | set(REFERENCE.findall(text)) | set(re.findall(r'<a id="([^"]+)">', text))


def test_every_page_is_in_the_navigation_and_the_other_way_round() -> None:
    nav = list(SITE.in_nav(tomllib.loads((ROOT / SITE.CONFIG).read_text(encoding="utf-8"))["project"]["nav"]))
    assert sorted(nav) == sorted(PAGES)
    assert {"index.md", "start.md", "cost.md", "methods.md", "method.md", "notebook.md", "api/index.md"} <= set(nav)


@pytest.mark.parametrize("file", [*DOCUMENTS, str(SITE.NOTEBOOK)])
def test_every_link_and_anchor_resolves(file: str) -> None:
    for target, anchor in SITE.links(text_of(file)):
        linked = (ROOT / file).parent / target if target else ROOT / file
        assert linked.exists(), f"{file}: {target}"
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked.read_text(encoding="utf-8")), f"{file}: {target}#{anchor}"


@pytest.mark.parametrize("file", [*DOCUMENTS, str(SITE.NOTEBOOK)])
def test_a_page_has_one_title_and_it_comes_first(file: str) -> None:
    bare = without_blocks(SITE.COMMENT.sub("", text_of(file))).lstrip()
    assert bare.startswith("# ")
    assert len(re.findall(r"^# ", bare, re.MULTILINE)) == 1


def test_every_public_name_is_in_the_reference() -> None:
    index = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    modules = {"diagnosis", "errors", "functional", "__version__"}
    own = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AdaSelectionError)]
    kinds = {kind.__name__ for kind in own} - {"AdaSelectionError"}
    assert {name for name in adaselection.__all__ if f"`{name}`" not in index} == set()
    assert {name for name in set(adaselection.__all__) - modules if f"adaselection.{name}" not in REFERRED} == set()
    assert {name for name in functional.__all__ if f"adaselection.functional.{name}" not in REFERRED} == set()
    assert {name for name in diagnosis.__all__ if f"adaselection.diagnosis.{name}" not in REFERRED} == set()
    assert {f"adaselection.errors.{name}" for name in kinds} <= REFERRED


def little(folder: Path, pages: dict[str, str]) -> Path:
    """A repository of a script, some pages and a navigation."""
    for name, text in {"x.py": "b = 2\n", "README.md": "# R\n", **pages}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    nav = ", ".join(f'{{ "p{i}" = "{page}" }}' for i, page in enumerate(SITE.documents(folder)))
    (folder / SITE.CONFIG).write_text(f"[project]\nnav = [{nav}]\n", encoding="utf-8")
    return folder


PAGE = """<!-- needs: torch -->
# A

See [x](../../x.py), [r](../../README.md#top), `[c](../../x.py)`, [b](b.md#b).

```text
[d](e.md)
```
"""


def test_links_lead_to_pages_of_the_site_and_code_stays(tmp_path: Path) -> None:
    root = little(tmp_path / "root", {"docs/sub/a.md": PAGE, "docs/sub/b.md": "# B\n"})
    assert set(SITE.lay_out(root, tmp_path / "out")) == {"sub/a.md", "sub/b.md", "source/x.py.md"}
    wanted = PAGE.partition("\n")[2].replace("[x](../../x.py)", "[x](../source/x.py.md)")
    written = (tmp_path / "out" / "sub" / "a.md").read_text(encoding="utf-8")
    assert written == wanted.replace("../../README.md", "../index.md")
    assert "````python\nb = 2\n````" in (tmp_path / "out" / "source" / "x.py.md").read_text(encoding="utf-8")


def test_a_link_without_its_file_and_a_page_outside_the_navigation_are_faults(tmp_path: Path) -> None:
    root = little(tmp_path / "root", {"docs/a.md": "# A\n\n[gone](../y.py)\n"})
    with pytest.raises(SITE.SiteError, match=r"docs/a\.md: links to \.\./y\.py"):
        SITE.lay_out(root, tmp_path / "out")
    (root / "docs" / "b.md").write_text("# B\n", encoding="utf-8")
    with pytest.raises(SITE.SiteError, match=r"pages and navigation differ in b\.md"):
        SITE.lay_out(root, tmp_path / "out")


def test_a_page_that_would_fetch_something_is_a_fault(tmp_path: Path) -> None:
    page = tmp_path / "sub" / "a.html"
    page.parent.mkdir()
    page.write_text(f'<script src="{SITE.SHIM}"></script><a href="https://arxiv.org">x</a>', encoding="utf-8")
    SITE.offline(tmp_path)
    assert '<script src="../assets/iframe-worker.js">' in page.read_text(encoding="utf-8")
    for fetching in (
        '<script src="https://a/b.js">',
        '<link rel="stylesheet" href="https://a/b.css">',
        "<img src=http://a>",
    ):
        page.write_text(fetching, encoding="utf-8")
        with pytest.raises(SITE.SiteError, match=r"sub/a\.html: would fetch"):
            SITE.offline(tmp_path)


def test_anchors_are_those_of_both_places() -> None:
    assert anchors('# A page\n\n## I use ...\n\n```text\n## No\n```\n::: adaselection.X\n<a id="b"></a>\n') == {
        "a-page",
        "adaselection.X",
        "b",
    }
    assert on_the_site("`len`, the surplus, and steps per epoch") == "len-the-surplus-and-steps-per-epoch"
