"""Errors as OpenAI's clients expect them: ``{"error": {"message", "type", "param", "code"}}`` and a status."""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """A request that gets no answer. English: programs read it; the chat page says it in the person's language by code."""

    def __init__(
        self, status: int, code: str, message: str, *, kind: str = "invalid_request_error", param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.kind = kind
        self.param = param

    def body(self) -> dict[str, Any]:
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}


def bad(message: str, *, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """400: the request itself is wrong."""
    return ApiError(400, code, message, param=param)


def unsupported(param: str, message: str) -> ApiError:
    """400: right, but this server cannot do it; better than doing something else in silence."""
    return ApiError(400, "unsupported_parameter", message, param=param)


def unknown_model(asked: str, served: str) -> ApiError:
    return ApiError(
        404,
        "model_not_found",
        f"The model '{asked}' does not exist here. This server has '{served}'.",
        param="model",
    )


def bad_key() -> ApiError:
    return ApiError(
        401, "invalid_api_key", "Incorrect or missing API key for this server.", kind="authentication_error"
    )


def too_long(limit: int, prompt: int) -> ApiError:
    return ApiError(
        400,
        "context_length_exceeded",
        f"This model's maximum context length is {limit} tokens. Your prompt has {prompt} tokens and leaves no room for"
        " an answer. Shorten it.",
        param="messages",
    )


def broken(message: str) -> ApiError:
    """500: our fault, or the engine's."""
    return ApiError(500, "engine_failed", message, kind="server_error")
