"""What models there are and what each of them is, read from ``config.json`` and safetensors headers, never from weights."""

from backend.catalog.bases import adapters, base_of
from backend.catalog.cards import ModelCard, card
from backend.catalog.choosing import Fit, choose_template, chosen_template, fitting_templates
from backend.catalog.code import CodeFile
from backend.catalog.consent import allow_code, code_is_allowed
from backend.catalog.entries import TRUST_S, Added, add, add_all, find, fresh, models, receive
from backend.catalog.known_templates import KnownTemplate, known_templates
from backend.catalog.lineage import Lineage, read_lineage, write_lineage
from backend.catalog.memory import WeightsBytes, weights_bytes
from backend.catalog.removing import Removal, removal, remove
from backend.catalog.scanning import Found, Scan, scan

__all__ = [
    "TRUST_S",
    "Added",
    "CodeFile",
    "Fit",
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
    "choose_template",
    "chosen_template",
    "code_is_allowed",
    "find",
    "fitting_templates",
    "fresh",
    "known_templates",
    "models",
    "read_lineage",
    "receive",
    "removal",
    "remove",
    "scan",
    "weights_bytes",
    "write_lineage",
]
