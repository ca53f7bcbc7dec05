"""Requests that schemathesis makes of the OpenAPI file: no internal error, and no answer that is not documented."""

import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.web.pictures import write_picture
from tests.web.servers import Running, running

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FEW = 3
"""Most examples of each operation in the default suite."""
LEAST = 20
"""Operations that there are at least."""
MANY = 40
"""Most examples of each operation in a round of the long run."""
SECONDS = float(os.environ.get("MAFDN_FUZZ_SECONDS", "60"))
"""Least time of the long run."""
HEALTH = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
ENDLESS = "/api/v1/events"
"""An answer without end, which has tests of its own."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, exported: Path) -> Generator[Running]:
    folder = tmp_path_factory.mktemp("fuzz")
    with running(folder, exported, "--queue", "20", "--max-pixels", "1000000", "--max-seconds", "20") as server:
        yield server
        server.check_log()


def fuzz(server: Running, folder: Path, *, examples: int, number: int) -> int:
    """Call every operation with examples, half of them with an existing job; returns the number of operations."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    picture, calls, operations = write_picture(folder / "a.png", 12, 10), 0, 0

    def job() -> str:
        found = server.jobs()
        if found:
            return found[-1]["id"]
        return server.request("POST", "/api/v1/jobs?scale=2", picture).json["id"]

    for result in schema.exclude(path=ENDLESS).get_all_operations():
        assert isinstance(result, Ok)
        operation: Any = result.ok()
        operations += 1

        @seed(number)
        @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=HEALTH)
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            nonlocal calls
            calls += 1
            if calls % 2 and "job_id" in (case.path_parameters or {}):
                case.path_parameters["job_id"] = job()
            answer = case.call(timeout=60)
            case.validate_response(answer, checks=CHECKS)
            assert b"Traceback" not in answer.content
            if answer.status_code >= 400:
                assert "\n" not in answer.json()["error"]

        check()
    assert calls >= operations
    return operations


def test_every_answer_is_documented_and_none_is_an_internal_error(server: Running, tmp_path: Path) -> None:
    assert fuzz(server, tmp_path, examples=FEW, number=1) >= LEAST


@pytest.mark.slow
@pytest.mark.timeout(SECONDS * 3 + 300)
def test_many_examples(server: Running, tmp_path: Path) -> None:
    until, number = time.monotonic() + SECONDS, 2
    while number == 2 or time.monotonic() < until:
        assert fuzz(server, tmp_path, examples=MANY, number=number) >= LEAST
        number += 1
