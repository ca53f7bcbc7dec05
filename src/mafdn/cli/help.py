"""Help pages with grouped options."""

from typing import Any

from typer.core import TyperCommand

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
