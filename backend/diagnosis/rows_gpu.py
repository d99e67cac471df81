"""Driver, CUDA and what a GPU can do; and several GPUs together."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import CAUSE, CONSEQUENCE, Row, command, spec, text
from backend.i18n import N_

ROWS = (
    Row(
        "driver_too_old",
        (
            "…NVIDIA driver on your system is too old (found version <version:cuda>)",
            "…NVIDIA driver on your system is too old",
            "…driver version is insufficient",
            "…not supported in the installed CUDA driver",
            "…not supported on the installed driver",
            "…forward compatibility was attempted",
            "…unsupported toolchain",
            "…libcuda.so<so:name>: version",
        ),
        N_("The NVIDIA driver of this machine is too old for the packages of this engine."),
        (F.ASK_ADMIN_DRIVER, F.REMAKE, F.NVIDIA_SMI),
        told=N_(
            "The NVIDIA driver of this machine is too old for the packages of this engine: it knows CUDA only up to {version}."
        ),
        level=CAUSE,
        weight=3,
        even=("quiet",),
        server="engine_driver_too_old",
    ),
    Row(
        "driver_mismatch",
        ("…Driver/library version mismatch", "…Failed to initialize NVML: "),
        N_("The NVIDIA driver was updated, and the machine not restarted since: its two halves do not fit each other."),
        (text(N_("Ask whoever looks after this machine to restart it.")), F.NVIDIA_SMI),
        level=CAUSE,
        weight=4,
        even=("quiet",),
        server="engine_no_cuda",
    ),
    Row(
        "gpu_hardware",
        (
            "…uncorrectable ECC error",
            "…GPU has fallen off the bus",
            "…CUDA error: unspecified launch failure",
            "…GPU is lost",
            "…CUDA_ERROR_ECC_UNCORRECTABLE",
        ),
        N_("The GPU itself reported a fault, or was lost to the system."),
        (
            command("nvidia-smi -q -d ECC,PAGE_RETIREMENT", N_("Shows the memory faults that the GPU has counted.")),
            text(N_("Ask whoever looks after this machine to restart it and to look at the GPU.")),
            F.RESUME,
        ),
        level=CAUSE,
        weight=2,
    ),
    Row(
        "gpu_unsupported",
        (
            "…no kernel image is available",
            "…no executable data type for this device",
            "…requires sm >=",
            "…CUDA capability sm_<sm:num> is not compatible",
            "…FlashAttention only supports Ampere GPUs or newer",
            "…is only supported on CUDA devices with compute capability >= ",
        ),
        N_(
            "The packages of this engine, or the kind of weights, do not run on this kind of GPU (its compute capability)."
        ),
        (
            F.WITH_TRANSFORMERS,
            spec("backend", N_("Choose the PyTorch core."), "pytorch"),
            command(
                "nvidia-smi --query-gpu=name,compute_cap --format=csv", N_("Shows the compute capability of the GPUs.")
            ),
            F.REMAKE,
        ),
        level=CAUSE,
        weight=1,
        even=("quiet",),
        server="engine_gpu_unsupported",
    ),
    Row(
        "torch_without_cuda",
        ("…Torch not compiled with CUDA", "…PyTorch is not linked with support for cuda devices"),
        N_("This environment was made for machines without a GPU: its torch has no CUDA."),
        (F.REMAKE_CUDA, F.WITH_TRANSFORMERS, F.ON_CPU),
        level=CAUSE,
        weight=1,
        server="engine_no_cuda",
    ),
    Row(
        "no_gpu",
        (
            "…Found no NVIDIA driver",
            "…No CUDA GPUs are available",
            "…no CUDA-capable device is detected",
            "…CUDA_ERROR_NO_DEVICE",
            "…torch.cuda.is_available() is False",
            "AssertionError: cuda is not available",
            "…couldn't communicate with the NVIDIA driver",
            "…libcuda.so<so:name>: cannot open shared object file",
            "RuntimeError: CUDA is not available",
        ),
        N_("The program needs a GPU and found none that it can use."),
        (F.WITH_TRANSFORMERS, F.ON_CPU, F.NVIDIA_SMI, F.DOCTOR),
        level=CAUSE,
        server="engine_no_cuda",
    ),
    Row(
        "cuda_library_missing",
        (
            "libcu<library:name>: cannot open shared object file",
            "libnccl<library:name>: cannot open shared object file",
            "libnv<library:name>: cannot open shared object file",
            "…Could not load library libcudnn",
            "…undefined symbol: __nvJitLink",
            "…undefined symbol: ncclCommRegister",
            "…Unable to load any of {libcudnn",
        ),
        N_("A library of CUDA is missing in the environment, or one of another version was found first."),
        (
            F.REMAKE_CUDA,
            command(
                "unset LD_LIBRARY_PATH", N_("Keeps libraries of other versions away; start the panel from that shell.")
            ),
        ),
        level=CAUSE,
        weight=-1,
        server="engine_no_cuda",
    ),
    Row(
        "bf16_unsupported",
        (
            "…Your setup doesn't support bf16/gpu",
            "…Bfloat16 is only supported on GPUs with compute capability of at least 8.0",
            "…Your device doesn't support bf16",
            "…bf16/gpu. You need Ampere",
        ),
        N_("This machine cannot compute in bfloat16: it has no GPU, or one from before Ampere."),
        (
            spec("dtype", N_("Use float16 on a GPU, or float32 on the CPU."), "float16"),
            F.ON_CPU,
        ),
    ),
    Row(
        "half_on_cpu",
        ("\"<operation:quoted>\" not implemented for 'Half'", "\"<operation:quoted>\" not implemented for 'BFloat16'"),
        N_("The CPU cannot compute in half precision here."),
        (spec("dtype", N_("Use float32 on the CPU."), "float32"),),
    ),
    Row(
        "cuda_illegal_access",
        ("…an illegal memory access was encountered", "…CUDA error: misaligned address"),
        N_("A program on the GPU read memory that is not its own: nearly always a fault in a compiled package."),
        (
            F.REMAKE,
            spec("eager_mode", N_("Switch off the graphs of CUDA (eager mode)."), True),
            command(
                "export CUDA_LAUNCH_BLOCKING=1",
                N_("Makes the log name the true place; start the panel from that shell."),
            ),
        ),
    ),
    Row(
        "gpus_cannot_talk",
        (
            "…NCCL error",
            "…NCCL Error <number:num>",
            "…ncclSystemError",
            "…ncclUnhandledCudaError",
            "…ncclInternalError",
            "…ncclRemoteError",
        ),
        N_("The GPUs that work together could not talk to each other."),
        (
            F.ONE_GPU,
            command(
                "export NCCL_P2P_DISABLE=1",
                N_("Makes them talk by way of the main memory; start the panel from that shell."),
            ),
            command("export NCCL_DEBUG=INFO", N_("Makes the log say why; start the panel from that shell.")),
        ),
        level=CONSEQUENCE,
        server="engine_gpus_cannot_talk",
    ),
    Row(
        "gpus_timeout",
        (
            "…Watchdog caught collective operation timeout",
            "…DistStoreError: Timed out",
            "…Timed out initializing process group",
            "…client socket has timed out after",
        ),
        N_(
            "One of several processes that work together did not answer in time: it had ended, or was busy with something else."
        ),
        (
            text(N_("Look in the log above for the process that stopped first; it did not print this line.")),
            F.ONE_GPU,
            F.RESUME,
        ),
        level=CONSEQUENCE,
        weight=1,
    ),
)
