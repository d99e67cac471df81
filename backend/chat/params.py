"""How a model is asked: system prompt, sampling and length, with presets that a person can name.

The names and ranges are those of the OpenAI API. Defaults: temperature 0.7 and top-p 0.8, as the course notes used.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.errors import SpecError
from backend.i18n import N_

MAX_SYSTEM_CHARS = 20_000
MAX_ANSWER_TOKENS = 32_768
FIXED_SEED = 0


class ChatParams(BaseModel):
    """Parameters of one conversation; frozen, unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    system: str = Field(
        "",
        max_length=MAX_SYSTEM_CHARS,
        description=N_("What the model is told before the conversation: who it is, how it should answer."),
    )
    temperature: float = Field(
        0.7,
        ge=0,
        le=2,
        allow_inf_nan=False,
        description=N_("How freely it chooses words. 0 always takes the likeliest; above 1 it gets erratic."),
    )
    top_p: float = Field(
        0.8,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description=N_("Only the likeliest words that together reach this share are considered. 1 considers all."),
    )
    max_tokens: int = Field(
        512,
        ge=1,
        le=MAX_ANSWER_TOKENS,
        description=N_("The answer is cut off after so many tokens. A token is a word or a piece of one."),
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description=N_("The same number and the same question give the same answer. Empty: a new one each time."),
    )
    deterministic: bool = Field(
        False,
        description=N_(
            "Temperature 0 and a fixed seed, so nothing is left to chance: the same conversation gets the same answer."
        ),
    )
    trim_blanks: bool = Field(
        False,
        description=N_(
            "Cut off blanks and line breaks around your messages before they are sent. One leading blank can change an "
            "answer, even its language."
        ),
    )

    def sampling(self) -> dict[str, float | int | None]:
        """``temperature``, ``top_p`` and ``seed`` as they are in force; what :attr:`deterministic` overrules comes back
        when it is switched off."""
        if self.deterministic:
            return {"temperature": 0.0, "top_p": 1.0, "seed": FIXED_SEED}
        return {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}


PRESETS: dict[str, dict[str, float]] = {
    "balanced": {"temperature": 0.7, "top_p": 0.8},
    "precise": {"temperature": 0.0, "top_p": 1.0},
    "creative": {"temperature": 1.0, "top_p": 0.95},
}
PRESET_NAMES = {"balanced": N_("Balanced"), "precise": N_("Precise"), "creative": N_("Creative")}
PRESET_HELP = N_(
    "Balanced suits most talk. Precise takes the likeliest words, so the same question gives the same answer. "
    "Creative varies more."
)


def parse_params(data: dict[str, Any]) -> ChatParams:
    """``data`` as :class:`ChatParams`.

    Raises:
        SpecError: ``chat_params_bad`` with *every* wrong value in ``problems`` and in the message.
    """
    try:
        return ChatParams.model_validate(data)
    except ValidationError as error:
        problems = [{"field": ".".join(str(p) for p in e["loc"]), "message": e["msg"]} for e in error.errors()]
        raise SpecError(
            "chat_params_bad",
            N_("These chat settings cannot be used. {listing}"),
            N_("Correct the values named and try again."),
            listing="; ".join(f"{p['field']}: {p['message']}" for p in problems),
            problems=problems,
        ) from error


def preset_of(params: ChatParams) -> str | None:
    """The preset whose sampling ``params`` has, or None when the person chose values of their own."""
    for name, values in PRESETS.items():
        if all(getattr(params, key) == value for key, value in values.items()):
            return name
    return None


def with_preset(params: ChatParams, name: str) -> ChatParams:
    """``params`` with the sampling of preset ``name``; system prompt, length and seed stay."""
    return params.model_copy(update=PRESETS[name])
