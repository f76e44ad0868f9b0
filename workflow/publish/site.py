"""Hooks of the documentation site (``mkdocs.yml``): files outside ``docs/`` that pages link to, and docstrings' roles.

Links are relative to their file, so that they also work in the repository. The site has ``docs/`` as its root, and
every other file that a page links to under its path in the repository.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from workflow.publish.parameters import without_roles

LINK = re.compile(r"\]\(([^)\s:#]+)(?=[)#])")
"""Target of a Markdown link or image; addresses of other sites have a colon."""
DOCS = "docs/"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file outside ``docs/`` that a page links to, directly or through other such pages.

    Raises:
        PluginError: a page links to a folder or to a file that does not exist.
    """
    waiting = list(files.documentation_pages())
    while waiting:
        page = waiting.pop()
        for target in targets(page.content_string, _place(page)):
            if target.startswith(DOCS) or files.get_file_from_path(target):
                continue
            if not Path(target).is_file():
                raise PluginError(f"{_place(page)}: links to {target}, which is not a file")
            added = File.generated(config, target, abs_src_path=str(Path(target).resolve()))
            files.append(added)
            if added.is_documentation_page():
                waiting.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Turn links between files of the repository into links between files of the site."""
    here, folder = _place(page.file), posixpath.dirname(page.file.src_uri)

    def in_site(link: re.Match[str]) -> str:
        target = _target(link[1], here).removeprefix(DOCS)
        return f"]({posixpath.relpath(target, folder)}"

    # The repository's tables escape "<", and Python-Markdown would print the backslash.
    return LINK.sub(in_site, markdown).replace("\\<", "&lt;")


def targets(text: str, place: str) -> Iterator[str]:
    """Files, as paths from the repository's top folder, that the Markdown ``text`` of the file ``place`` links to."""
    for link in LINK.finditer(re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)):
        yield _target(link[1], place)


def _target(link: str, place: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), link))


def _place(file: File) -> str:
    """Path of a file of the site in the repository."""
    return DOCS + file.src_uri if file.src_dir else file.src_uri


class Roles(griffe.Extension):
    """Docstrings as mkdocstrings reads them."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of ``obj`` in place."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(docstring: str) -> str:
    """``docstring`` with roles such as ``:func:`name``` as code, and ``Example:`` as a section of examples; tables with
    ``====`` borders become code blocks.
    """
    text = without_roles(docstring)
    text = re.sub(r"(?m)^Example:$", "Examples:", text)
    return re.sub(r"(?ms)^====.*^====[^\n]*$", r"```text\n\g<0>\n```", text)
