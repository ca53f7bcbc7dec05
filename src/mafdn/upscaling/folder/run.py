"""Upscaling folders: find, plan, upscale, report."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mafdn._support.atomic import printable
from mafdn._support.machine import machine
from mafdn.errors import MafdnError, PictureError, UsageError
from mafdn.upscaling.folder.discover import Found, find_sources
from mafdn.upscaling.folder.films import FilmRun, Films
from mafdn.upscaling.folder.forecast import forecast
from mafdn.upscaling.folder.inspection import Setup
from mafdn.upscaling.folder.manifest import Manifests
from mafdn.upscaling.folder.options import FolderOptions
from mafdn.upscaling.folder.pipeline import Pipeline
from mafdn.upscaling.folder.plan import Plan, make_plan
from mafdn.upscaling.folder.report import FolderItem, FolderProgress, FolderReport, Stopped
from mafdn.upscaling.networks import AutomaticNetworks, NetworkSet
from mafdn.upscaling.options import UpscaleOptions
from mafdn.upscaling.pattern import Pattern


def upscale_all(
    inputs: Sequence[Path | str],
    networks: NetworkSet | AutomaticNetworks,
    options: UpscaleOptions,
    folder_options: FolderOptions,
    *,
    on_progress: Callable[[FolderProgress], None] = lambda _: None,
    on_start: Callable[[FolderReport], None] = lambda _: None,
    on_item: Callable[[FolderItem], None] = lambda _: None,
    films: Films | None = None,
) -> FolderReport:
    """Upscale all pictures, and then all films, of folders, glob patterns and files.

    Results of an earlier run with the same settings that are still intact are kept. A picture that fails is reported,
    not raised; a fault of the output folder ends the run, and `stopped` of the report says why.

    Args:
        inputs: As for `find_sources`.
        networks: The networks to use.
        options: How pictures are upscaled.
        folder_options: How pictures are found and their results named. With `dry_run` nothing is written: pictures
            that would be upscaled have the status `left` and the reason why.
        on_progress: Called for every file that is checked and after every tile.
        on_start: Called once with what is planned, when all files have been checked: what is to be upscaled is `left`.
        on_item: Called with the outcome of every picture as soon as it is known. An error that it raises ends the run.
        films: How films are upscaled; without it, they fail.

    Raises:
        Stopped: At Ctrl-C.
        UsageError: If the options contradict each other.
        PictureError: If there is no picture.
        MafdnError: If another run is working in the same folder, or the network cannot be opened.
    """
    began = time.perf_counter()
    folder = folder_options.folder
    if folder is not None and folder.is_file():
        raise UsageError(f"{printable(folder)} is a file; give a folder for the results")
    size = options.effective_size(networks.default_scale)
    pattern = folder_options.pattern or Pattern.default(size)
    pattern.check_size(size)
    found = find_sources(inputs, recursive=folder_options.recursive, exclude=folder)
    manifests = Manifests(folder, folder_options.shard)

    def checking(name: str, done: int, total: int) -> None:
        on_progress(FolderProgress(phase="checking", name=name, number=done + 1, count=total, done=done, total=total))

    setup = Setup(
        networks=networks,
        options=options,
        size=size,
        pattern=pattern,
        selection=folder_options,
        films=films,
    )
    plan = make_plan(found, manifests, setup, on_check=checking)
    if not (plan.jobs or plan.finished or plan.other_shards):
        raise PictureError(_why_nothing(inputs, found, plan))
    homes = {home: manifests.manifest(home) for home in sorted({job.home for job in plan.jobs})}
    pictures = tuple(job for job in plan.jobs if job.film_frames is None)
    film_jobs = tuple(job for job in plan.jobs if job.film_frames is not None)
    pipeline = Pipeline(
        pictures,
        networks,
        homes,
        options,
        jobs_at_once=folder_options.jobs,
        later=film_jobs,
        on_progress=on_progress,
        on_item=on_item,
    )
    film_run = FilmRun(
        film_jobs,
        films,
        networks,
        homes,
        options,
        before=pictures,
        on_progress=on_progress,
        on_item=on_item,
    )
    dry_run = folder_options.dry_run
    planned = [job.item(status="left", reason=job.reason, notes=job.notes if dry_run else ()) for job in plan.jobs]

    def report(stopped: str | None = None, *, planned: Sequence[FolderItem] = ()) -> FolderReport:
        return FolderReport(
            items=tuple(
                sorted([*plan.finished, *pipeline.items, *film_run.items, *planned], key=lambda item: str(item.source))
            ),
            folder=folder,
            seconds=time.perf_counter() - began,
            network_seconds=pipeline.network_seconds,
            waited_seconds=pipeline.waited_seconds,
            stopped=stopped,
            not_pictures=plan.not_pictures,
            sidecars=plan.sidecars,
            earlier_results=plan.earlier_results,
            other_shards=plan.other_shards,
            links=found.links,
            folders=found.folders,
            settings=_settings(setup),
            engines=tuple(networks.names()),
            machine=asdict(machine()),
        )

    if not folder_options.dry_run:
        for home in sorted(manifests.unfinished - homes.keys()):
            with suppress(MafdnError), manifests.manifest(home):  # which cleans up; another run may be working there
                pass
    begun = False
    try:
        on_start(report(planned=planned))
        for item in [*plan.finished, *(planned if folder_options.dry_run else ())]:
            on_item(item)
        if folder_options.dry_run:
            estimate = forecast(plan.jobs, networks, options, size=size, films=films) if plan.jobs else None
            return replace(report(planned=planned), estimate=estimate)
        with ExitStack() as stack:
            for manifest in homes.values():
                stack.enter_context(manifest)
            begun = True
            pipeline.run()
            if pipeline.stopped is None:
                film_run.run()
    except KeyboardInterrupt:
        known = {item.source for item in (*pipeline.items, *film_run.items)}
        left = [item for item in planned if item.source not in known]  # all of them if it had not begun
        for item in left if begun else ():  # such as a picture that was just passed from one thread to another
            on_item(item)
        raise Stopped(report("stopped by hand", planned=left)) from None
    stopped, reached = pipeline.stopped or film_run.stopped, {item.source for item in film_run.items}
    left = [job.item(status="left") for job in film_jobs if job.source not in reached]
    return report(stopped, planned=left)


def _why_nothing(inputs: Sequence[Path | str], found: Found, plan: Plan) -> str:
    """Return one line on why there is nothing to do."""
    where = ", ".join(printable(entry) for entry in inputs[:3]) + (" and others" if len(inputs) > 3 else "")
    if plan.earlier_results:
        return f"{where}: all {plan.earlier_results} pictures are results of earlier runs; choose another output folder"
    count = plan.not_pictures + plan.sidecars
    others = f" ({count} other files)" if count else ""
    hint = "; subfolders were not entered, use the option recursive" if found.folders else ""
    return f"no pictures in the folder {where}{others}{hint}"


def _settings(setup: Setup) -> dict[str, Any]:
    """Return the options of a run for its report."""
    options, folder_options, films = setup.options, setup.selection, setup.films
    return {
        **{name: value for name, value in asdict(setup.size).items() if value is not None},
        "strength": options.strength,
        **asdict(options.output),
        "pattern": setup.pattern.text,
        "recursive": folder_options.recursive,
        "overwrite": options.overwrite,
        "redo": folder_options.redo,
        "skip_larger_than": folder_options.skip_larger_than,
        "since": None if folder_options.since is None else folder_options.since.isoformat(),
        "only": folder_options.only,
        "order": folder_options.order,
        "jobs": folder_options.jobs,
        "shard": None if folder_options.shard is None else str(folder_options.shard),
        "tile": options.tile,
        "exact": options.exact,
        "ensemble": options.ensemble,
        "frame": options.frame,
        "verify": options.verify,
        "keep_times": options.keep_times,
        "films": None if films is None else films.for_programs(),
    }
