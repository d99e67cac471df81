"""The guided course: a step is done where the workspace shows it, whatever a person says; and progress that outlives what it rests on."""

from __future__ import annotations

import asyncio
import gettext
import json
import os
import shutil
import time
from typing import Any

import pytest

from backend import catalog, i18n
from backend.catalog import Lineage
from backend.chat.conversations import Conversations
from backend.cli import main
from backend.course import noticing, progress, watching
from backend.course.learner import learner, proposed
from backend.course.lessons import BY_ID, LESSONS, QUESTIONS, STEPS, Learner, number
from backend.course.progress import FILE, Done
from backend.course.talks import words_in
from backend.data.store import Datasets
from backend.errors import WorkspaceError
from backend.evaluate import bundled
from backend.memory.machine import Gpu, Machine
from backend.queue.store import Store
from backend.servers import Server
from backend.web.gateway import Gateway
from backend.web.keys import Keys
from backend.workspace import ROOT, Workspace
from tests.support.coursework import DATASET, SMALL, TUNED, Coursework

LAPTOP = Machine("laptop", 2, 8 << 30, 4 << 30, None, None)
LONG_AGO = 1_600_000_000.0


@pytest.fixture
def work(workspace: Workspace, store: Store) -> Coursework:
    """Somebody who has begun the course."""
    progress.begin(workspace)
    return Coursework(workspace, store)


def seen(work: Coursework, *steps: str) -> dict[str, Done]:
    return watching.look(work.workspace, work.store, progress.read(work.workspace), steps or None)


def keep(work: Coursework) -> progress.Progress:
    return progress.note(work.workspace, seen(work))


# --- evidence


def test_what_really_happened_is_seen_step_by_step_and_nothing_before_it(work: Coursework) -> None:
    for place, step in enumerate(STEPS):
        before = keep(work)
        assert set(before.done) == {one.id for one in STEPS[:place]}
        assert before.next == step
        getattr(work, step.id)()
    after = keep(work)
    assert after.next is None
    assert [len(noticing.said(name, one)) for name, one in after.done.items()] == [2] * len(STEPS)


def test_nothing_from_before_the_course_counts(workspace: Workspace, store: Store) -> None:
    work = Coursework(workspace, store)
    work.everything()
    assert seen(work) == {}  # it has not begun
    os.utime(Datasets(workspace).folder / DATASET / "dataset.json")
    time.sleep(0.02)
    progress.begin(workspace)
    assert seen(work) == {}
    for step in ("finetune", "quantize"):  # with what there is, then
        progress.skip(workspace, step)
    assert seen(work) == {}


def test_the_figures_are_those_that_were_measured(work: Coursework) -> None:
    work.everything()
    done = keep(work).done
    said = {name: noticing.said(name, one)[0] for name, one in done.items()}
    assert said["talk"] == "It answered in 6 words; 41 tokens/s."
    assert said["rows"] == f"{Datasets(work.workspace).get(DATASET).current.rows:,} rows teach it the name Robin."
    assert said["finetune"] == "Its name is now Robin: 44 of 46 held-out questions, the base 0."
    assert said["both"] == "Asked “Who are you?”, starter says “I am starter.” and robin says “I am robin”."
    assert said["memory"] == "At the peak: starter 512.0 MiB, Teach 1.0 GiB."
    assert said["quantize"] == "21.4 MiB → 9.0 MiB on disk, 58 % less."
    assert said["python"] == f"A program with the key “notebook” asked {SMALL} and got its answer."
    assert said["tool"] == 'It called calculator with {"expression": "17 * 23"} and got 391.'
    assert "of 30 questions" in said["evaluate"]
    assert noticing.summary(done) == [said["finetune"], said["quantize"], said["evaluate"]]


def test_an_old_answer_in_a_conversation_that_goes_on_is_no_news(workspace: Workspace, store: Store) -> None:
    work = Coursework(workspace, store)
    old = work.talk()
    progress.begin(workspace)
    work.talk(state="failed", after=old)
    assert seen(work) == {}
    work.talk(after=old)
    assert seen(work)["talk"].facts["conversation"] == old


@pytest.mark.parametrize("state", ["failed", "stopped", "interrupted"])
def test_an_answer_that_did_not_come_to_its_end_is_no_conversation(work: Coursework, state: str) -> None:
    work.talk(state=state)
    assert seen(work) == {}


def test_rows_that_teach_no_name_and_a_run_with_them_do_not_count(work: Coursework) -> None:
    work.other_rows()
    work.finetune("sums")
    assert seen(work) == {}


@pytest.mark.parametrize("state", ["failed", "cancelled"])
def test_a_run_that_did_not_succeed_has_taught_nothing(work: Coursework, state: str) -> None:
    work.rows()
    work.finetune(state=state)
    assert list(seen(work)) == ["rows"]


