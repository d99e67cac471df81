"""``torch.cpu.is_bf16_supported()``, which torch has for CUDA and others, and not for the CPU.

Why: XTuner asks the device that it found, whichever that is, before it loads a model (xtuner/model/sft.py,
``_prepare_for_flash_attn``), and without a GPU that is an AttributeError. The answer is False: on the CPU we compute in
float32, and only flash attention and DeepSpeed, which are not for the CPU, would use it.

Until: torch.cpu has the function, or xtuner asks only where a GPU is.

Python runs a module of this name at its start, the first on the path only. So nothing heavy is loaded here (the function is
added when somebody loads torch), and the next ``sitecustomize`` on the path is run as if this one were not there.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from pathlib import Path

MODULE = "torch.cpu"


def _is_bf16_supported() -> bool:
    return False


class _Loader(importlib.abc.Loader):
    """The module's own loader, and then the function where it is missing."""

    def __init__(self, theirs):
        self.theirs = theirs

    def create_module(self, spec):
        return self.theirs.create_module(spec)

    def exec_module(self, module):
        self.theirs.exec_module(module)
        if not hasattr(module, "is_bf16_supported"):
            module.is_bf16_supported = _is_bf16_supported


class _Finder(importlib.abc.MetaPathFinder):
    """Finds one module, once."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != MODULE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


def _run_next() -> None:
    """The ``sitecustomize`` that Python would have found without ours."""
    here = Path(__file__).resolve().parent
    others = [entry for entry in sys.path if Path(entry).resolve() != here]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    ours = sys.modules[__name__]
    module = importlib.util.module_from_spec(spec)
    sys.modules[__name__] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules[__name__] = ours
        raise


sys.meta_path.insert(0, _Finder())
_run_next()
