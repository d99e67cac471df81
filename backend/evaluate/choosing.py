"""Which option of a multiple choice an answer names. Read as a person reads it, never by its first capital letter: the article in
"A city in France" is no letter, and "The answer is B." is not T.

Looked for in this order; the first that finds something decides, and two letters found at once are a contradiction, which is no answer:

1. the whole answer is a letter, or the text of an option
2. it says which one it is: "The answer is B", "答案是B", "选B", "B is correct"; a *final* answer outweighs what was said before it
3. a letter begins the answer, as options are written: "B. Paris", "(B) Paris"
4. a letter stands in brackets: "Paris (B)"
5. a letter stands alone, or behind the word: "It must be B", "option B"
6. no letter: the text of exactly one option occurs, the longest where one lies within another

A letter beside the text of another option ("Paris (C)", and C is London) is a contradiction as well. Who says that he does not know has
not chosen, unless he says after all which one it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from backend.evaluate.questions import LETTERS

_THINKING = re.compile(r"<(/?)(?:think|thinking|reasoning)>", re.IGNORECASE)
_BOXED = re.compile(r"\\(?:boxed|text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}")
_MARKS = re.compile(r"[*`$]|(?<!\w)_+|_+(?!\w)|^#+\s*", re.MULTILINE)
_EDGES = " \t\r\n.,;:!?。，、；：！？\"'“”‘’「」『』《》()[]{}（）【】"
_UNKNOWN = re.compile(
    r"\b(?:i|we) (?:do not|don't|can not|cannot|can't|am unable to|am not able to|am not sure|'m not sure)\b"
    r"|\bnone of (?:the|these)\b|不知道|不清楚|不确定|无法(?:回答|确定|判断)|不能(?:回答|确定|判断)|没有正确|都不(?:对|正确|是)",
    re.IGNORECASE,
)
_STRAIGHT = str.maketrans({"’": "'", "‘": "'", "“": '"', "”": '"'})
_NOT_WRONG = r"(?!\s*(?:is not|isn't|is wrong|is incorrect|选?项?(?:是?不|是?错)))"
AMBIGUOUS = "AI"
"""Letters that are English words as well."""


def plain(said: str) -> str:
    """What is said to the person: without the reasoning before it, and without marks of Markdown and LaTeX."""
    text = unicodedata.normalize("NFKC", _spoken(said)).translate(_STRAIGHT)
    for _ in range(3):
        text = _BOXED.sub(r"\1", text)
    return _MARKS.sub("", text).strip()


def _spoken(said: str) -> str:
    """``said`` without what stands between tags of reasoning. Many templates open it in the prompt: then only its end is here."""
    parts: list[str] = []
    depth = at = 0
    for tag in _THINKING.finditer(said):
        if tag[1]:
            parts = parts if depth else []
            depth = 0
        else:
            parts += [said[at : tag.start()]] if not depth else []
            depth += 1
        at = tag.end()
    return "".join(parts) + (said[at:] if not depth else "")


def folded(text: str) -> str:
    """``text`` for comparing: width, case, blanks and punctuation around it do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).translate(_STRAIGHT).casefold().split()).strip(_EDGES)


def chosen(said: str, options: Sequence[str]) -> str:
    """The letter of the option that ``said`` names; empty where it names none, or several."""
    text = plain(said)
    if not text or not options:
        return ""
    return _reader(tuple(options)).read(text)


