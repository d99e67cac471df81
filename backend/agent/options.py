"""How an agent works in one conversation: which form of calling tools, which tools, how far it may go."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.chat.params import MAX_ANSWER_TOKENS, MAX_SYSTEM_CHARS
from backend.errors import SpecError
from backend.i18n import N_

DEFAULT_TOOLS = ("calculator", "python", "own_texts", "panel_status")
"""What is on at first: nothing that reaches other machines."""


class Options(BaseModel):
    """Of one conversation, and as they were of each of its turns; frozen, unknown names are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Literal["auto", "openai", "react", "internlm2"] = Field(
        "auto",
        description=N_(
            "How the model is asked to call tools. Automatic takes what its last protocol check found best; without a "
            "check the server's own tools where the model's template knows them, else ReAct."
        ),
    )
    tools: tuple[str, ...] = Field(DEFAULT_TOOLS, max_length=256, description=N_("The tools that it may call."))
    unasked: tuple[str, ...] = Field(
        (), max_length=256, description=N_("Tools that act outside and need no yes in this conversation.")
    )
    repair: bool = Field(
        True,
        description=N_("Mend calls that are nearly right, such as query=x instead of JSON. Every repair is shown."),
    )
    system: str = Field(
        "",
        max_length=MAX_SYSTEM_CHARS,
        description=N_("What the model is told first: who it is, how it should answer."),
    )
    temperature: float = Field(
        0.0, ge=0, le=2, allow_inf_nan=False, description=N_("0 takes the likeliest words; calls need exact ones.")
    )
    max_tokens: int = Field(
        512, ge=16, le=MAX_ANSWER_TOKENS, description=N_("Each reply is cut off after so many tokens.")
    )
    seed: int | None = Field(None, ge=0, le=2**31 - 1, description=N_("The same number gives the same replies."))
    most_steps: int = Field(
        8, ge=1, le=200, description=N_("After so many replies it has to answer with what it has found.")
    )
    most_seconds: int = Field(
        600, ge=5, le=86_400, description=N_("After so many seconds a turn ends, whatever it is doing.")
    )
    lang: Literal["en", "zh"] = Field("en", description=N_("The language of the instructions that ReAct sends."))


def parse_options(data: dict[str, Any]) -> Options:
    """``data`` as :class:`Options`.

    Raises:
        SpecError: ``agent_options_bad`` with every wrong value.
    """
    try:
        return Options.model_validate(data)
    except ValidationError as error:
        listing = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
        raise SpecError(
            "agent_options_bad",
            N_("These settings of the agent cannot be used. {listing}"),
            N_("Correct the values named and try again."),
            listing=listing,
        ) from error
