"""Program code that a model folder brings along (``trust_remote_code``): which files would run, and their fingerprint.

Covered: the modules named by ``auto_map`` in the configs, and what these import from their own folder, which is what
transformers loads (``dynamic_module_utils.get_relative_import_files``). Not covered: what such code reads or downloads
by itself once it runs. So a consent is one to a program, not to a sandbox.

Many folders bring code along that nobody needs any more: transformers has the same class itself. With
``trust_remote_code`` off it takes its own, so nothing of theirs runs, and there is nothing to ask
(:func:`loads_without_code`).
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from backend.catalog.files import read_optional

NATIVE = Path(__file__).with_name("native.json")
"""What the pinned transformers has itself; written by scripts/native_architectures.py."""

CONFIGS = (
    "config.json",
    "tokenizer_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "generation_config.json",
)
RELATIVE_IMPORT = re.compile(r"^\s*(?:from|import)\s+\.(\w*)", re.MULTILINE)


@dataclass(frozen=True)
class CodeFile:
    """One program file. size: bytes. sha256: hex; empty where the file is not in the folder, then ``size`` is 0 and
    ``name`` may be ``org/repo--module.py``, which would be downloaded."""

    name: str
    size: int
    sha256: str


def code_files(folder: Path) -> tuple[CodeFile, ...]:
    """The program files that loading the model in ``folder`` would run, sorted; empty for most models.

    Raises:
        ModelError: a config that cannot be read.
        OSError: a program file that cannot be read.
    """
    waiting = sorted(_named(folder))
    found: dict[str, CodeFile] = {}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        path = folder / name
        # A name such as ../x or org/repo--x is not in this folder, whatever it is.
        if Path(name).name != name or not path.is_file():
            found[name] = CodeFile(name, 0, "")
            continue
        raw = path.read_bytes()
        found[name] = CodeFile(name, len(raw), hashlib.sha256(raw).hexdigest())
        waiting += _imports(folder, raw.decode("utf-8", "replace"))
    return tuple(found[name] for name in sorted(found))


def code_fingerprint(files: tuple[CodeFile, ...]) -> str:
    """SHA-256 (hex) over names and contents; empty without files. It changes with any byte of any of them."""
    listing = json.dumps([asdict(file) for file in files], sort_keys=True)
    return hashlib.sha256(listing.encode("utf-8", "surrogatepass")).hexdigest() if files else ""


def loads_without_code(folder: Path) -> bool:
    """Whether transformers has the classes itself for which the configs in ``folder`` name code, so that the model loads
    with ``trust_remote_code`` off. Nothing runs either way: a wrong answer means a load that fails, not code that runs.

    Every class must be known under exactly the name in the configs: a model of a known type with a class of its own
    would load as something that it is not. Code for pictures and sound counts as needed.

    Raises:
        ModelError: a config that cannot be read.
    """
    config, tokenizer = read_optional(folder / CONFIGS[0]), read_optional(folder / CONFIGS[1])
    if any(read_optional(folder / name).get("auto_map") for name in CONFIGS[2:]):
        return False
    mapped = config.get("auto_map")
    own_tokenizer = tokenizer.get("auto_map") or (isinstance(mapped, dict) and mapped.get("AutoTokenizer"))
    if own_tokenizer and not _native_tokenizer(tokenizer.get("tokenizer_class") or config.get("tokenizer_class")):
        return False
    return not mapped or _native_model(config)


def _native_model(config: dict[str, Any]) -> bool:
    model_type, named = config.get("model_type"), config.get("architectures")
    if not isinstance(model_type, str) or not isinstance(named, list) or not named:
        return False
    known = _native()["models"].get(model_type, ())
    return all(isinstance(one, str) and one in known for one in named)


def _native_tokenizer(named: Any) -> bool:
    return isinstance(named, str) and named.removesuffix("Fast") in _native()["tokenizers"]


@cache
def _native() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(NATIVE.read_text(encoding="utf-8"))
    return found


def _named(folder: Path) -> set[str]:
    names: set[str] = set()
    for config in CONFIGS:
        auto_map = read_optional(folder / config).get("auto_map")
        # Old tokenizers name their pair of classes alone, without saying for what.
        values = auto_map.values() if isinstance(auto_map, dict) else [auto_map]
        for value in values:
            # "module.Class", "org/repo--module.Class", or for tokenizers a pair [slow, fast] with null for none.
            for reference in value if isinstance(value, list) else [value]:
                if isinstance(reference, str) and "." in reference:
                    names.add(f"{reference.rpartition('.')[0]}.py")
    return names


def _imports(folder: Path, source: str) -> list[str]:
    """The files of ``folder`` that ``source`` imports with a leading dot; after a bare ``from . import`` all of them."""
    modules = set(RELATIVE_IMPORT.findall(source))
    names = [f.name for f in folder.glob("*.py")] if "" in modules else [f"{module}.py" for module in modules]
    return [name for name in names if (folder / name).is_file()]
