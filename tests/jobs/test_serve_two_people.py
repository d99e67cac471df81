"""Two people on one machine, each with a TuneDeck of their own, start a server at the same time."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from backend.queue.store import open_store
from backend.servers import Server, read_server
from backend.workspace import open_workspace
from tests.support.jobs import Queue
from tests.support.scripted_model import build
from tests.support.server import Client
from tests.support.wait import until


def test_each_gets_a_port_and_nobody_ends(tmp_path: Path) -> None:
    model = str(build(tmp_path / "model"))
    with ExitStack() as stack:
        found: list[tuple[Queue, int]] = []
        for name in ("ann", "bob"):
            workspace = open_workspace(tmp_path / name)
            store = open_store(workspace)
            stack.callback(store.close)
            queue = Queue(workspace, store)
            stack.callback(queue.end)
            found.append((queue, store.submit("serve", {"model": model, "name": name}).id))
        for queue, _ in found:
            queue.start_watcher()
        servers: list[Server] = []
        for queue, job in found:
            folder = queue.store.job_dir(job)

            def ready(queue: Queue = queue, job: int = job, folder: Path = folder) -> Server | None:
                assert not queue.store.get(job).done, queue.store.get(job).error
                server = read_server(folder)
                return server if server is not None and server.ready else None

            server = until(ready, 90, "the server answers")
            assert server is not None
            servers.append(server)
        assert servers[0].base_url != servers[1].base_url
        for server in servers:
            client = Client(server)
            stack.callback(client.http.close)
            assert client.http.get("/models").json()["data"][0]["id"] == server.model
