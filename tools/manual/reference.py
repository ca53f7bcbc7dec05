"""Pages of the manual that are made of definitions: the commands, and the Python interface."""

import mafdn
from mafdn.evaluation.tables import markdown_table
from tools.manual.commands import Command, all_commands

GROUPS = {
    "Upscaling": (
        "upscale",
        "upscale_file",
        "upscale_folder",
        "load",
        "Upscaler",
        "Size",
        "UpscaleOptions",
        "EngineOptions",
        "Output",
        "Limits",
        "verify",
    ),
    "Films": ("upscale_film", "film_frames", "FilmOptions"),
    "Research": ("load_network", "evaluate", "psnr", "ssim", "train", "plot_runs", "training_history"),
}
"""The functions and options in the order of the page; all other public names follow as results and errors."""


def commands_page() -> str:
    """Return the page of all commands, as Markdown."""
    parts = [
        "# Commands",
        "Made from the definitions of the commands; `mafdn COMMAND --help` shows the same. Exit codes: 0 success, 1 "
        "failure, 2 invalid usage, 130 stopped by Ctrl-C. Errors are one line on standard error.",
    ]
    return "\n\n".join([*parts, *(_command(command) for command in all_commands())]) + "\n"


def api_page() -> str:
    """Return the page of the Python interface, as Markdown with directives of mkdocstrings."""
    named = {name for names in GROUPS.values() for name in names}
    others = [name for name in mafdn.__all__ if name not in named and not name.startswith("_")]
    errors = [name for name in others if name.endswith("Error")]
    groups = GROUPS | {"Results": tuple(n for n in others if n not in errors), "Errors": tuple(errors)}
    parts = ["# Python interface", "Made from the docstrings; `help(mafdn)` shows the same."]
    for title, names in groups.items():
        parts += [f"## {title}", *(f"::: mafdn.{name}" for name in names)]
    return "\n\n".join(parts) + "\n"


def _command(command: Command) -> str:
    parts = [f"## {command.path}", f"```text\n{command.path} {command.usage}\n```"]
    parts += [_escaped(paragraph) for paragraph in command.paragraphs]
    if command.examples:
        width = max(len(line) for line, text in command.examples if text) if any(t for _, t in command.examples) else 0
        lines = [f"{line:<{width}}  # {text}" if text else line for line, text in command.examples]
        parts.append("```sh\n" + "\n".join(lines) + "\n```")
    for title, parameters in command.groups().items():
        rows: list[list[str]] = []
        for parameter in parameters:
            names = ", ".join(f"`{name}`" for name in parameter.names)
            value = f"`{parameter.value}`".replace("|", "\\|") if parameter.value else ""
            rows.append([f"{names} {value}".strip(), _escaped(parameter.help).replace("|", "\\|")])
        parts.append(markdown_table([title, ""], rows))
    return "\n\n".join(parts)


def _escaped(text: str) -> str:
    """Text in which Markdown and HTML see no markup."""
    for character in "\\*_<>[]":
        text = text.replace(character, f"\\{character}")
    return text
