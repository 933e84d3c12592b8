"""
F17: usage comes repeated, cumulative, out of order, or not at all.  Each response is counted once, the CLI's own account
has the last word, and a difference between the two is kept and reported.

`tests/unit/test_interpreter.py` (carried-over totals, the older CLI, settling) belongs to this row too.
"""

from __future__ import annotations

import json
import time

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import aside, busy, emit, gate, result, say, stream
from harness.world import GONE
from hypothesis import given
from hypothesis import strategies as st
from kit.script import DAY, task

from factories import OPUS, PRICES
from orchestrd.domain import events as ev
from orchestrd.domain.model import Usage
from orchestrd.policy.verdict import ALLOW
from orchestrd.protocol.claude import ClaudeStream
from orchestrd.protocol.messages import MessageUsage
from orchestrd.protocol.turns import REMEMBERED
from orchestrd.runner.interpreter import Interpreter

MUTANTS = (
    Mutant(
        "a repeated reading is counted again",
        file="runner/meter.py",
        old="        more = message.usage if known is None else minus(message.usage, known.usage)\n"
        "        extra = cost if known is None else cost - known.cost\n",
        new="        more = message.usage\n        extra = cost\n",
        test="test_each_response_is_counted_once_in_whatever_order_it_is_told",
    ),
    Mutant(
        "a late snapshot undoes the final figures",
        file="runner/meter.py",
        old="(known is not None and known.final and not message.final)",
        new="False",
        test="test_a_response_the_stream_forgot_is_not_counted_again",
    ),
    Mutant(
        "an end is booked on the response that began last",
        file="protocol/turns.py",
        old="memory.name(given, subagent) if given else memory.opened(subagent)",
        new="memory.opened(subagent) or memory.name(given, subagent)",
        test="test_each_response_is_counted_once_in_whatever_order_it_is_told",
    ),
    Mutant(
        "a reading after the account is counted again",
        file="runner/meter.py",
        old="name in self.settled or (known",
        new="(known",
        test="test_a_response_the_stream_forgot_is_not_counted_again",
    ),
    Mutant(
        "what the account covers is noted once it is gone",
        file="runner/meter.py",
        old="        self.settled |= self.open.keys()\n        self.open = later\n",
        new="        self.open = later\n        self.settled |= self.open.keys()\n",
        test="test_what_the_account_covers_is_not_counted_again",
    ),
    Mutant(
        "readings are kept beside the account",
        file="domain/fold/spend.py",
        old="settled=settled, unsettled={}, drift=drift",
        new="settled=settled, drift=drift",
        test="test_a_difference_is_kept_and_reported",
    ),
    Mutant(
        "the difference is forgotten",
        file="domain/fold/spend.py",
        old="row.drift + sum(s.cost for s in e.spends) - e.estimated",
        new="row.drift",
        test="test_a_difference_is_kept_and_reported",
    ),
    Mutant(
        "what the CLI tells is added to what it told before",
        file="domain/fold/spend.py",
        old="return [replace(row, unsettled={s.model: Spend(usage=s.usage, cost=s.cost) for s in e.spends})]",
        new="return [replace(row, unsettled={s.model: row.unsettled.get(s.model, Spend()).plus(s.usage, s.cost) "
        "for s in e.spends})]",
        test="test_what_only_the_account_tells_is_counted_while_it_works[-]",
    ),
    Mutant(
        "the CLI is never asked what it spends",
        file="runner/accounts.py",
        old="account = self._voice.ask_account()",
        new='account = ""',
        test="test_what_only_the_account_tells_is_counted_while_it_works[-]",
    ),
    Mutant(
        "what a conversation that is taken up had spent is counted again",
        file="runner/meter.py",
        old="self._accounted(totals, self._totals)",
        new="self._accounted(totals, {})",
        test="test_what_a_taken_up_conversation_had_spent_is_not_counted_again",
    ),
)

USAGES = st.fixed_dictionaries(
    {
        "input_tokens": st.integers(0, 5000),
        "output_tokens": st.integers(1, 3000),
        "cache_read_input_tokens": st.integers(0, 9000),
    }
)


