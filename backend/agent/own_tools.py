"""The tools that come with the panel, as people see them. How each works, and what models are told: ``jobs/agent/tools/``."""

from __future__ import annotations

from dataclasses import dataclass

from backend.i18n import N_


@dataclass(frozen=True)
class OwnTool:
    """name: as models call it. network: reaches other machines."""

    name: str
    title: str
    purpose: str
    icon: str
    network: bool = False


CALCULATOR = OwnTool(
    "calculator",
    N_("Calculator"),
    N_("Works out arithmetic exactly: percentages, powers, roots, logarithms, angles."),
    ":material/calculate:",
)
PYTHON = OwnTool(
    "python",
    N_("Python"),
    N_("Runs short programs that the model writes: shut in, without network, in a folder of their own."),
    ":material/terminal:",
)
OWN_TEXTS = OwnTool(
    "own_texts",
    N_("Own documents and datasets"),
    N_("Searches your datasets and documents, and says where each passage stands."),
    ":material/find_in_page:",
)
PANEL_STATUS = OwnTool(
    "panel_status",
    N_("Panel status"),
    N_("Tells what runs and waits here, which servers are up, and who has the memory. It changes nothing."),
    ":material/monitor_heart:",
)
ARXIV = OwnTool(
    "arxiv_search",
    N_("arXiv search"),
    N_("Finds papers on arXiv.org: title, authors, date, summary and links."),
    ":material/school:",
    network=True,
)
WEB_PAGE = OwnTool(
    "web_page",
    N_("Web page"),
    N_("Reads a page of the web, from hosts that you allow."),
    ":material/language:",
    network=True,
)
OWN = (CALCULATOR, PYTHON, OWN_TEXTS, PANEL_STATUS, ARXIV, WEB_PAGE)
BY_NAME = {tool.name: tool for tool in OWN}
