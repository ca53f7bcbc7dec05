"""Requests of Automatic1111's "extras" interface, and what they mean here."""

from collections.abc import Mapping
from html import escape
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from mafdn._support.atomic import printable
from mafdn.errors import UsageError
from mafdn.upscaling.size import LARGEST

NONE, LANCZOS = "None", "Lanczos"
"""Names of upscalers that are no network: one that changes nothing, and one that resizes."""
STAND_INS = frozenset(
    (
        "ESRGAN_4x",
        "R-ESRGAN 2x+",
        "R-ESRGAN 4x+",
        "R-ESRGAN 4x+ Anime6B",
        "R-ESRGAN AnimeVideo",
        "R-ESRGAN General 4xV3",
        "R-ESRGAN General WDN 4xV3",
        "LDSR",
        "BSRGAN",
        "ScuNET",
        "ScuNET GAN",
        "ScuNET PSNR",
        "SwinIR_4x",
        "SwinIR 4x",
        "DAT x2",
        "DAT x3",
        "DAT x4",
    )
)
"""Networks of Automatic1111, whose names many clients have built in; the default network stands in for them."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class ExtrasRequest(BaseModel):
    """What requests for one and for several pictures share; the names are Automatic1111's."""

    resize_mode: Literal[0, 1] = Field(
        0, description="0: enlarge by upscaling_resize; 1: to upscaling_resize_w x upscaling_resize_h."
    )
    show_extras_results: bool = Field(True, description="Has no effect.")
    gfpgan_visibility: Share = Field(0, description="Must be 0: there is no face restoration.")
    codeformer_visibility: Share = Field(0, description="Must be 0: there is no face restoration.")
    codeformer_weight: Share = Field(0, description="Has no effect.")
    upscaling_resize: float = Field(2, gt=0, le=LARGEST, allow_inf_nan=False, description="Factor for resize_mode 0.")
    upscaling_resize_w: int = Field(512, ge=1, le=LARGEST, description="Width in pixels for resize_mode 1.")
    upscaling_resize_h: int = Field(512, ge=1, le=LARGEST, description="Height in pixels for resize_mode 1.")
    upscaling_crop: bool = Field(
        True, description="For resize_mode 1: crop the picture, which covers that size, to exactly that size."
    )
    upscaler_1: str = Field(NONE, description="One of the names of /sdapi/v1/upscalers.")
    upscaler_2: str = Field(NONE, description="A second one, blended with the first; one of them is Lanczos.")
    extras_upscaler_2_visibility: Share = Field(0, description="Share of the second one.")
    upscale_first: bool = Field(False, description="Has no effect.")


class SingleRequest(ExtrasRequest):
    """A request for one picture."""

    image: str = Field("", description="The file as base64, or as a data URI.")


class NamedFile(BaseModel):
    """A picture of several."""

    data: str = Field(description="The file as base64, or as a data URI.")
    name: str = Field(description="Its name, for messages.")


class BatchRequest(ExtrasRequest):
    """A request for several pictures."""

    imageList: list[NamedFile] = Field(description="The pictures.")  # noqa: N815 - Automatic1111's name


class SingleAnswer(BaseModel):
    """One result."""

    html_info: str = Field(description="What was done, as HTML.")
    image: str = Field(description="The result: a PNG file as base64.")


class BatchAnswer(BaseModel):
    """Several results."""

    html_info: str = Field(description="What was done, as HTML.")
    images: list[str] = Field(description="The results in the order of the pictures: PNG files as base64.")


class UpscalerItem(BaseModel):
    """One upscaler."""

    name: str
    model_name: str | None = None
    model_path: str | None = None
    model_url: str | None = None
    scale: float | None = None


class ProgressState(BaseModel):
    """What the server works on."""

    skipped: bool = False
    interrupted: bool = False
    job: str = ""
    job_count: int = 0
    job_timestamp: str = ""
    job_no: int = 0
    sampling_step: int = 0
    sampling_steps: int = 0


