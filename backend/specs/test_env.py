"""Spec of ``test_env``: the self-test of an engine in the environment that is in use."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from backend.i18n import N_
from backend.specs.base import Spec
from backend.specs.install_env import ENGINE


class TestEnvSpec(Spec):
    """Do the real thing on the starter model, in the environment of ``engine`` that is in use, and remember what came of it."""

    __test__ = False  # no test of pytest's

    verb: ClassVar[str] = "test_env"

    engine: str = Field(
        pattern=f"^{ENGINE}$", title=N_("Engine"), description=N_("Name of the engine, as in the list of environments")
    )

    def default_title(self) -> str:
        return f"test {self.engine}"
