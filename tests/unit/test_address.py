"""Where the panel listens, and how people are told to reach it."""

from __future__ import annotations

import socket

import pytest

from backend.errors import AccessError, ConflictError
from backend.web import address
from backend.web.address import check_bind, choose_port, host_allowed, host_names, is_loopback, link, ssh_line


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert is_loopback(host)
    check_bind(host, allow_remote=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "::ffff:0:0", "10.0.0.1"])
def test_every_other_address_needs_permission(host: str) -> None:
    assert not is_loopback(host)
    with pytest.raises(AccessError, match="other machines can reach"):
        check_bind(host, allow_remote=False)
    check_bind(host, allow_remote=True)


@pytest.mark.parametrize(
    "host", ["", "localhost.evil.example", "example.org", "127.0.0.1:8501", "unix:///tmp/x", "127.1"]
)
def test_what_is_no_address_is_refused_even_with_permission(host: str) -> None:
    with pytest.raises(AccessError, match="not an address"):
        check_bind(host, allow_remote=True)


def test_the_next_free_port_is_taken_when_none_was_wished_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        monkeypatch.setattr(address, "DEFAULT_PORT", first)
        chosen = choose_port("127.0.0.1", None)
        assert first < chosen < first + address.PORTS_TRIED
        monkeypatch.setattr(address, "PORTS_TRIED", 1)
        with pytest.raises(ConflictError, match=f"between {first} and {first}"):
            choose_port("127.0.0.1", None)


def test_a_port_that_was_wished_for_is_taken_or_refused_never_another() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConflictError, match=f"Port {port} on 127"):
            choose_port("127.0.0.1", port)
    assert choose_port("127.0.0.1", port) == port


def test_an_address_that_this_machine_does_not_have_is_said() -> None:
    with pytest.raises(AccessError, match=r"'192\.0\.2\.7' is not an address that the panel can listen on"):
        choose_port("192.0.2.7", None)


def test_the_names_of_a_loopback_panel_are_loopback_names() -> None:
    assert host_names("127.0.0.1") == ["localhost", "127.0.0.1", "::1"]


def test_a_panel_on_all_addresses_answers_to_the_machines_own_names_and_numbers() -> None:
    names = host_names("0.0.0.0")
    assert socket.gethostname().lower() in names
    assert "0.0.0.0" not in names
    assert all(host_allowed(f"[{name}]:1" if ":" in name else f"{name}:1", names) for name in names)
    assert not host_allowed("evil.example", names)


def test_names_behind_a_proxy_can_be_allowed_as_streamlit_writes_them() -> None:
    assert host_allowed("panel.example.org", ["*.example.org"])
    assert host_allowed("anything", ["*"])
    assert not host_allowed("example.org", ["*.example.org"])
    assert not host_allowed("badexample.org", ["*.example.org"])


def test_the_link_is_one_that_a_browser_understands() -> None:
    assert link("127.0.0.1", 8501, "a-b_c") == "http://127.0.0.1:8501/?token=a-b_c"
    assert link("::1", 8501) == "http://[::1]:8501/"
    assert link("0.0.0.0", 8501) == f"http://{socket.gethostname()}:8501/"


def test_the_ssh_line_goes_the_way_that_this_session_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "203.0.113.9 50000 198.51.100.4 2222")
    assert ssh_line(8502).startswith("ssh -N -L 8502:127.0.0.1:8502 -p 2222 ")
    assert ssh_line(8502).endswith("@198.51.100.4")
    monkeypatch.delenv("SSH_CONNECTION")
    assert ssh_line(8501).startswith("ssh -N -L 8501:127.0.0.1:8501 ")
    assert ssh_line(8501).endswith(f"@{socket.gethostname()}")
