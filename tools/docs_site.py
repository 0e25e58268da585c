"""Lay out the pages of the site, and build it: ``python tools/docs_site.py``, or ``make docs``.

The pages under ``docs/`` read well where the repository is read. For the site, copies are made under ``build/docs``:

1. A link that leaves ``docs/`` goes to a page of the site: that of the document, or one that shows the file.
2. Formulas become MathML, which browsers draw without scripts or fonts from elsewhere.
3. The notebook becomes a page, with the outputs that it was committed with.
4. Comments go: they are for the tests and the tools.

Then zensical builds ``site/`` from them, and any warning is an error.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "zensical.toml"
NOTEBOOK = Path("examples/digits.ipynb")
# Documents outside docs/ that are pages of the site, and where.
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    str(NOTEBOOK): "notebook.md",
}
CODE = re.compile(r"(^```.*?^```[^\S\n]*$|`[^`]+`)", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"<!--.*?-->\n?", re.DOTALL)
LINK = re.compile(r"(?<=\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?=\))")
FORMULA = re.compile(r"(?P<block>\$\$)(?P<display>[^$]+)\$\$|\$(?P<inline>[^\s$](?:[^$\n]*[^\s$])?)\$")
FETCHED = re.compile(r"<(?:script|img|iframe)[^>]*\ssrc=[\"']?https?://[^>]*>|<link[^>]*stylesheet[^>]*https?://[^>]*>")
SHIM = "https://unpkg.com/iframe-worker/shim"
LANGUAGES = {".py": "python", ".json": "json", ".toml": "toml"}


class SiteError(Exception):
    """A page that cannot be part of the site; the message names the page and the fault."""


def prose(text: str, change: Callable[[str], str]) -> str:
    """Change what lies outside of code."""
    return "".join(part if number % 2 else change(part) for number, part in enumerate(CODE.split(text)))


def documents(root: Path) -> dict[str, str]:
    """Every page of the site that somebody wrote: its place on the site, and its place in the repository."""
    own = {path.relative_to(root / "docs").as_posix(): path for path in sorted((root / "docs").rglob("*.md"))}
    pages = {place: path.relative_to(root).as_posix() for place, path in own.items()}
    moved = {place: file for file, place in MOVED.items() if file != "README.md" and (root / file).exists()}
    if twice := set(pages) & set(moved):
        raise SiteError(f"docs/{min(twice)}: the site has another page of that name")
    return pages | moved


def in_nav(nav: list[Any]) -> Iterator[str]:
    """The pages that a navigation names, in order."""
    for entry in nav:
        for inside in entry.values() if isinstance(entry, dict) else (entry,):
            yield from in_nav(inside) if isinstance(inside, list) else (inside,)


def place_of(root: Path, file: str, target: str) -> str:
    """Where on the site the file is that a document links to.

    Raises:
        SiteError: there is no such file.
    """
    linked = os.path.normpath(Path(file).parent / target)
    if not (root / linked).is_file():
        raise SiteError(f"{file}: links to {target}, and there is no such file")
    if linked.startswith("docs/"):
        return linked.removeprefix("docs/")
    return MOVED.get(linked, f"source/{linked}.md")


def links(text: str) -> Iterator[tuple[str, str]]:
    """The relative links of a document: target (empty for the page itself) and anchor, outside of code."""
    bare = re.compile(r"\]\((?P<target>[^)\s#:]*)(?:#(?P<anchor>[^)\s]*))?\)")
    for part in CODE.split(COMMENT.sub("", text))[::2]:
        for match in bare.finditer(part):
            yield match["target"], match["anchor"] or ""


def relinked(root: Path, file: str, place: str, text: str) -> str:
    """The text with its links pointing at the pages of the site."""

    def to_page(match: re.Match[str]) -> str:
        goal = place_of(root, file, match["target"])
        return os.path.relpath(goal, Path(place).parent) + (match["anchor"] or "")

    return prose(text, lambda part: LINK.sub(to_page, part))


def with_formulas(text: str) -> str:
    """The text with its formulas as MathML."""

    def drawn(match: re.Match[str]) -> str:
        from latex2mathml.converter import convert

        if match["block"]:
            return str(convert(match["display"].strip(), display="block"))
        return str(convert(match["inline"]))

    return prose(text, lambda part: FORMULA.sub(drawn, part))


def source_page(root: Path, file: str) -> str:
    """A page that shows a file of the repository."""
    path = root / file
    text = path.read_text(encoding="utf-8").rstrip("\n")
    head = "---\nsearch:\n  exclude: true\n---\n\n"  # what is looked for are pages, not lines of tests
    return f"{head}# {path.name}\n\n`{file}`\n\n````{LANGUAGES.get(path.suffix, 'text')}\n{text}\n````\n"


def notebook_page(notebook: dict[str, Any]) -> str:
    """A notebook as Markdown, its pictures inside."""
    parts: list[str] = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        parts.append(f"```python\n{text}\n```")
        for output in cell["outputs"]:
            if "text" in output:
                parts.append("```text\n" + "".join(output["text"]).rstrip("\n") + "\n```")
            elif "image/png" in output["data"]:
                png = "".join(output["data"]["image/png"]).replace("\n", "")
                parts.append(f"![Drawn by the lines above](data:image/png;base64,{png})")
    return "\n\n".join(parts) + "\n"


def page_text(root: Path, file: str, place: str) -> str:
    """What a page of the site says, given its document and its place."""
    text = (root / file).read_text(encoding="utf-8")
    if file.endswith(".ipynb"):
        text = notebook_page(json.loads(text))
    return with_formulas(relinked(root, file, place, prose(text, lambda part: COMMENT.sub("", part))))


def lay_out(root: Path, target: Path) -> list[str]:
    """Write all pages into a folder made anew, and return their places.

    Raises:
        SiteError: a link without its file, or a page that the navigation has not, or has and is not there.
    """
    pages = documents(root)
    nav = list(in_nav(tomllib.loads((root / CONFIG).read_text(encoding="utf-8"))["project"]["nav"]))
    if astray := set(nav) ^ set(pages):
        raise SiteError(f"{CONFIG}: pages and navigation differ in {', '.join(sorted(astray))}")
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(root / "docs", target, ignore=shutil.ignore_patterns("*.md"))
    texts = {place: page_text(root, file, place) for place, file in pages.items()}
    shown = {os.path.normpath(Path(place).parent / goal) for place, text in texts.items() for goal, _ in links(text)}
    for place in sorted(place for place in shown if place.startswith("source/")):
        texts[place] = source_page(root, place.removeprefix("source/").removesuffix(".md"))
    for place, text in texts.items():
        path = target / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return list(texts)


def offline(site: Path) -> None:
    """Let the pages use the search worker that lies beside them, in the place of one that would be fetched.

    Raises:
        SiteError: a page would still fetch something from elsewhere.
    """
    for page in sorted(site.rglob("*.html")):
        own = os.path.relpath(site / "assets" / "iframe-worker.js", page.parent)
        text = page.read_text(encoding="utf-8").replace(SHIM, own)
        if found := FETCHED.search(text):
            raise SiteError(f"{page.relative_to(site)}: would fetch {found[0]}")
        page.write_text(text, encoding="utf-8")


def build(root: Path, folder: Path) -> int:
    """Lay out the pages of a repository in a folder that holds its ``zensical.toml`` and ``src``, and build ``site``.

    Returns:
        zensical's exit code: not 0 where it warned.

    Raises:
        SiteError: as `lay_out` and `offline`.
    """
    pages = lay_out(root, folder / "build" / "docs")
    zensical = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", "-f", CONFIG]
    done = subprocess.run(zensical, cwd=folder, check=False)
    if done.returncode == 0:
        offline(folder / "site")
        print(f"{len(pages)} pages: site/index.html")
    return done.returncode


def main() -> int:
    """Build the site of this repository."""
    try:
        return build(ROOT, ROOT)
    except SiteError as fault:
        print(f"docs_site.py: {fault}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
