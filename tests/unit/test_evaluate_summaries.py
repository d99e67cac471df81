"""Tables of scores, as a program wrote them and as people pass them on."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.errors import DataError
from backend.evaluate import summaries
from tests.support.past_runs import CEVAL_AVERAGES, HEAD

DASHES = "^" * 128
# As tabulate printed it: two models, one of them with a gap.
PRINTED = """\
dataset                          version    metric         mode      qwen-7b    my model v2
-------------------------------  ---------  -------------  ------  ---------  -------------
ceval-computer_network           db9ce2     accuracy       gen         31.58  47.37
ceval-operating_system           1c2571     accuracy       gen         36.84  -
--------- 考试 Exam ---------    -          -              -       -          -
ceval-stem                       -          naive_average  gen         35.09  -
"""
SUMMARY = f"""20240119_225509
tabulate format
{DASHES}
{PRINTED}{"$" * 128}

{"-" * 128} THIS IS A DIVIDER {"-" * 128}

csv format
{DASHES}
{HEAD},qwen-7b,my model v2
ceval-computer_network,db9ce2,accuracy,gen,31.58,47.37
ceval-operating_system,1c2571,accuracy,gen,36.84,-
--------- 考试 Exam ---------,-,-,-,-,-
ceval-stem,-,naive_average,gen,35.09,-
{"$" * 128}

markdown format
{DASHES}
| dataset | version | metric | mode | qwen-7b | my model v2 |
|----- | ----- | ----- | ----- | ----- | -----|
| ceval-computer_network | db9ce2 | accuracy | gen | 31.58 | 47.37 |

{"$" * 128}
{"-" * 128} THIS IS A DIVIDER {"-" * 128}

raw format
{DASHES}
-------------------------------
Model: qwen-7b
ceval-computer_network: {{'accuracy': 31.57894736842105}}
ceval-operating_system: {{'accuracy': 36.84210526315789}}
-------------------------------
Model: my model v2
ceval-computer_network: {{'accuracy': 47.368421052631575}}
ceval-operating_system: {{'error': 'preds and refrs have different length'}}
ceval-nan: {{'accuracy': nan}}
{"$" * 128}
"""


def test_the_whole_text_file_with_its_sections_is_read_once() -> None:
    found = summaries.parse(SUMMARY)
    assert found is not None
    assert found.models == ("qwen-7b", "my model v2")
    assert found.time == "20240119_225509"
    assert [line.dataset for line in found.lines] == [
        "ceval-computer_network",
        "ceval-operating_system",
        "--------- 考试 Exam ---------",
        "ceval-stem",
    ]
    assert found.lines[1].values == ("36.84", "-")
    assert (found.lines[3].version, found.lines[3].group, found.lines[0].group) == ("", True, False)
    assert found.raw["qwen-7b", "ceval-computer_network"] == {"accuracy": 31.57894736842105}
    assert "error" in found.raw["my model v2", "ceval-operating_system"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_was_copied_out_of_a_terminal_is_read_alone(tmp_path: Path, encoding: str, ends: str) -> None:
    file = tmp_path / "notes.txt"
    text = f"11/26 14:58:36 - OpenCompass - INFO - 写入 summary\n{PRINTED}\nroot@box:~# "
    file.write_bytes(text.replace("\n", ends).encode(encoding))
    found = summaries.read(file)
    assert found.models == ("qwen-7b", "my model v2")
    assert [line.dataset[:8] for line in found.lines] == ["ceval-co", "ceval-op", "--------", "ceval-st"]


@pytest.mark.parametrize("wide", [True, False])
def test_chinese_names_with_two_blanks_in_them_are_cut_where_the_dashes_stand(wide: bool) -> None:
    width = 24
    name = "我的  集合"
    pad = width - sum(2 if wide and ord(letter) > 255 else 1 for letter in name)
    text = (
        f"{'dataset':<{width}}  version    metric    mode      模型\n"
        f"{'-' * width}  ---------  --------  ------  ------\n"
        f"{name}{' ' * pad}  5f30c7     accuracy  gen      50.00\n"
    )
    found = summaries.parse(text)
    assert found is not None
    assert [(line.dataset, line.version, line.values) for line in found.lines] == [(name, "5f30c7", ("50.00",))]


def test_a_comma_in_a_name_is_a_blank_in_the_csv_and_shifts_no_column() -> None:
    found = summaries.parse(f"{HEAD},a model\nlaw and  order,5f30c7,accuracy,gen,50.00\n")
    assert found is not None
    assert found.lines[0].dataset == "law and  order"
    printed = summaries.parse(
        f"x\ncsv format\n{HEAD},m\nlaw, and order,5f30c7,accuracy,gen,50.00\n\n"
        "| dataset | version | metric | mode | m |\n|----- | ----- | ----- | ----- | -----|\n"
        "| law, and order | 5f30c7 | accuracy | gen | 50.00 |\n"
    )
    assert printed is not None
    assert [line.dataset for line in printed.lines] == ["law, and order"], "the section that has it whole"


@pytest.mark.parametrize("mark", [",", "\t", ";"])
def test_a_table_that_went_through_a_spreadsheet(mark: str) -> None:
    rows = [[*HEAD.split(","), '"model, new"'], ["ceval-logic", "f5b022", "accuracy", "gen", '"31.82"']]
    found = summaries.parse("\r\n".join(mark.join(row) for row in rows))
    assert found is not None
    assert (found.models, found.lines[0].values) == (("model, new",), ("31.82",))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("31.58", 31.58),
        ("50", 50.0),
        ("-", None),
        ("--", None),
        ("", None),
        ("nan", None),
        ("12.5%", 12.5),
        ("inf", None),
        ("x", None),
    ],
)
def test_a_printed_number(text: str, value: float | None) -> None:
    assert summaries.number(text) == value


def test_the_time_may_stand_in_the_name_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "summary_20240119_225509.csv"
    file.write_text(f"{HEAD},m\nceval,-,naive_average,gen,{CEVAL_AVERAGES['ceval']}\n")
    assert summaries.read(file).time == "20240119_225509"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0", "summary_unreadable"),
        (b"a,b\n1,2\n", "summary_no_table"),
        (b"", "summary_no_table"),
        (b"dataset,version,metric,mode\nx,1,accuracy,gen\n", "summary_no_table"),
    ],
)
def test_what_is_no_table_says_so(tmp_path: Path, data: bytes, code: str) -> None:
    file = tmp_path / "summary.csv"
    file.write_bytes(data)
    with pytest.raises(DataError) as caught:
        summaries.read(file)
    assert caught.value.code == code
