"""The steps of the course as they lie in a workspace when somebody has done them, written through the panel's own modules."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import asdict, replace
from typing import Any

from backend.agent.calls import Call
from backend.agent.options import Options
from backend.agent.records import Called
from backend.agent.store import AgentStore
from backend.chat.answers import Answers
from backend.chat.conversations import Conversations
from backend.chat.params import ChatParams
from backend.compare.comparisons import Comparisons
from backend.compare.records import Contender
from backend.data.make import identity
from backend.data.make.identity import IdentityWish
from backend.evaluate.store import open_runs
from backend.finetune import proof
from backend.finetune.proof_records import Answer, Proof, part
from backend.memory import comparisons
from backend.memory.compare import compare
from backend.memory.series import open_memory
from backend.quantize import report
from backend.queue import lifecycle
from backend.queue.store import Store
from backend.web.keys import Keys
from backend.workspace import Workspace
from tests.support import by_hand, report_cards
from tests.support.datasets import keep, row
from tests.support.evaluated import evaluated
from tests.support.handmade_run import HandmadeRun
from tests.support.recorded_runs import Runs, served
from tests.support.talk import living

DATASET, TUNED, SMALL = "Robin", "robin", "robin-gptq"


class Coursework:
    """One person who does what the steps ask for."""

    def __init__(self, workspace: Workspace, store: Store) -> None:
        self.workspace, self.store = workspace, store

    def everything(self) -> None:
        """All steps, in their order."""
        for step in ("talk", "rows", "finetune", "both", "memory", "quantize", "serve", "python", "tool", "evaluate"):
            getattr(self, step)()

    def talk(
        self, model: str = "starter", answer: str = "I am Starter, a small model.", state: str = "done", after: str = ""
    ) -> str:
        """A question and its answer, in a new conversation or in ``after``; returns the conversation."""
        with closing(Conversations(self.workspace)) as talks, living(talks, "p"):
            answers = Answers(talks)
            _asked, reply = answers.ask(after or None, "Who are you?", model=model, params=ChatParams(), owner="p")
            assert answers.finish(reply.id, "p", state, answer, completion_tokens=12, tokens_s=41.2)
            return reply.conversation

    def rows(self, name: str = "Robin") -> None:
        """A dataset that teaches ``name``."""
        wish = IdentityWish(name=name, maker="Example Labs", languages=("en",))
        made = identity.rows(wish)
        keep(self.workspace, DATASET, made, steps=[{"do": "identity", **asdict(wish)}], made_from=[])

    def other_rows(self, name: str = "sums") -> None:
        """A dataset that teaches no name."""
        keep(self.workspace, name, [row("1+1?", "2")])

    def finetune(self, dataset: str = DATASET, right: int = 44, n: int = 46, state: str = "succeeded") -> int:
        """A run that taught it, and its proof; the job."""
        run = HandmadeRun(self.store, model="starter", dataset=dataset)
        run.begin()
        answers = [Answer("questions", "en", f"Who {k}?", "Robin", "no", "Robin", False, k < right) for k in range(n)]
        verdicts = ("learned",) if right > n // 2 else ("no_difference",)
        proof.write(run.dir, Proof(verdicts=verdicts, questions=part("test", answers, n), made=time.time()))
        run.end(state, result={"model": TUNED, "adapter": f"{TUNED}-adapter"})
        return run.row.id

    def both(self, *models: str, states: tuple[str, str] = ("done", "done")) -> None:
        """The same question to two models."""
        told = Comparisons(self.workspace)
        columns = told.columns
        with closing(columns), living(columns, "p"):
            names = models or ("starter", TUNED)
            comparison = told.create([Contender(name) for name in names], seed=1)
            turn, answers = told.add_turn(comparison.id, "Who are you?", 1), Answers(columns)
            for place, (name, column) in enumerate(zip(names, comparison.columns, strict=True)):
                _asked, reply = answers.ask(column, "Who are you?", model=name, params=ChatParams(), owner="p")
                assert answers.finish(reply.id, "p", states[place], f"I am {name}.")
                told.set_answer(turn, place, reply.id)

    def memory(self, name: str = "talking and teaching") -> None:
        """The memory of two runs, compared and saved."""
        record = open_memory(self.workspace)
        try:
            runs = Runs(self.store, record, time.time() - 60)
            ids = [
                runs.add("starter", [0.4, 0.5, 0.5], events=served()),
                runs.add("Teach", [0.7, 1.0], verb="finetune"),
            ]
            comparisons.save(self.workspace, compare(self.store, record, ids), name)
        finally:
            record.close()

    def quantize(self) -> int:
        """A smaller copy and its report card; the job."""
        run = HandmadeRun(self.store, verb="quantize", model=TUNED)
        run.begin()
        copy = report_cards.copy(SMALL, size=9.0 * 2**20)
        card = report_cards.made(copy)
        big = replace(
            card.models[0],
            cells=tuple(replace(c, value=21.4 * 2**20) if c.name == "size_bytes" else c for c in card.models[0].cells),
        )
        report.write(run.dir, replace(card, models=(big, *card.models[1:])))
        run.end("succeeded", result={"model": SMALL})
        return run.row.id

    def serve(self, model: str = SMALL, phase: str = "ready") -> int:
        """A server that says that it is ready; the job."""
        row_ = by_hand.running(self.store, "serve", {"model": model}, title=model)
        lifecycle.note_progress(self.store, row_.id, 1, {"t": time.time(), "phase": phase}, 3.0)
        return row_.id

    def python(self, model: str = SMALL) -> None:
        """A program that got an answer through the gateway."""
        keys = Keys(self.workspace)
        _key, text = keys.create("notebook")
        key = keys.check(text)
        assert key is not None
        assert keys.note_answer(key, model)
        keys.save_used()

    def tool(self, state: str = "done", *, turn_state: str = "done") -> None:
        """An agent that called the calculator."""
        with closing(AgentStore(self.workspace)) as agents:
            turn = agents.ask(None, "Compute 17 * 23.", model="starter", options=Options())
            assert agents.begin(turn.id)
            call = Called(Call("calculator", {"expression": "17 * 23"}), state, "391")
            agents.save(replace(agents.begin_step(turn.id, 0), state="done", calls=(call,)))
            agents.end(turn.id, turn_state, answer="17 * 23 is 391.")

    def evaluate(self, tuned: str = TUNED, *, right: float = 0.6, **more: Any) -> tuple[int, int]:
        """Base and tuned model on the same questions; the runs."""
        with closing(open_runs(self.workspace)) as runs:
            one = evaluated(runs, "starter", right=0.6, began=time.time(), **more)
            return one, evaluated(runs, tuned, right=right, began=time.time(), **more)
