"""Figures for Prometheus: requests, pictures, the queue, and what it uses."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800)
"""Upper ends of the ranges in which times are counted."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Methods that are counted by name."""
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The figures of one server, in a registry of their own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "mafdn_requests", "Answered requests.", ("method", "route", "status"), registry=self._registry
        )
        self._request_seconds = Histogram(
            "mafdn_request_seconds", "Time of requests.", ("route",), buckets=SECONDS, registry=self._registry
        )
        self._jobs = Counter("mafdn_jobs", "Finished pictures.", ("state",), registry=self._registry)
        for state in ("done", "failed", "canceled"):
            self._jobs.labels(state)
        self._pixels = Counter("mafdn_result_pixels", "Pixels of all results.", registry=self._registry)
        self._picture_seconds = Histogram(
            "mafdn_picture_seconds", "Time of pictures.", buckets=SECONDS, registry=self._registry
        )
        self._engines_lost = Counter("mafdn_engine_restarts", "Engine processes that ended.", registry=self._registry)
        self._uploaded = Counter("mafdn_uploaded_bytes", "Bytes of uploads.", registry=self._registry)

    def watch(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Add a figure that is read when it is asked for."""
        Gauge(f"mafdn_{name}", text, registry=self._registry).set_function(value)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request by the pattern of its route."""
        self._requests.labels(method if method in METHODS else "other", route, str(status)).inc()
        self._request_seconds.labels(route).observe(seconds)

    def job_finished(self, state: str) -> None:
        """Count a picture by what became of it."""
        self._jobs.labels(state).inc()

    def picture_done(self, *, pixels: int, seconds: float) -> None:
        """Count a result."""
        self._pixels.inc(pixels)
        self._picture_seconds.observe(seconds)

    def engine_lost(self) -> None:
        """Count an engine process that ended by itself."""
        self._engines_lost.inc()

    def uploaded(self, count: int) -> None:
        """Count the bytes of an upload."""
        self._uploaded.inc(count)

    def text(self) -> bytes:
        """Return all figures in the format of Prometheus."""
        return generate_latest(self._registry)
