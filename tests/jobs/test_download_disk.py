"""A download on a disk that fills up under it: a real, small disk in a mount namespace of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.jobs.test_disk_faults import can_mount, on_disk

pytestmark = pytest.mark.skipif(not can_mount(), reason="needs the right to mount a small disk")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["huggingface", "modelscope"])
def test_a_disk_that_fills_up_is_told_and_the_download_goes_on_when_there_is_room(tmp_path: Path, source: str) -> None:
    found = on_disk(
        tmp_path / "small",
        "size=16m",
        """
from tests.jobs.test_download import REPO, start
from tests.support.stub_hub import Fault, Repo, StubHub, tiny, weights
workspace = open_workspace()
with StubHub() as hub:
    hub.repos[REPO] = Repo({**tiny(), "model.safetensors": weights(4_000_000)})
    hub.fail("model.safetensors", Fault(cut=1_000_000, stall=True))
    download = start(workspace, hub, source=SOURCE)
    partial = download.partial() / "model.safetensors.incomplete"
    until(lambda: partial.exists() and partial.stat().st_size > 700_000, 60, "some has come")
    filler = workspace.root / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass
    code = download.end()
    error = PanelError.from_dict(download.result["error"])
    kept = partial.stat().st_size
    still_full = start(workspace, hub, "second", source=SOURCE)
    still_full.end()
    answer = {"code": code, "error": error.code, "text": str(error), "kept": kept, "second": still_full.result["error"]["code"]}
    filler.unlink()
    before = len(hub.fetched("model.safetensors"))
    again = start(workspace, hub, "third", source=SOURCE)
    answer |= {"again": again.end(), "log": again.log}
    # Other files may have been cut off, too, and several come at once: any of them can be the last that was asked for.
    answer["first"] = min(seen.first for seen in hub.fetched("model.safetensors")[before:])
print(json.dumps(answer))
""".replace("SOURCE", repr(source)),
    )
    assert (found["code"], found["error"]) == (1, "workspace_full")
    assert "is full" in found["text"]
    assert found["second"] in ("download_no_room", "workspace_full")
    assert found["kept"] >= 700_000
    assert found["again"] == 0, found["log"]
    assert found["first"] >= 700_000, "it went on from what was there"
