"""From dropped files to downloads: progress, results, cancel, retry, errors and reloads."""

import io
import re
import shutil
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import pyvips

import mafdn
from tests.web.browser.conftest import PICTURES, Visit, ask
from tests.web.browser.steps import choose, files_event, row, rows_in, set_factor, sizes, start, wait_for_rows
from tools.screenshots.browser import served

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Route

pytestmark = pytest.mark.slow
WATCH = """() => {
  window.seen = [];
  new MutationObserver(() => {
    for (const row of document.querySelectorAll(".row")) window.seen.push(row.dataset.state);
    const overall = document.getElementById("overall");
    if (!overall.hidden) window.seen.push(overall.value);
  }).observe(document.getElementById("rows"), { subtree: true, attributeFilter: ["data-state", "value"] });
}"""
"""Record in `window.seen` which states rows pass through, and the overall progress."""


def noise(path: Path, width: int, height: int) -> Path:
    """Write a picture of this size, of which no two runs of pixels are the same."""
    array = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    pyvips.Image.new_from_array(array, interpretation="srgb").pngsave(str(path))
    return path


def test_three_dropped_pictures_become_three_results(visit: Visit, tmp_path: Path) -> None:
    page = visit.open()
    files_event(page, "dragenter", PICTURES)
    assert page.get_by_text("Drop to add").is_visible()
    files_event(page, "drop", PICTURES)
    page.locator(".row .thumbnail canvas").nth(2).wait_for()  # before anything is sent
    assert page.get_by_text("Drop to add").is_hidden()
    assert rows_in(page, "ready").count() == 3
    row(page, "flowers.jpg").get_by_text(sizes((240, 240), (960, 960))).wait_for()
    page.locator("#bar-time").filter(has_text=re.compile(r"takes (about \d+|a moment)")).wait_for()
    assert ask(visit.address, "jobs")["jobs"] == []

    page.evaluate(WATCH)
    start(page)
    wait_for_rows(page, "done", 3)
    page.locator("#announcer").get_by_text("All 3 pictures are done.").wait_for()
    seen = page.evaluate("window.seen")
    assert {"waiting", "running", "done"} <= set(seen)
    shares = [value for value in seen if not isinstance(value, str)]
    assert any(0 < share < 1 for share in shares)
    assert shares == sorted(shares)

    expected: dict[str, bytes] = {}
    for path in PICTURES:
        target = tmp_path / f"{path.stem}_x4{path.suffix}"
        mafdn.upscale_file(path, target)
        expected[target.name] = target.read_bytes()
    with page.expect_download() as download:
        row(page, "leaves.png").get_by_role("link", name="Download").click()
    assert download.value.suggested_filename == "leaves_x4.png"
    assert Path(download.value.path()).read_bytes() == expected["leaves_x4.png"]
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all as zip").click()
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == expected


def test_pictures_are_pasted_and_chosen_in_folders(visit: Visit, tmp_path: Path) -> None:
    page = visit.open()
    files_event(page, "paste", PICTURES[:1])
    row(page, "flowers.jpg").wait_for()
    folder = tmp_path / "folder" / "inner"
    folder.mkdir(parents=True)
    for name in ("leaf.png", "notes.txt", ".hidden.png"):
        (folder / name).write_bytes(PICTURES[1].read_bytes())
    page.set_input_files("#folder", folder.parent)
    row(page, "leaf.png").wait_for()
    page.get_by_text("2 other files in the folder were left out").wait_for()
    assert row(page, "leaf.png").locator(".row-folder").inner_text() == "folder/inner"
    assert page.locator(".row").count() == 2
    film = {"name": "holiday.MP4", "mimeType": "", "buffer": b"film"}
    page.set_input_files("#files", [film])  # pyright: ignore[reportArgumentType]
    page.get_by_text("mafdn upscale holiday.MP4").wait_for()
    assert page.locator(".row").count() == 2
    page.get_by_role("button", name="Remove leaf.png").click()
    page.get_by_role("button", name="Clear list").click()
    page.get_by_role("heading", name="Upscale pictures").wait_for()
    assert page.locator(".row").count() == 0


