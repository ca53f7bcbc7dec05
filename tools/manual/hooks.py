"""Hooks of MkDocs: pages of other folders, links to them, and the pages of the reference.

The documents in `docs` link to files of the repository as they are read there. Texts among these become pages of the
manual; configurations and other files that are linked are copied beside them.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from tools.manual.reference import api_page, commands_page

PROJECT = Path(__file__).parents[2]
PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "README.md": "readme.md",
    "samples/README.md": "samples.md",
}
"""Texts outside of `docs`, and the pages that they become."""
REMOTE_SHIM, SHIM = "https://unpkg.com/iframe-worker/shim", "assets/iframe-worker.js"
"""What the offline search loads, and its copy in the manual."""
TABLES = "assets/tables.css"
INLINE_CODE, OPTION = re.compile(r"<code>[^<]+</code>"), re.compile(r"(?<![\w-])--[a-z][\w-]*")
LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]*)((?:#[^)\s]*)?)(?=\))")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are not in `docs`, and the files to which pages link."""
    from mkdocs.structure.files import File

    made = {"reference/commands.md": commands_page(), "reference/api.md": api_page()}
    for source, page in PAGES.items():
        made[page] = relinked((PROJECT / source).read_text("utf-8"), source, page)
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    for name in (SHIM, TABLES):
        files.append(File.generated(config, name, abs_src_path=str(Path(__file__).parent / name)))
    for page in list(files.documentation_pages()):
        if page.src_uri in made:
            source = next((s for s, p in PAGES.items() if p == page.src_uri), "")
        else:
            source = f"docs/{page.src_uri}"
        for target in linked_files(source) if source else ():
            if files.get_file_from_path(target) is None:
                files.append(File.generated(config, target, abs_src_path=str(PROJECT / target)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Let the links of a page of `docs` lead to where files are in the manual."""
    name = page.file.src_uri
    if page.file.generated_by or name in PAGES.values():
        return markdown
    return relinked(markdown, f"docs/{name}", name)


def on_page_content(html: str, **_: Any) -> str:
    """Keep the names of options on one line: browsers break lines after hyphens."""
    return INLINE_CODE.sub(lambda code: OPTION.sub(r'<span style="white-space: nowrap">\g<0></span>', code[0]), html)


def on_post_page(output: str, *, page: Any, **_: Any) -> str:
    """Load the search of a page that is opened from disk from the manual itself, not from another site."""
    depth = page.url.count("/")
    return output.replace(REMOTE_SHIM, "../" * depth + SHIM)


def on_post_template(output: str, *, template_name: str, **_: Any) -> str:
    """As `on_post_page`, for pages such as that of an error."""
    return output.replace(REMOTE_SHIM, SHIM) if template_name.endswith(".html") else output


def linked_files(source: str) -> list[str]:
    """The files outside of `docs` that are copied into the manual because the text `source` links to them."""
    text = (PROJECT / source).read_text("utf-8")
    found = (_resolved(source, match[1]) for match in LINK.finditer(text))
    return [path for path in dict.fromkeys(found) if _is_copied(path)]


def relinked(text: str, source: str, page: str) -> str:
    """The text of `source`, a path in the repository, with links as they are from `page` of the manual."""

    def link(match: re.Match[str]) -> str:
        target = _resolved(source, match[1])
        if not match[1] or not (PROJECT / target).exists():
            return match[0]
        inside = PAGES.get(target, target.removeprefix("docs/"))
        if (PROJECT / target).is_dir():
            inside = "results/README.md" if target == "docs/results" else inside
        return posixpath.relpath(inside, posixpath.dirname(page) or ".") + match[2]

    return LINK.sub(link, text)


def _resolved(source: str, link: str) -> str:
    """The path in the repository to which a link of the text `source` leads."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _is_copied(path: str) -> bool:
    return not path.startswith(("docs/", "..")) and path not in PAGES and (PROJECT / path).is_file()
