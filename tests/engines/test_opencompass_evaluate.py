"""Evaluating with the real OpenCompass: the starter on our bundled questions, both routes, stopped and resumed, and what is said where something is missing.

TUNEDECK_TEST_ENVIRONMENTS=… python -m pytest -m engines tests/engines/test_opencompass_evaluate.py -s
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import catalog
from backend.engines import opencompass_config, opencompass_folder, opencompass_listing
from backend.envs import places
from backend.envs.status import Status
from backend.evaluate import sets
from backend.evaluate.records import Score
from backend.evaluate.store import EvaluateStore, open_runs
from backend.workspace import ROOT, Workspace
from jobs.evaluating import opencompass, opencompass_setup
from jobs.evaluating.work import Served, Work
from jobs.harness import Stopped
from jobs.selftests.served import served as serving
from jobs.selftests.testing import Test
from tests.support import toy_opencompass
from tests.support.stub_openai import KEY, stub
from tests.support.toy_opencompass import cells, ceval, children, events
from tests.support.wait import until

START_S = 300


@pytest.fixture
def runs(workspace: Workspace) -> Iterator[EvaluateStore]:
    store = open_runs(workspace)
    yield store
    store.close()


@pytest.fixture
def installed(environment: Callable[[str], Status]) -> Status:
    """The environment of OpenCompass."""
    return environment("opencompass")


@pytest.fixture(scope="module")
def starter(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The starter model behind our own server."""
    folder = tmp_path_factory.mktemp("starter")
    test = Test("opencompass", "cpu", Path(sys.executable), {}, folder, print)
    with serving(test) as server:
        yield Served(server.base_url, server.model, server.key, 4096, path=server.path)


def mmlu(workspace: Workspace, folder: Path) -> None:
    """A set ``mmlu`` with one subject of two questions."""
    for split, count in (("dev", 5), ("test", 2)):
        path = folder / split / f"astronomy_{split}.csv"
        path.parent.mkdir(parents=True)
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(
                [f"Which is star {number}?", "Sun", "Moon", "Mars", "Sea", "A"] for number in range(count)
            )
    sets.add(workspace, folder, "mmlu")


def told(work: Work, began: float) -> dict[str, Score]:
    """The cells, printed for who reads along."""
    found = cells(work)
    tallies = work.store.tallies(work.run_id)
    startup = [each["metrics"]["startup_s"] for each in events(work) if "startup_s" in each.get("metrics", {})]
    right = sum(one.right for one in tallies)
    print(f"\n{time.monotonic() - began:.1f} s, of these {startup} s to start; {right} of {sum(one.asked for one in tallies)} right, "
          f"{sum(one.unread for one in tallies)} unread")  # fmt: skip
    for subject, score in found.items():
        print(f"  {subject:20} {score.version:7} {score.value} {score.cause.get('code', '')}")
    return found


def test_the_starter_is_asked_all_our_questions_in_under_five_minutes(
    installed: Status, workspace: Workspace, runs: EvaluateStore, tmp_path: Path, starter: Served
) -> None:
    work = toy_opencompass.work(workspace, runs, tmp_path / "job 作业", starter, model="starter")
    began = time.monotonic()
    ended = opencompass.evaluate(work)
    seconds = time.monotonic() - began
    found = told(work, began)
    assert (ended.state, ended.version) == ("done", "0.5.4")
    assert all(score.value is not None and len(score.version) == 6 for score in found.values())
    assert seconds < START_S
    answers, total = runs.answers(work.run_id, limit=200, prompts=True)
    assert total == len(work.questions)
    assert {answer.key for answer in answers} == {question.key for question in work.questions}
    for answer in answers[::9]:
        print(f"    {answer.outcome:7} {answer.said!r} -> {answer.taken}, solution {answer.gold}")
    by_key = {question.key: question for question in work.questions}
    for answer in answers:
        assert answer.gold == by_key[answer.key].answer
        assert by_key[answer.key].text in json.loads(answer.prompt)[-1]["content"]
    assert 100 * sum(answer.outcome == "right" for answer in answers) / total == pytest.approx(
        sum((score.value or 0) * (score.n or 0) for score in found.values()) / total
    )
    assert children(work) == []


