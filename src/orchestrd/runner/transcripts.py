"""
What a process spent after its last result, read from the CLI's own transcript files.

A killed process sends no result.  Its transcript holds, for each response that was complete about 0.1 s before the kill,
the final usage: one line per content block, all with the same ``message.id`` and figures (Claude Code 2.1.330).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from msgspec.structs import replace

from orchestrd.domain import events as ev
from orchestrd.domain.budget import PriceTable
from orchestrd.domain.model import Usage
from orchestrd.domain.rows import RunRow, Spend
from orchestrd.protocol.fields import api_usage, mapping, plain_model
from orchestrd.runner.coverage import held, names, sum_of, widest
from orchestrd.runner.meter import Meter
from orchestrd.storage.regular import open_regular
from orchestrd.storage.shortage import is_shortage

LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one transcript line that are read at once."""
TRANSCRIPT_LIMIT = 1 << 30
"""Bytes of one transcript that are read: the agent can make its file as long as it likes without a byte on the disk."""


def config_dir(env: Mapping[str, str]) -> Path:
    """
    Where a CLI with this environment keeps its files.
    """
    named = env.get("CLAUDE_CONFIG_DIR")
    return Path(named) if named else Path(env.get("HOME", "/nonexistent")) / ".claude"


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """
    One API response as a transcript has it: final *usage*; *at* is wall seconds.
    """

    model: str
    usage: Usage
    at: float


def sizes(folder: Path, session: str) -> dict[str, int]:
    """
    File, by its path below *folder* (`config_dir`), to its bytes now, of the session's transcripts, subagents included.
    """
    found: dict[str, int] = {}
    for path in _files(folder, session):
        with suppress(OSError):
            found[str(path.relative_to(folder))] = path.lstat().st_size
    return found


def read_spend(
    folder: Path, session: str, *, since: float = 0.0, beyond: Mapping[str, int] | None = None
) -> dict[str, Response]:
    """
    Message id → response, of the session's responses since wall time *since* that stand behind as many bytes of their file
    as *beyond* has for it, and not before; subagents included.

    *folder* is `config_dir`; files that are missing or damaged give what they can.
    """
    found: dict[str, Response] = {}
    earlier: dict[str, Response] = {}
    for path in _files(folder, session):
        known = (beyond or {}).get(str(path.relative_to(folder)), 0)
        try:
            with os.fdopen(open_regular(path), "rb") as file:
                for line in _lines(file):
                    if b'"assistant"' in line:
                        _take(line, since, earlier if file.tell() <= known else found)
        except OSError as error:
            if is_shortage(error):
                raise
    return {name: response for name, response in found.items() if name not in earlier}


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """
    The lines of a transcript, one at a time: it may be long, and one line of it is bounded, as is the whole.
    """
    while file.tell() < TRANSCRIPT_LIMIT and (line := file.readline(LINE_LIMIT)):
        yield line


def _files(folder: Path, session: str) -> list[Path]:
    projects = folder / "projects"
    return [*projects.glob(f"*/{session}.jsonl"), *projects.glob(f"*/{session}/subagents/*.jsonl")]


def carry(source: Path, target: Path, session: str) -> None:
    """
    Copy the session's conversation from the CLI's folder *source* to that at *target*, unless that has conversations already: an agent
    may have put anything there.

    Raises `OSError`.
    """
    if os.path.lexists(target / "projects"):
        return
    for path in _files(source, session):
        place = target / path.relative_to(source)
        place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(open_regular(path), "rb") as file, place.open("xb") as copy:
            shutil.copyfileobj(file, copy)


def can_resume(folder: Path, session: str) -> bool:
    """
    True when the session's conversation is on disk: the CLI refuses to resume one that is not.

    Its file appears up to 0.1 s after the first message was taken (Claude Code 2.1.330); a process that is killed before
    leaves nothing.
    """
    for path in (folder / "projects").glob(f"*/{session}.jsonl"):
        try:
            with os.fdopen(open_regular(path), "rb") as file:
                if any(b'"type":"user"' in line for line in _lines(file)):
                    return True
        except OSError as error:
            if is_shortage(error):
                raise
    return False


def _take(line: bytes, since: float, found: dict[str, Response]) -> None:
    try:
        entry = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    _read(entry, since, found)


def _read(entry: Any, since: float, found: dict[str, Response]) -> None:
    value = mapping(entry)
    message = mapping(value.get("message"))
    name, model = message.get("id"), message.get("model")
    if value.get("type") != "assistant" or not isinstance(name, str) or not isinstance(model, str):
        return
    if not name:
        return  # A gateway left it out: nobody can say whether it was counted.
    at = _wall(value.get("timestamp"))
    if model == "<synthetic>" or at < since:
        return
    found[name] = Response(model=plain_model(model), usage=api_usage(mapping(message.get("usage"))), at=at)


def _wall(text: Any) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


