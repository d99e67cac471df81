"""What a program of an engine writes down of its progress for us: a file with a line of JSON for each thing that happened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Watched:
    """Such a file, read on from where it was left."""

    def __init__(self, path: Path) -> None:
        self.path, self._offset = path, 0

    def new(self) -> list[dict[str, Any]]:
        """The whole lines that came since, those that say what happened in ``what``; none where there is no file yet."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset)
                whole, end, _half = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return []
        self._offset += len(whole) + len(end)
        found = []
        for line in whole.splitlines():
            try:
                data = json.loads(line)
            except ValueError:
                continue
            if isinstance(data, dict) and "what" in data:
                found.append(data)
        return found
