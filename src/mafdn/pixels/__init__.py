"""Pictures as arrays: resizing, luma, orientation, quality metrics, perceptual hashes. NumPy only."""

from mafdn.pixels.color import luma
from mafdn.pixels.metrics import psnr, psnr_rgb, psnr_y, ssim, ssim_rgb, ssim_y
from mafdn.pixels.orientation import ORIENTATIONS, orient, orient_back
from mafdn.pixels.phash import SAME, nearest, perceptual_hashes
from mafdn.pixels.resize import imresize, modulo_crop

__all__ = [
    "ORIENTATIONS",
    "SAME",
    "imresize",
    "luma",
    "modulo_crop",
    "nearest",
    "orient",
    "orient_back",
    "perceptual_hashes",
    "psnr",
    "psnr_rgb",
    "psnr_y",
    "ssim",
    "ssim_rgb",
    "ssim_y",
]
