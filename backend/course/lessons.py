"""The course: six lessons in steps. Each is done on a real page, whose form opens filled in, and each leaves something in the workspace.

What a step is, stands here; whether it was done, :mod:`backend.course.watching`; what there is to notice then,
:mod:`backend.course.noticing`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from backend.compare import pairs
from backend.i18n import N_

Address = dict[str, str | list[str]]
STARTER = "starter"
QUESTIONS = "bundled"
"""The set that comes along: ``backend.evaluate.bundled.NAME``, which takes longer to load than a page may."""


@dataclass(frozen=True)
class Learner:
    """What the learner works with; empty or 0 where it is not there yet. base: model of the course. name: that the model was taught.
    tuned: model that learned it, small: its smaller copy. served, taught: jobs that served the base and that taught the name."""

    base: str
    name: str = ""
    dataset: str = ""
    tuned: str = ""
    small: str = ""
    served: int = 0
    taught: int = 0

    @property
    def best(self) -> str:
        """The model that goes out to programs: the smaller copy, else what there is."""
        return self.small or self.tuned or self.base

    @property
    def pupil(self) -> str:
        """The model that learned the name, else the base."""
        return self.tuned or self.base


@dataclass(frozen=True)
class Step:
    """lesson: number, from 1. title: verb and object. purpose: one sentence. todo: what to do there, in order. button: opens ``page``,
    ``{model}`` in it is that of ``about``. minutes: that it takes with the starter on a laptop; large: with a model of some billion weights
    on a GPU. All texts are English templates."""

    id: str
    lesson: int
    title: str
    purpose: str
    todo: tuple[str, ...]
    button: str
    page: str
    icon: str
    address: Callable[[Learner], Address]
    about: Callable[[Learner], str] = lambda learner: learner.base
    minutes: int = 1
    large: int = 2

    def takes(self, learner: Learner) -> int:
        """Minutes that it takes with the model of ``learner``."""
        return self.minutes if learner.base == STARTER else self.large


LESSONS = {
    1: N_("Talk to a model"),
    2: N_("Teach it a name"),
    3: N_("See what memory it takes"),
    4: N_("Make it smaller, and serve it"),
    5: N_("Give it a tool"),
    6: N_("Prove it"),
}


def _finetune(learner: Learner) -> Address:
    chosen = {"dataset": learner.dataset} if learner.dataset else {}
    return {"view": "new", "model": learner.base, **chosen, "purpose": "identity", "time": "minutes"}


def _memory(learner: Learner) -> Address:
    runs = [str(job) for job in (learner.served, learner.taught) if job]
    return {"view": "compare", **({"runs": ",".join(runs)} if runs else {})}


def _pair(learner: Learner) -> list[str]:
    return [learner.base, learner.tuned] if learner.tuned else [learner.base]


STEPS = (
    Step(
        "talk",
        1,
        N_("Ask the model something"),
        N_("Before you change a model, know how it answers as it is."),
        (
            N_(
                "Send “Who are you?” or anything else. The model starts by itself; the first answer takes a few seconds."
            ),
            N_("Look at the line under the answer: how many tokens, and how fast."),
        ),
        N_("Open Chat with {model}"),
        "chat",
        ":material/forum:",
        lambda learner: {"model": learner.base},
    ),
    Step(
        "rows",
        2,
        N_("Make rows that say who it is"),
        N_(
            "A model learns from rows: a question, and the answer that you want. They are written for you from a few facts."
        ),
        (
            N_("Type the name that the model shall have, and who made it."),
            N_("Read a few rows at the bottom, then press the button that makes the dataset."),
        ),
        N_("Open “Teach a name”"),
        "datasets",
        ":material/badge:",
        lambda _learner: {"view": "make", "kind": "name"},
    ),
    Step(
        "finetune",
        2,
        N_("Fine-tune the model with your rows"),
        N_(
            "Now it learns them. At the end the panel itself asks it questions that were held back, and tells whether it worked."
        ),
        (
            N_("All four questions are answered already. Read the plan at the right: steps, time, memory."),
            N_("Press the button that starts it. You can close the page meanwhile; it goes on."),
        ),
        N_("Open Fine-tune with {model}"),
        "finetune",
        ":material/school:",
        _finetune,
        minutes=5,
        large=30,
    ),
    Step(
        "both",
        2,
        N_("Ask both the same"),
        N_("The model before and after, side by side, with the same question."),
        (N_("Send “Who are you?” once; both answer."), N_("Then ask something that has nothing to do with its name.")),
        N_("Open both side by side"),
        "chat",
        ":material/compare:",
        lambda learner: {"view": "compare", "models": pairs.to_address(_pair(learner))},
        minutes=1,
    ),
    Step(
        "memory",
        3,
        N_("Compare the memory of serving and of teaching"),
        N_("What a model takes decides on which machine it runs. Every job was measured each second."),
        (
            N_("Two runs are laid over one another: the server that answered you, and the run that taught the name."),
            N_("Read the peak of each in the table, then save the comparison below it."),
        ),
        N_("Open the comparison of memory"),
        "memory",
        ":material/memory_alt:",
        _memory,
    ),
    Step(
        "quantize",
        4,
        N_("Quantize your model"),
        N_("Fewer bits for each weight: less disk, less memory, and maybe a little less exact."),
        (
            N_("A method is chosen. Read at the right what it comes to, then press the button that starts it."),
            N_("At the end a report card is measured; read its one sentence."),
        ),
        N_("Open Quantize with {model}"),
        "quantize",
        ":material/compress:",
        lambda learner: {"step": "method", "model": learner.pupil},
        lambda learner: learner.pupil,
        minutes=3,
        large=25,
    ),
    Step(
        "serve",
        4,
        N_("Serve your model"),
        N_(
            "Until now only you could talk to it. A server lets programs and colleagues use it, through this same port."
        ),
        (
            N_(
                "The model is chosen under “Start a server”, below the servers that run. Press the button that starts it."
            ),
            N_("Wait until it says that it is ready."),
        ),
        N_("Open Deploy with {model}"),
        "deploy",
        ":material/dns:",
        lambda learner: {"view": "servers", "model": learner.best},
        lambda learner: learner.best,
    ),
    Step(
        "python",
        4,
        N_("Call it from Python"),
        N_("The same address works for every program that knows the OpenAI API."),
        (
            N_("Make an API key there and copy the line that sets it into a terminal."),
            N_("Copy the example “openai”, or “curl”, and run it; its answer comes from your model."),
        ),
        N_("Open the examples for {model}"),
        "deploy",
        ":material/terminal:",
        lambda learner: {"view": "connect", "model": learner.best},
        lambda learner: learner.best,
        minutes=2,
    ),
    Step(
        "tool",
        5,
        N_("Let a model use the calculator"),
        N_("A model that guesses numbers is often wrong; with a tool it computes. You see each of its steps."),
        (
            N_("Send “Compute 17 * 23 with the calculator.”"),
            N_("Open the line over the answer: which tool it called, with what, and what came back."),
        ),
        N_("Open Agent with {model}"),
        "agent",
        ":material/smart_toy:",
        lambda learner: {"model": learner.base},
    ),
    Step(
        "evaluate",
        6,
        N_("Evaluate the base and your model"),
        N_(
            "It knows its name. Has it forgotten anything else? The same questions to both, and a difference with its interval."
        ),
        (
            N_("Both models and the bundled questions are chosen. Press the button that evaluates them."),
            N_("When both are done, compare the two runs."),
        ),
        N_("Open Evaluate with both models"),
        "evaluate",
        ":material/fact_check:",
        lambda learner: {"view": "run", "model": _pair(learner), "set": QUESTIONS},
        minutes=3,
        large=15,
    ),
)
BY_ID = {step.id: step for step in STEPS}


def number(step_id: str) -> int:
    """The place of a step, from 1; 0 for one that is not of this course."""
    return next((place for place, step in enumerate(STEPS, 1) if step.id == step_id), 0)
