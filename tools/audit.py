"""Compare the versions in constraints.txt with the database of known vulnerabilities, by pip-audit.

    python -m tools.audit

The exit code is 1 if there are any. If the database has no answer for any package, because it cannot be reached or the
registry is a mirror without it, a line says so and the exit code is 0: that is not a fault of this project.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parents[1]


def main() -> int:
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    command += ["--timeout", "10", "--format", "json", "--requirement", str(PROJECT / "constraints.txt")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"] if done.stdout.strip() else []
    text, code = judge(found, done.stderr)
    print(text, file=sys.stderr if code else sys.stdout)
    return code


def judge(dependencies: list[dict[str, Any]], complaint: str) -> tuple[str, int]:
    """What to say of the packages in a report of pip-audit, and the exit code; `complaint` is its standard error."""
    audited = [package for package in dependencies if "skip_reason" not in package]
    if not audited:
        unreachable = dependencies or "Connection" in complaint or "timed out" in complaint
        reason = "the database of vulnerabilities cannot be reached" if unreachable else complaint.strip()
        return f"nothing was audited: {reason}", 0 if unreachable else 1
    lines = [
        f"{package['name']} {package['version']}: {fault['id']}, fixed in {', '.join(fault['fix_versions']) or 'none'}"
        for package in audited
        for fault in package["vulns"]
    ]
    return "\n".join([*lines, f"{len(audited)} packages were audited, {len(lines)} faults found"]), int(bool(lines))


if __name__ == "__main__":
    sys.exit(main())
