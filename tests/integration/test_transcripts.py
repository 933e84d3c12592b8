"""
The CLI's transcript files: what a killed process spent, each response once.
"""

import json
from datetime import UTC, datetime

import pytest

from factories import NOW, OPUS, PRICES, RUN, SONNET, make_run
from orchestrd.domain import events as ev
from orchestrd.domain.model import Usage
from orchestrd.domain.rows import RunRow, Spend
from orchestrd.protocol import messages as m
from orchestrd.runner import transcripts
from orchestrd.runner.coverage import Reading
from orchestrd.runner.meter import ACCOUNT, BEFORE, Meter
from orchestrd.runner.transcripts import Response, can_resume, carry, config_dir, read_spend, settle, settle_cut, sizes

SESSION = "93f86b6b-9f96-4f77-9508-f32406feb161"


def line(name: str, *, at: float = NOW + 1, model: str = OPUS, kind: str = "assistant", **usage) -> bytes:
    figures = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 1000} | usage
    entry = {
        "type": kind,
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
        "message": {"id": name, "model": model, "role": "assistant", "stop_reason": "tool_use", "usage": figures},
    }
    return json.dumps(entry).encode() + b"\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "projects" / "-home-dev" / SESSION / "subagents").mkdir(parents=True)
    return tmp_path


def write(folder, *lines: bytes, name: str = f"{SESSION}.jsonl") -> None:
    (folder / "projects" / "-home-dev" / name).write_bytes(b"".join(lines))


USED = Usage(input=100, output=20, cache_read=1000)


def told(model: str, at: float = NOW + 1) -> Response:
    return Response(model=model, usage=USED, at=at)


def test_where_the_cli_keeps_its_files(tmp_path):
    assert config_dir({"CLAUDE_CONFIG_DIR": str(tmp_path), "HOME": "/root"}) == tmp_path
    assert config_dir({"CLAUDE_CONFIG_DIR": "", "HOME": str(tmp_path)}) == tmp_path / ".claude"
    assert read_spend(config_dir({}), SESSION) == {}


def test_a_conversation_is_carried_to_another_folder_once(folder, tmp_path_factory):
    write(folder, b'{"type":"user"}\n', line("m1"))
    write(folder, line("m2"), name=f"{SESSION}/subagents/x.jsonl")
    write(folder, line("m3"), name="other.jsonl")
    elsewhere = tmp_path_factory.mktemp("login")
    carry(folder, elsewhere, SESSION)
    assert sizes(elsewhere, SESSION) == sizes(folder, SESSION)
    assert can_resume(elsewhere, SESSION)
    assert not list(elsewhere.rglob("other.jsonl"))
    write(folder, line("m1"), line("m4"))
    carry(folder, elsewhere, SESSION)
    assert sizes(elsewhere, SESSION) != sizes(folder, SESSION), "where one has begun, nothing is written any more"


def test_each_response_counts_once_however_many_lines_it_has(folder):
    write(folder, line("m1"), line("m1"), line("m1"), line("m2", model=SONNET))
    assert read_spend(folder, SESSION) == {"m1": told(OPUS), "m2": told(SONNET)}


def test_both_lifetimes_of_the_cache(folder):
    created = {"ephemeral_5m_input_tokens": 30, "ephemeral_1h_input_tokens": 20}
    write(
        folder,
        line("m1", cache_creation_input_tokens=50, cache_creation=created),
        line("m2", cache_creation_input_tokens=50),
    )
    found = read_spend(folder, SESSION)
    assert (found["m1"].usage.cache_write_5m, found["m1"].usage.cache_write_1h) == (30, 20)
    assert (found["m2"].usage.cache_write_5m, found["m2"].usage.cache_write_1h) == (50, 0)


def test_subagents_count(folder):
    write(folder, line("m1"))
    write(folder, line("s1", model=SONNET), name=f"{SESSION}/subagents/agent-a1.jsonl")
    assert read_spend(folder, SESSION).keys() == {"m1", "s1"}


