"""Decode sound that a container cannot hold, and store it as PCM."""

from typing import TYPE_CHECKING, cast

from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import Stream

if TYPE_CHECKING:
    from av.packet import Packet

ENCODER = "pcm_s16le"
"""It takes frames of any length, so that each keeps its time stamp."""


class SoundConverter:
    """Converts the packets of a stream of sound to PCM of 16 bits, with the same time stamps.

    Attributes:
        stream: The stream of the result.
    """

    def __init__(self, target: OutputContainer, source: Stream) -> None:
        self._source = cast(AudioStream, source)
        context = self._source.codec_context
        self._resampler = AudioResampler(format="s16", layout=context.layout, rate=context.sample_rate)
        stream = target.add_stream(ENCODER, rate=context.sample_rate, layout=context.layout.name)
        self.stream = stream
        self.stream.metadata.update({k: v for k, v in source.metadata.items() if k.lower() != "encoder"})
        self.stream.disposition = source.disposition

    def __call__(self, packet: "Packet[Stream]") -> "list[Packet[Stream]]":
        """Convert one packet; raises `FFmpegError` if it is damaged."""
        packets: list[Packet[Stream]] = []
        for frame in self._source.decode(cast("Packet[AudioStream]", packet)):
            for sound in self._resampler.resample(frame):
                packets += cast("list[Packet[Stream]]", self.stream.encode(sound))
        return packets