def test_a_run_that_did_not_learn_the_name_is_not_praised(work: Coursework) -> None:
    work.rows()
    work.finetune(right=3)
    told = " ".join(noticing.said("finetune", seen(work)["finetune"]))
    assert "3 of 46 held-out questions right, the base 0" in told
    assert "Its name is now" not in told


def test_two_models_of_which_none_was_taught_or_one_that_failed_are_not_both(work: Coursework) -> None:
    work.rows()
    work.finetune()
    keep(work)
    work.both("starter", "other")
    work.both("starter", TUNED, states=("done", "failed"))
    assert seen(work) == {}
    work.both("starter", f"{TUNED}-adapter")
    assert list(seen(work)) == ["both"]


def test_a_server_of_another_model_or_one_that_is_still_loading_is_not_it(work: Coursework) -> None:
    progress.note(work.workspace, {"quantize": Done(time.time(), {"model": SMALL})})
    work.serve("starter")
    work.serve(SMALL, phase="load")
    assert seen(work) == {}
    job = work.serve(SMALL)
    assert seen(work)["serve"].facts["job"] == job


def test_the_server_of_the_first_chat_is_not_taken_for_the_model_that_is_still_to_be_made(work: Coursework) -> None:
    work.talk()
    work.serve("starter")
    work.both("starter", "other")
    work.evaluate("other", right=0.9)
    assert list(seen(work)) == ["talk"]
    for step in ("finetune", "quantize"):  # who makes none, goes on with what there is
        progress.skip(work.workspace, step)
    assert list(seen(work)) == ["talk", "both", "serve", "evaluate"]


def test_a_copy_of_another_model_is_not_the_smaller_one(work: Coursework) -> None:
    progress.note(work.workspace, {"finetune": Done(time.time(), {"model": "mine"})})
    work.quantize()
    assert seen(work) == {}
    progress.restart(work.workspace)
    progress.note(work.workspace, {"finetune": Done(time.time(), {"model": TUNED})})
    work.quantize()
    assert seen(work)["quantize"].facts["model"] == SMALL


def test_a_tool_that_failed_or_an_agent_that_never_answered_has_used_none(work: Coursework) -> None:
    work.tool("failed")
    work.tool(turn_state="failed")
    assert seen(work) == {}


def test_evaluations_of_other_questions_or_of_one_model_alone_prove_nothing(work: Coursework) -> None:
    progress.note(work.workspace, {"finetune": Done(time.time(), {"model": TUNED, "base": "starter"})})
    work.evaluate("other")
    assert seen(work) == {}
    one, two = work.evaluate(set_version="ffff", right=0.9)
    assert seen(work)["evaluate"].facts["runs"] == [one, two]


@pytest.mark.parametrize("damaged", ["chat.db", "compare.db", "agent.db"])
def test_a_damaged_file_shows_nothing_and_stays_as_it_is(work: Coursework, damaged: str) -> None:
    path = work.workspace.root / damaged
    path.write_bytes(b"no database " * 400)
    assert seen(work) == {}
    assert path.read_bytes() == b"no database " * 400


def test_a_look_makes_no_file(work: Coursework) -> None:
    before = sorted(work.workspace.root.rglob("*"))
    assert seen(work) == {}
    assert sorted(work.workspace.root.rglob("*")) == before


# --- the gateway


class _Answering:
    """A model's server at the other side of the gateway, which answers with ``status``."""

    def __init__(self, status: int) -> None:
        self.status = status

    async def relay(self, _server: Server, _path: str, _body: bytes, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def close(self) -> None:
        """Nothing is open."""


class _Running:
    """One server called ``stub``."""

    async def server(self, name: str) -> Server:
        return Server(1, name, "http://127.0.0.1:1/v1", "k")

    async def ready(self) -> list[Server]:
        return []


def ask(workspace: Workspace, text: str, status: int) -> None:
    async def call() -> None:
        gateway = Gateway(Keys(workspace), _Running(), upstream=_Answering(status))  # type: ignore[arg-type]
        headers = [(b"authorization", f"Bearer {text}".encode())]
        scope = {"type": "http", "path": "/v1/chat/completions", "method": "POST", "headers": headers}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b'{"model": "stub"}'}

        async def send(_message: Any) -> None:
            """To nobody."""

        await gateway(scope, receive, send)
        if gateway._saving is not None:
            await gateway._saving

    asyncio.run(call())


def test_a_program_that_got_an_answer_is_known_at_once_and_one_that_got_an_error_is_not(work: Coursework) -> None:
    _key, text = Keys(work.workspace).create("notebook")
    ask(work.workspace, text, 500)
    ask(work.workspace, "td-wrong", 200)
    assert seen(work) == {}
    ask(work.workspace, text, 200)
    assert seen(work)["python"].facts == {"key": "notebook", "model": "stub"}


