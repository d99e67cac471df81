"""What a client may ask, checked before anything is computed. Fields that OpenAI knows and we do not are ignored where
that changes nothing in the answer, and refused by name where it would."""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jobs.serving.api_errors import ApiError, bad, unsupported

DEFAULT_MAX_TOKENS = 1024
ROLES = Literal["system", "developer", "user", "assistant", "tool", "function"]


class _Lenient(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Sampling(_Lenient):
    """How the next token is chosen; the names and ranges of OpenAI, plus top_k, min_p, repetition_penalty and ignore_eos
    (write on to the token limit; for measuring) as vLLM has them. None means the model's own default."""

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    logit_bias: dict[int, float] | None = None
    ignore_eos: bool | None = None


class _Common(Sampling):
    model: str = Field(min_length=1)
    stream: bool | None = False
    stream_options: dict[str, Any] | None = None
    stop: str | list[str] | None = None
    n: int | None = Field(1, ge=1)
    max_tokens: int | None = None

    @field_validator("stop")
    @classmethod
    def _few_stops(cls, value: str | list[str] | None) -> str | list[str] | None:
        if isinstance(value, list) and len(value) > 16:
            raise ValueError("at most 16 stop strings")
        return value

    def stops(self) -> list[str]:
        """The stop strings, without empty ones, which would stop everything."""
        found = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [s for s in found if s]

    def wants_usage(self) -> bool:
        return bool((self.stream_options or {}).get("include_usage"))


R = TypeVar("R", bound=_Common)


class ToolFunction(_Lenient):
    name: str = Field(min_length=1)
    arguments: str | dict[str, Any] = "{}"


class AskedToolCall(_Lenient):
    id: str = ""
    type: str = "function"
    function: ToolFunction


class Message(_Lenient):
    role: ROLES
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[AskedToolCall] | None = None


class ChatRequest(_Common):
    """``POST /v1/chat/completions``."""

    messages: list[Message] = Field(min_length=1)
    max_completion_tokens: int | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    logprobs: bool | None = None
    response_format: dict[str, Any] | None = None

    def limit(self) -> int:
        """Most tokens of the answer; the newer name wins."""
        asked = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        name = "max_tokens" if self.max_completion_tokens is None else "max_completion_tokens"
        if asked is not None and asked < 1:
            raise bad(f"Invalid '{name}': must be at least 1, got {asked}.", param=name)
        return DEFAULT_MAX_TOKENS if asked is None else asked

    def offered_tools(self) -> list[dict[str, Any]]:
        """The tools that the model is shown: none for ``tool_choice: none``, only the one that is named, else all."""
        tools = self.tools or []
        if self.tool_choice == "none":
            return []
        if isinstance(self.tool_choice, dict):
            wanted = (self.tool_choice.get("function") or {}).get("name")
            tools = [t for t in tools if (t.get("function") or {}).get("name") == wanted]
            if not tools:
                raise bad(f"tool_choice names '{wanted}', which is not among the tools.", param="tool_choice")
        return tools

    def conversation(self) -> list[dict[str, Any]]:
        """The messages as chat templates take them: text only, arguments as objects."""
        return [
            {**plain_message(i, message), "content": _text(i, message.content)}
            for i, message in enumerate(self.messages)
        ]


class CompletionRequest(_Common):
    """``POST /v1/completions``: text in, its continuation out; no chat template."""

    prompt: str | list[str] | list[int] | list[list[int]]
    suffix: str | None = None
    echo: bool | None = False
    best_of: int | None = Field(1, ge=1)
    logprobs: int | None = None

    def limit(self) -> int:
        """Most tokens of the answer. 16 is OpenAI's default here; 0 is allowed and answers nothing."""
        if self.max_tokens is not None and self.max_tokens < 0:
            raise bad(f"Invalid 'max_tokens': must be at least 0, got {self.max_tokens}.", param="max_tokens")
        return 16 if self.max_tokens is None else self.max_tokens

    def single_prompt(self) -> str | list[int]:
        """The prompt, as text or tokens."""
        prompt = self.prompt
        if isinstance(prompt, str):
            return prompt
        if prompt and isinstance(prompt[0], int):
            return [t for t in prompt if isinstance(t, int)]
        if len(prompt) == 1 and isinstance(prompt[0], str | list):
            return prompt[0]
        raise unsupported("prompt", "This server takes one prompt a request.")


def parse_chat(body: Any) -> ChatRequest:
    """Raises:
    ApiError: 400, naming the field.
    """
    request = _validated(ChatRequest, body)
    if request.logprobs:
        raise unsupported("logprobs", "This server does not report log probabilities.")
    kind = (request.response_format or {}).get("type", "text")
    if kind != "text":
        raise unsupported("response_format", f"This server cannot enforce the response format '{kind}'.")
    _common(request)
    return request


def parse_completion(body: Any) -> CompletionRequest:
    """Raises:
    ApiError: 400, naming the field.
    """
    request = _validated(CompletionRequest, body)
    if request.logprobs:
        raise unsupported("logprobs", "This server does not report log probabilities.")
    if request.suffix:
        raise unsupported("suffix", "This server does not fill in text before a suffix.")
    if (request.best_of or 1) > 1:
        raise unsupported("best_of", "This server gives one answer a request.")
    _common(request)
    return request


def _common(request: _Common) -> None:
    if (request.n or 1) > 1:
        raise unsupported("n", "This server gives one answer a request; ask n times.")


def _validated(cls: type[R], body: Any) -> R:
    if not isinstance(body, dict):
        raise bad("The body must be a JSON object.")
    try:
        return cls.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(p) for p in first["loc"])
        missing = first["type"] == "missing"
        message = f"Missing required parameter: '{path}'." if missing else f"Invalid '{path}': {first['msg']}."
        raise bad(message, param=path, code="missing_required_parameter" if missing else "invalid_value") from error


def plain_message(index: int, message: Message) -> dict[str, Any]:
    """A message as templates take it, its content left out."""
    role = {"developer": "system", "function": "tool"}.get(message.role, message.role)
    plain: dict[str, Any] = {"role": role}
    if message.name:
        plain["name"] = message.name
    if message.tool_call_id:
        plain["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        plain["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.function.name, "arguments": _object(i, call)}}
            for i, call in enumerate(message.tool_calls)
        ]
    return plain


def _text(index: int, content: str | list[dict[str, Any]] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    texts = []
    for part in content:
        if part.get("type") not in ("text", "input_text", "output_text") or not isinstance(part.get("text"), str):
            raise ApiError(
                400,
                "unsupported_content",
                f"messages.{index}: this model takes text only, not '{part.get('type')}'; it cannot see.",
                param=f"messages.{index}.content",
            )
        texts.append(part["text"])
    return "\n".join(texts)


def _object(index: int, call: AskedToolCall) -> dict[str, Any]:
    """A call's arguments as an object, which is what templates write out."""
    raw = call.function.arguments
    try:
        parsed = json.loads(raw or "{}") if isinstance(raw, str) else raw
    except ValueError as error:
        raise bad(f"tool_calls.{index}: the arguments are not JSON: {error}.", param="messages") from error
    return parsed if isinstance(parsed, dict) else {"value": parsed}
