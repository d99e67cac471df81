"""Code that a model wrote tries to read and change what is not its own."""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path

import pytest

from backend.workspace import ROOT
from jobs.agent.sandbox import folder as folders
from tests.support.sandboxed import EVERY, Place, unwalled


@pytest.fixture(params=list(EVERY))
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Place(tmp_path, EVERY[request.param])


def test_reads_a_file_outside_its_folder(place: Place) -> None:
    code = f"print(tried(lambda: open({str(place.secret)!r}).read()))"

    assert "the-secret" in unwalled(code, place.root)
    assert place.printed(code).startswith("refused")


def test_lists_and_reads_the_home(place: Place) -> None:
    libraries = (os.path.realpath(sys.base_prefix), os.path.realpath(sys.prefix))
    named = [path for path in sorted(Path.home().iterdir()) if path.is_file()][:50]
    named += [path for path in sorted(Path.home().glob(".*/*")) if path.is_file()][:50]
    named = [path for path in named if not str(path.resolve()).startswith(libraries)]
    code = f"""
for name in {[str(path) for path in named]!r}:
    print(tried(lambda: len(open(name, "rb").read())))
"""

    lines = place.printed(code).splitlines()
    assert len(lines) == len(named)
    assert all(line.startswith("refused") for line in lines)


def test_reads_the_database_of_the_workspace(place: Place) -> None:
    path = place.outside / "state.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE jobs (secret TEXT)")
        db.execute("INSERT INTO jobs VALUES ('the-secret-row')")
    db.close()
    code = f"""
import sqlite3
print(tried(lambda: sqlite3.connect({f"file:{path}?mode=ro"!r}, uri=True).execute("SELECT * FROM jobs").fetchall()))
"""

    assert "the-secret-row" in unwalled(code, place.root)
    assert place.printed(code).startswith("refused")


def test_reads_the_programs_of_the_panel(place: Place) -> None:
    code = f"print(tried(lambda: open({str(ROOT / 'app.py')!r}).read()))\nimport backend"

    ran = place.run(code)

    assert ran.output.startswith(b"refused")
    assert "No module named 'backend'" in (ran.traceback or "")


def test_reads_the_list_of_users_which_is_nobodys_secret_but_needed_for_nothing(place: Place) -> None:
    assert place.printed("print(tried(lambda: open('/etc/passwd').read()))").startswith("refused")


def test_changes_files_outside_its_folder(place: Place) -> None:
    target, beside = str(place.secret), str(place.outside / "new.txt")
    code = f"""
import os, shutil
print(tried(lambda: open({target!r}, "w")))
print(tried(lambda: open({target!r}, "a")))
print(tried(lambda: open({beside!r}, "w")))
print(tried(lambda: os.open({target!r}, os.O_RDONLY | os.O_TRUNC)))
print(tried(lambda: os.open({target!r}, os.O_ACCMODE | os.O_TRUNC)))
print(tried(lambda: os.truncate({target!r}, 0)))
print(tried(lambda: os.remove({target!r})))
print(tried(lambda: os.rename({target!r}, {beside!r})))
print(tried(lambda: os.mkdir({beside!r})))
open("mine.txt", "w").write("x")
print(tried(lambda: os.rename("mine.txt", {beside!r})))
print(tried(lambda: shutil.copy("mine.txt", {beside!r})))
print(tried(lambda: open("../up.txt", "w")))
"""

    lines = place.printed(code).splitlines()
    assert len(lines) == 12
    assert all(line.startswith("refused") for line in lines), lines


def test_changes_rights_and_times_outside_its_folder(place: Place) -> None:
    code = f"""
import os
print(tried(lambda: os.chmod({str(place.secret)!r}, 0o777)))
print(tried(lambda: os.utime({str(place.secret)!r}, (0, 0))))
print(tried(lambda: os.chown({str(place.secret)!r}, 1, 1)))
print(tried(lambda: os.setxattr({str(place.secret)!r}, "user.mark", b"x")))
"""
    place.printed(code)  # what is outside is compared there

    assert "user.mark" not in os.listxattr(place.secret)


def test_leaves_a_symbolic_link_out_of_its_folder(place: Place) -> None:
    code = f"import os\nprint(tried(lambda: os.symlink({str(place.secret)!r}, 'link')))"

    assert place.printed(code).startswith("refused")


def test_leaves_a_hard_link_to_a_file_outside(place: Place) -> None:
    code = f"import os\nprint(tried(lambda: os.link({str(place.secret)!r}, 'link')))"

    assert place.printed(code).startswith("refused")


