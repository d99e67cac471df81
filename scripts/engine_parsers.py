"""Make an environment in which LMDeploy's own command line can be read, without a GPU: `python scripts/engine_parsers.py`.

It holds LMDeploy's Python files (not its 350 MB of CUDA libraries) and the few packages that reading its options needs; all
else comes from the environment that runs this. About 25 MB in `.engines/` and some ten seconds; the second time it is there.

    python scripts/engine_parsers.py            make it, print its Python
    python scripts/engine_parsers.py --facts    write what this version knows to backend/engines/lmdeploy.json
    python scripts/engine_parsers.py --check    say whether that file is true
"""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".engines" / "lmdeploy-parser"
FACTS = ROOT / "backend" / "engines" / "lmdeploy.json"
LMDEPLOY = "lmdeploy==0.18.0"
PACKAGES = (
    "addict==2.4.0",
    "mmengine-lite==0.10.7",
    "openai-harmony==0.0.8",
    "pybase64==1.5.1",
    "shortuuid==1.0.13",
    "termcolor==3.3.0",
    "yapf==0.43.0",
)
"""What importing its command line needs on top of our requirements.txt."""
LEFT_OUT = (".so", ".a", ".h", ".hpp", ".cu", ".cuh", ".cmake", ".fatbin")
READ_FACTS = """
import json
from importlib.metadata import version
from lmdeploy.cli.cli import CLI
from lmdeploy.cli.serve import SubCliServe
from lmdeploy.model import MODELS
from lmdeploy.pytorch.models.module_map import MODULE_MAP
from lmdeploy.serve.parsers.reasoning_parser import ReasoningParserManager
from lmdeploy.serve.parsers.tool_parser import ToolParserManager
from lmdeploy.turbomind.supported_models import SUPPORTED_ARCHS
SubCliServe.add_parsers()
options = {
    action.option_strings[-1]: {"default": action.default, "choices": action.choices}
    for action in SubCliServe.subparsers.choices["api_server"]._actions
    if action.option_strings and action.dest != "help"
}
print(json.dumps({
    "lmdeploy": version("lmdeploy"),
    "turbomind": sorted(SUPPORTED_ARCHS),
    "pytorch": sorted(MODULE_MAP),
    "chat_templates": sorted(MODELS.module_dict),
    "tool_parsers": sorted(ToolParserManager.module_dict),
    "reasoning_parsers": sorted(ReasoningParserManager.module_dict),
    "options": options,
}))
"""


def make() -> Path:
    """The environment's Python; made now where it is not there, or was made from other versions.

    Raises:
        subprocess.CalledProcessError: a package cannot be had.
    """
    FOLDER.parent.mkdir(exist_ok=True)
    with (FOLDER.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once make it once
        python = FOLDER / "bin" / "python"
        if _stamp() != _made():
            shutil.rmtree(FOLDER, ignore_errors=True)
            _build(python)
            (FOLDER / "stamp.json").write_text(json.dumps(_stamp()))
    return python


def facts() -> str:
    """What this version knows, as the text of :data:`FACTS`: a line a fact, so that a new version shows as a readable diff."""
    found = json.loads(subprocess.run([make(), "-c", READ_FACTS], capture_output=True, text=True, check=True).stdout)
    return json.dumps(found, indent=1) + "\n"


def _stamp() -> list[str]:
    return [sys.version, sysconfig.get_path("purelib"), LMDEPLOY, *PACKAGES]


def _made() -> list[str] | None:
    try:
        stamp: list[str] = json.loads((FOLDER / "stamp.json").read_text())
    except (OSError, ValueError):
        return None
    return stamp


def _build(python: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", FOLDER], check=True)
    packages = next((FOLDER / "lib").glob("python3*/site-packages"))
    ours = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "ours.pth").write_text("\n".join(sorted(ours)) + "\n")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "--python", python, "install", "--no-deps", *PACKAGES], check=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([*pip, "download", "--no-deps", "--dest", folder, LMDEPLOY], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
            names = [n for n in wheel.namelist() if not n.endswith(LEFT_OUT) and ".so." not in n]
            wheel.extractall(packages, names)


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        true = FACTS.read_text() == facts()
        print("true" if true else f"{FACTS.name} is not what {LMDEPLOY} says: run {Path(__file__).name} --facts")
        return 0 if true else 1
    if "--facts" in arguments:
        FACTS.write_text(facts())
    print(make())
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
