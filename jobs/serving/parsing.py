"""Tool calls told from text while the answer is being written, by the model's ``response_template`` (transformers'
response parser). What cannot be read as a call, because the model wrote broken JSON or was cut off, comes out as the text
that it is: nothing that the model wrote is lost."""

from __future__ import annotations

import logging
import re
from typing import Any

from transformers.utils.chat_parsing.response_parser import ResponseParser
from transformers.utils.chat_parsing.response_templates import load_response_template

logger = logging.getLogger(__name__)

Event = dict[str, Any]


class ForgivingParser:
    """The interface of :class:`ResponseParser`, as the streamers use it; never raises."""

    def __init__(self, template: dict[str, Any], prefix: str, tools: bool, special_tokens: list[str]) -> None:
        if not tools:
            # Without tools on offer, JSON is just JSON.
            fields = {k: v for k, v in template["fields"].items() if k != "tool_calls"}
            template = {**template, "fields": fields}
        loaded = load_response_template(template)
        starts = [m.end() for m in loaded.start_anchor_re.finditer(prefix)] if loaded.start_anchor_re else []
        # Where the anchor is not in the prompt, the parser would take all of the prompt for the answer's beginning.
        self._parser: ResponseParser | None = ResponseParser(loaded, prefix=prefix[starts[-1] :] if starts else "")
        self._special = re.compile(
            "|".join(re.escape(t) for t in sorted(special_tokens, key=len, reverse=True)) or "$^"
        )
        self._unsaid = ""
        self.initial_events = self._parser.initial_events

    def feed(self, text: str) -> list[Event]:
        self._unsaid += text
        if self._parser is None:
            return self._as_text()
        try:
            events = self._parser.feed(text)
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            return self._give_up(error)
        self._account(events)
        return events

    def finalize(self) -> tuple[dict[str, Any], list[Event]]:
        if self._parser is None:
            return {}, self._as_text()
        try:
            message, events = self._parser.finalize()
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            return {}, self._give_up(error)
        self._account(events)
        return message, events

    def _account(self, events: list[Event]) -> None:
        """Forget what has reached the client; keep what a structured region still hides."""
        for event in events:
            if event["type"] == "region_chunk" and not event.get("dirty"):
                at = self._unsaid.find(event["text"])
                self._unsaid = self._unsaid[at + len(event["text"]) :] if at >= 0 else self._unsaid
            elif event["type"] == "region_close" and event.get("field") == "tool_calls":
                self._unsaid = ""

    def _give_up(self, error: Exception) -> list[Event]:
        logger.warning("A tool call could not be read and is shown as text: %s", error)
        self._parser = None
        return self._as_text()

    def _as_text(self) -> list[Event]:
        text, self._unsaid = self._special.sub("", self._unsaid), ""
        return [{"type": "region_chunk", "field": "content", "text": text, "dirty": False}] if text else []
