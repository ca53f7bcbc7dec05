"""What several test modules use."""

import os
import subprocess
import sys
from pathlib import Path

WATCHED = """
import sys
ALLOWED = {"socket.gethostname"}
def watch(event, arguments):
    if event.startswith("socket.") and event not in ALLOWED:
        print(f"{event} {arguments}", file=sys.stderr, flush=True)
        raise OSError("no network in this test")
sys.addaudithook(watch)
from mafdn.cli import run
code = run(sys.argv[1:])
print(*sorted(sys.modules), sep="\\n")
sys.exit(code)
"""
UNSET = {"CI", "PYTEST_CURRENT_TEST", "ORT_DISABLE_TELEMETRY"}
"""Variables that switch telemetry off: one is set in this process by ``import mafdn``."""


def watched(*arguments: object, program: str = WATCHED, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command line in a process that may not use sockets; its last lines are the modules it imported.

    With ``home``, that is the user's home folder, and what is kept is kept there, too.
    """
    environment = {key: value for key, value in os.environ.items() if key not in UNSET}
    if home:
        folders = {key for key in environment if key.startswith("XDG_")} | {"MAFDN_CACHE"}
        environment = {key: value for key, value in environment.items() if key not in folders}
        environment |= {"HOME": str(home), "USERPROFILE": str(home), "LOCALAPPDATA": str(home)}
    line = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=100, check=False, env=environment)
