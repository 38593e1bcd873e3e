"""Who may talk to the server: names, origins, the token; and what every response says."""

import contextlib
import http.client
import socket
import time

import pytest
from serving import JOBS, clip, listening

from xumx_jax.web.settings import is_loopback

TOKEN = "correct-horse-battery"
ID = "0123456789abcdef" * 2


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A server on this machine, without a token, known under a name of its own too."""
    hosts = ("music.example.org", "other.example:8443", "xn--bcher-kva.example")
    with listening(tmp_path_factory.mktemp("home") / "data", hosts=hosts) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server with a token that listens on all addresses."""
    folder = tmp_path_factory.mktemp("guarded") / "data"
    with listening(folder, host="0.0.0.0", token=TOKEN) as running:
        running.token = None  # each test says what it sends
        yield running


def raw(server, *lines):
    """Send the lines of a request as they are -> the status and the body."""
    with socket.create_connection((server.host, server.port)) as connection:
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1"))
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("host, status", [
    ("localhost", 200),
    ("LOCALHOST:8000", 200),
    ("127.0.0.1", 200),
    ("127.0.0.1:65535", 200),
    ("[::1]:8000", 200),
    ("localhost.", 200),
    ("music.example.org", 200),
    ("Music.Example.Org:443", 200),
    ("other.example", 200),
    ("evil.example", 403),
    ("localhost.evil.example", 403),
    ("evil.example:8000", 403),
    ("127.0.0.1.nip.io", 403),
    ("user@localhost", 403),
    ("localhost/evil", 403),
    ("localhost:80:80", 403),
    ("localhost:", 403),
    ("192.168.0.7", 403),
    ("2130706433", 403),
    ("", 403),
    ("[::1", 403),
])  # fmt: skip
def test_names_of_the_host(home, host, status):
    found, body = raw(home, "GET /api/v1/limits HTTP/1.1", f"Host: {host}")
    assert found == status, body
    assert status == 200 or '"foreign_host"' in body


def test_a_request_without_a_host_or_with_two(home):
    assert raw(home, "GET /healthz HTTP/1.0")[0] == 403
    assert raw(home, "GET /healthz HTTP/1.1", "Host: localhost", "Host: localhost")[0] == 400


@pytest.mark.parametrize("host, status", [
    ("192.168.0.7:8000", 200), ("[fe80::1]", 200), ("localhost", 200), ("evil.example", 403),
])  # fmt: skip
def test_an_address_is_no_name_that_could_be_rebound(guarded, host, status):
    assert raw(guarded, "GET /healthz HTTP/1.1", f"Host: {host}")[0] == status


@pytest.mark.parametrize("headers, status", [
    ({}, 404),
    ({"Origin": "http://localhost:{port}"}, 404),
    ({"Origin": "http://LOCALHOST:{port}"}, 404),
    ({"Origin": "https://music.example.org"}, 404),
    ({"Origin": "http://other.example:8443"}, 404),
    ({"Sec-Fetch-Site": "same-origin"}, 404),
    ({"Sec-Fetch-Site": "none"}, 404),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "http://localhost:1"}, 403),
    ({"Origin": "http://localhost"}, 403),
    ({"Origin": "http://127.0.0.1:{port}"}, 403),
    ({"Origin": "http://other.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": ""}, 403),
    ({"Origin": "http://localhost:{port}.evil.example"}, 403),
    ({"Origin": "http://[x"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": "http://localhost:{port}", "Sec-Fetch-Site": "cross-site"}, 403),
])  # fmt: skip
@pytest.mark.parametrize("method", ["DELETE", "POST"])
def test_origins_of_what_changes_something(home, method, headers, status):
    headers = {name: value.format(port=home.port) for name, value in headers.items()}
    headers["Host"] = f"localhost:{home.port}"
    path = f"{JOBS}/{ID}" if method == "DELETE" else f"{JOBS}/{ID}/move"
    answer = home.ask(method, path, None, headers)
    assert answer.status == status
    assert status == 404 or answer.code == "foreign_origin"


def test_pages_of_other_sites_read_nothing(home):
    answer = home.get("/api/v1/limits", {"Origin": "http://evil.example"})
    assert not any(name.startswith("access-control") for name in answer.headers)
    answer = home.ask(
        "OPTIONS", JOBS, None,
        {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )  # fmt: skip
    assert answer.status == 405
    assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.parametrize("given", [
    None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer \u00e4",
    f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN} {TOKEN}",
])  # fmt: skip
def test_without_the_token_nothing_is_done(guarded, given):
    headers = {} if given is None else {"Authorization": given.encode()}
    for method, path in [
        ("POST", JOBS), ("PUT", JOBS), ("GET", JOBS), ("DELETE", f"{JOBS}/{ID}"),
        ("POST", f"{JOBS}/{ID}/move"), ("GET", "/metrics"), ("GET", "/api/v1/models"),
        ("GET", "/nothing"), ("GET", f"{JOBS}/{ID}x"),
    ]:  # fmt: skip
        answer = guarded.ask(method, path, None, headers)
        assert (answer.status, answer.code) == (401, "no_token"), (method, path)
        assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("kind", ["Bearer", "bearer"])
