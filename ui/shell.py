"""The frame, and the script that Streamlit runs: language, navigation, sidebar, then the page that was asked for.

It lies in ``ui/`` on purpose. Beside ``pages/``, Streamlit's old page discovery would run a deep link such as
``/jobs`` alone, without this frame, until some session had called ``st.navigation``.
"""

from __future__ import annotations

import logging

import streamlit as st

from backend.errors import PanelError
from backend.i18n import _
from backend.workspace import ROOT
from ui import context, errors, language, settling, sidebar
from ui.course import line as course_line
from ui.notices import bell
from ui.search import arriving as search_arriving
from ui.search import box as search_box

ICONS = {
    "home": ":material/home:",
    "chat": ":material/forum:",
    "agent": ":material/smart_toy:",
    "datasets": ":material/dataset:",
    "finetune": ":material/school:",
    "quantize": ":material/compress:",
    "models": ":material/deployed_code:",
    "deploy": ":material/dns:",
    "benchmark": ":material/speed:",
    "evaluate": ":material/fact_check:",
    "memory": ":material/memory_alt:",
    "jobs": ":material/list_alt:",
    "environments": ":material/inventory_2:",
    "settings": ":material/settings:",
    "course": ":material/menu_book:",
    "search": ":material/search:",
}

settling.settle()
# A Material icon as the tab's icon would be fetched from a host on the internet.
STATIC = ROOT / "ui" / "static"
st.set_page_config(page_title=bell.title(), page_icon=str(STATIC / "mark.svg"), layout="wide")
st.logo(str(STATIC / "logo.svg"), size="large", icon_image=str(STATIC / "mark.svg"))

try:
    code = language.apply(context.settings().language)
except PanelError as problem:
    language.apply("auto")
    st.title("TuneDeck")
    errors.show(problem, key="workspace")
    st.stop()


def page(name: str, title: str, help_text: str, *, hidden: bool = False) -> list[st.Page]:
    """The page ``pages/<name>.py`` at ``/<name>``; nothing where the file is not there. hidden: the navigation does not name it."""
    path = ROOT / "pages" / f"{name}.py"
    if not path.is_file():
        return []
    return [
        st.Page(
            path,
            title=title,
            icon=ICONS[name],
            url_path=name,
            default=name == "home",
            visibility="hidden" if hidden else "visible",
            help=help_text,
        )
    ]


groups = {
    "": [
        *page("home", _("Home"), _("What this machine is, what runs, and the next step")),
        # Its way in is the input at the head of the sidebar.
        *page("search", _("Search"), _("Find anything: models, datasets, jobs, conversations, help"), hidden=True),
    ],
    _("Use"): [
        *page("chat", _("Chat"), _("Talk to a model that runs here")),
        *page("agent", _("Agent"), _("Let a model use tools, and see each of its steps")),
    ],
    _("Make"): [
        *page("datasets", _("Datasets"), _("Rows to teach a model with: import, examine, mend and export them")),
        *page("finetune", _("Fine-tune"), _("Teach a model with your rows: plan it, start it, watch it learn")),
        *page("quantize", _("Quantize"), _("Make a model smaller, and see measured what it costs")),
    ],
    _("Serve"): [
        *page("models", _("Models"), _("The models on this machine, and which of them answer now")),
        *page("deploy", _("Deploy"), _("Serve models to people and programs, and see how loaded the servers are")),
        *page("benchmark", _("Benchmark"), _("How fast a server answers under load, and which set-up is the best")),
    ],
    _("Prove"): [
        *page(
            "evaluate", _("Evaluate"), _("How good a model is on questions that you trust, and whether it is better")
        ),
    ],
    _("Machine"): [
        *page("memory", _("Memory"), _("Who uses the memory, when more is free, and what happened at any time")),
        *page("jobs", _("Jobs"), _("Everything that runs, waits or has ended")),
        *page(
            "environments",
            _("Environments"),
            _("The engines: install, test and repair them; is this machine all right"),
        ),
        *page("settings", _("Settings"), _("Language, address, keys and limits")),
    ],
    _("Learn"): [
        *page("course", _("Course"), _("From nothing to a model that knows its name, is smaller, and is proven so")),
    ],
}
chosen = st.navigation({title: pages for title, pages in groups.items() if pages}, expanded=True)
addresses = ["/" if entry.url_path == "" else f"/{entry.url_path}" for pages in groups.values() for entry in pages]

if st.session_state.get("page_shown") != chosen.url_path:
    # What went wrong on the page before is no news on this one.
    st.session_state["page_shown"] = chosen.url_path
    for name in [str(name) for name in st.session_state if str(name).endswith("_problem")]:
        del st.session_state[name]

try:
    search_box.draw(chosen.url_path)
    search_arriving.arrive(chosen.url_path)
    sidebar.draw(addresses)
    course_line.draw(chosen.url_path)
    chosen.run()
except PanelError as problem:
    errors.show(problem, key="page")
# The last place before a person: every defect becomes an error card, and a line in the log.
except Exception as defect:
    logging.getLogger("tunedeck").exception("page %s", chosen.url_path)
    errors.show_unexpected(defect, key="page")
