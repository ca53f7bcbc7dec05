"""XMP packets, edited as bytes: what needs no correction stays as it is, also in damaged packets.

Every search takes time in proportion to the length of the packet, whatever is in it.
"""

import re
from collections.abc import Callable, Collection, Mapping

from mafdn.pictures.picture import QUARTER_TURNS

SPACES = {
    b"http://ns.adobe.com/tiff/1.0/": b"tiff",
    b"http://ns.adobe.com/exif/1.0/": b"exif",
    b"http://ns.adobe.com/xap/1.0/": b"xmp",
    b"http://ns.adobe.com/hdr-gain-map/1.0/": b"hdrgm",
    b"http://ns.apple.com/HDRGainMap/1.0/": b"HDRGainMap",
    b"http://ns.google.com/photos/1.0/container/": b"Container",
    b"http://ns.google.com/photos/1.0/camera/": b"GCamera",
    b"http://ns.google.com/photos/1.0/panorama/": b"GPano",
    b"http://www.metadataworkinggroup.com/schemas/regions/": b"mwg-rs",
    b"http://ns.adobe.com/xmp/sType/Area#": b"stArea",
    b"http://ns.adobe.com/xap/1.0/sType/Dimensions#": b"stDim",
    b"http://ns.acdsee.com/regions/": b"acdsee-rs",
    b"http://ns.acdsee.com/sType/Area#": b"stArea",
    b"http://ns.acdsee.com/sType/Dimensions#": b"stDim",
    b"http://ns.microsoft.com/photo/1.2/t/Region#": b"MPReg",
}
"""The usual prefixes of namespaces; a packet may declare others."""
COMPANIONS = (b"hdrgm:", b"HDRGainMap:", b"Container:", b"GCamera:MotionPhoto", b"GCamera:MicroVideo")
"""How the names of properties begin that describe gain maps and videos stored behind the picture."""
DROPPED = (b"xmp:Thumbnails", b"exif:SubjectArea", b"exif:SubjectLocation")
"""Properties that hold other pixels, or places in pixels of the picture as it was stored."""
SIZES = ((b"tiff:ImageWidth", b"exif:PixelXDimension"), (b"tiff:ImageLength", b"exif:PixelYDimension"))
"""Properties that state the width, and the height."""
PRINT_RESOLUTIONS = (b"tiff:XResolution", b"tiff:YResolution")
FOCAL_PLANE_RESOLUTIONS = (b"exif:FocalPlaneXResolution", b"exif:FocalPlaneYResolution")
PANORAMA = (
    (
        b"GPano:FullPanoWidthPixels",
        b"GPano:CroppedAreaImageWidthPixels",
        b"GPano:CroppedAreaLeftPixels",
        b"GPano:LargestValidInteriorRectWidth",
        b"GPano:LargestValidInteriorRectLeft",
    ),
    (
        b"GPano:FullPanoHeightPixels",
        b"GPano:CroppedAreaImageHeightPixels",
        b"GPano:CroppedAreaTopPixels",
        b"GPano:LargestValidInteriorRectHeight",
        b"GPano:LargestValidInteriorRectTop",
    ),
)
"""Properties of panoramas, which viewers place on a sphere by them, in pixels across and down."""
DIMENSIONS = {b"mwg-rs:AppliedToDimensions", b"acdsee-rs:AppliedToDimensions"}
"""Elements that state the size of the picture in which faces and other regions were marked."""
AREAS = {b"mwg-rs:Area", b"acdsee-rs:DLYArea", b"acdsee-rs:ALGArea"}
"""Elements that state the center and size of such a region, as shares of the stored picture."""
SIDES, CENTER, EXTENT = (b"stDim:w", b"stDim:h"), (b"stArea:x", b"stArea:y"), (b"stArea:w", b"stArea:h")
"""Properties of these elements."""

PREFIX = rb"[\w.-]{1,64}"
NAME = rb"(%s:%s)" % (PREFIX, PREFIX)
DECLARATION = re.compile(rb"""xmlns:(%s)\s*+=\s*+["']([^"'<>]{1,200}+)["']""" % PREFIX)
TAG = re.compile(rb"<(/?)%s((?:[\s/][^<>]*+)?)>\s*+" % NAME)
ATTRIBUTE = re.compile(rb"""\s%s\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+')""" % NAME)
Rule = Callable[[bytes], bytes]
"""Corrects the value of a property; one that it does not understand stays as it is."""


