"""A hub on loopback that the real clients of Hugging Face and ModelScope take for theirs, and that fails on request.

It speaks what these clients ask for a download: the description of a model with its files, and the files themselves
with Range; as the real hub does, large files (LFS) of Hugging Face are answered with a redirect to another host.

    with StubHub() as hub:
        hub.repos["org/name"] = Repo({"config.json": b"{}"})
        hub.fail("model.safetensors", Fault(status=503), Fault(cut=1000))     # the first two requests for it
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from backend.workspace import ROOT

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LFS_BYTES = 20_000
BLOCK = 16 * 1024


@dataclass
class Repo:
    """A repository. sizes: what the list of files claims, where it is not the truth. gated: a licence must be accepted.
    digests: False where the list names none."""

    files: dict[str, bytes]
    revisions: tuple[str, ...] = ("main", "master", COMMIT)
    gated: bool = False
    private: bool = False
    sizes: dict[str, int] = field(default_factory=dict)
    digests: bool = True


@dataclass
class Fault:
    """What goes wrong with one request. cut: bytes of the body after which the connection ends. stall: then it stays
    open instead, silent. wrong: the content is another of the same length. pace: bytes per second."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    stall: bool = False
    wrong: bool = False
    pace: int = 0
    times: int = 1


@dataclass(frozen=True)
class Seen:
    """A request that came."""

    host: str
    path: str
    first: int
    token: str