def settle(run: str, meter: Meter, transcript: Mapping[str, Response], prices: PriceTable) -> ev.SpendSettled | None:
    """
    The account of everything no result covered: what the CLI told while it worked, and of the responses that cannot be in that
    the transcript's figures where it has them, else our last reading.

    Responses of nested subagents are in no stream (Claude Code 2.1.330): one that is not newer than the newest response
    of which it is certain that a result covered it was covered by it too.  None when there is nothing to account for.
    """
    certain = meter.settled - meter.presumed
    covered = max((transcript[name].at for name in certain if name in transcript), default=0.0)
    spent: dict[str, tuple[str, Usage]] = {name: (r.model, r.usage) for name, r in meter.open.items()}
    for name, response in transcript.items():
        known = meter.open.get(name)
        if name in meter.settled or (known is None and response.at <= covered):
            continue
        # Both tell the same in the end; one that tells less was told less, by whatever lies between the CLI and the model.
        used = response.usage if known is None else widest(known.usage, response.usage)
        spent[name] = (response.model, used)
    if not spent and not meter.live:
        return None
    told_of = _told(meter, transcript, spent)
    beside = {name: used for name, used in spent.items() if name not in told_of}
    account = _account(run, _by_model(beside.values()), prices, estimated=0)
    spends = {spend.model: spend for spend in account.spends}
    for model, told in meter.told.items():
        more = spends.get(model, ev.ModelSpend(model=model, usage=Usage(), cost=0))
        spends[model] = ev.ModelSpend(model=model, usage=told.usage + more.usage, cost=told.cost + more.cost)
    found = tuple(spend for spend in spends.values() if spend.usage != Usage() or spend.cost)
    return replace(account, spends=found, estimated=meter.estimated({spend.model: spend.usage for spend in found}))


def _told(meter: Meter, transcript: Mapping[str, Response], spent: Mapping[str, tuple[str, Usage]]) -> set[str]:
    """
    Which of the responses that were *spent* are in what the CLI told last.

    What the stream told of only afterwards is not; of the others whose end it did not tell, and of those that it did not tell
    of at all, those are for which there is room, whole as the transcript has them, the oldest first.
    """
    found: set[str] = set()
    for model, told in meter.told.items():
        ours = {name: usage for name, (its, usage) in spent.items() if meter.names.get(its, its) == model}
        ended = {name for name in ours if name in meter.held and meter.open[name].final}
        unsure = [name for name in ours if name not in ended and (name in meter.held or name not in meter.open)]
        unsure.sort(key=lambda name: transcript[name].at if name in transcript else 0.0)
        found |= ended | held(told.usage, sum_of(ours[name] for name in ended), {name: ours[name] for name in unsure})
    return found


def settle_cut(row: RunRow, transcript: Mapping[str, Response], prices: PriceTable) -> ev.SpendSettled | None:
    """
    The same for a run whose stream was cut or cannot be followed, so that nobody can say any more which responses its results
    covered: the transcript's whole without what the journal has accounted for, and no less than it has read.  None, and the
    readings stand, when there is none.
    """
    if not transcript:
        return None
    whole = _by_model((response.model, response.usage) for response in transcript.values())
    known = {model: spend.usage for model, spend in row.by_model.items()}
    called = names(known, whole)
    whole = _by_model((called.get(model, model), usage) for model, usage in whole.items())
    rest = {model: beyond(usage, row.settled.get(model, Spend()).usage) for model, usage in whole.items()}
    for model, read in row.unsettled.items():
        rest[model] = widest(rest.get(model, Usage()), read.usage)
    account = _account(row.key, rest, prices, estimated=sum(spend.cost for spend in row.unsettled.values()))
    return replace(account, spends=tuple(_no_less(spend, row.unsettled) for spend in account.spends))


def _no_less(spend: ev.ModelSpend, read: Mapping[str, Spend]) -> ev.ModelSpend:
    return replace(spend, cost=max(spend.cost, read.get(spend.model, Spend()).cost))


def _by_model(spent: Iterable[tuple[str, Usage]]) -> dict[str, Usage]:
    found: dict[str, Usage] = {}
    for model, usage in spent:
        found[model] = found.get(model, Usage()) + usage
    return found


def _account(run: str, spent: dict[str, Usage], prices: PriceTable, *, estimated: int) -> ev.SpendSettled:
    spends = tuple(
        ev.ModelSpend(model=model, usage=usage, cost=prices.cost(model, usage))
        for model, usage in spent.items()
        if usage != Usage()
    )
    return ev.SpendSettled(run=run, source="transcript", spends=spends, estimated=estimated)


def beyond(whole: Usage, part: Usage) -> Usage:
    """
    *whole* without *part*, field by field, never below zero.
    """
    return Usage(**{name: max(0, getattr(whole, name) - getattr(part, name)) for name in whole.__struct_fields__})
