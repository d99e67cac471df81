"""The Quantize page without a browser: opened by its address, and copies as they lie on the disk, made by hand."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from streamlit.testing.v1 import AppTest

from backend import catalog
from backend.catalog import Lineage
from backend.quantize.plan import OUT, plan
from backend.queue import lifecycle
from backend.queue.store import Store
from backend.workspace import ROOT, write_json
from tests.support import by_hand, models
from tests.support.handmade_run import HandmadeRun

PACKED = {
    "quant_method": "compressed-tensors",
    "format": "pack-quantized",
    "config_groups": {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 16}, "targets": ["Linear"]}},
}
"""What llm-compressor writes into ``config.json``."""


def open_quantize(**query: str) -> AppTest:
    """The page as the address with these parameters opens it."""
    app = AppTest.from_file(str(ROOT / "ui" / "shell.py"), default_timeout=60).run()
    for key, value in query.items():
        app.query_params[key] = value
    app.switch_page(str(ROOT / "pages" / "quantize.py")).run()
    assert not app.exception, app.exception
    return app


def links(app: AppTest) -> dict[str, str]:
    """Label -> query of the links of the page's main part."""
    return {link.proto.label.replace("\\", ""): link.proto.query_string for link in app.main.get("page_link")}


def address(app: AppTest) -> dict[str, str]:
    """The address as it stands now."""
    return {name: value[0] if isinstance(value, list) else value for name, value in app.query_params.items()}


class HandmadeCopy(HandmadeRun):
    """A quantization in the store, of which as much has happened as a test says."""

    def __init__(self, store: Store, **spec: Any) -> None:
        self.store, self.steps = store, 8
        self.row = by_hand.submit(store, "quantize", {"model": "starter", "method": "gptq", **spec})
        self.dir: Path = store.job_dir(self.row.id)

    def planned(self, **more: Any) -> None:
        """The plan that it made."""
        write_json(
            self.dir / "plan.json", {**plan(self.store.workspace, self.store.spec(self.row.id)).to_dict(), **more}
        )

    def layers(self, done: int, left_s: float = 12.0) -> None:
        """So many layers are done."""
        told = {"t": time.time(), "phase": "quantize", "step": done, "total": self.steps, "eta_s": left_s}
        lifecycle.note_progress(self.store, self.row.id, self.row.attempt, told, 5.0)

    def made(self, name: str = "starter-gptq") -> Path:
        """The copy is whole, and on the list."""
        folder = models.folder(self.dir / OUT, quantization_config=PACKED)
        catalog.receive(
            self.store.workspace, folder, name, Lineage(job=self.row.id, verb="quantize", base="starter", created=1.0)
        )
        return folder