def test_folders_are_kept_in_archives(visit: Visit, tmp_path: Path) -> None:
    names = ["trip/day 1/leaf.png", "trip/day 2/leaf.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        shutil.copyfile(PICTURES[1], tmp_path / name)
    page = visit.open()
    page.set_input_files("#folder", tmp_path / "trip")
    page.locator(".row").nth(1).wait_for()
    start(page)
    wait_for_rows(page, "done", 2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all as zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == [name.replace("leaf", "leaf_x4") for name in names]


def test_results_are_not_deleted_without_a_question(visit: Visit) -> None:
    page = visit.open()
    choose(page, *PICTURES[1:])
    start(page)
    wait_for_rows(page, "done", 2)
    assert page.locator("#kept").inner_text().startswith("Results are deleted after 7 days")
    assert "Kept until " in row(page, "leaves.png").locator(".row-kept").inner_text()
    dialog = page.locator("#removal")
    page.get_by_role("button", name="Clear list").click()
    dialog.get_by_role("heading", name="Delete 2 results?").wait_for()
    dialog.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name="Remove leaves.png").click()
    dialog.get_by_role("heading", name="Delete the result of leaves.png?").wait_for()
    page.keyboard.press("Escape")
    assert page.locator(".row").count() == 2
    page.get_by_role("button", name="Remove leaves.png").click()
    dialog.get_by_role("button", name="Delete").click()
    row(page, "leaves.png").wait_for(state="detached")
    with page.expect_download():
        row(page, "flowers.png").get_by_role("link", name="Download").click()
    until = time.monotonic() + 15
    while not ask(visit.address, "jobs")["jobs"][0]["delivered"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    page.wait_for_timeout(300)  # until the page has been told
    page.get_by_role("button", name="Clear list").click()
    page.get_by_role("heading", name="Upscale pictures").wait_for()
    assert ask(visit.address, "jobs")["jobs"] == []


def test_what_is_finished_comes_as_an_archive_while_others_are_not(visit: Visit, tmp_path: Path) -> None:
    page = visit.open()
    choose(page, *PICTURES[1:], noise(tmp_path / "large.png", 2400, 1800))
    start(page)
    wait_for_rows(page, "done", 2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download 2 finished as zip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == 2
    page.get_by_role("button", name="Cancel all").click()


def test_all_failed_pictures_can_be_tried_again(visit: Visit, tmp_path: Path) -> None:
    page = visit.open()
    broken = [tmp_path / "a.png", tmp_path / "b.png"]
    for path in broken:
        path.write_bytes(b"not yet")
    choose(page, *broken)
    start(page)
    wait_for_rows(page, "failed", 2)
    for path in broken:
        path.unlink()
    page.get_by_role("button", name="Try all failed again").click()
    page.get_by_text("it was moved or changed").nth(1).wait_for()
    assert rows_in(page, "failed").count() == 2
    visit.faults[:] = [fault for fault in visit.faults if "ERR_FILE" not in fault]


def test_canceled_pictures_can_be_tried_again(visit: Visit, tmp_path: Path) -> None:
    page = visit.open()
    choose(page, noise(tmp_path / "a.png", 800, 600), noise(tmp_path / "b.png", 250, 200))
    start(page)
    rows_in(page, "running").first.wait_for()
    page.get_by_role("button", name="Cancel b.png").click()
    wait_for_rows(page, "canceled", 1)
    assert row(page, "b.png").get_attribute("data-state") == "canceled"
    page.get_by_role("button", name="Cancel all").click()
    wait_for_rows(page, "canceled", 2)
    assert {job["state"] for job in ask(visit.address, "jobs")["jobs"]} <= {"canceled"}

    set_factor(page, "2")
    page.get_by_role("button", name="Try b.png again").click()
    wait_for_rows(page, "done", 1)
    assert row(page, "b.png").get_by_text(sizes((250, 200), (500, 400))).is_visible()


def test_a_picture_that_is_tried_again_while_it_is_still_sent_is_sent_anew(visit: Visit) -> None:
    page = visit.open()
    held: list[Route] = []

    def hold(route: "Route") -> None:
        if held or route.request.method != "POST":
            route.continue_()
        else:
            held.append(route)

    page.route("**/api/v1/jobs", hold)
    choose(page, PICTURES[1])
    start(page)
    wait_for_rows(page, "uploading", 1)
    page.get_by_role("button", name="Cancel leaves.png").click()
    wait_for_rows(page, "canceled", 1)
    set_factor(page, "2")
    page.get_by_role("button", name="Try leaves.png again").click()
    wait_for_rows(page, "waiting", 1)
    held[0].continue_()
    wait_for_rows(page, "done", 1)
    assert page.locator(".row").count() == 1
    (job,) = ask(visit.address, "jobs")["jobs"]
    assert (job["state"], job["new_size"]) == ("done", [320, 320])


def test_an_estimate_that_failed_is_asked_for_again(visit: Visit) -> None:
    page = visit.open()
    failed: list[Route] = []

    def fail_once(route: "Route") -> None:
        if failed:
            route.continue_()
        else:
            failed.append(route)
            route.fulfill(status=429, json={"error": "busy"})

    page.route("**/api/v1/estimate", fail_once)
    choose(page, PICTURES[1])
    row(page, "leaves.png").get_by_text(sizes((160, 160), (640, 640))).wait_for()
    assert failed


def test_errors_are_in_the_words_of_the_command_line(visit: Visit, tmp_path: Path) -> None:
    broken = tmp_path / "holiday.jpg"
    broken.write_bytes(PICTURES[0].read_bytes()[:50])
    with pytest.raises(mafdn.MafdnError) as caught:
        mafdn.upscale_file(broken, tmp_path / "result.jpg")
    page = visit.open()
    choose(page, broken, PICTURES[1])
    start(page)
    wait_for_rows(page, "failed", 1)
    wait_for_rows(page, "done", 1)
    message = row(page, "holiday.jpg").locator(".row-error").inner_text()
    assert message == str(caught.value).replace(str(broken), broken.name)
    assert visit.refused == 1
    assert page.locator("#bar-count").inner_text() == "1 picture done"
    assert page.locator("#bar-time").inner_text() == "1 failed"
    page.get_by_role("button", name="Try holiday.jpg again").click()
    page.locator(".row-error").filter(has_text=message).wait_for()


def test_wrong_options_are_refused_before_the_start(visit: Visit) -> None:
    page = visit.open()
    choose(page, PICTURES[1])
    set_factor(page, "other")
    page.locator("[name=sizeKind]").select_option("scale")
    page.locator("[name=sizeValue]").fill("0")
    page.locator("#options-error").filter(has_text="scale").wait_for()
    assert page.locator("#start").is_disabled()
    page.locator("[name=sizeValue]").fill("1.5")
    row(page, "leaves.png").get_by_text(sizes((160, 160), (240, 240))).wait_for()
    assert page.locator("#options-error").is_hidden()
    assert page.locator("#start").is_enabled()


def test_jobs_survive_a_reload_in_the_middle(visit: Visit, tmp_path: Path) -> None:
    page = visit.open()
    choose(page, noise(tmp_path / "a.png", 900, 900), PICTURES[1])
    start(page)
    rows_in(page, "running").first.wait_for()
    page.locator(".row:not([data-state=waiting], [data-state=uploading])").nth(1).wait_for()
    page.reload()
    row(page, "a.png").wait_for()
    assert page.locator(".row").count() == 2
    assert page.locator("#overall").is_visible()
    assert row(page, "a.png").get_attribute("data-state") == "running"
    page.get_by_role("button", name="Cancel a.png").click()
    wait_for_rows(page, "done", 1)
    wait_for_rows(page, "canceled", 1)
    assert row(page, "a.png").get_by_text(sizes((900, 900), (3600, 3600))).is_visible()
    page.locator(".row .thumbnail canvas").nth(1).wait_for()  # from the server this time


def test_options_are_remembered_and_obeyed(visit: Visit) -> None:
    page = visit.open()
    set_factor(page, "2")
    page.get_by_label("Classic").check()
    page.locator("#format").select_option("webp")
    page.locator("#quality").fill("70")
    page.get_by_label("Keep metadata").uncheck()
    page.get_by_label("Verify").check()
    page.reload()
    assert page.locator("#network-hint").inner_text().startswith("Classic · For clean pictures")
    assert page.locator("#verify-hint").inner_text().startswith("Verify · Compares each result")
    assert (page.get_by_label("Photo").get_attribute("aria-description") or "").startswith("For JPEG pictures")
    assert page.locator("#quality").input_value() == "70"
    assert page.locator("[name=factor][value='2']").is_checked()
    choose(page, PICTURES[0])
    start(page)
    wait_for_rows(page, "done", 1)
    (job,) = ask(visit.address, "jobs")["jobs"]
    wanted = {"network": "classic", "format": "webp", "quality": 70, "strip_metadata": True, "verify": True}
    assert {name: job["options"][name] for name in wanted} == wanted
    assert job["new_size"] == [480, 480]
    assert job["result_name"].endswith(".webp")


def test_the_network_of_the_server_is_chosen_at_first(browser: "Browser", tmp_path: Path, exported: Path) -> None:
    name = "<u>width of a network with a long name"
    file = Path(shutil.copyfile(exported, tmp_path / f"{name}.onnx"))
    with served(tmp_path / "server", "--network", str(file)) as address:
        visit = Visit(browser, address)
        page = visit.open(window=(360, 800))
        choose(page, PICTURES[1])
        page.locator("#options-toggle").click()
        assert page.get_by_label(name, exact=True).is_checked()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        set_factor(page, "2")
        start(page)
        wait_for_rows(page, "done", 1)
        assert ask(address, "jobs")["jobs"][0]["network"] == name
        summary = page.locator("#options-summary")
        page.reload()
        summary.filter(has_text=f"2\u00d7 · {name}").wait_for()
        page.locator("#options-toggle").click()
        page.get_by_label("Auto").check()
        page.reload()
        summary.filter(has_text="2\u00d7 · Auto").wait_for()
        page.locator("#about").filter(has_text="mafdn").wait_for()
        assert page.get_by_label("Auto").is_checked()
        visit.close()
