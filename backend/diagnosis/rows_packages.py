"""Packages of an environment that are missing or do not fit each other."""

from __future__ import annotations

from backend.diagnosis import fixes as F
from backend.diagnosis.row import Row, command, environment, spec, text
from backend.i18n import N_

ROWS = (
    Row(
        "module_missing",
        (
            "No module named '<module:quoted>'",
            "…ModuleNotFoundError: No module named '<module:quoted>'",
            "…No package metadata was found for <module:name>",
            "importlib.metadata.PackageNotFoundError: <module:name>",
        ),
        N_("A package is missing in the environment."),
        (
            F.REMAKE,
            text(
                N_(
                    "The environment may have been changed by hand, or another Python was used than that of the environment."
                )
            ),
        ),
        told=N_("The package that provides {module} is missing in the environment."),
        server="engine_package_missing",
    ),
    Row(
        "import_failed",
        ("ImportError: ", "…please check your environment", "Failed to import "),
        N_("A package of the environment could not be loaded."),
        (F.REMAKE,),
        weight=-2,
        about=(
            "lmdeploy",
            "transformers",
            "xtuner",
            "opencompass",
            "lm_eval",
            "lagent",
            "serve",
            "finetune",
            "quantize",
            "evaluate",
        ),
        server="engine_package_missing",
    ),
    Row(
        "transformers_version",
        (
            "cannot import name '<name:quoted>' from 'transformers",
            "…module 'transformers' has no attribute '<name:quoted>'",
            "…module transformers has no attribute <name:name>",
            "…No module named 'transformers.<module:quoted>'",
            "…DynamicCache' object has no attribute '<name:quoted>'",
        ),
        N_("The engine was written for another version of transformers than the one in its environment."),
        (
            F.REMAKE,
            text(
                N_(
                    "OpenCompass 0.5 needs transformers 4.57, XTuner 0.2 needs 4.48; never install both into one environment."
                )
            ),
        ),
        told=N_("The engine was written for another version of transformers: this one has no {name}."),
        weight=2,
        server="engine_package_missing",
    ),
    Row(
        "names_do_not_fit",
        (
            "cannot import name '<name:quoted>' from '<module:quoted>'",
            "cannot import name '<name:quoted>' from partially initialized",
        ),
        N_(
            "Two packages of the environment do not fit each other: one looks for something that the other does not have."
        ),
        (F.REMAKE,),
        told=N_(
            "Two packages of the environment do not fit each other: one looks for {name}, and {module} does not have it."
        ),
        weight=1,
        server="engine_package_missing",
    ),
    Row(
        "torchvision_mismatch",
        (
            "…operator torchvision::nms does not exist",
            "…partially initialized module 'torchvision'",
            "…Couldn't load custom C++ ops",
        ),
        N_("torchvision was built for another version of torch than the one that is installed."),
        (
            F.REMAKE,
            text(N_("torch and torchvision have to be installed together, in versions that belong together.")),
        ),
        weight=2,
    ),
    Row(
        "numpy_two",
        (
            "…A module that was compiled using NumPy 1.x cannot be run in",
            "…numpy.core.multiarray failed to import",
            "…_ARRAY_API not found",
            "…numpy.dtype size changed, may indicate binary incompatibility",
            "…was removed in the NumPy 2.0 release",
        ),
        N_("A package was built for NumPy 1, and the environment holds NumPy 2."),
        (
            F.REMAKE,
            command("pip install 'numpy<2'", N_("Goes back to NumPy 1; run it with the pip of that environment.")),
        ),
        weight=3,
    ),
    Row(
        "binary_mismatch",
        ("…undefined symbol: _Z", "…ABI mismatch"),
        N_("A compiled package was built for another version of torch than the one that is installed."),
        (F.REMAKE, text(N_("Packages such as flash-attn have to be built for exactly the installed torch and CUDA."))),
        weight=1,
    ),
    Row(
        "setuptools_too_new",
        ("No module named 'pkg_resources'",),
        N_("The environment has a version of setuptools that no longer contains pkg_resources."),
        (
            F.REMAKE,
            command(
                "pip install 'setuptools<81'",
                N_("Goes back to a version that has it; run it with the pip of that environment."),
            ),
        ),
        weight=2,
    ),
    Row(
        "bitsandbytes_missing",
        (
            "…quantization requires bitsandbytes",
            "…requires the latest version of bitsandbytes",
            "…No package metadata was found for bitsandbytes",
            "…CUDA Setup failed despite GPU being available",
            "No module named 'bitsandbytes'",
        ),
        N_("Loading in 4 or 8 bit needs the package bitsandbytes, which is missing here or does not find CUDA."),
        (spec("method", N_("Go without 4 bit."), "lora"), F.REMAKE),
        weight=2,
    ),
    Row(
        "flash_attention_missing",
        (
            "…FlashAttention2 has been toggled on, but it cannot be used",
            "…FlashAttention3 has been toggled on, but it cannot be used",
            "…the package flash_attn seems to be not installed",
            "No module named 'flash_attn<rest:name>'",
            "No module named 'flash_attn'",
        ),
        N_("The model or the settings ask for flash-attn, which is not installed here."),
        (text(N_("Use the attention that torch brings along (sdpa).")),),
        weight=3,
    ),
    Row(
        "gptqmodel_missing",
        (
            "…quantized model requires gptqmodel",
            "…quantized model requires optimum",
            "…requires auto-awq",
            "…GPTQModel is required",
            "No module named 'gptqmodel'",
            "No module named 'awq'",
        ),
        N_("This engine cannot load AWQ or GPTQ weights by itself: it needs the package gptqmodel."),
        (
            spec("engine", N_("Serve it with LMDeploy, which reads these weights."), "lmdeploy"),
            text(N_("Or quantize the model with llm-compressor, whose format transformers reads.")),
        ),
        weight=3,
    ),
    Row(
        "sentencepiece_missing",
        (
            "…requires the SentencePiece library but it was not found",
            "…`tiktoken` is required",
            "…requires the tiktoken library",
            "…need to have sentencepiece or tiktoken installed",
            "…Couldn't instantiate the backend tokenizer",
        ),
        N_("The tokenizer of this model needs a package that is not installed: sentencepiece or tiktoken."),
        (
            F.REMAKE,
            command(
                "pip install sentencepiece tiktoken", N_("Installs both; run it with the pip of that environment.")
            ),
        ),
        weight=2,
    ),
    Row(
        "ninja_missing",
        ("…Ninja is required to load C++ extensions", "…No such file or directory: 'ninja'"),
        N_("DeepSpeed compiles parts of itself when it starts, and the program ninja is missing for that."),
        (command("pip install ninja", N_("Installs it; run it with the pip of that environment.")), F.REMAKE),
        weight=3,
    ),
    Row(
        "nvcc_missing",
        (
            "…CUDA_HOME does not exist, unable to compile CUDA op",
            "…CUDA_HOME environment variable is not set",
            "…nvcc: not found",
            "…nvcc: command not found",
            "…nvcc: No such file or directory",
            "…No such file or directory: '<path:quoted>/bin/nvcc'",
            "…MissingCUDAException",
        ),
        N_("A package has to compile code for the GPU, and the compiler of CUDA (nvcc) was not found."),
        (
            command("ls -d /usr/local/cuda*; which nvcc", N_("Shows whether CUDA's compiler is there.")),
            command("export CUDA_HOME=/usr/local/cuda", N_("Says where it is; start the panel from that shell.")),
            spec("deepspeed", N_("Go without DeepSpeed."), ""),
        ),
        weight=3,
    ),
    Row(
        "cuda_compiler_mismatch",
        (
            "…CUDAMismatchException",
            "…does not match the version torch was compiled with",
            "…The detected CUDA version (<found:name>) mismatches the version",
        ),
        N_("The compiler of CUDA on this machine is of another version than the CUDA that torch was built with."),
        (
            environment(N_("Make the environment again for the CUDA version of this machine.")),
            command(
                "export DS_SKIP_CUDA_CHECK=1",
                N_("Lets DeepSpeed try it all the same; start the panel from that shell."),
            ),
        ),
        weight=3,
    ),
)
