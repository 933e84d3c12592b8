"""
The rehearsal model's HTTP, as a client sees it, and its command.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.streams.buffered import BufferedByteReceiveStream

from orchestrd.rehearsal.scenario_file import load_scenarios
from orchestrd.rehearsal.server import RehearsalServer

pytestmark = pytest.mark.anyio

SCENARIOS = b"""
scenarios:
  - match: greet
    steps: [{text: Hello}]
  - match: hang
    steps: [{hang: true, text: A long sentence that is never heard to its end}]
  - match: cut
    steps: [{cut: true, text: A long sentence that is never heard to its end}]
  - match: limit
    steps: [{error: {status: 429, retry_after: 3, headers: {reset: "{now+5}"}}}]
  - match: lost
    vars: {tree: "Tree: (.+)"}
    steps: [{text: "{tree}"}]
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class NoonClock:
    def wall(self) -> float:
        return 1000.0

    monotonic = wall

    def zone(self) -> Any:
        raise AssertionError


@pytest.fixture
async def server() -> AsyncIterator[RehearsalServer]:
    made = RehearsalServer(load_scenarios(SCENARIOS, "s.yaml"), clock=NoonClock())
    async with anyio.create_task_group() as group:
        await group.start(made.run)
        yield made
        group.cancel_scope.cancel()


