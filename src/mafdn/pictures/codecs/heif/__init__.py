"""HEIF, the container of AVIF and HEIC: the file, its boxes, and the AV1 stream inside."""
