"""
The client's connection to the daemon: real Unix sockets, a peer that follows a script byte for byte.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orchctl import client as transport
from orchctl.client import Client
from orchctl.failures import Failed, Misuse, Remote, Unreachable, exit_status
from orchestrd.protocol import api, jsonrpc

PID = 4242
DAEMON = api.DaemonStatus(pid=PID, started_at="2026-11-22T08:00:00.000Z", version="0.1.0")


class Peer:
    """
    One accepted connection, as a script uses it.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._lines = connection.makefile("rb")

    def request(self) -> jsonrpc.Request:
        return jsonrpc.decode_request(self._lines.readline())

    def params(self, request: jsonrpc.Request) -> Any:
        return msgspec.json.decode(request.params, type=api.METHODS[request.method].params)

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def close(self) -> None:
        self._lines.close()
        self.connection.close()


Script = Callable[[Peer], None]


@contextmanager
def serving(path: Path, *scripts: Script) -> Iterator[list[BaseException]]:
    """
    Serves one connection per script, in order; a script's failure fails the test.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen()
    troubles: list[BaseException] = []

    def run() -> None:
        for script in scripts:
            connection, _ = listener.accept()
            peer = Peer(connection)
            try:
                script(peer)
            except BaseException as error:
                troubles.append(error)
            finally:
                peer.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield troubles
        thread.join(5)
        assert not thread.is_alive(), "a scripted connection was never made"
        assert troubles == []
    finally:
        listener.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "d.sock"


def answer(value: Any) -> Script:
    def script(peer: Peer) -> None:
        peer.send(jsonrpc.result_line(peer.request().id, value))

    return script


def hang_up(peer: Peer) -> None:
    peer.request()


def event(seq: int) -> bytes:
    record = api.EventRecord(seq=seq, at="2026-11-22T08:00:00.000Z", type="t", event={"type": "t"})
    return jsonrpc.notification_line("event", record)


def test_a_reply_becomes_the_methods_struct(path: Path) -> None:
    with serving(path, answer(DAEMON)), closing(Client(path)) as client:
        assert client.call("daemon.status") == DAEMON


def test_a_reply_in_single_bytes_is_the_same(path: Path) -> None:
    def drip(peer: Peer) -> None:
        line = jsonrpc.result_line(peer.request().id, DAEMON)
        for byte in line:
            peer.send(bytes([byte]))

    with serving(path, drip), closing(Client(path)) as client:
        assert client.call("daemon.status") == DAEMON


def test_one_connection_carries_many_calls_also_when_replies_come_together(path: Path) -> None:
    def script(peer: Peer) -> None:
        for pid in (1, 2, 3):
            status = msgspec.structs.replace(DAEMON, pid=pid)
            # A notification in front of the reply belongs to nobody here.
            peer.send(event(pid) + jsonrpc.result_line(peer.request().id, status))

    with serving(path, script), closing(Client(path)) as client:
        assert [client.call("daemon.status").pid for _ in range(3)] == [1, 2, 3]


def test_a_short_line_after_a_long_one_that_came_in_parts(path: Path) -> None:
    begun = threading.Event()

    def script(peer: Peer) -> None:
        note = jsonrpc.notification_line("later.invention", {"text": "x" * 50_000})
        peer.send(jsonrpc.result_line(peer.request().id, api.Subscribed(seq=1)) + note[:40_000])
        begun.wait(5)
        peer.send(note[40_000:] + event(2) + event(3))

    with serving(path, script), closing(Client(path).subscribe(1, outlast=0)) as news:
        assert news.next(0.02) is None
        begun.set()
        assert [record.seq for record in (news.next(2), news.next(2)) if record] == [2, 3]


def test_a_reply_of_a_mebibyte_arrives_whole(path: Path) -> None:
    text = "é" * (jsonrpc.MAX_LINE // 2 - 200)
    diff = api.Diff(task="d/t", run="d/t/1", text=text)
    with serving(path, answer(diff)), closing(Client(path)) as client:
        assert client.call("task.diff", api.DiffQuery(task="t")).text == text


def test_nobody_there_is_unreachable_and_says_what_to_do(path: Path) -> None:
    with pytest.raises(Unreachable, match="not running") as caught:
        Client(path).call("daemon.status")
    assert exit_status(caught.value) == 3
    assert "orchctl daemon start" in caught.value.hint


def test_a_socket_without_a_listener_is_unreachable(path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as dead:
        dead.bind(str(path))
    with pytest.raises(Unreachable, match="not running"):
        Client(path).call("daemon.status")


@pytest.mark.parametrize(
    ("status", "expected"), [(2, 2), (4, 4), (5, 5), (74, 4), (75, 4), (78, 4), (None, 4), ("x", 4)]
)
def test_the_daemons_errors_carry_their_exit_status(path: Path, status: Any, expected: int) -> None:
    def script(peer: Peer) -> None:
        error = jsonrpc.ErrorObject(code=-32021, message="no such task", data={"hint": "look", "exit_status": status})
        peer.send(jsonrpc.error_line(peer.request().id, error))

    raises = pytest.raises(Remote, match="no such task")
    with serving(path, script), closing(Client(path)) as client, raises as caught:
        client.call("task.logs", api.LogsQuery(task="t"))
    assert (exit_status(caught.value), caught.value.code, caught.value.hint) == (expected, -32021, "look")


def test_an_error_without_an_id_answers_our_call(path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(jsonrpc.error_line(None, jsonrpc.ErrorObject(code=jsonrpc.BUSY, message="too busy")))

    with serving(path, script), closing(Client(path)) as client, pytest.raises(Remote, match="too busy"):
        client.call("daemon.status")


def test_invalid_parameters_are_a_usage_error(path: Path) -> None:
    def script(peer: Peer) -> None:
        error = jsonrpc.ErrorObject(code=jsonrpc.INVALID_PARAMS, message="expected `int`")
        peer.send(jsonrpc.error_line(peer.request().id, error))

    with serving(path, script), closing(Client(path)) as client, pytest.raises(Remote) as caught:
        client.call("daemon.status")
    assert exit_status(caught.value) == 2


def test_a_write_is_made_again_with_the_same_request_id_when_the_daemon_dies_mid_reply(path: Path) -> None:
    seen: list[str | None] = []

    def die(peer: Peer) -> None:
        request = peer.request()
        seen.append(peer.params(request).request_id)
        peer.send(jsonrpc.result_line(request.id, api.Changed(changed=["x"]))[:20])

    def live(peer: Peer) -> None:
        request = peer.request()
        seen.append(peer.params(request).request_id)
        peer.send(jsonrpc.result_line(request.id, api.Changed(changed=["d/t"])))

    with serving(path, die, live), closing(Client(path)) as client:
        done = client.call("task.cancel", api.TaskNames(tasks=["t"]))
    assert done.changed == ["d/t"]
    assert seen[0] is not None
    assert seen[0] == seen[1]


def test_two_writes_have_two_request_ids_and_a_given_one_is_kept(path: Path) -> None:
    seen: list[str | None] = []

    def script(peer: Peer) -> None:
        for _ in range(3):
            request = peer.request()
            seen.append(peer.params(request).request_id)
            peer.send(jsonrpc.result_line(request.id, api.Changed()))

    with serving(path, script), closing(Client(path)) as client:
        for given in (None, None, "mine"):
            client.call("task.retry", api.TaskNames(tasks=["t"], request_id=given))
    assert seen[2] == "mine"
    assert len(set(seen)) == 3


def test_a_daemon_that_hangs_up_twice_is_unreachable(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "DOUBT_SECONDS", 0.0)
    raises = pytest.raises(Unreachable, match="before it answered")
    with serving(path, hang_up, hang_up), closing(Client(path)) as client, raises:
        client.call("task.cancel", api.TaskNames(tasks=["t"]))


def test_stop_is_never_sent_twice(path: Path) -> None:
    with serving(path, hang_up), closing(Client(path)) as client, pytest.raises(Unreachable, match="hung up"):
        client.call("daemon.stop")


def test_a_watcher_outlasts_a_restart(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_RETRY_SECONDS", 0.005)
    results: list[Any] = []

    def watch() -> None:
        # A client belongs to one thread.
        with closing(Client(path)) as client:
            results.append(client.call("daemon.status", outlast=10.0))

    thread = threading.Thread(target=watch)
    with serving(path, hang_up):
        thread.start()
    path.unlink()
    with serving(path, answer(DAEMON)):
        thread.join(10)
    assert results == [DAEMON]


def test_no_reply_in_time_is_unreachable(path: Path) -> None:
    released = threading.Event()

    def silent(peer: Peer) -> None:
        peer.request()
        released.wait(5)

    with serving(path, silent), closing(Client(path)) as client:
        with pytest.raises(Unreachable, match="did not answer within"):
            client.call("daemon.status", timeout=0.05)
        released.set()


@pytest.mark.parametrize(
    ("terminal", "method"), [(True, "daemon.status"), (False, "daemon.status"), (True, "task.wait")]
)
def test_a_person_is_told_what_is_waited_for(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], terminal: bool, method: str
) -> None:
    """
    Once, at a terminal, and not where the silence is what was asked for.
    """
    monkeypatch.setattr(transport, "WORD_SECONDS", 0.01)
    monkeypatch.setattr("sys.stderr.isatty", lambda: terminal)
    released = threading.Event()

    def silent(peer: Peer) -> None:
        peer.request()
        released.wait(5)

    with serving(path, silent), closing(Client(path)) as client:
        with pytest.raises(Unreachable, match=r"within 0\.1 s"):
            client.call(method, timeout=0.1)
        released.set()
    told = terminal and method == "daemon.status"
    assert capsys.readouterr().err.count("the daemon has not answered yet") == told


@pytest.mark.parametrize("line", [b"not json\n", b'{"jsonrpc":"2.0","id":1}\n', b"\xff\xfe\n"])
def test_garbage_is_one_named_error(path: Path, line: bytes) -> None:
    def script(peer: Peer) -> None:
        peer.request()
        peer.send(line)

    with serving(path, script), closing(Client(path)) as client, pytest.raises(Failed):
        client.call("daemon.status")


def test_a_result_of_another_shape_names_the_versions(path: Path) -> None:
    raises = pytest.raises(Failed, match="another shape")
    with serving(path, answer({"pid": "x"})), closing(Client(path)) as client, raises as caught:
        client.call("daemon.status")
    assert "versions" in caught.value.hint


def test_a_call_over_the_limit_is_not_sent(path: Path) -> None:
    with pytest.raises(Misuse, match="too many"):
        Client(path).call("task.submit", api.TaskSubmit(path="x", text="x" * jsonrpc.MAX_LINE))


def test_facts_come_in_order_also_those_before_the_reply(path: Path) -> None:
    def script(peer: Peer) -> None:
        request = peer.request()
        assert peer.params(request).since == 4
        peer.send(event(5) + jsonrpc.result_line(request.id, api.Subscribed(seq=5)) + event(6)[:30])
        peer.send(event(6)[30:] + event(7))

    with serving(path, script), closing(Client(path).subscribe(4, outlast=0)) as news:
        assert [record.seq for _, record in zip(range(3), news, strict=False)] == [5, 6, 7]
        assert news.last == 7


def test_a_gap_is_mended_by_subscribing_from_the_last_fact(path: Path) -> None:
    def slow(peer: Peer) -> None:
        peer.send(jsonrpc.result_line(peer.request().id, api.Subscribed(seq=1)))
        peer.send(event(2) + event(3) + jsonrpc.notification_line("gap", {"since": 3}))
        peer._lines.readline()

    def resumed(peer: Peer) -> None:
        request = peer.request()
        assert peer.params(request).since == 3
        # A daemon that starts a little early must not make a fact come twice.
        peer.send(jsonrpc.result_line(request.id, api.Subscribed(seq=9)) + event(3) + event(4) + event(5))

    with serving(path, slow, resumed), closing(Client(path).subscribe(1, outlast=0)) as news:
        assert [record.seq for _, record in zip(range(4), news, strict=False)] == [2, 3, 4, 5]


def test_a_broken_subscription_goes_on_where_it_was(path: Path) -> None:
    def dies(peer: Peer) -> None:
        peer.send(jsonrpc.result_line(peer.request().id, api.Subscribed(seq=10)) + event(11) + event(12)[:15])

    def again(peer: Peer) -> None:
        request = peer.request()
        assert peer.params(request).since == 11
        peer.send(jsonrpc.result_line(request.id, api.Subscribed(seq=12)) + event(12))

    with serving(path, dies, again), closing(Client(path).subscribe(outlast=5)) as news:
        assert [record.seq for _, record in zip(range(2), news, strict=False)] == [11, 12]


def test_waiting_for_news_ends_in_time(path: Path) -> None:
    done = threading.Event()

    def quiet(peer: Peer) -> None:
        peer.send(jsonrpc.result_line(peer.request().id, api.Subscribed(seq=1)) + event(2)[:10])
        done.wait(5)

    with serving(path, quiet), closing(Client(path).subscribe(1)) as news:
        assert news.next(0.02) is None
        done.set()


def test_a_daemon_that_stays_away_ends_the_subscription(path: Path) -> None:
    def dies(peer: Peer) -> None:
        peer.send(jsonrpc.result_line(peer.request().id, api.Subscribed(seq=10)))

    with serving(path, dies):
        news = Client(path).subscribe(10, outlast=0)
    path.unlink()
    with pytest.raises(Unreachable, match="not running"):
        news.next(1)
