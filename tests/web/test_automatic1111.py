"""Automatic1111's interface: the requests of its clients, answered as they expect."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from mafdn.cli import run
from mafdn.web.extras import STAND_INS
from mafdn.web.http import embedded
from tests.support import files_below
from tests.web.conftest import Client, Serve
from tests.web.pictures import write_picture

SINGLE, BATCH = "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"
PAYLOAD: dict[str, Any] = {
    "resize_mode": 0,
    "show_extras_results": True,
    "gfpgan_visibility": 0,
    "codeformer_visibility": 0,
    "codeformer_weight": 0,
    "upscaling_resize": 2,
    "upscaling_resize_w": 512,
    "upscaling_resize_h": 512,
    "upscaling_crop": True,
    "upscaler_1": "None",
    "upscaler_2": "None",
    "extras_upscaler_2_visibility": 0,
    "upscale_first": False,
}
"""What `webuiapi`, the Python client, sends with every request."""


def base64_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pixels_of(text: str) -> Any:
    data = base64.b64decode(text, validate=True)
    assert data.startswith(b"\x89PNG")
    return pyvips.Image.new_from_buffer(data, "").numpy()


def files_left(client: Client) -> list[Path]:
    return files_below(client.settings.folder / "jobs")


def test_a_picture_is_upscaled_as_by_the_command(engine_client: Client, tmp_path: Path) -> None:
    source, expected = tmp_path / "a.png", tmp_path / "large.png"
    data = write_picture(source, 40, 30)
    name = engine_client.settings.default_network
    body = {**PAYLOAD, "upscaler_1": name, "image": "data:image/png;base64," + base64_of(data)}
    answer = engine_client.post(SINGLE, json=body)
    assert answer.status_code == 200, answer.text
    assert sorted(answer.json()) == ["html_info", "image"]
    assert answer.json()["html_info"] == f"<p>Postprocess upscale by: 2.0, Postprocess upscaler: {name}</p>"
    assert int(answer.headers["content-length"]) == len(answer.content)
    command = ["upscale", str(source), str(expected), "--scale", "2", "--network", engine_client.settings.network]
    assert run([*command, "--quiet"]) == 0
    assert base64.b64decode(answer.json()["image"]) == expected.read_bytes()
    assert files_left(engine_client) == []


def test_networks_that_clients_have_built_in_are_stood_in_for(engine_client: Client, tmp_path: Path) -> None:
    data = base64_of(write_picture(tmp_path / "a.png", 8, 8))
    default = engine_client.settings.default_network
    results = {
        name: engine_client.post(SINGLE, json={"upscaler_1": name, "image": data}).json()
        for name in (default, "R-ESRGAN 4x+")
    }
    assert "R-ESRGAN 4x+" in STAND_INS
    assert results[default] == results["R-ESRGAN 4x+"]
    assert f"Postprocess upscaler: {default}" in results[default]["html_info"]


def test_no_upscaler_returns_the_pixels_unchanged(engine_client: Client, tmp_path: Path) -> None:
    data = write_picture(tmp_path / "a.png", 9, 7)
    answer = engine_client.post(SINGLE, json={**PAYLOAD, "image": base64_of(data)}).json()
    assert answer["html_info"] == "<p></p>"
    assert np.array_equal(pixels_of(answer["image"]), pyvips.Image.new_from_buffer(data, "").numpy())


@pytest.mark.parametrize("crop", [True, False, "false"])
def test_a_size_is_covered_and_cropped_to_the_middle(engine_client: Client, tmp_path: Path, crop: bool | str) -> None:
    source = tmp_path / "a.png"
    data = write_picture(source, 20, 30, bands=4)
    body = {**PAYLOAD, "resize_mode": 1, "upscaling_resize_w": 41, "upscaling_resize_h": 31, "upscaling_crop": crop}
    answer = engine_client.post(SINGLE, json={**body, "upscaler_1": "Lanczos", "image": base64_of(data)}).json()
    pixels = pixels_of(answer["image"])
    assert (
        run(["upscale", str(source), "--width", "41", "--strength", "0", "--quiet", "-o", str(tmp_path / "b.png")]) == 0
    )
    covering = pyvips.Image.new_from_file(str(tmp_path / "b.png")).numpy()
    assert covering.shape == (62, 41, 4)
    if crop is True:
        assert np.array_equal(pixels, covering[31 - 15 : 31 - 15 + 31])
        assert "Postprocess upscale to: 41x31, Postprocess crop to: 41x31, " in answer["html_info"]
    else:
        assert np.array_equal(pixels, covering)
        assert "crop" not in answer["html_info"]


@pytest.mark.parametrize(("mode", "size"), [(0, (40, 48)), (1, (10, 12))])
def test_of_an_animation_the_first_frame_is_upscaled(
    engine_client: Client, tmp_path: Path, mode: int, size: tuple[int, int]
) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (60, 24, 3), np.uint8)
    image = pyvips.Image.new_from_array(frames, interpretation="srgb").copy()
    image.set_type(pyvips.GValue.gint_type, "page-height", 20)
    image.write_to_file(str(tmp_path / "a.gif"))
    body = {"resize_mode": mode, "upscaling_resize_w": size[1], "upscaling_resize_h": size[0], "upscaler_1": "Lanczos"}
    answer = engine_client.post(SINGLE, json={**body, "image": base64_of((tmp_path / "a.gif").read_bytes())})
    assert answer.status_code == 200, answer.text
    assert b"acTL" not in base64.b64decode(answer.json()["image"])
    assert pixels_of(answer.json()["image"]).shape[:2] == size


def test_several_pictures_come_back_in_order(engine_client: Client, tmp_path: Path) -> None:
    sizes = [(8, 6), (60, 50), (5, 9)]
    files = [
        {"data": base64_of(write_picture(tmp_path / f"{number}.png", *size)), "name": f"image{number:05}"}
        for number, size in enumerate(sizes)
    ]
    answer = engine_client.post(BATCH, json={**PAYLOAD, "upscaler_1": "SwinIR_4x", "imageList": files})
    assert answer.status_code == 200, answer.text
    assert [pixels_of(text).shape[1::-1] for text in answer.json()["images"]] == [(w * 2, h * 2) for w, h in sizes]
    assert engine_client.post(BATCH, json={**PAYLOAD, "imageList": []}).json() == {"html_info": "<p></p>", "images": []}
    assert files_left(engine_client) == []


def test_a_second_upscaler_blends_the_network_with_lanczos(engine_client: Client, tmp_path: Path) -> None:
    data = base64_of(write_picture(tmp_path / "a.png", 24, 24))
    name = engine_client.settings.default_network

    def result(first: str, second: str, share: float) -> str:
        body = {"upscaler_1": first, "upscaler_2": second, "extras_upscaler_2_visibility": share, "image": data}
        return engine_client.post(SINGLE, json=body).json()["image"]

    assert result(name, "Lanczos", 1) == result("Lanczos", "None", 0) == result("Lanczos", "Lanczos", 0.3)
    assert result(name, "Lanczos", 0.25) == result("Lanczos", name, 0.75) != result(name, "Lanczos", 0)


def test_one_failure_fails_the_batch_and_leaves_nothing(client: Client, tmp_path: Path) -> None:
    good = {"data": base64_of(write_picture(tmp_path / "a.png", 8, 8)), "name": "good"}
    large = {"data": base64_of(b"\x89PNG\r\n\x1a\n" + bytes(9_000)), "name": "../../bad.png"}
    answer = client.post(BATCH, json={"upscaler_1": "Lanczos", "imageList": [good, large]})
    assert answer.status_code == 422
    assert "bad.png" in answer.json()["error"]
    assert str(client.settings.folder) not in answer.text
    assert answer.json()["detail"] == answer.json()["errors"] == answer.json()["error"]
    assert files_left(client) == []
    assert client.service.queue.queued == 0
    assert client.service.store.used_bytes == 0


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        ({"upscaler_1": "Nearest"}, 422, "could not find upscaler named Nearest; choose from None, Lanczos, auto"),
        ({"upscaler_2": "other", "extras_upscaler_2_visibility": 1}, 422, "could not find upscaler named other"),
        ({"upscaler_2": "x2", "extras_upscaler_2_visibility": 0.5}, 422, "two networks are not blended"),
        ({"gfpgan_visibility": 0.5}, 422, "there is no face restoration here"),
        ({"codeformer_visibility": 1}, 422, "there is no face restoration here"),
        ({"resize_mode": 2}, 422, "resize_mode"),
        ({"upscaling_resize": 0}, 422, "upscaling_resize"),
        ({"upscaling_resize": 1e9}, 422, "the limit is"),
        ({"image": ""}, 422, "the text for the picture is empty"),
        ({"image": "?" * 10}, 422, "not base64"),
        ({"image": "?" * 10_000}, 422, "not base64"),
        ({"image": "aaaa" * 2_000 + "=" + "aaaa" * 2_000}, 422, "not base64"),
        ({"image": "http://127.0.0.1/a.png"}, 422, "addresses are not fetched"),
        ({"image": "https://example.org/" + "a" * 9_000}, 422, "addresses are not fetched"),
        ({"image": 7}, 422, "image: Input should be a valid string"),
    ],
)
def test_what_is_not_possible_is_refused(
    client: Client, tmp_path: Path, change: dict[str, Any], status: int, message: str
) -> None:
    body = {"upscaler_1": "auto", "image": base64_of(write_picture(tmp_path / "a.png", 8, 8)), **change}
    answer = client.post(SINGLE, json=body)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text
    assert files_left(client) == []


def test_bodies_that_are_not_as_declared_are_refused(client: Client) -> None:
    assert client.post(SINGLE, content=b"{", headers={"content-type": "application/json"}).status_code == 400
    assert client.post(SINGLE, content=b"{}", headers={"content-type": "text/plain"}).status_code == 415
    assert client.post(SINGLE, content=b"[" * 100_000).status_code == 400
    assert client.post(SINGLE, content=b"[1]").status_code == 422
    assert client.post(SINGLE, content=b'{"a": ' + b"1" * 2_000_000 + b"}").status_code == 413
    assert client.post(BATCH, json={}).status_code == 422


def test_limits_are_those_of_uploads(serve: Serve, tmp_path: Path) -> None:
    from mafdn.pictures.limits import Limits

    client = serve(limits=Limits(file_mb=0.02, seconds=60), queue=2)
    large = base64_of(bytes(30_000))
    assert client.post(SINGLE, json={"upscaler_1": "auto", "image": large}).status_code == 413
    small = {"data": base64_of(write_picture(tmp_path / "a.png", 8, 8)), "name": "a"}
    answer = client.post(BATCH, json={"upscaler_1": "auto", "imageList": [small] * 3})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1
    assert files_left(client) == []


def test_texts_are_taken_apart_wherever_the_body_is_split(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "LONGEST_TEXT", 40)
    data = write_picture(tmp_path / "a.png", 30, 30)
    text = json.dumps(
        {"unknown": 'a"b' * 30, "upscaler_1": "Lanczos", "upscaling_resize": 1e5, "image": base64_of(data)}
    )
    for escaped in (text, text.replace("/", "\\/").replace("+", "\\u002b"), text.replace(": ", " :\n")):
        for size in (1, 7, 64, 100_000):
            pieces = [escaped.encode()[at : at + size] for at in range(0, len(escaped), size)]
            answer = client.post(SINGLE, content=iter(pieces), headers={"content-type": "application/json"})
            assert "3000000x3000000 pixels" in answer.json()["error"], answer.text


def test_clients_find_what_they_ask_for_first(client: Client) -> None:
    names = [item["name"] for item in client.get("/sdapi/v1/upscalers").json()]
    assert names[:3] == ["None", "Lanczos", "auto"]
    for item in client.get("/sdapi/v1/upscalers").json():
        assert sorted(item) == ["model_name", "model_path", "model_url", "name", "scale"]
    assert client.get("/sdapi/v1/options").json()["sd_model_checkpoint"] == "auto"
    for name in ("sd-models", "samplers", "face-restorers", "realesrgan-models"):
        assert client.get(f"/sdapi/v1/{name}").json() == []
    progress = client.get("/sdapi/v1/progress?skip_current_image=true").json()
    assert (progress["progress"], progress["state"]["job_count"]) == (0, 0)


def test_the_token_is_the_password_of_basic_authentication(serve: Serve) -> None:
    client = serve(token="a-token-of-this-test")
    assert client.get("/sdapi/v1/upscalers", auth=("anyone", "a-token-of-this-test")).status_code == 200
    assert client.get("/sdapi/v1/upscalers", auth=("anyone", "another")).status_code == 401
    for wrong in ("Basic", "Basic ?", "Basic YQ==", "Basic /w=="):
        assert client.get("/sdapi/v1/upscalers", headers={"authorization": wrong}).status_code == 401
