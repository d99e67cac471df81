"""What models there are and what each of them is, read from ``config.json`` and safetensors headers, never from weights."""

from backend.catalog.bases import adapters, base_of
from backend.catalog.cards import ModelCard, card
from backend.catalog.code import CodeFile
from backend.catalog.entries import Added, add, add_all, allow_code, code_is_allowed, find, models
from backend.catalog.known_templates import KnownTemplate, known_templates
from backend.catalog.lineage import Lineage, read_lineage, write_lineage
from backend.catalog.memory import WeightsBytes, weights_bytes
from backend.catalog.removing import Removal, removal, remove
from backend.catalog.scanning import Found, Scan, scan

__all__ = [
    "Added",
    "CodeFile",
    "Found",
    "KnownTemplate",
    "Lineage",
    "ModelCard",
    "Removal",
    "Scan",
    "WeightsBytes",
    "adapters",
    "add",
    "add_all",
    "allow_code",
    "base_of",
    "card",
    "code_is_allowed",
    "find",
    "known_templates",
    "models",
    "read_lineage",
    "removal",
    "remove",
    "scan",
    "weights_bytes",
    "write_lineage",
]
