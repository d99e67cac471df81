"""Tokens of rows: how the engines see them, which of them are learned, how many there are, and what a training makes of them."""

from backend.data.tokens.model import TokenModel, open_listed, open_model

__all__ = ["TokenModel", "open_listed", "open_model"]
