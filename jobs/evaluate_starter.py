"""Measure a starter model: ``python -m jobs.evaluate_starter [MODEL_DIR] [--n 100] [--skill NAME] [--json]``.

Prints the table of the model card: held-out questions, greedy answers, in plain transformers. The same model gives the
same table again. And what changes it:

    --adapter FOLDER     with a peft adapter merged into the weights
    --bits 4             with weights quantized to 4 bits (or 8), and how far its predictions are from the unquantized ones
    --identity NAME      what the adapter, a LoRA on a new identity as the page Fine-tune makes it, taught and cost
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging

from backend.errors import PanelError
from jobs.starter import evaluate, identity, quantized

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
    parser.add_argument("--adapter", type=Path, help="folder of a peft adapter, merged into the weights")
    parser.add_argument("--bits", type=int, choices=quantized.BITS, help="quantize the weights to this many bits")
    parser.add_argument(
        "--identity", metavar="NAME", help="the name that the adapter taught: compare the skills before and after"
    )
    parser.add_argument("--maker", default="", help="the maker that it taught, with --identity")
    args = parser.parse_args(argv)
    if args.identity and args.bits:
        parser.error("--identity and --bits do not go together")
    if args.identity and not (args.adapter and args.maker):
        parser.error("--identity needs --adapter, the folder of the adapter that taught it, and --maker")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(args.threads)
    try:
        data, text = _identity(args) if args.identity else _table(args)
    except PanelError as error:
        print(f"{error} {error.hint}", file=sys.stderr)  # noqa: T201 - a command line program
        return 1
    print(json.dumps(data, ensure_ascii=False, indent=2) if args.json else text)  # noqa: T201
    return 0


def _table(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """The table, and with ``--bits`` the distance from the model as it is: as data and as text."""
    try:
        speaker = evaluate.Speaker(args.model, args.adapter, args.bits)
    except ValueError as error:  # weights that the groups do not fit
        raise SystemExit(f"{args.model}: {error}") from None
    rows = evaluate.table_of(speaker, args.n, args.skill)
    data: dict[str, Any] = {"model": str(args.model), "rows": _rows(rows)}
    text = evaluate.markdown(rows)
    if args.bits:
        whole = evaluate.Speaker(args.model, args.adapter)
        difference = quantized.compare(whole, speaker, evaluate.questions(args.n, args.skill))
        data |= {"bits": args.bits, "difference": dataclasses.asdict(difference)}
        text += (
            f"\n\n{args.bits} bits over {difference.tokens} tokens of expected answers: perplexity "
            f"{difference.reference_perplexity:.4f} -> {difference.perplexity:.4f}, mean KL divergence "
            f"{difference.divergence:.5f} nats, same likeliest token {100 * difference.agreement:.2f} %"
        )
    return data, text


def _identity(args: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """What the new identity taught and cost: as data and as text."""
    found = identity.measure(args.model, args.adapter, args.identity, args.maker, args.n, args.skill)
    data = {"model": str(args.model), "name": args.identity, "maker": args.maker}
    data |= {"named": found.named, "before": _rows(found.before), "after": _rows(found.after)}
    lines = [
        f"{lang}: {100 * right / n:.0f} % of {n} unseen wordings are answered with the name {args.identity}"
        for lang, (right, n) in found.named.items()
    ]
    return data, "\n".join([*lines, "", found.markdown()])


def _rows(rows: list[evaluate.Row]) -> list[dict[str, Any]]:
    return [{**dataclasses.asdict(row), "percent": row.percent} for row in rows]


if __name__ == "__main__":
    raise SystemExit(main())
