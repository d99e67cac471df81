"""Pages of the panel, their parts, and the fields of the Settings page: found by their names and by what they are for.

Names and sentences are those that the pages show. They are found in English, too, whatever language a person reads: notes and colleagues may
name them so.
"""

from __future__ import annotations

from collections.abc import Iterator

from backend.i18n import N_, _
from backend.search.sources import Sources
from backend.search.things import Thing

Place = tuple[str, dict[str, str], str, str]
"""(page, address, name, what it is for)."""

PAGES: tuple[Place, ...] = (
    ("home", {}, N_("Home"), N_("What this machine is, what runs, and the next step")),
    ("chat", {}, N_("Chat"), N_("Talk to a model that runs here")),
    ("agent", {}, N_("Agent"), N_("Let a model use tools, and see each of its steps")),
    ("datasets", {}, N_("Datasets"), N_("Rows to teach a model with: import, examine, mend and export them")),
    ("finetune", {}, N_("Fine-tune"), N_("Teach a model with your rows: plan it, start it, watch it learn")),
    ("quantize", {}, N_("Quantize"), N_("Make a model smaller, and see measured what it costs")),
    ("models", {}, N_("Models"), N_("The models on this machine, and which of them answer now")),
    ("deploy", {}, N_("Deploy"), N_("Serve models to people and programs, and see how loaded the servers are")),
    (
        "benchmark",
        {},
        N_("Benchmark"),
        N_("How fast a server answers under load, and which set-up is the best"),
    ),
    (
        "evaluate",
        {},
        N_("Evaluate"),
        N_("How good a model is on questions that you trust, and whether it is better"),
    ),
    ("memory", {}, N_("Memory"), N_("Who uses the memory, when more is free, and what happened at any time")),
    ("jobs", {}, N_("Jobs"), N_("Everything that runs, waits or has ended")),
    (
        "environments",
        {},
        N_("Environments"),
        N_("The engines: install, test and repair them; is this machine all right"),
    ),
    ("settings", {}, N_("Settings"), N_("Language, address, keys and limits")),
    ("course", {}, N_("Course"), N_("From nothing to a model that knows its name, is smaller, and is proven so")),
)
PARTS: tuple[Place, ...] = (
    (
        "chat",
        {"view": "compare"},
        N_("Models side by side"),
        N_("Ask several models the same, and see how their answers differ"),
    ),
    ("datasets", {"view": "import"}, N_("Import"), N_("Get rows in from a file, a folder or an upload")),
    ("datasets", {"view": "make"}, N_("Make"), N_("Rows from a name, a role, documents or your chats")),
    ("models", {"view": "add"}, N_("Add a folder"), N_("A model that lies on this machine already")),
    ("models", {"view": "download"}, N_("Download"), N_("Models from Hugging Face and ModelScope")),
    ("finetune", {"view": "runs"}, N_("Runs"), N_("Trainings: their curves, checkpoints and results")),
    ("deploy", {"view": "connect"}, N_("Connect"), N_("Address, key and an example for a program")),
    (
        "benchmark",
        {"view": "matrix"},
        N_("Compare set-ups"),
        N_("Several set-ups of a model, measured one after another"),
    ),
    ("evaluate", {"view": "compare"}, N_("Compare"), N_("Models on the same questions, side by side")),
    ("evaluate", {"view": "sets"}, N_("Question sets"), N_("What can be asked, and how to bring more")),
    ("memory", {"view": "past"}, N_("The past"), N_("Who had the memory at any time")),
    ("memory", {"view": "compare"}, N_("Compare"), N_("The memory of runs laid over one another")),
    ("environments", {"view": "machine"}, N_("This machine"), N_("What the doctor finds: GPUs, driver, disk, memory")),
    ("environments", {"view": "log"}, N_("Explain a log"), N_("Why something failed, in plain words, and what helps")),
)
FIELDS: tuple[Place, ...] = tuple(
    ("settings", {}, name, about)
    for name, about in (
        (N_("How to get in"), N_("The panel's address, its login link, and the ssh line")),
        (N_("API keys"), N_("Keys for programs that use the models that run here")),
        (N_("Environments of engines"), N_("Where engines are installed, and from which package index")),
        (N_("Language for new visitors"), N_("Where a person chose a language in the sidebar, that choice stays.")),
        (N_("Model hubs"), N_("Access tokens and mirrors of Hugging Face and ModelScope")),
        (
            N_("Jobs that compute on the processor at once"),
            N_("Each such job takes one slot; the others wait. More slots than half the cores make every job slower."),
        ),
        (
            N_("Seconds a cancelled job has to save its work"),
            N_("After that it is told to stop at once. A training saves its last checkpoint in this time."),
        ),
        (
            N_("Seconds before a job that does not stop is killed"),
            N_("They count from the moment it was told to stop at once. A killed job saves nothing more."),
        ),
        (
            N_("Workspace"),
            N_("Everything that TuneDeck knows lies in this folder: jobs, conversations, settings, keys."),
        ),
    )
)


def places(_sources: Sources) -> Iterator[Thing]:
    """All of them."""
    titles = {page: name for page, _address, name, _about in PAGES}
    for kind, known in (("page", PAGES), ("part", PARTS), ("field", FIELDS)):
        for page, address, name, about in known:
            title = _(name) if kind == "page" else f"{_(titles[page])} › {_(name)}"
            more = {"place": kind}
            yield Thing(
                f"{page}/{name}", title, _(about), page, dict(address), text=f"{titles[page]} {name} {about}", more=more
            )
