"""Both catalogues are complete, true to the sources, and keep to the glossary."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import catalogues

ROOT = Path(__file__).resolve().parents[2]

GLOSSARY = {
    r"base models?": ("基座模型",),
    r"(?<!base )models?": ("模型",),
    r"checkpoints?": ("检查点",),
    r"adapters?": ("适配器",),
    r"fine-tun\w+": ("微调",),
    r"datasets?": ("数据集",),
    r"chat template": ("对话模板",),
    r"tokens/s": ("词元/秒",),
    r"context length": ("上下文长度",),
    r"quantiz\w+": ("量化",),
    r"KV cache": ("KV 缓存",),
    r"GPU memory": ("显存",),
    r"learning rate": ("学习率",),
    r"loss": ("损失",),
    r"time to first token|TTFT": ("首词元延迟",),
    r"throughput": ("吞吐量",),
    r"evaluat\w+": ("评测",),
    r"accuracy": ("准确率",),
    r"jobs?": ("任务",),
    r"queue": ("队列", "排队"),
}
"""English term (whole word) -> what its translation must hold, one of them. From the project's glossary."""


def translations() -> list[tuple[str, str]]:
    """(English, Chinese) of every form of every text."""
    catalogue = catalogues.read(catalogues.files(ROOT, "zh_CN")[0], "zh_CN")
    rows = []
    for message in catalogue:
        if message.id:
            ids = message.id if isinstance(message.id, (list, tuple)) else (message.id,)
            rows += [(id_, text) for id_ in ids for text in catalogues.forms(message)]
    return rows


def test_every_text_is_translated_and_the_compiled_catalogues_are_current() -> None:
    assert catalogues.problems(ROOT) == []


NO_WORDS = re.compile(r"{[^}]*}|lm-evaluation-harness")
"""Of a text: what stands for something else, and the name of a program."""


def test_the_same_word_is_used_for_the_same_thing_everywhere() -> None:
    rows = translations()
    assert rows
    wrong = [
        f"{english} -> {chinese} (lacks {' or '.join(words)})"
        for english, chinese in rows
        for term, words in GLOSSARY.items()
        if re.search(rf"\b(?:{term})\b", NO_WORDS.sub("", english), re.IGNORECASE)
        and not any(word in chinese for word in words)
    ]
    assert wrong == []


def test_chinese_texts_use_chinese_punctuation() -> None:
    wrong = [f"{e} -> {c}" for e, c in translations() if re.search(r"[\u4e00-\u9fff]\s*[,;:?!.](?:\s|$)", c)]
    assert wrong == []


def test_no_text_shouts() -> None:
    assert [row for row in translations() if "!" in row[0] or "！" in row[1]] == []


def test_a_fresh_process_speaks_chinese() -> None:
    program = "from backend.i18n import _, use; use('zh_CN'); print(_('Jobs'))"
    result = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env={"PYTHONIOENCODING": "utf-8"}
    )
    assert result.stdout.strip() == "任务", result.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small tree whose catalogues are complete."""
    write(tmp_path, 'title = _("Jobs of {owner}")\nrow = ngettext("{n} job", "{n} jobs", n)\n')
    catalogues.update(tmp_path)
    translate(tmp_path, {'msgstr ""': 'msgstr "{owner} 的任务"', 'msgstr[0] ""': 'msgstr[0] "{n} 个任务"'})
    assert catalogues.problems(tmp_path) == []
    return tmp_path


def write(root: Path, source: str) -> None:
    (root / "backend").mkdir(exist_ok=True)
    (root / "backend" / "x.py").write_text(source, encoding="utf-8")


def translate(root: Path, changes: dict[str, str]) -> None:
    """Replace text in the Chinese catalogue below its header, then compile."""
    po, mo = catalogues.files(root, "zh_CN")
    header, body = po.read_text(encoding="utf-8").split("\n\n", 1)
    for old, new in changes.items():
        assert old in body
        body = body.replace(old, new)
    po.write_text(f"{header}\n\n{body}", encoding="utf-8")
    mo.write_bytes(catalogues.compiled(catalogues.read(po, "zh_CN")))


def test_a_new_text_is_missed_until_it_is_translated(tree: Path) -> None:
    write(tree, (tree / "backend" / "x.py").read_text(encoding="utf-8") + 'more = N_("Owner")\n')
    assert any("not in the catalogue: Owner" in line for line in catalogues.problems(tree))
    catalogues.update(tree)
    assert catalogues.problems(tree) == ["zh_CN: not translated: Owner"]


@pytest.mark.parametrize("call", ["f\"{_('Owner')}: {x}\"", "f\"<b>{escape(_('Owner'))}</b>\""])
def test_a_text_inside_an_f_string_is_seen(tree: Path, call: str) -> None:
    write(tree, (tree / "backend" / "x.py").read_text(encoding="utf-8") + f"more = {call}\n")
    assert any("not in the catalogue: Owner" in line for line in catalogues.problems(tree))


def test_a_text_that_left_the_sources_leaves_the_catalogues(tree: Path) -> None:
    write(tree, 'title = _("Jobs of {owner}")\n')
    assert "zh_CN: no longer in the sources: {n} job" in catalogues.problems(tree)
    catalogues.update(tree)
    assert catalogues.problems(tree) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('"{owner} 的任务"', '"{user} 的任务"', "other places in braces"),
        ('"{owner} 的任务"', '"任务"', "other places in braces"),
        ('"{owner} 的任务"', '" {owner} 的任务"', "begins or ends with a blank"),
        ('msgid "Jobs of', '#, fuzzy\nmsgid "Jobs of', "marked as a guess"),
        ('"{n} 个任务"', '"{n} 个任务"\nmsgstr[1] "{n} 个任务"', "not as make translate writes it"),
    ],
)
def test_a_wrong_translation_is_found(tree: Path, old: str, new: str, complaint: str) -> None:
    translate(tree, {old: new})
    assert any(complaint in line for line in catalogues.problems(tree)), catalogues.problems(tree)


def test_a_compiled_catalogue_that_is_old_is_found(tree: Path) -> None:
    po, _ = catalogues.files(tree, "zh_CN")
    po.write_text(po.read_text(encoding="utf-8").replace("个任务", "项任务"), encoding="utf-8")
    assert catalogues.problems(tree) == ["zh_CN: tunedeck.mo is not what tunedeck.po says: run make translate"]


@pytest.mark.parametrize("call", ['_("a" if x else "b")', '_(f"hello {x}")', '_(WORDS["x"])', '_(x or "nothing")'])
def test_a_text_that_the_collector_cannot_read_is_refused(tree: Path, call: str) -> None:
    write(tree, (tree / "backend" / "x.py").read_text(encoding="utf-8") + f"more = {call}\n")
    assert "backend/x.py:3: a text must stand in the call as it is" in catalogues.problems(tree)


@pytest.mark.parametrize("call", ["_(text)", '_(words.get("x"))', '_("one " "two")'])
def test_a_text_from_elsewhere_may_be_translated(tree: Path, call: str) -> None:
    write(tree, (tree / "backend" / "x.py").read_text(encoding="utf-8") + f"more = {call}\n")
    assert not any("must stand" in line for line in catalogues.problems(tree))


def test_english_may_be_polished_in_its_catalogue(tree: Path) -> None:
    po, _ = catalogues.files(tree, "en")
    po.write_text(po.read_text(encoding="utf-8").replace('msgstr "Jobs of', 'msgstr "All jobs of'), encoding="utf-8")
    catalogues.update(tree)
    assert 'msgstr "All jobs of {owner}"' in po.read_text(encoding="utf-8")
    assert catalogues.problems(tree) == []
