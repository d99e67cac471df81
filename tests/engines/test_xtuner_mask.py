"""What we say XTuner learns of a row is what its own functions compute; its layouts are those that we know."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from backend.data.rows import Row
from backend.data.tokens import mask, open_model, plan, xtuner
from backend.data.tokens.xtuner_templates import LAYOUTS, layout_name
from backend.engines.xtuner import ENGINE
from backend.envs import running
from backend.envs.status import Status
from backend.errors import PanelError
from backend.workspace import ROOT
from tests.engines.conftest import flavour_of
from tests.support.token_models import CHATML, INST, qwen_like, tokens_only
from tests.unit.test_data_mask import CALLS, PLAIN, SYSTEM, row

ENCODE = """
import copy, json, sys
from transformers import AutoTokenizer
from xtuner.dataset.map_fns import openai_map_fn, template_map_fn_factory
from xtuner.dataset.utils import Packer, encode_fn
from xtuner.utils import PROMPT_TEMPLATE
cases = json.load(open(sys.argv[1], encoding="utf-8"))
found = []
for case in cases["rows"]:
    tokenizer = AutoTokenizer.from_pretrained(case["folder"], padding_side="right")
    template = PROMPT_TEMPLATE[case["layout"]]
    try:
        example = template_map_fn_factory(template)(openai_map_fn(copy.deepcopy({"messages": case["messages"]})))
        made = encode_fn(example, tokenizer, case["cutoff"])
        found.append([made["input_ids"], made["labels"]])
    except Exception as error:
        found.append(type(error).__name__)
packed = []
for lengths, most in cases["packs"]:
    packer, count = Packer(most), 0
    for begin in range(0, len(lengths), 1000):
        rows = [list(range(n)) for n in lengths[begin : begin + 1000]]
        count += len(packer({"input_ids": rows, "labels": rows})["input_ids"])
    packed.append(count)
layouts = {name: {k: v for k, v in entry.items() if k != "STOP_WORDS"} for name, entry in PROMPT_TEMPLATE.items()}
lossless = openai_map_fn({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "loss": None}]})
print(json.dumps([found, packed, layouts, lossless["conversation"][0]["output_with_loss"]]))
"""
ROWS = [
    PLAIN,
    SYSTEM,
    row(("assistant", "before"), ("user", "one"), ("user", " two"), ("assistant", "three"), ("user", "and more")),
    row(("user", "hello"), ("assistant", "no", False), ("system", "late"), ("user", "more {x}"), ("assistant", "yes")),
    row(("user", "hello"), ("assistant", "")),
    CALLS,
]
PACKS = [([60] * 12, 512), ([7] * 2500, 100), ([3] * 1200, 5000), ([100] * 1001, 64)]


@pytest.fixture
def cases(tmp_path: Path) -> list[tuple[Path, str, Row, int]]:
    folders = {
        ROOT / "models" / "starter": "llama3_chat",
        ROOT / "models" / "tiny": "llama3_chat",
        qwen_like(tmp_path / "qwen"): "qwen_chat",
        tokens_only(tmp_path / "chatml", CHATML, bos_token="<s>"): "qwen_chat",
        tokens_only(tmp_path / "inst", INST, bos_token="<s>", eos_token="</s>"): "mistral",
        tokens_only(tmp_path / "gemma", "<start_of_turn>", bos_token="<s>", eos_token="</s>"): "gemma",
        # No token at the beginning, and a class for which XTuner wants one.
        tokens_only(tmp_path / "bare", CHATML): "qwen_chat",
    }
    return [
        (folder, layout, one, cutoff) for folder, layout in folders.items() for one in ROWS for cutoff in (4096, 23)
    ]


def test_tokens_labels_layouts_and_packing_are_what_xtuner_itself_makes(
    environment: Callable[[str], Status], cases: list[tuple[Path, str, Row, int]], tmp_path: Path
) -> None:
    status = environment("xtuner")
    assert status.python is not None
    given = [
        {"folder": str(folder), "layout": layout, "messages": xtuner.messages(one), "cutoff": cutoff}
        for folder, layout, one, cutoff in cases
    ]
    file = tmp_path / "cases.json"
    file.write_text(json.dumps({"rows": given, "packs": PACKS}), encoding="utf-8")
    done = subprocess.run(
        [status.python, "-c", ENCODE, file],
        env=running.environ(ENGINE, status.python, flavour_of(status)),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    theirs, packed, layouts, without_flag = json.loads(done.stdout.splitlines()[-1])
    for (folder, layout, one, cutoff), said in zip(cases, theirs, strict=True):
        model = open_model(folder)
        assert layout_name(model) == layout
        try:
            found = mask.encoded(model, one, "xtuner", cutoff)
            ours: Any = [found.ids, found.labels]
        except PanelError as error:
            ours = {"xtuner_role": "NotImplementedError", "xtuner_no_token": "TypeError"}[error.code]
        assert ours == said, (folder.name, one, cutoff)
    assert sum(isinstance(said, str) for said in theirs) == 2 * 7 + 2 * 5  # functions' results; no first token
    for name, layout in LAYOUTS.items():
        assert {"SUFFIX_AS_EOS": False, **layouts[name]} == layout.to_dict(), name
    for (lengths, most), count in zip(PACKS, packed, strict=True):
        assert plan.xtuner_packed(len(lengths), sum(lengths), most) == count
    assert without_flag is False  # why every message is written with its flag
