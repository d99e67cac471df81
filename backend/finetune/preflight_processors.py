"""Whether a training can run on this machine's processors as it is set: device, precision, GPUs, 4 bits, DeepSpeed."""

from __future__ import annotations

from backend.finetune.faults import Faults, Way
from backend.finetune.here import Here
from backend.said import Said, _
from backend.specs.finetune import FinetuneSpec


def settle_device(spec: FinetuneSpec, found: Here, faults: Faults) -> FinetuneSpec:
    """``spec`` with device and precision as they will be; what cannot be had is said."""
    device = found.device if spec.device == "auto" else spec.device
    if device == "cuda" and not found.gpus:
        faults.add(
            "finetune_no_gpu",
            "device",
            no_gpu(found),
            _("Compute on the CPU, or use a machine with a GPU."),
            ways=(Way(_("Compute on the CPU"), {"device": "auto", "dtype": "auto", "gpus": 1, "gpu_mib": 0}),),
        )
    elif found.torch_cpu and spec.device == "auto":
        message = _(
            "This machine has a GPU, but the torch that would train was built for the CPU; it trains on the CPU."
        )
        faults.add(
            "engine_torch_cpu",
            "device",
            message,
            _("docs/operations.md says how to install the other one."),
            fatal=False,
        )
    dtype = found.dtype(device, spec.dtype)
    on_cpu = device == "cpu"
    if on_cpu and dtype != "float32":
        faults.add(
            "finetune_dtype",
            "dtype",
            _("On the CPU it computes in float32, not in {dtype}.").format(dtype=dtype),
            _("Leave the precision to TuneDeck."),
            ways=(Way(_("Precision: auto"), {"dtype": "auto"}),),
        )
    elif dtype == "bfloat16" and not on_cpu and found.gpus and not found.bfloat16():
        faults.add(
            "finetune_dtype",
            "dtype",
            _("The GPU {name} cannot compute in bfloat16: that needs compute capability 8.0.").format(
                name=found.gpus[0].name
            ),
            _("Leave the precision to TuneDeck."),
            ways=(Way(_("Precision: auto"), {"dtype": "auto"}),),
        )
    settled = spec.model_copy(update={"device": device, "dtype": dtype})
    _check_gpus(settled, found, faults)
    _check_method(settled, found, faults)
    return settled


def _check_gpus(spec: FinetuneSpec, found: Here, faults: Faults) -> None:
    have = len(found.gpus)
    if spec.device == "cpu":
        if spec.gpus > 1:
            message = _("On the CPU it trains in one process; {gpus} GPUs were asked for.").format(gpus=spec.gpus)
            faults.add("finetune_gpus", "gpus", message, _("Ask for one."), ways=(Way(_("One process"), {"gpus": 1}),))
    elif spec.gpus > max(1, have):
        message = _("{gpus} GPUs were asked for, and this machine has {have} that can be used.").format(
            gpus=spec.gpus, have=have
        )
        fewer = (Way(_("GPUs: {have}").format(have=have), {"gpus": have}),) if have else ()
        faults.add("finetune_gpus", "gpus", message, _("Take fewer."), ways=fewer)
    total = max((gpu.total or 0 for gpu in found.gpus), default=0)
    if spec.gpu_mib and total and spec.gpu_mib << 20 > total:
        message = _("{mib} MiB of one GPU were asked for, and the largest has {total}.").format(
            mib=f"{spec.gpu_mib:,}", total=f"{total >> 20:,}"
        )
        faults.add(
            "finetune_gpu_share",
            "gpu_mib",
            message,
            _("Take the whole GPU."),
            ways=(Way(_("The whole GPU"), {"gpu_mib": 0}),),
        )
    if spec.deepspeed and not found.deepspeed:
        on_gpu = spec.device == "cuda" and found.gpus
        message = (
            no_deepspeed() if on_gpu else _("DeepSpeed spreads a training over GPUs, and this one runs on the CPU.")
        )
        ways: tuple[Way, ...] = (Way(_("Without DeepSpeed"), {"deepspeed": ""}),)
        if on_gpu and spec.engine == "peft":
            ways += (Way(_("Train with XTuner"), {"engine": "xtuner"}),)
        faults.add("finetune_no_deepspeed", "deepspeed", message, _("Train without it."), ways=ways)


def _check_method(spec: FinetuneSpec, found: Here, faults: Faults) -> None:
    if spec.method != "qlora" or (spec.device == "cuda" and found.bitsandbytes):
        return
    message = (
        no_bitsandbytes()
        if spec.device == "cuda" and found.gpus
        else _("QLoRA needs an NVIDIA GPU, and this training runs on the CPU.")
    )
    faults.add(
        "finetune_no_qlora",
        "method",
        message,
        _("A LoRA learns as well; the base takes more memory."),
        ways=(Way(_("Train a LoRA"), {"method": "lora"}),),
    )


def no_gpu(found: Here) -> Said:
    if found.torch_cpu:
        return _("The torch that would train was built for the CPU, so the GPU of this machine cannot be used.")
    if found.machine.gpu_problem:
        return _("The GPU's driver cannot be asked: {problem}.").format(problem=found.machine.gpu_problem)
    return _("This machine shows no NVIDIA GPU.")


def no_bitsandbytes() -> Said:
    return _("QLoRA needs the package bitsandbytes, which is not installed here.")


def no_deepspeed() -> Said:
    return _("DeepSpeed is not installed where this engine runs.")
