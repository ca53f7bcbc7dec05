"""Buckets: a real S3 server (that of moto) on this machine, also one that fails, is slow, or refuses credentials."""

from pathlib import Path
from typing import Any

import fsspec
import pytest

from mafdn.errors import MafdnError
from mafdn.fleet import run as module
from mafdn.fleet import storage
from mafdn.fleet.storage import STATE, StorageError, Store
from tests.fleet.conftest import rows, run, set_s3, upscaled
from tests.fleet.proxy import Fault, proxy


def file_system() -> Any:
    return fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False)


def objects(url: str) -> dict[str, bytes]:
    """All objects below a URL, without the state of runs."""
    fs, root = file_system(), url.removeprefix("s3://")
    names = [name for name in fs.find(root) if STATE not in name]
    return {name.removeprefix(f"{root}/"): fs.cat_file(name) for name in names}


def upload(folder: Path, url: str) -> None:
    fs = file_system()
    for path in folder.rglob("*"):
        if path.is_file():
            fs.put_file(str(path), f"{url}/{path.relative_to(folder)}")


def test_from_bucket_to_bucket_and_again(pictures: Path, tmp_path: Path, s3: str) -> None:
    upload(pictures, f"{s3}/in")
    right = upscaled(pictures, tmp_path / "right")
    report = run(f"{s3}/in", f"{s3}/out", process=True)
    assert objects(f"{s3}/out") == right
    assert report.counts == {"done": 4, "kept": 0, "failed": 1, "left": 0}
    table = rows(f"{s3}/out")
    assert table["a.png"]["uri"] == f"{s3}/in/a.png"
    assert table["broken.png"]["reason"].startswith(f"{s3}/in/broken.png ")
    assert "/tmp" not in table["broken.png"]["reason"]
    file_system().rm_file(f"{s3}/out/b_x2.jpg")
    file_system().pipe_file(f"{s3}/in/a.png", (pictures / "deep/d.png").read_bytes())
    made: list[str] = []
    assert run(f"{s3}/in", f"{s3}/out", made=made).counts == {"done": 2, "kept": 2, "failed": 1, "left": 0}
    assert sorted(made) == ["a.png", "b.jpg"]
    with pytest.raises(MafdnError, match="is inside the source"):
        run(f"{s3}/in", f"{s3}/in/out")


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "PAUSE", 0.01)


@pytest.mark.usefixtures("hurry")
def test_a_server_that_is_busy_and_slow_loses_nothing(
    pictures: Path, tmp_path: Path, s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(pictures, f"{s3}/in")

    def busy(_method: str, _path: str, number: int) -> Fault:
        if number % 5 == 0:
            return 503, "SlowDown"
        return 0.2 if number % 7 == 0 else None

    with proxy(s3_server, busy) as url:
        set_s3(monkeypatch, url)
        report = run(f"{s3}/in", f"{s3}/out")
    set_s3(monkeypatch, s3_server)
    assert report.counts == {"done": 4, "kept": 0, "failed": 1, "left": 0}
    assert objects(f"{s3}/out") == upscaled(pictures, tmp_path / "right")


@pytest.mark.usefixtures("hurry")
def test_credentials_that_run_out_end_the_run_and_the_rest_follows(
    pictures: Path, tmp_path: Path, s3: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FAULTS_IN_A_ROW", 2)
    upload(pictures, f"{s3}/in")
    puts: list[str] = []

    def expired(method: str, path: str, _number: int) -> Fault:
        if method == "PUT" and "/out/" in path and STATE not in path:
            puts.append(path)
        return (403, "ExpiredToken") if len(puts) > 1 and STATE not in path else None

    with proxy(s3_server, expired) as url:
        set_s3(monkeypatch, url)
        report = run(f"{s3}/in", f"{s3}/out")
    set_s3(monkeypatch, s3_server)
    assert report.stopped is not None
    assert "2 pictures in a row failed alike" in report.stopped
    assert "xpired" in report.stopped
    assert report.counts["done"] == 1
    assert [row["fault"] for row in rows(f"{s3}/out").values() if row["status"] == "failed"] == [True, True]
    assert run(f"{s3}/in", f"{s3}/out").counts == {"done": 3, "kept": 1, "failed": 1, "left": 0}
    assert objects(f"{s3}/out") == upscaled(pictures, tmp_path / "right")


def test_missing_credentials_and_buckets_are_one_line(
    pictures: Path, s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(MafdnError, match=r"s3://no-such-bucket-here") as caught:
        run("s3://no-such-bucket-here/x", tmp_path / "out")
    assert "\n" not in str(caught.value)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    for places in ((f"{s3}/in", tmp_path / "out"), (pictures, f"{s3}/out")):
        with pytest.raises(StorageError, match="no credentials were found") as caught:
            run(*places)
        assert "\n" not in str(caught.value)


def test_new_files_are_written_once(s3: str) -> None:
    store = Store(f"{s3}/state")
    assert store.write("lock", b"one", new=True)
    assert not store.write("lock", b"two", new=True)
    assert store.read("lock") == b"one"
    store.remove("lock")
    assert store.info("lock") is None