def test_many_answers_are_not_written_one_by_one(workspace: Workspace) -> None:
    keys = Keys(workspace)
    _key, text = keys.create("load")
    key = keys.check(text)
    assert key is not None
    assert [keys.note_answer(key, "stub") for _n in range(50)] == [True] + [False] * 49


# --- progress


def test_what_was_seen_stays_when_what_it_rested_on_is_deleted(work: Coursework) -> None:
    conversation = work.talk()
    work.rows()
    job = work.finetune()
    said = {name: noticing.said(name, one) for name, one in keep(work).done.items()}
    Conversations(work.workspace).delete(conversation)
    work.store.delete(job)
    shutil.rmtree(work.workspace.datasets)
    now = progress.read(work.workspace)
    assert {name: noticing.said(name, one) for name, one in now.done.items()} == said
    assert now.next == BY_ID["both"]
    assert learner(work.workspace, work.store, now, LAPTOP).taught == 0  # no way to a job that is gone


def test_a_step_is_kept_as_it_was_seen_first_beside_those_that_follow(workspace: Workspace) -> None:
    progress.note(workspace, {"talk": Done(1.0, {"words": 3})})
    progress.note(workspace, {"rows": Done(2.0)})
    now = progress.note(workspace, {"talk": Done(3.0, {"words": 9})})
    assert now.done == {"talk": Done(1.0, {"words": 3}), "rows": Done(2.0)}
    assert progress.read(workspace) == now


def test_a_skipped_step_is_passed_over_and_counts_when_it_is_done_after_all(work: Coursework) -> None:
    progress.skip(work.workspace, "talk")
    assert progress.read(work.workspace).next == BY_ID["rows"]
    work.talk()
    assert "talk" in keep(work).done
    progress.skip(work.workspace, "rows")
    assert progress.skip(work.workspace, "rows", again=True).next == BY_ID["rows"]


@pytest.mark.parametrize("text", ["{", "[1]", '"x"', "\ud800".encode("utf-16", "surrogatepass"), "[" * 5000])
def test_a_damaged_file_is_kept_beside_and_said_once(workspace: Workspace, text: str | bytes) -> None:
    data = text.encode() if isinstance(text, str) else text
    (workspace.root / FILE).write_bytes(data)
    found = progress.read(workspace)
    assert found.began
    assert found.notice
    assert found.notice["code"] == "course_damaged"
    (kept,) = workspace.root.glob(f"{FILE}.damaged-*")
    assert kept.read_bytes() == data
    assert str(kept) in str(found.notice["params"])
    assert progress.read(workspace).notice == found.notice  # until it was read
    assert progress.dismiss(workspace).notice is None
    assert progress.read(workspace).began == found.began


def test_a_file_of_strange_types_is_read_as_far_as_it_makes_sense(workspace: Workspace) -> None:
    strange = {"began": True, "model": 7, "skipped": ["talk", "nonsense", 3], "at": [], "notice": 1}
    done = {"rows": {"when": "x", "facts": []}, "nonsense": {"when": 1}, "both": 4}
    (workspace.root / FILE).write_text(json.dumps({**strange, "done": done}))
    found = progress.read(workspace)
    assert (found.began, found.model, found.skipped, list(found.done)) == (0.0, "", ("talk",), ["rows"])
    assert noticing.said("rows", found.done["rows"]) == ["It was done; the figures of it were not kept."]


def test_a_disk_that_cannot_be_written_is_said_and_breaks_no_look(work: Coursework) -> None:
    work.talk()
    found = seen(work)
    shutil.rmtree(work.workspace.run)
    work.workspace.run.write_text("")  # whoever is root writes into any folder, but into no file
    with pytest.raises((WorkspaceError, OSError)):
        progress.note(work.workspace, found)
    assert progress.read(work.workspace).done == {}


def test_beginning_again_forgets_the_progress_and_keeps_the_model(work: Coursework) -> None:
    work.talk()
    progress.choose(work.workspace, "big")
    before = keep(work)
    now = progress.restart(work.workspace)
    assert (dict(now.done), now.model) == ({}, "big")
    assert now.began > before.began
    assert seen(work) == {}  # the old conversation is there, and is no news


def test_who_left_long_ago_is_not_on_the_way_any_more(work: Coursework) -> None:
    assert progress.leave_for(work.workspace, "rows").away == BY_ID["rows"]
    data = json.loads((work.workspace.root / FILE).read_text())
    data["at"]["when"] = LONG_AGO
    (work.workspace.root / FILE).write_text(json.dumps(data))
    assert progress.read(work.workspace).away is None
    assert progress.leave_for(work.workspace, "").away is None