class ProgressAnswer(BaseModel):
    """How far the server is with all that it was given."""

    progress: float
    eta_relative: float
    state: ProgressState
    current_image: str | None = None
    textinfo: str | None = None


class OptionsAnswer(BaseModel):
    """The settings that clients look at."""

    samples_format: str = "png"
    sd_model_checkpoint: str
    upscaler_for_img2img: str


def batch_schema() -> dict[str, Any]:
    """Return the JSON schema of `BatchRequest` without references, which OpenAPI resolves elsewhere."""
    schema = BatchRequest.model_json_schema()
    del schema["$defs"]
    schema["properties"]["imageList"]["items"] = NamedFile.model_json_schema()
    return schema


def upscaler_names(networks: Mapping[str, str]) -> list[str]:
    """Return the names of all upscalers: no change, Lanczos, and the networks of the server."""
    return [NONE, LANCZOS, *networks]


def request_options(request: ExtrasRequest, networks: Mapping[str, str], default: str) -> dict[str, Any]:
    """Return the options of a request, as `parse_options` does, but for the size if that depends on the picture.

    Args:
        request: The request.
        networks: The networks of the server.
        default: Name of its default network.

    Raises:
        UsageError: For an unknown upscaler, or what there is not here.
    """
    if request.gfpgan_visibility or request.codeformer_visibility:
        raise UsageError("there is no face restoration here: set gfpgan_visibility and codeformer_visibility to 0")
    first = _network(request.upscaler_1, networks, default)
    options: dict[str, Any] = {"format": "png", "frame": 1}  # as Automatic1111, which returns stills
    if first == NONE:
        return {**options, "scale": 1.0, "strength": 0.0}
    if request.resize_mode == 0:
        options["scale"] = request.upscaling_resize
    share, second = request.extras_upscaler_2_visibility, _network(request.upscaler_2, networks, default)
    if not share or second in (NONE, first):
        return {**options, **({"strength": 0.0} if first == LANCZOS else {"network": first})}
    if LANCZOS not in (first, second):
        raise UsageError(f"two networks are not blended: choose {LANCZOS} as one of upscaler_1 and upscaler_2")
    network, strength = (second, share) if first == LANCZOS else (first, 1 - share)
    return {**options, "network": network, "strength": strength}


def covering_size(request: ExtrasRequest, size: tuple[int, int]) -> dict[str, int]:
    """Return the option for the size of a picture that covers the size of a request, as its aspect ratio has it."""
    wide, high = request.upscaling_resize_w, request.upscaling_resize_h
    return {"width": wide} if wide * size[1] >= high * size[0] else {"height": high}


def is_cropped(request: ExtrasRequest) -> bool:
    """Whether results are cropped to the size of the request."""
    return request.resize_mode == 1 and request.upscaling_crop and request.upscaler_1 != NONE


def html_info(request: ExtrasRequest, networks: Mapping[str, str], default: str) -> str:
    """Return what was done as Automatic1111 puts it."""
    first, second = (_network(name, networks, default) for name in (request.upscaler_1, request.upscaler_2))
    facts: dict[str, Any] = {}
    if first != NONE:
        size = f"{request.upscaling_resize_w}x{request.upscaling_resize_h}"
        if request.resize_mode == 0:
            facts["Postprocess upscale by"] = request.upscaling_resize
        else:
            facts["Postprocess upscale to"] = size
        if is_cropped(request):
            facts["Postprocess crop to"] = size
        facts["Postprocess upscaler"] = first
        if second != NONE and request.extras_upscaler_2_visibility:
            facts["Postprocess upscaler 2"] = second
    return f"<p>{escape(', '.join(f'{name}: {value}' for name, value in facts.items()))}</p>"


def _network(name: str, networks: Mapping[str, str], default: str) -> str:
    """Return the upscaler of this name, or what stands in for it."""
    if name in (NONE, LANCZOS) or name in networks:
        return name
    if name in STAND_INS:
        return default
    known = ", ".join(upscaler_names(networks))
    raise UsageError(f"could not find upscaler named {printable(name)[:100]}; choose from {known}")
