"""
Hold a world's journal against what its agents truly did: nothing lost, nothing twice, nothing of the money off.

It reads the database and the agents' ledger by itself and trusts the daemon in nothing.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from typing import Any, NamedTuple

import msgspec
from kit.journal import Event
from kit.processes import alive, belonging, parent

from harness.truth import Place, Truth
from harness.world import FaultWorld
from orchestrd.audit.facts import Acknowledged
from orchestrd.audit.finding import problems
from orchestrd.audit.home import check_home
from orchestrd.domain import events as ev
from orchestrd.domain.fold import fold
from orchestrd.domain.history import effective
from orchestrd.domain.rows import Row, RunRow
from orchestrd.domain.state import State

NANO_PER_CENT = 10_000_000


class Checked(NamedTuple):
    """
    What was found: *events* in the journal, of them *lost* and *doubled* against the agents' ledger, *cents* the difference
    of the money (summed over runs, each without its sign), and every *trouble* in a sentence.
    """

    events: int
    lost: int
    doubled: int
    cents: float
    trouble: tuple[str, ...]

    @property
    def counts(self) -> dict[str, Any]:
        """
        What `tally` takes.
        """
        return {"checked": self.events, "lost": self.lost, "doubled": self.doubled, "cents": self.cents}


def check(world: FaultWorld, *, acknowledged: Iterable[str] = ()) -> Checked:
    """
    `look`, and fail on any trouble.
    """
    found = look(world, acknowledged=acknowledged)
    assert not found.trouble, "\n".join(found.trouble[:40])
    return found


def look(world: FaultWorld, *, acknowledged: Iterable[str] = ()) -> Checked:
    """
    Everything that must hold whatever was killed: of every run, and of those whose exit is recorded that they are whole.

    Every request id in *acknowledged*, and every one the world was answered, must be in the journal.
    """
    # Before and after the journal: what agents had heard by then it must explain, and all it holds they must have done by now.
    heard = Truth(world.truth_rows())
    events, replies, rows = _read(world)
    truth = Truth(world.truth_rows())
    trouble: list[str] = []
    lost = doubled = 0
    for missing, extra, words in _differences(truth, events):
        lost, doubled = lost + missing, doubled + extra
        trouble += words
    off = 0
    for run, cost, possible in _money(truth, events, rows):
        least = min((abs(cost - p) for p in possible), default=0)
        off += least
        trouble += [f"{run}: the journal says {cost} nano-USD, the agent {sorted(possible)}"] if least else []
    trouble += _order(events) + _answers(heard, events)
    trouble += [
        f"request {name} was answered and is not there" for name in {*acknowledged, *world.acknowledged} - replies
    ]
    trouble += _unfolded(events, rows) + _processes(world, truth, events) + _home(world)
    return Checked(len(events), lost, doubled, off / NANO_PER_CENT, tuple(trouble))


def _read(world: FaultWorld) -> tuple[list[Event], set[str], list[Row]]:
    """
    Facts, request ids and rows, as of one moment.
    """
    with closing(sqlite3.connect(f"file:{world.home / 'var' / 'orchestrd.db'}?mode=ro", uri=True)) as db:
        db.execute("BEGIN")
        facts = db.execute("SELECT seq, at, type, run, body FROM events ORDER BY seq").fetchall()
        replies = {name for (name,) in db.execute("SELECT request FROM replies")}
        rows = [msgspec.json.decode(body, type=Row) for (body,) in db.execute("SELECT body FROM rows")]
    events = [
        {"seq": s, "at": at, "type": kind, "run": run, "event": json.loads(body)} for s, at, kind, run, body in facts
    ]
    return events, replies, rows


def _differences(truth: Truth, events: list[Event]) -> Iterable[tuple[int, int, list[str]]]:
    """
    ``(lost, doubled, sentences)`` for each kind of thing that must be recorded exactly once.
    """
    closed = {e["run"] for e in events if e["type"] == "run.exited"}
    begun = {(run, run): 1 for run in truth.started}
    known = {(e["run"], e["run"]): 1 for e in events if e["type"] == "run.started"}
    told, all_ = truth.calls(told=True), truth.calls(told=False)
    asked = truth.questions(told=True), truth.questions(told=False)
    # A killed agent may have told a call's result and not have noted it.
    for kind, type_, key, must, may in (
        ("call", "run.tool_called", "call", told, all_),
        ("the result of call", "run.tool_returned", "call", truth.returned, all_),
        ("the question of request", "question.asked", "request", *asked),
        ("the start of", "run.started", "run", Counter(begun), Counter(known)),
        ("the end of", "run.exited", "run", Counter(), Counter(known)),
    ):
        seen = Counter(
            (e["run"], e["event"][key]) for e in events if e["type"] == type_ and e["event"][key] is not None
        )
        low = {at: n - seen[at] for at, n in must.items() if seen[at] < n and at[0] in closed}
        high = {at: n - may[at] for at, n in seen.items() if n > may[at]}
        words = [f"{run}: {kind} {name} is missing" for run, name in low]
        words += [f"{run}: {kind} {name} is recorded {seen[run, name]} times" for run, name in high]
        yield sum(low.values()), sum(high.values()), words
    yield _spend(truth, events, closed)
    again = {run: pids for run, pids in truth.started.items() if len(pids) > 1}
    yield 0, len(again), [f"{run}: its agent was started {len(pids)} times" for run, pids in again.items()]
    said = [f"{run}: {what} was said twice, differently" for run, what in truth.contradictions]
    yield 0, len(said), said


def _spend(truth: Truth, events: list[Event], closed: set[str]) -> tuple[int, int, list[str]]:
    """
    Each response is seen with its whole cost: less is lost, more is counted twice.
    """
    seen: Counter[Place] = Counter()
    for e in events:
        if e["type"] == "run.spend_seen":
            seen[e["run"], e["event"]["message"]] += e["event"]["cost"]
    low = [at for at, r in truth.responses.items() if r.told and seen[at] < r.cost and at[0] in closed]
    high = [at for at, n in seen.items() if at not in truth.responses or n > truth.responses[at].cost]
    words = [
        f"{at[0]}: response {at[1]} is seen at {seen[at]} nano-USD, it is {truth.responses.get(at)}"
        for at in low + high
    ]
    return len(low), len(high), words


def _money(truth: Truth, events: list[Event], rows: list[Row]) -> Iterable[tuple[str, int, set[int]]]:
    """
    Each ended run, its cost by the journal, and what it may have cost by the agent.
    """
    cost = {row.key: row.cost for row in rows if isinstance(row, RunRow)}
    for e in events:
        if e["type"] == "run.exited":
            yield e["run"], cost.get(e["run"], 0), truth.spent(e["run"])


def _order(events: list[Event]) -> list[str]:
    numbers = [e["seq"] for e in events]
    return [] if numbers == list(range(1, len(numbers) + 1)) else ["the facts' numbers have gaps"]


def _answers(truth: Truth, events: list[Event]) -> list[str]:
    """
    The agent got the answer that the journal has, and the journal says so.
    """
    words = []
    asked = {e["event"]["question"]: e["event"] for e in events if e["type"] == "question.asked"}
    answered = {e["event"]["question"]: e["event"]["answer"] for e in events if e["type"] == "question.answered"}
    by_place = {(fact["run"], fact["request"]): name for name, fact in asked.items()}
    for place, answers in truth.answers.items():
        if answers is not None and by_place.get(place) not in answered:
            words.append(f"{place[0]}: the agent got an answer to request {place[1]}, the journal has none")
    for name, answer in answered.items():
        place = (asked[name]["run"], asked[name]["request"])
        got = (truth.answers.get(place) or {}).get(asked[name]["text"], "")
        if place in truth.answers and answer not in got:
            words.append(f"{name}: answered {answer[:80]!r}, the agent got {got[:80]!r}")
    withdrawn = {e["event"]["question"] for e in events if e["type"] == "question.withdrawn"}
    for e in events:
        # One that was taken back at the run's end is told to the next one.
        if e["type"] == "question.delivered" and e["event"]["question"] not in withdrawn:
            place = (asked[e["event"]["question"]]["run"], asked[e["event"]["question"]]["request"])
            if place[1] is not None and place[0] in truth.ended and place not in truth.answers:
                words.append(f"{e['event']['question']} is recorded as delivered, the agent got nothing")
    times = Counter(e["event"]["question"] for e in events if e["type"] == "question.answered")
    return words + [f"{name} is answered {n} times" for name, n in times.items() if n > 1]


def _unfolded(events: list[Event], rows: list[Row]) -> list[str]:
    """
    Where the rows are not what the facts add up to.
    """
    state = State()
    records = [ev.Record(seq=e["seq"], at=e["at"], event=msgspec.convert(e["event"], ev.AnyEvent)) for e in events]
    for record in effective(records):
        for row in fold(state, record):
            state.put(row)
    folded = {(type(row), row.key): row for row in state.own_rows()}
    stored = {(type(row), row.key): row for row in rows}
    keys = folded.keys() | stored.keys()
    return [
        f"row {key[0].__name__} {key[1]} is not what the facts add up to"
        for key in keys
        if folded.get(key) != stored.get(key)
    ]


def _home(world: FaultWorld) -> list[str]:
    """
    What the program's own audit of its home says.
    """
    ledger = {name: Acknowledged(method=method, result=result) for name, (method, result) in world.acknowledged.items()}
    logs = world.root.glob("daemon*.log")
    found = problems(check_home(world.home, environ=world.environ, ledger=ledger, logs=logs))
    return [f"{finding.invariant} {finding.subject}: {finding.detail}" for finding in found]


def _processes(world: FaultWorld, truth: Truth, events: list[Event]) -> list[str]:
    """
    Processes that should not be there, and agents that are not who they were.
    """
    closed = {e["run"] for e in events if e["type"] == "run.exited"}
    words = []
    for run in truth.started.keys() - closed:
        day, _, short = run.partition("/")
        try:
            agent = json.loads((world.run_dir(short, day) / "process.json").read_bytes())["agent"]
        except (OSError, ValueError):
            continue
        if agent not in truth.started[run]:
            words.append(f"{run}: its agent is {agent}, it was {truth.started[run]}")
    for pid, line in belonging(world.root):
        run = world.run_of(pid)
        if run in closed and alive(pid):
            words.append(f"{run}: process {pid} outlived it: {' '.join(line)[:200]}")
        above: int | None = pid
        while run is None and above not in (None, 0, 1) and world.daemon is not None and above != world.daemon.pid:
            above = parent(above)
        if run is None and above in (None, 0, 1) and alive(pid):
            words.append(f"process {pid} belongs to nobody: {' '.join(line)[:200]}")
    return words