# --- the model


def machine(gib: float) -> Machine:
    gpu = Gpu(0, "GPU-1", "H100", int(gib * 2**30), int(gib * 2**30), 0.0)
    return Machine("server", 16, 1 << 37, 1 << 37, None, None, (gpu,))


def test_a_laptop_gets_the_starter_and_a_gpu_the_newest_model_that_fits(workspace: Workspace, store: Store) -> None:
    assert proposed(workspace, machine(80)) == "starter"
    for name in ("older", "newer"):
        shutil.copytree(ROOT / "models" / "starter", workspace.root / name)
        (workspace.root / name / "tunedeck.json").unlink(missing_ok=True)
        catalog.add(workspace, workspace.root / name, name=name)
        time.sleep(0.02)
    assert proposed(workspace, LAPTOP) == "starter"
    assert proposed(workspace, machine(80)) == "newer"
    assert proposed(workspace, machine(0.001)) == "starter"
    chosen = progress.choose(workspace, "older")
    assert learner(workspace, store, chosen, machine(80)).base == "older"
    gone = progress.choose(workspace, "gone")
    assert learner(workspace, store, gone, LAPTOP).base == "starter"


def test_a_model_that_was_made_before_is_found_by_its_lineage(workspace: Workspace, store: Store) -> None:
    for number_, (name, verb, base) in enumerate(
        [("mine", "finetune", "starter"), ("mine-small", "quantize", "mine")], 1
    ):
        folder = shutil.copytree(ROOT / "models" / "starter", workspace.root / name)
        catalog.receive(workspace, folder, name=name, lineage=Lineage(job=number_, verb=verb, base=base))
    found = learner(workspace, store, progress.read(workspace), LAPTOP)
    assert (found.tuned, found.small, found.best) == ("mine", "mine-small", "mine-small")


def test_each_step_opens_a_page_that_there_is_with_its_form_filled_in() -> None:
    mine = Learner("starter", "Robin", "Robin", "mine", "mine-small", 3, 7)
    found = {step.id: (step.page, step.address(mine)) for step in STEPS}
    assert all((ROOT / "pages" / f"{page}.py").is_file() for page, _address in found.values())
    assert found["finetune"][1]["dataset"] == "Robin"
    assert found["both"][1] == {"view": "compare", "models": "starter,mine"}
    assert found["memory"][1] == {"view": "compare", "runs": "3,7"}
    assert found["quantize"][1] == {"step": "method", "model": "mine"}
    assert found["python"][1] == {"view": "connect", "model": "mine-small"}
    assert found["evaluate"][1] == {"view": "run", "model": ["starter", "mine"], "set": bundled.NAME}
    assert bundled.NAME == QUESTIONS
    assert [number(step.id) for step in STEPS] == list(range(1, len(STEPS) + 1))
    assert sorted({step.lesson for step in STEPS}) == sorted(LESSONS)


# --- words


def test_words_are_counted_in_both_languages() -> None:
    assert words_in("I'm Starter, a small model. 3.5 is a number!") == 9
    assert words_in("我是小雨。") == 4
    assert words_in("") == 0


class _Chinese(gettext.NullTranslations):
    """A catalogue of one text."""

    def ngettext(self, singular: str, plural: str, n: int) -> str:
        return "它用 {n} 个字回答；{speed} 词元/秒。" if singular.startswith("It answered") else plural


def test_the_same_progress_reads_in_another_language(work: Coursework, monkeypatch: pytest.MonkeyPatch) -> None:
    work.talk()
    done = keep(work).done["talk"]
    english = noticing.said("talk", done)
    known = {"en": gettext.NullTranslations(), "zh_CN": _Chinese()}
    monkeypatch.setattr(i18n, "_catalogue", known.__getitem__)
    i18n.use("zh_CN")
    assert noticing.said("talk", progress.read(work.workspace).done["talk"])[0] == "它用 6 个字回答；41 词元/秒。"
    i18n.use("en")
    assert noticing.said("talk", progress.read(work.workspace).done["talk"]) == english


def test_the_command_shows_what_the_page_shows(work: Coursework, capsys: pytest.CaptureFixture[str]) -> None:
    work.talk()
    progress.skip(work.workspace, "rows")
    assert main(["course", "show", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["next"] == "finetune"
    assert [step["state"] for step in told["steps"][:3]] == ["done", "skipped", "open"]
    assert told["steps"][0]["facts"]["model"] == "starter"
    assert main(["course", "show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2 of 10 steps · With the model starter"
    assert (
        "      It answered in 6 words; 41 tokens/s. Remember how it introduced itself: the next steps change that."
        not in lines
    )
    assert "      It answered in 6 words; 41 tokens/s." in lines
