"""What a run writes: its folder, checkpoints, log, curves and averaged weights."""
