"""The dashboard can be looked at from this machine, and changed from nowhere."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator

import pytest

from selector.errors import UnavailableError
from selector.service.dashboard import Server, address, is_loopback, make_server
from selector.store import Store


@pytest.fixture(scope="module")
def server(finished_url: str) -> Iterator[Server]:
    """A dashboard that serves on a free port."""
    with Store.open(finished_url) as store, make_server(store, host="127.0.0.1", port=0) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _ask(server: Server, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response.status, body


def _studies(server: Server) -> list[dict[str, object]]:
    status, body = _ask(server, "GET", "/api/studies")
    assert status == 200
    found: list[dict[str, object]] = json.loads(body)["study_summaries"]
    return found


def test_the_studies_can_be_read(server: Server) -> None:
    assert [study["study_name"] for study in _studies(server)] == ["shown-in-the-browser"]


@pytest.mark.parametrize("method", ["DELETE", "POST", "PUT", "PATCH", "TRACE", "delete"])
def test_nothing_can_be_changed(server: Server, method: str) -> None:
    study = _studies(server)[0]["study_id"]

    status, _ = _ask(server, method, f"/api/studies/{study}")

    assert status == 403
    assert len(_studies(server)) == 1


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil", ""]
)
def test_a_foreign_host_name_is_refused(server: Server, host: str) -> None:
    status, body = _ask(server, "GET", "/api/studies", Host=host.format(port=server.server_port))

    assert status == 403
    assert b"shown-in-the-browser" not in body


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:{port}", "localhost:9000"]
)
def test_loopback_names_are_served(server: Server, host: str) -> None:
    status, _ = _ask(server, "GET", "/api/studies", Host=host.format(port=server.server_port))

    assert status == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://evil.example:{port}",
        "https://127.0.0.1:{port}",
        "http://127.0.0.1:1",
        "http://127.0.0.1.evil.example:{port}",
        "null",
        "",
    ],
)
def test_a_page_of_another_origin_gets_nothing(server: Server, origin: str) -> None:
    named = origin.format(port=server.server_port)

    status, body = _ask(server, "GET", "/api/studies", Origin=named)

    assert (status, body) == (403, b"Unknown origin.\n")


def test_its_own_page_is_served(server: Server) -> None:
    here = f"127.0.0.1:{server.server_port}"

    status, _ = _ask(server, "GET", "/api/studies", Host=here, Origin=f"http://{here}")

    assert status == 200


def test_no_answer_invites_other_origins(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=30)
    connection.request("GET", "/api/studies", headers={"Origin": "http://evil.example"})
    response = connection.getresponse()

    assert response.getheader("Access-Control-Allow-Origin") is None
    connection.close()


def test_a_port_in_use_says_what_to_do(server: Server, finished_url: str) -> None:
    with (
        Store.open(finished_url) as store,
        pytest.raises(UnavailableError, match=r"Cannot listen .* --port"),
    ):
        make_server(store, host="127.0.0.1", port=server.server_port)


def test_an_address_reads_as_a_url(server: Server) -> None:
    assert address(server, "127.0.0.1") == f"http://127.0.0.1:{server.server_port}/"
    assert address(server, "::1") == f"http://[::1]:{server.server_port}/"


def test_only_this_machine_reaches_loopback() -> None:
    assert is_loopback("127.0.0.1") and is_loopback("localhost") and is_loopback("::1")
    assert not is_loopback("0.0.0.0") and not is_loopback("example.org")