class StubHub:
    """The hub; use it as a context manager."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.token = ""  # the only one it takes
        self.seen: list[Seen] = []
        self.sent = 0
        self._faults: list[tuple[str, Fault]] = []
        self._lock = threading.Lock()
        self._over = threading.Event()
        hub = self

        class Handler(_Handler):
            stub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> StubHub:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def fail(self, part: str, *faults: Fault) -> None:
        """The next requests whose path contains ``part`` meet ``faults``, one each (or ``times``)."""
        with self._lock:
            self._faults += [(part, fault) for fault in faults for _ in range(fault.times)]

    def heal(self) -> None:
        """No more faults; what hangs goes on hanging."""
        with self._lock:
            self._faults.clear()

    def fetched(self, part: str) -> list[Seen]:
        """Requests for content whose path contains ``part``."""
        return [seen for seen in self.seen if part in seen.path and "/api/models/" not in seen.path]

    def fault(self, path: str) -> Fault | None:
        with self._lock:
            for index, (part, fault) in enumerate(self._faults):
                if part in path:
                    del self._faults[index]
                    return fault
        return None

    def wait(self, seconds: float) -> None:
        self._over.wait(seconds)


class _Handler(BaseHTTPRequestHandler):
    """One connection; HTTP/1.1 as both clients expect."""

    protocol_version = "HTTP/1.1"
    stub: StubHub

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        try:
            self._answer()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path, query = unquote(url.path), parse_qs(url.query)
        name = path if "FilePath" not in query else f"{path}/{query['FilePath'][0]}"
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self.first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        self.stub.seen.append(Seen(self.headers.get("Host", ""), name, self.first, token))
        # Of a large file it is the other host that fails.
        fault = Fault() if self._redirects(path) else self.stub.fault(name) or Fault()
        if fault.status != 200:
            self._send(fault.status, fault.body, fault.headers)
        elif fault.body:
            self._send(200, fault.body, fault.headers)
        elif path.startswith("/cdn/"):
            self._content(*path.removeprefix("/cdn/").split("/", 2), fault=fault)
        elif path.startswith("/api/v1/models/"):
            self._modelscope(path.removeprefix("/api/v1/models/").split("/"), query, token, fault)
        elif path.startswith("/api/models/"):
            self._describe(path.removeprefix("/api/models/").split("/"), token)
        elif "/resolve/" in path:
            self._resolve(path.strip("/").split("/", 4), token, fault)
        else:
            self._send(404, b"no such page")

    # Hugging Face

    def _describe(self, parts: list[str], token: str) -> None:
        repo = self._repo("/".join(parts[:2]), token)
        if repo is None:
            return
        if parts[2:3] == ["revision"] and "/".join(parts[3:]) not in repo.revisions:
            self._send(404, b'{"error":"Invalid rev id"}', {"X-Error-Code": "RevisionNotFound"})
            return
        siblings = []
        for path, data in repo.files.items():
            size = repo.sizes.get(path, len(data))
            entry: dict[str, Any] = {"rfilename": path, "size": size, "blobId": _blob(data)}
            if size >= LFS_BYTES:
                entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": size, "pointerSize": 134}
            siblings.append(entry)
        self._json({"id": "/".join(parts[:2]), "sha": COMMIT, "siblings": siblings, "tags": [], "gated": repo.gated})

    def _repo(self, name: str, token: str) -> Repo | None:
        repo = self.stub.repos.get(name)
        if token and token != self.stub.token:
            message = "Invalid credentials in Authorization header"
            self._send(401, b'{"error":"bad token"}', {"X-Error-Message": message})
        elif repo is None or (repo.private and not token):
            if token:
                self._send(404, b'{"error":"Repository not found"}', {"X-Error-Code": "RepoNotFound"})
            else:
                self._send(401, b'{"error":"Invalid username or password."}')
        else:
            return repo
        return None

    def _resolve(self, parts: list[str], token: str, fault: Fault) -> None:
        org, name, _resolve, _revision, path = parts
        repo = self._repo(f"{org}/{name}", token)
        if repo is None:
            return
        if repo.gated:
            self._send(403 if token else 401, b'{"error":"gated"}', {"X-Error-Code": "GatedRepo"})
        elif len(repo.files.get(path, b"")) >= LFS_BYTES:
            place = f"http://localhost:{self.stub.port}/cdn/{org}/{name}/{path}"
            self._send(302, b"", {"Location": place, "X-Repo-Commit": COMMIT})
        else:
            self._content(org, name, path, fault=fault)

    def _redirects(self, path: str) -> bool:
        org, _, rest = path.strip("/").partition("/")
        name, _, rest = rest.partition("/resolve/")
        repo = self.stub.repos.get(f"{org}/{name}")
        return repo is not None and len(repo.files.get(rest.partition("/")[2], b"")) >= LFS_BYTES

    # ModelScope

    def _modelscope(self, parts: list[str], query: dict[str, list[str]], token: str, fault: Fault) -> None:
        name = "/".join(parts[:2])
        repo = self.stub.repos.get(name)
        revision = query.get("Revision", ["master"])[0]
        if token and token != self.stub.token:
            self._json({"Code": 10010102001, "Message": "token is not valid", "Success": False}, 401)
        elif repo is None or (repo.private and not token) or revision not in repo.revisions:
            self._json({"Code": 10010205001, "Message": "record not found", "Success": False}, 404)
        elif repo.gated:
            self._json({"Code": 10010205002, "Message": "access denied", "Success": False}, 403)
        elif parts[2:] == ["repo", "files"]:
            files = [
                {
                    "Path": path,
                    "Name": path.rsplit("/", 1)[-1],
                    "Type": "blob",
                    "Size": repo.sizes.get(path, len(data)),
                    **({"Sha256": hashlib.sha256(data).hexdigest()} if repo.digests else {}),
                }
                for path, data in repo.files.items()
            ]
            files.append({"Path": "folder", "Name": "folder", "Type": "tree", "Size": 0})
            self._json({"Code": 200, "Success": True, "Data": {"Files": files}})
        else:
            self._content(*parts[:2], query["FilePath"][0], fault=fault)

    # both

    def _content(self, org: str, name: str, path: str, fault: Fault) -> None:
        data = self.stub.repos[f"{org}/{name}"].files.get(path)
        if data is None:
            self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        if fault.wrong:
            data = bytes(byte ^ 1 for byte in data)
        if self.first > len(data) or (self.first == len(data) and data):
            self._send(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        body = data[self.first :]
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {self.first}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{_blob(data)}"')
        self.end_headers()
        if self.command == "HEAD":
            return
        end = len(body) if fault.cut is None else min(fault.cut, len(body))
        for start in range(0, end, BLOCK):
            piece = body[start : min(start + BLOCK, end)]
            self.wfile.write(piece)
            self.stub.sent += len(piece)
            if fault.pace:
                self.stub.wait(len(piece) / fault.pace)
        if fault.cut is not None:
            self.wfile.flush()
            if fault.stall:
                self.stub.wait(300)
            self.close_connection = True

    def _json(self, data: Any, status: int = 200) -> None:
        self._send(status, json.dumps(data).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def tiny() -> dict[str, bytes]:
    """The files of a real, small model: it loads, and it can stand on the list."""
    return {path.name: path.read_bytes() for path in sorted((ROOT / "models" / "tiny").iterdir()) if path.is_file()}


def weights(size: int) -> bytes:
    """A valid safetensors file of one tensor with ``size`` bytes, no two blocks alike."""
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    header += b" " * (-len(header) % 8)
    pattern = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(2048))
    body = (pattern * (size // len(pattern) + 1))[:size]
    return len(header).to_bytes(8, "little") + header + body


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
