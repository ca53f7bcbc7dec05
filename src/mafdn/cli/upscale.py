"""`mafdn upscale`: its options; `mafdn.cli.single` runs it for one picture, `mafdn.cli.folders` for several."""

from functools import partial

from mafdn.cli.options.batch import Jobs, JsonLines, OnlyKind, PictureOrder, ShardOf, Since, SkipLargerThan
from mafdn.cli.options.engine import (
    DeviceName,
    EngineName,
    Ensemble,
    Exact,
    NetworkFile,
    Precision,
    Strength,
    Threads,
    Tile,
)
from mafdn.cli.options.file import (
    DryRun,
    FormatName,
    Inputs,
    KeepPrintSize,
    KeepTimes,
    Lossless,
    NamePattern,
    Overwrite,
    Quality,
    Recursive,
    Redo,
    ReportFile,
    Result,
    StripMetadata,
    Verify,
)
from mafdn.cli.options.film import (
    Codec,
    Container,
    Crf,
    Deinterlace,
    DeinterlaceFields,
    From,
    Preset,
    Preview,
    Rate,
    SegmentFrames,
    ShowThumbnails,
    To,
    as_folder_run,
    film_options,
    given_options,
    is_film_job,
    refuse_film_options,
    refuse_rate,
    refuse_unused_options,
)
from mafdn.cli.options.frame import Frame
from mafdn.cli.options.limit import DEFAULT, MaxFileMb, MaxPixels, MaxSeconds
from mafdn.cli.options.size import Factor, Fit, Height, Longest, Megapixels, Width, requested_size
from mafdn.cli.output import Json, Quiet
from mafdn.errors import UsageError


