"""The starter behind our own server, as the self-tests of other engines ask it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import httpx
import pytest

from backend.errors import ServerError
from jobs.selftests.served import served
from jobs.selftests.testing import Test


def selftest(folder: Path) -> Test:
    folder.mkdir()
    return Test("lagent", "cpu", Path(sys.executable), os.environ, folder, lambda line: None)


def test_it_answers_whom_the_key_was_given_as_long_as_the_block(tmp_path: Path) -> None:
    with served(selftest(tmp_path / "自测 a b")) as server, httpx.Client(trust_env=False, timeout=60) as http:
        assert server.key not in repr(server)
        body = {"model": server.model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
        address = f"{server.base_url}/chat/completions"
        assert http.post(address, json=body).status_code == 401
        answer = http.post(address, json=body, headers={"Authorization": f"Bearer {server.key}"})
        assert answer.json()["choices"][0]["message"]["content"].startswith("Hello")
    with httpx.Client(trust_env=False) as http, pytest.raises(httpx.ConnectError):
        http.get(f"{server.base_url}/models")


def test_a_starter_that_cannot_be_loaded_is_told(tmp_path: Path) -> None:
    test = selftest(tmp_path / "f")
    test.model = tmp_path / "gone"
    with pytest.raises(ServerError) as caught, served(test):
        raise AssertionError("nothing is served")
    assert caught.value.code == "env_selftest_server"
    assert "gone" in str(caught.value)