def lines_of(name: str, usage: dict, subagent: str | None) -> list[bytes]:
    """
    One response as the CLI tells it: begun, its blocks with the usage of its beginning, its final figures.
    """
    first = {**usage, "output_tokens": 1}
    head = {"id": name, "model": OPUS, "content": [{"type": "text", "text": "x"}], "usage": first}
    about = {"parent_tool_use_id": subagent, "api_message_id": name}
    start = {"type": "stream_event", "event": {"type": "message_start", "message": {**head, "content": []}}, **about}
    block = {"type": "assistant", "message": head, "parent_tool_use_id": subagent}
    delta = {"type": "stream_event", "event": {"type": "message_delta", "usage": usage}, **about}
    return [json.dumps(line).encode() for line in (start, block, block, delta)]


def heard(
    lines: list[bytes], interpreter: Interpreter | None = None, reader: ClaudeStream | None = None
) -> list[ev.AnyEvent]:
    interpreter = interpreter or Interpreter("d/t/1", PRICES, lambda *_: ALLOW)
    reader = reader or ClaudeStream()
    return [fact for line in lines for fact in interpreter.take(reader.feed(line + b"\n")).facts]


@given(usages=st.lists(st.tuples(USAGES, st.sampled_from([None, "toolu_1"])), min_size=1, max_size=6), data=st.data())
def test_each_response_is_counted_once_in_whatever_order_it_is_told(usages, data):
    """
    Responses interleaved and each line any number of times; within a response only the beginning comes first, and once: a
    second one is of another response (`tests/unit/test_claude_lines.py`).
    """
    told = [lines_of(f"msg_{n}", usage, subagent) for n, (usage, subagent) in enumerate(usages)]
    starts = [lines[0] for lines in told]
    rest = [line for lines in told for line in lines[1:]]
    extra = data.draw(st.lists(st.sampled_from(rest), max_size=10))
    facts = heard(starts + data.draw(st.permutations(rest + extra)))
    seen = [fact for fact in facts if isinstance(fact, ev.SpendSeen)]
    for n, (usage, _) in enumerate(usages):
        own = [fact for fact in seen if fact.message == f"msg_{n}"]
        total = sum((fact.usage for fact in own), Usage())
        counted = {
            "input_tokens": total.input,
            "output_tokens": total.output,
            "cache_read_input_tokens": total.cache_read,
        }
        assert counted == usage
        assert sum(fact.cost for fact in own) == PRICES.cost(OPUS, total)


@given(data=st.data())
def test_what_the_account_covers_is_not_counted_again(data):
    """
    By a stream that knows the responses which are told once more, and by one that has forgotten them.
    """
    told = [lines_of(f"msg_{n}", {"input_tokens": 10, "output_tokens": 20 + n}, None) for n in range(3)]
    flat = [line for lines in told for line in lines]
    cost = sum(PRICES.cost(OPUS, Usage(input=10, output=20 + n)) for n in range(3))
    account = {OPUS: {"inputTokens": 30, "outputTokens": 63, "costUSD": cost / 1e9}}
    ended = json.dumps(
        {"type": "result", "subtype": "success", "num_turns": 3, "model_usage_since_last_result": account}
    ).encode()
    late = data.draw(st.lists(st.sampled_from([line for lines in told for line in lines[1:]]), max_size=10))
    interpreter = Interpreter("d/t/1", PRICES, lambda *_: ALLOW)
    facts = heard([*flat, ended, *late], interpreter) + heard(late, interpreter)
    (settled,) = [fact for fact in facts if isinstance(fact, ev.SpendSettled)]
    assert settled.estimated == cost
    assert sum(spend.cost for spend in settled.spends) == cost
    after = facts[facts.index(settled) :]
    assert not [fact for fact in after if isinstance(fact, ev.SpendSeen)]


@pytest.mark.parametrize("accounted", [False, True])
def test_a_response_the_stream_forgot_is_not_counted_again(accounted):
    """
    The stream's own memory of responses is bounded; a line of one that it forgot is told as news, and adds nothing.
    """
    told = [lines_of(f"msg_{n}", {"input_tokens": 10, "output_tokens": 20}, None) for n in range(REMEMBERED + 1)]
    ended = json.dumps(
        {"type": "result", "subtype": "success", "num_turns": 3, "model_usage_since_last_result": {}}
    ).encode()
    late = told[0][1]
    reader, interpreter = ClaudeStream(), Interpreter("d/t/1", PRICES, lambda *_: ALLOW)
    heard([line for lines in told for line in lines] + [ended] * accounted, interpreter, reader)
    messages = reader.feed(late + b"\n")
    assert [message.message_id for message in messages if isinstance(message, MessageUsage)] == ["msg_0"]
    assert not [fact for fact in interpreter.take(messages).facts if isinstance(fact, ev.SpendSeen)]


