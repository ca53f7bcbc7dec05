"""Shares of the pictures of a folder: a partition whatever the order, with the results of one run over all."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import filelock
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mafdn.errors import MafdnError, UsageError
from mafdn.upscaling.folder.report import FolderReport
from mafdn.upscaling.shards import LOCK, Shard, as_shard, lock_name, manifest_name, manifests_in
from tests.conftest import Run
from tests.support import draw
from tests.upscaling.conftest import Networks, upscale


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Pictures whose results would have the same names in pairs, one in three in a subfolder."""
    folder = tmp_path / "pictures"
    for number in range(12):
        name = f"{number // 2}.{'jpg' if number % 2 else 'png'}"
        draw(folder / ("deeper" if number % 3 == 0 else ".") / name, number)
    draw(folder / "2_png.png", 20)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


def run(pictures: Path, out: Path | None, shard: str | None, **options: object) -> FolderReport:
    return upscale(pictures, out, recursive=True, pattern="{stem}_x{scale}.png", selection={"shard": shard}, **options)  # pyright: ignore[reportArgumentType]


def contents(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not Path(name).name.startswith(".")}


@given(st.lists(st.text(min_size=1), max_size=20), st.integers(1, 50))
def test_every_name_is_in_exactly_one_shard(names: list[str], count: int) -> None:
    shards = [Shard(number, count) for number in range(1, count + 1)]
    for name in names:
        assert sum(shard.has(Path(name)) for shard in shards) == 1


def test_shards_are_stable_and_even() -> None:
    names = [Path(f"folder/{number}.jpg") for number in range(4000)]
    sizes = Counter(number for number in range(1, 9) for name in names if Shard(number, 8).has(name))
    assert min(sizes.values()) > 420
    assert max(sizes.values()) < 580
    # Written down: other versions and systems must compute the same.
    assert [Shard(n, 3).has(Path("a/b.png")) for n in (1, 2, 3)] == [False, True, False]
    assert [Shard(n, 3).has(Path("caf\u00e9.png")) for n in (1, 2, 3)] == [
        Shard(n, 3).has(Path("cafe\u0301.png")) for n in (1, 2, 3)
    ]


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "-1/3", "1/3/5", "a/b", "1.0/2", "1/100001", 3, None])
def test_other_shards_are_refused(text: object) -> None:
    with pytest.raises(UsageError, match=r"shard .*must be NUMBER/COUNT"):
        as_shard(text)


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2)])
def test_shards_give_the_results_of_one_run(pictures: Path, tmp_path: Path, order: tuple[int, ...]) -> None:
    whole, out = run(pictures, tmp_path / "whole", None), tmp_path / "out"
    reports = [run(pictures, out, f"{number}/3") for number in order]
    sources = [item.source for report in reports for item in report.items]
    assert sorted(sources) == sorted(item.source for item in whole.items)
    assert contents(out) == contents(tmp_path / "whole")
    assert all(len(report.items) + report.other_shards == 14 for report in reports)
    assert [report.settings["shard"] for report in reports] == [f"{number}/3" for number in order]
    assert sum(len(report.failed) for report in reports) == 1
    assert {path.name for path in manifests_in(out)} == {manifest_name(Shard(number, 3)) for number in order}


def test_shards_at_the_same_time_beside_their_pictures(pictures: Path, tmp_path: Path) -> None:
    whole = run(pictures, tmp_path / "whole", None)
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda number: run(pictures, None, f"{number}/4"), range(1, 5)))
    done = [item for report in reports for item in report.with_status("done")]
    assert len(done) == len({item.target for item in done}) == len(whole.with_status("done")) == 13
    assert {path: content for path, content in contents(pictures).items() if "_x2" in path} == contents(
        tmp_path / "whole"
    )


def test_results_of_other_shards_and_counts_are_kept(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (1, 2):
        run(pictures, out, f"{number}/2")
    before = contents(out)
    for shard in ("1/2", "2/3", None, "2/2"):
        networks = Networks()
        report = run(pictures, out, shard, networks=networks)
        assert report.counts["done"] == 0
        assert not networks.opened
    assert report.counts["kept"] + len(report.failed) + report.other_shards == 14
    draw(pictures / "1.png", 99)
    changed = run(pictures, out, None).with_status("done")
    assert [item.source.name for item in changed] == ["1.png"]
    assert run(pictures, out, "1/2").counts["done"] + run(pictures, out, "2/2").counts["done"] == 0, "newest entry"
    after = contents(out)
    assert [name for name in before if after[name] != before[name]] == ["1_x2.png"]


def test_a_shard_may_be_empty(album: Path, tmp_path: Path) -> None:
    reports = [run(album, tmp_path / "out", f"{number}/40") for number in range(1, 41)]
    assert any(not report.items for report in reports)
    assert sum(len(report.items) for report in reports) == 4


@pytest.mark.parametrize(
    ("held", "wanted", "refused"),
    [
        (LOCK, "1/2", True),
        (LOCK, None, True),
        (lock_name(Shard(1, 2)), None, True),
        (lock_name(Shard(1, 2)), "1/2", True),
        (lock_name(Shard(1, 2)), "2/2", False),
        (lock_name(Shard(1, 2)), "2/3", True),
    ],
)
def test_runs_on_the_same_pictures_are_refused(
    pictures: Path, tmp_path: Path, held: str, wanted: str | None, refused: bool
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with filelock.FileLock(out / held):
        if refused:
            with pytest.raises(MafdnError, match=r"a(nother)? run.* is working in .*; wait for it or stop it"):
                run(pictures, out, wanted)
            assert contents(out) == {}
        else:
            run(pictures, out, wanted)


def test_names_that_look_like_manifests_are_ignored(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name in ("9-of-2.jsonl", "0-of-2.lock", "1-of-999999.jsonl", "3-of-2.lock", "x.jsonl"):
        (out / f".mafdn-manifest.{name}").write_text("nonsense")
    assert run(album, out, "1/1").counts["done"] == 4


def test_an_unfinished_result_of_a_killed_shard_is_made_by_others(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (1, 2):
        run(pictures, out, f"{number}/2")
    right = contents(out)
    for path in manifests_in(out):  # killed after each result was begun: the last two lines are missing
        lines = path.read_text().splitlines()
        path.write_text("\n".join(line for line in lines if '"temporary": null' not in line or '"output"' not in line))
    names = list(right)
    for name in random.Random(0).sample(names, 5):
        (out / name).unlink()
    for number in range(1, 4):
        run(pictures, out, f"{number}/3", overwrite=True)
    assert contents(out) == right


def test_the_command_takes_a_share(cli: Run, photos: Path, tmp_path: Path) -> None:
    for number in (1, 2):
        code, out, err = cli("upscale", photos, "-o", tmp_path / "out", "-r", "--scale", 2, "--shard", f"{number}/2")
        assert (code, err) == (0, "")
    assert sorted(contents(tmp_path / "out")) == ["0_x2.png", "1_x2.png", "deeper/2_x2.png"]
    assert "of other shards" in out or "of another shard" in out
    code, _, err = cli("upscale", photos, "-o", tmp_path / "out", "--shard", "3/2")
    assert (code, err.count("\n")) == (2, 1)
    assert "shard 3/2 must be NUMBER/COUNT" in err
    code, _, err = cli("upscale", photos / "0.png", "-o", tmp_path / "a.png", "--shard", "1/2")
    assert code == 2
