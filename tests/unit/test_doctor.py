"""The doctor as a whole: every check on its own, whatever it does; nothing secret leaves; the command line tells the truth."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend import i18n
from backend.doctor import masking, report
from backend.doctor.checks import CHECKS
from backend.doctor.findings import Check, Finding, Text, attention, bad, check, ok, say, together
from backend.doctor.here import Here
from backend.doctor.keeper import Keeper
from backend.doctor.run import Examination, examine
from backend.errors import PanelError
from backend.i18n import N_
from backend.workspace import ROOT, Workspace

CAN_MOUNT = (
    shutil.which("unshare") is not None
    and Path("/dev/fuse").exists()
    and subprocess.run(
        ["unshare", "-m", "--propagation", "private", "true"], capture_output=True, check=False
    ).returncode
    == 0
)


@check("fine", "A check that is fine")
def fine(_here: Here) -> Iterator[Finding]:
    yield ok(say("{n} of {n}.", n="3"))


@check("crash", "A check with a defect")
def crash(_here: Here) -> Iterator[Finding]:
    yield attention(say("Seen before the end."), meaning=say("It matters."))
    raise ZeroDivisionError("by {nothing}")


def hanging(code: str, deadline_s: float = 0.2) -> Check:
    """A check that waits for what never comes."""

    @check(code, "A check that hangs", deadline_s)
    def hang(_here: Here) -> Iterator[Finding]:
        threading.Event().wait()
        yield ok()

    return hang


def cli(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """``python -m backend ARGS``, away from the network."""
    env = {**os.environ, "PIP_INDEX_URL": "http://127.0.0.1:9/simple", **environ}
    return subprocess.run(
        [sys.executable, "-m", *args], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False
    )


def states(found: Examination) -> list[tuple[str, str]]:
    return [(finding.code, finding.state) for finding in found.findings]


def test_a_check_that_crashes_is_unknown_with_its_reason_and_keeps_what_it_had_said() -> None:
    found = examine(checks=[fine, crash])
    assert states(found) == [("crash", "attention"), ("crash", "unknown"), ("fine", "ok")]
    unknown = found.having("unknown")[0]
    assert unknown.evidence[0].english() == "The check failed: ZeroDivisionError: by {nothing}"
    assert unknown.title.english() == "A check with a defect"
    assert found.having("ok")[0].evidence[0].english() == "3 of 3."


def test_a_check_that_hangs_is_given_up_at_its_deadline_and_the_others_go_on() -> None:
    began = time.monotonic()
    found = examine(checks=[hanging("one"), fine, hanging("two", 0.4)])
    assert time.monotonic() - began < 3
    assert states(found) == [("one", "unknown"), ("two", "unknown"), ("fine", "ok")]
    hung = found.having("unknown")[1]
    assert hung.evidence[0].english() == "No answer within 0 s."
    assert 0.35 < hung.seconds < 3


def test_however_many_hang_the_whole_ends_in_time() -> None:
    many = [hanging(f"hung{n}", 0.5) for n in range(100)]
    began = time.monotonic()
    found = examine(checks=[*many, fine], total_s=1.2)
    assert time.monotonic() - began < 4
    assert len(found.findings) == 101, "each is answered for, asked or not"
    assert any("no time left" in finding.evidence[0].english() for finding in found.findings)


def test_an_error_of_ours_is_told_in_its_own_words_in_the_language_of_who_reads() -> None:
    @check("ours", "Ours")
    def ours(_here: Here) -> Iterator[Finding]:
        raise PanelError("workspace_full", N_("The disk that holds {path} is full."), path="/x")
        yield ok()

    line = examine(checks=[ours]).findings[0].evidence[0]
    assert line.english() == "The disk that holds /x is full."
    i18n.use("zh_CN")
    assert "/x" in line.localized()
    assert line.localized() != line.english()


def test_what_is_not_known_for_one_reason_is_told_once_with_all_its_titles() -> None:
    one, two = hanging("one", 0.1), hanging("two", 0.1)
    shown = together(examine(checks=[one, crash, two, fine, fine]).findings)
    assert [(finding.state, finding.title.english()) for finding in shown] == [
        ("attention", "A check with a defect"),
        ("unknown", "A check that hangs, A check that hangs"),
        ("unknown", "A check with a defect"),
        ("ok", "A check that is fine"),
        ("ok", "A check that is fine"),
    ]


def test_an_examination_survives_json_whole() -> None:
    nested = say("{what}: {n}", what=say("inner {x}", x="1"), n=2)
    found = Examination(
        1.5, 0.25, (bad(nested, meaning=nested, fixes=[]), *examine(checks=[crash]).findings), {"host": "h"}
    )
    assert Examination.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_on_this_machine_every_check_answers_within_seconds_and_leaves_no_hole_in_a_text(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    before = sorted(workspace.root.rglob("*"))
    found = examine(Here())
    assert found.seconds < 10
    assert len(found.findings) > 25
    assert len({check.code for check in CHECKS}) == len(CHECKS)
    for finding in found.findings:
        for text in (finding.title, *finding.evidence, *([finding.meaning] if finding.meaning else [])):
            assert text.english()
            assert "{" not in text.english(), text
        if finding.state in ("bad", "attention"):
            assert finding.meaning is not None, finding.code
    assert sorted(workspace.root.rglob("*")) == before, "it leaves nothing behind"


SECRETS = {
    "HTTPS_PROXY": "http://anna:pr0xy-w/rd@127.0.0.1:9",
    "http_proxy": "anna:0ther-w@rd@127.0.0.1:9",
    "HF_TOKEN": "hf_planted0planted0",
    "MY_SERVICE_API_KEY": "plain-looking-value",
    "PYTHONPATH": "/opt/plain-looking-value/lib",
    "LD_PRELOAD": "",
    "PIP_INDEX_URL": "http://__token__:index-w0rd@127.0.0.1:9/simple?token=que-ry",
    "HF_HOME": "/tmp/hf_planted0planted0",
}
WORDS = ("pr0xy-w", "0ther-w", "hf_planted0", "plain-looking", "index-w0rd", "que-ry", "anna")


@pytest.mark.parametrize(
    "args",
    [("doctor",), ("doctor", "--json", "--all"), ("doctor", "--report"), ("doctor", "--report", "--json")],
    ids=" ".join,
)
def test_no_planted_secret_comes_out_of_any_output(args: tuple[str, ...], workspace: Workspace) -> None:
    done = cli("backend", *args, **SECRETS)
    assert done.returncode in (0, 1), done.stderr
    everything = done.stdout + done.stderr
    assert "HTTPS_PROXY is http://***@127.0.0.1:9" in everything
    assert [word for word in WORDS if word in everything] == []


def test_what_the_panel_is_given_holds_no_secret_either(workspace: Workspace) -> None:
    done = cli("backend.doctor", **SECRETS)
    assert Examination.from_dict(json.loads(done.stdout)).findings
    assert [word for word in WORDS if word in done.stdout] == []


@pytest.mark.parametrize("name", ["hf_endpoint", "proxy"])
def test_a_password_in_the_settings_stays_there(workspace: Workspace, name: str) -> None:
    """One of these is refused by the settings, the other is not; neither is repeated."""
    address = "https://anna:settings-w0rd@hub.example"
    workspace.settings_file.write_text(json.dumps({name: address, "pip_index_url": "http://127.0.0.1:9/simple"}))
    done = cli("backend", "doctor", "--json")
    assert f"{name}" in done.stdout
    assert "settings-w0rd" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("http://bob:pw@proxy:3128", "http://***@proxy:3128"),
        ("bob:p@s/s@proxy:3128", "***@proxy:3128"),
        ("https://host/simple?token=abc&b=1", "https://host/simple?token=***&b=1"),
        ("Authorization: Bearer abcdefgh12345", "Authorization: Bearer ***"),
        ("server:/export/home", "server:/export/home"),
        ("hf_abcdEFGH12345678 and sk-abcdEFGH12345678", "*** and ***"),
        ("Changed: hf_endpoint, hub_timeout_s.", "Changed: hf_endpoint, hub_timeout_s."),
        ("GPU 0: python of a@b holds 3.0 GiB", "GPU 0: python of a@b holds 3.0 GiB"),
        ("https://pypi.org/simple answered after 20 ms.", "https://pypi.org/simple answered after 20 ms."),
    ],
)
def test_what_looks_like_a_secret_is_masked_and_nothing_else(text: str, clean: str) -> None:
    assert masking.scrub(text) == clean


def test_a_report_names_neither_home_nor_people_nor_this_host_unless_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/wang")
    finding = attention(
        say("{path} of {user} from {server}", path="/home/wang/x", user="li", server="files.lan:/x"),
        say("{line}", line="on gpu-server-7 and gpu-server-7.lan, not in mygpu-server-7x"),
        say("{path}", path="/home/wangli/x"),
        meaning=say("…"),
    )
    found = Examination(0.0, 0.1, (finding,), {"host": "gpu-server-7", "executable": "/home/wang/py"})
    short = report.markdown(report.cleaned(found))
    assert "~/x of another user from server" in short
    assert "on this-host and this-host, not in mygpu-server-7x" in short
    assert "/home/wangli/x" in short, "another folder is not the home folder"
    assert "executable ~/py" in short
    assert "host gpu" not in short
    long = report.markdown(report.cleaned(found, host=True))
    assert "host gpu-server-7" in long
    assert "from files.lan:/x" in long
    assert "another user" in long


def test_the_report_is_english_whoever_reads_and_has_all_that_a_colleague_asks() -> None:
    i18n.use("zh_CN")
    made = report.markdown(report.cleaned(examine(checks=[fine, crash])))
    assert "1 needs attention, 1 not known, 1 fine" in made
    assert "The check failed: ZeroDivisionError" in made
    assert "- A check that is fine (`fine`): 3 of 3." in made


def test_the_exit_code_says_whether_something_is_bad(workspace: Workspace) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = cli("backend", "doctor", "--json", TUNEDECK_PORT=str(taken.getsockname()[1]))
    found = json.loads(done.stdout)
    codes = {finding["code"]: finding for finding in found["findings"]}
    assert done.returncode == 1
    assert codes["ports"]["state"] == "bad"
    assert codes["ports"]["evidence"][-1].startswith("Port ")
    assert codes["ports"]["fixes"][0]["command"] == "unset TUNEDECK_PORT"
    assert found["findings"][0]["state"] == "bad", "the most urgent first"


def test_where_nothing_is_bad_it_ends_with_success_and_counts_what_is_fine(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from backend import cli as commands
    from backend.cli import doctor

    monkeypatch.setattr(doctor, "examine", lambda: examine(checks=[fine, crash]))
    assert commands.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "needs attention: A check with a defect" in said
    assert "1 check is fine." in said


def test_settings_that_cannot_be_used_are_one_bad_finding_and_no_traceback(workspace: Workspace) -> None:
    workspace.settings_file.write_text('{"port": "many"}')
    done = cli("backend", "doctor", "--json")
    codes = {finding["code"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert codes["settings"]["state"] == "bad"
    assert "port" in codes["settings"]["evidence"][0]
    assert codes["ports"]["state"] == "unknown"
    assert "Traceback" not in done.stderr


DEAD = """
import ctypes, json, os, subprocess, sys, time
point = sys.argv[1]
fd = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
if ctypes.CDLL(None, use_errno=True).mount(b"dead", point.encode(), b"fuse", 0, options):
    raise SystemExit("cannot mount")
