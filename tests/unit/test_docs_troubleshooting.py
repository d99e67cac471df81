"""What docs/troubleshooting.md takes from the program is what the program has: the table of what logs say, and the list of its sections."""

from __future__ import annotations

import re

from backend.diagnosis import ROWS
from backend.diagnosis.row import Row, command, spec, text
from scripts import troubleshooting

PAGE = troubleshooting.PAGE.read_text(encoding="utf-8")


def test_the_page_is_as_the_program_writes_it() -> None:
    assert troubleshooting.written(PAGE) == PAGE, "run python scripts/troubleshooting.py"


def test_every_known_cause_stands_there_once_with_its_signs_and_what_helps() -> None:
    written = PAGE.split(troubleshooting.TABLE[0])[1].split(troubleshooting.TABLE[1])[0]
    lines = [line for line in written.splitlines() if line.startswith("| ") and "| `" in line]
    assert [re.findall(r" \| `(\w+)` \| ", line)[-1] for line in lines] == [row.code for row in ROWS]
    for row, line in zip(ROWS, lines, strict=True):
        assert len(re.findall(r"(?<!\\)\|", line)) == 5, f"{row.code}: a bar in a cell breaks the table"
        assert troubleshooting.escaped(row.cause) in line


def test_a_new_row_makes_the_page_untrue() -> None:
    row = Row(
        "gremlins",
        ("…gremlin <number:num> | in `engine`$", "gremlins: "),
        "There are gremlins.",
        (command("ls | wc", "Counts them."), spec("batch_size", "Feed them less.", 1), text("Wait & see <here>.")),
        exits=(3, -9),
    )
    assert troubleshooting.line(row) == (
        "| `` …gremlin … \\| in `engine` ``<br>`gremlins:`<br>exit code 3<br>ended by signal 9 | `gremlins` | There are gremlins. "
        "| `ls \\| wc`: Counts them.<br>Feed them less. (`batch_size=1`)<br>Wait &amp; see &lt;here>. |"
    )


def test_the_index_names_every_section_and_its_parts() -> None:
    page = "# T\n\n## One two\n\n### A, b\n\n### C\n\n## Three\n"
    assert troubleshooting.index(page) == "- [One two](#one-two): [A, b](#a-b), [C](#c)\n- [Three](#three)\n"


def test_what_is_written_by_hand_stays() -> None:
    kept = troubleshooting.by_hand(PAGE)
    assert "`port_taken`" in kept
    assert "`gpu_out_of_memory`" not in kept
    assert troubleshooting.written(kept) == PAGE
