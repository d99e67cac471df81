"""The Python tool as a model calls it, and what it and a person are given."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from backend.agent.tools import MOST_CHARS, Context, Result
from backend.workspace import Workspace
from jobs.agent.sandbox.printed import readable, tidy
from jobs.agent.tools.python_code import PythonCode, limits_of


@pytest.fixture
def context(workspace: Workspace, tmp_path: Path) -> Context:
    return Context(workspace, tmp_path / "conversation")


def ran(code: object, context: Context) -> Result:
    return PythonCode().call({"code": code}, context)


def test_the_value_of_the_last_expression_is_the_result(context: Context) -> None:
    result = ran("1+1", context)

    assert (result.text, result.error, result.files) == ("2", None, ())


def test_output_comes_before_the_value(context: Context) -> None:
    assert ran("print('one')\nimport sys\nprint('two', file=sys.stderr)\n'three'", context).text == "one\ntwo\n'three'"


def test_a_last_line_with_a_semicolon_and_none_show_nothing(context: Context) -> None:
    assert "printed nothing" in ran("1+1;", context).text
    assert "printed nothing" in ran("None", context).text


def test_a_fence_around_the_code_is_taken_off(context: Context) -> None:
    assert ran("```python\nx = 6\nx * 7\n```\n", context).text == "42"


def test_a_traceback_shows_the_lines_of_the_code_and_nothing_of_libraries(context: Context) -> None:
    result = ran("import json\ndef load(text):\n    return json.loads(text)\nload('{')", context)

    assert result.error is not None
    assert result.error.code == "python_raised"
    assert 'File "<python>", line 4, in <module>' in result.text
    assert "return json.loads(text)" in result.text
    assert "decoder.py" not in result.text
    assert "enter.py" not in result.text
    assert str(result.error).startswith("The code stopped with an error: json.decoder.JSONDecodeError: Expecting")


def test_a_syntax_error_shows_where(context: Context) -> None:
    result = ran("print('a'\nx = = 2", context)

    assert result.error is not None
    assert "SyntaxError" in result.text
    assert "cell.py" not in result.text


def test_an_exception_whose_text_raises_is_told_by_its_name(context: Context) -> None:
    result = ran("class Bad(Exception):\n    def __str__(self): raise SystemExit(5)\nraise Bad", context)

    assert result.error is not None
    assert "Bad" in result.text


def test_files_stay_for_the_next_call_and_variables_do_not(context: Context) -> None:
    ran("x = 5\nopen('x.txt', 'w').write(str(x))", context)

    assert ran("open('x.txt').read()", context).text == "'5'"
    assert "NameError" in ran("x", context).text


def test_a_file_that_was_never_closed_is_whole(context: Context) -> None:
    result = ran("file = open('a.txt', 'w')\nfile.write('all of it')", context)

    assert [path.read_text(encoding="utf-8") for path in result.files] == ["all of it"]


def test_its_own_modules_can_be_imported_and_cannot_stand_in_for_pythons(context: Context) -> None:
    ran("open('mine.py', 'w').write('x = 7')\nopen('random.py', 'w').write('x = 7')", context)

    assert ran("import mine, random\nmine.x, hasattr(random, 'x')", context).text == "(7, False)"


def test_numpy_and_pandas_work(context: Context) -> None:
    pytest.importorskip("pandas")
    code = """
