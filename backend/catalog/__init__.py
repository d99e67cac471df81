"""What models there are and what each of them is, read from ``config.json`` and safetensors headers, never from weights."""

from backend.catalog.cards import ModelCard, card
from backend.catalog.entries import add, find, models, remove

__all__ = ["ModelCard", "add", "card", "find", "models", "remove"]
