"""Measure a starter model: ``python -m jobs.evaluate_starter [MODEL_DIR] [--n 100] [--skill NAME] [--json]``.

Prints the table of the model card: held-out questions, greedy answers, in plain transformers. The same model gives the
same table again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path

import torch
from transformers.utils import logging

from backend.errors import PanelError
from jobs.starter import evaluate

SHIPPED = Path(__file__).resolve().parent.parent / "models" / "starter"


def main(argv: list[str] | None = None) -> int:
    """The program; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m jobs.evaluate_starter", description="Measure a starter model.")
    parser.add_argument(
        "model", nargs="?", type=Path, default=SHIPPED, help="model folder (default: the one that is shipped)"
    )
    parser.add_argument("--n", type=int, default=100, help="questions per row (default 100)")
    parser.add_argument("--skill", default="", help="only skills whose name begins with this")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of the table")
    args = parser.parse_args(argv)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    try:
        rows = evaluate.table(args.model, args.n, args.skill)
    except PanelError as error:
        print(f"{error} {error.hint}", file=sys.stderr)  # noqa: T201 - a command line program
        return 1
    if args.json:
        data = {"model": str(args.model), "rows": [{**dataclasses.asdict(r), "percent": r.percent} for r in rows]}
        print(json.dumps(data, ensure_ascii=False, indent=2))  # noqa: T201
    else:
        print(evaluate.markdown(rows))  # noqa: T201
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
