"""Whether a fine-tuning worked, asked of the real starter and of real adapters on it."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers.utils import logging

from backend.data.make import identity as make
from backend.data.rows import Row
from backend.data.store import Datasets
from backend.data.tokens import mask
from backend.data.tokens.model import open_model
from backend.finetune import files, general, proof
from backend.finetune import plan as planning
from backend.finetune.plan import Plan
from backend.finetune.scoring import Question, right
from backend.specs.finetune import FinetuneSpec
from backend.workspace import ROOT, Workspace
from jobs.finetuning import asking, devices, exam, proving
from jobs.finetuning.types import Trained
from jobs.harness import Job, Stopped
from jobs.starter import evaluate, identity
from jobs.starter.dialogue import Dialogue, Lang
from tests.support import datasets, homes, lora
from tests.support.finetune_jobs import run

pytestmark = pytest.mark.timeout(400)  # whoever is first waits for a training of its own

STARTER = ROOT / "models" / "starter"
LANGS: tuple[Lang, Lang] = ("en", "zh")
SHORT: dict[str, Any] = {
    "model": str(STARTER),
    "dataset": "Nova",
    "max_length": 256,
    "accumulation": 1,
    "max_steps": 60,
    "learning_rate": 2e-3,
    "lora_rank": 16,
    "lora_alpha": 32,
    "lora_dropout": 0.0,
    "target_modules": ["gate_proj", "up_proj", "down_proj"],
    "replay": 0.3,
    "own_replay": False,
    "eval_every": 60,
    "save_every": 60,
    "sample_every": 60,
}
FOREVER = float("inf")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that learned the name Nova, by a short training."""
    home = tmp_path_factory.mktemp("taught")
    with homes.working_on(home / "workspace") as workspace:
        datasets.keep(workspace, "Nova", make.rows(make.IdentityWish(name="Nova", maker="Example Labs")))
        run(home / "job", **SHORT)
    return home / "job" / files.ADAPTER


@pytest.fixture(scope="module")
def starter() -> asking.Asker:
    """The starter as it is asked."""
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    spec = FinetuneSpec(model="starter", dataset="none", device="cpu")
    return asking.Asker(asking.load(str(STARTER), devices.settle(spec)), open_model(STARTER))


@pytest.fixture
def few_general(monkeypatch: pytest.MonkeyPatch) -> None:
    """A general slice of forty questions: enough for a verdict, and quick."""
    some = general.everything()[:40]
    monkeypatch.setattr(general, "everything", lambda: some)


def asked_for_the_name(number: int) -> list[Row]:
    """Held-out rows in ``number`` unseen wordings a language, of which an answer has to hold the name."""
    return [
        datasets.row(
            one.turns[0][1],
            one.answer,
            split="test",
            lineage={"intent": "name", "language": lang, "expect": ["Nova"]},
        )
        for lang in LANGS
        for one in identity.asked(lang, "Nova", "Example Labs", number)
    ]


def planned(workspace: Workspace, rows: list[Row], **fields: Any) -> Plan:
    """The plan of a training on ``rows``."""
    learned = [
        datasets.row(f"Who stands before me, number {n}?", f"I am Nova, visitor {n}.")  # all differ, as a plan wants it
        for n in range(40)
    ]
    datasets.keep(workspace, "Names", [*learned, *rows])
    spec = FinetuneSpec(**{"model": "starter", "dataset": "Names", "device": "cpu", "validation_share": 0.3, **fields})
    found = planning.plan(workspace, spec)
    assert found.runs, [fault.sentence() for fault in found.faults]
    return found


def job(plan: Plan, folder: Path) -> Job:
    folder.mkdir(exist_ok=True)
    return Job(plan.spec, folder)


def trained(adapter: Path | None, model: Path | None = None) -> Trained:
    return Trained(adapter, model, 40, 40, 0.5, 0.6)


def test_a_name_that_was_learned_is_proven(workspace: Workspace, tmp_path: Path, taught: Path) -> None:
    plan = planned(workspace, asked_for_the_name(20))
    found = proving.prove(job(plan, tmp_path / "job"), plan, trained(taught), None)
    assert found is not None
    assert found.problem is None
    assert found.verdicts[0] in ("learned", "learned_a_little")
    questions = found.questions
    assert questions is not None
    assert questions.tally is not None
    assert (questions.split, questions.asked, questions.tally.n, questions.tally.base) == ("test", 40, 40, 0)
    assert questions.tally.low > 0.1
    assert set(questions.languages) == {"en", "zh"}
    assert sum(one.tuned for one in questions.languages.values()) == questions.tally.tuned
    told = [one for one in found.answers if one.part == "questions" and one.tuned_right]
    assert len(told) == questions.tally.tuned
    assert all(("nova" in one.tuned.casefold() and "TuneDeck" in one.base) or one.base for one in told)
    assert found.loss is not None
    assert found.loss.split == "validation"
    assert found.loss.rows == 12  # of 40, three tenths were held out
    assert found.loss.tuned < found.loss.base
    assert found.general is not None
    assert found.general.tally is not None
    assert found.general.tally.n == len(general.everything())
    assert found.general.tally.base > 0.8 * found.general.tally.n
    assert proof.read(tmp_path / "job") == found
    events = [json.loads(line) for line in (tmp_path / "job" / "events.jsonl").read_text().splitlines()]
    steps = [(one["step"], one["total"]) for one in events if one.get("step")]
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]


