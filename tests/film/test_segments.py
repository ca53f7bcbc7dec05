"""What earlier runs made is kept, as long as it is whole and was made with the same settings."""

import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import pytest

from mafdn.errors import EncodeError, MafdnError, PictureError
from mafdn.film import segments as module
from mafdn.film.segments import LOCK, MANIFEST, Gap, Segments, identify

SETTINGS = {"source": {"bytes": 3}, "network": "x2"}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "film_x2.mp4"


def segments(target: Path, length: int = 10, **settings: Any) -> Segments:
    return Segments(target, {**SETTINGS, **settings}, length=length)


def make(held: Segments, number: int, frames: int = 10, *, last: bool = False) -> None:
    held.temporary(number).write_bytes(f"segment {number}".encode())
    held.add(number, frames, last=last, notes=("a note",) if last else ())


def names(held: Segments) -> set[str]:
    return {path.name for path in held.folder.iterdir()}


def test_whole_segments_are_kept_and_the_next_run_goes_on(target: Path) -> None:
    with segments(target) as first:
        assert first.next_gap() == Gap(0, None)
        make(first, 0)
        make(first, 1)
        first.temporary(2).write_bytes(b"half")
    with segments(target) as second:
        assert second.next_gap() == Gap(2, None)
        assert (second.frames, second.notes) == (20, [])
        assert names(second) == {"000000.nut", "000001.nut", MANIFEST, LOCK}
        make(second, 2, 4, last=True)
        assert second.next_gap() is None
    with segments(target) as third:
        assert third.next_gap() is None
        assert (third.frames, third.film_notes) == (24, ("a note",))
        assert [path.read_bytes() for path in third.paths()] == [b"segment 0", b"segment 1", b"segment 2"]
        third.remove()
        assert not third.folder.exists()
    assert list(target.parent.iterdir()) == []


def test_nothing_stays_of_a_run_without_a_whole_segment(target: Path) -> None:
    with segments(target) as held:
        held.temporary(0).write_bytes(b"half")
    assert list(target.parent.iterdir()) == []


def test_a_damaged_segment_alone_is_made_again(target: Path) -> None:
    with segments(target) as first:
        for number in range(3):
            make(first, number, last=number == 2)
        first.paths()[1].write_bytes(b"damaged")
    with segments(target) as second:
        assert second.next_gap() == Gap(1, 2)
        assert second.notes == ["segment 1 was damaged: its frames are upscaled again"]
        make(second, 1)
        assert second.next_gap() is None
        second.paths()[2].unlink()
    with segments(target) as third:
        assert third.next_gap() == Gap(2, None)


@pytest.mark.parametrize(
    ("other", "named"),
    [({"network": "x4"}, "network"), ({"source": 1}, "source"), ({"length": 5}, "segment length"), ({"new": 1}, "new")],
)
def test_other_settings_begin_anew_and_say_so(target: Path, other: dict[str, Any], named: str) -> None:
    with segments(target) as first:
        make(first, 0)
        (first.folder / "mine.txt").write_text("of somebody else")
    with segments(target, **other) as second:
        assert second.next_gap() == Gap(0, None)
        assert second.notes == [f"an earlier run had another {named}: all frames are upscaled again"]
        assert names(second) == {"mine.txt", MANIFEST, LOCK}
        second.remove()
    assert names(second) == {"mine.txt"}


def test_settings_are_compared_as_json(target: Path) -> None:
    with segments(target, size=(1, 2)) as first:
        make(first, 0)
    with segments(target, size=[1, 2]) as second:
        assert second.next_gap() == Gap(1, None)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"}", b""),
        (b'"frames": 10', b'"frames": "10"'),
        (b'"number"', b'"digit"'),
        (b'"settings"', b'"set"'),
        (b"{", b"\xff"),
        (b"{", b"[" * 100_000),
    ],
)
def test_a_damaged_manifest_is_told(target: Path, old: bytes, new: bytes) -> None:
    with segments(target) as first:
        make(first, 0)
    manifest = first.folder / MANIFEST
    before = manifest.read_bytes()
    assert old in before
    manifest.write_bytes(before.replace(old, new))
    with segments(target) as second:
        assert second.next_gap() == Gap(0, None)
        assert second.notes == ["the record of an earlier run was damaged: all frames are upscaled again"]


