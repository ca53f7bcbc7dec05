"""ICC profiles in a JPEG XL codestream: decoded, and encoded without compression (ISO/IEC 18181-1, annex E.4)."""

import struct

from mafdn.pictures.codecs.jxl.bits import BitReader, BitWriter
from mafdn.pictures.codecs.jxl.entropy import EntropyDecoder

CONTEXTS = 41
LONGEST = 1 << 21
"""Bytes of a profile; those with large tables have some hundred thousand."""
HEADER = 128
INSERT, SHUFFLE_2, SHUFFLE_4, PREDICT, XYZ, FIRST_TYPE = 1, 2, 3, 4, 10, 16
"""Commands for the content of tags."""
UNKNOWN_TAG, TRC_TAGS, XYZ_TAGS, FIRST_TAG = 1, 2, 3, 4
"""Commands for the list of tags: one that is spelled out, two groups of three, and the first of those in `TAGS`."""
TAGS = "cprt wtpt bkpt rXYZ gXYZ bXYZ kXYZ rTRC gTRC bTRC kTRC chad desc chrm dmnd dmdd lumi".split()  # noqa: SIM905
POINTS = (b"rXYZ", b"gXYZ", b"bXYZ", b"kXYZ", b"wtpt", b"bkpt", b"lumi")
"""Tags that have 20 bytes."""
TYPES = (b"XYZ ", b"desc", b"text", b"mluc", b"para", b"curv", b"sf32", b"gbd ")


def decode_icc(reader: BitReader) -> bytes:
    """Decode the profile that `reader` stands at; it then stands after it. Raises `ValueError` if it is damaged."""
    size = reader.long()
    if size > LONGEST:
        raise ValueError("its color profile is too large")
    decoder = EntropyDecoder(reader, CONTEXTS)
    stream = bytearray()
    for number in range(size):
        context = 0 if number <= HEADER else 1 + _kind(stream[-1]) + 8 * _coarse_kind(stream[-2])
        value = decoder.read(context)
        if value > 255:
            raise ValueError("its color profile is damaged")
        stream.append(value)
    decoder.check_end()
    try:
        return _Unpredicted(bytes(stream)).profile()
    except (IndexError, struct.error):
        raise ValueError("its color profile is damaged") from None


def encode_icc(profile: bytes) -> BitWriter:
    """Encode a profile: all of its bytes are stored as they are, but for the prediction of the first 128."""
    stream = _varint(len(profile))
    header = _initial_header(len(profile))
    differences = bytearray()
    for number, value in enumerate(profile[:HEADER]):
        _predict_header(profile, header, number)
        differences.append((value - header[number]) & 255)
    rest = profile[HEADER:]
    commands = b"\0" + bytes([INSERT]) + _varint(len(rest)) if rest else b"\0" * (len(profile) >= HEADER)
    stream += _varint(len(commands)) + commands + bytes(differences) + rest
    writer = BitWriter()
    _write_long(writer, len(stream))
    writer.write(0, 1)  # no repetitions
    writer.write(1, 1)  # a simple map of contexts,
    writer.write(0, 2)  # of no bits each: all use one code,
    writer.write(1, 1)  # a prefix code
    writer.write(8, 4)  # for integers up to 255, without further bits
    writer.write(0, 4)
    writer.write(0, 4)
    writer.write(1 | 7 << 1 | (255 - 128) << 5, 12)  # 256 symbols
    writer.write(0, 2)  # lengths of codes: those up to 8, the only one that is used, are listed in the fixed order
    for symbol in (1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8):
        writer.write(*((0b0111, 4) if symbol == 8 else (0, 2)))  # 1 for the length that is used, else 0
    for _ in range(7):
        writer.write(0, 2)
    value, count = 0, 0
    for byte in stream:
        value |= int(f"{byte:08b}"[::-1], 2) << count
        count += 8
    writer.write(value, count)
    return writer