def test_stopped_in_the_middle_of_a_subject_it_goes_on_there(
    installed: Status, workspace: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    ceval(workspace, tmp_path / "data", ("logic", "law"), count=40)
    with stub(script={"say": "B"}) as server:
        address = Served(server.server.base_url, "stub", KEY, 4096)
        work = toy_opencompass.work(workspace, runs, tmp_path / "job", address, questions="ceval", concurrency=1)
        first = next(iter(work.subjects()))

        def stop() -> None:
            tmp = f"opencompass/out/*/predictions/model/tmp_ceval-{first}.jsonl"
            until(lambda: list(work.folder.glob(tmp)), timeout=START_S)
            work.job.stop_requested = True

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(Stopped):
            opencompass.evaluate(work)
        thread.join()
        assert children(work) == []
        before = len(server.requests())
        again = toy_opencompass.work(workspace, runs, tmp_path / "job", address, questions="ceval", concurrency=1)
        began = time.monotonic()
        opencompass.evaluate(again)
        told(again, began)
        asked = len(server.requests())
    print(f"{before} answers before it was stopped, {asked} questions sent in all for 80")
    assert 0 < before < 80
    assert 80 <= asked <= 80 + 8, "at most the batch that was under way is asked again"
    assert {score.value for score in cells(again).values()} == {100.0}


def test_a_subject_without_its_file_has_a_cause_and_the_others_have_numbers(
    installed: Status, workspace: Workspace, runs: EvaluateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ceval(workspace, tmp_path / "data", ("logic", "law"))
    with stub(script={"say": "The answer is B."}) as server:
        address = Served(server.server.base_url, "stub", KEY, 4096)
        work = toy_opencompass.work(workspace, runs, tmp_path / "job", address, questions="ceval")
        # The folder is whole when it is looked at.
        monkeypatch.setattr(opencompass, "set_up", _removing(tmp_path / "data" / "dev" / "law_dev.csv"))
        opencompass.evaluate(work)
    found = cells(work)
    print(found["ceval-law"].evidence)
    assert found["ceval-law"].cause["code"] == "opencompass_no_file"
    assert found["ceval-law"].cause["params"]["path"].endswith("law_dev.csv")
    assert (found["ceval-logic"].value, found["ceval-logic"].cause["code"]) == (0.0, "opencompass_nothing_read")
    assert {answer.taken for answer in runs.answers(work.run_id)[0]} == {"T"}, "it takes the first capital letter"


def _removing(path: Path) -> Callable[[Work], Any]:
    def set_up(work: Work) -> Any:
        made = opencompass_setup.set_up(work)
        path.unlink()
        return made

    return set_up


def test_mmlu_is_asked_by_its_own_config_and_a_folder_in_gb18030_all_the_same(
    installed: Status, workspace: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    mmlu(workspace, tmp_path / "mmlu")
    ceval(workspace, tmp_path / "ceval", ("logic",), encoding="gb18030")
    with stub(script={"say": "The answer is A."}) as server:
        address = Served(server.server.base_url, "stub", KEY, 4096)
        one = toy_opencompass.work(workspace, runs, tmp_path / "one", address, questions="mmlu")
        opencompass.evaluate(one)
        prompts = server.requests()
    assert cells(one)["lukaemon_mmlu_astronomy"].value == 100.0
    assert {len(each["messages"]) for each in prompts} == {11}, "five solved questions before each"
    store_job = runs.run_of_job(1)
    assert store_job is not None
    runs.remove(store_job.id)
    with stub(script={"say": "B"}) as server:
        address = Served(server.server.base_url, "stub", KEY, 4096)
        other = toy_opencompass.work(workspace, runs, tmp_path / "other", address, questions="ceval")
        opencompass.evaluate(other)
    assert cells(other)["ceval-logic"].value == 100.0


def test_a_model_that_it_loads_itself_answers_as_it_does_behind_a_server(
    installed: Status, workspace: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    subjects = ("geography-en", "geography-zh")
    work = toy_opencompass.work(workspace, runs, tmp_path / "job", None, model="starter", by="hf", subjects=subjects)
    work.card = catalog.find(workspace, "starter")
    began = time.monotonic()
    opencompass.evaluate(work)
    found = told(work, began)
    for answer in runs.answers(work.run_id, limit=50)[0][::4]:
        print(f"    {answer.outcome:7} {answer.said!r} -> {answer.taken}, solution {answer.gold}")
    assert all(score.value is not None for score in found.values())


def test_a_tokenizer_that_transformers_5_saved_is_made_one_that_its_transformers_loads(
    installed: Status, tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    newer = tmp_path / "newer"
    AutoTokenizer.from_pretrained(ROOT / "models" / "starter").save_pretrained(newer)
    (newer / "config.json").write_bytes((ROOT / "models" / "starter" / "config.json").read_bytes())
    code = (
        "import sys; from transformers import AutoTokenizer\n"
        "made = AutoTokenizer.from_pretrained(sys.argv[1], trust_remote_code=True)\n"
        "print(made.apply_chat_template([{'role': 'user', 'content': 'hi 你好'}], add_generation_prompt=True))"
    )

    def load(folder: Path) -> subprocess.CompletedProcess[str]:
        argv = [str(installed.python), "-c", code, str(folder)]
        return subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=START_S)

    assert "TokenizersBackend does not exist" in load(newer).stderr
    made = opencompass_folder.loadable(newer, tmp_path / "made")
    assert load(made).stdout == load(ROOT / "models" / "starter").stdout != ""


def test_any_config_that_it_brings_can_be_asked_by_a_changed_file(
    installed: Status, workspace: Workspace, runs: EvaluateStore, tmp_path: Path
) -> None:
    ceval(workspace, tmp_path / "data", ("logic",))
    arc = tmp_path / "arc.jsonl"
    choices = [
        {"label": letter, "text": word} for letter, word in {"A": "ice", "B": "snow", "C": "fire", "D": "frost"}.items()
    ]
    row = {"question": {"stem": "Which is hot?", "choices": choices}, "answerKey": "C"}
    arc.write_text(json.dumps(row) + "\n")
    with stub(script={"say": "C"}) as server:
        address = Served(server.server.base_url, "stub", KEY, 4096)
        plain = toy_opencompass.work(workspace, runs, tmp_path / "plain", address, questions="ceval")
        text = opencompass_config.text_for(workspace, plain.spec)
        head, _, rest = text.partition("with read_base():")
        models = rest[rest.index("models = [") :]
        changed = (
            f"{head}with read_base():\n    from opencompass.configs.datasets.ARC_c.ARC_c_gen import ARC_c_datasets\n\n"
            f"datasets = ARC_c_datasets\nfor dataset in datasets:\n    dataset['path'] = {str(arc)!r}\n{models}"
        )
        work = toy_opencompass.work(workspace, runs, tmp_path / "job", address, questions="ceval", config=changed)
        opencompass.evaluate(work)
    assert {subject: score.value for subject, score in cells(work).items()} == {"ARC-c": 100.0}
    (answer,) = runs.answers(work.run_id, prompts=True)[0]
    assert (answer.taken, answer.gold, answer.outcome) == ("C", "C", "right")
    assert "Which is hot?" in answer.question


def test_the_short_command_is_one_that_it_understands(installed: Status, tmp_path: Path) -> None:
    assert installed.python is not None
    line = opencompass_config.quick_command(str(tmp_path), python=installed.python)
    code = "import sys; sys.argv = sys.argv[1:]; from opencompass.cli.main import parse_args; print(parse_args().hf_num_gpus)"
    words = line.split()
    argv = [words[0], "-c", code, *words[2:]]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=START_S)
    assert done.stdout.split()[-1:] == ["1"], done.stderr


def test_all_its_configs_are_listed_and_found_by_model_and_data_set(installed: Status, workspace: Workspace) -> None:
    assert installed.python is not None
    began = time.monotonic()
    found = opencompass_listing.listed(workspace)
    first = time.monotonic() - began
    began = time.monotonic()
    assert opencompass_listing.listed(workspace) == found
    print(f"{len(found)} configs, {first * 1000:.0f} ms, then {(time.monotonic() - began) * 1000:.1f} ms")
    assert {config.kind for config in found} >= {"models", "datasets"}
    assert len(found) > 2000
    names = [config.name for config in opencompass_listing.search(found, ["ceval_gen*"])]
    assert "ceval_gen_5f30c7" in names
    assert all(
        (places.site_packages(installed.python.parent.parent)[0] / config.path).is_file() for config in found[::100]
    )