def upscale_command(
    inputs: Inputs,
    output: Result = None,
    recursive: Recursive = False,
    pattern: NamePattern = None,
    overwrite: Overwrite = False,
    redo: Redo = False,
    dry_run: DryRun = False,
    report_file: ReportFile = None,
    verify: Verify = False,
    keep_times: KeepTimes = False,
    skip_larger_than: SkipLargerThan = None,
    since: Since = None,
    only: OnlyKind = None,
    order: PictureOrder = "name",
    jobs: Jobs = 1,
    shard: ShardOf = None,
    json_lines: JsonLines = False,
    scale: Factor = None,
    width: Width = None,
    height: Height = None,
    longest: Longest = None,
    fit: Fit = None,
    megapixels: Megapixels = None,
    format_name: FormatName = None,
    quality: Quality = None,
    lossless: Lossless = False,
    strip_metadata: StripMetadata = False,
    keep_print_size: KeepPrintSize = False,
    frame: Frame = None,
    codec: Codec = None,
    crf: Crf = None,
    preset: Preset = None,
    container: Container = None,
    deinterlace: Deinterlace = False,
    deinterlace_fields: DeinterlaceFields = False,
    start: From = None,
    end: To = None,
    preview: Preview = None,
    thumbnails: ShowThumbnails = False,
    segment_frames: SegmentFrames = None,
    rate: Rate = None,
    network: NetworkFile = "auto",
    strength: Strength = 1.0,
    tile: Tile = None,
    exact: Exact = False,
    ensemble: Ensemble = 1,
    engine: EngineName = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    precision: Precision = "auto",
    max_pixels: MaxPixels = DEFAULT.pixels,
    max_file_mb: MaxFileMb = DEFAULT.file_mb,
    max_seconds: MaxSeconds = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Upscale pictures and films; color, metadata, transparency, depth, sound and time stamps are kept.

    \b
    Examples:
      mafdn upscale photo.jpg                     write photo_x4.jpg beside it
      mafdn upscale scan.tif large.png            the ending chooses the format
      mafdn upscale photo.jpg --fit 3840x2160     as large as a screen
      mafdn upscale photo.jpg --json              print a report for programs
      mafdn upscale - - --format png < a.jpg > b.png
      mafdn upscale photos -o large --recursive   a folder, keeping its structure
      mafdn upscale 'photos/**/*.jpg' -o large    a pattern, ** for any folders
      mafdn upscale a.jpg b.jpg -o .              two pictures (without -o, b.jpg is the result)
      mafdn upscale photos -o large --pattern '{stem}{ext}' --format webp
      mafdn upscale film.mp4 --scale 2            write film_x2.mp4, with sound and all else
      mafdn upscale film.mp4 out.mkv --codec x265 --crf 18
      mafdn upscale film.mp4 'frames/%06d.png'    a picture for every frame
      mafdn upscale 'frames/%06d.png' film.mp4 --rate 24

    If one of many pictures fails, it is reported and the others are upscaled. To resume a run that was stopped or
    killed, run the same command again: a manifest in the folder of the results records what was done, and only what is
    missing or damaged, or has other inputs, settings or weights, is upscaled again. A film is resumed likewise, from
    the last whole segment.
    """
    from mafdn.api import upscale_folder
    from mafdn.cli.inputs import STANDARD, as_typed, one_picture
    from mafdn.cli.single import upscale_one
    from mafdn.inference import EngineOptions
    from mafdn.pictures.limits import Limits
    from mafdn.pictures.reading import block_other_loaders
    from mafdn.upscaling.options import UpscaleOptions
    from mafdn.upscaling.output import Output

    engine_options = EngineOptions(engine=engine, device=device, threads=threads, precision=precision)
    options = UpscaleOptions(
        size=requested_size(scale=scale, width=width, height=height, longest=longest, fit=fit, megapixels=megapixels),
        strength=strength,
        output=Output(
            format=format_name,
            quality=quality,
            lossless=lossless,
            strip_metadata=strip_metadata,
            keep_print_size=keep_print_size,
        ),
        limits=Limits(pixels=max_pixels, file_mb=max_file_mb, seconds=max_seconds),
        overwrite=overwrite,
        tile=tile,
        exact=exact,
        ensemble=ensemble,
        frame=frame,
        verify=verify,
        keep_times=keep_times,
    )
    block_other_loaders()
    if as_json and json_lines:
        raise UsageError("use either --json or --jsonl, not both")
    batch_options = {
        "--recursive": recursive,
        "--pattern": pattern is not None,
        "--redo": redo,
        "--dry-run": dry_run,
        "--report": report_file is not None,
        "--skip-larger-than": skip_larger_than is not None,
        "--since": since is not None,
        "--only": only is not None,
        "--order": order != "name",
        "--jobs": jobs != 1,
        "--shard": shard is not None,
        "--jsonl": json_lines,
    }
    inputs, result = [as_typed(text) for text in inputs], None if output is None else as_typed(output)
    single = one_picture(inputs, result, [name for name, given in batch_options.items() if given], overwrite=overwrite)
    film_given = given_options(
        codec=codec,
        crf=crf,
        preset=preset,
        container=container,
        deinterlace=deinterlace,
        deinterlace_fields=deinterlace_fields,
        start=start,
        end=end,
        preview=preview,
        thumbnails=thumbnails,
        segment_frames=segment_frames,
        rate=rate,
    )
    films = film_options(options, film_given)
    if single and (numbered := as_folder_run(single)):
        refuse_film_options(single.source, film_given)
        single, (inputs, result, pattern) = None, numbered
    if single and single.source != STANDARD and is_film_job(single):
        refuse_unused_options(single, options, film_given)
        from mafdn.cli.film import upscale_one_film

        upscale_one_film(single, network=network, engine=engine_options, options=films, quiet=quiet, as_json=as_json)
    elif single:
        refuse_film_options(single.source, film_given)
        upscale_one(single, network=network, engine=engine_options, options=options, quiet=quiet, as_json=as_json)
    else:
        from mafdn.cli.folders import FolderOutput

        refuse_rate(film_given)
        run = partial(
            upscale_folder,
            inputs,
            result,
            recursive=recursive,
            pattern=pattern,
            redo=redo,
            dry_run=dry_run,
            skip_larger_than=skip_larger_than,
            since=since,
            only=only,
            order=order,
            jobs=jobs,
            shard=shard,
            network=network,
            engine=engine_options,
            options=options,
            films=films,
        )
        shown = FolderOutput(
            inputs=inputs,
            report_file=report_file,
            dry_run=dry_run,
            quiet=quiet,
            as_json=as_json,
            as_json_lines=json_lines,
        )
        shown.run(run)
