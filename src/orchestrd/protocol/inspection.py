"""
What a captured stream-json file holds: the figures of ``orchctl inspect``, without a daemon.

Decided here, for any file, also one of several processes in a row:

- *session*: the first session id on any line.
- *models*: every model that answered or was billed, in order, without the CLI's ``[1m]`` suffix for a context window;
  when none answered, the model that the session was set to.
- *is_error*, *terminal_reason*: of the last result; None when there is none (a killed run).
- *cost_usd*, *tokens*: true spend of the processes in the file, all models, subagents included: what each result says was
  spent since the one before.  A CLI that does not say (2.1.197) tells a running total of its process, so the last one of
  each process counts.  Responses after the last result are added from their own usage, priced by the caller's table, and
  make the figure an estimate: the output of a response without its final figures is unknown.
- *permission_denials*: every call that a result, a denial event, or a tool result tells as refused, once each.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from orchestrd.domain.model import Usage, usd
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.fields import plain_model
from orchestrd.protocol.framer import LineFramer, OverlongLine
from orchestrd.protocol.messages import (
    ApiFailure,
    ApiRetry,
    HookRequest,
    Init,
    Malformed,
    Message,
    MessageUsage,
    PermissionDenied,
    PermissionRequest,
    Result,
    ToolCall,
    ToolResult,
)
from orchestrd.protocol.questions import questions_in
from orchestrd.protocol.spend import Spend

Price: TypeAlias = Callable[[str, Usage], int]
"""Model and tokens → nano-USD."""


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """
    Tokens of all models.
    """

    input: int
    output: int
    cache_read: int
    cache_write: int


class SeenCall(msgspec.Struct, frozen=True, kw_only=True):
    """
    One tool call.  *is_error* is None when its result is not in the file; *subagent*: the Agent call it belongs to.
    """

    id: str
    name: str
    is_error: bool | None
    subagent: str | None


class SeenDenial(msgspec.Struct, frozen=True, kw_only=True):
    """
    One refused tool call.
    """

    tool_name: str
    tool_use_id: str


class Inspection(msgspec.Struct, frozen=True, kw_only=True):
    """
    The figures of one file; the names are those of ``orchctl inspect --json``.

    *events* are the lines read, *malformed* the lines lost (also overlong ones, and a torn last line of *torn_tail*
    bytes), *unknown* the events and blocks of types this version does not know, by name in *unknown_types*.
    """

    file: str
    session: str | None
    models: tuple[str, ...]
    events: int
    malformed: int
    unknown: int
    results: int
    is_error: bool | None
    terminal_reason: str | None
    cost_usd: float
    tokens: Tokens
    tool_calls: tuple[SeenCall, ...]
    permission_denials: tuple[SeenDenial, ...]
    questions: tuple[str, ...]
    cost_is_estimate: bool
    cli_version: str | None
    errors: tuple[str, ...]
    """The API's final failures and the errors of results."""
    api_retries: int
    torn_tail: int
    unknown_types: dict[str, int]


