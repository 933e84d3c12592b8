"""
What a file holds: the decisions of the inspector, on captures and on files put together from them.
"""

import json
from pathlib import Path

import msgspec
import pytest

from orchestrd.domain.model import Usage
from orchestrd.protocol.inspection import Inspection, Inspector, SeenCall, SeenDenial, Tokens
from orchestrd.protocol.questions import AskedQuestion, read_ask

CAPTURES = Path(__file__).parents[1] / "data" / "claude-streams"
CONTRACT = {
    "file", "session", "models", "events", "malformed", "unknown", "results", "is_error", "terminal_reason",
    "cost_usd", "tokens", "tool_calls", "permission_denials", "questions",
}  # fmt: skip


def read(name: str) -> bytes:
    return (CAPTURES / f"{name}.jsonl").read_bytes()


def price(model: str, usage: Usage) -> int:
    assert model == "claude-opus-5-5"
    return usage.input * 4000 + usage.output * 20000 + usage.cache_read * 200 + usage.cache_write * 5000


def inspect(*parts: bytes, chunk: int = 1 << 20, priced: bool = False) -> Inspection:
    inspector = Inspector("f.jsonl", price=price if priced else None)
    data = b"".join(parts)
    for at in range(0, len(data), chunk):
        inspector.feed(data[at : at + chunk])
    return inspector.finish()


def test_the_shape_is_the_contract() -> None:
    value = json.loads(msgspec.json.encode(inspect(read("subagent"))))

    assert set(value) >= CONTRACT
    assert {"input", "output", "cache_read", "cache_write"} == set(value["tokens"])
    assert {"id", "name", "is_error", "subagent"} == set(value["tool_calls"][0])


def test_cost_is_what_was_spent_not_what_was_carried_over() -> None:
    """
    Facts: 0.00494, resumed 0.0777 in total, forked 0.08758 in total.
    """
    assert inspect(read("sid1")).cost_usd == 0.00494
    assert inspect(read("resume1")).cost_usd == 0.07276
    assert inspect(read("resume_fork")).cost_usd == 0.00494
    assert inspect(read("resume_budget")).cost_usd == 0.062
    assert inspect(read("ctl_usage_resume2")).cost_usd == 0.00494


def test_processes_in_a_row_add_up() -> None:
    both = inspect(read("sid1"), read("resume1"))
    assert (2, 0.0777, Tokens(input=160, output=590, cache_read=43800, cache_write=11300)) == (
        both.results,
        both.cost_usd,
        both.tokens,
    )
    # 2.1.197 begins again at 0 with each process: 0.1014, then 0.006675.
    old = inspect(read("v197_sid1"), read("v197_resume"))
    assert (old.cost_usd, old.tokens.input) == (0.108075, 160)
    mixed = inspect(read("v197_sid1"), read("resume_missing"), read("simple"))
    assert (mixed.cost_usd, inspect(read("resume_missing")).is_error) == (0.10634, True)


def result(total: float, tokens: int) -> bytes:
    models = {"claude-opus-5-5": {"inputTokens": tokens, "costUSD": total}}
    return (
        json.dumps({"type": "result", "is_error": False, "total_cost_usd": total, "modelUsage": models}).encode()
        + b"\n"
    )


def test_a_total_that_falls_is_another_process() -> None:
    cheaper, smaller = inspect(result(0.3, 10), result(0.1, 20)), inspect(result(0.0, 10), result(0.0, 5))

    assert (cheaper.cost_usd, cheaper.tokens.input) == (0.4, 30)
    assert smaller.tokens.input == 15
    # Within one process it rises, and only the last one counts.
    rising = inspect(result(0.1, 10), result(0.3, 20))
    assert (rising.cost_usd, rising.tokens.input) == (0.3, 20)


def test_a_response_a_result_has_told_of_is_not_added_again() -> None:
    lines = read("partial").splitlines(keepends=True)
    late = [entry for entry in lines if b'"message_delta"' in entry][-1].replace(
        b'"output_tokens":80', b'"output_tokens":81'
    )
    seen = inspect(*lines, late, priced=True)

    assert (seen.cost_usd, seen.cost_is_estimate) == (0.07276, False)


def test_subagents_are_paid_for_once() -> None:
    seen = inspect(read("subagent"))

    assert (2, 0.01713, Tokens(input=135, output=320, cache_read=2700, cache_write=1930)) == (
        seen.results,
        seen.cost_usd,
        seen.tokens,
    )
    agent, bash = seen.tool_calls
    assert SeenCall(id="toolu_fake000131", name="Bash", is_error=False, subagent=agent.id) == bash


def test_two_models() -> None:
    seen = inspect(read("ctl_queries"))

    assert (seen.models, seen.cost_usd) == (("claude-opus-5-5", "claude-sonnet-5-5"), 0.0025)


