"""
The control socket on a real socket: what it serves, what it refuses, and that nothing a client does ends it.
"""

import json
import os
import socket
import stat
import sys
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from orchestrd.ancestry import MARK
from orchestrd.edges import connection
from orchestrd.edges import rpc as edge
from orchestrd.edges.endpoint import Endpoint, bind
from orchestrd.edges.rpc import Server
from orchestrd.errors import NotFound, StorageError
from orchestrd.protocol import api
from orchestrd.protocol.jsonrpc import (
    BUSY,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    MAX_LINE,
    METHOD_NOT_FOUND,
    PARSE_ERROR,
)

pytestmark = pytest.mark.anyio


class Handlers:
    """
    Stand-ins for what the methods do: the server only knows that they are called.
    """

    def __init__(self) -> None:
        self.calls: list = []
        self.asked = 0
        self.gate = anyio.Event()

    def table(self) -> dict:
        return {
            "daemon.status": self.status,
            "task.status": self.echo,
            "task.wait": self.wait,
            "task.diff": self.large,
            "task.cancel": self.broken,
            "daemon.stop": self.missing,
            "task.logs": self.missing,
            "events.subscribe": self.echo,
        }

    async def status(self, _params, _connection):
        self.asked += 1
        return api.DaemonStatus(pid=1, started_at="", version="0")

    async def echo(self, params, _connection):
        self.calls.append(params)
        return params

    async def wait(self, _params, _connection):
        await self.gate.wait()
        return api.Waited(done=True, timed_out=False, states={})

    async def large(self, params, _connection):
        self.calls.append(params)
        return "x" * params.offset

    async def broken(self, _params, _connection):
        raise ZeroDivisionError

    async def missing(self, _params, _connection):
        raise NotFound("there is no task x", hint="Known: a")


class Client:
    def __init__(self, stream) -> None:
        self.stream = stream
        self.lines = BufferedByteReceiveStream(stream)

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def reply(self) -> dict:
        with anyio.fail_after(60):
            return json.loads(await self.lines.receive_until(b"\n", 2 * MAX_LINE))

    async def call(self, method: str, params=None, number=1) -> dict:
        await self.send(request(method, params, number))
        return await self.reply()

    async def is_closed(self) -> bool:
        with anyio.fail_after(60):
            try:
                while await self.stream.receive():
                    pass
            except (anyio.EndOfStream, anyio.BrokenResourceError):
                return True


def request(method: str, params=None, number=1) -> bytes:
    value = {"jsonrpc": "2.0", "id": number, "method": method}
    return json.dumps(value if params is None else value | {"params": params}).encode() + b"\n"


@asynccontextmanager
async def serving(path, handlers: Handlers | None = None):
    handlers = handlers or Handlers()
    async with anyio.create_task_group() as group:
        await group.start(Server(Endpoint(lambda: [path]), handlers.table()).run)

        @asynccontextmanager
        async def connect():
            async with await anyio.connect_unix(path) as stream:
                yield Client(stream)

        try:
            yield connect
        finally:
            group.cancel_scope.cancel()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run" / "x.sock"


async def test_a_call_and_its_answer(path):
    async with serving(path) as connect, connect() as client:
        assert (await client.call("daemon.status"))["result"]["pid"] == 1
        reply = await client.call("task.status", {"day": "2026-11-22"}, "my id")
        assert (reply["id"], reply["result"]["day"]) == ("my id", "2026-11-22")


async def test_the_socket_is_for_this_user_only_from_its_birth(path):
    listener = bind(path)
    try:
        found = path.lstat()
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert os.umask(0o022) == 0o022
    finally:
        listener.close()


async def test_the_peer_is_asked_who_it_is(path, monkeypatch):
    monkeypatch.setattr(edge.os, "getuid", lambda real=os.getuid: real() + 1)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = Server(Endpoint(lambda: [path]), {})
        assert not server.admit(connection.Connection(server), ours)
    monkeypatch.undo()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = Server(Endpoint(lambda: [path]), {})
        assert server.admit(connection.Connection(server), ours)


ASK = """
import os, socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
if sys.argv[2] == "gone" and os.fork():
    os._exit(0)
if sys.argv[2] == "gone":
    sys.stdin.read(1)
peer.sendall(sys.argv[3].encode() + b"\\n")
sys.stdout.write(peer.makefile().readline())
"""