began = time.monotonic()
done = subprocess.run([sys.executable, "-m", "backend", "doctor", "--json"], capture_output=True, text=True)
print(json.dumps({"seconds": time.monotonic() - began, "code": done.returncode, "said": json.loads(done.stdout)}))
"""


@pytest.mark.skipif(not CAN_MOUNT, reason="needs /dev/fuse and the right to mount")
def test_a_file_system_that_never_answers_is_named_and_holds_nothing_up(tmp_path: Path) -> None:
    """A real one: a FUSE mount whose server reads no request, which hangs as a dead NFS server does."""
    dead = tmp_path / "dead"
    dead.mkdir()
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", DEAD, str(dead)],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_WORKSPACE": str(dead / "workspace"), "PIP_INDEX_URL": "http://127.0.0.1:9/x"},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    codes = {finding["code"]: finding for finding in told["said"]["findings"]}
    assert told["code"] == 1
    assert told["said"]["seconds"] < 13
    assert codes["drives"]["state"] == "bad"
    assert f"{dead} (fuse from dead) did not answer" in codes["drives"]["evidence"][0]
    assert codes["disk_workspace"]["state"] == "unknown"
    assert codes["disk_tmp"]["state"] != "unknown", "what lies elsewhere is looked at all the same"


def test_the_panels_doctor_is_a_program_of_its_own_and_runs_once_at_a_time(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    doctor = Keeper()
    doctor.start()
    first = doctor._thread
    doctor.start()
    assert doctor._thread is first
    assert doctor.wait(40)
    assert doctor.problem is None
    assert doctor.latest is not None
    assert len(doctor.latest.findings) > 25


def test_a_doctor_that_cannot_be_started_is_a_problem_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'no such module' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    doctor = Keeper()
    doctor.start()
    assert doctor.wait(20)
    assert doctor.latest is None
    assert str(doctor.problem) == "This machine could not be looked at: no such module"


def test_texts_within_texts_are_translated_with_them() -> None:
    inner = Text("Jobs")
    i18n.use("zh_CN")
    assert Text("{what}", {"what": inner}).localized() == "任务"
