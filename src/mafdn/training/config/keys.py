"""Messages about unknown settings, which know the names that other training programs use."""

import difflib
from collections.abc import Sequence
from dataclasses import fields
from typing import get_type_hints

from mafdn.training.config.settings import TrainSettings

NEAR = 0.7
"""Smallest similarity (`difflib`) of a suggested key."""

KEYS = {
    table: tuple(entry.name for entry in fields(kind))
    for table, kind in get_type_hints(TrainSettings).items()
    if table != "network"
}
"""The keys of every table but `network`, whose keys depend on the architecture."""

SYNONYMS = {
    setting: names.split()
    for setting, names in {
        "data": "dataset datasets train_data",
        "data.folders": "folder_data dataroot dataroot_gt data_dir train_dir hr_dir image_dir images pictures",
        "data.bank": "cache cache_dir lmdb",
        "data.held_out": "validation val valid val_files validation_files",
        "data.patch": "patch_size patchsize gt_size lq_size lr_size crop_size crop input_size",
        "data.exclude": "exclude_dirs benchmarks test_sets",
        "data.candidates": "hard_patches",
        "network": "model net network_g generator arch_opt",
        "network.architecture": "arch model_name net_type network_type backbone",
        "network.scale": "upscale upscale_factor upscaling_factor scale_factor sf factor",
        "network.width": "num_feat num_feats n_feats n_feat nf ngf feats features channels num_channels dim embed_dim",
        "network.blocks": "num_block num_blocks n_blocks n_resblocks num_modules nb n_block depth num_layers",
        "loss.name": "loss loss_type criterion pixel_opt pixel_loss",
        "loss.fourier": "fft fft_loss frequency freq_loss",
        "loss.teacher": "distillation kd kd_weight",
        "loss.epsilon": "eps",
        "optimizer": "optim optim_g optimiser",
        "optimizer.name": "optimizer_type optim_type optimizer_name",
        "optimizer.lr": "learning_rate learningrate initial_lr base_lr lr0 rate max_lr lr_g",
        "optimizer.momentum": "beta1",
        "optimizer.weight_decay": "wd decay_weight l2",
        "optimizer.clip": "grad_clip gradient_clip clip_grad clip_grad_norm max_grad_norm gclip",
        "schedule": "scheduler lr_scheduler",
        "schedule.kind": "scheduler_type lr_policy lr_schedule policy",
        "schedule.steps": "iterations iters iter n_iters niter total_iter total_iters total_steps max_iter max_iters "
        "max_steps num_steps train_steps epoch epochs num_epochs n_epochs max_epochs",
        "schedule.warmup": "warmup_iter warmup_iters warmup_steps warm_up",
        "schedule.decay": "decay_steps cooldown lr_decay",
        "run": "train training trainer path logger",
        "run.folder": "output out out_dir output_dir save_dir save_path experiment exp_name log_dir run_dir",
        "run.init": "pretrain pretrained pretrained_path pre_train pretrain_network_g weights checkpoint init_body",
        "run.device": "gpu gpus gpu_id gpu_ids num_gpu cuda accelerator",
        "run.seed": "manual_seed random_seed",
        "run.batch": "batch_size batchsize bs batch_size_per_gpu minibatch mini_batch",
        "run.ema": "ema_decay ema_rate",
        "run.precision": "amp use_amp fp16 bf16 half mixed_precision dtype",
        "run.compile": "torch_compile",
        "run.log_every": "print_freq print_every log_freq log_interval",
        "run.save_every": "save_freq save_interval save_checkpoint_freq checkpoint_every checkpoint_freq",
        "run.validate_every": "val_freq val_interval test_every eval_every eval_freq validation_freq",
    }.items()
}
"""Names in other programs of a table or setting."""

REMARKS = {
    "gt_size": "the side of an LR patch: gt_size / network.scale",
    "crop_size": "the side of an LR patch: that of an HR patch / network.scale",
    **dict.fromkeys(("epoch", "epochs", "num_epochs", "n_epochs", "max_epochs"), "counted in steps"),
    **dict.fromkeys(("gpus", "num_gpu"), "torchrun --nproc-per-node sets their number"),
    "batch_size_per_gpu": "the total over all processes",
    **dict.fromkeys(("amp", "use_amp", "half", "mixed_precision"), 'such as "bf16"'),
}
"""How a setting differs from a synonym."""


def unknown_key(key: str, *, table: str, valid: Sequence[str]) -> str:
    """Describe an unknown key: a suggestion, if there is one, and the valid keys.

    Args:
        key: The key.
        table: The table that it is in; empty at the top level.
        valid: The keys of that table.
    """
    suggestion = _suggestion(key, table, valid)
    meant = f"; did you mean {suggestion}?" if suggestion else ""
    where = f"keys of [{table}]" if table else "tables"
    return f"unknown key {_dotted(table, key)}{meant} (valid {where}: {', '.join(valid)})"


def _suggestion(key: str, table: str, valid: Sequence[str]) -> str:
    plain = key.lower().replace("-", "_")
    if plain in valid:
        return _dotted(table, plain)
    known = [setting for setting, names in SYNONYMS.items() if plain in names]
    known += [f"{other}.{plain}" for other, keys in KEYS.items() if plain in keys and other != table]
    known += [f"network.{plain}" for name in ("scale", "width", "blocks", "architecture") if plain == name]
    known.sort(key=lambda setting: setting.partition(".")[0] != table)  # a setting of the same table first
    if known:
        return known[0] + (f" ({REMARKS[plain]})" if plain in REMARKS else "")
    near = difflib.get_close_matches(plain, valid, n=1, cutoff=NEAR)
    return _dotted(table, near[0]) if near else ""


def _dotted(table: str, key: str) -> str:
    return f"{table}.{key}" if table else key
