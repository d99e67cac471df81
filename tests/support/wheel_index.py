"""A package index on loopback, with tiny wheels, that real pip takes for one and that fails on request.

It serves the simple API as HTML with hashes (PEP 503) or JSON (PEP 691), and the files with Range.

    with WheelIndex() as index:
        index.add(wheel("toy-part", "1.0", pad=200_000))
        index.fail("toy_part-1.0", Fault(cut=1000))     # the next request whose path contains this
        index.url                                       # http://127.0.0.1:PORT/simple
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import tarfile
import threading
import zipfile
from dataclasses import dataclass, field
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

BLOCK = 16 * 1024


@dataclass(frozen=True)
class Package:
    """A file of an index."""

    name: str
    version: str
    file: str
    data: bytes = field(repr=False)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def sdist(self) -> bool:
        return self.file.endswith(".tar.gz")

    def line(self, *, any_build: bool = False) -> str:
        """Its line in a lock."""
        if any_build:
            return f"{self.name}=={self.version}  # {len(self.data)} any build"
        kind = " sdist" if self.sdist else ""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}  # {len(self.data)}{kind}"


def wheel(
    name: str, version: str, module: str | None = None, *, pad: int = 0, code: str = "", needs: tuple[str, ...] = ()
) -> Package:
    """A wheel with one module (by default named as the package): ``code``, and ``pad`` bytes that do not compress. ``needs``:
    what it asks for, as requirements."""
    module = module or name.replace("-", "_")
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    files: dict[str, str | bytes] = {
        f"{module}.py": f"__version__ = {version!r}\n{code}",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {each}\n" for each in needs),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if pad:
        files[f"{module}_data.bin"] = random.Random(name).randbytes(pad)
    files[f"{info}/RECORD"] = "".join(f"{each},,\n" for each in [*files, f"{info}/RECORD"])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, (2024, 1, 1, 0, 0, 0)), content)
    return Package(name, version, f"{name.replace('-', '_')}-{version}-py3-none-any.whl", buffer.getvalue())


def sdist(name: str, version: str, backend: str) -> Package:
    """A source package that the build backend ``backend`` (a module of a wheel in the same lock) turns into a wheel."""
    root = f"{name.replace('-', '_')}-{version}"
    files = {
        f"{root}/pyproject.toml": f'[build-system]\nrequires = []\nbuild-backend = "{backend}"\n',
        f"{root}/PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{root}/{name.replace('-', '_')}.py": f"__version__ = {version!r}\n",
    }
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mtime = len(text.encode()), 1_700_000_000
            archive.addfile(member, io.BytesIO(text.encode()))
    return Package(name, version, f"{root}.tar.gz", buffer.getvalue())


@dataclass
class Fault:
    """What goes wrong with one request. cut: bytes of the body after which the connection ends. hold: then it stays open
    until :meth:`WheelIndex.go_on`. wrong: another content of the same length. times: for so many requests."""

    status: int = 200
    cut: int | None = None
    hold: bool = False
    wrong: bool = False
    times: int = 1


@dataclass(frozen=True)
class Seen:
    """A request that came. first: where its Range begins. login: its Authorization header."""

    path: str
    first: int
    login: str


class WheelIndex:
    """The index; use it as a context manager."""

    def __init__(self, *, as_json: bool = False, login: str = "") -> None:
        self.packages: list[Package] = []
        self.as_json, self.login = as_json, login  # login: "name:password", the only one that is let in
        self.seen: list[Seen] = []
        self.sent = 0
        self.held = threading.Event()
        self._faults: list[tuple[str, Fault]] = []
        self._lock, self._go = threading.Lock(), threading.Event()
        index = self

        class Handler(_Handler):
            stub = index

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}/simple"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> WheelIndex:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._go.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def add(self, *packages: Package) -> None:
        self.packages += packages

    def fail(self, part: str, *faults: Fault) -> None:
        """The next requests whose path contains ``part`` meet ``faults``, one each (or ``times``)."""
        with self._lock:
            self._faults += [(part, fault) for fault in faults for _ in range(fault.times)]

    def heal(self) -> None:
        """No more faults."""
        with self._lock:
            self._faults.clear()

    def go_on(self) -> None:
        """What was held is sent."""
        self._go.set()

    def fetched(self, part: str = "") -> list[Seen]:
        """Requests for files whose path contains ``part``."""
        return [seen for seen in self.seen if seen.path.startswith("/files/") and part in seen.path]

    def fault(self, path: str) -> Fault | None:
        with self._lock:
            for at, (part, fault) in enumerate(self._faults):
                if part in path:
                    del self._faults[at]
                    return fault
        return None

    def page(self, name: str) -> tuple[str, bytes] | None:
        """The list of one package's files: content type and body."""
        found = [package for package in self.packages if package.name.replace("_", "-") == name]
        if not found:
            return None
        if self.as_json:
            files = [
                {"filename": each.file, "url": f"/files/{each.file}", "hashes": {"sha256": each.sha256}}
                for each in found
            ]
            body = {"meta": {"api-version": "1.0"}, "name": name, "files": files}
            return "application/vnd.pypi.simple.v1+json", json.dumps(body).encode()
        links = "".join(f'<a href="/files/{each.file}#sha256={each.sha256}">{each.file}</a>\n' for each in found)
        return "text/html", f"<!DOCTYPE html><html><body>\n{links}</body></html>".encode()

    def wait(self) -> None:
        self.held.set()
        self._go.wait(60)


class _Handler(BaseHTTPRequestHandler):
    stub: WheelIndex
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        self.stub.seen.append(Seen(path, first, self.headers.get("Authorization", "")))
        fault = self.stub.fault(path) or Fault()
        if fault.status != 200:
            self.answer(fault.status, "text/plain", b"")
            return
        wanted = "Basic " + base64.b64encode(self.stub.login.encode()).decode()
        if self.stub.login and self.headers.get("Authorization", "") != wanted:
            self.answer(401, "text/plain", b"", **{"WWW-Authenticate": 'Basic realm="index"'})
            return
        if path.startswith("/simple/"):
            page = self.stub.page(path.removeprefix("/simple/").strip("/"))
            if page is None:
                self.answer(404, "text/plain", b"")
            else:
                self.answer(200, *page)
            return
        package = next((each for each in self.stub.packages if path == f"/files/{each.file}"), None)
        if package is None:
            self.answer(404, "text/plain", b"")
            return
        data = bytes(len(package.data)) if fault.wrong else package.data
        self.send(data, first, package.sha256, fault)

    def answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send(self, data: bytes, first: int, tag: str, fault: Fault) -> None:
        self.send_response(206 if first else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(data) - first))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", f'"{tag}"')
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        end = len(data) if fault.cut is None else min(len(data), first + fault.cut)
        try:
            for start in range(first, end, BLOCK):
                self.wfile.write(data[start : min(end, start + BLOCK)])
                self.stub.sent += min(end, start + BLOCK) - start
            self.wfile.flush()
            if fault.hold:
                self.stub.wait()
                for start in range(end, len(data), BLOCK):
                    self.wfile.write(data[start : start + BLOCK])
            elif end < len(data):
                self.close_connection = True
                self.connection.shutdown(2)
        except OSError:
            self.close_connection = True  # the client went away

    def log_message(self, *_: object) -> None:
        """Nothing: a test's output is for its failures."""