class _Unpredicted:
    """A profile that is put together from commands and data.

    Args:
        stream: Sizes, then commands, then data.
    """

    def __init__(self, stream: bytes) -> None:
        self._stream, self._place = stream, 0
        self._size = self._number()
        length = self._number()
        self._end = self._place + length
        self._data = self._end
        self._out = bytearray()
        if self._size > LONGEST or self._end > len(stream):
            raise ValueError("its color profile is damaged")

    def profile(self) -> bytes:
        """All of it; raises `ValueError`, `IndexError` or `struct.error` if it is damaged."""
        header = _initial_header(self._size)
        for number in range(min(HEADER, self._size)):
            _predict_header(bytes(self._out), header, number)
            self._out.append((self._take(1)[0] + header[number]) & 255)
        if self._size > HEADER:
            self._tags()
            while self._place < self._end:
                self._content()
        if len(self._out) != self._size:
            raise ValueError("its color profile is damaged")
        return bytes(self._out)

    def _byte(self) -> int:
        self._place += 1
        return self._stream[self._place - 1]

    def _number(self) -> int:
        value = shift = 0
        while shift < 63:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise ValueError("its color profile is damaged")

    def _take(self, count: int) -> bytes:
        if self._data + count > len(self._stream) or len(self._out) + count > self._size:
            raise ValueError("its color profile is damaged")
        self._data += count
        return self._stream[self._data - count : self._data]

    def _tags(self) -> None:
        count = self._number()
        if not count:
            return
        self._out += struct.pack(">I", count - 1)
        start, size = HEADER + 4 + 12 * (count - 1), 0
        while self._place < self._end:
            command = self._byte()
            code = command & 63
            if not code:
                return
            if code == UNKNOWN_TAG:
                tag = self._take(4)
            else:
                tag = b"rTRC" if code == TRC_TAGS else b"rXYZ" if code == XYZ_TAGS else TAGS[code - FIRST_TAG].encode()
            next_start = self._number() if command & 64 else start + size
            size = 20 if tag in POINTS else size
            size = self._number() if command & 128 else size
            start = next_start
            self._out += tag + struct.pack(">II", start, size)
            if code == TRC_TAGS:
                self._out += struct.pack(">4sII4sII", b"gTRC", start, size, b"bTRC", start, size)
            if code == XYZ_TAGS:
                self._out += struct.pack(">4sII4sII", b"gXYZ", start + size, size, b"bXYZ", start + 2 * size, size)
            if len(self._out) > self._size:
                raise ValueError("its color profile is damaged")

    def _content(self) -> None:
        command = self._byte()
        if command == INSERT:
            self._out += self._take(self._number())
        elif command in (SHUFFLE_2, SHUFFLE_4):
            self._out += _shuffled(self._take(self._number()), 2 if command == SHUFFLE_2 else 4)
        elif command == PREDICT:
            self._predicted()
        elif command == XYZ:
            self._out += b"XYZ " + bytes(4) + self._take(12)
        else:
            self._out += TYPES[command - FIRST_TYPE if command >= FIRST_TYPE else len(TYPES)] + bytes(4)

    def _predicted(self) -> None:
        flags = self._byte()
        width, order = (flags & 3) + 1, flags >> 2 & 3
        stride = self._number() if flags & 16 else width
        count = self._number()
        if width == 3 or order == 3 or stride < width or 4 * stride >= len(self._out):
            raise ValueError("its color profile is damaged")
        data, out, first = _shuffled(self._take(count), width), self._out, len(self._out)
        for number, difference in enumerate(data):
            place = first + number // width * width
            one, two, three = (
                int.from_bytes(out[place - back * stride : place - back * stride + width]) for back in (1, 2, 3)
            )
            predicted = (one, 2 * one - two, 3 * one - 3 * two + three)[order]
            shift = 8 * (width - 1 - number % width)
            out.append((difference + (predicted >> shift)) & 255)


def _initial_header(size: int) -> bytearray:
    """What is expected of a profile's header."""
    header = bytearray(HEADER)
    struct.pack_into(">I", header, 0, size)
    header[8] = 4
    header[12:24] = b"mntrRGB XYZ "
    header[36:40] = b"acsp"
    struct.pack_into(">3I", header, 68, 0xF6D6, 0x1_0000, 0xD32D)
    return header


def _predict_header(profile: bytes, header: bytearray, number: int) -> None:
    """Expect more of the header, once the first `number` bytes are known."""
    if number == 8:
        header[80:84] = profile[4:8]
    elif number == 41 and profile[40:41] in (b"A", b"M"):
        header[41:44] = b"PPL" if profile[40:41] == b"A" else b"SFT"
    elif number == 42 and profile[40:42] in (b"SG", b"SU"):
        header[42:44] = b"I " if profile[40:42] == b"SG" else b"NW"


def _shuffled(data: bytes, width: int) -> bytes:
    """Interleave `width` rows of bytes."""
    rows = -(-len(data) // width)
    return b"".join(data[start::rows] for start in range(rows))


def _kind(byte: int) -> int:
    text = chr(byte)
    if text.isascii() and text.isalpha():
        return 0
    if text in "0123456789.,":
        return 1
    if byte < 16:
        return min(byte, 2) + 2
    return 6 if byte == 255 else 5 if byte > 240 else 7


def _coarse_kind(byte: int) -> int:
    kind = _kind(byte)
    if kind < 2:
        return kind
    return 2 if byte < 16 else 3 if byte > 240 else 4


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _write_long(writer: BitWriter, value: int) -> None:
    """An integer of up to 44 bits as `BitReader.long` reads it."""
    if not value:
        writer.write(0, 2)
    elif value < 17:
        writer.write(1 | (value - 1) << 2, 6)
    elif value < 273:
        writer.write(2 | (value - 17) << 2, 10)
    else:
        writer.write(3 | value << 2, 14)
        value >>= 12
        while value:
            writer.write(1 | value << 1, 9)
            value >>= 8
        writer.write(0, 1)
