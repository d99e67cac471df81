"""Evidence in what was said: a model's answer, the same question to two models, a tool that was called.

The files are only read, with one small query each, on a connection of its own that cannot write: a look must neither make them nor
bring them up to date. One that is missing, damaged or locked shows nothing now.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Collection, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from backend.course.progress import Done
from backend.workspace import Workspace

SHOWN = 160
"""Characters of an answer that are kept."""
NEWEST = 40
BUSY_S = 0.2

TALKED = """
SELECT m.conversation, m.model, m.content, m.tokens_s, m.updated FROM conversations AS c JOIN messages AS m ON m.conversation = c.id
WHERE c.updated >= ? AND m.role = 'assistant' AND m.state = 'done' AND m.created >= ? ORDER BY m.id LIMIT 1
"""
ASKED_BOTH = """
SELECT t.id, t.comparison, t.prompt, t.created, c.model, m.content, m.state FROM turns AS t
JOIN turn_answers AS a ON a.turn = t.id JOIN contenders AS c ON c.comparison = t.comparison AND c.position = a.position
JOIN messages AS m ON m.id = a.message WHERE t.created >= ? ORDER BY t.id DESC, a.position LIMIT ?
"""
CALLED = """
SELECT t.id, t.conversation, t.model, t.answer, t.ended, s.data FROM conversations AS c JOIN turns AS t ON t.conversation = c.id
JOIN steps AS s ON s.turn = t.id WHERE c.updated >= ? AND t.state = 'done' AND t.created >= ? ORDER BY t.id DESC, s.number LIMIT ?
"""


def talked(workspace: Workspace, since: float) -> Done | None:
    """The first whole answer of a model since then."""
    for row in _rows(workspace.chat_db, TALKED, since, since):
        facts = {
            "conversation": row["conversation"],
            "model": row["model"],
            "words": words_in(row["content"]),
            "tokens_s": row["tokens_s"],
        }
        return Done(row["updated"], facts)
    return None


def asked_both(workspace: Workspace, since: float, tuned: Collection[str]) -> Done | None:
    """The newest question that two models answered, one of ``tuned`` among them; any two where none is named."""
    turns: dict[int, list[sqlite3.Row]] = {}
    for row in _rows(workspace.compare_db, ASKED_BOTH, since, NEWEST):
        turns.setdefault(row["id"], []).append(row)
    for rows in turns.values():
        models = {row["model"] for row in rows}
        if len(models) > 1 and (not tuned or models & set(tuned)) and all(row["state"] == "done" for row in rows):
            answers = [[row["model"], _short(row["content"])] for row in rows]
            facts = {"comparison": rows[0]["comparison"], "prompt": _short(rows[0]["prompt"]), "answers": answers}
            return Done(rows[0]["created"], facts)
    return None


def called_a_tool(workspace: Workspace, since: float) -> Done | None:
    """The newest question for which an agent called a tool that gave a result, and then answered."""
    for row in _rows(workspace.root / "agent.db", CALLED, since, since, NEWEST):
        call = next((one for one in _calls(row["data"]) if one.get("state") == "done"), None)
        if call is None:
            continue
        facts = {
            "conversation": row["conversation"],
            "model": row["model"],
            "tool": str(call["call"].get("name", "")),
            "arguments": _short(json.dumps(call["call"].get("arguments", {}), ensure_ascii=False)),
            "result": _short(str(call.get("text", ""))),
            "answer": _short(row["answer"] or ""),
        }
        return Done(row["ended"] or since, facts)
    return None


def words_in(text: str) -> int:
    """How many words: of Chinese and Japanese, characters."""
    return len(re.findall(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+(?:['’.,]\w+)*", text))


def _calls(data: str) -> Sequence[dict[str, Any]]:
    try:
        found = json.loads(data)
    except ValueError:
        return []
    calls = found.get("calls") if isinstance(found, dict) else None
    return [one for one in calls or [] if isinstance(one, dict) and isinstance(one.get("call"), dict)]


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else line[: SHOWN - 1] + "…"


def _rows(path: Path, query: str, *values: float) -> list[sqlite3.Row]:
    if not path.is_file():
        return []
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_S)) as db:
            db.row_factory = sqlite3.Row
            return db.execute(query, values).fetchall()
    except sqlite3.Error:
        return []
