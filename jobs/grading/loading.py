"""A model into memory to be read and asked, whatever its weights are kept as.

What transformers loads by itself is loaded so. compressed-tensors and what only a GPU's kernels read (AWQ) are taken back to plain numbers
first, inputs rounded where the files say so: the products are those that such a kernel computes, but for the order of sums, and on a CPU
they take a fraction of the time.
"""

from __future__ import annotations

from typing import Any

import torch

from backend.catalog import ModelCard
from backend.engines.transformers import LOADS_QUANTIZED
from backend.errors import ModelError, PanelError
from backend.i18n import N_
from jobs.finetuning import asking
from jobs.finetuning.devices import Place
from jobs.serving import adapting

UNPACKED = "compressed-tensors"
"""Of what transformers loads, this is unpacked anew for every pass."""


def place(device: str) -> Place:
    """Where the models of a report compute. device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        PanelError: ``report_no_gpu``: a GPU is asked for, and torch sees none.
    """
    kind = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    if kind == "cpu":
        return Place("cpu", "cpu", torch.float32, torch.float32, False)
    if not torch.cuda.is_available():
        raise PanelError(
            "report_no_gpu",
            N_("This report card is to compute on a GPU, and torch {version} sees none here."),
            N_("Choose the CPU, or see the doctor's page about drivers and the build of torch."),
            version=torch.__version__,
        )
    numbers = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return Place("cuda", torch.cuda.get_device_name(), numbers, numbers, False)


def load(card: ModelCard, where: Place) -> tuple[Any, str]:
    """(model, how): ``as_stored``, or ``as_floats`` where nothing in this environment serves it otherwise.

    Raises:
        PanelError: why it cannot be used.
    """
    if card.problem is not None:
        raise card.problem
    if card.adapter_of and (card.base is None or card.unfit is not None):
        raise card.unfit or ModelError(
            "report_no_base",
            N_("'{model}' is an adapter, and its base {base} is not on the list of models."),
            N_("Add the base on the Models page."),
            model=card.name,
            base=card.adapter_of,
        )
    holder = card.base or card
    method = holder.quantization_method
    if method and (method == UNPACKED or method not in LOADS_QUANTIZED):
        from jobs.quantizing import dequantize  # numbers behind bits: only these need it

        model = dequantize.load(holder.path, where.compute, where.kind)
    else:
        model = asking.load(str(holder.path), where)
    if card.base is not None:
        model = adapting.put_on(model, str(card.path))
    return model.eval(), "as_floats" if method and method not in LOADS_QUANTIZED else "as_stored"
