"""
The scripted Messages API: scenarios behind HTTP on loopback, and the ledger of what was billed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import anyio
import msgspec
from anyio.abc import SocketAttribute, SocketStream, TaskStatus

from orchestrd.clock import Clock, SystemClock
from orchestrd.domain.model import Usage
from orchestrd.errors import RequestError
from orchestrd.rehearsal import sse
from orchestrd.rehearsal.conversation import Conversation, read_request
from orchestrd.rehearsal.http import Disconnected, Peer, Request
from orchestrd.rehearsal.ledger import Entry, Ledger
from orchestrd.rehearsal.reply import Reply, side_reply, step_reply, summary_reply, values_for
from orchestrd.rehearsal.scenario import Fault, FaultKind, Scenario, choose, due_fault, next_position
from orchestrd.rehearsal.template import fill_all

HOST = "127.0.0.1"

BEAT_SECONDS = 0.5
"""Between two signs that a stream which hangs is still open."""


class _Turn(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is due for one request.
    """

    asked: Conversation
    scenario: Scenario | None
    step: int | None
    fault: Fault | None
    reply: Reply


class RehearsalServer:
    """
    Serves *scenarios* on ``127.0.0.1``; *port* 0 takes a free one.

    `url` is known once `run` has started.  Only the counters of faults and the `ledger` live in memory: where a
    conversation stands is read from each request.
    """

    def __init__(self, scenarios: Sequence[Scenario], *, port: int = 0, clock: Clock | None = None) -> None:
        self.scenarios = tuple(scenarios)
        self.ledger = Ledger()
        self.url = ""
        self._port = port
        self._clock = clock or SystemClock()
        self._failed: Counter[tuple[str, int]] = Counter()
        self._answered: Counter[tuple[str, str, int | None]] = Counter()

    async def run(self, *, task_status: TaskStatus[str] = anyio.TASK_STATUS_IGNORED) -> None:
        """
        Serve until cancelled; ``started`` gives the base URL.
        """
        async with await anyio.create_tcp_listener(local_host=HOST, local_port=self._port) as listener:
            self.url = f"http://{HOST}:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610 - not Django's
            task_status.started(self.url)
            await listener.serve(self._serve)

    def reset(self) -> None:
        """
        Forget the ledger and every counter: the next conversation is the first.
        """
        self.ledger.clear()
        self._failed.clear()
        self._answered.clear()

    async def _serve(self, stream: SocketStream) -> None:
        async with stream:
            peer = Peer(stream)
            try:
                while (request := await peer.request()) is not None:
                    await self._answer(peer, request)
                    if not request.keep_alive:
                        break
            except Disconnected:
                pass
            except RequestError as error:
                refused = Request(method="", path="", headers={}, body=b"", keep_alive=False)
                try:
                    await _refuse(peer, refused, 400, "invalid_request_error", error.message, {"connection": "close"})
                except Disconnected:
                    pass

    async def _answer(self, peer: Peer, request: Request) -> None:
        if request.method == "POST" and request.path == "/v1/messages":
            await self._messages(peer, request)
        elif request.method == "POST" and request.path == "/v1/messages/count_tokens":
            # Four bytes a token is near enough for a budget bar.
            await peer.respond(request, 200, msgspec.json.encode({"input_tokens": len(request.body) // 4}))
        elif request.path == "/rehearsal/ledger":
            await peer.respond(request, 200, msgspec.json.encode(self.ledger.as_json()))
        elif request.method == "POST" and request.path == "/rehearsal/reset":
            self.reset()
            await peer.respond(request, 200, b"{}")
        elif request.path == "/v1/models":
            await peer.respond(request, 200, b'{"data":[],"has_more":false}')
        else:
            await peer.respond(request, 200, b"{}")

    async def _messages(self, peer: Peer, request: Request) -> None:
        try:
            turn = self._turn(read_request(request.body))
        except RequestError as error:
            await _refuse(peer, request, 400, "invalid_request_error", error.message)
            return
        broken = False
        # Whatever is slow below ends at once when the client goes: a killed agent leaves nothing hanging here.
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                await peer.gone()
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                await self._play(peer, request, turn)
            except Disconnected:
                broken = True
            group.cancel_scope.cancel()
        if broken:
            raise Disconnected

    def _turn(self, asked: Conversation) -> _Turn:
        scenario = choose(self.scenarios, asked.first)
        position = next_position(scenario, asked) if scenario else None
        step = None if asked.compaction else position
        fault = None
        if scenario and step is not None and step < len(scenario.steps):
            fault = due_fault(scenario.steps[step], self._failed[asked.key, step])
            if fault is not None:
                self._failed[asked.key, step] += 1
        nth = self._answered[asked.session, asked.key, step]
        self._answered[asked.session, asked.key, step] += 1
        now = int(self._clock.wall())
        if scenario is None or position is None:
            reply = side_reply(asked, nth=nth)
        elif asked.compaction:
            reply = summary_reply(asked, position, nth=nth)
        else:
            reply = step_reply(scenario, position, asked, nth=nth, now=now)
            if fault is not None and fault.headers:
                headers = fill_all(fault.headers, values_for(scenario, asked, 1), now)
                fault = msgspec.structs.replace(fault, headers=headers)
        return _Turn(asked=asked, scenario=scenario, step=step, fault=fault, reply=reply)

    async def _play(self, peer: Peer, request: Request, turn: _Turn) -> None:
        fault, reply = turn.fault, turn.reply
        headers = {**reply.headers, "request-id": reply.request_id}
        if fault is not None and fault.kind is FaultKind.ERROR:
            await anyio.sleep(fault.delay)
            self._note(turn, fault.status, Usage(), finished=True)
            headers = {"request-id": reply.request_id, **fault.headers}
            await _refuse(peer, request, fault.status, fault.type, fault.message, headers)
            return
        await anyio.sleep(reply.delay)
        n = self._note(turn, 200, msgspec.structs.replace(reply.usage, output=1), finished=False)
        if turn.asked.stream:
            await self._stream(peer, turn, headers)
        elif fault is None:
            await peer.respond(request, 200, sse.whole(reply), headers)
        elif fault.kind is FaultKind.HANG:
            await anyio.sleep_forever()
        else:
            raise Disconnected
        self.ledger.finish(n, reply.usage, self._clock.wall())

    async def _stream(self, peer: Peer, turn: _Turn, headers: dict[str, str]) -> None:
        events = sse.stream(turn.reply)
        if turn.fault is not None:
            # The middle of the stream: past message_start and into the content, before any usage is final.
            events = events[: max(2, len(events) // 2)]
        await peer.begin(headers)
        if turn.reply.pace:
            for event in events:
                await peer.chunk(event)
                await anyio.sleep(turn.reply.pace)
        else:
            await peer.chunk(b"".join(events))
        if turn.fault is None:
            await peer.chunk(b"")
            return
        if turn.fault.kind is FaultKind.HANG:
            while turn.fault.beat:
                await anyio.sleep(BEAT_SECONDS)
                await peer.chunk(sse.beat(turn.fault.beat))
            await anyio.sleep_forever()
        if turn.fault.kind is FaultKind.SSE_ERROR:
            await peer.chunk(sse.event(sse.error(turn.fault.type, turn.fault.message)))
            await peer.chunk(b"")
        raise Disconnected

    def _note(self, turn: _Turn, status: int, usage: Usage, *, finished: bool) -> int:
        n = self.ledger.next_n
        self.ledger.open(
            Entry(
                n=n,
                at=self._clock.wall(),
                scenario=turn.scenario.name if turn.scenario else None,
                conversation=turn.asked.key,
                session=turn.asked.session,
                message=turn.reply.id,
                model=turn.asked.model,
                step=turn.step,
                status=status,
                usage=usage,
                finished=finished,
            )
        )
        return n


async def _refuse(
    peer: Peer, request: Request, status: int, kind: str, message: str, headers: dict[str, str] | None = None
) -> None:
    await peer.respond(request, status, msgspec.json.encode(sse.error(kind, message)), headers or {})
