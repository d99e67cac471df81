"""What workers write into ``agent.db``, and what they have to know: the half of :class:`backend.agent.store.AgentStore` that is theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict

from backend.agent import stored
from backend.agent.calls import Problem
from backend.agent.records import Step, Turn, step_data
from backend.chat.database import Database
from backend.chat.records import clean
from backend.errors import PanelError


class Recording(Database):
    """Turns that wait, and their steps as they come."""

    def next_waiting(self, conversation: str) -> Turn | None:
        """The turn of ``conversation`` that waits for somebody to work at it."""
        query = "SELECT * FROM turns WHERE conversation = ? AND state = 'waiting' ORDER BY id LIMIT 1"
        with self.read() as db:
            row = db.execute(query, (conversation,)).fetchone()
        return stored.turn(row) if row else None

    def begin(self, turn: int) -> bool:
        """Say that it is worked at; False where a person stopped or deleted it meanwhile."""
        with self.write() as db:
            done = db.execute(
                "UPDATE turns SET state = 'running', started = ? WHERE id = ? AND state = 'waiting'",
                (time.time(), turn),
            )
            return done.rowcount == 1

    def use(self, turn: int, protocol: str) -> None:
        """Say which form of calling tools it is asked in."""
        with self.write() as db:
            db.execute("UPDATE turns SET protocol = ? WHERE id = ?", (protocol, turn))

    def note(self, turn: int, notes: Sequence[PanelError]) -> None:
        """Keep what a person should know beside the answer, such as a server of tools that could not be reached."""
        with self.write() as db:
            listing = json.dumps([note.to_dict() for note in notes], ensure_ascii=False)
            db.execute("UPDATE turns SET notes = ? WHERE id = ?", (clean(listing), turn))

    def begin_step(self, turn: int, number: int) -> Step:
        """A new step, begun now."""
        started = time.time()
        with self.write() as db:
            data = json.dumps({"started": started})
            added = db.execute(
                "INSERT INTO steps (turn, number, state, data) VALUES (?, ?, ?, ?)", (turn, number, "writing", data)
            )
            return Step(int(added.lastrowid or 0), turn, number, "writing", started=started)

    def save(self, step: Step, sent: bytes | None = None) -> None:
        """Store it as it is now; ``sent``: what the model was sent (:class:`backend.chat.sent.Sent`), packed."""
        data = clean(json.dumps(step_data(step), ensure_ascii=False))
        with self.write() as db:
            db.execute(
                "UPDATE steps SET state = ?, reply = ?, data = ? WHERE id = ?",
                (step.state, clean(step.reply), data, step.id),
            )
            if sent is not None:
                db.execute(
                    "INSERT OR REPLACE INTO sent (step, data) SELECT id, ? FROM steps WHERE id = ?", (sent, step.id)
                )

    def sent(self, step: int) -> bytes | None:
        """What the model was sent for that step, packed."""
        with self.read() as db:
            row = db.execute("SELECT data FROM sent WHERE step = ?", (step,)).fetchone()
        return bytes(row["data"]) if row else None

    def stop_wanted(self, turn: int) -> bool:
        """Whether a person has pressed Stop, or deleted the conversation."""
        with self.read() as db:
            row = db.execute("SELECT stop FROM turns WHERE id = ?", (turn,)).fetchone()
        return row is None or bool(row["stop"])

    def decision(self, step: int, place: int) -> bool | None:
        """The person's word on that call, None as long as there is none."""
        with self.read() as db:
            row = db.execute("SELECT yes FROM decisions WHERE step = ? AND place = ?", (step, place)).fetchone()
        return None if row is None else bool(row["yes"])

    def end(
        self,
        turn: int,
        state: str,
        *,
        answer: str | None = None,
        problem: Problem | None = None,
        error: PanelError | None = None,
    ) -> None:
        """Say how it ended."""
        told = json.dumps(asdict(problem), ensure_ascii=False) if problem else "{}"
        failure = json.dumps(error.to_dict(), ensure_ascii=False) if error else "{}"
        now = time.time()
        with self.write() as db:
            db.execute(
                "UPDATE turns SET state = ?, answer = ?, problem = ?, error = ?, ended = ? WHERE id = ?",
                (state, answer if answer is None else clean(answer), clean(told), clean(failure), now, turn),
            )
            db.execute(
                "UPDATE conversations SET updated = ? WHERE id = (SELECT conversation FROM turns WHERE id = ?)",
                (now, turn),
            )
