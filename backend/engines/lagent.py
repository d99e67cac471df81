"""Lagent (InternLM): the loop of an agent that thinks, calls tools, and answers. It loads no model: it asks a running one."""

from __future__ import annotations

from backend.engines.base import Capability
from backend.engines.recipes import Recipe
from backend.engines.refusals import not_installed
from backend.errors import PanelError
from backend.i18n import N_


class LagentEngine:
    """See :class:`backend.engines.base.Engine`."""

    name = "lagent"
    title = "Lagent"
    purpose = N_("Lets a model that runs here use tools: it decides what to call, reads the result, and answers.")
    roles = ("agent",)
    # Lean: what its notebooks, its own web page and its other model interfaces need is not in the lock.
    recipe = Recipe(
        packages=("lagent",),
        flavours=("cpu",),
        imports=("lagent.agents", "lagent.actions", "lagent.llms"),
    )

    def unavailable(self) -> PanelError | None:
        return not_installed(self)

    def capabilities(self) -> list[Capability]:
        problem = self.unavailable()
        return [
            Capability(N_("Let a chat model call tools, in the ReAct form"), problem),
            Capability(N_("Let an InternLM2 model call tools, in its own form"), problem),
        ]


ENGINE = LagentEngine()
