"""One question to Lagent's ReAct agent, which has a calculator: `python lagent_tool_call.py BASE_URL MODEL QUESTION`.

Prints what happened as one line of JSON: `{"actions": [{"type", "args", "result", "error"}], "answer", "said"}`. The
server's key comes in the environment variable TUNEDECK_SERVER_KEY. A server that refuses ends the program with its words.

Lagent's own client for such servers (GPTAPI, 0.2.4) takes a few names of models only, asks a server that is not there for
ever, and hides what a server says; so the model is asked here, over plain HTTP.
"""

from __future__ import annotations

import ast
import json
import operator
import os
import sys
import urllib.error
import urllib.request
from typing import Any

from lagent.actions import ActionExecutor, BaseAction, tool_api  # type: ignore[import-not-found]  # in its environment
from lagent.agents import ReAct  # type: ignore[import-not-found]
from lagent.llms import BaseAPIModel  # type: ignore[import-not-found]

KEY_VARIABLE = "TUNEDECK_SERVER_KEY"
ANSWER_S = 120
OPERATORS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}


class Server(BaseAPIModel):
    """A model behind an OpenAI-compatible address, asked greedily."""

    def __init__(self, base_url: str, model: str, key: str) -> None:
        super().__init__(model_type=model)
        self._address, self._key = f"{base_url}/chat/completions", key

    def chat(self, inputs: list[dict[str, str]], **_settings: Any) -> str:
        body = {"model": self.model_type, "messages": inputs, "temperature": 0, "max_tokens": 256}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(self._address, json.dumps(body).encode(), headers)  # noqa: S310 - http, ours
        # Without the machine's proxy: the server is on this machine.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=ANSWER_S) as answer:
                return str(json.load(answer)["choices"][0]["message"]["content"])
        except urllib.error.HTTPError as error:
            raise SystemExit(f"the server said {error.code}: {error.read(2000).decode('utf-8', 'replace')}") from error
        except OSError as error:
            raise SystemExit(f"the server does not answer: {error}") from error


class Calculator(BaseAction):
    """A calculator."""

    __tool_name__ = "calculator"

    @tool_api
    def run(self, expression: str) -> str:
        """Evaluate a math expression.

        Args:
            expression (str): the expression to evaluate
        """
        return str(_value(ast.parse(expression, mode="eval").body))


def _value(node: ast.expr) -> int | float:
    """Numbers and the four operators; anything else is an error, which Lagent tells the model."""
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        made: int | float = OPERATORS[type(node.op)](_value(node.left), _value(node.right))
        return made
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return node.value
    raise ValueError("only numbers and + - * / can be calculated")


def main(base_url: str, model: str, question: str) -> None:
    """Ask, and print what was done."""
    server = Server(base_url, model, os.environ.pop(KEY_VARIABLE, ""))
    agent = ReAct(server, ActionExecutor([Calculator()]), max_turn=3)
    reply = agent.chat(question)
    actions = [
        {"type": done.type, "args": done.args, "result": done.format_result(), "error": done.errmsg or ""}
        for done in reply.actions
    ]
    said = [step["content"] for step in reply.inner_steps if step["role"] == "assistant"]
    print(json.dumps({"actions": actions, "answer": reply.response, "said": said}, ensure_ascii=False))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:4])
