"""What the doctor says of limits, disks, networks and sessions: real limits, mounts and servers; samples where none can be had."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from backend.doctor import disks, groups, limits, mounts, network, sandbox, session, software, state
from backend.doctor.findings import Check, Finding
from backend.doctor.here import Here
from backend.workspace import ROOT, Workspace

GIB = 2**30
MOUNTINFO = """\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
40 27 0:50 / /home rw,relatime shared:2 master:1 - nfs4 files.lan:/home rw,vers=4.2,hard
41 40 0:51 / /home/li/my\\040disk rw - ext4 /dev/vdb rw
42 27 0:52 / /mnt/win rw - cifs //files.lan/share rw
43 27 0:53 / /data ro,relatime - xfs /dev/vdc rw,usrquota
44 27 0:54 / /tmp rw,noexec - tmpfs tmpfs rw
45 27 0:55 / /srv rw - overlay overlay rw,lowerdir=/a,upperdir=/b
46 27 0:56 / /srv rw - xfs /dev/vdd rw
not a line of mountinfo
"""


def here(root: Path, workspace: str | Path = "/nowhere", **environ: str) -> Here:
    """A machine whose files lie below ``root``."""
    return Here(
        root=root,
        environ={"PATH": os.environ["PATH"], "HOME": "/root", **environ},
        workspace=Workspace(Path(workspace)),
    )


def write(root: Path, **files: str) -> Path:
    """Files below ``root``; in their names ``__`` is a slash and ``DOT`` a dot."""
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("DOT", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def only(check: Check, at: Here) -> Finding:
    (finding,) = check.run(at)
    return finding


def said(finding: Finding) -> str:
    return "\n".join(line.english() for line in finding.evidence)


def fix(finding: Finding) -> str:
    return "\n".join(fix.command for fix in finding.fixes)


# Mounts and the state


def test_the_mount_that_holds_a_path_is_found_whatever_its_name() -> None:
    found = mounts.parse(MOUNTINFO.splitlines())
    assert len(found) == 9

    def kind(path: str) -> str:
        mount = mounts.of(Path(path), found)
        assert mount is not None
        return mount.kind

    assert kind("/home/li/x") == "nfs4"
    assert kind("/home/li/my disk/x") == "ext4"
    assert kind("/homes/li") == "ext4", "a name that begins alike is another folder"
    assert kind("/srv/x") == "xfs", "the last mount at one place hides the first"
    assert mounts.of(Path("/x"), []) is None


@pytest.mark.parametrize(
    ("workspace", "container", "judged", "words"),
    [
        ("/var/lib/x", False, "ok", "ext4"),
        ("/home/li/.tunedeck", False, "attention", "It comes from files.lan:/home."),
        ("/mnt/win/x", False, "attention", "cifs"),
        ("/data/x", False, "bad", "mounted read-only"),
        ("/tmp/x", False, "attention", "tmpfs"),
        ("/", True, "ok", "ext4"),
    ],
)
def test_a_workspace_on_a_network_drive_or_in_memory_needs_attention(
    tmp_path: Path, workspace: str, container: bool, judged: str, words: str
) -> None:
    write(tmp_path, proc__self__mountinfo=MOUNTINFO)
    found = only(state.file_system, here(tmp_path, workspace))
    assert found.state == judged
    assert words in said(found)
    if judged != "ok":
        assert "TUNEDECK_WORKSPACE" in fix(found)


def test_a_containers_own_layer_is_gone_with_it_but_elsewhere_an_overlay_is_a_disk(tmp_path: Path) -> None:
    write(tmp_path, proc__self__mountinfo="1 0 0:1 / / rw - overlay overlay rw\n")
    assert only(state.file_system, here(tmp_path, "/x")).state == "ok"
    write(tmp_path, DOTdockerenv="")
    found = only(state.file_system, here(tmp_path, "/x"))
    assert found.state == "attention"
    assert "docker run -v" in fix(found)


def test_a_home_folder_on_a_network_drive_slows_caches_unless_they_are_elsewhere(tmp_path: Path) -> None:
    write(tmp_path, proc__self__mountinfo=MOUNTINFO)
    assert only(state.home_file_system, here(tmp_path, HOME="/home/li")).state == "attention"
    caches = {"HF_HOME": "/var/hf", "PIP_CACHE_DIR": "/var/pip"}
    assert only(state.home_file_system, here(tmp_path, HOME="/home/li", **caches)).state == "ok"


def test_sqlite_and_locks_are_really_tried_in_the_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = only(state.sqlite, here(Path("/"), tmp_path / "not" / "yet"))
    assert found.state == "ok"
    assert "journal mode wal" in said(found)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(state, "SLOW_COMMIT_S", 0.0)
    assert only(state.sqlite, here(Path("/"), tmp_path)).state == "attention"
    monkeypatch.setattr(state, "_try_wal", lambda _path: ("delete", 0.0))
    assert only(state.sqlite, here(Path("/"), tmp_path)).state == "bad"


# Disks


CAN_MOUNT = (
    shutil.which("unshare") is not None
    and subprocess.run(
        ["unshare", "-m", "--propagation", "private", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    ).returncode
    == 0
)
ON_DISKS = """
import json, os, subprocess, sys
from pathlib import Path
from backend.doctor import disks, report
from backend.doctor.here import Here
from backend.doctor.run import examine
from backend.workspace import Workspace
root = Path(sys.argv[1])
def mounted(name, options):
    folder = root / name
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
    return folder
