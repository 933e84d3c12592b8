"""
A run's gateway as a process, with real sockets on both sides.
"""

from __future__ import annotations

import fcntl
import gzip
import http.client
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from kit.processes import until

from orchestrd.runner import gateway as module
from orchestrd.storage.rundir import RunDir

ORDERS = {"listen": "tcp", "base": "", "hosts": [], "header": "", "token": "", "value": "", "ca": ""}


@contextmanager
def upstream(tls: ssl.SSLContext | None = None):
    """
    A server that tells what it was sent: ``{"path", "headers", "body"}``.
    """

    class Tells(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            told = {
                "path": self.path,
                "headers": {k.lower(): v for k, v in self.headers.items()},
                "body": body.decode(),
            }
            data = json.dumps(told).encode()
            self.send_response(200)
            if self.headers.get("X-Packed"):
                data = gzip.compress(data)
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tells) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def running(folder: Path, **orders):
    """
    A gateway in *folder*; gives its process and port.
    """
    argv = [sys.executable, "-I", "-S", module.__file__]
    with subprocess.Popen(argv, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            process.stdin.write(json.dumps({**ORDERS, **orders}).encode() + b"\n")
            process.stdin.flush()
            word, port = process.stdout.readline().split()
            assert word == b"ready"
            yield process, int(port)
        finally:
            process.kill()


def ask(port: int, method: str = "POST", path: str = "/v1/messages?x=1", body: str = "hello", **headers: str):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        link.request(
            method, path, body=body, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )
        with link.getresponse() as reply:
            return reply.status, reply.read().decode()
    finally:
        link.close()


def test_the_key_takes_the_place_of_the_token(tmp_path):
    with upstream() as api:
        orders = {"base": f"http://127.0.0.1:{api}/base", "header": "x-api-key", "token": "run-1", "value": "sk-real"}
        with running(tmp_path, **orders) as (process, port):
            status, text = ask(port, x_api_key="run-1", Authorization="Bearer other")
            told = json.loads(text)
            assert (status, told["path"], told["body"]) == (200, "/base/v1/messages?x=1", "hello")
            assert told["headers"]["x-api-key"] == "sk-real"
            assert "authorization" not in told["headers"]
            assert told["headers"]["host"] == f"127.0.0.1:{api}"
            for wrong in ({"x_api_key": "run-2"}, {}, {"Authorization": "run-1"}):
                status, text = ask(port, **wrong)
                assert status == 403
                assert "sk-real" not in text
            # Nor is it where the system tells of processes.
            for name in ("environ", "cmdline"):
                assert b"sk-real" not in Path(f"/proc/{process.pid}/{name}").read_bytes()


def test_only_listed_hosts_are_reached(tmp_path):
    with upstream() as good, upstream() as bad:
        hosts = [f"127.0.0.1:{good}"]
        with running(tmp_path, base="http://127.0.0.1:9", hosts=hosts) as (_, port):
            assert ask(port, "GET", f"http://127.0.0.1:{good}/a")[0] == 200
            assert ask(port, "GET", f"http://127.0.0.1:{bad}/a")[0] == 403
            for number, answer in ((good, b"200"), (bad, b"403")):
                with socket.create_connection(("127.0.0.1", port), 20) as link:
                    link.sendall(f"CONNECT 127.0.0.1:{number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                    assert answer in link.recv(200).split(b"\r\n")[0]
                    if answer == b"200":
                        link.sendall(b"GET /through HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                        assert b"/through" in link.makefile("rb").read()
            # The API itself is not there.
            assert ask(port)[0] == 502


def test_a_second_request_on_a_connection_reaches_nobody(tmp_path):
    with (
        upstream() as api,
        running(tmp_path, base=f"http://127.0.0.1:{api}", header="x-api-key", token="run-1", value="sk-real") as (
            _,
            port,
        ),
    ):
        request = b"GET /v1/models/one HTTP/1.1\r\nHost: x\r\nx-api-key: run-1\r\nContent-Length: 0\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), 20) as link:
            link.sendall(request + request.replace(b"/one", b"/two"))
            said = link.makefile("rb").read()
        assert said.count(b"HTTP/1.1 200") == 1
        assert b"/two" not in said


KEEPING = {"header": "x-api-key", "token": "run-1", "value": "sk-real"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/messages", 200),
        ("POST", "/v1/messages/count_tokens?beta=true", 200),
        ("GET", "/v1/models", 200),
        ("GET", "/v1/models/claude-x-4-5", 200),
        ("GET", "/v1/messages", 403),
        ("POST", "/v1/messages/batches", 403),
        ("POST", "/v1/messages/", 403),
        ("POST", "//v1/messages", 403),
        ("POST", "/v1/messages/../files", 403),
        ("POST", "/v1/%6dessages", 403),
        ("GET", "/v1/models/../organizations", 403),
        ("GET", "/v1/organizations/api_keys", 403),
        ("GET", "/v1/files", 403),
        ("DELETE", "/v1/models/x", 403),
    ],
)
def test_only_what_an_agent_needs_is_asked_for(tmp_path, method, path, status):
    with upstream() as api:
        with running(tmp_path, base=f"http://127.0.0.1:{api}", **KEEPING) as (_, port):
            found, text = ask(port, method, path, x_api_key="run-1")
            assert found == status
            assert ("sk-real" in text) == (status == 200)
        # Whoever has the key: what the agent has read would go where another's key takes it.
        with running(tmp_path, base=f"http://127.0.0.1:{api}") as (_, port):
            assert ask(port, method, path, x_api_key="own")[0] == status


def test_no_other_credential_is_shown_than_the_runs_own(tmp_path):
    own = {"x-api-key": "mine", "authorization": "token"}
    with upstream() as api, running(tmp_path, base=f"http://127.0.0.1:{api}", own=own) as (_, port):
        for good in (
            {"x_api_key": "mine"},
            {"Authorization": "Bearer token"},
            {"x_api_key": "mine", "Authorization": "Bearer token"},
        ):
            status, text = ask(port, **good)
            assert status == 200
            assert {json.loads(text)["headers"].get(name.lower().replace("_", "-")) for name in good} == {
                *good.values()
            }
        for bad in ({"x_api_key": "theirs"}, {}, {"x_api_key": "mine", "Authorization": "Bearer theirs"}):
            assert ask(port, **bad)[0] == 403


@pytest.mark.parametrize("packed", [False, True])
def test_the_key_is_in_no_answer(tmp_path, packed):
    """
    From an API that tells all that it is asked with.
    """
    orders = {**KEEPING, "value": "sk-real-0123", "hidden": ["sk-real-0123"]}
    with upstream() as api, running(tmp_path, base=f"http://127.0.0.1:{api}", **orders) as (_, port):
        status, text = ask(port, x_api_key="run-1", Accept_Encoding="gzip", X_Packed="x" if packed else "")
        told = json.loads(text)
        assert (status, told["headers"]["x-api-key"]) == (200, "[secret]****")
        assert told["headers"]["accept-encoding"] == "identity"
        assert told["body"] == "hello"


def test_nothing_more_is_asked_for_once_the_run_is_to_stop(tmp_path):
    with upstream() as api:
        with running(tmp_path, base=f"http://127.0.0.1:{api}", **KEEPING) as (_, port):
            assert ask(port, x_api_key="run-1")[0] == 200
            RunDir(tmp_path).shut_off()
            status, text = ask(port, x_api_key="run-1")
            assert (status, text) == (403, "the run is to stop: nothing more is asked of the API\n")
        # An agent's own key is its own.
        with running(tmp_path, base=f"http://127.0.0.1:{api}") as (_, port):
            assert ask(port, x_api_key="own")[0] == 200


@pytest.mark.parametrize(
    "lines",
    [
        b"x: a\nx-api-key: run-1",
        b"x-api-key: run-1\r\nx: a\rb",
        b"x-api-key: run-1\r\nx-api-key: run-1",
        b"x-api-key: run-1\r\ncontent-length: 0\r\ntransfer-encoding: chunked",
        b"x-api-key: run-1\r\ncontent-length: 0\r\nContent-Length: 5",
        b"x-api-key : run-1",
        b"x-api-key: run-1\r\n folded: y",
        b"x-api-key: run-1\r\nno colon",
        b"x-api-key: run-1\r\nx: \0",
    ],
)
def test_a_head_that_may_be_read_in_two_ways_is_refused(tmp_path, lines):
    with (
        upstream() as api,
        running(tmp_path, base=f"http://127.0.0.1:{api}", **KEEPING) as (_, port),
        socket.create_connection(("127.0.0.1", port), 20) as link,
    ):
        link.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n\r\n")
        assert b"HTTP/1.1 400" in link.makefile("rb").read()


def test_a_socket_in_the_file_system(tmp_path):
    (tmp_path / "door").mkdir()
    with upstream() as api, running(tmp_path, base=f"http://127.0.0.1:{api}", listen="door/api.sock") as (_, port):
        assert port == 0
        with socket.socket(socket.AF_UNIX) as link:
            link.connect(os.fspath(tmp_path / "door" / "api.sock"))
            link.sendall(b"GET /v1/models HTTP/1.1\r\nHost: x\r\nx-api-key: own\r\n\r\n")
            # Without a credential of ours, the agent's own is passed on.
            assert b'"x-api-key": "own"' in link.makefile("rb").read()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_an_api_behind_tls(tmp_path):
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=x"
    subprocess.run(
        [*make.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=tmp_path, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with upstream(context) as api:
        base = f"https://127.0.0.1:{api}"
        with running(tmp_path, base=base, ca=str(tmp_path / "cert.pem")) as (_, port):
            status, text = ask(port, body="x" * 3_000_000)
            assert status == 200
            assert len(json.loads(text)["body"]) == 3_000_000
        with running(tmp_path, base=base) as (_, port):
            assert ask(port)[0] == 502


def test_it_goes_once_shim_and_agent_are_gone(tmp_path):
    lock = os.open(tmp_path / "agent.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    with upstream() as api, running(tmp_path, base=f"http://127.0.0.1:{api}") as (process, port):
        process.stdin.close()
        # It waits for the lock by now, and serves.
        until(lambda: "FLOCK" in waiting(process.pid))
        assert ask(port)[0] == 200
        os.close(lock)
        assert process.wait(20) == 0


def waiting(pid: int) -> str:
    """
    The locks that a process waits for (proc(5), ``/proc/locks``).
    """
    lines = Path("/proc/locks").read_text().splitlines()
    return "\n".join(line for line in lines if "->" in line and f" {pid} " in line)