class _Reader:
    """The ways to read an answer to a question with these options."""

    def __init__(self, options: tuple[str, ...]) -> None:
        self.letters = LETTERS[: len(options)]
        self.texts = {letter: folded(text) for letter, text in zip(self.letters, options, strict=False)}
        self.patterns = _patterns(self.letters)
        self.may_refuse = not any(_UNKNOWN.search(text) for text in self.texts.values())
        # Where an option is itself a letter ("Which is the symbol of carbon?"), one that stands alone says nothing.
        self.plain_letters = not any(len(text) == 1 and text.upper() in self.letters for text in self.texts.values())

    def read(self, text: str) -> str:
        whole = self.whole(text)
        if whole:
            return whole
        final, said = self.cued(text)
        if final or said:
            return _only(final or (said | self.leading(text)))
        if self.may_refuse and _UNKNOWN.search(text):
            return ""
        for found in (self.leading, self.bracketed, self.standing, self.named):
            letters = found(text)
            if letters:
                return _only(letters)
        return ""

    def whole(self, text: str) -> str:
        bare = text.strip(_EDGES)
        if len(bare) == 1 and bare.upper() in self.letters:
            return bare.upper()
        same = [letter for letter, option in self.texts.items() if option and option == folded(text)]
        return same[0] if len(same) == 1 else ""

    def cued(self, text: str) -> tuple[set[str], set[str]]:
        """(letters said to be the final answer, letters said to be the answer)."""
        final: set[str] = set()
        said: set[str] = set()
        for match in self.patterns.cue.finditer(text):
            letter = match["upper"] or match["lower"].upper()
            named = {letter, *self.beside(text, match.end(), letter), *self.also(text, match.end())}
            (final if match["last"] else said).update(named)
        for match in self.patterns.praised.finditer(text):
            said.add(match["letter"])
        if not final and not said:
            for match in self.patterns.says.finditer(text):
                said.update(self.begins(text[match.end() :]))
            said |= self.bracketed(text) if said else set()
        return final, said

    def leading(self, text: str) -> set[str]:
        """The letter at the beginning of the answer. Options that are listed again, from A on, are no choice."""
        listed = {match["letter"] for match in self.patterns.listed.finditer(text) if self.is_option(text, match)}
        again = len(listed) > 1 and self.letters[0] in listed
        match = self.patterns.lead.match(text)
        if match:
            at = "bracketed" if match["bracketed"] else "letter"
            letter = match[at].upper()
            if again and letter == self.letters[0]:
                return set()
            return {letter, *self.beside(text, match.end(), letter), *self.also(text, match.end(at))}
        match = self.patterns.loose.match(text)
        if match and match["letter"] in self.begins(text[match.end() :]):
            return {match["letter"]}
        return set()

    def bracketed(self, text: str) -> set[str]:
        letters: set[str] = set()
        for match in self.patterns.brackets.finditer(text):
            letters.add(match["letter"])
            before = self.ends(text[: match.start()].rsplit("\n", 1)[-1])
            letters.update(before if match["letter"] not in before else ())
        return letters

    def standing(self, text: str) -> set[str]:
        if not self.plain_letters:
            return set()
        return {match["named"] or match["word"] or match["letter"] for match in self.patterns.alone.finditer(text)}

    def named(self, text: str) -> set[str]:
        """Letters of the options whose text occurs, longest first: what lies within a longer one does not count."""
        low = " ".join(text.casefold().split())
        taken: list[tuple[int, int]] = []
        letters: set[str] = set()
        for option in sorted(filter(None, set(self.texts.values())), key=len, reverse=True):
            for match in occurrence(option).finditer(low):
                if any(start <= match.start() and match.end() <= end for start, end in taken):
                    continue
                taken.append(match.span())
                if not low[: match.start()].endswith(("not ", "不是", "并非")):
                    letters.update(letter for letter, same in self.texts.items() if same == option)
        return letters

    def is_option(self, text: str, match: re.Match[str]) -> bool:
        """Whether behind the letter of ``match`` stands what belongs to it."""
        return match["letter"] in self.begins(text[match.end() :].split("\n", 1)[0])

    def beside(self, text: str, end: int, letter: str) -> set[str]:
        """Other options whose text stands right after the letter that ends at ``end``."""
        found = self.begins(text[end:].split("\n", 1)[0])
        return set() if letter in found else found

    def also(self, text: str, end: int) -> set[str]:
        """A second letter that is named together with the one that ends at ``end``: "A or B"."""
        match = self.patterns.also.match(text, end)
        return {match["letter"] or match["listed"]} if match else set()

    def begins(self, text: str) -> set[str]:
        """Letters of the longest option with which ``text`` begins."""
        low = " ".join(text.casefold().split()).lstrip(_EDGES + "-–—")
        return self._longest([(o, a) for a, o in self.texts.items() if o and occurrence(o).match(low)])

    def ends(self, text: str) -> set[str]:
        """Letters of the longest option with which ``text`` ends."""
        low = folded(text)
        found = [(o, a) for a, o in self.texts.items() if o and low.endswith(o)]
        return self._longest([(o, a) for o, a in found if occurrence(o).search(low, len(low) - len(o))])

    @staticmethod
    def _longest(found: list[tuple[str, str]]) -> set[str]:
        longest = max((len(option) for option, _ in found), default=0)
        return {letter for option, letter in found if len(option) == longest}


