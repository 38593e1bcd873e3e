"""Joining a Ray cluster: addresses, tokens, and who does not answer."""

import os
import signal
import socket
import threading
import time

import pytest

from xumx_jax.commands import ray_connection
from xumx_jax.errors import UserError

RAY = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # how it answers


def answering(answer):
    """A server that says `answer` to whoever connects -> its address."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = server.accept()
        with connection, server:
            connection.sendall(answer)
            connection.recv(1 << 10)
            time.sleep(0.5 if not answer else 0)

    threading.Thread(target=serve, daemon=True).start()
    return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize(
    "answer, reason",
    [
        (b"HTTP/1.0 400 Bad Request", "what listens there is not Ray"),
        (b"", "nobody answers within"),
    ],
)
def test_what_is_not_ray_is_said_within_seconds(answer, reason, monkeypatch):
    monkeypatch.setattr(ray_connection, "CONNECT_SECONDS", 0.2)
    with pytest.raises(UserError, match=reason):
        ray_connection._check_listening(answering(answer))


def test_what_answers_as_ray_does_is_taken():
    ray_connection._check_listening(answering(RAY))


@pytest.mark.parametrize("address", ["nonsense", "host:", "ray://host:1", ":1"])
def test_an_address_that_is_none(address):
    with pytest.raises(UserError, match="wanted HOST:PORT of the cluster's head, or auto"):
        ray_connection._check_listening(address)


def test_nobody_listens(run_separate):
    pytest.importorskip("ray", reason="needs the extra cluster")
    begin = time.perf_counter()
    status, out, err = run_separate(".", "--runner", "ray", "--address", "127.0.0.1:9")
    assert (status, out.splitlines()[1:]) == (2, []) and time.perf_counter() - begin < 5
    assert err == (
        "xumx: error: --address 127.0.0.1:9: Connection refused; wanted the head of a Ray cluster\n"
    )


@pytest.mark.parametrize(
    "variables, kept, mode",
    [
        ({}, False, None),
        ({}, True, "token"),
        ({"RAY_AUTH_TOKEN": "x"}, False, "token"),
        ({"RAY_AUTH_MODE": "disabled"}, True, "disabled"),
    ],
)
def test_a_token_is_shown_where_there_is_one(tmp_path, monkeypatch, variables, kept, mode):
    pytest.importorskip("ray", reason="needs the extra cluster")
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    token = tmp_path / "token"
    if kept:
        token.write_text("x")
    monkeypatch.setattr(ray_connection, "TOKEN", token)
    ray_connection.reach("auto")  # Ray finds it by itself
    assert os.environ.get("RAY_AUTH_MODE") == variables.get("RAY_AUTH_MODE")
    ray_connection.reach(answering(RAY))
    assert os.environ.get("RAY_AUTH_MODE") == mode
    about = ray_connection._about_tokens("host:1")
    assert ("perhaps its token is not" in about) == (mode == "token") and str(token) in about


def test_what_ray_prints_before_an_error_is_dropped(capfd):
    with ray_connection._without_native_lines():
        os.write(2, b"gcs_client.cc:210: Failed")
    os.write(2, b"our line")
    assert capfd.readouterr().err == "our line"


def test_signals_do_what_they_did():
    before = signal.getsignal(signal.SIGTERM)
    with ray_connection._own_signals():
        signal.signal(signal.SIGTERM, lambda *_: None)  # as Ray does
    assert signal.getsignal(signal.SIGTERM) is before
