"""Checkpoints as others write them: read safely, unwrapped, and recognized by their tensors."""

from mafdn.networks.checkpoints.convert import checkpoint_note, convert, has_header, load_pth, open_network

__all__ = ["checkpoint_note", "convert", "has_header", "load_pth", "open_network"]