class _Patterns:
    """The signs by which a letter of ``letters`` is known to be one."""

    def __init__(self, letters: str) -> None:
        upper, lower = f"[{letters}]", f"[{letters.lower()}]"
        last = (
            r"(?P<last>(?i:\b(?:final|so|thus|therefore|hence|overall)\b[ ,:]{0,3}(?:the |my )?(?:final )?)"
            r"|最终|最后|综上[, ]?|(?:因此|所以|故)[, ]?)?"
        )
        said = (
            r"(?:(?i:\b(?:answer|(?:correct|right|best|chosen) (?:option|choice|letter)|(?:option|choice|letter)(?= is\b| ?:))"
            r"(?: (?:here|to this question))?(?: (?:is|would be|must be|should be))?"
            r"|\b(?:i |i'd |i would |we )(?:choose|pick|select|go with|answer))"
            r"|(?:答案|(?:正确|最佳)选项|选项(?=[是为:]))(?:应该|应当|应)?(?:是|为|选)?|(?<![不别勿未非没])(?:应)?选择?)"
            r"(?i: ?(?:option|choice|letter|选项))?"
        )
        ended = r"(?=\s*(?:[.)\]\"',;]|$))"
        self.cue = re.compile(
            rf"{last}{said}\s*[:\-]?\s*[(\[\"']?\s*(?:(?P<upper>{upper})(?![A-Za-z0-9']){_NOT_WRONG}|(?P<lower>{lower}){ended})",
            re.MULTILINE,
        )
        self.also = re.compile(
            rf"[)\]]?\s*(?:(?:or|and|/|或者?|和|与|、)\s*[(\[]?(?P<letter>{upper})(?![A-Za-z0-9'])"
            rf"|,\s*[(\[]?(?P<listed>{upper})(?=\s*(?:[.,;)\]]|$)))",
            re.MULTILINE,
        )
        self.praised = re.compile(
            rf"(?<![A-Za-z0-9])(?P<letter>{upper})[)\].]?\s*(?:选项|项)?\s*"
            r"(?:is (?:the )?(?:correct|right|best|answer)|(?:是|为)?(?:正确|对))"
        )
        self.says = re.compile(
            r"(?i:\b(?:answer|option|choice) (?:is|would be|must be|should be)|\banswer\s*:)"
            r"|答案(?:应该|应当|应)?(?:是|为|:)|选项?(?:是|为)"
        )
        self.listed = re.compile(rf"(?<![A-Za-z0-9])[(\[]?(?P<letter>{upper})[.):、\]]")
        self.lead = re.compile(
            rf"\s*(?:[(\[]\s*(?P<bracketed>{upper}|{lower})\s*[)\]]"
            rf"|(?P<letter>{upper})(?:\s*[.):、,;\-](?!\w)|\s*[.):、](?=\w)|\s*\n))"
        )
        self.loose = re.compile(rf"\s*(?P<letter>{upper})\s*")
        self.brackets = re.compile(rf"[(\[]\s*(?P<letter>{upper})\s*[)\]]")
        self.alone = re.compile(
            rf"(?:(?i:\b(?:option|choice|letter|answer)s?\s+)|选项\s*)[(\[]?(?P<named>{upper})(?![A-Za-z0-9']){_NOT_WRONG}"
            rf"|(?<![A-Za-z0-9'\-])(?<!\bnot )(?<!n't )(?<!不是)(?<!不选)(?:{_word(letters)}|{_other(letters)})",
            re.MULTILINE,
        )


def _word(letters: str) -> str:
    """A letter that is a word as well, where it cannot be the word: at an end."""
    words = "".join(letter for letter in letters if letter in AMBIGUOUS)
    return (
        rf"(?P<word>[{words}])(?=\s*(?:[.,;:)!?。]|$| (?:or|and) (?:option )?[{letters}]\b))"
        if words
        else r"(?P<word>(?!))"
    )


def _other(letters: str) -> str:
    """Any other letter, unless it is said that it is not the one."""
    others = "".join(letter for letter in letters if letter not in AMBIGUOUS)
    wrong = rf"(?![A-Za-z0-9'\-+#]){_NOT_WRONG}"
    return rf"(?P<letter>[{others}]){wrong}" if others else r"(?P<letter>(?!))"


@lru_cache(maxsize=256)
def _reader(options: tuple[str, ...]) -> _Reader:
    return _Reader(options)


@lru_cache(maxsize=16)
def _patterns(letters: str) -> _Patterns:
    return _Patterns(letters)


@lru_cache(maxsize=4096)
def occurrence(text: str) -> re.Pattern[str]:
    """Where ``text`` occurs as words: "art" not in "party", 8 not in 18 nor in 8.5. Chinese has no blanks between words."""
    before = after = ""
    if re.match(r"[^\W_]", text) and not _han(text[0]):
        before = r"(?<![0-9])(?<![0-9][.,])" if text[0].isdigit() else r"(?<![A-Za-z0-9\u00c0-\u024f])"
    if text and re.match(r"[^\W_]", text[-1]) and not _han(text[-1]):
        after = r"(?![0-9])(?![.,][0-9])" if text[-1].isdigit() else r"(?![A-Za-z0-9\u00c0-\u024f])"
    return re.compile(before + re.escape(text) + after)


def _han(letter: str) -> bool:
    return "\u3040" <= letter <= "\u9fff"


def _only(letters: set[str]) -> str:
    return next(iter(letters)) if len(letters) == 1 else ""