class Client:
    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.incoming = BufferedByteReceiveStream(stream)

    async def head(self) -> tuple[int, dict[str, str]]:
        with anyio.fail_after(60):
            lines = (await self.incoming.receive_until(b"\r\n\r\n", 65536)).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        return int(lines[0].split(" ")[1]), headers

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        status, headers = await self.head()
        with anyio.fail_after(60):
            if headers.get("transfer-encoding") != "chunked":
                return status, headers, await self.incoming.receive_exactly(int(headers["content-length"]))
            body = b""
            while size := int(await self.incoming.receive_until(b"\r\n", 20), 16):
                body += await self.incoming.receive_exactly(size)
                await self.incoming.receive_exactly(2)
            await self.incoming.receive_exactly(2)
        return status, headers, body

    async def post(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        await self.stream.send(b"POST %s HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (path.encode(), len(body)) + body)
        return await self.answer()

    async def say(self, text: str, *, stream: bool = False) -> tuple[int, dict[str, str], bytes]:
        return await self.post("/v1/messages?beta=true", ask(text, stream=stream))


def ask(text: str, *, stream: bool = False) -> bytes:
    return json.dumps({"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]}).encode()


@pytest.fixture
async def client(server: RehearsalServer) -> AsyncIterator[Client]:
    async with await connect(server) as stream:
        yield Client(stream)


async def connect(server: RehearsalServer) -> SocketStream:
    return await anyio.connect_tcp("127.0.0.1", int(server.url.rpartition(":")[2]))


async def test_one_connection_carries_many_requests(server: RehearsalServer, client: Client) -> None:
    status, headers, body = await client.say("greet")
    assert status == 200
    assert headers["request-id"].startswith("req_")
    assert json.loads(body)["content"] == [{"type": "text", "text": "Hello"}]

    status, headers, body = await client.say("greet", stream=True)
    assert headers["content-type"] == "text/event-stream"
    assert body.startswith(b"event: message_start\n")
    assert body.endswith(b'data: {"type":"message_stop"}\n\n')

    status, _, body = await client.say("nobody knows this")
    assert b"OK." in body
    assert [entry.scenario for entry in server.ledger.entries] == ["greet", "greet", None]
    assert [(e.usage.input, e.usage.output) for e in server.ledger.entries] == [(1000, 100), (1000, 100), (50, 10)]


async def test_pipelined_requests_are_answered_in_order(client: Client) -> None:
    one = b"POST /v1/messages HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(ask("greet")) + ask("greet")
    await client.stream.send(one + b"GET /v1/models HTTP/1.1\r\n\r\n" + one)

    assert b"Hello" in (await client.answer())[2]
    assert json.loads((await client.answer())[2]) == {"data": [], "has_more": False}
    assert b"Hello" in (await client.answer())[2]


async def test_a_body_in_chunks_byte_by_byte(client: Client) -> None:
    body = ask("greet")
    chunks = (
        b"".join(b"%x;note=1\r\n%s\r\n" % (len(part), part) for part in (body[:7], body[7:])) + b"0\r\nT: 1\r\n\r\n"
    )
    for byte in b"POST /v1/messages HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks:
        await client.stream.send(bytes([byte]))

    assert b"Hello" in (await client.answer())[2]


async def test_a_body_of_many_megabytes(client: Client) -> None:
    status, _, body = await client.say("greet" + "x" * 8_000_000)

    assert status == 200
    assert b"Hello" in body


async def test_a_client_that_asks_whether_to_go_on_is_told_so(client: Client) -> None:
    body = ask("greet")
    await client.stream.send(
        b"POST /v1/messages HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    with anyio.fail_after(60):
        assert await client.incoming.receive_until(b"\r\n\r\n", 100) == b"HTTP/1.1 100 Continue"
    await client.stream.send(body)

    assert (await client.answer())[0] == 200


async def test_other_paths_get_a_small_answer(server: RehearsalServer, client: Client) -> None:
    await client.stream.send(b"HEAD /api/hello HTTP/1.1\r\n\r\n")
    assert (await client.head())[0] == 200
    await client.stream.send(b"GET / HTTP/1.1\r\n\r\n")
    assert (await client.answer())[2] == b"{}"
    assert (await client.post("/api/event_logging/batch", b"x"))[2] == b"{}"
    assert json.loads((await client.post("/v1/messages/count_tokens", b"x" * 100))[2]) == {"input_tokens": 25}
    assert server.ledger.entries == ()


async def test_errors_have_the_apis_shape(server: RehearsalServer, client: Client) -> None:
    status, headers, body = await client.say("limit")

    assert status == 429
    assert (headers["retry-after"], headers["reset"]) == ("3", "1005")
    assert json.loads(body)["error"] == {
        "type": "rate_limit_error",
        "message": "This request would exceed your rate limit",
    }
    assert (await client.say("limit"))[0] == 200
    assert [entry.usage.total for entry in server.ledger.entries] == [0, 1100]


async def test_a_variable_that_is_not_there_is_told_to_the_agent(client: Client) -> None:
    status, _, body = await client.say("lost")

    assert status == 400
    assert b"{tree} is not in the first user message" in body


@pytest.mark.parametrize(
    "data", [b"rubbish\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"GET /" + b"x" * 70_000]
)
async def test_what_is_no_http_is_refused_and_the_server_lives(
    server: RehearsalServer, client: Client, data: bytes
) -> None:
    await client.stream.send(data)
    status, headers, _ = await client.answer()

    assert (status, headers["connection"]) == (400, "close")
    async with await connect(server) as stream:
        assert (await Client(stream).say("greet"))[0] == 200


async def test_a_body_that_is_no_request_is_a_400(client: Client) -> None:
    assert (await client.post("/v1/messages", b"{"))[0] == 400
    assert (await client.say("greet"))[0] == 200


async def test_a_client_that_leaves_a_hanging_stream_is_let_go(server: RehearsalServer) -> None:
    before = len(anyio.get_running_tasks())
    async with await connect(server) as stream:
        client = Client(stream)
        body = ask("hang", stream=True)
        await stream.send(b"POST /v1/messages HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert (await client.head())[0] == 200
        with anyio.fail_after(60):
            await client.incoming.receive_until(b"content_block_start", 65536)
    with anyio.fail_after(60):
        while len(anyio.get_running_tasks()) > before:
            await anyio.wait_all_tasks_blocked()
    async with await connect(server) as stream:
        _, _, body = await Client(stream).say("hang", stream=True)

    assert b"message_stop" in body
    assert [(entry.finished, entry.usage.output) for entry in server.ledger.entries] == [(False, 1), (True, 100)]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_answer_ends_without_its_end(server: RehearsalServer, stream: bool) -> None:
    async with await connect(server) as connection:
        with pytest.raises((anyio.IncompleteRead, anyio.EndOfStream)):
            await Client(connection).say("cut", stream=stream)

    assert [entry.finished for entry in server.ledger.entries] == [False]


async def test_a_reset_makes_everything_new(server: RehearsalServer, client: Client) -> None:
    await client.say("limit")
    await client.post("/rehearsal/reset", b"")
    status, _, _ = await client.say("limit")
    await client.stream.send(b"GET /rehearsal/ledger HTTP/1.1\r\n\r\n")
    (row,) = json.loads((await client.answer())[2])

    assert status == 429
    assert {
        "n": 2,
        "at": "1970-01-01T00:16:40.000Z",
        "scenario": "limit",
        "conversation": server.ledger.entries[0].conversation,
        "session": "",
        "message": server.ledger.entries[0].message,
        "model": "m",
        "step": 0,
        "status": 429,
        "usage": {"input": 0, "output": 0, "cache_read": 0, "cache_write_5m": 0, "cache_write_1h": 0},
        "finished": True,
        "ended": None,
    } == row


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "orchestrd.rehearsal", *args]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_tells_its_address_and_ends_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "s.yaml").write_bytes(SCENARIOS)
    ready = tmp_path / "ready"
    with subprocess.Popen(
        command(str(tmp_path / "s.yaml"), "--ready-file", str(ready)), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        url = ready.read_text().strip()
        with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])), timeout=60):
            process.send_signal(number)

            assert process.wait(timeout=60) == 0
    assert f"listening on {url}\n" == said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ready", "s.yaml"]


@pytest.mark.slow
def test_the_command_names_what_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("scenario: []\n")
    wrong = subprocess.run(command(str(bad)), capture_output=True, text=True, check=False)
    missing = subprocess.run(command(str(tmp_path / "no.yaml")), capture_output=True, text=True, check=False)
    good = tmp_path / "s.yaml"
    good.write_bytes(SCENARIOS)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        busy = subprocess.run(command(str(good), "--port", port), capture_output=True, text=True, check=False)

    assert (78, f"{bad}:1: scenario: unknown key 'scenario'; did you mean 'scenarios'?\n") == (
        wrong.returncode,
        wrong.stderr,
    )
    assert (78, f"{tmp_path}/no.yaml: No such file or directory\n") == (missing.returncode, missing.stderr)
    assert busy.returncode == 74
    assert port in busy.stderr
