"""The web page gives nothing to foreign pages, and takes nothing without the token."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from selector.errors import InputError
from selector.service.web import access
from selector.service.web.server import make_site
from selector.store import Store
from tests.service.conftest import finished_url
from tests.service.web.conftest import BEARER, TOKEN, Served, own_url, page, serve, shown

__all__ = ["finished_url", "own_url", "page", "serve", "shown"]

NAME = "shown-in-the-browser"
READS = ["/", f"/studies/{NAME}", f"/studies/{NAME}/report", "/api/studies", "/api/openapi.json"]
READS += [f"/api/studies/{NAME}", f"/api/studies/{NAME}/leaderboard", "/api/bundles/1", "/submit"]
WRITES = ["/api/studies", f"/api/studies/{NAME}/stop"]
FORMS = ["/submit", "/logout", f"/studies/{NAME}/stop"]
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
TRAVERSALS = [
    "..", "../..", "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e", "%2e%2e%2f",
    "%2e%2e%2fetc%2fpasswd", "..%5c..%5cwindows", "%252e%252e%252f", "%252e%252e%252fetc",
    "....//", "....//....//etc/passwd", ".", "%2f", "%2fetc%2fpasswd", "/etc/passwd",
    "//etc/passwd", "~", "~root", "%00", "a%00.yaml", "a%0ab", "file:%2f%2f%2fetc%2fpasswd",
    "C:%5cwindows", "-rf", "%c0%ae%c0%ae%2f", "%ef%bc%8e%ef%bc%8e", ".hidden", "a%2fb", "A",
    "a" * 300, "%F0%9F%98%80", "a;b", "a'%20OR%201=1--", "${jndi:x}", "{{7*7}}",
]  # fmt: skip
NUMBERS = ["-1", "0x1", "1e3", "1.5", "99999999999999999999", "2147483648", "%D9%A1", "1%00", "a"]


@pytest.fixture
def remote(serve: Callable[..., Served], own_url: str) -> Iterator[Served]:
    """A page as it is served to other machines, though it is reached over the loopback here."""
    yield serve(own_url, host="192.0.2.7", names=["studies.example"])


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil", "",
     "192.0.2.7:{port}", "[fe80::1]:{port}", "0x7f.1", "127.0.0.1@evil.example"],
)  # fmt: skip
def test_a_foreign_host_name_is_refused(shown: Served, host: str) -> None:
    for path in (*READS, "/static/shown.css", "/login", "/health"):
        answer = shown.get(path, Host=host.format(port=shown.port))
        assert answer.status == 403
        assert NAME not in answer.text


def test_two_host_names_are_refused(shown: Served) -> None:
    raw = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{shown.port}\r\nHost: evil.example\r\n\r\n"
    with socket.create_connection(("127.0.0.1", shown.port), timeout=60) as connection:
        connection.sendall(raw.encode())
        assert connection.recv(100).split()[1] in (b"400", b"403")


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://evil.example:{port}", "https://127.0.0.1:{port}",
     "http://127.0.0.1:1", "http://127.0.0.1.evil.example:{port}", "null", ""],
)  # fmt: skip
def test_a_page_of_another_origin_gets_nothing(shown: Served, origin: str) -> None:
    named = origin.format(port=shown.port)
    for path in READS:
        answer = shown.get(path, Origin=named, **BEARER)
        assert (answer.status, NAME in answer.text) == (403, False)
    for path in (*WRITES, *FORMS, "/login"):
        assert shown.ask("POST", path, Origin=named, **BEARER).status == 403
    assert shown.site.store.stop_of(NAME) is None


def test_a_foreign_page_cannot_embed_or_fetch_but_may_link(shown: Served) -> None:
    for mode in ("no-cors", "cors"):
        answer = shown.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode=mode)
        assert answer.status == 403
    answer = shown.get("/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")
    assert answer.status == 200
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH", "TRACE", "OPTIONS", "delete", "FOO"])
def test_nothing_answers_to_other_methods(shown: Served, method: str) -> None:
    for path in (*READS, *WRITES, "/"):
        answer = shown.ask(method, path, **BEARER)
        assert answer.status == 405
    assert shown.site.store.study(NAME) is not None


@pytest.mark.parametrize(
    "given",
    ["", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}",
     f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN.upper()}", "Bearer \xfc"],
)  # fmt: skip
def test_nothing_is_written_without_the_right_token(shown: Served, given: str) -> None:
    for path in WRITES:
        answer = shown.ask("POST", path, "name: x", Authorization=given)
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert TOKEN not in answer.text
    assert shown.site.store.stop_of(NAME) is None


def test_a_server_without_a_token_only_reads(serve: Callable[..., Served], own_url: str) -> None:
    served = serve(own_url, token=None)
    assert served.get("/").status == 200
    for path in WRITES:
        for given in ({}, BEARER, {"Authorization": "Bearer None"}, {"Authorization": "Bearer "}):
            assert served.ask("POST", path, **given).status == 403
    for token in ("", "None"):
        assert served.ask("POST", "/login", urlencode({"token": token}), **FORM).status == 401


def test_other_machines_need_the_token_to_read(remote: Served) -> None:
    for path in READS:
        answer = remote.get(path)
        assert answer.status in (303, 401), path
        assert NAME not in answer.text
        if answer.status == 303:
            assert answer.headers["location"].startswith("/login?next=")
        assert remote.get(path, **BEARER).status in (200, 303, 404)
        assert remote.get(path, Authorization="Bearer wrong").status in (303, 401)
    assert remote.get("/health").json == {"status": "ok"}


@pytest.mark.parametrize("host", ["studies.example", "192.0.2.7:{port}", "[2001:db8::1]"])
def test_a_server_for_others_knows_its_names_and_numbers(remote: Served, host: str) -> None:
    named = host.format(port=remote.port)
    assert remote.get("/api/studies", Host=named, **BEARER).status == 200
    origin = f"https://{named}"
    assert remote.get("/api/studies", Host=named, Origin=origin, **BEARER).status == 200
    assert remote.get("/api/studies", Host="evil.example", **BEARER).status == 403


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "studies.example"])
def test_nobody_serves_other_machines_without_a_token(
    host: str, tmp_path: Path, own_url: str
) -> None:
    with (
        Store.open(own_url) as store,
        pytest.raises(InputError, match=r"Set SELECTOR_TOKEN to 16 characters"),
    ):
        make_site(store, host=host, folder=tmp_path, artifacts=tmp_path)


@pytest.mark.parametrize("name", TRAVERSALS)
def test_a_study_is_named_by_its_name_alone(shown: Served, name: str) -> None:
    for path in ("/studies/{}", "/studies/{}/report", "/api/studies/{}", "/static/{}"):
        answer = shown.get(path.format(name))
        assert answer.status == 404, (path, name)
        assert "root:" not in answer.text
    assert shown.ask("POST", f"/api/studies/{name}/stop", **BEARER).status == 404


@pytest.mark.parametrize("number", [*NUMBERS, *TRAVERSALS])
def test_a_bundle_is_named_by_its_number_alone(shown: Served, number: str) -> None:
    assert shown.get(f"/api/bundles/{number}").status == 404


def log_in(page: Served) -> str:
    """The cookie of somebody who has given the token."""
    answer = page.ask("POST", "/login", urlencode({"token": TOKEN}), **FORM)
    assert answer.status == 303
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie.lower() and "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    return cookie.partition(";")[0]


def test_a_cookie_alone_writes_nothing(page: Served) -> None:
    cookie = log_in(page)
    for path in WRITES:
        assert page.ask("POST", path, Cookie=cookie).status == 401
    for secret in ("", "wrong", page.site.sessions.form_secret("another")):
        for path in FORMS:
            body = urlencode({"form": secret, "study": "name: x"})
            assert page.ask("POST", path, body, Cookie=cookie, **FORM).status == 403
    assert page.site.store.stop_of(NAME) is None


def test_a_form_without_a_session_is_refused(shown: Served) -> None:
    for cookie in ("", "selector_session=x", "selector_session="):
        for path in FORMS:
            assert shown.ask("POST", path, "form=x", Cookie=cookie, **FORM).status == 401


def test_a_session_that_ended_is_over(page: Served) -> None:
    cookie = log_in(page)
    session = cookie.partition("=")[2]
    secret = page.site.sessions.form_secret(session)
    assert (
        page.ask("POST", "/logout", urlencode({"form": secret}), Cookie=cookie, **FORM).status
        == 303
    )
    assert (
        page.ask(
            "POST", f"/studies/{NAME}/stop", urlencode({"form": secret}), Cookie=cookie, **FORM
        ).status
        == 401
    )


def test_a_wrong_token_opens_no_session(shown: Served) -> None:
    answer = shown.ask("POST", "/login", urlencode({"token": TOKEN + "x"}), **FORM)
    assert (answer.status, "set-cookie" in answer.headers) == (401, False)


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/%0d%0aX: y", "javascript:x"],
)
def test_a_login_leads_nowhere_else(shown: Served, path: str) -> None:
    answer = shown.ask(
        "POST", f"/login?{urlencode({'next': path})}", urlencode({"token": TOKEN}), **FORM
    )
    assert answer.status == 303
    assert (
        answer.headers["location"].startswith("/") and "evil" not in answer.headers["location"][:3]
    )
    assert not answer.headers["location"].startswith(("//", "/\\"))
    assert "x" not in answer.headers


def test_every_answer_says_what_a_browser_may_do(shown: Served) -> None:
    for path in ("/", f"/studies/{NAME}", "/login", "/static/shown.css", "/api/studies", "/nope"):
        headers = shown.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_a_body_that_does_not_arrive_is_not_waited_for(
    shown: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access, "BODY_SECONDS", 0.2)
    head = (
        f"POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1:{shown.port}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/yaml\r\n"
        "Content-Length: 100\r\n\r\nname: "
    )
    with socket.create_connection(("127.0.0.1", shown.port), timeout=60) as connection:
        connection.sendall(head.encode())
        assert connection.recv(1000).split()[1] == b"408"


def test_a_body_without_a_length_is_bounded_too(shown: Served) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield b"a" * 10_000

    try:
        answer = shown.ask(
            "POST", "/api/studies", endless(), Content_Type="application/yaml", **BEARER
        )
    except ConnectionError:
        return  # it hung up while this was still sending
    assert answer.status == 413
