"""What stands around a message in a log: times, levels, ranks, boxes; how loud a line is, with and without them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from itertools import islice

BOX = re.compile(r"^[\s│┃║|]*[│┃║](?: |$)|[│┃║╭╮╰╯─━]+\s*$|^[╭╰][─━]+|^\s*╰─>\s?|^\s*[×❱]\s?")
_DAY = r"(?:\d{4}[-/]\d{1,2}[-/]\d{1,2}|\d{1,2}/\d{1,2}(?:/\d{2,4})?|[A-Z][a-z]{2} +\d{1,2})"
_TIME = r"\d{1,2}:\d\d:\d\d(?:[.,]\d+)?(?:Z|\s?[+-]\d\d:?\d\d)?"
_LEVEL = r"(?:DEBUG|INFO|NOTICE|SUCCESS|WARN(?:ING)?|ERROR|CRITICAL|FATAL|E|W|I|D|F)"
PREFIX = re.compile(
    r"\[?(?:default\d|rank ?\d+)\]?:\s?"  # torchrun
    r"|\(\w+(?: \w+)? pid=\d+(?:, ip=[\d.]+)?\)\s?"  # ray, vLLM
    r"|\[\d+,\d+\]<std\w+>:\s?|\d{1,3}:\s(?=\s*\S)"  # mpirun, srun
    r"|[\w.-]{1,40}-\d+\s+\|(?:\s|$)"  # compose
    rf"|\[?{_DAY}[T ]{_TIME}\]?,?\s?|\[?{_TIME}\]?\s|\[\s*\d+\.\d{{6}}\]\s?"
    r"|[\w.-]+ [\w./-]+\[\d+\]:\s"  # syslog
    rf"|\[?(?P<a>{_LEVEL})\d{{3,4}} {_TIME}\s+(?:\d+ )?[\w./-]+:\d+\]\s?"  # glog
    rf"|\[(?P<b>{_LEVEL})(?:[|,][^\]]*)?\]\s?|\[(?P<f>{_LEVEL}) [\w.]+:\d+\]\s?"
    rf"|\[[\w.-]+\.py:\d+(?::\w+)?\]\s?"
    rf"|\s*\|\s(?P<c>{_LEVEL})\s*\|\s[\w.<>:-]+ - "  # loguru
    rf"|\s?- [\w.]+ - (?P<d>{_LEVEL}) - (?:\S+\.py(?::\d+| - \w+ - \d+) - )?"  # mmengine, LMDeploy, OpenCompass
    r"|\[TM\](?=\[)"
    rf"|(?P<e>{_LEVEL}):?\s{{4,}}|(?P<g>(?:DEBUG|INFO|WARNING|DEPRECATION)):\s"
)
WARNS = re.compile(r"\s*(?:.{0,300}:\d+: )?\w*Warning: |(?:warning|note|hint|tip): ", re.IGNORECASE)
COLUMN = re.compile(r"\s{2,}[\w./-]+\.py:\d+\s*$")  # rich, at the right
# Loggers differ in all but these words, which stand somewhere near the beginning.
NAMED = re.compile(r"(?:^|[\s|\[(<:-])(DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|CRITICAL|FATAL)(?=[\s|\]:,)>-]|$)")
SPEAKS = re.compile(r"\s*Traceback \(most recent|\s*[\w.]*(?:Error|Exception|Interrupt|Iteration|Exit)(?::|$)")
LOUD = re.compile(
    r"\s*(?:(?:ERROR|Error|error|FATAL|Fatal|fatal|CRITICAL)\b(?:[:\s]|$)|[×] |[\w.]*(?:Error|Exception)(?::|$))"
)
MARGIN, SAMPLE, FEW, NEARLY_ALL = 60, 400, 4, 0.85
# A message that is repeated again and again is no prefix.
MESSAGE = re.compile(r"Error\b|Exception|Traceback|Killed|[a-z]{3,} [a-z]{2,} [a-z]{2,}")


def stripped(raw: str, margin: re.Pattern[str] | None = None) -> tuple[str, str, bool, int]:
    """(what the line says, its level, whether it had a prefix of its own, its length). A level is empty, ``quiet`` for a warning or less,
    or ``loud``; ``margin``: see :func:`common`."""
    found = margin.match(raw) if margin else None
    bare = raw[found.end() :] if found else raw
    said = BOX.sub("", bare) if not bare.isascii() or "|" in bare else bare
    if ".py:" in said:
        said = COLUMN.sub("", said)
    level, own, length = "", bool(found and re.search(r"\w", found.group())), len(said.rstrip())
    for _again in range(6):
        match = PREFIX.match(said)
        if match is None:
            break
        word = next((value for value in match.groups() if value), "")
        if word:
            level = "loud" if word[0] in "EFC" else "quiet"
        said, own = said[match.end() :], True
    named = NAMED.search(raw, 0, 120)
    if named and not level:
        level = "loud" if named.group(1)[0] in "EFC" else "quiet"
    return said, "quiet" if WARNS.match(said) else level or ("loud" if LOUD.match(said) else ""), own, length


def common(lines: Iterable[str]) -> re.Pattern[str] | None:
    """What nearly all of ``lines`` begin with but for digits: the prefix of a logger that nobody here knows; None without one."""
    sample = list(islice((line for line in lines if line.strip()), SAMPLE))
    counts = Counter[str]()
    for line in sample:
        shape = re.sub(r"\d+", "0", re.sub(r"\s+", " ", line[:MARGIN])).lstrip()
        counts.update({shape[: end.end()].rstrip() for end in re.finditer(r"[\s:>|\])]", shape)})
    shared = [shape for shape, n in counts.items() if n >= NEARLY_ALL * len(sample) and not MESSAGE.search(shape)]
    longest = max(shared, key=len, default="")
    if len(sample) < FEW or not longest:
        return None
    pattern = r"\s*" + re.escape(longest).replace("0", r"\d+").replace(r"\ ", r"\s+")
    begins = [match for line in sample if (match := re.match(pattern, line))]
    rests = [match.string[match.end() :] for match in begins]
    blanks = min((len(rest) - len(rest.lstrip()) for rest in rests if rest.strip()), default=0)
    return re.compile(pattern + rf"\s{{0,{blanks}}}")
