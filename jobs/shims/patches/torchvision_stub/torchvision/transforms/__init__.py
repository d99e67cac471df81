"""See the package's docstring: nothing here transforms anything."""

from torchvision.transforms import functional

__all__ = ["functional"]