def test_follows_links_that_somebody_left_for_it(place: Place) -> None:
    place.folder.mkdir(parents=True)
    (place.folder / "file").symlink_to(place.secret)
    (place.folder / "folder").symlink_to(place.outside)
    code = """
print(tried(lambda: open("file").read()))
print(tried(lambda: open("folder/secret.txt").read()))
print(tried(lambda: open("file", "w").write("changed")))
"""

    lines = place.printed(code).splitlines()
    assert [line.startswith("refused") for line in lines] == [True] * 3


def test_a_link_in_place_of_its_folder_is_not_entered(place: Place) -> None:
    place.folder.parent.mkdir(parents=True)
    place.folder.symlink_to(place.outside)

    with pytest.raises(OSError, match="Not a directory"):
        place.run("open('new.txt', 'w').write('x')")


def test_links_are_not_followed_when_its_files_are_handed_out(tmp_path: Path) -> None:
    inside, outside = tmp_path / "python", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    for name in ("secret.txt", "other.txt"):
        (outside / name).write_text("the-secret", encoding="utf-8")
    (inside / "plain.txt").write_text("mine", encoding="utf-8")
    (inside / "link.txt").symlink_to(outside / "other.txt")
    (inside / "hard.txt").hardlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside)
    os.mkfifo(inside / "pipe.txt")
    handle = folders.opened(inside)

    found = folders.changed(handle, {})
    asked = [*found, "link.txt", "hard.txt", "pipe.txt", "folder/other.txt", "../outside/other.txt"]
    made = folders.handed_out(handle, asked, tmp_path / "out")
    os.close(handle)

    assert found == ["hard.txt", "plain.txt"]
    assert [path.read_text(encoding="utf-8") for path in made] == ["mine"]


def test_deletes_its_own_folder(place: Place) -> None:
    code = """
import os, shutil
open("a.txt", "w").write("x")
folder = os.getcwd()
print(tried(lambda: shutil.rmtree(folder)))
print(tried(lambda: os.rmdir(folder)))
"""
    place.printed(code)

    assert place.folder.is_dir()
    assert place.printed("open('b.txt', 'w').write('still here'); print(open('b.txt').read())") == "still here\n"


def test_makes_devices_pipes_and_sockets_in_its_folder(place: Place) -> None:
    code = """
import os, stat
print(tried(lambda: os.mknod("disk", stat.S_IFBLK | 0o600, os.makedev(254, 0))))
print(tried(lambda: os.mkfifo("pipe")))
"""

    assert place.printed(code).splitlines() == ["refused: PermissionError"] * 2


def test_mounts_and_changes_its_root(place: Place) -> None:
    code = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.mount(b"none", os.getcwd().encode(), b"tmpfs", 0, None), ctypes.get_errno())
print(libc.umount2(b"/", 2), ctypes.get_errno())
print(libc.unshare(0x10000000), ctypes.get_errno())
print(tried(lambda: os.chroot(".")))
"""

    assert place.printed(code).splitlines() == ["-1 1", "-1 1", "-1 1", "refused: PermissionError"]


def test_looks_for_the_world_outside_through_open_descriptors(place: Place) -> None:
    code = """
import os
for number in range(256):
    kind = tried(lambda: os.fstat(number).st_mode & 0o170000)
    if kind == 0o040000:
        print("a folder is open", number)
    print(tried(lambda: os.open("../../outside/secret.txt", os.O_RDONLY, dir_fd=number))) if kind == 0o040000 else None
print("looked")
"""

    assert place.printed(code) == "looked\n"


def test_works_with_its_own_files_as_any_program(place: Place) -> None:
    code = """
import os, shutil, tempfile, pathlib, sqlite3, zipfile
os.makedirs("a/b")
pathlib.Path("a/one.txt").write_text("one")
shutil.copy2("a/one.txt", "a/b/two.txt")
shutil.copytree("a", "c")
os.rename("a/b/two.txt", "two.txt")
shutil.move("c", "d")
with tempfile.TemporaryFile() as file:
    file.write(b"x")
with zipfile.ZipFile("z.zip", "w") as file:
    file.write("two.txt")
zipfile.ZipFile("z.zip").extractall("unpacked")
db = sqlite3.connect("mine.db")
db.execute("CREATE TABLE t (x)")
db.commit()
print(sorted(str(path) for path in pathlib.Path(".").rglob("*.txt")))
"""

    assert place.printed(code) == "['a/one.txt', 'd/b/two.txt', 'd/one.txt', 'two.txt', 'unpacked/two.txt']\n"