@pytest.mark.slow
def test_a_difference_is_kept_and_reported(fault_world, tally):
    """
    The CLI bills a response that its stream never told of (usage that is absent), and one for less than it said.
    """
    world = fault_world()
    silent = {"id": "msg_silent", "model": OPUS, "content": [{"type": "text", "text": "hm"}]}
    account = {OPUS: {"inputTokens": 100_000, "outputTokens": 500, "costUSD": 0.25, "costBasis": "list"}}
    world.script(
        "differs",
        [
            stream(3),
            emit(type="assistant", message=silent, parent_tool_use_id=None),
            gate("before"),
            result(model_usage_since_last_result=account, modelUsage=account),
        ],
    )
    world.script("agrees", [stream(3), say()])
    world.submit_tasks(task("differs"), task("agrees"), day=DAY)
    held = world.gate.arrive("before")
    world.restart()
    held.release()
    assert world.wait() == {"differs": "succeeded", "agrees": "succeeded"}
    readings = sum(e["event"]["cost"] for e in world.events("run.spend_seen", run=f"{DAY}/differs/1"))
    assert readings > 0
    shown = world.rpc("report.get", day=DAY)
    rows = {row["id"].rpartition("/")[2]: row for row in shown["data"]["tasks"]}
    assert rows["differs"]["cost_usd"] == 0.25
    assert rows["differs"]["drift_usd"] == pytest.approx(0.25 - readings / 1e9, abs=1e-12)
    assert rows["agrees"]["drift_usd"] == 0
    assert shown["markdown"].count("the CLI's account differs from tokens × prices by") == 1
    # By the agent's own ledger the account is off by just this: the check must say so, and nothing else.
    with pytest.raises(AssertionError, match=f"{DAY}/differs/1: the journal says 250000000"):
        check(world)
    tally(row="F17", kills=1, checked=len(world.events()), note="a difference is drift")


@pytest.mark.parametrize(
    "point", ["-", "session.spool.before_wake", "session.heard.before_record", "journal.committed"]
)
def test_what_only_the_account_tells_is_counted_while_it_works(fault_world, tally, point):
    """
    Whenever the daemon dies: as it asks, as it hears the answer, as it has it.
    """
    world = fault_world(start=point == "-")
    world.script(
        "a",
        [stream(3), aside(input=5000, output=300), stream(1), gate("first"), stream(2), aside(cache_read=90000),
         stream(1), gate("second"), say()],
    )  # fmt: skip
    deaths = 0
    if point != "-":
        world.start(f"{point}=kill@6")
    world.outlast(lambda: world.submit_tasks(task("a"), day=DAY))
    for name in ("first", "second"):
        arrived = world.kept(lambda seconds, name=name: world.gate.arrive(name, timeout=seconds))
        world.kept(lambda seconds: spent(world, seconds))
        arrived.release()
    world.kept(lambda seconds: world.wait_event("task.succeeded", timeout=seconds))
    deaths = world.starts - 1
    assert deaths == (point != "-")
    told = {e["seq"] for e in world.events("run.spend_told")}
    assert told
    tally("F17", kills=deaths, **check(world).counts)


def spent(world, seconds: float) -> bool:
    """
    Wait until the daemon shows what the agent has spent.
    """
    truth = sum(row["cost"] for row in world.truth_rows() if row["kind"] in ("message", "aside"))
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if round(world.rpc("task.status", day=DAY)["cost"]["spent_usd"] * 1e9) == truth:
                return True
        except GONE:
            break
        time.sleep(0.05)
    raise TimeoutError(truth)


def test_what_a_taken_up_conversation_had_spent_is_not_counted_again(fault_world, tally):
    """
    The account of the second run's process begins with all that the first one spent.
    """
    world = fault_world()
    world.script(
        "a",
        [stream(3), aside(input=5000, output=300), busy()],
        [stream(1), aside(output=700), stream(1), gate("on"), say()],
    )
    world.submit_tasks(task("a"), day=DAY)
    arrived = world.gate.arrive("on")
    world.kept(lambda seconds: spent(world, seconds))
    arrived.release()
    assert world.wait() == {"a": "succeeded"}
    assert [e["event"]["resumes"] for e in world.events("run.started")] == [False, True]
    tally("F17", **check(world).counts)
