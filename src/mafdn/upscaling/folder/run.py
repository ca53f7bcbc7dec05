"""Upscaling folders: find, plan, make, report.

Public names: :func:`upscale_all`, :class:`Stopped`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mafdn._support.atomic import shown
from mafdn._support.machine import machine
from mafdn.errors import MafdnError, PictureError, UsageError
from mafdn.pictures.formats import SUFFIXES
from mafdn.upscaling.folder.discover import Found, find_sources
from mafdn.upscaling.folder.engines import Networks
from mafdn.upscaling.folder.pipeline import Pipeline
from mafdn.upscaling.folder.plan import Homes, Plan, Request, make_plan
from mafdn.upscaling.folder.report import BatchReport, Standing

Tell = Callable[[Standing], None]


class Stopped(KeyboardInterrupt):
    """Ctrl-C during a run over many pictures; ``report`` says how far it came."""

    def __init__(self, report: BatchReport) -> None:
        super().__init__("stopped")
        self.report = report


def upscale_all(
    inputs: Sequence[Path | str],
    request: Request,
    networks: Networks,
    *,
    recursive: bool = False,
    dry_run: bool = False,
    on_progress: Tell = lambda _: None,
) -> BatchReport:
    """Upscale all pictures that ``inputs`` mean (as :func:`find_sources` takes them) as ``request`` says.

    What an earlier run made in the same way and is still whole is kept. A picture that fails is reported, not raised;
    what concerns the folder of the results ends the run, which the report's ``stopped`` says. With ``dry_run`` nothing
    is written: the pictures that would be made have the status ``left``, and why as the reason.

    Raises :class:`Stopped` at Ctrl-C, :class:`UsageError` and :class:`PictureError` where there is nothing to do it to,
    and :class:`MafdnError` when another run works in the same folder or the network cannot be opened.
    """
    began = time.perf_counter()
    folder = request.folder
    if folder is not None and (folder.suffix.lower() in SUFFIXES or folder.is_file()) and not folder.is_dir():
        raise UsageError(f"{shown(folder)} is named like a picture; give a folder for the results")
    found = find_sources(inputs, recursive=recursive, without=folder)
    homes = Homes(folder)

    def checking(name: str, done: int, total: int) -> None:
        on_progress(Standing(phase="checking", name=name, number=done + 1, count=total, done=done, total=total))

    plan = make_plan(found, request, networks, homes, on_check=checking)
    if not (plan.jobs or plan.settled):
        raise PictureError(_nothing(inputs, found, plan))
    manifests = {home: homes.manifest(home) for home in sorted({job.home for job in plan.jobs})}
    pipeline = Pipeline(plan.jobs, request, networks, manifests, on_progress=on_progress)

    def report(stopped: str | None = None) -> BatchReport:
        waiting = [job.item(status="left", reason=job.why) for job in plan.jobs] if dry_run else []
        return BatchReport(
            items=tuple(sorted([*plan.settled, *pipeline.items, *waiting], key=lambda item: str(item.source))),
            folder=folder,
            seconds=time.perf_counter() - began,
            network_seconds=pipeline.network_seconds,
            waited_seconds=pipeline.waited_seconds,
            stopped=stopped,
            not_pictures=plan.not_pictures,
            earlier_results=plan.earlier_results,
            links=found.links,
            folders=found.folders,
            settings=_settings(request, recursive=recursive),
            engines=tuple(networks.names()),
            machine=machine(),
        )

    if not dry_run:
        for home in sorted(homes.unfinished - manifests.keys()):
            with suppress(MafdnError), homes.manifest(home):  # which tidies up; another run may work there
                pass
    if not plan.jobs or dry_run:
        return report()
    try:
        with ExitStack() as stack:
            for manifest in manifests.values():
                stack.enter_context(manifest)
            pipeline.run()
    except KeyboardInterrupt:
        raise Stopped(report("stopped by hand")) from None
    return report(pipeline.stopped)


def _nothing(inputs: Sequence[Path | str], found: Found, plan: Plan) -> str:
    """Why there is nothing to do, in one line."""
    where = ", ".join(shown(given) for given in inputs[:3]) + (" and others" if len(inputs) > 3 else "")
    if plan.earlier_results:
        return f"{where}: all {plan.earlier_results} pictures are results of earlier runs; give another folder with -o"
    more = "; its folders were not entered, give --recursive" if found.folders else ""
    others = f" ({plan.not_pictures} files are none)" if plan.not_pictures else ""
    return f"no pictures in the folder {where}{others}{more}"


def _settings(request: Request, *, recursive: bool) -> dict[str, Any]:
    """What was asked for, as reports hold it."""
    return {
        **{name: value for name, value in asdict(request.size).items() if value is not None},
        "strength": request.strength,
        **asdict(request.output),
        "pattern": request.pattern.text,
        "recursive": recursive,
        "overwrite": request.overwrite,
        "redo": request.redo,
        "tile": request.tile,
        "exact": request.exact,
    }
