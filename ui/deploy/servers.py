"""The model servers that run, or are about to: how each one is, how loaded, and what can be done with it."""

from __future__ import annotations

import time
from typing import Literal

import streamlit as st

from backend.deploy.load import Load, Loads
from backend.engines import ENGINES
from backend.i18n import N_, _
from backend.queue.rows import JobRow
from backend.servers import Server, read_server
from backend.workspace import ROOT
from ui import connect, context, errors, log_view, serving, wait_words, words
from ui.benchmark import links as benchmark_links
from ui.deploy import ended as deploy_ended

JOBS_PAGE = ROOT / "pages" / "jobs.py"
MOVING_S, STANDING_S = 1, 4
ALIVE = ("queued", "starting", "running", "stopping")
READY = words.Look(N_("ready"), ":material/check_circle:", "green")
ASLEEP = words.Look(N_("asleep"), ":material/bedtime:", "gray")
HUNG = words.Look(N_("not answering"), ":material/error:", "orange")
RESTARTING = words.Look(N_("restarting"), ":material/restart_alt:", "orange")


def live() -> list[JobRow]:
    """The servers that wait, come up, answer or go down; newest first."""
    return context.store().list(states=ALIVE, verb="serve", limit=100)


def answers() -> bool:
    """Whether a server can answer: then to connect to it is what the page proposes, else to start one."""
    return any(map(_answers, live()))


def draw() -> None:
    """The cards, redrawn by themselves while there is a server."""
    before = _signature()

    def listing() -> None:
        rows = live()
        if rows:
            st.subheader(_("Servers"), anchor=False)
        first = next((row.id for row in rows if _answers(row)), 0)
        for row in rows:
            _card(row, primary=row.id == first)
        deploy_ended.draw({row.title for row in rows})
        if before != _signature():
            st.rerun()  # one came, answers now, or went: the page around shows that, too, and the timer has another pace

    still = all(state in ("ready", "asleep") for _job, state in before)
    every = None if not before else STANDING_S if still else MOVING_S
    st.fragment(errors.guarded(listing, "servers"), run_every=every)()


def _signature() -> list[tuple[int, str]]:
    """(job, how it stands) of every live server: what decides about the timer and about the rest of the page."""
    return [(row.id, _standing(row) or row.state) for row in live()]


def _server(row: JobRow) -> Server | None:
    return read_server(context.store().job_dir(row.id)) if row.state == "running" else None


def _standing(row: JobRow) -> str:
    """``ready`` or ``asleep``; nothing where it waits, comes up, hangs or goes down."""
    server = _server(row)
    return "" if server is None or not server.ready else "asleep" if server.asleep else "ready"


def _answers(row: JobRow) -> bool:
    return _standing(row) == "ready"


@st.cache_resource(show_spinner=False)
def _loads() -> Loads:
    return Loads()


