"""The site: `sphinx-build -W docs site`, or `make docs`. Pages are Markdown (MyST)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

from configuration_reference import configuration_reference  # noqa: E402

from onet._version import __version__  # noqa: E402

project = "onet"
author = "the onet authors"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py"]
html_theme = "furo"
html_title = f"onet {__version__}"
html_copy_source = html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["wide.css"]
myst_heading_anchors = 4
default_role = "code"  # docstrings write `names` as Markdown does
autodoc_typehints = "none"  # the signature has them
autodoc_member_order = "bysource"
napoleon_google_docstring = True

# Pages whose text is a file at the top of the repository.
TEXTS = {
    "contributing": ROOT / "CONTRIBUTING.md",
    "changelog": ROOT / "CHANGELOG.md",
    "credits": ROOT / "data/CREDITS.md",
}
PAGES = {path: DOCS / f"{name}.md" for name, path in TEXTS.items()}
PAGES[ROOT / "README.md"] = DOCS / "index.md"


def relinked(text: str, origin: Path, page: Path) -> str:
    """Return the text of the file `origin` with the links that it needs as `page` of the site."""

    def link(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        if "://" in target:
            return match[0]
        path = (origin.parent / target).resolve()
        path = PAGES.get(path, path)
        return f"]({Path(os.path.relpath(path, page.parent)).as_posix()}{anchor})"

    return re.sub(r"\]\(([^)\s#]+)(#[^)\s]*)?\)", link, text)


def read_source(app: Sphinx, name: str, source: list[str]) -> None:
    """Take the texts of the repository, and turn links to them into links to their pages."""
    page = DOCS / f"{name}.md"
    origin = TEXTS.get(name, page)
    source[0] = relinked(origin.read_text(encoding="utf-8"), origin, page)


def mark_code(
    app: Sphinx, what: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Call indented paragraphs outside of sections such as `Args:` code, as they are meant."""
    marked: list[str] = []
    section, above = False, ""
    for line in lines:
        if line and not line.startswith(" "):
            section = bool(re.fullmatch(r"[A-Z]\w+:", line))
        code = line.startswith("    ") and not above.startswith(" ")
        if code and not section and marked and not marked[-1]:
            marked += [".. code-block:: python", ""]
        marked.append(line)
        above = line or above
    lines[:] = marked


class ConfigurationReference(SphinxDirective):
    """Every key of a configuration, from the code that checks it."""

    def run(self) -> list:
        return self.parse_text_to_nodes(configuration_reference(), allow_section_headings=True)


def setup(app: Sphinx) -> None:
    app.connect("source-read", read_source)
    app.connect("autodoc-process-docstring", mark_code, priority=400)  # before napoleon
    app.add_directive("configuration-reference", ConfigurationReference)
