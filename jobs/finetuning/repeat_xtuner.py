"""Repeat a training with XTuner from its capsule, without TuneDeck: ``python repeat.py --model FOLDER [--out FOLDER]``.

Run it with the Python of an environment that holds XTuner. It writes config-here.py, which is config.py with the folder of the
base model on this machine, and starts XTuner with it; rows.jsonl lies beside it. Standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> int:
    """The program; its exit code is XTuner's."""
    recipe = json.loads((HERE / "recipe.json").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description="Repeat a training from its capsule.")
    parser.add_argument("--model", required=True, help=f"folder of the base model ({recipe['base']})")
    parser.add_argument("--out", default=str(HERE / "repeated"), help="folder for what is made")
    parser.add_argument("--write-only", action="store_true", help="write config-here.py and start nothing")
    asked = parser.parse_args()
    text = (HERE / "config.py").read_text(encoding="utf-8")
    if recipe["model_in_config"] not in text:
        print("config.py names another model than recipe.json: write its folder in yourself", file=sys.stderr)  # noqa: T201
        return 2
    text = text.replace(recipe["model_in_config"], str(Path(asked.model).resolve()))
    (HERE / "config-here.py").write_text(text, encoding="utf-8")
    if asked.write_only:
        return 0
    command = [sys.executable, "-m", "xtuner.tools.train", str(HERE / "config-here.py"), "--work-dir", asked.out]
    settings = {"OMP_NUM_THREADS": "1", "MKL_SERVICE_FORCE_INTEL": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=HERE, env={**os.environ, **settings}, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