def _card(row: JobRow, *, primary: bool) -> None:
    server = _server(row)
    with st.container(border=True, key=f"server_{row.id}", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(f"**{errors.plain(row.title)}**", width="content")
            st.markdown(_look(row, server).chip, width="content")
        _facts(row, server)
        if server is not None and server.asleep:
            st.markdown(_("It has given its GPU memory back, and answers nothing until it is woken."))
        elif server is not None and server.ready:
            _load(row, _loads().of(server))
        else:
            _coming(row, server)
        _buttons(row, server, primary)
        log = st.expander(
            _("Log"), icon=":material/article:", key=f"server_log_{row.id}", on_change="rerun", type="compact"
        )
        if log.open:
            with log:
                log_view.draw(row, key=f"deploy_log_{row.id}")


def _look(row: JobRow, server: Server | None) -> words.Look:
    if row.state == "running" and server is not None:
        if server.ready:
            return ASLEEP if server.asleep else READY
        return RESTARTING if row.progress.get("phase") in ("restart", "load") else HUNG
    return words.STATES["starting"] if row.state == "running" else words.look(row)


def _facts(row: JobRow, server: Server | None) -> None:
    parts = [f"#{row.id}"]
    if server is not None:
        engine = ENGINES.get(server.engine)
        parts.append(engine.title if engine else errors.plain(server.engine))
        if server.since:
            parts.append(_("up for {duration}").format(duration=words.duration(time.time() - server.since)))
        if server.context_length:
            parts.append(_("context {n} tokens").format(n=f"{server.context_length:,}"))
        parts.append(f"`{connect.origin()}/v1`")
    st.caption(" · ".join(parts), help=words.stamp(server.since) if server and server.since else None)


def _load(row: JobRow, load: Load | None) -> None:
    """The figures; one that the engine does not tell is left out, and none at all is said."""
    if load is None:
        st.caption(_("It answers, but does not tell its counters."))
        return
    figures = [
        (_("Computing now"), _count(load.running)),
        (_("Waiting"), _count(load.waiting)),
        (_("Requests/s"), _rate(load.requests_s)),
        (_("Tokens/s"), _rate(load.tokens_s)),
        (_("KV cache"), None if load.kv_used is None else f"{load.kv_used:.0%}"),
        (_("Requests so far"), _count(load.requests)),
        (_("Main memory"), _resident(row)),
    ]
    over = _("Over the last {n} s, by the server's own counters.").format(n=f"{load.over_s:.0f}")
    with st.container(horizontal=True, key=f"server_load_{row.id}"):
        for name, value in figures:
            if value is not None:
                per_s = name in (_("Requests/s"), _("Tokens/s"))
                st.metric(name, value, width="content", height="content", help=over if per_s and load.over_s else None)


def _count(value: float | None) -> str | None:
    return None if value is None else f"{value:,.0f}"


def _rate(value: float | None) -> str:
    """Two looks make a rate; until the second one there is none."""
    return "…" if value is None else words.rate(value)


def _resident(row: JobRow) -> str | None:
    mib = (row.progress.get("metrics") or {}).get("rss_mib")
    return words.gib(mib * 2**20) if isinstance(mib, int | float) and mib else None


def _coming(row: JobRow, server: Server | None) -> None:
    """What it does until it answers, or answers again."""
    if row.state == "queued":
        st.markdown(":material/schedule: " + errors.plain(wait_words.sentence(row)))
    elif row.state == "stopping":
        st.markdown(_("It was asked to stop and saves its work first. If it does not stop, it is ended."))
    elif server is not None and row.progress.get("phase") == "hung":
        st.markdown(
            _("It has stopped answering. It is started again if that lasts for a minute; the log may say what it does.")
        )
    else:
        share = words.progress_of(row)
        phase = words.phase_word(str(row.progress.get("phase") or "")) or words.look(row).word
        since = words.duration(time.time() - (row.started or row.created))
        if share is not None:
            st.progress(share, text=errors.plain(phase))
        else:
            st.markdown(":material/hourglass_top: " + errors.plain(f"{phase} · {since}"))


def _buttons(row: JobRow, server: Server | None, primary: bool) -> None:
    kind: Literal["primary", "secondary"] = "primary" if primary else "secondary"
    with st.container(horizontal=True, vertical_alignment="center"):
        if server is not None and _answers(row):
            if st.button(_("Talk to it"), key=f"server_talk_{row.id}", icon=":material/forum:"):
                serving.start_and_talk(server.model)
            if st.button(_("Connect a program"), key=f"server_connect_{row.id}", icon=":material/cable:", type=kind):
                st.query_params.from_dict({"view": "connect", "model": server.model})
                st.rerun()  # the whole page: this is a fragment
            benchmark_links.measure(server.model)
        if server is not None and server.sleeps and server.ready:
            _sleeping(row, server)
        if row.state == "running":
            st.button(
                _("Restart"),
                key=f"server_restart_{row.id}",
                icon=":material/restart_alt:",
                help=_("Ends it and starts a new one with the same settings. Answers that are being written end."),
                on_click=serving.again,
                args=(row.id,),
            )
        st.button(
            _("Cancel") if row.state == "queued" else _("Stop server"),
            key=f"server_stop_{row.id}",
            icon=":material/stop_circle:",
            disabled=row.state == "stopping",
            help=_("Answers that are being written end. The model stays on the list."),
            on_click=serving.stop,
            args=(row.id,),
        )
        deploy_ended.job_link(row)


def _sleeping(row: JobRow, server: Server) -> None:
    icon = ":material/light_mode:" if server.asleep else ":material/bedtime:"
    pressed = st.button(
        _("Wake") if server.asleep else _("Sleep"),
        key=f"server_sleep_{row.id}",
        icon=icon,
        help=_("Asleep it gives its GPU memory to others, and keeps its weights in main memory to be back in seconds."),
    )
    if pressed:
        with st.spinner(_("It is on its way …")):
            serving.sleep(server.model, wake=server.asleep)
        st.rerun()
