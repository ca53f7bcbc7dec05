"""Help pages with grouped options."""

from typing import Any

from typer.core import TyperCommand, TyperGroup

HELP_GROUP = "rich_help_panel"
"""The attribute of an option that names its group; typer itself only uses it in its rich help pages."""


class GroupedCommand(TyperCommand):
    """A command whose plain help page has a section for every group of options, in the order of the options."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the groups of options, then the options without a group."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        ungrouped: list[tuple[str, str]] = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            group = getattr(parameter, HELP_GROUP, None)
            if parameter.param_type_name == "argument":
                groups["Arguments"].append(record)
            elif group:
                groups.setdefault(f"{group} options", []).append(record)
            else:
                ungrouped.append(record)
        groups["Options" if len(groups) == 1 else "Other options"] = ungrouped
        for title, records in groups.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


class RunByDefault(TyperGroup):
    """A group in which `mafdn train CONFIG` is short for `mafdn train run CONFIG`, in its help too."""

    def format_usage(self, ctx: Any, formatter: Any) -> None:
        formatter.write_usage(ctx.command_path, " ".join(self._default.collect_usage_pieces(ctx)))
        formatter.write_usage(ctx.command_path, "COMMAND [ARGS]...", prefix="   or: ")

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        self._default.format_help_text(ctx, formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and options of the default command, then the other commands."""
        self._default.format_options(ctx, formatter)
        self.format_commands(ctx, formatter)

    @property
    def _default(self) -> Any:
        return self.commands["run"]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or args[0] not in (*self.commands, "-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)
