"""Encode results and store them: `plan_film`, `SegmentEncoder` for the video, `join` for everything together."""