here = Here(
    workspace=Workspace(mounted("small", "size=200m") / "workspace"),
    environ={
        "HOME": str(mounted("home", "size=30g")),
        "TMPDIR": str(mounted("few", "size=30g,nr_inodes=500,noexec")),
        "PIP_CACHE_DIR": str(mounted("less", "size=3g")),
        "PATH": os.environ["PATH"],
    },
)
print(json.dumps(report.as_dict(examine(here, disks.CHECKS))["findings"]))
"""


@pytest.mark.skipif(not CAN_MOUNT, reason="needs the right to mount a small disk")
def test_small_disks_and_disks_without_inodes_are_told_apart(tmp_path: Path) -> None:
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-c", ON_DISKS, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "TUNEDECK_ENVIRONMENTS_FOLDER": str(tmp_path / "few" / "environments")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = {finding["code"]: finding for finding in json.loads(done.stdout)}
    assert found["disk_workspace"]["state"] == "bad"
    assert "200 MiB of 200 MiB are free." in found["disk_workspace"]["evidence"][0]
    assert found["disk_workspace"]["fixes"][0]["place"] == "jobs"
    assert found["disk_pip_cache"]["state"] == "attention"
    assert found["disk_tmp"]["state"] == "bad"
    assert "inodes" in found["disk_tmp"]["meaning"]
    assert found["disk_environments"]["state"] == "bad", "the same disk, asked for another purpose"
    assert found["disk_hf_cache"]["state"] == "ok"
    assert found["tmp_usable"]["state"] == "attention"
    assert "noexec" in found["tmp_usable"]["evidence"][1]


def test_a_cache_that_is_not_ours_is_bad_and_says_which_variable_names_it() -> None:
    program = (
        "import os, json\n"
        "from backend.doctor import disks\n"
        "from backend.doctor.here import Here\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "(found,) = disks.hf_cache.run(Here(environ={'HF_HOME': '/usr/share/hf', 'HOME': '/tmp'}))\n"
        "print(json.dumps([found.state, *(line.english() for line in found.evidence)]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    judged, where, why = json.loads(done.stdout)
    assert judged == "bad"
    assert where == "/usr/share/hf/hub, named by HF_HOME."
    assert why == "/usr/share belongs to root and cannot be written."


def test_a_quota_is_read_where_there_is_a_program_that_tells(tmp_path: Path) -> None:
    write(tmp_path, proc__self__mountinfo="1 0 0:1 / / rw - ext4 /dev/vda rw,usrquota\n")
    assert only(disks.quota, here(tmp_path, "/x", PATH=str(tmp_path))).state == "unknown"
    program = tmp_path / "quota"

    def tells(used: int, soft: int, hard: int) -> Finding:
        program.write_text(f"#!/bin/sh\necho 'Disk quotas for user'\necho '/ {used}* {soft} {hard} 3 0 0 0'\n")
        program.chmod(0o755)
        return only(disks.quota, here(tmp_path, "/x", PATH=str(tmp_path)))

    assert tells(1024**2, 100 * 1024**2, 110 * 1024**2).state == "ok"
    full = tells(100 * 1024**2 - 1000, 100 * 1024**2, 0)
    assert full.state == "bad"
    assert "100.0 GiB of 100.0 GiB used." in said(full)
    write(tmp_path, proc__self__mountinfo="1 0 0:1 / / rw - ext4 /dev/vda rw\n")
    assert only(disks.quota, here(tmp_path, "/x", PATH=str(tmp_path))).state == "ok"


# Limits


def limited(command: str, check: str) -> dict[str, Any]:
    """What ``check`` of limits says in a shell after ``command``."""
    program = (
        f"import json; from backend.doctor import limits, report; from backend.doctor.run import examine\n"
        f"print(json.dumps(report.as_dict(examine(checks=[limits.{check}]))['findings'][0]))"
    )
    done = subprocess.run(
        ["bash", "-c", f'{command}; exec "$0" -c "$1"', sys.executable, program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("command", "judged", "fix_command"),
    [
        ("ulimit -S -n 2048", "ok", None),
        ("ulimit -S -n 512", "attention", "ulimit -n "),
        ("ulimit -n 128", "bad", "limits.d"),
    ],
)
def test_the_limit_of_open_files_is_read_and_the_fix_is_one_that_can_work(
    command: str, judged: str, fix_command: str | None
) -> None:
    found = limited(command, "open_files")
    assert found["state"] == judged
    if fix_command:
        assert fix_command in found["fixes"][0]["command"]


def test_a_limited_address_space_is_bad() -> None:
    found = limited("ulimit -v 20000000", "address_space")
    assert (found["state"], found["evidence"]) == ("bad", ["Limited to 19.1 GiB (ulimit -v)."])


def cgroup_v2(root: Path, group: str = "/box", **files: str) -> Path:
    write(root, proc__self__cgroup=f"0::{group}\n")
    folder = root / "sys/fs/cgroup" / group.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".", 1)).write_text(content + "\n")
    return root


def cgroup_v1(root: Path, path: str, **files: dict[str, str]) -> Path:
    write(root, proc__self__cgroup=f"5:memory:{path}\n4:cpu,cpuacct:{path}\n3:pids:{path}\n0::/\n")
    for controller, contents in files.items():
        folder = root / "sys/fs/cgroup" / controller
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (folder / name).write_text(content + "\n")
    return root


def test_control_groups_of_version_2_are_read_and_the_tightest_counts(tmp_path: Path) -> None:
    cgroup_v2(tmp_path, "/box", memory_max=str(8 * GIB), memory_current=str(GIB), memory_stat="")
    cgroup_v2(
        tmp_path,
        "/box/inner",
        memory_max=str(16 * GIB),
        memory_current="4096",
        cpu_max="150000 100000",
        pids_max="1000",
        pids_current="950",
        memory_events="low 0\noom 3\noom_kill 2",
    )
    assert groups.read(tmp_path) == groups.Limits(
        memory=8 * GIB, used=GIB, cores=1.5, processes=1000, processes_used=950, oom_kills=2
    )


def test_control_groups_of_version_1_are_read_where_their_path_is_the_hosts(tmp_path: Path) -> None:
    """As in a container: the path is that of the host, what is mounted is the container's own group."""
    cgroup_v1(
        tmp_path,
        "/docker/1234",
        memory={
            "memory.limit_in_bytes": str(2 * GIB),
            "memory.usage_in_bytes": str(GIB),
            "memory.stat": f"total_inactive_file {GIB // 2}\ntotal_active_file 0",
            "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1",
        },
        cpu={"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"},
        pids={"pids.max": "max", "pids.current": "7"},
    )
    assert groups.read(tmp_path) == groups.Limits(memory=2 * GIB, used=GIB // 2, cores=0.5, oom_kills=1)


def test_groups_without_limits_and_odd_files_limit_nothing(tmp_path: Path) -> None:
    assert groups.read(tmp_path) == groups.Limits()
    cgroup_v1(
        tmp_path,
        "/",
        memory={"memory.limit_in_bytes": "9223372036854771712", "memory.oom_control": "?"},
        cpu={"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000"},
    )
    assert groups.read(tmp_path) == groups.Limits()


def test_little_memory_in_a_container_is_said_against_what_the_machine_has(tmp_path: Path) -> None:
    write(tmp_path, DOTdockerenv="")
    cgroup_v2(tmp_path, memory_max=str(GIB), memory_current=str(GIB // 2), memory_stat="")
    found = only(limits.memory, here(tmp_path))
    assert found.state == "bad"
    assert "This process may use 1.0 GiB of it (control group); 512 MiB are in use." in said(found)
    assert "docker run --memory" in fix(found)


def test_programs_that_the_kernel_ended_are_counted(tmp_path: Path) -> None:
    write(tmp_path, proc__vmstat="pgpgin 1\noom_kill 3\n")
    cgroup_v2(tmp_path, memory_events="oom_kill 0")
    assert only(limits.oom_kills, here(tmp_path)).state == "ok", "they were other people's"
    cgroup_v2(tmp_path, memory_events="oom_kill 2")
    found = only(limits.oom_kills, here(tmp_path))
    assert found.state == "attention"
    assert "since its start: 3." in said(found)
    assert fix(found).startswith("sudo dmesg"), "the kernel's log is not there to read"


def test_few_processes_left_in_the_group_need_attention(tmp_path: Path) -> None:
    cgroup_v2(tmp_path, pids_max="1000", pids_current="950")
    found = only(limits.processes, here(tmp_path))
    assert found.state == "bad"
    assert "The control group allows 1000, 950 are in use." in said(found)


def test_more_jobs_at_once_than_cores_is_a_setting_to_change(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    cgroup_v2(tmp_path, cpu_max="50000 100000")
    monkeypatch.setenv("TUNEDECK_CPU_SLOTS", "16")
    found = only(limits.cores, here(tmp_path, workspace.root))
    assert found.state == "attention"
    assert "the time of 0.5." in said(found)
    assert [each.setting for each in found.fixes] == ["cpu_slots"]
    monkeypatch.setenv("TUNEDECK_CPU_SLOTS", "1")
    assert only(limits.cores, here(tmp_path, workspace.root)).state == "ok"


def test_shared_memory_that_is_missing_is_bad(tmp_path: Path) -> None:
    assert only(limits.shared_memory, here(tmp_path)).state == "bad"
    assert only(limits.shared_memory, Here()).evidence[0].english().endswith("are free.")


# Session and clock


@pytest.mark.parametrize(
    ("kills", "lingers", "judged"), [("yes", "no", "bad"), ("no", "no", "ok"), ("yes", "yes", "bad")]
)
def test_a_login_that_ends_all_processes_is_bad(tmp_path: Path, kills: str, lingers: str, judged: str) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    program = tmp_path / "loginctl"
    program.write_text(
        f"#!/bin/sh\ncase $1 in show-session) echo KillUserProcesses={kills};; *) echo Linger={lingers};; esac\n"
    )
    program.chmod(0o755)
    at = here(tmp_path, PATH=str(tmp_path))
    at.user = 1000
    found = only(session.logout, at)
    assert found.state == judged
    assert said(found) == f"KillUserProcesses is {kills}, Linger is {lingers}."
    at.user = 0
    assert only(session.logout, at).state == "ok", "logind spares root"


def test_without_loginctl_its_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    write(
        tmp_path,
        etc__systemd__logindDOTconf="[Login]\n#KillUserProcesses=yes\n",
        etc__systemd__logindDOTconfDOTd__aDOTconf="[Login]\nKillUserProcesses=yes\n",
    )
    at = here(tmp_path, PATH="/nowhere")
    at.user = 1000
    found = only(session.logout, at)
    assert found.state == "bad"
    assert "enable-linger" in fix(found)


def test_a_job_of_a_batch_system_ends_everything(tmp_path: Path) -> None:
    assert only(session.logout, here(tmp_path, SLURM_JOB_ID="7")).state == "attention"


@pytest.fixture
def index() -> Iterator[tuple[str, dict[str, float]]]:
    """A package index whose clock is off by ``["off"]`` seconds; its address, and that."""
    told = {"off": 0.0}

    class Handler(http.server.BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + told["off"], usegmt=True)

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/simple", told
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("off", "judged"), [(0, "ok"), (90, "attention"), (-4000, "bad")])
def test_the_clock_is_held_against_the_one_of_the_index(
    workspace: Workspace, index: tuple[str, dict[str, float]], off: float, judged: str
) -> None:
    address, told = index
    told["off"] = off
    at = here(Path("/"), workspace.root, PIP_INDEX_URL=address)
    found = only(session.clock, at)
    assert found.state == judged, said(found)
    assert only(network.package_index, at).state == "ok"


def test_a_clock_in_the_wrong_year_is_bad_and_files_of_the_future_need_attention(workspace: Workspace) -> None:
    at = here(Path("/"), workspace.root, PIP_INDEX_URL="http://127.0.0.1:9/simple")
    found = only(session.clock, at)
    assert found.state == "ok", "an index that cannot be asked is no fault of the clock"
    assert "could not be asked for the time" in said(found)
    at.now = lambda: 0.0
    assert only(session.clock, at).state == "bad"
    later = time.time() + 3600
    os.utime(workspace.run, (later, later))
    at.now = time.time
    assert only(session.clock, at).state == "attention"


def test_an_umask_that_locks_oneself_out_or_lets_all_in_is_told(tmp_path: Path) -> None:
    for mask, judged in (("0022", "ok"), ("0077", "ok"), ("0002", "ok"), ("0000", "attention"), ("0777", "bad")):
        (tmp_path / "proc/self").mkdir(parents=True, exist_ok=True)
        (tmp_path / "proc/self/status").write_text(f"Name:\tx\nUmask:\t{mask}\n".replace(" ", ""))
        assert only(session.umask, here(tmp_path)).state == judged, mask
    assert only(session.umask, Here()).state in ("ok", "attention")


# Network


def test_the_index_is_found_as_pip_finds_it(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.doctor import index

    write(tmp_path, etc__pipDOTconf="[global]\nindex-url = https://site.example/simple\n")
    at = here(tmp_path, workspace.root, HOME=str(tmp_path / "home"))
    assert index.address(at) == "https://site.example/simple"
    write(tmp_path, home__DOTconfig__pip__pipDOTconf="[install]\nindex_url = https://mine.example/simple\n")
    assert index.address(at) == "https://mine.example/simple"
    at = here(tmp_path, workspace.root, PIP_INDEX_URL="https://variable.example/simple")
    assert index.address(at) == "https://variable.example/simple"
    monkeypatch.setenv("TUNEDECK_PIP_INDEX_URL", "https://setting.example/simple")
    assert index.address(here(tmp_path, workspace.root)) == "https://setting.example/simple"
    monkeypatch.delenv("TUNEDECK_PIP_INDEX_URL")
    assert index.address(here(tmp_path / "none", workspace.root)) == "https://pypi.org/simple"


def test_an_index_that_does_not_answer_needs_attention_and_offers_ways_without_it(workspace: Workspace) -> None:
    found = only(network.package_index, here(Path("/"), workspace.root, PIP_INDEX_URL="http://127.0.0.1:9/simple"))
    assert found.state == "attention"
    assert "http://127.0.0.1:9/simple does not answer" in said(found)
    assert found.fixes[-1].place == "environments"


def test_a_proxy_that_takes_loopback_too_needs_attention() -> None:
    proxy = {"http_proxy": "http://me:pw@proxy.lan:3128"}
    found = only(network.proxies, here(Path("/"), NO_PROXY="lan", **proxy))
    assert found.state == "attention"
    assert "http_proxy is http://***@proxy.lan:3128." in said(found)
    assert "export NO_PROXY=lan,localhost,127.0.0.1,::1" in fix(found)
    assert only(network.proxies, here(Path("/"), no_proxy="localhost, 127.0.0.1", **proxy)).state == "ok"
    assert only(network.proxies, here(Path("/"), no_proxy="*", **proxy)).state == "ok"
    assert only(network.proxies, here(Path("/"))).state == "ok"


def test_who_holds_the_panels_port_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("TUNEDECK_PORT", str(port))
        found = only(network.ports, here(Path("/"), workspace.root))
        assert found.state == "bad"
        assert f"(process {os.getpid()})" in said(found)
    assert only(network.ports, here(Path("/"), workspace.root)).state == "ok"


def test_a_panel_that_others_can_reach_needs_attention(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    assert only(network.listening, here(Path("/"), workspace.root)).state == "ok"
    monkeypatch.setenv("TUNEDECK_HOST", "0.0.0.0")
    assert only(network.listening, here(Path("/"), workspace.root)).state == "attention"


# Software


def test_an_environment_whose_python_was_removed_is_not_whole(tmp_path: Path) -> None:
    write(tmp_path, pyvenvDOTcfg=f"home = {tmp_path}/gone\n")
    assert software.broken(tmp_path) == f"{tmp_path}/gone"
    write(tmp_path, pyvenvDOTcfg=f"home = {tmp_path}\n")
    assert software.broken(tmp_path) == str(tmp_path / "bin" / "python")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    assert software.broken(tmp_path) == ""
    assert software.broken(tmp_path / "bin") == "", "no virtual environment, so nothing of it is missing"
    at = Here(prefix=tmp_path)
    (tmp_path / "bin" / "python").unlink()
    assert only(software.python, at).state == "bad"


def test_variables_that_change_python_are_named() -> None:
    found = only(software.python_variables, here(Path("/"), PYTHONPATH="/opt/old"))
    assert (found.state, said(found), fix(found)) == ("attention", "PYTHONPATH is /opt/old.", "unset PYTHONPATH")
    assert only(software.python_variables, here(Path("/"), CONDA_PREFIX="/opt/conda")).state == "ok"


def test_packages_are_compared_with_what_is_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("# why\npytest==0.0.1\nno-such-package[extra]==1.0\n")
    monkeypatch.setattr(software, "ROOT", tmp_path)
    found = only(software.packages, Here())
    assert found.state == "attention"
    assert "(0.0.1), no-such-package - (1.0)." in said(found)


def test_a_shell_that_does_not_speak_utf8_needs_attention() -> None:
    program = (
        "from backend.doctor import software\nfrom backend.doctor.here import Here\n"
        "(found,) = software.shell_language.run(Here())\nprint(found.state)"
    )
    for variables, judged in (
        ({"LC_ALL": "C.UTF-8"}, "ok"),
        ({"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}, "attention"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == judged


def test_secrets_that_others_can_read_are_bad(workspace: Workspace) -> None:
    at = here(Path("/"), workspace.root)
    assert only(software.private, at).state == "ok"
    token = workspace.secrets / "token"
    token.write_text("x")
    token.chmod(0o644)
    found = only(software.private, at)
    assert (found.state, said(found)) == ("bad", f"Others may read {token}.")


def test_whether_an_agent_s_python_can_be_shut_in_is_tried(tmp_path: Path) -> None:
    (found,) = sandbox.sandbox.run(here(tmp_path))
    assert found.state == "ok"
    assert [text.params["name"] for text in found.evidence] == ["seccomp", "Landlock", "namespaces"]


@pytest.mark.parametrize(
    ("printed", "state"),
    [
        ('{"enough": false, "walls": [{"name": "Landlock", "stands": false, "said": "ENOSYS"}]}', "attention"),
        ("no JSON", "unknown"),
        ("", "unknown"),
    ],
)
def test_where_it_cannot_be_the_kernel_s_words_stand_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, state: str
) -> None:
    monkeypatch.setattr(sandbox, "COMMAND", (sys.executable, "-c", f"print({printed!r})"))
    (found,) = sandbox.sandbox.run(here(tmp_path))
    assert found.state == state
    if state == "attention":
        assert "cannot be put up (ENOSYS)" in found.evidence[0].english()
        assert found.fixes
