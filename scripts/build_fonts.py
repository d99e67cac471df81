"""Makes the font files in ``ui/static/fonts``; run again only to change which characters they hold.

    apt install fonts-noto-cjk; npm pack, then unpack into one folder: @fontsource-variable/{inter,jetbrains-mono,noto-sans-sc}
    python -m scripts.build_fonts FOLDER # FOLDER/{inter,jetbrains-mono,noto-sans-sc}/ as npm unpacked them

Latin text is Inter, code JetBrains Mono (both as Fontsource ships them), Chinese Noto Sans CJK SC, cut in two: the
characters people see most, and the rest of GB 2312's first level and of the most frequent. A browser fetches the
second only when a character is missing from the first, so most visits load little. Needs ``fonttools`` and ``brotli``.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

from fontTools.subset import Options, Subsetter, load_font, save_font
from fontTools.ttLib import TTFont

from backend.workspace import ROOT

TARGET = ROOT / "ui" / "static" / "fonts"
NOTO = Path("/usr/share/fonts/opentype/noto")
SIMPLIFIED_CHINESE = 2  # face of the collections: JP, KR, SC, TC, HK, then the mono ones
COMMON_SLICES = range(115, 120)
"""Google's slices of Noto Sans SC are ordered by how often a character is met; 119 holds the most frequent."""
KNOWN_SLICES = range(100, 120)
COPIED = {
    "inter/files/inter-latin-wght-normal.woff2": "inter-latin.woff2",
    "inter/files/inter-latin-ext-wght-normal.woff2": "inter-latin-ext.woff2",
    "jetbrains-mono/files/jetbrains-mono-latin-wght-normal.woff2": "jetbrains-mono-latin.woff2",
}
LICENCES = {"inter/LICENSE": "Inter-OFL.txt", "jetbrains-mono/LICENSE": "JetBrainsMono-OFL.txt"}


def main(sources: Path) -> None:
    """Write all font files from the unpacked packages in ``sources`` and Debian's Noto CJK."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for source, name in {**COPIED, **LICENCES}.items():
        shutil.copyfile(sources / source, TARGET / name)
    _noto_licence(sources / "noto-sans-sc" / "LICENSE")
    ranges = json.loads((sources / "noto-sans-sc" / "unicode.json").read_text(encoding="utf-8"))
    common = _slices(ranges, COMMON_SLICES) | _in_catalogue() | _punctuation()
    known = _slices(ranges, KNOWN_SLICES) | _gb2312_first_level()
    common, known = {c for c in common if c > 0x2E7F}, {c for c in known if c > 0x2E7F}
    _cut("NotoSansCJK-Regular.ttc", common, "noto-sans-sc-common.woff2")
    _cut("NotoSansCJK-Bold.ttc", common, "noto-sans-sc-common-bold.woff2")
    _cut("NotoSansCJK-Regular.ttc", known - common, "noto-sans-sc-more.woff2")


def _noto_licence(fontsource: Path) -> None:
    """The same OFL text under the copyright line of Debian's files, which is where our glyphs come from."""
    font = TTFont(NOTO / "NotoSansCJK-Regular.ttc", fontNumber=SIMPLIFIED_CHINESE)
    text = fontsource.read_text(encoding="utf-8")
    body = text[text.index("This Font Software is licensed") :]
    (TARGET / "NotoSansCJK-OFL.txt").write_text(f"{font['name'].getDebugName(0)}\n\n{body}", encoding="utf-8")


def _slices(ranges: dict[str, str], numbers: range) -> set[int]:
    found: set[int] = set()
    for number in numbers:
        for part in ranges[f"[{number}]"].split(","):
            first, _, last = part.strip().removeprefix("U+").partition("-")
            found.update(range(int(first, 16), int(last or first, 16) + 1))
    return found


def _gb2312_first_level() -> set[int]:
    """The 3,755 characters in rows 16 to 55 of GB 2312-80."""
    cells = (bytes((0xA0 + row, 0xA0 + cell)) for row in range(16, 56) for cell in range(1, 95))
    return {ord(cell.decode("gb2312")) for cell in cells if cell.decode("gb2312", "ignore")}


def _in_catalogue() -> set[int]:
    catalogue = ROOT / "locale" / "zh_CN" / "LC_MESSAGES" / "tunedeck.po"
    text = catalogue.read_text(encoding="utf-8") if catalogue.exists() else ""
    return {ord(c) for c in "".join(re.findall(r'^(?:msgstr.*)?"(.*)"$', text, re.MULTILINE))}


def _punctuation() -> set[int]:
    return {*range(0x3000, 0x3020), *range(0xFF00, 0xFF65)}


def _cut(collection: str, characters: set[int], name: str) -> None:
    options = Options()
    options.font_number = SIMPLIFIED_CHINESE
    options.flavor = "woff2"
    options.layout_features = ["kern", "locl", "ccmp"]
    options.hinting = False
    options.desubroutinize = True  # compresses better as woff2
    options.name_IDs = ["*"]
    font = load_font(str(NOTO / collection), options)
    cutter = Subsetter(options)
    cutter.populate(unicodes=characters)
    cutter.subset(font)
    save_font(font, str(TARGET / name), options)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