def test_earlier_processes_of_the_conversation_do_not(folder):
    """
    Wherever the clock was set to meanwhile, and though a later line speaks of an earlier response again.
    """
    write(folder, line("old", at=NOW + 9))
    write(folder, line("s1"), name=f"{SESSION}/subagents/agent-a1.jsonl")
    before = sizes(folder, SESSION)
    write(folder, line("old", at=NOW + 9), line("m1", at=NOW - 9), line("old"))
    write(folder, line("s1"), line("s2"), name=f"{SESSION}/subagents/agent-a1.jsonl")
    write(folder, line("s3"), name=f"{SESSION}/subagents/agent-a2.jsonl")
    assert read_spend(folder, SESSION, beyond=before).keys() == {"m1", "s2", "s3"}
    assert read_spend(folder, SESSION, beyond={}).keys() == {"old", "m1", "s1", "s2", "s3"}


def test_of_an_older_version_s_run_its_start_tells(folder):
    write(folder, line("old", at=NOW - 1), line("m1", at=NOW))
    assert read_spend(folder, SESSION, since=NOW).keys() == {"m1"}


def test_other_conversations_do_not(folder):
    write(folder, line("x"), name="other.jsonl")
    assert read_spend(folder, SESSION) == {}


def test_damage_costs_only_the_line_it_is_in(folder):
    write(
        folder, line("m1"), line("m2")[:80] + b"\n", b'"assistant" \xff\n', b"[" * 5000 + b'"assistant"\n', b"\0\n",
        line("s", model="<synthetic>"), line("u", kind="user"), b'{"type":"assistant","message":"assistant"}\n',
        b'{"type":"assistant","timestamp":"never","message":{"id":"m9","model":"m"}}\n', line("m3")[:-1],
    )  # fmt: skip
    assert read_spend(folder, SESSION, since=NOW).keys() == {"m1", "m3"}


def reading(*, final: bool, model: str = OPUS, subagent: str | None = None, **usage) -> Reading:
    used = Usage(**usage)
    return Reading(model=model, usage=used, cost=PRICES.cost(model, used), final=final, subagent=subagent)


def meter(readings: dict[str, Reading], settled: set[str], account: dict[str, tuple[int, int]] | None = None) -> Meter:
    """
    What was read of these responses, the last turn included, and the account that came then: model to input tokens and
    nano-USD.
    """
    made = Meter(RUN, PRICES)
    list(made.account(m.ControlReply(request_id=BEFORE, ok=True, response={"session": {"model_usage": {}}})))
    hear(made, readings)
    if account is not None:
        usage = {
            model: {"inputTokens": tokens, "costUSD": nano / 1e9, "costBasis": "list"}
            for model, (tokens, nano) in account.items()
        }
        reply = m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response={"session": {"model_usage": usage}})
        list(made.account(reply))
    made.settled = settled
    return made


def hear(meter: Meter, readings: dict[str, Reading]) -> None:
    for name, known in readings.items():
        usage = m.MessageUsage(
            message_id=name, model=known.model, usage=known.usage, final=known.final, subagent=known.subagent
        )
        list(meter.read(usage))


