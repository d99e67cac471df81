"""A stand-in for lm-evaluation-harness in an environment that looks like an installed one: what it reads, asks, writes and says is what the real one does.

Recorded of lm_eval 0.4.13 with ``local-chat-completions``: all questions of all tasks at once, each answer in its SQLite file as it comes, nothing asked that
is there already; results and samples at the end only; and where one question is refused or nobody answers, a traceback whose last line says why, exit code 1, and
no results. It prints the request with its key then, as the real one does. tests/engines/ runs the real one.

    make(workspace)                    # the environment
    monkeypatch.setenv("TOY_LM_EVAL", …)   # no_module: it breaks at once; no_score: it leaves results without a number
"""

from __future__ import annotations

import sys
from pathlib import Path

from backend.engines.lm_eval import ENGINE
from backend.envs import places
from backend.workspace import Workspace
from tests.support import environments

TASKS = """
class TaskManager:
    def __init__(self, include_path=None, include_defaults=True):
        assert not include_defaults, "the tasks that come along take a minute to read"
        self.include_path = include_path
"""
MAIN = r"""
import argparse, hashlib, importlib.util, json, os, pathlib, re, sqlite3, sys, threading, time, urllib.error, urllib.request
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

def scalar(text):
    text = text.strip()
    return text[1:-1].replace("''", "'") if text[:1] == "'" else text

def field(text, name, other=""):
    found = re.search(rf"^[ -]*{name}: *([^\n]*)$", text, re.MULTILINE)
    return scalar(found[1]) if found else other

def rows(path):
    return [json.loads(line) for line in open(path, encoding="utf-8")]

class Task:
    def __init__(self, path):
        self.text = path.read_text(encoding="utf-8")
        self.group, self.name = field(self.text, "group"), field(self.text, "task")
        if self.group:
            self.names = self.name.strip("[]").split(", ")
            return
        self.names = [self.name]
        self.docs = rows(field(self.text, "test"))
        shots = int(field(self.text, "num_fewshot"))
        self.before = []
        for doc in rows(field(self.text, "dev"))[:shots] if shots else []:
            self.before += [{"role": "user", "content": doc["prompt"]}, {"role": "assistant", "content": doc["solution"]}]
        self.tokens = int(field(self.text, "max_gen_toks"))
        self.pattern = re.compile(field(self.text, "regex_pattern")) if "regex_pattern" in self.text else None
        self.custom = field(self.text, "filter_fn").rpartition(".")[2]

    def messages(self, doc):
        system = [{"role": "system", "content": doc["system"]}] if doc["system"] else []
        return [*system, *self.before, {"role": "user", "content": doc["prompt"]}]

    def key(self, doc):
        kwargs = {"until": [], "max_gen_toks": self.tokens, "temperature": 0.0, "do_sample": False}
        said = ["generate_until", [json.dumps(self.messages(doc), ensure_ascii=False)], kwargs]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()

    def taken(self, doc, said, rules):
        if self.custom:
            return getattr(rules, self.custom)([[said]], [doc])[0][0]
        found = self.pattern.findall(said)
        if found:
            return found[0] if isinstance(found[0], str) else next(filter(None, found[0]))
        for place, choice in enumerate(doc["choices"]):
            if choice.lower() in said.lower():
                return "ABCDEFGHIJ"[place]
        return "[invalid]"

def exact(taken, gold):
    clean = lambda text: re.sub(r"\s+|(?<=\d),(?=\d{3})", "", text).lower()
    return any(clean(taken) == clean(each) for each in gold)

def fail(line, *before):
    print("Traceback (most recent call last):", *before, '  File "/x/lm_eval/models/api_models.py", line 563, in amodel_call', line, sep="\n", file=sys.stderr, flush=True)
    os._exit(1)

def ask(settings, task, doc, db, lock):
    body = {"model": settings["model"], "messages": task.messages(doc), "max_tokens": task.tokens, "temperature": 0.0, "stop": [], "seed": settings["seed"]}
    headers = {"Content-Type": "application/json", "Authorization": "Bearer " + os.environ.get("OPENAI_API_KEY", "")}
    request = urllib.request.Request(settings["base_url"], json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=float(settings["timeout"])) as answer:
            said = json.load(answer)["choices"][0]["message"]["content"]
    except urllib.error.HTTPError as error:
        told = error.read().decode()
        with lock:
            print(f"2026-11-27:23:40:01 WARNING  [models.api_models:546] API request failed! Status code: {error.code}, Response text: {told}. Retrying...", file=sys.stderr)
            print(f"2026-11-27:23:40:01 ERROR    [models.api_models:588] Exception:ClientResponseError(RequestInfo(headers=<{headers}>)), (no outputs), retrying.", file=sys.stderr)
            fail(f"aiohttp.client_exceptions.ClientResponseError: {error.code}, message='{error.reason}', url='{settings['base_url']}'")
    except TimeoutError:
        with lock:
            fail("TimeoutError")
    except OSError as error:
        with lock:
            if "refused" in str(error):
                fail("aiohttp.client_exceptions.ClientConnectorError: Cannot connect to host 127.0.0.1:1 ssl:default [Connect call failed]")
            fail("aiohttp.client_exceptions.ServerDisconnectedError: Server disconnected")
    with lock:
        db.execute("REPLACE INTO unnamed VALUES (?, ?)", (task.key(doc), said))
        db.commit()

def cli_evaluate():
    if os.environ.get("TOY_LM_EVAL") == "no_module":
        fail("ModuleNotFoundError: No module named 'sacrebleu'")
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    for name in ("config", "tasks", "output_path", "samples"):
        parser.add_argument("--" + name)
    args = parser.parse_args()
    config = pathlib.Path(args.config).read_text(encoding="utf-8")
    from lm_eval.tasks import TaskManager
    home = pathlib.Path(TaskManager(include_path=field(config, "include_path")).include_path)
    settings = {name: field(config, name) for name in ("model", "base_url", "timeout", "seed", "num_concurrent")}
    settings["model"] = scalar(re.search(r"^  model: (.*)$", config, re.MULTILINE)[1])
    known = [Task(path) for path in sorted(home.glob("*.yaml"))]
    wanted = (args.tasks or field(config, "tasks").strip("[]").replace(", ", ",")).split(",")
    groups = [task for task in known if task.group in wanted and task.group]
    names = {*wanted, *(name for group in groups for name in group.names)}
    tasks = [task for task in known if not task.group and task.name in names]
    print("2026-11-27:23:40:00 INFO     [_cli.run:392] Selected Tasks:", wanted, flush=True)
    samples = json.load(open(args.samples)) if args.samples else {}
    spec = importlib.util.spec_from_file_location("lm_eval_rules", home / "lm_eval_rules.py")
    rules = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rules)
    chosen = {task.name: [task.docs[place] for place in samples.get(task.name, range(len(task.docs)))] for task in tasks}
    db = sqlite3.connect(field(config, "use_cache") + "_rank0.db", check_same_thread=False)
    db.execute("CREATE TABLE IF NOT EXISTS unnamed (key TEXT PRIMARY KEY, value BLOB)")
    have = {row[0] for row in db.execute("SELECT key FROM unnamed")}
    todo = [(task, doc) for task in tasks for doc in chosen[task.name] if task.key(doc) not in have]
    print(f"2026-11-27:23:40:00 INFO     [api.model:329] Cached requests: {len(have)}, Requests remaining: {len(todo)}", flush=True)
    lock = threading.Lock()
    with ThreadPoolExecutor(int(settings["num_concurrent"])) as pool:
        wait([pool.submit(ask, settings, task, doc, db, lock) for task, doc in todo], return_when=FIRST_EXCEPTION)
    print("\rRequesting API: 100%|##########| 1/1 [00:00<00:00,  3.92it/s]", file=sys.stderr, flush=True)
    said = dict(db.execute("SELECT key, value FROM unnamed"))
    out = pathlib.Path(args.output_path or field(config, "output_path")) / settings["model"]
    out.mkdir(parents=True, exist_ok=True)
    results, stamp = {}, "2026-11-27T23-40-01.000001"
    for task in tasks:
        rights = []
        with open(out / f"samples_{task.name}_{stamp}.jsonl", "w", encoding="utf-8") as file:
            for doc in chosen[task.name]:
                text = said[task.key(doc)]
                taken = task.taken(doc, text, rules)
                rights.append(float(exact(taken, doc["gold"])))
                prompt = json.dumps(task.messages(doc), ensure_ascii=False)
                file.write(json.dumps({"doc": doc, "arguments": {"gen_args_0": {"arg_0": [prompt]}}, "resps": [[text]], "filtered_resps": [taken], "exact_match": rights[-1]}) + "\n")
        results[task.name] = {"exact_match,answer": sum(rights) / len(rights), "sample_len": len(rights)}
        if os.environ.get("TOY_LM_EVAL") == "no_score":
            results[task.name] = {"sample_len": len(rights)}
    for group in groups:
        inside = [results[name] for name in group.names]
        count = sum(each["sample_len"] for each in inside)
        results[group.group] = {"exact_match,answer": sum(each["exact_match,answer"] * each["sample_len"] for each in inside) / count}
    (out / f"results_{stamp}.json").write_text(json.dumps({"results": results, "lm_eval_version": "0.4.13"}))
"""


def make(workspace: Workspace) -> Path:
    """The environment, ready and proven; returns its folder."""
    build = environments.make(workspace, ENGINE, environments.PASSED)
    package = next(build.glob("lib/python*/site-packages")) / "lm_eval"
    (package / "tasks").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "tasks" / "__init__.py").write_text(TASKS)
    (package / "__main__.py").write_text(MAIN)
    # What makes a folder with a Python in it an environment of its own.
    base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    (build / "pyvenv.cfg").write_text(f"home = {base.parent}\ninclude-system-site-packages = false\n")
    python = places.interpreter(build)
    python.unlink()
    python.symlink_to(base)
    return build