def test_a_killed_run_is_an_estimate() -> None:
    bare, priced = inspect(read("SIGKILL_tool")), inspect(read("SIGKILL_tool"), priced=True)

    assert (
        bare.is_error,
        bare.terminal_reason,
        bare.results,
        bare.cost_is_estimate,
        bare.cost_usd,
    ) == (None, None, 0, True, 0.0)
    # 100 in, 1 out, 1000 read, 50 written: 0.0004 + 0.00002 + 0.0002 + 0.00025.
    assert priced.cost_usd == 0.00087
    assert not inspect(read("multi_acceptEdits")).cost_is_estimate


def test_responses_after_the_last_result_count() -> None:
    whole = read("fifo_reattach")
    lines = whole.splitlines(keepends=True)
    cut = next(at for at, entry in reversed(list(enumerate(lines))) if b'"type":"result"' in entry)
    seen = inspect(*lines[:cut], priced=True)

    assert (seen.results, seen.cost_is_estimate, seen.is_error) == (1, True, False)
    # 0.00375 told; then 10 in, 1 out (a snapshot), 2000 read, 500 written.
    assert pytest.approx(seen.cost_usd) == 0.00375 + 0.00004 + 0.00002 + 0.0004 + 0.0025
    assert (seen.tokens.input, seen.tokens.output) == (310, 61)


def test_partial_messages_know_what_a_killed_run_wrote() -> None:
    lines = read("partial").splitlines(keepends=True)
    seen = inspect(*[entry for entry in lines if b'"type":"result"' not in entry], priced=True)

    # Facts: this stream's result says 0.07276.
    assert (seen.cost_usd, seen.tokens.output, seen.cost_is_estimate) == (0.07276, 490, True)


def test_a_killed_run_has_its_call_without_a_result() -> None:
    assert [call.is_error for call in inspect(read("crash")).tool_calls] == [None]


def test_denials_from_every_source() -> None:
    hook = inspect(read("hook_subagent_deny"))
    assert [("Bash", hook.tool_calls[1].id)] == [(d.tool_name, d.tool_use_id) for d in hook.permission_denials]
    lines = read("hook_pre_deny").splitlines(keepends=True)
    killed = inspect(*[entry for entry in lines if b'"type":"result"' not in entry])
    assert inspect(read("hook_pre_deny")).permission_denials == killed.permission_denials
    assert SeenDenial(tool_name="Bash", tool_use_id="toolu_fake000543") == killed.permission_denials[0]


@pytest.mark.parametrize("name", ["ask", "v197_ask", "ctl_ask", "ctl_ask_deny", "ctl_pending_sigterm"])
def test_questions_are_told_once(name: str) -> None:
    assert inspect(read(name)).questions == ("Which DB?",)


def test_questions_of_the_operator_tool() -> None:
    assert len(inspect(read("mcp_ask5")).questions) == 1
    assert inspect(read("ctl_hooks_sdkmcp")).questions == ("Proceed?",)
    assert inspect(read("multi_acceptEdits")).questions == ()


@pytest.mark.parametrize("name", ["ctl_ask", "ctl_hooks_sdkmcp", "ctl_queries"])
@pytest.mark.parametrize("chunk", [1 << 20, 1000])
def test_recordings_of_both_directions(name: str, chunk: int) -> None:
    assert inspect(read(name)) == inspect(read(f"{name}.wire"), chunk=chunk)


def test_damage_is_told() -> None:
    data = read("multi_acceptEdits")
    seen = inspect(b"oops\n", data, b'{"type":"hologram"}\n', data[:50])

    assert (seen.malformed, seen.unknown, seen.unknown_types, seen.torn_tail) == (2, 1, {"hologram": 1}, 50)
    assert (data.count(b"\n") + 1, 0.07276) == (seen.events, seen.cost_usd)
    empty = inspect()
    assert (empty.session, empty.models, empty.events, empty.is_error) == (None, (), 0, None)


def test_errors_and_retries() -> None:
    failed = inspect(read("e529forever_mr2"))

    assert (failed.is_error, failed.api_retries) == (True, 2)
    assert failed.errors[0].startswith("server_error: ")


def test_chunks_do_not_matter() -> None:
    data = read("ctl_hooks_sdkmcp") + read("subagent")

    assert inspect(data) == inspect(data, chunk=997)


def test_read_ask_is_tolerant() -> None:
    assert (AskedQuestion(text="Go?"),) == read_ask({"question": "Go?"})
    assert (AskedQuestion(text="Go?"),) == read_ask({"questions": ["Go?", 7, {}, {"question": ["?"]}]})
    odd = {"question": "Which?", "header": 3, "multiSelect": True, "options": ["A", {"label": "B"}, {"x": 1}, None]}
    assert (AskedQuestion(text="Which?", multi=True, options=(("A", ""), ("B", ""))),) == read_ask({"questions": [odd]})
    assert read_ask({}) == ()