import numpy as np, pandas as pd
frame = pd.DataFrame({"x": np.arange(3.0)})
frame.to_csv("x.csv", index=False)
float(np.linalg.norm(pd.read_csv("x.csv").x)), pd.to_datetime("2024-05-01", utc=True).tz_convert("Asia/Shanghai").hour
"""
    result = ran(code, context)

    assert result.text == "(2.23606797749979, 8)\n[files: x.csv]"
    assert [path.name for path in result.files] == ["x.csv"]


def test_files_that_were_made_or_changed_come_back_as_copies(context: Context) -> None:
    first = ran("open('a.txt', 'w').write('one')\nopen('b.txt', 'w').write('b')", context)
    second = ran("open('a.txt', 'w').write('two')", context)
    third = ran("import os\nos.remove('a.txt')", context)

    assert [path.name for path in first.files] == ["a.txt", "b.txt"]
    assert [path.name for path in second.files] == ["a.txt"]
    assert third.files == ()
    assert (first.files[0].read_text(), second.files[0].read_text()) == ("one", "two")
    inside = context.folder / "python"
    assert not any(inside in path.parents for path in (*first.files, *second.files))


def test_a_file_of_an_earlier_call_cannot_be_changed_by_a_later_one(context: Context) -> None:
    made = ran("open('a.txt', 'w').write('one')", context).files[0]

    ran(f"import shutil, os\nshutil.rmtree({str(made.parent)!r})", context)
    ran(f"open({str(made)!r}, 'w').write('two')", context)

    assert made.read_text(encoding="utf-8") == "one"


def test_names_of_files_are_made_fit_for_people(context: Context) -> None:
    code = """
import os
os.mkdir("plots")
for name in (b"plots/a b.txt", b"\\xff\\xfe.bin", b"-rf", b".hidden",
             b"new\\nline\\x1b[31m.txt", b"\\xe5\\x9b\\xbe.txt"):
    open(name, "w").write("x")
"""
    result = ran(code, context)

    names = sorted(path.name for path in result.files)
    assert names == ["bin", "new_line_31m.txt", "plots-a_b.txt", "rf", "图.txt"]
    assert all(name.isprintable() and not name.startswith((".", "-")) for name in names)
    assert "\x1b" not in result.text


def test_more_files_than_can_be_shown_are_counted(context: Context) -> None:
    result = ran("for n in range(30): open(f'{n:02}.txt', 'w').write('x')", context)

    assert len(result.files) == 20
    assert "and 10 more, of which no copies were taken" in result.text


def test_long_output_is_shortened_and_whole_in_a_file(context: Context) -> None:
    result = ran("print('x' * 100_000)", context)

    assert len(result.text) <= MOST_CHARS
    assert result.shortened > 0
    assert result.files[0].read_text(encoding="utf-8").rstrip() == "x" * 100_000


def test_binary_output_is_shown_as_such(context: Context) -> None:
    result = ran("import sys\nsys.stdout.buffer.write(b'\\x89PNG\\r\\n' + bytes(range(256)) * 10);", context)

    assert result.text.startswith("[binary output, 2,566 bytes, beginning with 89 50 4e 47")


def test_bytes_that_are_no_text_and_signs_for_terminals_do_no_harm(context: Context) -> None:
    code = (
        "import sys\nsys.stdout.buffer.write(b'caf\\xe9 \\x1b[31mred\\x1b[0m \\x1b]0;title\\x07nul\\x00 '\n"
        "b'and more text that is plain, so that this is no binary output\\n10%\\r100%\\n');"
    )
    result = ran(code, context)

    assert result.text.startswith("caf\ufffd red nul\ufffd and more text")
    assert result.text.endswith("\n100%")


def test_text_that_cannot_be_written_as_utf_8_is_still_shown(context: Context) -> None:
    assert ran("print('\\ud800')\n'\\ud800'", context).text == "\\ud800\n'\\ud800'"


def test_no_pickle_of_the_code_is_ever_opened_by_us(context: Context) -> None:
    harm = context.folder / "harm"
    code = f"""
import os, pickle
class Bomb:
    def __reduce__(self):
        return (os.mkdir, ({str(harm)!r},))
    def __repr__(self):
        return pickle.dumps(Bomb()).decode("latin-1")
bomb = pickle.dumps(Bomb())
open("bomb.pkl", "wb").write(bomb)
for number in range(1, 64):
    try:
        os.write(number, bomb)
    except OSError:
        pass
