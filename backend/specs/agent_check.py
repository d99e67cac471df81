"""Spec of ``agent_check``: how well a model calls tools, in each form, by small tasks whose answers are known."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field, field_validator

from backend.agent.calls import PROTOCOLS, Protocol
from backend.i18n import N_
from backend.specs.base import Resources, Spec


class AgentCheckSpec(Spec):
    """Check ``model``, which is served for it where it is not yet."""

    verb: ClassVar[str] = "agent_check"
    # A task that was scored is kept.
    auto_resume: ClassVar[int] = 5

    model: str = Field(
        min_length=1, max_length=400, title=N_("Model"), description=N_("A model of the list, by its name")
    )
    protocols: tuple[Protocol, ...] = Field(
        PROTOCOLS,
        min_length=1,
        max_length=len(PROTOCOLS),
        title=N_("Forms of calling tools"),
        description=N_("openai: the server's own tools; react: ReAct; internlm2: the InternLM2 form"),
    )
    limit: int = Field(
        0,
        ge=0,
        le=20,
        title=N_("Tasks"),
        description=N_("Only so many of the tasks, spread over their kinds; 0: all"),
    )

    @field_validator("protocols")
    @classmethod
    def _once(cls, given: tuple[Protocol, ...]) -> tuple[Protocol, ...]:
        return tuple(dict.fromkeys(given))

    def resources(self) -> Resources:
        # It waits for a server, which has a slot of its own.
        return Resources()

    def default_title(self) -> str:
        return self.model
