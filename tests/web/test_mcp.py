"""The tool for agents, called by the client of the official SDK over standard input and output."""

import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.types import CallToolResult, TextContent

from mafdn._version import __version__
from mafdn.cli import run
from mafdn.errors import UsageError
from mafdn.web.mcp import ToolSettings
from tests.web.pictures import write_picture

Script = Callable[[ClientSession], Awaitable[Any]]


@pytest.fixture
def agent(exported: Path) -> Callable[..., Any]:
    """Run a script of an agent against `mafdn mcp` with these arguments."""

    def start(script: Script, *arguments: str) -> Any:
        async def session() -> Any:
            command = ["-m", "mafdn", "mcp", "--network", str(exported), *arguments]
            parameters = StdioServerParameters(command=sys.executable, args=command, env=dict(os.environ))
            async with stdio_client(parameters) as (read, write), ClientSession(read, write) as client:
                found = await client.initialize()
                assert (found.server_info.name, found.server_info.version) == ("mafdn", __version__)
                return await script(client)

        return anyio.run(session)

    return start


def error_of(result: Any) -> str:
    assert isinstance(result, CallToolResult)
    assert result.is_error
    [content] = result.content
    assert isinstance(content, TextContent)
    assert "\n" not in content.text
    return content.text


def test_an_agent_upscales_a_picture_and_sees_what_was_done(
    tmp_path: Path, exported: Path, agent: Callable[..., Any]
) -> None:
    source, target, expected = tmp_path / "a.png", tmp_path / "large.png", tmp_path / "expected.png"
    write_picture(source, 40, 30)
    seen: list[float] = []

    async def watch(progress: float, total: float | None, message: str | None) -> None:
        del message
        assert total
        seen.append(progress / total)

    async def script(client: ClientSession) -> Any:
        [tool] = (await client.list_tools()).tools
        assert tool.name == "upscale_image"
        assert tool.input_schema["required"] == ["input_path", "output_path"]
        assert {"scale", "fit", "strength", "overwrite", "verify"} < set(tool.input_schema["properties"])
        arguments = {"input_path": str(source), "output_path": str(target), "verify": True}
        first = await client.call_tool("upscale_image", arguments, progress_callback=watch)
        again = await client.call_tool("upscale_image", arguments)
        replaced = await client.call_tool("upscale_image", {**arguments, "scale": 1.5, "overwrite": True})
        return first, again, replaced

    first, again, replaced = agent(script)
    report = first.structured_content
    assert not first.is_error
    assert (report["size"], report["new_size"], report["target"]) == ([40, 30], [80, 60], str(target))
    assert report["network"] == str(exported)
    assert report["verification"]
    assert seen[-1] == 1
    assert error_of(again) == f"{target} exists; give another name or overwrite it (option overwrite)"
    assert replaced.structured_content["new_size"] == [60, 45]
    command = ["upscale", str(source), str(expected), "--scale", "1.5", "--network", str(exported), "--quiet"]
    assert run(command) == 0
    assert target.read_bytes() == expected.read_bytes()


def test_every_mistake_of_an_agent_is_one_line(tmp_path: Path, agent: Callable[..., Any]) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
    source = inside / "a.png"
    write_picture(source, 8, 8)
    (inside / "link.png").symlink_to(outside / "b.png")
    (inside / "text.png").write_text("no picture")
    base = {"input_path": str(source), "output_path": str(inside / "b.png")}
    cases = [
        ({**base, "scale": -1}, "scale: Input should be greater than 0"),
        ({**base, "scale": 2, "width": 9}, "give exactly one size"),
        ({**base, "scala": 2}, "unknown argument scala; choose from input_path"),
        ({**base, "network": str(source)}, "the network must be a shipped one"),
        ({**base, "output_path": str(outside / "b.png")}, "is outside of"),
        ({**base, "output_path": str(inside / "link.png")}, "is outside of"),
        ({**base, "output_path": str(inside / ".." / "outside" / "b.png")}, "is outside of"),
        ({**base, "input_path": "/etc/hostname"}, "is outside of"),
        ({**base, "input_path": ""}, "input_path is an empty string"),
        ({**base, "input_path": "a\0b"}, "contains a NUL character"),
        ({**base, "input_path": "https://example.org/a.png"}, "URL"),
        ({**base, "input_path": str(inside / "text.png")}, "text.png"),
        ({**base, "input_path": str(inside / "missing.png")}, "missing.png"),
        ({**base, "output_path": str(inside)}, "inside"),
        ({"input_path": str(source)}, "output_path: Field required"),
    ]

    async def script(client: ClientSession) -> Any:
        return [await client.call_tool("upscale_image", arguments) for arguments, _ in cases]

    for (arguments, expected), result in zip(cases, agent(script, "--folder", str(inside)), strict=True):
        assert expected in error_of(result), arguments
    assert sorted(path.name for path in inside.iterdir()) == ["a.png", "link.png", "text.png"]
    assert not any(outside.iterdir())


@pytest.mark.parametrize("end", ["close", "signal"])
def test_it_ends_with_its_client_and_prints_nothing_else(end: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "mafdn", "mcp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n')
        process.stdin.flush()
        assert b'"id":1' in process.stdout.readline()
        if end == "signal":
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(20) == (130 if end == "signal" else 0)
        assert process.stdout.read() == b""
        assert process.stderr
        assert process.stderr.read() == (b"mafdn: stopped\n" if end == "signal" else b"")


def test_a_missing_folder_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["mcp", "--folder", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == f"mafdn: {tmp_path / 'none'} is no folder\n"


def test_networks_other_than_shipped_ones_are_for_the_user_only(tmp_path: Path) -> None:
    settings = ToolSettings(network=str(tmp_path / "own.onnx"))
    assert settings.choose_network(None) == settings.choose_network(settings.network) == settings.network
    assert settings.choose_network("x2") == "x2"
    with pytest.raises(UsageError, match="must be a shipped one"):
        settings.choose_network(str(tmp_path / "other.onnx"))