class TestSettle:
    def test_nothing_is_open(self):
        assert settle(RUN, meter({}, set()), {}, PRICES) is None
        assert settle(RUN, meter({}, {"m1"}), {"m1": told(OPUS)}, PRICES) is None

    def test_the_transcript_replaces_a_snapshot(self):
        fact = settle(RUN, meter({"m1": reading(final=False, input=100, output=1)}, set()), {"m1": told(OPUS)}, PRICES)
        assert fact == ev.SpendSettled(
            run=RUN,
            source="transcript",
            spends=(ev.ModelSpend(model=OPUS, usage=USED, cost=100 * 4000 + 20 * 20_000 + 1000 * 200),),
            estimated=100 * 4000 + 20_000,
        )

    def test_a_final_reading_is_as_good(self):
        fact = settle(RUN, meter({"m1": reading(final=True, input=700, output=20)}, set()), {"m1": told(OPUS)}, PRICES)
        assert fact.spends[0].usage == Usage(input=700, output=20, cache_read=1000)

    def test_a_final_reading_that_lacks_what_was_sent_is_not(self):
        fact = settle(RUN, meter({"m1": reading(final=True, output=20)}, set()), {"m1": told(OPUS)}, PRICES)
        assert (fact.spends[0].usage, fact.estimated) == (USED, 20 * 20_000)

    def test_a_response_in_flight_counts_as_it_was_last_read(self):
        fact = settle(RUN, meter({"m1": reading(final=False, input=7, output=1)}, set()), {}, PRICES)
        assert fact.spends[0].cost == fact.estimated == 7 * 4000 + 20_000

    def test_what_a_result_has_covered_is_not_counted_again(self):
        transcript = {"m1": told(OPUS), "m2": told(OPUS, NOW + 2), "s1": told(SONNET, NOW + 2)}
        fact = settle(RUN, meter({"m2": reading(final=False, input=100)}, {"m1"}), transcript, PRICES)
        assert {spend.model: spend.usage for spend in fact.spends} == {OPUS: USED, SONNET: USED}

    def test_a_nested_subagent_that_no_stream_tells_of_was_covered_by_the_result_after_it(self):
        transcript = {"nested": told(SONNET, NOW + 1), "m1": told(OPUS, NOW + 2), "later": told(SONNET, NOW + 3)}
        fact = settle(RUN, meter({}, {"m1"}), transcript, PRICES)
        assert fact.spends == (ev.ModelSpend(model=SONNET, usage=USED, cost=PRICES.cost(SONNET, USED)),)

    def test_models_add_up(self):
        transcript = {"m1": told(OPUS), "m2": told(OPUS)}
        assert settle(RUN, meter({}, set()), transcript, PRICES).spends == (
            ev.ModelSpend(model=OPUS, usage=USED + USED, cost=2 * PRICES.cost(OPUS, USED)),
        )

    def test_what_the_cli_asks_the_api_for_itself_is_in_no_transcript(self):
        known = meter({"m1": reading(final=True, input=7)}, set(), {OPUS: (7, 28_001), SONNET: (3, 5)})
        fact = settle(RUN, known, {}, PRICES)
        assert {s.model: (s.usage.input, s.cost) for s in fact.spends} == {OPUS: (7, 28_001), SONNET: (3, 5)}

    def test_what_came_after_the_last_account_is_in_the_transcript(self):
        known = meter({"m1": reading(final=True, input=7)}, set(), {OPUS: (7, 28_000)})
        fact = settle(RUN, known, {"m2": told(OPUS)}, PRICES)
        assert [s.usage for s in fact.spends] == [USED + Usage(input=7)]

    @pytest.mark.parametrize("heard", ["after", "before", "never"])
    def test_what_the_cli_asked_for_itself_and_what_ended_later_are_both_counted(self, heard):
        """
        An account has $1.00 of the main conversation and $1.00 of a compaction; then a subagent's response ends that cost
        $2.10, whose beginning was heard before, after, or, of a nested one, never.
        """
        begun = {"s1": reading(final=False, subagent="a", input=25_000, output=1)}
        earlier = begun if heard == "before" else {}
        known = meter({"m1": reading(final=True, input=250_000), **earlier}, set(), {OPUS: (500_000, 2_000_000_000)})
        if heard == "after":
            hear(known, begun)
        transcript = {
            "m1": Response(model=OPUS, usage=Usage(input=250_000), at=NOW + 1),
            "s1": Response(model=OPUS, usage=Usage(input=25_000, output=100_000), at=NOW + 5),
        }
        (spend,) = settle(RUN, known, transcript, PRICES).spends
        assert (spend.cost, spend.usage) == (4_100_000_000, Usage(input=525_000, output=100_000))

    def test_a_model_that_is_answered_for_under_another_name_is_not_counted_twice(self):
        dated = f"{OPUS}-20261101"
        known = meter({"m1": reading(final=True, model=dated, input=100, output=20)}, set(), {OPUS: (100, 400_000)})
        known.told = {OPUS: Spend(usage=Usage(input=107, output=20), cost=828_000)}
        (spend,) = settle(RUN, known, {"m1": told(dated)}, PRICES).spends
        assert (spend.model, spend.cost) == (OPUS, 828_000)

    @pytest.mark.parametrize("heard", [True, False])
    def test_what_an_account_has_is_not_taken_from_the_transcript_again(self, heard):
        """
        Of three responses of one subagent, heard of or not, the account has two.
        """
        used = Usage(input=1000)
        names = ("s1", "s2", "s3")
        begun = {name: reading(final=False, subagent="a", input=1000) for name in names} if heard else {}
        known = meter({"m1": reading(final=True, input=7), **begun}, set(), {OPUS: (2007, 8_028_000)})
        transcript = {"m1": Response(model=OPUS, usage=Usage(input=7), at=NOW)}
        # Not in the order in which they came to their end.
        transcript |= {name: Response(model=OPUS, usage=used, at=NOW + 9 - n) for n, name in enumerate(names)}
        (spend,) = settle(RUN, known, transcript, PRICES).spends
        assert (spend.cost, spend.usage.input) == (12_028_000, 3007)


