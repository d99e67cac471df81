"""The tool ``panel_status``: what runs, waits and failed in this panel, its servers, and who has the memory. Reads only.

Left out: keys and addresses of servers, command lines, what people ask models, logs, and where files lie elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from backend.agent.own_tools import PANEL_STATUS
from backend.agent.tools import Context, Result, Tool
from backend.errors import PanelError
from backend.memory.reader import Reader
from backend.memory.sample import Sample
from backend.memory.series import open_memory
from backend.queue.store import Store, open_store
from jobs.agent.results import shaped
from jobs.agent.tools import arguments, foreign, status_words

ABOUT = ("all", "jobs", "memory", "servers")
FRESH_S = 5.0
MOST_WAITING, MOST_ENDED = 20, 5


class PanelStatus:
    """Tells how this panel stands."""

    tool = Tool(
        name=PANEL_STATUS.name,
        title=PANEL_STATUS.title,
        purpose=PANEL_STATUS.purpose,
        description=(
            "Read-only status of this machine's panel: running, waiting and failed jobs with progress and time left, model "
            "servers, and GPU and main memory now and which job has it."
        ),
        parameters={
            "type": "object",
            "properties": {"about": {"type": "string", "enum": list(ABOUT), "default": "all"}},
        },
    )

    def call(self, arguments_: Mapping[str, Any], context: Context) -> Result:
        """The status as text."""
        began = arguments.now()
        try:
            about = arguments.choice(arguments_, "about", ABOUT, default="all")
            with closing(open_store(context.workspace)) as store:
                parts = _parts(about, context, store)
            told = status_words.safe("\n\n".join(parts), context.workspace)
            return shaped(foreign.visible(told), context, self.tool.name, began=began)
        except PanelError as error:
            return arguments.refused(error, context, self.tool.name, began=began)


def _parts(about: str, context: Context, store: Store) -> list[str]:
    now = time.time()
    parts = []
    if about in ("all", "jobs"):
        waiting = store.queue(MOST_WAITING)
        ended = store.list(states=("failed", "lost"), limit=MOST_ENDED)
        parts.append(status_words.jobs(store.live(), waiting, ended, store.counts(), now))
    if about in ("all", "servers"):
        parts.append(status_words.servers(store, now))
    if about in ("all", "memory"):
        parts.append(status_words.memory(_sample(context, store), store.live(), now))
    return parts


def _sample(context: Context, store: Store) -> Sample:
    """What the recorder saw just now; where none runs, a look of our own."""
    with closing(open_memory(context.workspace)) as kept:
        latest = kept.latest()
    if latest is not None and time.time() - latest.t < FRESH_S:
        return latest
    with closing(Reader(context.workspace, store)) as reader:
        return reader.read(time.time())
