"""An environment that holds an LMDeploy which computes nothing: a real Python, in it a package of that name and version.

    environment = make(folder)          # folder/bin/python; give it as TUNEDECK_LMDEPLOY_PYTHON, or lay it at its default place
    script(environment, say="...", die="CUDA out of memory")

It stands where the real one needs a GPU, at the lowest border: everything of ours runs as it is, the file that is run inside
the environment too. Its server has the real one's addresses, its key, its metrics and its sleep. ``asked(environment)``
tells what each start was given. What it does is a JSON object in ``script.json`` beside the package:

    die: print this and end with ``code`` (1) instead of loading      die_on: end so at a prompt with this word in it
    say: the answer (default: "You said: <prompt>"); an adapter says its name before it
    wake_s: seconds that waking takes      no_wake: say this instead of waking
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import nvml

PACKAGE = r"""
import json, os, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
counts = {"requests": 0, "tokens": 0, "running": 0}
state = {"asleep": False}


def script():
    try:
        return json.loads((HERE / "script.json").read_text())
    except FileNotFoundError:
        return {}


def die(plan):
    print(plan["die"], flush=True)
    os._exit(plan.get("code", 1))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def allowed(self):
        key = option("--api-keys")
        if not key or self.path == "/health" or self.headers.get("Authorization") == f"Bearer {key}":
            return True
        self.answer(401, {"message": "UNAUTHORIZED"})
        return False

    def do_GET(self):
        if not self.allowed():
            return
        if self.path == "/metrics":
            labels = '{engine="0",model_name="x"}'
            values = {
                "num_requests_running": counts["running"], "num_requests_waiting": 0, "gpu_cache_usage_perc": 0.5,
                "request_success_total": counts["requests"], "generation_tokens_total": counts["tokens"],
            }
            self.answer(200, "".join(f"lmdeploy:{n}{labels} {float(v)}\n" for n, v in values.items()))
        elif self.path == "/is_sleeping":
            self.answer(200, {"is_sleeping": state["asleep"], "woken": counts.get("woken", 0)})
        elif self.path == "/v1/models":
            self.answer(200, {"object": "list", "data": [{"id": option("--model-name"), "object": "model"}]})
        else:
            self.answer(200, {"status": "healthy"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if not self.allowed():
            return
        if self.headers.get("Content-Type", "").split(";")[0] != "application/json":
            self.answer(400, {"message": "Unsupported Media Type: Only 'application/json' is allowed"})
        elif self.path.startswith("/sleep"):
            state["asleep"] = True
            self.answer(200, {})
        elif self.path == "/wakeup":
            if script().get("no_wake"):
                return self.answer(500, {"message": script()["no_wake"]})
            time.sleep(script().get("wake_s", 0))
            state["asleep"] = False
            counts["woken"] = counts.get("woken", 0) + 1
            self.answer(200, {})
        elif state["asleep"]:
            self.answer(503, {"message": "Engine is sleeping; call POST /wakeup before inference"})
        elif body.get("model") not in (option("--model-name"), *adapters()):
            self.answer(404, {"message": f"The model {body.get('model')!r} does not exist."})
        else:
            self.say(body)

    def say(self, body):
        plan = script()
        prompt = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        if plan.get("die_on") and plan["die_on"] in prompt:
            die(plan)
        text = plan.get("say", f"You said: {prompt}")
        if body["model"] in adapters():
            text = f"{body['model']}: {text}"
        counts["requests"] += 1
        counts["tokens"] += len(text.split())
        usage = {"prompt_tokens": 1, "completion_tokens": len(text.split()), "total_tokens": 1 + len(text.split())}
        head = {"id": "x", "created": int(time.time()), "model": body["model"], "usage": usage}
        if "messages" not in body:
            choice = {"index": 0, "text": text, "finish_reason": "stop"}
            self.answer(200, {**head, "object": "text_completion", "choices": [choice]})
        elif not body.get("stream"):
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
            self.answer(200, {**head, "object": "chat.completion", "choices": [choice]})
        else:
            pieces = [{"index": 0, "delta": {"role": "assistant", "content": text}, "finish_reason": None}]
            pieces += [{"index": 0, "delta": {}, "finish_reason": "stop"}]
            events = [{**head, "object": "chat.completion.chunk", "choices": [p]} for p in pieces]
            self.answer(200, "".join(f"data: {json.dumps(e)}\n\n" for e in events) + "data: [DONE]\n\n", "text/event-stream")

    def answer(self, status, data, kind=None):
        text = data if isinstance(data, str) else json.dumps(data)
        self.send_response(status)
        self.send_header("Content-Type", kind or ("text/plain" if isinstance(data, str) else "application/json"))
        payload = text.encode()
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


def adapters():
    if "--adapters" not in sys.argv:
        return []
    after = sys.argv[sys.argv.index("--adapters") + 1 :]
    return [word.partition("=")[0] for word in after]


def option(name, default=""):
    return next((a.split("=", 1)[1] for a in sys.argv if a.startswith(name + "=")), default)


def run():
    facts = {
        "argv": sys.argv,
        "shown": Path("/proc/self/cmdline").read_bytes().decode().split("\0")[:-1],
        "environment": dict(os.environ),
        "pid": os.getpid(),
    }
    with (HERE / "asked.jsonl").open("a") as file:
        file.write(json.dumps(facts) + "\n")
    plan = script()
    if "die" in plan and "die_on" not in plan:
        die(plan)
    ThreadingHTTPServer((option("--server-name"), int(option("--server-port"))), Handler).serve_forever()
"""


def make(folder: Path, version: str = "0.18.0") -> Path:
    """The environment, made now; its Python is ``folder/bin/python``."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = _packages(folder)
    (packages / "lmdeploy").mkdir()
    (packages / "lmdeploy" / "__init__.py").touch()
    (packages / "lmdeploy" / "cli.py").write_text(PACKAGE)
    (packages / f"lmdeploy-{version}.dist-info").mkdir()
    return folder


def script(folder: Path, **plan: Any) -> None:
    """What it does from now on; see the module's text."""
    (_packages(folder) / "lmdeploy" / "script.json").write_text(json.dumps(plan))


def asked(folder: Path) -> list[dict[str, Any]]:
    """Each start so far: ``argv`` as its program saw it, ``shown`` as everybody on the machine sees it, ``environment``,
    ``pid``."""
    path = _packages(folder) / "lmdeploy" / "asked.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def driver(folder: Path) -> Path | None:
    """A folder for LD_LIBRARY_PATH whose libnvidia-ml shows a GPU of 80 GiB, 30 free; None without a C compiler."""
    return nvml.build(folder)


def _packages(folder: Path) -> Path:
    return next((folder / "lib").glob("python3*/site-packages"))
