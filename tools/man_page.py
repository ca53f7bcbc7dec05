"""Write the man page and the completions of shells from the definitions of the commands.

    python -m tools.man_page

They are in `shared-data`, which the wheel installs into `share` of an environment; a test compares them with the
definitions.
"""

from pathlib import Path

from mafdn._support.atomic import replacing
from tools.manual.commands import Command, Parameter, all_commands

PROJECT = Path(__file__).parents[1]
FOLDER = PROJECT / "shared-data"
EXIT_CODES = {
    "0": "Success.",
    "1": "A failure: a file cannot be read or written, or one of many pictures failed.",
    "2": "Invalid usage.",
    "130": "Stopped by Ctrl-C.",
}
VARIABLES = {
    "MAFDN_ARCHITECTURES": "Networks of other modules that weights files may name, as module:Class, separated by "
    "commas. The modules are imported: name only those that you trust.",
    "MAFDN_CACHE": "Folder of compiled graphs, timings of engines and scores, instead of that in the user's cache "
    "folder.",
    "MAFDN_DEBUG": "If set, internal errors show a traceback.",
    "MAFDN_TOKEN": "Token that clients of mafdn serve must present, unless an option gives it.",
}
SHORT = 60
"""Most characters of an option's description in completions."""


def main() -> None:
    for name, text in made().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            temporary.write_text(text, "utf-8")


def made() -> dict[str, str]:
    """The text of every file, by its path in `FOLDER`."""
    commands = all_commands()
    return {
        "man/man1/mafdn.1": man_page(commands),
        "bash-completion/completions/mafdn": bash(commands),
        "zsh/site-functions/_mafdn": zsh(commands),
        "fish/vendor_completions.d/mafdn.fish": fish(commands),
    }


def man_page(commands: tuple[Command, ...]) -> str:
    """The page in the mdoc language."""
    lines = [
        '.\\" Made by tools/man_page.py from the definitions of the commands.',
        ".Dd $Mdocdate$",
        ".Dt MAFDN 1",
        ".Os",
        ".Sh NAME",
        ".Nm mafdn",
        ".Nd upscale pictures and films with a small neural network",
        ".Sh SYNOPSIS",
        ".Nm mafdn",
        ".Ar command",
        ".Op Ar argument ...",
        ".Nm mafdn",
        ".Ar command",
        ".Fl \\-help",
        ".Sh DESCRIPTION",
        "Upscales pictures and films on an ordinary CPU, with MAFDN, a lightweight super-resolution network that was",
        "reconstructed from the abstract of its paper.",
        "No command opens a network connection unless it is given the address of another machine or a bucket.",
        ".Sh COMMANDS",
    ]
    for command in commands:
        lines += _man_command(command)
    lines += [".Sh ENVIRONMENT", *_tagged(VARIABLES, ".It Ev"), ".Sh EXIT STATUS", *_tagged(EXIT_CODES, ".It")]
    lines += [".Sh SEE ALSO", "The manual of the project, and", ".Ic mafdn Ar command Fl \\-help ."]
    return "\n".join(lines) + "\n"


def bash(commands: tuple[Command, ...]) -> str:
    """Completion of bash: commands, their options, and else files."""
    cases = [f'    "{_words(c)}") options="{" ".join(c.options)}" ;;' for c in commands]
    groups = _groups(commands)
    cases += [f'    "{name}") words="{" ".join(names)}" ;;' for name, names in groups.items()]
    top = " ".join(dict.fromkeys(_words(c).split()[0] for c in commands))
    return "\n".join(
        [
            "# Made by tools/man_page.py from the definitions of the commands.",
            "_mafdn() {",
            '  local current="${COMP_WORDS[COMP_CWORD]}" command="${COMP_WORDS[1]}" options="" words=""',
            '  if [ "$COMP_CWORD" -eq 1 ]; then',
            f'    COMPREPLY=($(compgen -W "{top} --help --version" -- "$current"))',
            "    return",
            "  fi",
            '  case "$command" in',
            f"    {'|'.join(groups)})",
            '      if [ "$COMP_CWORD" -gt 2 ]; then command="$command ${COMP_WORDS[2]}"; fi ;;',
            "  esac",
            '  case "$command" in',
            *cases,
            "  esac",
            '  if [[ "$current" == -* ]]; then',
            '    COMPREPLY=($(compgen -W "$options" -- "$current"))',
            '  elif [ -n "$words" ]; then',
            '    COMPREPLY=($(compgen -W "$words" -- "$current") $(compgen -f -- "$current"))',
            "  fi",
            "}",
            "complete -o default -o bashdefault -F _mafdn mafdn",
            "",
        ]
    )


