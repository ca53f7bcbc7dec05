"""The entropy decoder of JPEG XL, as far as ICC profiles need it (ISO/IEC 18181-1, annex C).

Written after the standard's description. Profiles are small, so clarity comes before speed.
"""

from dataclasses import dataclass

from mafdn.pictures.codecs.jxl.bits import BitReader
from mafdn.pictures.codecs.jxl.prefix import PREFIX_BITS, PrefixCode, match

TABLE_BITS = 12
TOTAL = 1 << TABLE_BITS
"""Sum of the frequencies in a distribution."""
FINAL_STATE = 0x13_0000
"""State of the ANS decoder after the last symbol."""
LOG_COUNTS = {
    (3, 0): 10,
    (3, 2): 7,
    (3, 4): 6,
    (3, 5): 8,
    (3, 6): 9,
    (4, 3): 3,
    (4, 7): 5,
    (4, 9): 4,
    (4, 11): 1,
    (4, 15): 2,
    (5, 17): 0,
    (6, 33): 11,
    (7, 1): 12,
    (7, 65): 13,
}
"""Logarithms of frequencies by number of bits and bits of their code."""
REPEAT = 13
"""The code that repeats the frequency before it."""


@dataclass(frozen=True)
class IntegerCode:
    """How a token and further bits make an integer."""

    split: int
    high: int
    low: int

    @classmethod
    def read(cls, reader: BitReader, alphabet_bits: int) -> "IntegerCode":
        split, high, low = reader.read(alphabet_bits.bit_length()), 0, 0
        if split != alphabet_bits:
            high = reader.read(split.bit_length())
            low = reader.read((split - high).bit_length()) if high <= split else 0
        if high + low > split:
            raise ValueError("an integer code is invalid")
        return cls(split, high, low)

    def value(self, token: int, reader: BitReader) -> int:
        """The integer that `token` and the bits in `reader` stand for."""
        if token < 1 << self.split:
            return token
        count = self.split - self.high - self.low + ((token - (1 << self.split)) >> (self.high + self.low))
        if count > 32:
            raise ValueError("an integer is too large")
        lowest = token & ((1 << self.low) - 1)
        highest = token >> self.low & ((1 << self.high) - 1) | 1 << self.high
        return (highest << count | reader.read(count)) << self.low | lowest


class Distribution:
    """Frequencies of symbols for ANS, with the alias table of the standard."""

    def __init__(self, reader: BitReader, alphabet_bits: int) -> None:
        counts = _counts(reader)
        size = 1 << alphabet_bits
        while counts and counts[-1] == 0:
            counts.pop()
        counts = counts or [TOTAL]
        if len(counts) > size:
            raise ValueError("a distribution is invalid")
        self._counts = counts + [0] * (size - len(counts))
        self._entry = TOTAL // size
        self._cutoffs, self._symbols, self._offsets = _alias_table(self._counts, self._entry)

    def decode(self, state: int) -> tuple[int, int]:
        """The symbol in the decoder's state, and the state after it, before it is filled up."""
        index, position = divmod(state & (TOTAL - 1), self._entry)
        symbol, offset = index, position
        if position >= self._cutoffs[index]:
            symbol, offset = self._symbols[index], self._offsets[index] + position
        return symbol, self._counts[symbol] * (state >> TABLE_BITS) + offset


class EntropyDecoder:
    """Decodes integers; each is of one of several contexts.

    Args:
        reader: Stands at the description of the codes.
        contexts: Number of contexts.
    """

    def __init__(self, reader: BitReader, contexts: int, *, nested: bool = False) -> None:
        self._reader, self._state = reader, 0
        self._threshold: int | None = None
        self._least_length, self._length_code = 0, IntegerCode(0, 0, 0)
        if reader.flag():
            if nested and contexts <= 2:
                raise ValueError("a code is invalid")
            self._threshold = reader.choose((0, 224), (0, 512), (0, 4096), (15, 8))
            self._least_length = reader.choose((0, 3), (0, 4), (2, 5), (8, 9))
            contexts += 1
            self._length_code = IntegerCode.read(reader, 8)
        self._map = _context_map(reader, contexts) if contexts > 1 else [0]
        count = max(self._map) + 1
        prefix = reader.flag()
        alphabet_bits = PREFIX_BITS if prefix else reader.read(2) + 5
        self._integers = [IntegerCode.read(reader, alphabet_bits) for _ in range(count)]
        self._prefixes: list[PrefixCode] = []
        self._distributions: list[Distribution] = []
        if prefix:
            sizes = [_short(reader, 4) + 1 for _ in range(count)]
            if max(sizes) > 1 << PREFIX_BITS:
                raise ValueError("a prefix code is invalid")
            self._prefixes = [PrefixCode(reader, size) for size in sizes]
        else:
            self._distributions = [Distribution(reader, alphabet_bits) for _ in range(count)]
            self._state = reader.read(32)
        self._window: list[int] = []
        self._copy_from = self._copies = 0

    def read(self, context: int) -> int:
        """The next integer, which is of this context."""
        if not self._copies:
            cluster = self._map[context]
            token = self._symbol(cluster)
            if self._threshold is None or token < self._threshold:
                value = self._integers[cluster].value(token, self._reader)
                self._window.append(value)
                return value
            length = self._length_code.value(token - self._threshold, self._reader)
            self._copies = length + self._least_length
            cluster = self._map[-1]
            distance = self._integers[cluster].value(self._symbol(cluster), self._reader) + 1
            self._copy_from = len(self._window) - min(distance, len(self._window), 1 << 20)
        self._copies -= 1
        value = self._window[self._copy_from] if self._copy_from < len(self._window) else 0
        self._copy_from += 1
        self._window.append(value)
        return value

    def check_end(self) -> None:
        """Raise `ValueError` unless decoding has ended as it must."""
        if self._distributions and self._state != FINAL_STATE:
            raise ValueError("a checksum is wrong")

    def _symbol(self, cluster: int) -> int:
        if self._prefixes:
            return self._prefixes[cluster].decode(self._reader)
        symbol, state = self._distributions[cluster].decode(self._state)
        self._state = state if state >= 1 << 16 else state << 16 | self._reader.read(16)
        return symbol