Bomb()
"""
    result = ran(code, context)

    assert not harm.exists()
    assert isinstance(result.text, str)
    assert pickle.loads(pickle.dumps(result)).text == result.text
    assert not harm.exists()


def test_a_report_of_its_own_is_only_text(context: Context) -> None:
    code = "import os\nfor n in range(3, 4096):\n    try: os.write(n, b'Vforged\\n')\n    except OSError: pass\nos._exit(0)"

    result = ran(code, context)

    assert result.error is None
    assert "forged" in result.text


@pytest.mark.parametrize("code", [None, 5, "", "  \n", ["1+1"], True])
def test_no_code_is_an_error_that_shows_how_to_write_it(context: Context, code: object) -> None:
    result = ran(code, context)

    assert result.error is not None
    assert result.error.code == "python_code_missing"
    assert '{"code": "print(2 + 3)"}' in result.text


def test_a_megabyte_of_code_is_refused(context: Context) -> None:
    result = ran("x = 1\n" * 200_000, context)

    assert result.error is not None
    assert result.error.code == "python_code_too_long"


def test_code_with_nul_and_lone_surrogates_is_run_or_told(context: Context) -> None:
    assert ran("1+\x001", context).text == "2"
    assert ran("'\ud800'", context).error is None
    assert ran("(" * 100_000, context).error is not None


@pytest.mark.parametrize(
    ("code", "named", "advice"),
    [
        ("import no_such_library", "python_raised", "no_such_library is not installed here"),
        ("import urllib.request as u\nu.urlopen('http://127.0.0.1:9')", "python_raised", "without network"),
        ("import subprocess\nsubprocess.run(['ls'])", "python_raised", "other programs"),
        ("input('name? ')", "python_raised", "put the values into the code"),
        ("bytearray(20 << 30)", "python_raised", "1024 MiB of memory"),
        ("import sys\nsys.exit(3)", "python_exited", "exit code 3"),
        ("import sys\nsys.exit('no such row')", "python_exited", "no such row"),
        ("import os\nos.abort()", "python_killed", "SIGABRT"),
    ],
)
def test_a_model_reads_what_helps(context: Context, code: str, named: str, advice: str) -> None:
    result = ran(code, context)

    assert result.error is not None
    assert result.error.code == named
    assert advice in result.text


def test_sys_exit_with_0_is_no_error(context: Context) -> None:
    result = ran("print('enough')\nimport sys\nsys.exit()", context)

    assert result.error is None
    assert result.text == "enough\n[The code ended itself here, with exit code 0.]"


def test_settings_change_the_limits_within_bounds(context: Context) -> None:
    assert (limits_of({"seconds": 5}).seconds, limits_of({"memory_mib": 256}).memory) == (5, 256 << 20)
    assert limits_of({"seconds": 10**9, "memory_mib": 1}).seconds == 600
    assert limits_of({"memory_mib": 1}).memory == 128 << 20
    assert limits_of({"seconds": "5", "memory_mib": float("nan")}) == limits_of({})

    short = Context(context.workspace, context.folder, settings={"python": {"seconds": 0.5}})
    result = ran("import time\ntime.sleep(60)", short)
    assert result.error is not None
    assert str(result.error) == "The code was ended after 0.5 seconds."


def test_stop_is_told(context: Context) -> None:
    stopped = Context(context.workspace, context.folder, stopped=lambda: True)

    result = ran("while True: pass", stopped)

    assert result.error is not None
    assert result.error.code == "python_stopped"
    assert result.seconds < 2


def test_a_link_in_place_of_the_folder_is_told(context: Context, tmp_path: Path) -> None:
    context.folder.mkdir()
    (context.folder / "python").symlink_to(tmp_path)

    result = ran("1", context)

    assert result.error is not None
    assert result.error.code == "python_folder_unfit"


def test_what_a_terminal_would_have_shown_is_shown() -> None:
    assert tidy("10%\r50%\r100%\r\nnext\x08") == "100%\nnext\ufffd"
    assert readable("中文 é\n".encode()) == "中文 é\n"
    assert readable(b"") == ""


def test_figures_of_matplotlib_come_back_as_pictures(context: Context) -> None:
    code = "import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()\nplt.figure()\nplt.bar([1], [2]);"

    result = ran(code, context)

    assert [path.name for path in result.files] == ["figure-1.png", "figure-2.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in result.files)
