"""Whether the agent's Python can be shut in here: asked of the program that would do it, which tries."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from backend.doctor.findings import Finding, Fix, Text, attention, check, ok, say, unknown
from backend.doctor.here import Here, ask
from backend.i18n import N_
from backend.workspace import ROOT

COMMAND = (sys.executable, "-m", "jobs.agent.sandbox.ability")


@check("sandbox", N_("Python of agents"))
def sandbox(here: Here) -> Iterator[Finding]:
    said = ask(COMMAND, {**here.environ, "PYTHONPATH": str(ROOT)}, timeout_s=2.8)
    try:
        told = json.loads(said or "")
        walls = [(str(each["name"]), bool(each["stands"]), str(each["said"])) for each in told["walls"]]
        enough = bool(told["enough"])
    except (ValueError, KeyError, TypeError):
        yield unknown(say(N_("The program that would shut it in did not answer in time.")))
        return
    lines = [_line(*wall) for wall in walls]
    if enough:
        yield ok(*lines)
        return
    yield attention(
        *lines,
        meaning=say(N_("Agents cannot run Python here: code that a model writes runs shut in, or not at all.")),
        fixes=[
            Fix(
                say(
                    N_(
                        "In Docker, a recent version's default seccomp profile allows what is needed; or allow Landlock."
                    )
                ),
                command="docker run --security-opt seccomp=unconfined ...",
            ),
            Fix(
                say(N_("Or have whoever looks after the machine allow user namespaces.")),
                command="sudo sysctl -w kernel.unprivileged_userns_clone=1",
            ),
        ],
    )


def _line(name: str, stands: bool, said: str) -> Text:
    if stands:
        return say(N_("{name}: can be put up."), name=name)
    return say(N_("{name}: cannot be put up ({reason})."), name=name, reason=said or "?")


CHECKS = (sandbox,)
