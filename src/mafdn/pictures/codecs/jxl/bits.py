"""Bits of a JPEG XL codestream, least significant first, and its variable-length integers (ISO/IEC 18181-1)."""

Choice = tuple[int, int]
"""One of four ways to store an integer: number of bits, and what is added to them."""


class BitReader:
    """Reads bits from bytes.

    Args:
        data: The bytes.
        position: The bit to start at.

    Attributes:
        position: The next bit.
    """

    def __init__(self, data: bytes, position: int = 0) -> None:
        self.data, self.position = data, position

    def read(self, count: int) -> int:
        """The next `count` bits as a number; raises `ValueError` beyond the end."""
        if self.position + count > 8 * len(self.data):  # a damaged file may state any count
            raise ValueError("it ends too early")
        value = self.peek(count)
        self.position += count
        return value

    def peek(self, count: int) -> int:
        """The next `count` bits, zeros beyond the end, which stay unread."""
        first, shift = divmod(self.position, 8)
        last = (self.position + count + 7) // 8
        return int.from_bytes(self.data[first:last], "little") >> shift & ((1 << count) - 1)

    def flag(self) -> bool:
        """One bit."""
        return self.read(1) == 1

    def choose(self, *choices: Choice) -> int:
        """An integer stored in one of four ways (`U32`)."""
        bits, offset = choices[self.read(2)]
        return self.read(bits) + offset

    def enum(self) -> int:
        """A value of an enumeration."""
        return self.choose((0, 0), (0, 1), (4, 2), (6, 18))

    def long(self) -> int:
        """An integer of up to 64 bits (`U64`)."""
        selector = self.read(2)
        if selector < 3:
            return (0, 1, 17)[selector] + self.read((0, 4, 8)[selector])
        value, shift = self.read(12), 12
        while self.flag():
            if shift == 60:
                return value | self.read(4) << shift
            value |= self.read(8) << shift
            shift += 8
        return value


class BitWriter:
    """Collects bits."""

    def __init__(self) -> None:
        self._value, self._count = 0, 0

    def write(self, value: int, count: int) -> None:
        """Append the low `count` bits of `value`."""
        self._value |= (value & ((1 << count) - 1)) << self._count
        self._count += count

    def copy(self, data: bytes, start: int, end: int) -> None:
        """Append bits `start` to `end` of `data`."""
        self.write(BitReader(data, start).peek(end - start), end - start)

    def enum(self, value: int) -> None:
        """Append a value of an enumeration."""
        if value < 2:
            self.write(value, 2)
        elif value < 18:
            self.write(2 | (value - 2) << 2, 6)
        else:
            self.write(3 | (value - 18) << 2, 8)

    @property
    def bits(self) -> tuple[int, int]:
        """All bits as one number, and how many they are."""
        return self._value, self._count

    def to_bytes(self) -> bytes:
        """All bits, padded with zeros to whole bytes."""
        return self._value.to_bytes(-(-self._count // 8), "little")
