"""What docs/fleet.md says of the measurements by `tools.fleet`."""

from typing import Any


def pair_text(stored: dict[str, Any]) -> str:
    """Throughput of `mafdn fleet` on one machine, relative to `mafdn upscale`."""
    about = stored["machine"]
    same = "all" if stored["equal"] == stored["pictures"] else f"{stored['equal']:,}"
    without = stored.get("throughput_without_start")
    steady = "" if without is None else f", {100 * without:.0f} % without that"
    return (
        f"{stored['pictures']:,} pictures of {stored['megapixels']:.3f} megapixels at x{stored['scale']:g}, on "
        f"{about['cores']} cores of {about['processor']}: {same} results are those of `mafdn upscale`, byte for byte. "
        f"The throughput was {100 * stored['throughput_of_fleet']:.0f} % of its own with the start of Ray and the "
        f"workers{steady}."
    )
