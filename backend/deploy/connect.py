"""Examples of how a program reaches a model that runs here: whole programs, filled in with the address and the model.

The key is never in them: it comes from the environment variable :data:`KEY_VARIABLE`. Each one prints the answer and
nothing else, so that a test can run it as it stands.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Literal

KEY_VARIABLE = "TUNEDECK_KEY"
SIMPLE_PATH = "/v1/simple"
"""The endpoint of older course notes, see :mod:`backend.web.simple`."""


@dataclass(frozen=True)
class Snippet:
    """name: short and stable. tab: what it is called, a proper name. language: of :attr:`text`. needs: what pip has to
    install before, empty for nothing."""

    name: str
    tab: str
    language: Literal["bash", "python", "javascript"]
    text: str
    needs: str = ""


def snippets(origin: str, model: str, prompt: str) -> list[Snippet]:
    """All examples for ``model`` at ``origin`` (``http://127.0.0.1:8501``), each asking ``prompt``."""
    return [
        Snippet("curl", "curl", "bash", curl(origin, model, prompt)),
        Snippet("openai", "openai", "python", openai(origin, model, prompt), "openai"),
        Snippet("requests", "requests", "python", requests(origin, model, prompt), "requests"),
        Snippet("langchain", "LangChain", "python", langchain(origin, model, prompt), "langchain-openai"),
        Snippet("lmdeploy", "LMDeploy", "python", lmdeploy(origin, model, prompt), "'lmdeploy<0.18'"),
        Snippet("javascript", "JavaScript", "javascript", javascript(origin, model, prompt)),
        Snippet("simple", "prompt → response", "python", simple(origin, model, prompt), "requests"),
        Snippet("simple-curl", "prompt → response", "bash", simple_curl(origin, model, prompt)),
    ]


def export(key: str = "...") -> str:
    """The shell line that puts the key where all examples look for it."""
    return f"export {KEY_VARIABLE}={shlex.quote(key)}"


def curl(origin: str, model: str, prompt: str) -> str:
    """A shell command that asks one question."""
    return _curl(f"{origin}/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": prompt}]})


def openai(origin: str, model: str, prompt: str) -> str:
    """The ``openai`` package, streaming."""
    return f"""\
import os

from openai import OpenAI

client = OpenAI(base_url={_text(f"{origin}/v1")}, api_key=os.environ["{KEY_VARIABLE}"])
stream = client.chat.completions.create(
    model={_text(model)},
    messages=[{{"role": "user", "content": {_text(prompt)}}}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
print()
"""


def requests(origin: str, model: str, prompt: str) -> str:
    """The ``requests`` package, the whole answer at once."""
    return f"""\
import os

import requests

answer = requests.post(
    {_text(f"{origin}/v1/chat/completions")},
    headers={{"Authorization": f"Bearer {{os.environ['{KEY_VARIABLE}']}}"}},
    json={{
        "model": {_text(model)},
        "messages": [{{"role": "user", "content": {_text(prompt)}}}],
    }},
    timeout=600,
)
answer.raise_for_status()
print(answer.json()["choices"][0]["message"]["content"])
"""


def langchain(origin: str, model: str, prompt: str) -> str:
    """LangChain's ``ChatOpenAI``."""
    return f"""\
import os

from langchain_openai import ChatOpenAI

chat = ChatOpenAI(
    base_url={_text(f"{origin}/v1")},
    api_key=os.environ["{KEY_VARIABLE}"],
    model={_text(model)},
)
print(chat.invoke({_text(prompt)}).content)
"""


def lmdeploy(origin: str, model: str, prompt: str) -> str:
    """The client that LMDeploy brought along up to 0.17; its address has no ``/v1``."""
    return f"""\
import os

from lmdeploy.serve.openai.api_client import APIClient

client = APIClient({_text(origin)}, api_key=os.environ["{KEY_VARIABLE}"])
messages = [{{"role": "user", "content": {_text(prompt)}}}]
for answer in client.chat_completions_v1(model={_text(model)}, messages=messages):
    print(answer["choices"][0]["message"]["content"])
"""


def javascript(origin: str, model: str, prompt: str) -> str:
    """``fetch`` in Node.js (18 or newer) or Deno. A page of another site cannot: the panel sends no CORS header."""
    return f"""\
const answer = await fetch({_text(f"{origin}/v1/chat/completions")}, {{
  method: "POST",
  headers: {{
    "Authorization": `Bearer ${{process.env.{KEY_VARIABLE}}}`,
    "Content-Type": "application/json",
  }},
  body: JSON.stringify({{
    model: {_text(model)},
    messages: [{{ role: "user", content: {_text(prompt)} }}],
  }}),
}});
if (!answer.ok) throw new Error(await answer.text());
console.log((await answer.json()).choices[0].message.content);
"""


def simple(origin: str, model: str, prompt: str) -> str:
    """The endpoint of older course notes with their own client code, a key added."""
    return f"""\
import os

import requests

answer = requests.post(
    {_text(origin + SIMPLE_PATH)},
    headers={{"Authorization": f"Bearer {{os.environ['{KEY_VARIABLE}']}}"}},
    json={{"model": {_text(model)}, "prompt": {_text(prompt)}, "history": []}},
    timeout=600,
)
answer.raise_for_status()
print(answer.json()["response"])
"""


def simple_curl(origin: str, model: str, prompt: str) -> str:
    """The same from a shell."""
    return _curl(origin + SIMPLE_PATH, {"model": model, "prompt": prompt, "history": []})


def _curl(url: str, body: dict[str, object]) -> str:
    return (
        f"curl {shlex.quote(url)} \\\n"
        f'  -H "Authorization: Bearer ${KEY_VARIABLE}" \\\n'
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(json.dumps(body, ensure_ascii=False))}"
    )


def _text(value: str) -> str:
    """``value`` as a literal that Python and JavaScript read alike."""
    return json.dumps(value, ensure_ascii=False)
