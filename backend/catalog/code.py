"""Program code that a model folder brings along (``trust_remote_code``): which files would run, and their fingerprint.

Covered: the modules named by ``auto_map`` in the configs, and what these import from their own folder, which is what
transformers loads (``dynamic_module_utils.get_relative_import_files``). Not covered: what such code reads or downloads
by itself once it runs. So a consent is one to a program, not to a sandbox.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from backend.catalog.files import read_optional

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


def _named(folder: Path) -> set[str]:
    names: set[str] = set()
    for config in CONFIGS:
        auto_map = read_optional(folder / config).get("auto_map")
        for value in auto_map.values() if isinstance(auto_map, dict) else ():
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
