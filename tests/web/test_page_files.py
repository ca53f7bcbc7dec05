"""The files of the page: texts, links and the absence of anything from elsewhere. The browser tests drive them."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import mafdn

PAGE = Path(mafdn.__file__).parent / "web" / "page"
INDEX = PAGE / "index.html"
SCRIPTS = sorted(PAGE.rglob("*.js"))
STYLES = sorted(PAGE.rglob("*.css"))
TEXT = PAGE / "scripts" / "text.js"
NAMESPACES = ("http://www.w3.org/2000/svg",)
LINKS = ("https://www.unicode.org/cldr/charts/latest/supplemental/",)  # in comments
VOID = ("input", "img", "link", "meta")
"""Elements without an end tag."""
LONGEST = 350


class Elements(HTMLParser):
    """All elements of a page: tags with their attributes, and the text inside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.words: list[tuple[str, str]] = []
        self.not_closed: list[str] = []
        self._open = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))
        self._open = tag
        if tag not in VOID:
            self.not_closed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.not_closed.pop() == tag, f"line {self.getpos()[0]} closes <{tag}>"

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append((self._open, data.strip()))


@pytest.fixture(scope="module")
def elements() -> Elements:
    return Elements(INDEX.read_text())


def text_keys() -> set[str]:
    return set(re.findall(r'^  "([\w.]+)":', TEXT.read_text(), re.MULTILINE))


def used_keys(elements: Elements) -> tuple[set[str], set[str]]:
    """The keys that markup and scripts name, and the beginnings of those that scripts compose."""
    names = ("data-text", "data-label", "data-title")
    keys = {attributes[name] for _, attributes in elements.found for name in names if name in attributes}
    composed: set[str] = set()
    for path in SCRIPTS:
        source = path.read_text()
        for call in re.finditer(r"\b(?:say|announce|button)\(((?:[^()]|\([^()]*\))*)", source):
            keys |= set(re.findall(r'"([a-z]+(?:\.[\w.]+)+)"', call[1]))
            composed |= set(re.findall(r"`([\w.]+\.)\$\{", call[1]))
    return keys, composed


def test_every_text_that_is_used_exists_and_is_used(elements: Elements) -> None:
    keys, (used, composed) = text_keys(), used_keys(elements)
    assert len(keys) > 80
    assert used - keys == set()
    assert all(any(key.startswith(start) for key in keys) for start in composed)
    assert {key for key in keys - used if not key.startswith(tuple(composed))} == set()


def test_all_words_are_in_the_file_of_texts(elements: Elements) -> None:
    words = [text for _, text in elements.words if re.search(r"[A-Za-z]{2}", text)]
    assert words == [
        "mafdn",
        "mafdn",
        "This page needs JavaScript. The same is done by",
        "mafdn upscale",
    ]


def test_nothing_is_inline_and_nothing_comes_from_elsewhere(elements: Elements) -> None:
    for tag, attributes in elements.found:
        assert tag != "style"
        assert tag != "script" or "src" in attributes
        assert not any(name == "style" or name.startswith("on") for name in attributes)
        for name in ("src", "href"):
            address = attributes.get(name, "static/")
            assert address.startswith("static/"), f"<{tag} {name}={address!r}> is not below static/"
            assert (PAGE / address.removeprefix("static/").partition("#")[0]).exists()
    for path in (*SCRIPTS, *STYLES, *PAGE.rglob("*.svg")):
        addresses = re.findall(r"\b(?:https?|wss?|data|blob):[^\s\"')]*", path.read_text())
        assert set(addresses) - {*NAMESPACES, *LINKS} == set(), path.name


def test_scripts_and_styles_name_files_that_exist() -> None:
    symbols = set(re.findall(r'<symbol id="(\w+)"', (PAGE / "symbols.svg").read_text()))
    for path in SCRIPTS:
        source = path.read_text()
        for name in re.findall(r'^(?:import|export) .* from "(.+)";$', source, re.MULTILINE):
            assert (path.parent / name).is_file(), f"{path.name} imports {name}"
        assert set(re.findall(r'\bicon\("(\w+)"\)', source)) <= symbols
        for name in re.findall(r'\bfind\("([\w-]+)"\)', source):
            assert f'id="{name}"' in INDEX.read_text(), f"{path.name} looks for #{name}"
    for path in STYLES:
        for name in re.findall(r'url\("(.+?)"\)', path.read_text()):
            assert (path.parent / name).is_file(), f"{path.name} uses {name}"


def test_all_elements_are_closed(elements: Elements) -> None:
    assert elements.not_closed == []


def test_icons_of_the_markup_exist(elements: Elements) -> None:
    symbols = set(re.findall(r'<symbol id="(\w+)"', (PAGE / "symbols.svg").read_text()))
    named = {attributes["data-icon"] for _, attributes in elements.found if "data-icon" in attributes}
    assert named
    assert named <= symbols
    drawn = {name for path in SCRIPTS for name in re.findall(r'\bicon\("(\w+)"\)', path.read_text())}
    assert symbols == named | drawn | {"emblem"}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_controls_are_discernible(theme: int) -> None:
    """Their frames have a contrast of 3 with what surrounds them, as WCAG 1.4.11 asks for."""
    source = (PAGE / "styles" / "base.css").read_text()
    colors = dict(re.findall(r"--([\w-]+): light-dark\((#\w{6}, #\w{6})\)", source))

    def luminance(name: str) -> float:
        text = colors[name].split(", ")[theme]
        parts = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for ground in ("paper", "surface", "sunken"):
        low, high = sorted(luminance(name) + 0.05 for name in ("field", ground))
        assert high / low >= 3, ground


def test_scripts_leave_motion_to_the_styles() -> None:
    for path in SCRIPTS:
        assert "behavior:" not in path.read_text(), f"{path.name} scrolls smoothly even where motion is unwanted"


@pytest.mark.parametrize("path", [INDEX, *SCRIPTS, *STYLES], ids=lambda path: path.name)
def test_files_are_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= LONGEST
    assert max(len(line) for line in lines) <= 120


def test_the_font_has_its_license_beside_it() -> None:
    assert (PAGE / "fonts" / "inter.woff2").read_bytes()[:4] == b"wOF2"
    assert "SIL Open Font License" in (PAGE / "fonts" / "LICENSE").read_text()