async def ask(path, method: str, *, how: str = "", wrap: tuple[str, ...] = (), **environ: str) -> dict:
    """
    The reply to a process of its own, started as *wrap* says, which asks for *method*; one that is *gone* has left the asking to
    its child.
    """
    line = request(method, {"tasks": ["a"]} if method == "task.cancel" else None).decode().strip()
    command = [*wrap, sys.executable, "-c", ASK, str(path), how, line]
    with anyio.fail_after(60):
        async with await anyio.open_process(command, env={"PATH": os.defpath, **environ}, stderr=None) as process:
            if how == "gone":
                await process.wait()
                await process.stdin.send(b"x")
            out = b"".join([part async for part in process.stdout])
    return json.loads(out)


@pytest.mark.parametrize("method", ["task.cancel", "daemon.stop"])
@pytest.mark.parametrize("wrap", [(), ("/bin/sh", "-c", 'env -u ORCHESTRD_RUN_DIR "$@"; true', "sh")])
async def test_an_agent_may_only_look(path, method, wrap):
    async with serving(path):
        mark = {MARK: "/home/var/agent_logs/2026-11-22/task-001/1"}
        error = (await ask(path, method, wrap=wrap, **mark))["error"]
        assert "of the run 2026-11-22/task-001/1, and an agent may only look" in error["message"]
        assert error["data"]["exit_status"] == 77
        assert "result" in await ask(path, "daemon.status", wrap=wrap, **mark)
        # Nothing of the run is the same process as it stands for the person; what it asks for reaches the handlers.
        assert "an agent" not in (await ask(path, method, wrap=wrap))["error"]["message"]


async def test_who_has_left_the_asking_to_another_is_not_trusted(path):
    async with serving(path):
        error = (await ask(path, "daemon.stop", how="gone"))["error"]
        assert "is gone, and could have been an agent's" in error["message"]
        # But who has given up on a daemon that hung still has its work stopped.
        error = (await ask(path, "task.cancel", how="gone"))["error"]
        assert "task.cancel failed inside the daemon" in error["message"]


@pytest.mark.parametrize("kind", ["file", "folder", "link to a file", "dangling link"])
async def test_what_is_no_socket_is_left_alone(path, kind):
    path.parent.mkdir(mode=0o700)
    target = path.parent / "precious"
    if kind == "file":
        path.write_text("precious", encoding="utf-8")
    elif kind == "folder":
        path.mkdir()
    else:
        if kind == "link to a file":
            target.write_text("precious", encoding="utf-8")
        path.symlink_to(target)
    before = path.lstat()
    with pytest.raises(StorageError, match="no socket of this user"):
        bind(path)
    assert path.lstat() == before


async def test_the_socket_of_a_dead_daemon_is_replaced(path):
    bind(path).close()
    assert path.exists()
    async with serving(path) as connect, connect() as client:
        assert "result" in await client.call("daemon.status")
    assert not path.exists()