def _short(reader: BitReader, bits: int) -> int:
    """A small number, with its own number of bits, stored in `bits`, before it."""
    if not reader.flag():
        return 0
    count = reader.read(bits)
    return reader.read(count) + (1 << count)


def _context_map(reader: BitReader, contexts: int) -> list[int]:
    """The code that each context uses."""
    if reader.flag():
        bits = reader.read(2)
        return [reader.read(bits) for _ in range(contexts)]
    move_to_front = reader.flag()
    decoder = EntropyDecoder(reader, 1, nested=contexts <= 2)
    found = [decoder.read(0) for _ in range(contexts)]
    decoder.check_end()
    if max(found) > 255:
        raise ValueError("a context map is invalid")
    if move_to_front:
        order = list(range(256))
        for number, index in enumerate(found):
            value = order.pop(index)
            order.insert(0, value)
            found[number] = value
    return found


def _counts(reader: BitReader) -> list[int]:
    """The frequencies of a distribution."""
    if reader.flag():
        return _simple_counts(reader)
    if reader.flag():
        size = _short(reader, 3) + 1
        return [TOTAL // size + (number < TOTAL % size) for number in range(size)]
    log = 0
    while log < 3 and reader.flag():
        log += 1
    shift = (reader.read(log) | 1 << log) - 1
    size = _short(reader, 3) + 3
    logs, same = [0] * size, [0] * size
    number = 0
    while number < size:
        logs[number] = match(reader, LOG_COUNTS)
        if logs[number] == REPEAT:
            same[number] = _short(reader, 3) + 4
            number += same[number] - 1
        number += 1
    plain = [-1 if log == REPEAT else log for log in logs]
    omitted = plain.index(max(plain))
    if shift > TABLE_BITS + 1 or (omitted + 1 < size and logs[omitted + 1] == REPEAT) or plain[omitted] < 0:
        raise ValueError("a distribution is invalid")
    counts, repeats = [0] * size, 0
    for number, log in enumerate(logs):
        repeats = same[number] or repeats
        if repeats:
            counts[number] = counts[number - 1] if number else 0
            repeats -= 1
        elif log and number != omitted:
            bits = max(0, min(log - 1, shift - ((TABLE_BITS - log + 1) >> 1)))
            counts[number] = (1 << (log - 1)) + (reader.read(bits) << (log - 1 - bits))
    counts[omitted] = TOTAL - sum(counts)
    if counts[omitted] <= 0:
        raise ValueError("a distribution is invalid")
    return counts


def _simple_counts(reader: BitReader) -> list[int]:
    """The frequencies of one or two symbols."""
    symbols = [0] * (reader.read(1) + 1)
    symbols = [_short(reader, 3) for _ in symbols]
    counts = [0] * (max(symbols) + 1)
    counts[symbols[0]] = reader.read(TABLE_BITS) if len(symbols) == 2 else TOTAL
    if len(symbols) == 2:
        if symbols[0] == symbols[1]:
            raise ValueError("a distribution is invalid")
        counts[symbols[1]] = TOTAL - counts[symbols[0]]
    return counts


def _alias_table(counts: list[int], entry: int) -> tuple[list[int], list[int], list[int]]:
    """Cutoffs, and symbols and offsets beyond them, of the standard's alias table (`entry` states per slot)."""
    size = len(counts)
    if TOTAL in counts:
        return [0] * size, [counts.index(TOTAL)] * size, [entry * number for number in range(size)]
    cutoffs, symbols, offsets = list(counts), list(range(size)), [0] * size
    over = [number for number, count in enumerate(counts) if count > entry]
    under = [number for number, count in enumerate(counts) if count < entry]
    while over:
        full, short = over.pop(), under.pop()
        cutoffs[full] -= entry - cutoffs[short]
        symbols[short], offsets[short] = full, cutoffs[full]
        if cutoffs[full] < entry:
            under.append(full)
        elif cutoffs[full] > entry:
            over.append(full)
    offsets = [0 if cut == entry else offset - cut for cut, offset in zip(cutoffs, offsets, strict=True)]
    return cutoffs, symbols, offsets
