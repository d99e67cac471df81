"""The token gate, asked letter by letter: what a person, a stranger, another site or a path trick gets."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backend import i18n
from backend.web.gate import Gate, cookie_name
from backend.web.throttle import Throttle
from backend.web.token import Token
from backend.workspace import Workspace
from tests.unit.test_token import Clock

HOSTS = ("localhost", "127.0.0.1", "::1")


@dataclass
class Answer:
    """What came back, and who gave it: ``panel``, ``api`` or, with nobody reached, the gate itself."""

    reached: str = ""
    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    sent: list[dict[str, Any]] = field(default_factory=list)

    def header(self, name: str) -> str:
        return next((v for k, v in self.headers if k == name), "")


@dataclass
class Door:
    """A gate with a panel and a gateway behind it that only say that they were reached."""

    token: Token
    clock: Clock

    def __post_init__(self) -> None:
        self.answer = Answer()
        self.gate = Gate(
            self._panel, token=self.token, hosts=HOSTS, api=self._api, throttle=Throttle(10, 3.0, self.clock)
        )

    async def _panel(self, scope: Any, receive: Any, send: Any) -> None:
        self.answer.reached = "panel"
        if scope["type"] == "http":
            headers = [(b"content-type", b"text/plain"), (b"access-control-allow-origin", b"*")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"secret page"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": message["text"]})

    async def _api(self, scope: Any, receive: Any, send: Any) -> None:
        self.answer.reached = "api"
        await send({"type": "http.response.start", "status": 401, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    def ask(
        self,
        path: str = "/",
        query: str = "",
        *,
        method: str = "GET",
        host: str | None = "127.0.0.1:8501",
        **headers: str,
    ) -> Answer:
        """One HTTP request; ``path`` as the server hands it on, that is, unquoted."""
        scope = {
            "type": "http",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("utf-8", "surrogatepass"),
            "query_string": query.encode("latin-1"),
            "headers": _headers(host, headers),
        }
        return self.run(scope, [{"type": "http.request", "body": b"", "more_body": False}])

    def connect(
        self,
        path: str = "/_stcore/stream",
        query: str = "",
        *,
        texts: tuple[Any, ...] = (),
        host: str | None = "127.0.0.1:8501",
        **headers: str,
    ) -> Answer:
        """One websocket; ``texts`` are what the client says; a callable among them is called at that point instead."""
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode("latin-1"),
            "headers": _headers(host, headers),
        }
        messages: list[Any] = [{"type": "websocket.connect"}]
        messages += [t if callable(t) else {"type": "websocket.receive", "text": t} for t in texts]
        return self.run(scope, [*messages, {"type": "websocket.disconnect", "code": 1001}])

    def run(self, scope: dict[str, Any], messages: list[Any]) -> Answer:
        """Hand ``scope`` to the gate, with ``messages`` from the client."""
        self.answer = Answer()
        waiting = list(messages)

        async def receive() -> dict[str, Any]:
            while waiting and callable(waiting[0]):
                waiting.pop(0)()
            message: dict[str, Any] = waiting.pop(0)
            return message

        async def send(message: dict[str, Any]) -> None:
            self.answer.sent.append(message)
            if message["type"] == "http.response.start":
                self.answer.status = message["status"]
                self.answer.headers = [(k.decode(), v.decode()) for k, v in message["headers"]]
            elif message["type"] == "http.response.body":
                self.answer.body += message.get("body", b"")

        asyncio.run(self.gate(scope, receive, send))
        return self.answer

    def cookie(self, host: str = "127.0.0.1:8501") -> str:
        """The Cookie header of a browser that logged in at ``host``."""
        answer = self.ask(query=f"token={self.token.current()}", host=host)
        assert answer.status == 302
        return answer.header("set-cookie").split(";")[0]


def _headers(host: str | None, headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    named = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    return named if host is None else [(b"host", host.encode("latin-1")), *named]


@pytest.fixture
def door(workspace: Workspace) -> Door:
    token = Token(workspace)
    token.ensure()
    return Door(token, Clock())


# --- with the token


def test_the_link_lets_in_once_and_goes_away_from_the_address(door: Door) -> None:
    answer = door.ask("/jobs", f"id=7&token={door.token.current()}&tab=log")
    assert (answer.status, answer.reached) == (302, "")
    assert answer.header("location") == "/jobs?id=7&tab=log"
    cookie = answer.header("set-cookie")
    assert cookie.startswith("tunedeck-8501=")
    assert {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=2592000"} <= set(cookie.split("; "))
    assert str(door.token.current()) not in cookie
    assert answer.header("cache-control") == "no-store"
    assert answer.header("referrer-policy") == "no-referrer"


def test_the_cookie_opens_pages_websockets_uploads_and_downloads(door: Door) -> None:
    cookie = door.cookie()
    for path in ("/", "/jobs", "/media/abc.png", "/static/js/main.js", "/_stcore/upload_file/a/b", "/no such page"):
        assert door.ask(path, cookie=cookie).reached == "panel", path
    assert door.ask("/_stcore/upload_file/a/b", method="PUT", cookie=cookie).reached == "panel"
    assert door.connect(cookie=cookie, texts=("hello",)).sent[-1] == {"type": "websocket.send", "text": "hello"}


def test_an_old_link_in_a_browser_that_is_logged_in_just_opens_the_page(door: Door) -> None:
    answer = door.ask("/chat", "token=old", cookie=door.cookie())
    assert (answer.status, answer.header("location"), answer.header("set-cookie")) == (302, "/chat", "")


def test_the_whole_link_may_be_pasted_into_the_field(door: Door) -> None:
    token = door.token.current()
    pasted = f"http%3A%2F%2F127.0.0.1%3A8501%2F%3Ftoken%3D{token}"
    for query in (f"token={pasted}", f"token=+{token}+", f"token={pasted}%26x%3D1"):
        assert door.ask(query=query).status == 302, query


def test_panels_behind_several_tunnels_do_not_log_one_another_out(door: Door) -> None:
    here, there = door.cookie("localhost:8501"), door.cookie("localhost:9501")
    assert here.split("=")[0] == "tunedeck-8501"
    assert there.split("=")[0] == "tunedeck-9501"
    assert door.ask(host="localhost:9501", cookie=f"{here}; {there}").reached == "panel"


def test_a_second_cookie_of_the_same_name_set_by_somebody_else_does_not_lock_out(door: Door) -> None:
    assert door.ask(cookie=f"tunedeck-8501=rubbish; {door.cookie()}").reached == "panel"


def test_https_in_front_makes_the_cookie_secure(door: Door) -> None:
    query = f"token={door.token.current()}".encode()
    scope = {"type": "http", "method": "GET", "scheme": "https", "path": "/", "query_string": query}
    answer = door.run({**scope, "headers": [(b"host", b"localhost")]}, [])
    assert answer.header("set-cookie").endswith("; Secure")


def test_answers_may_not_be_framed_or_read_by_another_origin(door: Door) -> None:
    answer = door.ask(cookie=door.cookie(), origin="http://127.0.0.1:9999")
    assert answer.reached == "panel"
    assert answer.header("x-frame-options") == "SAMEORIGIN"
    assert answer.header("cross-origin-resource-policy") == "same-origin"
    assert answer.header("access-control-allow-origin") == ""


# --- without it


def test_a_stranger_sees_a_locked_page_in_both_languages_and_nothing_else(door: Door) -> None:
    answer = door.ask()
    assert (answer.status, answer.reached) == (403, "")
    page = answer.body.decode()
    assert '<section lang="en">' in page
    assert 'name="token"' in page
    assert "http" not in page.replace("http-equiv", "")  # it names no other host
    assert "<script" not in page
    assert answer.header("content-security-policy").startswith("default-src 'none'")
    assert i18n.current() == "en"  # drawing it in Chinese did not change the reader's language


def test_the_style_of_the_locked_page_is_the_one_that_its_policy_allows(door: Door) -> None:
    import base64
    import hashlib

    answer = door.ask()
    styles = re.findall(r"<style>(.*?)</style>", answer.body.decode(), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(styles[0].encode()).digest()).decode()
    assert len(styles) == 1
    assert f"'sha256-{digest}'" in answer.header("content-security-policy")


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "*",
        "//",
        "///",
        "/jobs",
        "/jobs/",
        "/JOBS",
        "/index.html",
        "/static/js/main.js",
        "/app/static/fonts/inter-latin.woff2",
        "/media/0123.png",
        "/component/some.component/index.html",
        "/_stcore/stream",
        "/_stcore/host-config",
        "/_stcore/metrics",
        "/_stcore/script-health-check",
        "/_stcore/allowed-message-origins",
        "/_stcore/upload_file/session/file",
        "/_stcore/bidi-components/x",
        "/oauth2callback",
        "/auth/login",
        "/_stcore/health/",
        "/_stcore/health/../stream",
        "/_stcore/health/..",
        "/_stcore/health.",
        "/_stcore/health%2f",
        "/_stcore/health;a=1",
        "/_stcore/health\0",
        "/_stcore/health\\..\\..",
        "/_STCORE/HEALTH",
        "//_stcore/health",
        "/./_stcore/health",
        "/_stcore//health",
        "/x/_stcore/health",
        "/_stcore/healthz",
        "/v1x",
        "/V1/models",
        "//v1/models",
        "/./v1/models",
        "/x/../v1/models",
        "/v1%2fmodels",
        "/v1\\models",
        "/v1.",
        "/v1;/models",
        "\\",
        "/\ud83d",
    ],
)
def test_no_path_trick_and_no_method_reaches_the_panel(door: Door, path: str) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "BREW"):
        answer = door.ask(path, method=method)
        assert (answer.reached, answer.status) == ("", 403), method
        assert b"secret" not in answer.body
        assert method != "HEAD" or answer.body == b""


@pytest.mark.parametrize(
    "path", ["/v1", "/v1/", "/v1/models", "/v1/../", "/v1/../jobs", "/v1/../_stcore/stream", "/v1//"]
)
def test_everything_below_v1_goes_to_the_gateway_and_never_to_a_page(door: Door, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        assert door.ask(path, method=method).reached == "api"
        assert door.ask(path, method=method, cookie=door.cookie()).reached == "api"


def test_health_is_open_for_looking_only(door: Door) -> None:
    assert door.ask("/_stcore/health").reached == "panel"
    assert door.ask("/_stcore/health", method="HEAD", host=None).reached == "panel"
    assert door.ask("/_stcore/health", method="POST").reached == ""
    assert door.connect("/_stcore/health").reached == ""


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.one_of(
        st.text(max_size=40).map(lambda text: "/" + text),
        st.lists(
            st.sampled_from(["/", "//", "..", ".", "%2e", "_stcore", "health", "v1", "stream", "\\", "\0", " ", "é"])
        )
        .map("".join)
        .map(unquote),
    ),
    query=st.text(st.characters(max_codepoint=255), max_size=40),
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS"]),
)
def test_no_path_and_no_query_reaches_the_panel(door: Door, path: str, query: str, method: str) -> None:
    door.clock.now += 60
    answer = door.ask(path, query, method=method)
    allowed = {"panel"} if path == "/_stcore/health" else {"api"} if path == "/v1" or path.startswith("/v1/") else {""}
    assert answer.reached in allowed or (answer.reached == "" and path == "/_stcore/health")
    if not answer.reached:
        assert answer.status in (403, 429)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.text(max_size=40).map(lambda text: "/" + text),
    query=st.text(st.characters(max_codepoint=255), max_size=60),
)
def test_the_redirect_never_leaves_this_host_and_never_carries_the_token(door: Door, path: str, query: str) -> None:
    token = str(door.token.current())
    answer = door.ask(path, f"token={token}&{query}")
    if answer.reached:
        return  # /v1 and health are not pages
    location = answer.header("location")
    assert answer.status == 302
    assert re.fullmatch(r"[!-~]+", location)
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))
    assert urlsplit(location).netloc == ""
    assert token not in location


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "///evil.example", "/\\evil.example", "\\\\evil.example", "/ /x\r\nSet-Cookie: a=b"]
)
def test_a_link_that_looks_like_another_host_stays_here(door: Door, path: str) -> None:
    location = door.ask(path, f"token={door.token.current()}").header("location")
    assert re.fullmatch(r"/(?![/\\])[!-~]*", location)


# --- wrong tokens, old cookies


def test_a_wrong_token_is_said_and_counts(door: Door) -> None:
    answer = door.ask(query="token=wrong")
    assert (answer.status, answer.header("set-cookie")) == (403, "")
    assert "not right" in answer.body.decode()
    assert '<section lang="zh-CN">' in answer.body.decode()
    assert "令牌" in answer.body.decode()


def test_after_ten_wrong_tokens_even_the_right_one_has_to_wait(door: Door) -> None:
    for _ in range(10):
        assert door.ask(query="token=wrong").status == 403
    answer = door.ask(query=f"token={door.token.current()}")
    assert (answer.status, answer.header("retry-after"), answer.header("set-cookie")) == (429, "3", "")
    assert "Try again in 3 s" in answer.body.decode()
    door.clock.now += 3
    assert door.ask(query=f"token={door.token.current()}").status == 302


def test_who_is_in_stays_in_while_somebody_guesses(door: Door) -> None:
    cookie = door.cookie()
    for _ in range(30):
        door.ask(query="token=wrong")
    assert door.ask(cookie=cookie).reached == "panel"
    assert door.ask().status == 403  # and the locked page still opens


def test_right_tokens_and_old_cookies_do_not_use_up_attempts(door: Door) -> None:
    for _ in range(30):
        assert door.ask(query=f"token={door.token.current()}").status == 302
        assert door.ask(cookie="tunedeck-8501=1.2").status == 403
        assert door.ask(query="token=").status == 403


def test_the_client_cannot_choose_whose_attempts_are_counted(door: Door) -> None:
    for n in range(10):
        door.ask(query="token=wrong", x_forwarded_for=f"10.0.0.{n}", host="localhost:1")
    assert door.ask(query="token=wrong", x_forwarded_for="10.1.1.1", host="127.0.0.1:2").status == 429


def test_a_replaced_token_ends_cookies_and_links(door: Door) -> None:
    cookie, link = door.cookie(), f"token={door.token.current()}"
    door.token.replace()
    assert door.ask(cookie=cookie).status == 403
    assert door.ask(query=link).status == 403
    assert door.connect(cookie=cookie).sent == [{"type": "websocket.close", "code": 1008}]


def test_a_replaced_token_ends_a_websocket_that_is_open(door: Door) -> None:
    replaced = door.connect(cookie=door.cookie(), texts=("before", door.token.replace, "after", "and after"))
    assert [m["type"] for m in replaced.sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert replaced.sent[1]["text"] == "before"


def test_a_cookie_of_another_port_or_another_name_is_no_pass(door: Door) -> None:
    value = door.cookie().split("=")[1]
    for cookie in (f"tunedeck-8502={value}", f"tunedeck={value}", f"TUNEDECK-8501={value}", value, f"x={value}"):
        assert door.ask(cookie=cookie).reached == "", cookie


def test_the_token_itself_is_no_cookie_no_header_and_no_path(door: Door) -> None:
    token = str(door.token.current())
    tries = [
        door.ask(cookie=f"tunedeck-8501={token}"),
        door.ask(authorization=f"Bearer {token}"),
        door.ask(authorization=f"token {token}"),
        door.ask(f"/token={token}"),
        door.ask(query=f"Token={token}"),
        door.ask(query=f"x=token={token}"),
        door.ask(method="POST", query=f"token={token}"),
        door.ask(method="OPTIONS", query=f"token={token}"),
    ]
    assert [(a.reached, a.status, a.header("set-cookie")) for a in tries] == [("", 403, "")] * len(tries)


# --- websockets


def test_a_websocket_without_a_cookie_is_refused_before_it_is_accepted(door: Door) -> None:
    token = door.token.current()
    for answer in (
        door.connect(),
        door.connect(query=f"token={token}"),
        door.connect(cookie="tunedeck-8501=1.2"),
        door.connect(sec_websocket_protocol=f"streamlit, {token}"),
        door.connect("/v1/chat/completions", cookie=door.cookie()),
        door.connect("/anything", texts=("hello",)),
    ):
        assert answer.reached == ""
        assert answer.sent == [{"type": "websocket.close", "code": 1008}]


def test_a_token_guessed_through_a_websocket_is_not_even_looked_at(door: Door) -> None:
    for _ in range(30):
        door.connect(query="token=wrong")
    assert door.ask(query=f"token={door.token.current()}").status == 302


# --- other sites


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:9999",
        "http://localhost:8501",
        "http://127.0.0.1",
        "",
        "garbage",
    ],
)
def test_another_origin_can_neither_open_a_websocket_nor_change_anything(door: Door, origin: str) -> None:
    cookie = door.cookie()
    assert door.connect(cookie=cookie, origin=origin).reached == ""
    for method in ("POST", "PUT", "DELETE", "PATCH", "BREW"):
        assert door.ask("/_stcore/upload_file/a/b", method=method, cookie=cookie, origin=origin).reached == ""


def test_its_own_page_may_open_a_websocket_and_change_things(door: Door) -> None:
    cookie, own = door.cookie(), "http://127.0.0.1:8501"
    assert door.connect(cookie=cookie, origin=own).reached == "panel"
    assert door.ask(method="PUT", cookie=cookie, origin=own, sec_fetch_site="same-origin").reached == "panel"


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_the_browser_calls_another_site_changes_nothing_even_without_an_origin(door: Door, site: str) -> None:
    assert door.ask(method="POST", cookie=door.cookie(), sec_fetch_site=site).reached == ""
    assert door.connect(cookie=door.cookie(), sec_fetch_site=site).reached == ""


def test_a_link_on_another_site_gets_a_page_that_asks_again_from_here(door: Door) -> None:
    # The browser keeps a SameSite=Strict cookie to itself on the first request; the second one comes from our page.
    answer = door.ask("/jobs", "id=1&a=<b>", sec_fetch_site="cross-site", sec_fetch_mode="navigate")
    assert answer.status == 403
    assert 'content="0; url=/jobs?id=1&amp;a=%3Cb%3E"' in answer.body.decode()
    again = door.ask("/jobs", "id=1", sec_fetch_site="same-origin", sec_fetch_mode="navigate")
    assert "http-equiv" not in again.body.decode()


# --- host names


@pytest.mark.parametrize(
    "host",
    [
        None,
        "",
        "evil.example",
        "evil.example:8501",
        "127.0.0.1.evil.example",
        "localhost.evil.example:8501",
        "evil-localhost",
        "127.0.0.1@evil.example",
        "evil.example@127.0.0.1",
        "evil.example#127.0.0.1",
        "evil.example/127.0.0.1",
        "127.0.0.1/evil",
        "127.0.0.1:8501:8501",
        "127.0.0.1:http",
        "127.0.0.1:99999",
        "127.0.0.1 evil.example",
        "127.0.0.1,evil.example",
        "127.0.0.1\t",
        "[::1",
        "::1",
        "0.0.0.0:8501",
        "127.1",
        "2130706433",
        "localhost..",
        "%6cocalhost",
    ],
)
def test_a_name_that_is_not_ours_gets_nothing_even_with_the_token(door: Door, host: str | None) -> None:
    cookie, token = door.cookie(), door.token.current()
    for answer in (
        door.ask(host=host, cookie=cookie),
        door.ask(host=host, query=f"token={token}"),
        door.ask("/v1/models", host=host),
        door.connect(host=host, cookie=cookie),
    ):
        assert answer.reached == ""
        assert answer.header("set-cookie") == ""
        assert answer.status in (0, 403)


def test_two_host_headers_are_one_too_many(door: Door) -> None:
    headers = [(b"host", b"127.0.0.1:8501"), (b"host", b"evil.example"), (b"cookie", door.cookie().encode())]
    scope = {"type": "http", "method": "GET", "scheme": "http", "path": "/", "query_string": b"", "headers": headers}
    assert door.run(scope, []).status == 403


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8501", "localhost.:8501", "127.0.0.1:1", "[::1]:8501", "[::1]"]
)
def test_every_name_of_this_machine_is_ours(door: Door, host: str) -> None:
    assert door.ask(host=host, cookie=door.cookie(host)).reached == "panel"


def test_the_cookie_is_named_after_the_port_that_the_browser_shows() -> None:
    assert cookie_name("localhost:9501") == "tunedeck-9501"
    assert cookie_name("localhost") == "tunedeck-80"
    assert cookie_name("[::1]:8501") == "tunedeck-8501"


def test_other_scopes_pass_as_they_are(door: Door) -> None:
    seen: list[str] = []

    async def panel(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope["type"])

    gate = Gate(panel, token=door.token, hosts=HOSTS, api=panel)
    asyncio.run(gate({"type": "lifespan"}, None, None))  # type: ignore[arg-type]
    assert seen == ["lifespan"]