def upright(packet: bytes, orientation: int) -> bytes:
    """Correct a packet for a picture that has been turned upright.

    Args:
        packet: The packet.
        orientation: EXIF orientation of the stored picture; regions such as faces are turned along.
    """
    editor = _Editor(packet)
    rules = {b"tiff:Orientation": _number(1)}
    if orientation not in range(2, 9):
        return editor.with_values(packet, rules)
    rules[b"MPReg:Rectangle"] = lambda value: _turned_rectangle(value, orientation)
    edits: dict[bytes, Rule] = dict.fromkeys(AREAS, lambda area: _turned_area(editor, area, orientation))
    if orientation in QUARTER_TURNS:
        edits |= dict.fromkeys(DIMENSIONS, lambda size: _exchanged(editor, size, SIDES))
    return editor.with_values(editor.with_elements(packet, edits.get), rules)


def resized(
    packet: bytes, *, width: int, height: int, larger: tuple[float, float], finer: tuple[float, float]
) -> bytes:
    """Correct a packet for a picture that has been resized; the arguments are those of `metadata.resized`.

    Returns:
        The packet with sizes, resolutions and places in pixels corrected, and without thumbnails, the place of the
        subject, and what describes gain maps and videos behind the picture.
    """
    editor = _Editor(packet)
    rules: dict[bytes, Rule] = {}
    for axis, number in enumerate((width, height)):
        rules |= dict.fromkeys(SIZES[axis], _number(number))
        rules |= dict.fromkeys(PANORAMA[axis], _scaled(larger[axis]))
        rules[PRINT_RESOLUTIONS[axis]] = _multiplied(finer[axis])
        rules[FOCAL_PLANE_RESOLUTIONS[axis]] = _multiplied(larger[axis])
    sides = {name: _scaled(factor) for name, factor in zip(SIDES, larger, strict=True)}

    def edit_of(name: bytes) -> Rule | None:
        if _is_left_out(name):
            return lambda _: b""
        return (lambda size: editor.with_values(size, sides)) if name in DIMENSIONS else None

    packet = editor.with_elements(editor.without_attributes(packet, _is_left_out), edit_of)
    return editor.with_values(packet, rules)


def multiplied(above: int, below: int, factor: float) -> tuple[int, int]:
    """A fraction multiplied by `factor`, in thousandths if that fits into 32 bits; raises `ZeroDivisionError`."""
    value = above / below * factor
    parts = 1000 if value * 1000 < 2**32 else 1
    return round(value * parts), parts


class _Editor:
    """Finds properties by the namespaces that a packet declares; names are given with the usual prefixes."""

    def __init__(self, packet: bytes) -> None:
        self._prefixes = {prefix: prefix for prefix in SPACES.values()}
        declared = DECLARATION.findall(packet)
        for prefix, _ in declared:
            self._prefixes.pop(prefix, None)
        self._prefixes |= {prefix: SPACES[space] for prefix, space in declared if space in SPACES}

    def values(self, part: bytes, names: Collection[bytes]) -> dict[bytes, bytes]:
        """The simple values of these properties in a part of the packet."""
        found = {self._usual(name): value for name, _, value in _properties(names).findall(part)}
        return {name: value for name, value in found.items() if name in names}

    def with_values(self, part: bytes, rules: Mapping[bytes, Rule]) -> bytes:
        """The part with each property for which there is a rule corrected by it."""

        def correct(found: re.Match[bytes]) -> bytes:
            rule = rules.get(self._usual(found[1]))
            return found[1] + found[2] + rule(found[3]) if rule else found[0]

        return _properties(rules).sub(correct, part)

    def with_elements(self, part: bytes, edit_of: Callable[[bytes], Rule | None]) -> bytes:
        """The part with each element edited for whose name there is an edit, its tags and spaces behind it included.

        Elements without an end stay as they are.
        """
        kept, done = list[bytes](), 0
        name, start, edit = b"", 0, None
        for tag in TAG.finditer(part):
            closing, named, rest = tag.groups()
            if edit:
                ended = closing and named == name
            else:
                edit = None if closing else edit_of(self._usual(named))
                name, start, ended = named, tag.start(), rest.endswith(b"/")
            if edit and ended:
                kept += [part[done:start], edit(part[start : tag.end()])]
                edit, done = None, tag.end()
        return b"".join([*kept, part[done:]])

    def without_attributes(self, part: bytes, chosen: Callable[[bytes], bool]) -> bytes:
        """The part without the chosen attributes."""
        return ATTRIBUTE.sub(lambda found: b"" if chosen(self._usual(found[1])) else found[0], part)

    def _usual(self, name: bytes) -> bytes:
        """A name with the usual prefix of its namespace; without any if that is unknown."""
        prefix, _, local = name.partition(b":")
        return self._prefixes[prefix] + b":" + local if prefix in self._prefixes else local


