"""Pictures as plain arrays: resizing, color and quality measures by the field's definitions. NumPy only."""

from mafdn.pixels.color import luma
from mafdn.pixels.metrics import psnr, psnr_y, ssim, ssim_y
from mafdn.pixels.resize import imresize, modulo_crop

__all__ = ["imresize", "luma", "modulo_crop", "psnr", "psnr_y", "ssim", "ssim_y"]
