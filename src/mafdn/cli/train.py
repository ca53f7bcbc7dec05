"""`mafdn train`, `mafdn train fork` and `mafdn train plot`."""

import io
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from mafdn.cli.extras import needs_extra
from mafdn.cli.help import RunByDefault
from mafdn.cli.options.network import Overwrite
from mafdn.cli.output import keep_existing, output_file, progress, show_json, show_table
from mafdn.errors import UsageError

PLOT = Path("curves.png")
"""Default file of `mafdn train plot`."""


train_app = typer.Typer(
    cls=RunByDefault,
    help="""Train a network, fork a run, or plot the curves of runs.

    \b
    Examples:
      mafdn train configs/mafdn-x4.toml
      mafdn train fork runs/x4
      mafdn train plot runs/x4 runs/x2 -o curves.png
    """,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode=None,
)


@train_app.command("run")
def train_command(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="CONFIG", help="Configuration (a TOML file), or the folder of a run to resume."),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="TABLE.KEY=VALUE", help="Settings that replace those of CONFIG: run.batch=4"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="FOLDER", help="Train on the pictures in this folder, or on this bank."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="Device: auto, cpu, cuda or cuda:N (as run.device=...).")
    ] = None,
    print_config: Annotated[
        bool,
        typer.Option(
            "--print-config", help="Print the settings in effect as TOML; without CONFIG, a commented example."
        ),
    ] = False,
    init_body: Annotated[
        Path | None,
        typer.Option(
            "--init-body", metavar="WEIGHTS", help="Pretrained weights, of any scale, to start a new run from."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option("--for", metavar="TIME", help="Time budget, such as 9m or 2h30m, including the decay."),
    ] = None,
    profile: Annotated[
        bool, typer.Option("--profile", help="Measure the speed of the training loop and of a step, without training.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="With --profile: print JSON instead of text.")] = False,
) -> None:
    """Train a network, or resume an interrupted run (the default command).

    The bank of training pictures is built first if it does not exist. Ctrl-C finishes the step, saves a checkpoint and
    stops with exit code 130; the same command resumes. To use several cores or GPUs:
    torchrun --nproc-per-node 2 -m mafdn train CONFIG

    With --for, the number of steps is not fixed: the learning rate stays at its peak until the remaining time is needed
    for the decay. Then the run is saved, and the learning rate decays in a copy of it, RUN/fork-STEP. Another --for
    continues the saved run.

    Paths on the command line are relative to the current folder. A run that is resumed keeps the settings that define
    it: network, data, loss, optimizer (but for the learning rates), batch size, seed and averaging.

    \b
    Examples:
      mafdn train configs/mafdn-x4.toml
      mafdn train configs/mafdn-x4.toml --data photos run.folder=runs/mine run.batch=4 optimizer.lr=0.005
      mafdn train configs/mafdn-x4.toml run.batch=4 --print-config
      mafdn train configs/mafdn-x4.toml --for 150m
      mafdn train configs/mafdn-x2.toml --init-body weights/mafdn-x4.safetensors
    """
    from mafdn.cli.train_progress import leads, reporting

    with needs_extra("training", extra="train"):
        from mafdn.training.config import example_config
        from mafdn.training.fork import train_for
        from mafdn.training.loop import train
    options = {
        "--data": data,
        "--device": device,
        "--init-body": init_body,
        "--for": budget,
        "--profile": profile,
        "--json": as_json,
    }
    given = [name for name, value in options.items() if value not in (None, False)]
    if config is None and print_config:
        _refuse(given, "--print-config without CONFIG", options)
        _write_utf8()
        typer.echo(example_config(), nl=False)
        return
    if config is None:
        raise UsageError("choose a CONFIG, or print an example with 'mafdn train --print-config'")
    if "=" in str(config) and not config.exists():
        raise UsageError(f"choose a CONFIG before {config}")
    if print_config:
        _refuse(given, "--print-config", ("--for", "--profile", "--json"))
    elif profile:
        _refuse(given, "--profile", ("--init-body", "--for"))
    elif as_json:
        raise UsageError("--json needs --profile; the progress of a run is in its log.jsonl")
    overrides = _overrides(config, settings or [], data=data, device=device)
    if print_config:
        _print_config(config, overrides | ({} if init_body is None else {"run.init": str(init_body)}))
        return
    seconds = None if budget is None else parse_time(budget)
    if profile:
        _profile(config, overrides, as_json=as_json)
        return
    fork: Path | None = None
    with reporting() as (prepared, report, note):
        if seconds is None:
            folder = train(
                config, overrides=overrides, init=init_body, on_prepare=prepared, on_progress=report, on_note=note
            )
        else:
            folder, fork = train_for(
                config,
                seconds,
                overrides=overrides,
                init=init_body,
                on_prepare=prepared,
                on_progress=report,
                on_note=note,
            )
    if leads():
        typer.echo(f"{folder}: checkpoints, log.jsonl and TensorBoard files")
        if fork:
            typer.echo(f"{fork}: the fork after its decay, for 'mafdn release' or 'mafdn export'")


@train_app.command("fork")
def fork_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run in its stable phase.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="Folder of the fork (default: RUN/fork-STEP)."),
    ] = None,
    decay: Annotated[
        int | None,
        typer.Option("--decay", help="Length of the decay in steps (default: the run's schedule.decay).", min=1),
    ] = None,
) -> None:
    """Copy a run and decay the learning rate of the copy to zero.

    The copy starts from the newest checkpoint. The run itself does not change and can be continued. If the command is
    interrupted, run it again, or 'mafdn train FOLDER', to resume.

    \b
    Example:
      mafdn train fork runs/x4 --decay 2000
    """
    from mafdn.cli.train_progress import leads, reporting

    with needs_extra("training", extra="train"):
        from mafdn.training.fork import train_fork
    with reporting() as (_, report, note):
        folder = train_fork(run, output, decay=decay, on_progress=report, on_note=note)
    if leads():
        typer.echo(f"{folder}: checkpoints, log.jsonl and TensorBoard files")


