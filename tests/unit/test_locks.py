"""The locks that are shipped: one for every engine and flavour, whole, exact, and with nothing of the machine that made them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from packaging.tags import Tag, parse_tag

from backend.engines import engines
from backend.engines.recipes import LOCKS
from backend.envs import locks
from scripts import lock_engines

NEEDED = [
    (engine.name, flavour)
    for engine in engines().values()
    if engine.recipe is not None
    for flavour in engine.recipe.flavours
]


@pytest.fixture(params=NEEDED, ids="-".join)
def path(request: pytest.FixtureRequest) -> Path:
    name, flavour = request.param
    return LOCKS / f"{name}-{flavour}.txt"


def test_every_flavour_of_every_engine_has_a_lock_that_is_its_own(path: Path) -> None:
    lock = locks.read_file(path)
    assert f"{lock.engine}-{lock.flavour}" == path.stem
    assert set(lock.pythons) <= {"3.11", "3.12"}
    assert "3.11" in lock.pythons
    names = [package.key for package in lock.packages]
    assert len(names) == len(set(names))
    recipe = engines()[lock.engine].recipe
    assert recipe is not None
    assert {locks.canonical(name) for name in recipe.packages} <= set(names)


def test_every_file_is_known_by_its_hash_and_size(path: Path) -> None:
    for package in locks.read_file(path).packages:
        assert package.any_build == (not package.hashes), package.name
        assert package.bytes > 500, package.name
        assert re.fullmatch(r"[0-9][0-9A-Za-z.!]*", package.version), package.pin  # no local part, which no index has


def test_only_torch_for_the_cpu_may_be_any_build(path: Path) -> None:
    lock = locks.read_file(path)
    assert [package.name for package in lock.packages if package.any_build] in (
        [["torch"], []] if lock.flavour == "cpu" else [[]]
    )


def test_the_cpu_brings_nothing_of_cuda_and_cuda_does(path: Path) -> None:
    lock = locks.read_file(path)
    cuda = [package.name for package in lock.packages if package.name.startswith(("nvidia-", "triton"))]
    assert bool(cuda) == (lock.flavour == "cuda"), cuda


def test_what_is_built_here_finds_what_building_takes(path: Path) -> None:
    lock = locks.read_file(path)
    if any(package.sdist for package in lock.packages):
        assert {"setuptools", "wheel"} <= {package.name for package in lock.packages}


def test_no_address_and_no_path_is_in_it(path: Path) -> None:
    for text in (path.read_text(encoding="utf-8"), path.with_suffix(".in").read_text(encoding="utf-8")):
        assert "://" not in text
        assert not re.search(r"(?<![\w/])/[a-z]+/", text)


def test_it_is_what_its_requirements_ask_for(path: Path) -> None:
    """As far as can be told without a network: every exact pin is in it, and nothing that is left out."""
    lock = locks.read_file(path)
    wanted = lock_engines.Wanted.read(path.with_suffix(".in"))
    versions = {lock_engines.canonical(package.name): package.version for package in lock.packages}
    assert list(lock.pythons) == wanted.pythons
    for part in ("any build", "packages", "no deps"):
        for requirement in wanted.sections[part]:
            name, exact, version = requirement.partition("==")
            name = lock_engines.canonical(re.split(r"[<>=!~;\[ ]", name)[0])
            assert name in versions, requirement
            assert not exact or versions[name] == version, requirement
    assert not [name for name in versions if wanted.leaves_out(name)]


def test_every_lock_belongs_to_an_engine() -> None:
    stems = {path.stem for path in LOCKS.iterdir()}
    assert stems == {"-".join(needed) for needed in NEEDED}


def test_the_tags_of_a_machine_are_those_that_its_pip_takes() -> None:
    x86, arm = (lock_engines.tags("3.11", machine) for machine in lock_engines.MACHINES)

    def fits(tag: str, tags: frozenset[Tag]) -> bool:
        return bool(parse_tag(tag) & tags)

    for tag in ("py3-none-any", "cp311-cp311-manylinux_2_28_x86_64", "cp39-abi3-manylinux_2_17_x86_64"):
        assert fits(tag, x86), tag
    for tag in ("cp312-cp312-manylinux_2_28_x86_64", "cp311-cp311-musllinux_1_2_x86_64", "cp311-cp311-win_amd64"):
        assert not fits(tag, x86), tag
    assert fits("cp311-cp311-manylinux2014_aarch64", arm)
    assert not fits("cp311-cp311-manylinux2014_aarch64", x86)


def _item(url: str, version: str = "1.2", sha: str = "") -> dict[str, Any]:
    """As pip reports what it would install."""
    archive = {"archive_info": {"hashes": {"sha256": sha}}} if sha else {}
    return {"metadata": {"name": "Some.Part", "version": version}, "download_info": {"url": url, **archive}}


def _file(name: str, size: int = 1000) -> dict[str, Any]:
    """As an index lists it; its hash is made of its name."""
    return {"filename": name, "size": size, "hashes": {"sha256": name.encode().hex().ljust(64, "0")[:64]}}


FILES = [
    _file("some_part-1.2-cp311-cp311-manylinux_2_28_x86_64.whl", 2000),
    _file("some_part-1.2-cp312-cp312-manylinux_2_28_x86_64.whl"),
    _file("some_part-1.2-cp311-cp311-manylinux2014_aarch64.whl"),
    _file("some_part-1.2-cp311-cp311-win_amd64.whl"),
    _file("some_part-1.2-cp313-cp313-manylinux_2_28_x86_64.whl"),
    _file("some_part-1.1-cp311-cp311-manylinux_2_28_x86_64.whl"),
    _file("some_part-1.2.tar.gz"),
    _file("some_part-1.2.exe"),
]
WANTED = lock_engines.Wanted("toy", "cpu", {name: [] for name in lock_engines.SECTIONS})


def test_a_line_has_the_files_that_one_of_the_machines_would_take(capsys: pytest.CaptureFixture[str]) -> None:
    item = _item("https://files/some_part-1.2-cp311-cp311-manylinux_2_28_x86_64.whl#sha256=0")
    line = lock_engines.line("some-part", item, FILES, WANTED, ["3.11"])
    kept = {file["filename"] for file in FILES if file["hashes"]["sha256"] in line.hashes}
    assert kept == {FILES[0]["filename"], FILES[2]["filename"]}
    assert str(line).startswith("some-part==1.2 --hash=sha256:")
    assert str(line).endswith("  # 2000")
    # On aarch64, Python 3.12 has to build it; and that is said.
    both = lock_engines.line("some-part", item, FILES, WANTED, ["3.11", "3.12"])
    assert FILES[6]["hashes"]["sha256"] in both.hashes
    assert "no wheel for Python 3.12 on aarch64" in capsys.readouterr().err


def test_a_package_that_has_to_be_built_is_marked() -> None:
    line = lock_engines.line("some-part", _item("https://files/some_part-1.2.tar.gz"), FILES[6:], WANTED, ["3.11"])
    assert str(line).endswith("  # 1000 sdist")


def test_any_build_has_no_hash_and_no_local_version(tmp_path: Path) -> None:
    build = tmp_path / "some_part-1.2+cpu-cp311-cp311-linux_x86_64.whl"
    build.write_bytes(b"x" * 700)
    wanted = lock_engines.Wanted("toy", "cpu", {**WANTED.sections, "any build": ["Some_Part==1.2"]})
    item = _item(build.as_uri(), "1.2+cpu")
    assert str(lock_engines.line("some-part", item, FILES, wanted, ["3.11"])) == "some-part==1.2  # 700 any build"


def test_what_the_index_does_not_have_is_no_lock() -> None:
    with pytest.raises(SystemExit, match=r"some_part-1\.2-py3-none-any\.whl, which the index does not have"):
        lock_engines.line("some-part", _item("file:///x/some_part-1.2-py3-none-any.whl"), FILES, WANTED, ["3.11"])


def test_lines_stand_in_the_order_in_which_they_are_installed() -> None:
    kinds = [("zlib", True, False), ("torch", False, True), ("numpy", False, False), ("setuptools", False, False)]
    lines = [lock_engines.Line(name, "1", (), 1, sdist, any_build) for name, sdist, any_build in kinds]
    assert [line.name for line in sorted(lines, key=lambda line: line.order)] == [
        "torch",
        "setuptools",
        "numpy",
        "zlib",
    ]


def test_a_section_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "toy-cpu.in"
    path.write_text("[packages]\nnumpy  # why\n[surprise]\n")
    with pytest.raises(SystemExit, match=r"toy-cpu\.in:3: no section is called \[surprise\]"):
        lock_engines.Wanted.read(path)
