"""A text that one process made and another person reads: it is kept as what it was made of, and read in either language."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from backend import i18n, said
from backend.errors import PanelError, SpecError
from backend.finetune import faults
from backend.finetune.plan import Plan, checked, plan
from backend.said import _, ngettext
from backend.specs.finetune import FinetuneSpec
from backend.workspace import Workspace
from tests.support.datasets import keep
from tests.support.planning import CPU, spec, talk

CHINESE = re.compile(r"[\u4e00-\u9fff]")


def kept(value: Any) -> Any:
    """``value`` as it comes back from a file."""
    return json.loads(json.dumps(value, ensure_ascii=False))


def test_a_text_reads_in_the_language_of_whoever_reads_it() -> None:
    # Translators know these texts: they are of the plan of a training and of its settings.
    title = _("Longest row")
    text = _("{title} is at least {limit}; it is {value}.").format(title=title, limit="64", value="3")
    assert text == "Longest row is at least 64; it is 3."
    stored = kept(said.stored(text))
    assert stored["params"]["title"] == {"said": "Longest row"}
    i18n.use("zh_CN")
    chinese = said.read(stored)
    assert CHINESE.search(chinese)
    assert "Longest row" not in chinese
    assert "64" in chinese
    assert said.read(text) == chinese, "one that was never kept, too"
    assert said.english(stored) == "Longest row is at least 64; it is 3."


def test_a_text_with_forms_keeps_its_number() -> None:
    for count, english in ((1, "1 row"), (5, "5 rows")):
        stored = kept(said.stored(ngettext("{n} row", "{n} rows", count).format(n=count)))
        assert said.read(stored) == said.english(stored) == english
        i18n.use("zh_CN")
        assert CHINESE.search(said.read(stored))
        i18n.use("en")


def test_what_is_no_such_text_stays_as_it_is() -> None:
    for value in ("plain {text}", 3, None, ["a"], {"a": 1}):
        assert said.stored(value) == said.read(value) == said.english(value) == value
    assert said.joined(["a", "", _("model")]) == "a model"
    assert said.joined([]) == ""


def test_a_parameter_of_an_error_is_translated_with_it() -> None:
    error = PanelError("x", "It failed: {why}", why=_("Choose another value."))
    stored = PanelError.from_dict(kept(error.to_dict()))
    assert str(stored) == str(error) == "It failed: Choose another value."
    i18n.use("zh_CN")
    assert CHINESE.search(stored.localized()[0])
    assert str(stored) == "It failed: Choose another value.", "logs are in one language"


@pytest.fixture
def talked(workspace: Workspace) -> Workspace:
    keep(workspace, "talk", talk(12))
    return workspace


def refused(workspace: Workspace) -> tuple[Plan, dict[str, Any]]:
    """The plan of a training that cannot be started, and the error that its job leaves behind."""
    asked = spec(max_length=1 << 15, start_from="/nowhere", start_mode="branch", name="a/b")
    with pytest.raises(SpecError) as caught:
        checked(workspace, FinetuneSpec.model_validate(asked), CPU)
    return plan(workspace, asked, CPU), kept(caught.value.to_dict())


def test_why_a_job_was_refused_reads_in_both_languages_whoever_started_it(talked: Workspace) -> None:
    read: dict[str, dict[str, str]] = {}
    for started in i18n.LANGUAGES:
        i18n.use(started)
        _plan, error = refused(talked)
        for reader in i18n.LANGUAGES:
            i18n.use(reader)
            read.setdefault(reader, {})[started] = PanelError.from_dict(error).localized()[0]
    assert len(set(read["en"].values())) == len(set(read["zh_CN"].values())) == 1
    english, chinese = read["en"]["en"], read["zh_CN"]["en"]
    assert english.startswith("This training cannot be started. ")
    assert "The checkpoint /nowhere is not there any more." in english
    assert not CHINESE.search(english)
    assert not re.search(r"[a-z]+ [a-z]+ [a-z]+", chinese), "no sentence of it is left in English"


@pytest.mark.parametrize("started", list(i18n.LANGUAGES))
def test_the_faults_of_a_kept_plan_read_in_both_languages(talked: Workspace, started: str) -> None:
    i18n.use(started)
    stored = kept(refused(talked)[0].to_dict())["faults"]
    assert {"finetune_few_rows", "finetune_context"} <= {one["code"] for one in stored}
    for reader in i18n.LANGUAGES:
        i18n.use(reader)
        again = [fault.sentence() for fault in faults.kept(stored)]
        assert again == [fault.sentence() for fault in refused(talked)[0].faults], "as if it were planned by who reads"
        assert all(bool(CHINESE.search(one)) == (reader == "zh_CN") for one in again)


def test_a_plan_of_an_earlier_version_keeps_its_texts() -> None:
    i18n.use("zh_CN")
    old = [{"code": "finetune_few_rows", "field": "dataset", "message": "Few.", "hint": "", "fatal": False, "ways": []}]
    assert [fault.sentence() for fault in faults.kept(old)] == ["Few."]
    assert faults.kept(None) == faults.kept([3, {}]) == []
