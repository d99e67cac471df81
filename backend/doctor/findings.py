"""What a check says: a state, what was measured, what that means, and what to do. Nothing in it is translated yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from backend.errors import fill
from backend.i18n import N_, _

State = Literal["bad", "attention", "unknown", "ok"]
ORDER: tuple[State, ...] = ("bad", "attention", "unknown", "ok")
"""The most urgent first."""
DEADLINE_S = 3.0


@dataclass(frozen=True)
class Text:
    """An English template (marked with ``N_``) and its values; a value may be a text itself."""

    message: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def localized(self) -> str:
        """In the language of the current person."""
        return fill(_(self.message), {k: v.localized() if isinstance(v, Text) else v for k, v in self.params.items()})

    def english(self) -> str:
        """As it was written: for reports, so that whoever helps reads one language."""
        return fill(self.message, {k: v.english() if isinstance(v, Text) else v for k, v in self.params.items()})

    def mapped(self, change: Callable[[str, str], str]) -> Text:
        """The same with ``change(name, value)`` for every value that is a string."""
        changed = {
            k: v.mapped(change) if isinstance(v, Text) else change(k, v) if isinstance(v, str) else v
            for k, v in self.params.items()
        }
        return Text(self.message, changed)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; :meth:`from_dict` reads it."""
        return {
            "message": self.message,
            "params": {k: v.to_dict() if isinstance(v, Text) else v for k, v in self.params.items()},
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Text:
        """What :meth:`to_dict` wrote."""
        params = data.get("params") or {}
        return cls(data["message"], {k: cls.from_dict(v) if isinstance(v, dict) else v for k, v in params.items()})


def say(message: str, **params: Any) -> Text:
    """A :class:`Text`: ``say(N_("{free} are free."), free="3.2 GiB")``."""
    return Text(message, params)


@dataclass(frozen=True)
class Fix:
    """One thing to do. text: in a sentence. command: to copy into a shell. setting: a field of the settings that helps.
    place: a page of the panel that helps, such as ``environments``."""

    text: Text
    command: str = ""
    setting: str = ""
    place: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {"text": self.text.to_dict(), "command": self.command, "setting": self.setting, "place": self.place}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Fix:
        """What :meth:`to_dict` wrote."""
        return cls(Text.from_dict(data["text"]), data["command"], data["setting"], data["place"])


@dataclass(frozen=True)
class Finding:
    """What one check found. code: stable, such as ``disk_workspace``. evidence: what was measured, a line each.
    meaning: what follows for a person. seconds: how long the check took."""

    state: State
    evidence: tuple[Text, ...]
    meaning: Text | None = None
    fixes: tuple[Fix, ...] = ()
    code: str = ""
    title: Text = Text("")
    seconds: float = 0.0

    def mapped(self, change: Callable[[str, str], str]) -> Finding:
        """The same with ``change(name, value)`` for every value in its texts, and for its commands."""
        return replace(
            self,
            title=self.title.mapped(change),
            evidence=tuple(text.mapped(change) for text in self.evidence),
            meaning=self.meaning and self.meaning.mapped(change),
            fixes=tuple(
                replace(fix, text=fix.text.mapped(change), command=change("command", fix.command)) for fix in self.fixes
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-able, templates and values apart; :meth:`from_dict` reads it."""
        return {
            "code": self.code,
            "state": self.state,
            "title": self.title.to_dict(),
            "evidence": [text.to_dict() for text in self.evidence],
            "meaning": self.meaning and self.meaning.to_dict(),
            "fixes": [fix.to_dict() for fix in self.fixes],
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Finding:
        """What :meth:`to_dict` wrote."""
        return cls(
            state=data["state"],
            evidence=tuple(map(Text.from_dict, data["evidence"])),
            meaning=Text.from_dict(data["meaning"]) if data["meaning"] else None,
            fixes=tuple(map(Fix.from_dict, data["fixes"])),
            code=data["code"],
            title=Text.from_dict(data["title"]),
            seconds=data["seconds"],
        )


def ok(*evidence: Text, meaning: Text | None = None) -> Finding:
    """All is well; ``evidence`` says what was measured."""
    return Finding("ok", evidence, meaning)


def attention(*evidence: Text, meaning: Text, fixes: Iterable[Fix] = ()) -> Finding:
    """It works, but something will hurt sooner or later."""
    return Finding("attention", evidence, meaning, tuple(fixes))


def bad(*evidence: Text, meaning: Text, fixes: Iterable[Fix] = ()) -> Finding:
    """Something that people need does not work, or will fail soon."""
    return Finding("bad", evidence, meaning, tuple(fixes))


def unknown(*evidence: Text, meaning: Text | None = None, fixes: Iterable[Fix] = ()) -> Finding:
    """It could not be found out, because of ``evidence``."""
    return Finding("unknown", evidence, meaning or say(N_("This could not be found out.")), tuple(fixes))


@dataclass(frozen=True)
class Check:
    """One question to the machine. A check that yields nothing has nothing to say about this machine."""

    code: str
    title: Text
    run: Callable[[Any], Iterable[Finding]]
    deadline_s: float = DEADLINE_S


def check(
    code: str, title: str | Text, deadline_s: float = DEADLINE_S
) -> Callable[[Callable[[Any], Iterable[Finding]]], Check]:
    """Make a generator of findings, asked with a :class:`backend.doctor.here.Here`, a check.

    A finding without a code or a title of its own gets those of the check.
    """
    heading = title if isinstance(title, Text) else Text(title)
    return lambda function: Check(code, heading, function, deadline_s)


def gib(count: float) -> str:
    """Bytes for evidence: ``12.3 GiB``, below one GiB ``640 MiB``."""
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def together(findings: Iterable[Finding]) -> list[Finding]:
    """``findings`` with those that are not known for one and the same reason made one, which has all their titles."""
    found: dict[str | int, list[Finding]] = {}
    for place, finding in enumerate(findings):
        # Only what is not known can have a reason that others share.
        key = str((finding.evidence, finding.meaning)) if finding.state == "unknown" else place
        found.setdefault(key, []).append(finding)
    return [
        replace(
            group[0],
            title=Text(
                ", ".join(f"{{t{n}}}" for n in range(len(group))), {f"t{n}": each.title for n, each in enumerate(group)}
            ),
            seconds=max(each.seconds for each in group),
        )
        if len(group) > 1
        else group[0]
        for group in found.values()
    ]
