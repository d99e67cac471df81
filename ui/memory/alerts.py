"""What is wrong with the memory just now: in full above the memory page, in one line in the sidebar of every page."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import streamlit as st

from backend.errors import NotFoundError, PanelError
from backend.i18n import _
from backend.memory import alerts
from backend.memory.alerts import Alert
from backend.memory.sample import HOST
from backend.memory.series import MemoryStore
from backend.workspace import ROOT
from ui import context, errors, words
from ui.memory import words as memory_words

MEMORY_PAGE = ROOT / "pages" / "memory.py"
EVERY_S = 10
GRAVE = ("gpu_lost", "disk_full")

looking = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory-alerts")
_asked: dict[str, float] = {}
_found: dict[str, list[Alert]] = {}
"""Of each workspace, for the sidebar: when it was looked at last, and what was found."""


def draw() -> None:
    """Draw all alerts; nothing where all is well. They come and go by themselves."""
    st.fragment(errors.guarded(_all, "memory_alerts"), run_every=EVERY_S)()


def line() -> None:
    """The gravest one as a link to the page; nothing where all is well, or nothing is known yet."""
    found = _lately()
    if found:
        more = " " + _("(and {n} more)").format(n=len(found) - 1) if len(found) > 1 else ""
        st.page_link(
            MEMORY_PAGE, label=title(found[0]) + more, icon=":material/warning:", query_params={"view": "live"}
        )


def _lately() -> list[Alert]:
    """What was found last. It is looked for anew in a thread of its own, so that no page waits for it: what it needs takes a
    moment to load, and the first page must not pay for that."""
    root = str(context.workspace().root)
    if time.monotonic() - _asked.get(root, -EVERY_S) >= EVERY_S:
        _asked[root] = time.monotonic()
        looking.submit(_look, root, context.memory())
    return _found.get(root, [])


def _look(root: str, memory: MemoryStore) -> None:
    try:
        _found[root] = _news(alerts.now(memory))
    except PanelError:
        _found[root] = []  # the page says what is wrong with the record; every other page can do without it


def _news(found: list[Alert]) -> list[Alert]:
    """A recorder that has not begun yet is no news."""
    return [alert for alert in found if alert.code != "recorder_stopped" or alert.details["last"]]


@st.cache_data(ttl=5, show_spinner=False, max_entries=4)
def _now(root: str) -> list[Alert]:
    """The alerts, which all sessions share for five seconds."""
    return _news(alerts.now(context.memory()))


def title(alert: Alert) -> str:
    """What is wrong, in a few words of Markdown."""
    return alerts.title(alert, _place(alert), _who(alert.subject))


def sentence(alert: Alert) -> str:
    """All that is known of it, and what to do; Markdown."""
    told, place = alert.details, _place(alert)
    if alert.code == "nearly_full":
        text = _("{used} of {total} are in use. Stop what you do not need, or wait: below stands who has it.")
        return text.format(used=words.gib(told.get("used")), total=words.gib(told.get("total")))
    if alert.code == "leak":
        text = _("It has grown by {grown} on {place} since {time}, steadily, by {rate} an hour.")
        said = text.format(
            grown=memory_words.size(told.get("grown")),
            place=place,
            time=words.clock(float(told.get("since") or alert.t)),
            rate=memory_words.size(told.get("per_hour")),
        )
        if told.get("full_at"):
            said += " " + _("If it goes on like this, nothing is free at about {time}.").format(
                time=words.clock(float(told["full_at"]))
            )
        return said
    if alert.code == "gpu_lost":
        return _(
            "It does not answer any more: it fell off the bus. What ran on it has failed or will. A restart of the "
            "machine usually brings it back; ask whoever looks after it."
        )
    if alert.code == "disk_full":
        return _(
            "Since {time} nothing is written, so that the jobs have what is left. Make room on the disk; recording goes "
            "on by itself. Jobs are not disturbed."
        ).format(time=words.clock(float(told.get("since") or alert.t)))
    return _(
        "The last figures are of {time}; they and all older ones are kept, and jobs are not disturbed. The panel starts "
        "the recorder again by itself. If this stays for a minute, the reason stands in {file}."
    ).format(
        time=words.stamp(float(told.get("last") or alert.t)),
        file=errors.plain(str(context.workspace().logs / "watcher.log")),
    )


def _all() -> None:
    for number, alert in enumerate(_now(str(context.workspace().root))):
        with st.container(key=f"memory_alert_{number}"):
            text = f"**{title(alert)}**  \n{sentence(alert)}"
            if alert.code in GRAVE:
                st.error(text, icon=":material/error:")
            else:
                st.warning(text, icon=":material/warning:")


def _place(alert: Alert) -> str:
    """Where it is; a GPU that was lost before it was ever seen well goes by its number."""
    known = {} if alert.place in ("", HOST) else {d.uuid: (d.index, d.name) for d in context.memory().devices()}
    if alert.place not in known and "index" in alert.details:
        return _("GPU {index}").format(index=alert.details["index"])
    return memory_words.place(alert.place, (), known)


def _who(subject: str) -> str:
    """``job:12``, ``user:anna`` or ``neighbours`` in words; Markdown."""
    kind, _colon, name = subject.partition(":")
    if kind == "job":
        try:
            return errors.plain(f"#{name} {context.store().get(int(name)).title}")
        except (NotFoundError, ValueError):
            return f"#{name}"
    return errors.plain(name) if kind == "user" else _("What is not ours")