def test_a_manifest_of_another_version_is_left_alone(target: Path) -> None:
    with segments(target) as first:
        make(first, 0)
    manifest = first.folder / MANIFEST
    text = json.dumps(json.loads(manifest.read_bytes()) | {"mafdn-film": 2})
    manifest.write_text(text)
    with pytest.raises(MafdnError, match="another version"), segments(target):
        pass
    assert manifest.read_text() == text
    assert first.paths()[0].read_bytes() == b"segment 0"


def test_a_strange_folder_is_refused(target: Path) -> None:
    folder = segments(target).folder
    folder.mkdir()
    (folder / "000000.nut").write_bytes(b"of somebody else")
    with pytest.raises(MafdnError, match=r"holds 000000\.nut but no record"), segments(target):
        pass
    assert (folder / "000000.nut").read_bytes() == b"of somebody else"
    (folder / "000000.nut").unlink()
    with segments(target) as held:
        assert held.next_gap() == Gap(0, None)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_not_a_folder_is_refused(target: Path, kind: str) -> None:
    folder = segments(target).folder
    if kind == "file":
        folder.write_text("mine")
    else:
        (target.parent / "elsewhere").mkdir()
        folder.symlink_to(target.parent / "elsewhere")
    with pytest.raises(MafdnError, match="is not a folder of mafdn"), segments(target):
        pass


def _hold(target: Path, ready: Any, done: Any) -> None:
    with segments(target):
        ready.set()
        done.wait(60)


def test_a_second_process_is_refused(target: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(target, ready, done))
    process.start()
    try:
        assert ready.wait(60)
        with pytest.raises(MafdnError, match="another run is working on"), segments(target):
            pass
        assert process.pid is not None
        process.kill()
        process.join()
        with segments(target) as held:
            assert held.next_gap() == Gap(0, None)
    finally:
        process.kill()
        process.join()


def test_a_folder_that_cannot_be_written_is_one_line(target: Path) -> None:
    with pytest.raises(EncodeError, match="cannot write in"), segments(target.parent / "no" / "film.mp4"):
        pass


def test_results_with_the_longest_names_have_segments(target: Path) -> None:
    long = target.with_name("x" * 251 + ".mp4")
    with segments(long) as held:
        make(held, 0)
    with segments(long) as held:
        assert held.frames == 10


def test_a_film_elsewhere_is_the_same_to_earlier_versions(target: Path) -> None:
    with segments(target, source={"path": "/a/film.mp4", "bytes": 3}) as held:
        make(held, 0)
    with segments(target) as held:
        assert (held.frames, held.notes) == (10, [])


def test_the_folder_goes_where_no_open_file_can_be_removed(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows, where the lock is removed when it is released."""
    unlink, held = Path.unlink, segments(target)
    release = held._lock.release

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        if path.name == LOCK:
            raise PermissionError(13, "it is open")
        unlink(path, missing_ok=missing_ok)

    def released() -> None:
        release()
        unlink(held.folder / LOCK)

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(held._lock, "release", released)
    with held:
        make(held, 0, last=True)
        held.remove()
        assert names(held) == {LOCK}
    assert not held.folder.exists()


def test_a_segment_that_cannot_be_recorded_is_not_kept(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with segments(target) as held:
        make(held, 0)
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", full)
            with pytest.raises(EncodeError, match="No space left") as caught:
                make(held, 1)
        assert caught.value.errno == 28
    with segments(target) as second:
        assert second.next_gap() == Gap(1, None)
        assert names(second) == {"000000.nut", MANIFEST, LOCK}


def test_a_source_is_identified_by_its_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"a" * 2000)
    first = identify(path)
    os.utime(path, ns=(1, 1))
    assert identify(path) == first
    path.write_bytes(b"a" * 1000 + b"b" + b"a" * 999)
    assert identify(path) != first
    with pytest.raises(PictureError, match="cannot read"):
        identify(tmp_path / "missing.mp4")
    for name, value in {"WHOLE_FILE": 100, "SAMPLES": 10, "SAMPLE": 5}.items():
        monkeypatch.setattr(module, name, value)
    large = identify(path)
    for place in (0, 1997):
        changed = bytearray(path.read_bytes())
        changed[place] ^= 1
        status = path.stat()
        path.write_bytes(changed)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert identify(path) != large, "the first and the last bytes count"
        large = identify(path)
    os.utime(path, ns=(1, 1))
    assert identify(path) != large, "a part may have changed that is not looked at"