async def test_a_folder_that_others_may_use_is_closed_to_them(path):
    path.parent.mkdir(mode=0o755)
    bind(path).close()
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("line", "code", "number"),
    [
        (b"nonsense", PARSE_ERROR, None),
        (b"\xff\xfe", PARSE_ERROR, None),
        (b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"', PARSE_ERROR, None),
        (b"[" * 50_000, INVALID_REQUEST, None),
        (b"{" * 50_000, PARSE_ERROR, None),
        (b"[]", INVALID_REQUEST, None),
        (b"null", INVALID_REQUEST, None),
        (b"{}", INVALID_REQUEST, None),
        (b"[" + request("daemon.status").strip() + b"]", INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":1' + b"0" * 30 + b',"method":"daemon.status"}', INVALID_REQUEST, None),
        (b'{"jsonrpc":"2.0","id":1' + b"0" * 9000 + b',"method":"daemon.status"}', INVALID_REQUEST, None),
        (b'{"jsonrpc":"1.0","id":4,"method":"daemon.status"}', INVALID_REQUEST, 4),
        (request("no.method"), METHOD_NOT_FOUND, 1),
        (request("task.submit", {"path": "/x"}), METHOD_NOT_FOUND, 1),
        (request(""), METHOD_NOT_FOUND, 1),
        (request("task.status", {"dya": "x"}), INVALID_PARAMS, 1),
        (request("task.status", {"day": 5}), INVALID_PARAMS, 1),
        (request("task.status", ["2026-11-22"]), INVALID_PARAMS, 1),
        (request("task.diff"), INVALID_PARAMS, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"task.status","params":null}', INVALID_PARAMS, 1),
        (b'{"jsonrpc":"2.0","id":1,"method":"task.status","params":{"day":' + b"[" * 9000 + b"]" * 9000 + b"}}",
         PARSE_ERROR, None),
        (request("events.subscribe", {"since": 10**30}), INVALID_PARAMS, 1),
        (request("events.subscribe", {"since": -1}), INVALID_PARAMS, 1),
        (request("task.diff", {"task": "a", "offset": MAX_LINE + 1}), INTERNAL_ERROR, 1),
        (request("task.cancel"), INTERNAL_ERROR, 1),
        (request("task.logs", {"task": "x"}), NotFound.rpc_code, 1),
    ],
    ids=lambda value: repr(value[:50]) if isinstance(value, bytes) else None,
)  # fmt: skip
async def test_what_goes_wrong_is_told_and_the_next_call_is_served(path, line, code, number):
    async with serving(path) as connect, connect() as client:
        await client.send(line.rstrip(b"\n") + b"\n")
        reply = await client.reply()
        assert (reply["error"]["code"], reply["id"]) == (code, number)
        assert "Traceback" not in reply["error"]["message"]
        assert "result" in await client.call("daemon.status")


async def test_an_error_of_ours_says_what_to_do_and_how_a_command_ends(path):
    async with serving(path) as connect, connect() as client:
        error = (await client.call("task.logs", {"task": "x"}))["error"]
    assert error == {"code": -32021, "message": "there is no task x", "data": {"hint": "Known: a", "exit_status": 5}}


async def test_a_notification_gets_no_answer(path):
    handlers = Handlers()
    async with serving(path, handlers) as connect, connect() as client:
        await client.send(b'{"jsonrpc":"2.0","method":"task.status"}\n{"jsonrpc":"2.0","method":"no.method"}\n')
        assert (await client.call("daemon.status", number=9))["id"] == 9
    assert len(handlers.calls) == 1


async def test_blank_lines_and_carriage_returns_are_nothing(path):
    async with serving(path) as connect, connect() as client:
        await client.send(b"\n\r\n  \n" + request("daemon.status").replace(b"\n", b"\r\n"))
        assert "result" in await client.reply()


async def test_a_line_may_come_in_any_number_of_pieces(path):
    async with serving(path) as connect, connect() as client:
        for byte in request("daemon.status") * 2:
            await client.send(bytes([byte]))
        assert [(await client.reply())["id"] for _ in range(2)] == [1, 1]


class TestLineLength:
    def line(self, size: int) -> bytes:
        head = b'{"jsonrpc":"2.0","id":1,"method":"task.status","params":{"day":"'
        tail = b'"}}'
        return head + b"x" * (size - len(head) - len(tail)) + tail

    async def test_a_mebibyte_is_served(self, path):
        handlers = Handlers()
        async with serving(path, handlers) as connect, connect() as client:
            await client.send(self.line(MAX_LINE) + b"\n")
            await client.reply()
            assert len(handlers.calls) == 1

    @pytest.mark.parametrize("ending", [b"", b"\n"], ids=["open", "whole"])
    async def test_one_byte_more_ends_the_connection(self, path, ending):
        handlers = Handlers()
        async with serving(path, handlers) as connect:
            async with connect() as client:
                await client.send(self.line(MAX_LINE + 1) + ending)
                assert (await client.reply())["error"]["code"] == INVALID_REQUEST
                assert await client.is_closed()
            async with connect() as client:
                assert "result" in await client.call("daemon.status")
        assert handlers.calls == []


class TestHalfLines:
    async def test_one_that_is_never_finished_ends_the_connection(self, path, monkeypatch):
        monkeypatch.setattr(connection, "LINE_SECONDS", 0.05)
        async with serving(path) as connect, connect() as client:
            await client.send(b'{"jsonrpc"')
            assert await client.is_closed()

    async def test_one_that_grows_by_a_byte_now_and_then_too(self, path, monkeypatch):
        monkeypatch.setattr(connection, "LINE_SECONDS", 0.1)
        async with serving(path) as connect, connect() as client:
            with anyio.fail_after(60):
                while True:
                    try:
                        await client.send(b"x")
                    except anyio.BrokenResourceError:
                        break
                    await anyio.sleep(0.01)

    async def test_a_client_that_says_nothing_may_stay(self, path, monkeypatch):
        monkeypatch.setattr(connection, "LINE_SECONDS", 0.02)
        async with serving(path) as connect, connect() as client:
            for _ in range(3):
                assert "result" in await client.call("daemon.status")
                # Who begins a line after that is sent away for it: so long nothing was said here.
                async with connect() as later:
                    await later.send(b"{")
                    assert await later.is_closed()
            assert "result" in await client.call("daemon.status")

    async def test_who_leaves_in_the_middle_of_a_line_leaves_nothing_behind(self, path):
        async with serving(path) as connect:
            async with connect() as client:
                await client.send(b'{"jsonrpc"')
            async with connect() as client:
                assert "result" in await client.call("daemon.status")


class TestManyAtOnce:
    async def test_a_thousand_pipelined_requests_are_each_answered_once(self, path):
        async with serving(path) as connect, connect() as client:
            await client.send(b"".join(request("daemon.status", number=n) for n in range(1000)))
            replies = [await client.reply() for _ in range(1000)]
        assert sorted(reply["id"] for reply in replies) == list(range(1000))
        assert all("result" in reply for reply in replies)

    async def test_who_sends_a_thousand_lets_the_others_have_their_turn(self, path):
        handlers = Handlers()
        async with serving(path, handlers) as connect, connect() as many, connect() as few:
            await many.send(b"".join(request("daemon.status", number=n) for n in range(1000)))
            assert (await many.reply())["id"] == 0
            assert "result" in await few.call("daemon.status")
            # By far not all that was asked before has been answered.
            assert handlers.asked < 500
            assert [(await many.reply())["id"] for _ in range(999)] == list(range(1, 1000))

    async def test_more_than_a_connection_may_have_in_flight_is_told_busy(self, path):
        handlers = Handlers()
        async with serving(path, handlers) as connect, connect() as client:
            await client.send(b"".join(request("task.wait", number=n) for n in range(connection.MAX_IN_FLIGHT + 5)))
            busy = [await client.reply() for _ in range(5)]
            assert {reply["error"]["code"] for reply in busy} == {BUSY}
            assert sorted(reply["id"] for reply in busy) == list(
                range(connection.MAX_IN_FLIGHT, connection.MAX_IN_FLIGHT + 5)
            )
            handlers.gate.set()
            for _ in range(connection.MAX_IN_FLIGHT):
                assert "result" in await client.reply()
            assert "result" in await client.call("daemon.status")

    async def test_a_slow_call_holds_up_no_other(self, path):
        handlers = Handlers()
        async with serving(path, handlers) as connect, connect() as slow, connect() as quick:
            await slow.send(request("task.wait"))
            assert "result" in await slow.call("daemon.status", number=2)
            assert "result" in await quick.call("daemon.status")
            handlers.gate.set()
            assert (await slow.reply())["result"]["done"]

    async def test_so_many_connections_and_no_more(self, path):
        async with serving(path) as connect, anyio.create_task_group() as group:
            opened = 0
            enough, leave = anyio.Event(), anyio.Event()

            async def stay():
                nonlocal opened
                async with connect() as client:
                    assert "result" in await client.call("daemon.status")
                    opened += 1
                    if opened == edge.MAX_CONNECTIONS:
                        enough.set()
                    await leave.wait()

            for _ in range(edge.MAX_CONNECTIONS):
                group.start_soon(stay)
            with anyio.fail_after(60):
                await enough.wait()
            async with connect() as client:
                assert (await client.reply())["error"]["code"] == BUSY
                assert await client.is_closed()
            leave.set()

        async with serving(path) as connect, connect() as client:
            assert "result" in await client.call("daemon.status")

    async def test_a_place_is_free_again_when_its_client_has_left(self, path, monkeypatch):
        monkeypatch.setattr(edge, "MAX_CONNECTIONS", 1)
        async with serving(path) as connect:
            for _ in range(5):
                async with connect() as client:
                    assert "result" in await client.call("daemon.status")
                await anyio.wait_all_tasks_blocked()

    async def test_who_does_not_read_is_not_read_on(self, path):
        handlers = Handlers()
        async with serving(path, handlers) as connect, connect() as client:
            calls = request("task.diff", {"task": "a", "offset": 50_000}) * 20_000
            with anyio.move_on_after(0.5) as patience:
                await client.send(calls)
            # The kernel's buffers took what they hold; the server took a few hundred and waits for its reader.
            assert patience.cancelled_caught
            assert len(handlers.calls) < 1000
            async with connect() as other:
                assert "result" in await other.call("daemon.status")
            while "error" in (reply := await client.reply()):
                assert reply["error"]["code"] == BUSY
            assert len(reply["result"]) == 50_000


async def test_who_leaves_before_the_answer_does_no_harm(path):
    handlers = Handlers()
    async with serving(path, handlers) as connect:
        async with connect() as client:
            await client.send(request("task.wait"))
            await client.send(request("daemon.status"))
            await client.reply()
        handlers.gate.set()
        async with connect() as client:
            assert "result" in await client.call("daemon.status")


async def test_the_end_of_the_server_ends_the_connections(path):
    async with serving(path) as connect:
        async with anyio.create_task_group() as group:
            client = await group.start(_held, connect)
            group.cancel_scope.cancel()
        del client
    assert not path.exists()


async def _held(connect, *, task_status):
    async with connect() as client:
        task_status.started(client)
        await anyio.sleep_forever()
