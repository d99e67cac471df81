"""What of a repository is fetched: the weights once, as safetensors, and what loading and reading about them needs.

Fetched: ``*.safetensors``, ``*.json``, files of tokenizers and chat templates, licence and README, and the model's own
program code, which lies there unused until a person allows it. Not fetched: the same weights in other formats or
precisions, whole folders of them (``original/``, ``onnx/``), pictures, logs, hidden files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

from backend.errors import ModelError
from backend.hubs import Hub
from backend.i18n import N_

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
OTHER_FORMATS = (".gguf", ".ggml", ".onnx", ".h5", ".msgpack", ".tflite", ".mlmodel", ".npz")
SUFFIXES = (".safetensors", ".json", ".jinja", ".model", ".tiktoken", ".spm", ".bpe", ".py")
NAMES = re.compile(
    r"(licen[cs]e|copying|notice|readme|use_policy|acceptable_use|terms)[^/]*|(merges|vocab|added_tokens)\.txt",
    re.IGNORECASE,
)
# Weights in another form, below a folder that says so; and pictures of training that some keep in .json.
FOLDERS = frozenset(
    (
        *("original", "onnx", "openvino", "coreml", "tf", "tensorflow", "flax", "gguf", "ggml", "metal", "mlx"),
        *("runs", "logs", "figures", "assets", "images"),
    )
)
COPY = re.compile(r"consolidated.*|(model|adapter_model)\.(fp16|fp32|bf16|float16|non_ema)(-.*)?", re.IGNORECASE)
"""Names of second copies of the weights: Mistral's own format, and diffusers-like variants."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a repository. size: bytes. sha256: of its content; blob: its git blob id (sha1); empty: not told."""

    path: str
    size: int
    sha256: str = ""
    blob: str = ""

    @property
    def digest(self) -> str:
        """What tells one content of this path from another, as far as the hub does."""
        return f"sha256:{self.sha256}" if self.sha256 else f"blob:{self.blob}" if self.blob else f"size:{self.size}"


@dataclass(frozen=True)
class Listing:
    """A repository at one commit (empty where the hub names none)."""

    files: tuple[RemoteFile, ...]
    commit: str = ""


def select(found: Iterable[RemoteFile], hub: Hub, repo: str) -> tuple[list[RemoteFile], list[RemoteFile]]:
    """(what is fetched, smallest first; what is left out).

    Raises:
        ModelError: ``download_unsafe_name``, ``download_pickled``, ``download_no_model``; nothing is fetched then.
    """
    files = list(found)
    unsafe = next((f.path for f in files if not safe(f.path)), None)
    if unsafe is not None:
        raise ModelError(
            "download_unsafe_name",
            N_("{repo} holds a file called {file}, which would lie outside the model's folder."),
            N_("Do not use this repository: a file name like that is no accident. Nothing was fetched."),
            repo=repo,
            file=repr(unsafe[:200]),
        )
    kept = [f for f in files if _wanted(f.path)]
    weights = [f for f in kept if f.path.endswith(".safetensors")]
    first = [f for f in weights if not COPY.fullmatch(PurePosixPath(f.path).stem)]
    if first and len(first) < len(weights):
        kept = [f for f in kept if f not in weights or f in first]
    _check_model(files, kept, hub, repo)
    chosen = {f.path for f in kept}
    return sorted(kept, key=lambda f: (f.size, f.path)), [f for f in files if f.path not in chosen]


def safe(path: str) -> bool:
    """Whether ``path`` stays inside the folder that it is joined to."""
    return (
        bool(path)
        and path.isprintable()
        and "\\" not in path
        and all(piece not in ("", ".", "..") and len(piece.encode()) <= 240 for piece in path.split("/"))
    )


def _wanted(path: str) -> bool:
    *folders, name = path.split("/")
    if any(piece.startswith(".") for piece in (*folders, name)):
        return False
    if any(folder.lower() in FOLDERS for folder in folders):
        return False
    if folders and name.endswith((".safetensors", ".py")):
        return False  # loaders look for these in the folder itself only
    return name.endswith(SUFFIXES) or NAMES.fullmatch(name) is not None


def _check_model(files: list[RemoteFile], kept: list[RemoteFile], hub: Hub, repo: str) -> None:
    top = {f.path for f in kept}
    if any(name.endswith(".safetensors") for name in top):
        if "config.json" in top or "adapter_config.json" in top:
            return
        raise ModelError(
            "download_no_model",
            N_("{repo} holds weights, but no config.json: nothing here can tell what to do with them."),
            N_("Look at {page}: the model may be kept in another repository. Nothing was fetched."),
            repo=repo,
            page=hub.page(repo),
        )
    pickled = next((f.path for f in files if f.path.endswith(PICKLED)), None)
    if pickled is not None:
        raise ModelError(
            "download_pickled",
            N_(
                "{repo} holds its weights only as pickled files ({file}); loading such a file can run any program in it."
            ),
            N_(
                "Look for a version in safetensors format, such as a conversion of the same model. Nothing was fetched."
            ),
            repo=repo,
            file=pickled,
        )
    other = next((f.path for f in files if f.path.endswith(OTHER_FORMATS)), None)
    if other is not None:
        raise ModelError(
            "download_other_format",
            N_("{repo} holds its weights only in another format ({file})."),
            N_("Look for the version in safetensors format, from which this one was made. Nothing was fetched."),
            repo=repo,
            file=other,
        )
    raise ModelError(
        "download_no_model",
        N_("{repo} holds no model: there is no *.safetensors file in it."),
        N_("Look at {page}: it may be a data set or a demonstration. Nothing was fetched."),
        repo=repo,
        page=hub.page(repo),
    )