@pytest.mark.usefixtures("few_general")
def test_a_model_that_lost_its_mind_is_worse_and_forgot(workspace: Workspace, tmp_path: Path) -> None:
    # Rows that do not say what an answer has to hold: their own short answers are looked for.
    known = [one for one in general.everything() if one.language == "en"][:16]
    other = [datasets.row(one.asked + " Please.", one.expected, split="test") for one in known]
    plan = planned(workspace, other)
    adapter = lora.noisy(tmp_path / "adapter", STARTER)
    found = proving.prove(job(plan, tmp_path / "job"), plan, trained(adapter), None)
    assert found is not None
    assert found.verdicts == ("worse", "forgot")
    assert found.loss is not None
    assert found.loss.tuned > found.loss.base
    said = " ".join(proof.sentences(found))
    assert "On what it was taught, it is worse than its base." in said
    assert "help against forgetting" in said


@pytest.mark.usefixtures("few_general")
def test_a_whole_model_that_is_its_base_makes_no_difference(workspace: Workspace, tmp_path: Path) -> None:
    plan = planned(workspace, asked_for_the_name(8), method="full")
    found = proving.prove(job(plan, tmp_path / "job"), plan, trained(None, STARTER), None)
    assert found is not None
    assert found.verdicts == ("no_difference",)
    assert all(one.base == one.tuned for one in found.answers)
    assert found.loss is not None
    assert found.loss.tuned == found.loss.base
    said = " ".join(proof.sentences(found))
    # 39 of 40 each: Newcombe's interval of a difference of nothing
    assert "No forgetting can be shown; a drop of up to 10 points would not have been seen." in said, said


@pytest.mark.usefixtures("few_general")
def test_without_test_rows_the_validation_rows_are_asked(workspace: Workspace, tmp_path: Path) -> None:
    plan = planned(workspace, [])
    asked = exam.make(tmp_path, plan, open_model(STARTER), 4096)
    assert (asked.split, asked.rows_split, asked.there["questions"]) == ("validation", "validation", 12)
    learned = set((tmp_path / "rows" / "train.jsonl").read_text().splitlines())
    assert len(learned) == 28
    assert not [one for one in asked.asked if one.part == "questions" and any(one.question.asked in s for s in learned)]
    kinds = [one.part for one in asked.asked[:24]]
    assert kinds.count("questions") == kinds.count("general") == 12
    assert exam.make(tmp_path, plan, open_model(STARTER), 4096) == asked


def test_a_dataset_that_was_deleted_in_mid_run_is_still_asked(workspace: Workspace, tmp_path: Path) -> None:
    plan = planned(workspace, asked_for_the_name(8))
    before = exam.make(tmp_path, plan, open_model(STARTER), 4096)
    Datasets(workspace).delete("Names")
    assert exam.make(tmp_path, plan, open_model(STARTER), 4096) == before
    assert before.there["questions"] == 16


def test_an_adapter_that_is_gone_costs_the_proof_and_not_the_run(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proving, "BASE_S", 0.0)
    plan = planned(workspace, asked_for_the_name(2))
    assert proving.prove(job(plan, tmp_path / "job"), plan, trained(tmp_path / "nowhere"), None) is None
    found = proof.read(tmp_path / "job")
    assert found is not None
    assert found.problem is not None
    assert found.problem["code"] == "proof_failed"
    said = capsys.readouterr().out
    assert "not checked whether it worked: Whether it worked could not be checked: FileNotFoundError" in said
    assert "nowhere/adapter_model.safetensors" in said