def test_with_the_token_everything_is(guarded, kind):
    headers = {"Authorization": f"{kind} {TOKEN}"}
    id = guarded.send(clip(0.05), headers=headers).json()["id"]
    assert [job["id"] for job in guarded.get(JOBS, headers).json()["jobs"]] == [id]
    assert guarded.get("/metrics", headers).status == 200
    assert guarded.ask("POST", f"{JOBS}/{id}/move", None, headers).status == 200
    # whoever has the id may read, as a player or a link does, but not remove
    assert guarded.get(f"{JOBS}/{id}").status == 200
    assert guarded.get(f"{JOBS}/{id}/all.zip").code == "not_done"
    assert guarded.ask("DELETE", f"{JOBS}/{id}").status == 401
    assert guarded.ask("DELETE", f"{JOBS}/{id}", None, headers).status == 202


def test_the_token_of_a_query_counts_for_nothing(guarded):
    assert guarded.get(JOBS, token=TOKEN).status == 401


@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/docs", "/docs.css", "/openapi.json", "/", "/page/main.js"]
)
def test_what_anybody_may_read(guarded, path):
    assert guarded.get(path).status in (200, 503)


def test_jobs_are_listed_to_this_machine_alone(home):
    """A proxy on this machine brings others, under the name that was allowed for it."""
    assert home.get(JOBS, {"Host": f"localhost:{home.port}"}).status == 200
    for path in (JOBS, "/metrics"):
        answer = home.get(path, {"Host": "music.example.org"})
        assert (answer.status, answer.code) == (403, "not_local")
    for header in ("X-Forwarded-For", "Forwarded"):  # and one that hides the name
        assert home.get(JOBS, {header: "for=10.0.0.1"}).code == "not_local"
    answer = home.ask("POST", f"{JOBS}/{ID}/move", None, {"Host": "music.example.org"})
    assert answer.code == "not_local"


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/nothing", "/metrics", f"{JOBS}/{ID}"])
def test_headers_of_every_response(home, path):
    headers = home.get(path).headers
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'self'", "object-src 'none'", "base-uri 'none'"} < set(policy)
    assert "script-src 'self' 'wasm-unsafe-eval'" in policy  # WASM, and no text becomes a script
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store" and "server" not in headers


def test_a_proxy_says_who_its_clients_are(tmp_path):
    with listening(tmp_path / "data", max_per_client=1, proxies=("127.0.0.1",)) as server:
        for number in range(2):
            headers = {"X-Forwarded-For": f"10.0.0.{number}"}
            assert server.send(clip(0.05), headers=headers).status == 202
        assert server.send(clip(0.05), headers=headers).code == "too_many"


def test_who_is_no_proxy_cannot_pretend(tmp_path):
    with listening(tmp_path / "data", max_per_client=1) as server:
        assert server.send(clip(0.05), headers={"X-Forwarded-For": "10.0.0.1"}).status == 202
        assert server.send(clip(0.05), headers={"X-Forwarded-For": "10.0.0.2"}).code == "too_many"


WHOLE, PART = (
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: l",
)


@pytest.mark.parametrize("first, begun", [(b"", b""), (b"", PART), (WHOLE, PART)])
def test_requests_that_never_come(tmp_path, first, begun):
    with listening(tmp_path / "data", idle_seconds=0.3) as server:
        with socket.create_connection((server.host, server.port), timeout=20) as connection:
            connection.sendall(first)
            told = connection.recv(65536) if first else b""
            assert (b"HTTP/1.1 200" in told) == bool(first)
            begin = time.monotonic()
            connection.sendall(begun)
            while connection.recv(65536):
                pass
            assert 0.2 <= time.monotonic() - begin < 4  # uvicorn itself takes 5 between requests


def test_a_connection_serves_many_requests(home):
    with contextlib.closing(home.connect()) as connection:
        for _ in range(3):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read() == b'{"status":"ok"}'


@pytest.mark.parametrize("host, ours", [
    ("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("[::1]", True), ("localhost", True),
    ("0.0.0.0", False), ("::", False), ("192.168.0.1", False), ("example.org", False),
])  # fmt: skip
def test_what_only_this_machine_reaches(host, ours):
    assert is_loopback(host) == ours
