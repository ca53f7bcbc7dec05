"""Prefix codes of JPEG XL, which are those of Brotli (ISO/IEC 18181-1, annex C.2.4; RFC 7932, section 3)."""

from mafdn.pictures.codecs.jxl.bits import BitReader

LENGTH_ORDER = (1, 2, 3, 4, 0, 5, 17, 6, 16, 7, 8, 9, 10, 11, 12, 13, 14, 15)
"""Order in which the lengths of the codes for code lengths are stored."""
LENGTH_CODES = {(2, 0): 0, (2, 1): 4, (2, 2): 3, (3, 3): 2, (4, 7): 1, (4, 15): 5}
"""These lengths by number of bits and bits of their code."""
PREFIX_BITS = 15
"""Most bits of a code."""


class PrefixCode:
    """A prefix code as in Brotli."""

    def __init__(self, reader: BitReader, size: int) -> None:
        lengths = _prefix_lengths(reader, size) if size > 1 else {0: 0}
        self._symbols = canonical(lengths)

    def decode(self, reader: BitReader) -> int:
        """The next symbol."""
        return match(reader, self._symbols)


def canonical(lengths: dict[int, int]) -> dict[tuple[int, int], int]:
    """Symbols by length and bits (first bit lowest) of their codes, from the lengths of a canonical prefix code."""
    symbols: dict[tuple[int, int], int] = {}
    code = last = 0
    for symbol, length in sorted(lengths.items(), key=lambda item: (item[1], item[0])):
        code <<= length - last
        symbols[length, int(f"{code:0{length}b}"[::-1], 2) if length else 0] = symbol
        code, last = code + 1, length
    return symbols


def match(reader: BitReader, symbols: dict[tuple[int, int], int]) -> int:
    """Read one symbol of a prefix code."""
    bits = reader.peek(PREFIX_BITS)
    for length in range(PREFIX_BITS + 1):
        symbol = symbols.get((length, bits & ((1 << length) - 1)))
        if symbol is not None:
            reader.read(length)
            return symbol
    raise ValueError("a prefix code is invalid")


def _prefix_lengths(reader: BitReader, size: int) -> dict[int, int]:
    """Lengths of the codes of the symbols that have one."""
    skipped = reader.read(2)
    if skipped == 1:
        return _simple_lengths(reader, size)
    lengths: dict[int, int] = {}
    space = 32
    for symbol in LENGTH_ORDER[skipped:]:
        length = match(reader, LENGTH_CODES)
        if length:
            lengths[symbol] = length
            space -= 32 >> length
        if space <= 0:
            break
    if len(lengths) != 1 and space:
        raise ValueError("a prefix code is invalid")
    codes = canonical(lengths if len(lengths) > 1 else dict.fromkeys(lengths, 0))
    return _read_lengths(reader, codes, size)


def _read_lengths(reader: BitReader, codes: dict[tuple[int, int], int], size: int) -> dict[int, int]:
    """Lengths of the codes of `size` symbols, themselves stored in a prefix code."""
    found: list[int] = []
    last, repeats, repeated, space = 8, 0, 0, 1 << PREFIX_BITS
    while len(found) < size and space > 0:
        length = match(reader, codes)
        if length < 16:
            repeats = 0
            found.append(length)
            last = length or last
            space -= (1 << PREFIX_BITS) >> length if length else 0
            continue
        new = last if length == 16 else 0
        repeats = repeats if new == repeated else 0
        repeated, before = new, repeats
        repeats = ((repeats - 2) << (length - 14) if repeats else 0) + reader.read(length - 14) + 3
        found += [repeated] * (repeats - before)
        space -= (repeats - before) << (PREFIX_BITS - repeated) if repeated else 0
    if space or len(found) > size:
        raise ValueError("a prefix code is invalid")
    return {symbol: length for symbol, length in enumerate(found) if length}


def _simple_lengths(reader: BitReader, size: int) -> dict[int, int]:
    """Lengths of the codes of one to four symbols."""
    bits = (size - 1).bit_length()
    symbols = [0] * (reader.read(2) + 1)
    symbols = [reader.read(bits) for _ in symbols]
    if len(set(symbols)) < len(symbols) or max(symbols) >= size:
        raise ValueError("a prefix code is invalid")
    lengths = [[0], [1, 1], [1, 2, 2], [2, 2, 2, 2]][len(symbols) - 1]
    if len(symbols) == 4 and reader.flag():
        lengths = [1, 2, 3, 3]
    return dict(zip(symbols, lengths, strict=True))