def zsh(commands: tuple[Command, ...]) -> str:
    """Completion of zsh: that of bash."""
    return "#compdef mafdn\nautoload -Uz bashcompinit && bashcompinit\n" + bash(commands)


def fish(commands: tuple[Command, ...]) -> str:
    """Completion of fish: commands and options with their descriptions."""
    lines = ["# Made by tools/man_page.py from the definitions of the commands."]
    for command in commands:
        first, *second = _words(command).split()
        if not second:
            lines.append(f"complete -c mafdn -n __fish_use_subcommand -a {first} -d {_quoted(command.summary)}")
        seen = f"__fish_seen_subcommand_from {first}"
        if second:
            lines.append(f"complete -c mafdn -n __fish_use_subcommand -a {first}")
            lines.append(f"complete -c mafdn -n '{seen}' -a {second[0]} -d {_quoted(command.summary)}")
            seen += f"; and __fish_seen_subcommand_from {second[0]}"
        lines += [_fish_option(seen, parameter) for parameter in command.parameters if parameter.names]
    return "\n".join(dict.fromkeys(lines)) + "\n"


def _man_command(command: Command) -> list[str]:
    lines = [f".Ss {_roff(command.path)}", f".Ic {_roff(command.path)}", f".Ar {_roff(command.usage)}"]
    for paragraph in command.paragraphs:
        lines += [".Pp", *_sentences(paragraph)]
    for title, parameters in command.groups().items():
        lines += [".Pp", f"{_roff(title)}:", ".Bl -tag -width Ds"]
        for parameter in parameters:
            lines += [_item(parameter), *_sentences(parameter.help)]
        lines.append(".El")
    if command.examples:
        lines += [".Pp", "Examples:", ".Bd -literal"]
        lines += [_roff(f"{line}  # {text}" if text else line) for line, text in command.examples]
        lines.append(".Ed")
    return lines


def _item(parameter: Parameter) -> str:
    names = " , ".join(f"Fl {_roff(name.removeprefix('-'))}" for name in parameter.names)
    value = f"Ar {_roff(parameter.value)}" if parameter.value else ""
    return f".It {names} {value}".rstrip() if names else f".It {value}"


def _tagged(entries: dict[str, str], item: str) -> list[str]:
    parts = [line for name, text in entries.items() for line in (f"{item} {name}", *_sentences(text))]
    return [".Bl -tag -width Ds", *parts, ".El"]


def _sentences(text: str) -> list[str]:
    """A line for each sentence, as the language asks for."""
    return [_roff(line) for line in text.replace(". ", ".\n").splitlines()]


def _roff(text: str) -> str:
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def _words(command: Command) -> str:
    return command.path.removeprefix("mafdn ")


def _groups(commands: tuple[Command, ...]) -> dict[str, list[str]]:
    """The commands of each group, such as those of `bank`."""
    found: dict[str, list[str]] = {}
    for command in commands:
        first, *second = _words(command).split()
        if second:
            found.setdefault(first, []).append(second[0])
    return found


def _fish_option(seen: str, parameter: Parameter) -> str:
    names = [f"-l {n[2:]}" if n.startswith("--") else f"-s {n[1:]}" for n in parameter.names]
    needs = " -r" if parameter.value else ""
    return f"complete -c mafdn -n '{seen}' {' '.join(names)}{needs} -d {_quoted(parameter.help)}"


def _quoted(text: str) -> str:
    short = text if len(text) <= SHORT else f"{text[:SHORT].rsplit(' ', 1)[0]}..."
    return "'" + short.replace("\\", "\\\\").replace("'", "\\'") + "'"


if __name__ == "__main__":
    main()