@train_app.command("plot")
def plot_command(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="Folders of runs, or their log.jsonl files.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE_OR_FOLDER", help="PNG, PDF or SVG file to write.")
    ] = PLOT,
    overwrite: Overwrite = False,
) -> None:
    """Plot the loss and validation PSNR of runs over steps and time.

    \b
    Example:
      mafdn train plot runs/x4 runs/x2 -o curves.png
    """
    from mafdn._support.figures import check_figure_name

    output = output_file(output, PLOT)
    check_figure_name(output)
    keep_existing(output, overwrite=overwrite)
    with needs_extra("plotting", extra="train"):
        from mafdn.training.record.plot import plot_runs
    plot_runs(runs, output)
    typer.echo(str(output))


def parse_time(text: str) -> float:
    """Convert a time such as `2h30m`, `9m` or `90s` to seconds."""
    parts = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    seconds = (
        sum(float(part or 0) * unit for part, unit in zip(parts.groups(), (3600, 60, 1), strict=True)) if parts else 0
    )
    if seconds <= 0:
        raise UsageError(f"--for must be a time such as 90s, 9m or 2h30m, not {text!r}")
    return seconds


def _refuse(given: list[str], mode: str, others: Iterable[str]) -> None:
    """Raise `UsageError` if an option was given that has no effect in a mode of the command."""
    for name in others:
        if name in given:
            raise UsageError(f"{mode} takes no {name}")


def _overrides(config: Path, settings: list[str], *, data: Path | None, device: str | None) -> dict[str, Any]:
    """Collect the settings of the command line; those in `settings` have priority over `--data`."""
    from mafdn.training.config import parse_override
    from mafdn.training.record.run_folder import with_data

    overrides = dict(parse_override(text) for text in settings)
    if device is not None:
        overrides["run.device"] = device
    return overrides if data is None else with_data(config, overrides, data)


def _print_config(config: Path, overrides: dict[str, Any]) -> None:
    from mafdn.training.config import to_toml
    from mafdn.training.record.run_folder import load_config

    loaded = load_config(config, overrides)
    _write_utf8()
    typer.echo(f"# The settings of {config} in effect. Paths are relative to the folder of this file, which must be")
    typer.echo(f"# saved in {Path.cwd()}")
    typer.echo(to_toml(loaded.settings, base=loaded.base.resolve(), folder=Path.cwd()), nl=False)


def _write_utf8() -> None:
    """Write standard output in UTF-8, as TOML files are; Windows has another encoding for redirected output."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def _profile(config: Path, overrides: dict[str, Any], *, as_json: bool) -> None:
    from mafdn.networks import MAFDNSettings
    from mafdn.training.profile import profile_loop, profile_step
    from mafdn.training.record.run_folder import load_config

    settings = load_config(config, overrides).settings
    if not isinstance(settings.network, MAFDNSettings):
        raise UsageError(f"--profile is for MAFDN only; {config} trains another network")
    with progress("measuring", quiet=as_json) as tick:
        measured = profile_loop(config, overrides=overrides, on_progress=tick)
    if measured is None:  # the process of rank 0 reports
        return
    with progress("measuring", quiet=as_json) as tick:
        share = settings.run.batch // measured.processes
        steps = profile_step(settings.network, batch=share, patch=settings.data.patch, turns=31, on_progress=tick)
    if as_json:
        loop = asdict(measured) | {"share": measured.share}
        show_json({"loop": loop, "step": [asdict(step) for step in steps]})
        return
    title = f"{measured.processes} process(es), batch {measured.batch} of {measured.patch}x{measured.patch}"
    how = f"{measured.precision}{', compiled' if measured.compiled else ''}"
    rows = [
        ["forward and backward only", f"{measured.bare:.2f}", "100 %"],
        ["whole loop", f"{measured.loop:.2f}", f"{100 * measured.share:.1f} %"],
    ]
    show_table(f"{title}, {how}", ["", "patches/s", "share"], rows)
    rows = [[step.precision, f"{step.plain:.1f}", f"{step.ours:.1f}", f"{100 * step.ratio:.0f} %"] for step in steps]
    columns = ["forward and backward, one thread", "plain, us per LR pixel", "ours", "ratio"]
    show_table(f"{title}, batch {share} per process", columns, rows)
    for step in steps:
        rows = [[o.name, str(o.calls), f"{o.milliseconds:.1f}", f"{100 * o.share:.1f} %"] for o in step.operators]
        show_table(f"operators, {step.precision}", ["", "calls", "self ms", "share"], rows)