class TestCut:
    """
    A run that cannot be followed to its end: nobody knows which of its responses a result has covered.
    """

    def row(self, **more) -> RunRow:
        return make_run(RUN, **more)

    def test_it_cost_what_the_transcript_has_beyond_what_was_settled(self):
        row = self.row(
            settled={OPUS: Spend(usage=USED, cost=7)}, unsettled={OPUS: Spend(usage=Usage(input=1), cost=4000)}
        )
        fact = settle_cut(row, {"m1": told(OPUS), "m2": told(OPUS)}, PRICES)
        assert fact == ev.SpendSettled(
            run=RUN,
            source="transcript",
            spends=(ev.ModelSpend(model=OPUS, usage=USED, cost=PRICES.cost(OPUS, USED)),),
            estimated=4000,
        )

    def test_and_no_less_than_was_read(self):
        read = Spend(usage=Usage(input=5000, output=3), cost=40_000_000)
        row = self.row(unsettled={OPUS: read, SONNET: Spend(usage=Usage(input=1), cost=9)})
        fact = settle_cut(row, {"m1": told(OPUS)}, PRICES)
        assert {spend.model: (spend.usage, spend.cost) for spend in fact.spends} == {
            OPUS: (Usage(input=5000, output=20, cache_read=1000), 40_000_000),
            SONNET: (Usage(input=1), PRICES.cost(SONNET, Usage(input=1))),
        }

    def test_a_snapshot_is_no_other_model(self):
        row = self.row(settled={OPUS: Spend(usage=USED, cost=7)})
        fact = settle_cut(row, {"m1": told(f"{OPUS}-20261101")}, PRICES)
        assert fact.spends == ()

    def test_without_one_the_readings_stand(self):
        assert settle_cut(self.row(), {}, PRICES) is None


def test_one_as_long_as_its_owner_likes_is_read_to_a_limit(folder, monkeypatch):
    """
    A hole of any size takes no byte on the disk, and an agent one call.
    """
    monkeypatch.setattr(transcripts, "TRANSCRIPT_LIMIT", 1 << 20)
    monkeypatch.setattr(transcripts, "LINE_LIMIT", 1 << 16)
    write(folder, line("m1"))
    path = folder / "projects" / "-home-dev" / f"{SESSION}.jsonl"
    with path.open("r+b") as file:
        file.truncate(1 << 42)
    assert set(read_spend(folder, SESSION)) == {"m1"}
    assert not can_resume(folder, SESSION)
