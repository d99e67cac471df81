"""Run by the Python of scripts/engine_parsers.py: what LMDeploy's own command line makes of command lines.

Reads a JSON list of argument lists from its standard input, each as it follows the program's name; writes one of
``{"arguments": {...}, "engine": {...}, "served": {...}}`` or ``{"error": text}`` each. It goes as far as LMDeploy goes before
it loads a model: its parser, its configuration classes with their checks, its adapters, chat templates and parsers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import sys
import types
from typing import Any

seen: dict[str, Any] = {}


def serve(model_path: str, **options: Any) -> None:
    """In place of the server."""
    from lmdeploy.serve.parsers import validate_parser_names

    validate_parser_names(options["reasoning_parser"], options["tool_call_parser"])
    template = options["chat_template_config"]
    seen["engine"] = {"kind": type(options["backend_config"]).__name__, **dataclasses.asdict(options["backend_config"])}
    seen["served"] = {
        "model_path": model_path,
        "chat_template": template and template.model_name,
        **{key: value for key, value in options.items() if isinstance(value, str | int | bool | list | None)},
    }


def main() -> None:
    """Read, try, write."""
    import lmdeploy.archs
    import lmdeploy.cli.serve
    from lmdeploy.cli.cli import CLI

    stand_in = types.ModuleType("lmdeploy.serve.openai.api_server")
    stand_in.serve = serve  # type: ignore[attr-defined]
    sys.modules["lmdeploy.serve.openai.api_server"] = stand_in
    # Both would look at the GPU, or at weights.
    lmdeploy.archs.autoget_backend = lambda *_args, **_more: "turbomind"
    lmdeploy.cli.serve.get_max_batch_size = lambda _device: 128
    lmdeploy.cli.serve.SubCliServe.add_parsers()
    answers = []
    for argv in json.load(sys.stdin):
        seen.clear()
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                parsed = CLI.parser.parse_args(argv)
                arguments = {key: value for key, value in vars(parsed).items() if key != "run"}
                parsed.run(parsed)
            answers.append({"arguments": arguments, **seen})
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it is, it is a refusal
            answers.append({"error": f"{type(error).__name__}: {error} {said.getvalue()[-300:]}"})
    print(json.dumps(answers, default=str))


if __name__ == "__main__":
    main()
