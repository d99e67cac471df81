"""The one name that is looked up at load; values as in torchvision."""

from enum import Enum


class InterpolationMode(Enum):
    """How pictures are resized."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"