def _properties(names: Collection[bytes]) -> re.Pattern[bytes]:
    """Finds properties, as attributes or elements, with simple values: the name with any prefix, a mark, the value."""
    local = b"|".join(name.partition(b":")[2] for name in names)
    return re.compile(
        rb"""(?<![\w.:/-])(%s:(?:%s))(\s*+(?:=\s*+["']|>\s*+))([^<>"']{1,200}+)(?=[<>"'])""" % (PREFIX, local)
    )


def _is_left_out(name: bytes) -> bool:
    return name in DROPPED or name.startswith(COMPANIONS)


def _number(number: int) -> Rule:
    """A rule that replaces an integer."""
    return lambda value: b"%d" % number if re.fullmatch(rb"[0-9]{1,10}\s*", value) else value


def _scaled(factor: float) -> Rule:
    """A rule that multiplies a number of pixels."""

    def scale(value: bytes) -> bytes:
        return (
            b"%d" % round(float(value) * factor) if re.fullmatch(rb"[0-9]{1,10}(\.[0-9]{0,10})?\s*", value) else value
        )

    return scale


def _multiplied(factor: float) -> Rule:
    """A rule that multiplies a fraction; unchanged to the byte if the factor is 1."""

    def multiply(value: bytes) -> bytes:
        found = re.fullmatch(rb"([0-9]{1,10})/([0-9]{1,10})\s*", value)
        if not found or factor == 1 or not int(found[2]):
            return value
        return b"%d/%d" % multiplied(int(found[1]), int(found[2]), factor)

    return multiply


def _turned(x: float, y: float, orientation: int) -> tuple[float, float]:
    """Where a point, in shares of the stored picture, is in the upright one."""
    if orientation in QUARTER_TURNS:
        x, y = y, x
    return 1 - x if orientation in (2, 3, 6, 7) else x, 1 - y if orientation in (3, 4, 7, 8) else y


def _turned_area(editor: _Editor, area: bytes, orientation: int) -> bytes:
    """The element of a region, given by its center and size, turned along with the picture."""
    stated = editor.values(area, CENTER)
    try:
        x, y = _turned(float(stated[CENTER[0]]), float(stated[CENTER[1]]), orientation)
    except (KeyError, ValueError):
        return area
    area = editor.with_values(area, _constants({CENTER[0]: b"%.6f" % x, CENTER[1]: b"%.6f" % y}))
    return _exchanged(editor, area, EXTENT) if orientation in QUARTER_TURNS else area


def _turned_rectangle(value: bytes, orientation: int) -> bytes:
    """A region given as left, top, width and height, turned along with the picture."""
    try:
        left, top, width, height = map(float, value.split(b","))
    except ValueError:
        return value
    x, y = _turned(left + width / 2, top + height / 2, orientation)
    if orientation in QUARTER_TURNS:
        width, height = height, width
    return b"%.6f, %.6f, %.6f, %.6f" % (x - width / 2, y - height / 2, width, height)


def _exchanged(editor: _Editor, element: bytes, pair: tuple[bytes, bytes]) -> bytes:
    """The element with the values of two properties exchanged."""
    first, second = pair
    stated = editor.values(element, pair)
    if len(stated) < 2:
        return element
    return editor.with_values(element, _constants({first: stated[second], second: stated[first]}))


def _constants(values: Mapping[bytes, bytes]) -> dict[bytes, Rule]:
    """Rules that set values."""
    return {name: lambda _, new=new: new for name, new in values.items()}
