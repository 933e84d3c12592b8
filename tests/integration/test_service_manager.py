"""
What a service manager hands over: taken once, believed only where it fits, and told to nobody else.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from orchestrd.edges import systemd
from orchestrd.edges.endpoint import Endpoint
from orchestrd.edges.rpc import Server
from orchestrd.edges.systemd import Service, inherited
from orchestrd.errors import ConfigError

OWN = str(os.getpid())


@pytest.fixture
def listener(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.bind(str(tmp_path / "s"))
        made.listen()
        yield made


def test_without_a_manager_nothing_happens():
    environ = {"PATH": "/bin"}
    service = Service.take(environ)
    assert (service.watchdog, service.listener, service.managed) == (None, None, False)
    service.ready()
    service.failed("for a reason")
    assert environ == {"PATH": "/bin"}


def test_everything_is_taken_out_of_the_environment(monkeypatch, listener, tmp_path):
    monkeypatch.setattr(systemd, "FIRST_FD", os.dup(listener.fileno()))
    environ = {
        "NOTIFY_SOCKET": "/n",
        "WATCHDOG_USEC": "30000000",
        "WATCHDOG_PID": OWN,
        "LISTEN_PID": OWN,
        "LISTEN_FDS": "1",
        "LISTEN_FDNAMES": "x",
        "INVOCATION_ID": "1",
        "SYSTEMD_EXEC_PID": OWN,
        "PATH": "/bin",
    }
    service = Service.take(environ)
    assert environ == {"PATH": "/bin"}
    assert (service.watchdog, service.managed) == (30.0, True)
    assert service.listener.getsockname() == str(tmp_path / "s")
    assert not os.get_inheritable(service.listener.fileno())
    assert not service.listener.getblocking()
    service.listener.close()


@pytest.mark.parametrize(
    "environ",
    [
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "0"},
        {"LISTEN_PID": "1", "LISTEN_FDS": "1"},
        {"LISTEN_PID": OWN, "LISTEN_FDS": "0"},
        {"LISTEN_FDS": "1"},
        {"SYSTEMD_EXEC_PID": "1", "INVOCATION_ID": "x"},
        {"SYSTEMD_EXEC_PID": OWN},
    ],
)
def test_what_was_meant_for_another_process_is_not_ours(environ):
    service = Service.take(environ)
    assert (service.watchdog, service.listener, service.managed) == (None, None, False)
    assert environ == {}


def test_two_sockets_are_refused():
    with pytest.raises(ConfigError, match="hands over 2 sockets"):
        Service.take({"LISTEN_PID": OWN, "LISTEN_FDS": "2"})


def test_a_socket_that_cannot_be_ours_is_refused(tmp_path):
    def tcp():
        return socket.create_server(("127.0.0.1", 0))

    def datagram():
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        made.bind(str(tmp_path / "d"))
        return made

    def deaf():
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.bind(str(tmp_path / "q"))
        return made

    def abstract():
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.bind(f"\0orchestrd-{os.getpid()}")
        made.listen()
        return made

    def unlinked():
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.bind(str(tmp_path / "u"))
        made.listen()
        (tmp_path / "u").unlink()
        return made

    for make in (tcp, datagram, deaf, abstract, unlinked):
        with make() as made, pytest.raises(ConfigError, match="no listening Unix socket of this user"):
            inherited(made.fileno())
    with (tmp_path / "file").open("w") as file, pytest.raises(ConfigError, match="cannot be used"):
        inherited(file.fileno())
    with pytest.raises(ConfigError, match="cannot be used"):
        inherited(1000)


@pytest.mark.parametrize("abstract", [False, True])
def test_words_arrive_in_one_datagram(tmp_path, abstract):
    name = f"orchestrd-words-{os.getpid()}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.settimeout(10)
        ear.bind(f"\0{name}" if abstract else name)
        service = Service(notify=f"@{name}" if abstract else name)
        service.starting("reading the journal")
        assert ear.recv(4096) == b"STATUS=Starting: reading the journal\nEXTEND_TIMEOUT_USEC=120000000"
        service.failed("first line\nhint")
        assert ear.recv(4096) == b"STATUS=first line"
    # A manager that is gone, or does not listen, holds nobody up.
    service.ready()


async def serves(path: Path, listener: socket.socket) -> None:
    """
    A server that was handed *listener* answers whoever comes to *path*; then it goes.
    """
    async with anyio.create_task_group() as group:
        await group.start(Server(Endpoint(lambda: [path], inherited(os.dup(listener.fileno()))), {}).run)
        async with await anyio.connect_unix(path) as client:
            await client.send(b'{"jsonrpc":"2.0","id":1,"method":"nothing"}\n')
            assert b"there is no method" in await client.receive()
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_socket_that_was_handed_over_stays_when_the_server_goes(listener, tmp_path):
    path = tmp_path / "s"
    await serves(path, listener)
    # The next daemon's callers wait in its queue.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as waiting:
        waiting.connect(str(path))


@pytest.mark.anyio
async def test_a_socket_that_was_handed_over_and_leads_nowhere_is_made_anew(listener, tmp_path):
    """
    Its path was removed under an earlier daemon, which made one of its own there, and is dead.
    """
    path = tmp_path / "s"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    await serves(path, listener)


@pytest.mark.slow
def test_a_daemon_that_cannot_start_says_why_to_its_manager(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "orchestrd.yaml").write_text("project: .\nnonsense: 1\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.settimeout(30)
        ear.bind(str(tmp_path / "n"))
        command = [sys.executable, "-m", "orchestrd", "--home", str(tmp_path)]
        done = subprocess.run(
            command, env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "n")}, capture_output=True, check=False
        )
        assert done.returncode == 78
        assert b"nonsense: unknown setting" in ear.recv(4096)