def test_a_disk_that_is_full_costs_the_proof_and_not_the_run(
    workspace: Workspace, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(workspace, [])
    folder = tmp_path / "job"
    one = job(plan, folder)
    (folder / files.PROOF).mkdir()  # nothing can take its place, as on a disk that is full
    monkeypatch.setattr(proving, "_proved", lambda *_: proof.Proof())
    assert proving.prove(one, plan, trained(None, STARTER), None) is None
    assert "the reason could not be kept either" in capsys.readouterr().out


@pytest.mark.usefixtures("few_general")
def test_a_person_who_stops_the_job_ends_the_proof_and_it_is_made_again(workspace: Workspace, tmp_path: Path) -> None:
    plan = planned(workspace, asked_for_the_name(2))
    one = job(plan, tmp_path / "job")
    one.stop_requested = True
    with pytest.raises(Stopped):
        proving.prove(one, plan, trained(None, STARTER), None)
    assert not (tmp_path / "job" / files.PROOF).exists()
    one.stop_requested = False
    assert proving.prove(one, plan, trained(None, STARTER), None) is not None


def test_what_was_proven_is_not_asked_again_unless_it_learned_on(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(workspace, [])
    one = job(plan, tmp_path / "job")
    asked: list[int] = []

    def proved(_job: Job, _plan: Plan, what: Trained) -> proof.Proof:
        asked.append(what.step)
        return proof.Proof(step=what.step)

    monkeypatch.setattr(proving, "_proved", proved)
    first = proving.prove(one, plan, trained(None, STARTER), None)
    assert proving.prove(one, plan, trained(None, STARTER), None) == first
    proving.prove(one, plan, Trained(None, STARTER, 80, 80, None, None), None)
    assert asked == [40, 80]
    off = plan.spec.model_copy(update={"prove": False})
    assert proving.prove(one, planning.plan(workspace, off), trained(None, STARTER), None) is None


def prompts(asker: asking.Asker, number: int) -> list[asking.Prompt]:
    found = [asking.prompt(asker.tokens, one, 4096) for one in general.everything()[:number]]
    return [one for one in found if one is not None]


def test_answers_in_batches_are_those_of_another_program_one_by_one(starter: asking.Asker) -> None:
    asked = [Dialogue("facts", "en", (("user", one.asked), ("assistant", "")), "") for one in general.everything()[:24]]
    speaker = evaluate.Speaker(STARTER)
    alone = [speaker.answers([one], 48)[0] for one in asked]
    replies = starter.answers(prompts(starter, 24), FOREVER)
    assert [(reply.text, reply.ended) for reply in replies if reply] == alone


def test_an_answer_that_does_not_end_is_cut_and_told(starter: asking.Asker) -> None:
    short = [asking.Prompt(one.ids, 2) for one in prompts(starter, 4)]
    replies = starter.answers(short, FOREVER)
    assert [reply.ended for reply in replies if reply] == [False] * 4
    assert all(len(reply.text) < 20 for reply in replies if reply)


def test_the_loss_of_rows_is_that_of_each_by_itself(starter: asking.Asker) -> None:
    rows = [mask.encode(starter.tokens, one, 64) for one in asked_for_the_name(4)]
    found = starter.losses(rows, FOREVER)
    for row, loss in zip(rows, found, strict=True):
        labels = torch.tensor([row.labels])
        with torch.inference_mode():
            mean = starter.model(input_ids=torch.tensor([row.ids]), labels=labels).loss
        assert loss == pytest.approx(float(mean) * sum(row.trained[1:]), rel=1e-4)


def test_without_time_for_all_the_first_questions_are_answered(
    starter: asking.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starter, "batch", 8)
    ticks = itertools.count()
    monkeypatch.setattr(asking.time, "monotonic", lambda: float(next(ticks)))
    replies = starter.answers(prompts(starter, 32), 1.0)
    assert sum(reply is not None for reply in replies) == 16


def test_a_batch_that_does_not_fit_is_asked_in_smaller_ones(
    starter: asking.Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = starter._generated

    def small(asked: list[asking.Prompt]) -> list[asking.Reply]:
        sizes.append(len(asked))
        if len(asked) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(asked)

    monkeypatch.setattr(starter, "batch", 16)
    monkeypatch.setattr(starter, "_generated", small)
    assert all(starter.answers(prompts(starter, 10), FOREVER))
    assert sizes == [10, 8, 4, 4, 2]
    monkeypatch.setattr(starter, "_generated", lambda asked: (_ for _ in ()).throw(torch.OutOfMemoryError("none")))
    with pytest.raises(torch.OutOfMemoryError):
        starter.answers(prompts(starter, 3), FOREVER)


def test_a_question_without_room_in_the_context_is_left_out(starter: asking.Asker) -> None:
    long = Question([{"role": "user", "content": "why " * 300}], "Because.", "en")
    assert asking.prompt(starter.tokens, long, 200) is None
    assert asking.prompt(starter.tokens, long, 4096) is not None


def test_threads_are_as_before_when_it_is_over(starter: asking.Asker) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(before + 1)
    began = time.monotonic()
    with asking.threads(starter.model):
        assert torch.get_num_threads() <= before + 1
    assert torch.get_num_threads() == before + 1
    assert time.monotonic() - began < 10
    torch.set_num_threads(before)


@pytest.mark.usefixtures("few_general")
def test_most_of_the_starters_general_answers_are_right(starter: asking.Asker) -> None:
    """Else the alarm would hear nothing: who knows nothing forgets nothing."""
    asked = general.everything()
    replies = starter.answers(prompts(starter, len(asked)), FOREVER)
    known = [right(one, reply.text) for one, reply in zip(asked, replies, strict=True) if reply]
    assert sum(map(bool, known)) > 0.8 * len(asked)
