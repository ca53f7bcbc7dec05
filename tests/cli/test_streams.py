"""Standard input and output: nothing but the picture, the same bytes as with files, and nothing left behind."""

import io
import json
import os
import select
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips

import mafdn
from mafdn import Limits, Output, PictureError, UpscaleOptions, UsageError
from tests.support import Repeat, draw

PROGRAM = """
import mafdn.api
from mafdn.upscaling.networks import SingleNetwork
from tests.support import Repeat
mafdn.api.network_set = lambda *_: SingleNetwork(Repeat())
from mafdn.cli import main
main()
"""
"""The command with a network that repeats pixels, which starts at once and gives the same bytes everywhere."""
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PROGRAM": PROGRAM}


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-c", PROGRAM, "upscale", *map(str, arguments)]


def shell(folder: Path, *arguments: object, given: bytes = b"", code: int = 0) -> tuple[bytes, str]:
    """Run the command in a folder with `given` as standard input; returns what it wrote and said."""
    scratch = folder / "scratch"
    scratch.mkdir(exist_ok=True)
    environment = ENVIRONMENT | {"TMPDIR": str(scratch)}
    done = subprocess.run(
        command(*arguments), input=given, capture_output=True, cwd=folder, env=environment, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr.decode()
    assert list(scratch.iterdir()) == []
    return done.stdout, done.stderr.decode()


def test_a_film_is_refused_with_the_remedy(tmp_path: Path) -> None:
    _, said = shell(tmp_path, "-", "out.png", given=b"\0\0\0\x18ftypisom" + bytes(400), code=1)
    assert said == "mafdn: a film is not read from standard input; give its name\n"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A JPEG file with a profile, EXIF and orientation, in a folder of its own."""
    noise = np.random.default_rng(1).integers(0, 256, (20, 31, 3), np.uint8)
    image = pyvips.Image.new_from_array(noise, interpretation="srgb")
    image = image.icc_transform("p3", input_profile="srgb").copy()
    image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    folder = tmp_path / "photos"
    folder.mkdir()
    image.jpegsave(str(folder / "a.jpg"))
    return folder / "a.jpg"


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_streams_give_the_same_bytes_as_files(photo: Path, ending: str) -> None:
    folder, name = photo.parent, {"tif": "tiff"}.get(ending, ending)
    _, said = shell(folder, "a.jpg", f"file.{ending}")
    assert said == ""
    expected = (folder / f"file.{ending}").read_bytes()
    data, said = shell(folder, "-", "-", "--format", name, given=photo.read_bytes())
    assert data == expected
    assert said.startswith("standard output: 20x31 to 40x62 in ")
    assert shell(folder, "a.jpg", "-", "--format", name, "-q") == (expected, "")
    assert shell(folder, "a.jpg", "-o", "-", "--format", name, "-q") == (expected, "")
    data, said = shell(folder, "-", f"piped.{ending}", given=photo.read_bytes())
    assert data.startswith(f"piped.{ending}: ".encode())
    assert (folder / f"piped.{ending}").read_bytes() == expected
    shell(folder, "-", "-o", f"output.{ending}", "-q", given=photo.read_bytes())
    assert (folder / f"output.{ending}").read_bytes() == expected


def test_without_a_result_it_is_standard_output_in_the_same_format(photo: Path) -> None:
    shell(photo.parent, "a.jpg", "file.jpg")
    assert shell(photo.parent, "-", "-q", given=photo.read_bytes())[0] == (photo.parent / "file.jpg").read_bytes()


def test_notes_and_reports_go_to_standard_error(photo: Path) -> None:
    data, said = shell(photo.parent, "-", "-", "--format", "png", "--scale", "9", given=photo.read_bytes())
    assert data.startswith(b"\x89PNG")
    assert said.splitlines()[1] == "note: beyond x2 the network's result was enlarged by Lanczos"
    data, said = shell(photo.parent, "a.jpg", "-", "--json")
    assert data.startswith(b"\xff\xd8")
    report = json.loads(said)
    assert (report["source"], report["target"], report["new_size"]) == ("a.jpg", "-", [40, 62])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"", "mafdn: standard input is empty; it holds no picture\n"),
        (b"no picture", "mafdn: standard input is not a picture in a known format"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, given: bytes, message: str) -> None:
    data, said = shell(tmp_path, "-", "-", given=given, code=1)
    assert (data, said.count("\n"), said.startswith(message)) == (b"", 1, True)
    assert "its name" not in said


def test_half_a_picture_is_one_line(photo: Path) -> None:
    data, said = shell(photo.parent, "-", "-", given=photo.read_bytes()[:-300], code=1)
    assert (data, said.count("\n")) == (b"", 1)
    assert said.startswith("mafdn: ")
    assert "standard input" in said
    data, said = shell(photo.parent, "-", "out.png", given=photo.read_bytes()[:-300], code=1)
    assert (data, "standard input" in said, (photo.parent / "out.png").exists()) == (b"", True, False)


def test_limits_apply_to_streams(photo: Path) -> None:
    given = photo.read_bytes()
    _, said = shell(photo.parent, "-", "-", "--max-file-mb", "0.0001", given=given, code=1)
    assert said == "mafdn: standard input has more than the limit of 0.0001 MB (--max-file-mb)\n"
    _, said = shell(photo.parent, "-", "-", "--max-pixels", "100", given=given, code=1)
    assert said.startswith("mafdn: standard input has 20x31 pixels")


@pytest.mark.skipif(os.name != "posix", reason="a pipe can only be waited for there")
def test_a_stalled_pipe_ends_at_the_time_limit(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("-", "-", "--max-seconds", "0.5"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd=tmp_path,
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdin.write(b"\x89PNG")
    process.stdin.flush()
    assert process.wait(timeout=60) == 1
    assert (
        process.stderr.read() == b"mafdn: standard input takes longer than the limit of 0.5 seconds (--max-seconds)\n"
    )
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "a.jpg", "-o", "out"], "- is a single picture"),
        (["a.jpg", "-", "b.jpg"], "- is a single picture"),
        (["-", "--recursive"], "--recursive is for folders and files"),
        (["-", "--jsonl"], "--jsonl is for folders and files"),
        ([".", "-"], "only one can be written to standard output"),
        (["*.jpg", "-o", "-"], "only one can be written to standard output"),
        (["-", "-o", "."], "standard input has no name"),
        (["-", "-o", "out/"], "standard input has no name"),
        (["-", "out.xyz"], "cannot tell a format"),
        (["-", "-", "--format", "psd"], "unknown format"),
    ],
)
def test_what_makes_no_sense_is_refused(photo: Path, arguments: list[str], message: str) -> None:
    data, said = shell(photo.parent, *arguments, given=photo.read_bytes(), code=2)
    assert (data, said.count("\n")) == (b"", 1)
    assert message in said
    assert sorted(path.name for path in photo.parent.iterdir()) == ["a.jpg", "scratch"]


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_terminals_are_refused(photo: Path) -> None:
    import pty

    main, terminal = pty.openpty()
    try:
        for arguments, inputs, output in (
            (["a.jpg", "-"], subprocess.DEVNULL, terminal),
            (["-", "out.png"], terminal, subprocess.PIPE),
        ):
            done = subprocess.run(
                command(*arguments),
                stdin=inputs,
                stdout=output,
                stderr=subprocess.PIPE,
                env=ENVIRONMENT,
                cwd=photo.parent,
                timeout=60,
                check=False,
            )
            assert done.returncode == 2
            assert b"terminal" in done.stderr
            assert done.stderr.count(b"\n") == 1
        assert select.select([main], [], [], 0)[0] == []  # nothing was written to it
    finally:
        os.close(main)
        os.close(terminal)
    assert list(photo.parent.iterdir()) == [photo]


@pytest.mark.skipif(os.name != "posix", reason="needs closed streams of a shell")
@pytest.mark.parametrize(("words", "closed"), [("a.jpg -", ">&-"), ("- out.png", "<&-")])
def test_closed_streams_are_refused(photo: Path, words: str, closed: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f'"{sys.executable}" -c "$PROGRAM" upscale {words} {closed}'],
        capture_output=True,
        env=ENVIRONMENT,
        cwd=photo.parent,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"mafdn: standard ")
    assert b"is closed" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a pipe of a shell")
def test_a_closed_pipe_ends_quietly(photo: Path) -> None:
    draw(photo.parent / "large.png", 1, (500, 700))  # more than a pipe holds
    line = f'"{sys.executable}" -c "$PROGRAM" upscale large.png - -q | head -c 1 > /dev/null; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, env=ENVIRONMENT, cwd=photo.parent, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_behind_standard_output_is_one_line(photo: Path) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        done = subprocess.run(
            command("a.jpg", "-", "-q"),
            stdout=full,
            stderr=subprocess.PIPE,
            env=ENVIRONMENT,
            cwd=photo.parent,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, b"mafdn: cannot write the output: No space left on device\n")


# --- from Python


def test_streams_from_python(photo: Path) -> None:
    upscaler, options = mafdn.Upscaler(Repeat()), UpscaleOptions(output=Output(format="png"))
    target = photo.with_suffix(".png")
    upscaler.upscale_file(photo, target)
    result = io.BytesIO()
    report = upscaler.upscale_file(io.BytesIO(photo.read_bytes()), result, options=options)
    assert result.getvalue() == target.read_bytes()
    assert (report.source, report.target, report.new_size) == (Path("-"), Path("-"), (40, 62))
    with photo.open("rb") as source:
        report = upscaler.upscale_file(source, photo.with_name("other.png"))
    assert (report.source, report.target) == (Path("-"), photo.with_name("other.png"))
    assert photo.with_name("other.png").read_bytes() == target.read_bytes()


class Dripping(io.RawIOBase):
    """A stream that takes and gives a few bytes at a time, as pipes may."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        part, self.data = self.data[:7], self.data[7:]
        buffer[: len(part)] = part
        return len(part)

    def write(self, data: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.data += bytes(data[:1000])
        return min(1000, len(data))


def test_streams_may_take_a_part_at_a_time(photo: Path) -> None:
    upscaler, result = mafdn.Upscaler(Repeat()), Dripping()
    upscaler.upscale_file(photo, photo.with_name("whole.jpg"))
    upscaler.upscale_file(Dripping(photo.read_bytes()), result)  # pyright: ignore[reportArgumentType]
    assert result.data == photo.with_name("whole.jpg").read_bytes()


class Collected:
    """An object that can only be written to, and returns nothing from that."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: memoryview) -> None:
        self.data += bytes(data)


def test_objects_may_return_nothing_from_write(photo: Path) -> None:
    upscaler, result = mafdn.Upscaler(Repeat()), Collected()
    upscaler.upscale_file(photo, photo.with_name("whole.jpg"))
    upscaler.upscale_file(photo, result)  # pyright: ignore[reportArgumentType, reportCallIssue]
    assert result.data == photo.with_name("whole.jpg").read_bytes()


class Full(io.RawIOBase):
    """A stream that takes nothing and does not block."""

    def write(self, data: memoryview) -> None:  # noqa: ARG002  # pyright: ignore[reportIncompatibleMethodOverride]
        return None


def test_a_stream_that_takes_nothing_is_an_error(photo: Path) -> None:
    with pytest.raises(BlockingIOError, match="does not accept data"):
        mafdn.Upscaler(Repeat()).upscale_file(photo, Full())  # pyright: ignore[reportArgumentType]


def test_bad_streams_are_refused(photo: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    upscaler = mafdn.Upscaler(Repeat())
    with pytest.raises(UsageError, match="a stream has no name"):
        upscaler.upscale_file(io.BytesIO(b""))
    with pytest.raises(UsageError, match="the input stream is not a binary stream"):
        upscaler.upscale_file(io.StringIO("text"), photo.with_name("o.png"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="the input stream cannot be read"):
        upscaler.upscale_file(Collected(), photo.with_name("o.png"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="the output stream is not a binary stream"):
        upscaler.upscale_file(photo, io.StringIO())  # pyright: ignore[reportArgumentType]
    with pytest.raises(PictureError, match=r"^the input stream is empty"):
        upscaler.upscale_file(io.BytesIO(b""), photo.with_name("o.png"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.jpg", "photos"]


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="needs an endless file")
def test_an_endless_stream_ends_at_the_limit(photo: Path) -> None:
    options = UpscaleOptions(limits=Limits(file_mb=5))
    with Path("/dev/zero").open("rb") as endless, pytest.raises(PictureError, match="more than the limit of 5 MB"):
        mafdn.Upscaler(Repeat()).upscale_file(endless, photo.with_name("o.png"), options=options)
    assert list(photo.parent.iterdir()) == [photo]