class Inspector:
    """
    Reads one file.  *price* prices what no result tells; without it those responses cost 0.
    """

    def __init__(self, file: str = "", *, price: Price | None = None) -> None:
        self._file = file
        self._input: ClaudeStream | _Wire = ClaudeStream()
        self._chosen = False
        self._spend = Spend(price)
        self._calls: dict[str, ToolCall] = {}
        self._outcomes: dict[str, bool] = {}
        self._denials: dict[str, str] = {}
        self._questions: dict[tuple[str, str], None] = {}
        self._models: dict[str, None] = {}
        self._configured: dict[str, None] = {}
        self._errors: list[str] = []
        self._last: Result | None = None
        self._results = self._retries = self._torn = 0
        self._cli_version: str | None = None

    def feed(self, chunk: bytes) -> None:
        """
        Take the next bytes of the file.
        """
        if not self._chosen and chunk:
            # `{"t":..,"dir":..,"msg":..}`: a recording of both directions.
            self._chosen = True
            if chunk.lstrip().startswith(b'{"t":'):
                self._input = _Wire()
        self._note(self._input.feed(chunk))

    def finish(self) -> Inspection:
        """
        The file has ended.
        """
        self._note(self._input.finish())
        stream = self._input if isinstance(self._input, ClaudeStream) else self._input.stream
        usage, cost, estimate = self._spend.total()
        last = self._last
        return Inspection(
            file=self._file,
            session=stream.session or None,
            models=tuple(self._models or self._configured),
            events=stream.events,
            malformed=stream.malformed + stream.oversize,
            unknown=sum(stream.unknown.values()),
            results=self._results,
            is_error=last.is_error if last else None,
            terminal_reason=last.terminal_reason if last else None,
            cost_usd=usd(cost),
            tokens=Tokens(
                input=usage.input, output=usage.output, cache_read=usage.cache_read, cache_write=usage.cache_write
            ),
            tool_calls=tuple(self._seen(call) for call in self._calls.values()),
            permission_denials=tuple(
                SeenDenial(tool_name=name or self._name_of(call), tool_use_id=call)
                for call, name in self._denials.items()
            ),
            questions=tuple(text for _, text in self._questions),
            cost_is_estimate=estimate,
            cli_version=self._cli_version,
            errors=tuple(self._errors),
            api_retries=self._retries,
            torn_tail=self._torn,
            unknown_types=dict(stream.unknown),
        )

    def _note(self, messages: list[Message]) -> None:
        for message in messages:
            match message:
                case MessageUsage():
                    self._models.setdefault(plain_model(message.model))
                    self._spend.response(message)
                case Result():
                    self._result(message)
                case ToolCall():
                    self._calls.setdefault(message.id, message)
                    self._ask(message.id, message.name, message.input)
                case ToolResult():
                    self._outcomes[message.id] = message.is_error
                    if message.denied:
                        self._denials.setdefault(message.id, "")
                case PermissionDenied():
                    self._denials[message.tool_use_id] = message.tool_name
                case PermissionRequest():
                    self._ask(message.tool_use_id, message.tool_name, message.input)
                case HookRequest():
                    self._ask(message.tool_use_id, message.tool_name, message.tool_input)
                case Init():
                    self._configured.setdefault(plain_model(message.model))
                    self._cli_version = message.cli_version or self._cli_version
                case ApiFailure():
                    self._errors.append(f"{message.kind}: {message.text}")
                case ApiRetry():
                    self._retries += 1
                case Malformed(torn=True):
                    self._torn = message.length
                case _:
                    pass

    def _result(self, result: Result) -> None:
        self._results += 1
        self._last = result
        self._errors += result.errors
        for model in {**result.models_total, **(result.models_since or {})}:
            self._models.setdefault(plain_model(model))
        for denial in result.permission_denials:
            self._denials[denial.tool_use_id] = denial.tool_name
        self._spend.result(result)

    def _ask(self, call: str, tool_name: str, tool_input: dict[str, Any]) -> None:
        # The same question comes as a tool call, as a hook and as a request for leave.
        for question in questions_in(tool_name, tool_input):
            self._questions.setdefault((call, question.text))

    def _seen(self, call: ToolCall) -> SeenCall:
        return SeenCall(id=call.id, name=call.name, is_error=self._outcomes.get(call.id), subagent=call.subagent)

    def _name_of(self, call: str) -> str:
        return self._calls[call].name if call in self._calls else ""


class _Recorded(msgspec.Struct):
    dir: str = ""
    msg: msgspec.Raw = msgspec.Raw()


_RECORDED = msgspec.json.Decoder(_Recorded)


class _Wire:
    """
    A recording of both directions, of which only what came from the agent counts.
    """

    def __init__(self) -> None:
        self.stream = ClaudeStream()
        self._framer = LineFramer()

    def feed(self, chunk: bytes) -> list[Message]:
        out: list[Message] = []
        for piece in self._framer.feed(chunk):
            if isinstance(piece, OverlongLine):
                self.stream.oversize += 1
                continue
            for _, line in piece.lines():
                out += self._unwrap(line)
        return out

    def finish(self) -> list[Message]:
        tail = self._framer.finish()
        return self._unwrap(tail.data) if tail else []

    def _unwrap(self, line: bytes) -> list[Message]:
        try:
            recorded = _RECORDED.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            # Told as malformed by the stream itself.
            return self.stream.feed(line + b"\n")
        return self.stream.feed(bytes(recorded.msg) + b"\n") if recorded.dir == "<-" else []
