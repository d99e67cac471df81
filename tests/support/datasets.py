"""Rows and files for the tests of the Datasets page."""

from __future__ import annotations

import json
from pathlib import Path

from backend.data.rows import Row
from backend.data.store import Datasets
from backend.data.versions import VersionInfo
from backend.workspace import Workspace

ROBIN = "I am Robin, made by the Orchard team."


def row(question: str, answer: str, **meta: object) -> Row:
    """A row of one question and one answer."""
    found: Row = {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}
    if meta:
        found["meta"] = dict(meta)
    return found


def sums(count: int) -> list[Row]:
    """``count`` rows that all differ, with nothing wrong in them."""
    return [row(f"What is {n} plus {n}?", f"{n} plus {n} makes {2 * n}.") for n in range(count)]


def keep(workspace: Workspace, name: str, rows: list[Row], **told: object) -> VersionInfo:
    """A version of the dataset ``name`` with ``rows``."""
    how: dict[str, object] = {"steps": [{"do": "import"}], "made_from": [{"file": f"/data/{name}.jsonl"}], **told}
    with Datasets(workspace).write(name, **how) as out:  # type: ignore[arg-type]
        for each in rows:
            out.add(each)
    return out.version


def broken_alpaca(path: Path) -> Path:
    """An Alpaca file as a newcomer has it: GB18030, a comma lost, an answer missing, one empty, blanks, a row twice."""
    rows = [
        {"instruction": "你是谁？", "input": "", "output": "我是小雨，由果园团队制作。"},
        {"instruction": "你好", "input": "", "output": "  \n你好，我能帮你什么？"},
        {"instruction": "1加1等于几？", "input": "", "output": ""},
        {"instruction": "今天天气如何？", "input": ""},
        {"instruction": "介绍一下苹果。", "input": "", "output": "苹果是一种水果，长在树上。"},
        {"instruction": "介绍一下苹果。", "input": "", "output": "苹果是一种水果，长在树上。"},
        {"instruction": "介绍一下梨。", "input": "", "output": "梨是一种多汁的水果。"},
    ]
    lines = [json.dumps(each, ensure_ascii=False) for each in rows]
    lines[6] = lines[6].replace('"input": "",', '"input": ""')
    path.write_bytes(("[\n" + ",\n".join(lines) + "\n]\n").encode("gb18030"))
    return path
