"""As much of torchvision as loading XTuner takes, where torchvision cannot be had.

Why: there is no build of torchvision for the CPU build of torch that the CPU environment has, and the one from the index
is compiled against a CUDA build: it does not load. XTuner's datasets import it at load, for pictures only
(xtuner/dataset/internvl_dataset.py). What this has no name for raises AttributeError, and there is no dist-info beside it,
so that transformers goes on saying that torchvision is not installed.

Until: xtuner imports it only where pictures are trained on, or a torchvision for this torch is in the lock.
"""

from torchvision import transforms

__all__ = ["transforms"]
__version__ = "0.0.0+stub"  # mmengine writes it into its log
