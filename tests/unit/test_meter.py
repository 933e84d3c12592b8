"""
What a process spends: readings, the accounts it gives while it works, and those of its results.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from factories import OPUS, PRICES, RUN, SONNET, make_run, make_task, started, submitted, tell
from orchestrd.domain import events as ev
from orchestrd.domain.model import Usage
from orchestrd.domain.rows import Spend
from orchestrd.domain.state import State
from orchestrd.protocol import messages as m
from orchestrd.protocol.results import read_result
from orchestrd.runner.meter import ACCOUNT, BEFORE, Meter
from orchestrd.runner.transcripts import Response, settle

K = Usage(input=1000)
"""Costs 4,000,000 nano-USD of OPUS by our prices."""


def said(
    name: str, usage: Usage, *, model: str = OPUS, final: bool = False, by: str | None = None, told: bool = True
) -> m.MessageUsage:
    return m.MessageUsage(message_id=name, model=model, usage=usage, final=final, subagent=by, told=told)


def account(number: int, **models: tuple[int, float]) -> m.ControlReply:
    """
    The reply to ``usage-N``: model to input tokens and USD.
    """
    names = {"opus": OPUS, "sonnet": SONNET}
    usage = {
        names[name]: {"inputTokens": tokens, "costUSD": cost, "costBasis": "list"}
        for name, (tokens, cost) in models.items()
    }
    response = {"session": {"total_cost_usd": sum(cost for _, cost in models.values()), "model_usage": usage}}
    return m.ControlReply(request_id=f"{ACCOUNT}{number}", ok=True, response=response)


def result(*, since: dict[str, tuple[int, float]] | None, total: dict[str, tuple[int, float]]) -> m.Result:
    def costs(models: dict[str, tuple[int, float]]) -> dict[str, m.ModelCost]:
        return {
            name: m.ModelCost(usage=Usage(input=tokens), cost_usd=usd, listed=True)
            for name, (tokens, usd) in models.items()
        }

    values: dict[str, Any] = dict.fromkeys(m.Result.__struct_fields__)
    values |= {"models_since": None if since is None else costs(since), "models_total": costs(total)}
    return m.Result(**values)


class Book:
    """
    A meter, and the run's row as the journal has it.
    """

    def __init__(self) -> None:
        self.meter = Meter(RUN, PRICES)
        self.state = State()
        self.facts: list[ev.AnyEvent] = []
        tell(self.state, *submitted(make_task()), started())

    def hear(self, *messages: m.MessageUsage | m.ControlReply | m.Result) -> list[ev.AnyEvent]:
        """
        The facts that these come to, which are recorded.
        """
        heard: list[ev.AnyEvent] = []
        for message in messages:
            match message:
                case m.MessageUsage():
                    facts = list(self.meter.read(message))
                case m.ControlReply():
                    facts = list(self.meter.account(message))
                case _:
                    facts = list(self.meter.settle(message))
            tell(self.state, *facts)
            heard += facts
            assert self.live == {k: v for k, v in self.meter.live.items() if v != Spend()}
        self.facts += heard
        return heard

    @property
    def row(self):
        row = self.state.run(RUN)
        assert row is not None
        return row

    @property
    def live(self) -> dict[str, Spend]:
        return {model: spend for model, spend in self.row.unsettled.items() if spend != Spend()}


@pytest.fixture
def book() -> Book:
    return Book()


def test_an_account_takes_the_place_of_what_was_read(book):
    book.hear(account(0), said("m1", K, final=True), said("s1", Usage(input=10), model=SONNET, by="a"))
    assert book.row.cost == 4_000_000 + PRICES.cost(SONNET, Usage(input=10))
    (told,) = book.hear(account(1, opus=(1000, 0.004), sonnet=(300, 0.0007)))
    assert told == ev.SpendTold(
        run=RUN,
        to_come=4_700_000,
        spends=(
            ev.ModelSpend(model=OPUS, usage=K, cost=4_000_000),
            ev.ModelSpend(model=SONNET, usage=Usage(input=300), cost=700_000),
        ),
    )
    assert book.row.cost == 4_700_000
    # Of a response that comes after it the reading is added again.
    book.hear(said("m2", K, final=True))
    assert book.row.cost == 8_700_000


def test_an_account_that_tells_nothing_new_is_no_fact(book):
    book.hear(account(0), said("m1", K, final=True))
    assert book.hear(account(1, opus=(1000, 0.004))) == []
    assert book.hear(account(2, opus=(1000, 0.004), sonnet=(0, 0.0))) == []


def test_what_a_session_had_paid_for_before_is_not_paid_again(book):
    book.hear(account(0, opus=(5000, 0.02)), said("m1", K, final=True))
    assert book.hear(account(1, opus=(6000, 0.024))) == []
    book.hear(account(2, opus=(8000, 0.032), sonnet=(1, 0.001)))
    assert {model: spend.cost for model, spend in book.live.items()} == {OPUS: 12_000_000, SONNET: 1_000_000}


def test_a_result_settles_it_and_the_next_account_goes_on_from_there(book):
    book.hear(account(0, opus=(5000, 0.02)), said("m1", K, final=True), account(1, opus=(7000, 0.028)))
    (settled,) = book.hear(result(since={OPUS: (2000, 0.008)}, total={OPUS: (7000, 0.028)}))
    # Of 1,000 tokens nothing was read: the CLI asked for something itself.
    assert (settled.estimated, book.row.drift) == (4_000_000, 4_000_000)
    assert (book.row.settled, book.live) == ({OPUS: Spend(usage=Usage(input=2000), cost=8_000_000)}, {})
    assert book.hear(account(2, opus=(7000, 0.028))) == []
    book.hear(account(3, opus=(7500, 0.030)))
    assert book.row.cost == 10_000_000


def test_a_difference_to_our_prices_shows(book):
    """
    The CLI counts half of what our list says: its figure counts, and the difference is told with the result.
    """
    book.hear(account(0), said("m1", K, final=True), account(1, opus=(1000, 0.002)))
    assert book.row.cost == 2_000_000
    book.hear(result(since={OPUS: (1000, 0.002)}, total={OPUS: (1000, 0.002)}))
    assert (book.row.cost, book.row.drift) == (2_000_000, -2_000_000)


@pytest.mark.parametrize("asked", [False, True])
def test_a_difference_to_what_was_read_shows_whether_an_account_was_asked_for_or_not(book, asked):
    """
    The CLI accounts for twice the tokens that its stream told of.
    """
    book.hear(account(0), said("m1", K, final=True))
    book.hear(*[account(1, opus=(2000, 0.008))] * asked)
    (settled,) = book.hear(result(since={OPUS: (2000, 0.008)}, total={OPUS: (2000, 0.008)}))
    assert (settled.estimated, book.row.cost, book.row.drift) == (4_000_000, 8_000_000, 4_000_000)


def test_what_no_stream_tells_of_a_subagent_is_no_difference(book):
    book.hear(account(0), said("m1", K, final=True), said("s1", Usage(input=1000, output=1), by="a"))
    usage = {OPUS: {"inputTokens": 2000, "outputTokens": 500, "costUSD": 0.018, "costBasis": "list"}}
    book.hear(told_result(model_usage_since_last_result=usage, modelUsage=usage))
    assert (book.row.cost, book.row.drift) == (18_000_000, 0)
    # What was sent, it does tell.
    book.hear(said("m2", K, final=True), said("s2", Usage(input=1000, output=1), by="a"))
    usage = {OPUS: {"inputTokens": 3000, "outputTokens": 500, "costUSD": 0.022, "costBasis": "list"}}
    book.hear(told_result(model_usage_since_last_result=usage, modelUsage=usage))
    assert (book.row.cost, book.row.drift) == (40_000_000, 4_000_000)


@pytest.mark.parametrize(
    "reply",
    [
        m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response={}),
        m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response={"session": {"total_cost_usd": 9.0}}),
        m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response={"session": {"model_usage": None}}),
    ],
)
def test_a_reply_that_tells_nothing_changes_nothing(book, reply):
    book.hear(account(0), said("m1", K, final=True))
    assert book.hear(reply) == []
    assert book.row.cost == 4_000_000


def test_where_nobody_told_what_was_before_readings_count_until_a_result(book):
    """
    A run that an earlier version began, or one of a CLI that does not know the question.
    """
    book.hear(said("m1", K, final=True))
    assert book.hear(account(1, opus=(6000, 0.024))) == []
    assert book.row.cost == 4_000_000
    book.hear(result(since={OPUS: (1000, 0.004)}, total={OPUS: (6000, 0.024)}))
    book.hear(account(2, opus=(6500, 0.026)))
    assert book.row.cost == 6_000_000


def test_a_cli_without_an_account_since_the_last_result(book):
    book.hear(account(0), said("m1", K, final=True), result(since=None, total={OPUS: (1000, 0.004)}))
    book.hear(account(1, opus=(2000, 0.008)))
    book.hear(result(since=None, total={OPUS: (3000, 0.012)}))
    assert (book.row.cost, book.row.settled[OPUS].usage.input) == (12_000_000, 3000)


def test_only_the_first_reply_is_of_before(book):
    book.hear(account(0, opus=(5000, 0.02)), account(0, opus=(9000, 0.036)))
    book.hear(account(1, opus=(6000, 0.024)))
    assert book.row.cost == 4_000_000
    assert f"{ACCOUNT}0" == BEFORE
    assert make_run().cost == 0


def guess(cost: float, *, model: str = OPUS, basis: str | None = None, **tokens: int) -> m.ControlReply:
    """
    An account of 2.1.197, or of a CLI that says upon what *basis* it counts.
    """
    entry = {**tokens, "costUSD": cost} | ({} if basis is None else {"costBasis": basis})
    response = {"session": {"total_cost_usd": cost, "model_usage": {model: entry}}}
    return m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response=response)


@pytest.mark.parametrize(
    ("model", "basis", "told", "nano"),
    [
        # It knows the price, whatever ours is.
        (OPUS, "list", 0.002, 2_000_000),
        ("unheard-of", "list", 0.002, 2_000_000),
        # It does not: ours counts, and of a model that neither knows the dearest.
        (OPUS, "unknown", 0.002, 4_000_000),
        (OPUS, None, 0.006, 4_000_000),
        ("unheard-of", "unknown", 0.002, 4_000_000),
        # Or what it says, when it says more.
        ("unheard-of", None, 0.006, 6_000_000),
    ],
)
def test_who_knows_the_price(book, model, basis, told, nano):
    book.hear(account(0), guess(told, model=model, basis=basis, inputTokens=1000))
    assert book.row.cost == nano


def test_what_is_kept_for_an_hour_is_read_where_the_account_does_not_tell(book):
    """
    2.1.197 counts it right when it knows the price, and tells one number for both.
    """
    written = Usage(cache_write_5m=300, cache_write_1h=200)
    book.hear(account(0), said("m1", written, final=True))
    right = PRICES.cost(OPUS, written)
    assert book.hear(guess(right / 1e9, cacheCreationInputTokens=500)) == []
    # More than all of it for an hour would cost is a guess.
    assert (
        book.hear(guess(PRICES.cost(OPUS, Usage(cache_write_1h=500)) / 1e9 + 1e-5, cacheCreationInputTokens=500)) == []
    )
    assert (book.row.cost, book.row.unsettled[OPUS].usage) == (right, written)


def test_a_search_costs_what_it_costs_also_where_the_price_is_a_guess(book):
    book.hear(account(0), guess(0.5, inputTokens=1000, webSearchRequests=3))
    assert book.row.cost == 4_000_000 + 3 * 10_000_000


def test_the_long_window_is_no_model_of_its_own(book):
    book.hear(account(0), said("m1", K, final=True))
    assert book.hear(guess(0.004, model=f"{OPUS}[1m]", inputTokens=1000)) == []
    assert list(book.live) == [OPUS]


def test_a_response_that_does_not_say_what_it_used(book):
    meter = book.meter
    meter.answered("m1")
    assert meter.unmetered.names == {"m1"}
    book.hear(said("m1", Usage(output=1)))
    assert meter.unmetered.names == {"m1"}, "no response is without a prompt"
    book.hear(said("m1", Usage(input=1000, output=1), final=True))
    assert meter.unmetered.names == set()
    meter.answered("m1")
    meter.answered("")
    assert meter.unmetered.names == set()


@pytest.mark.parametrize("first", ["words", "end"])
def test_a_response_that_said_something_took_output(book, first):
    meter = book.meter
    if first == "words":
        meter.answered("m1")
    book.hear(account(0), said("m1", K))
    assert meter.unmetered.names == set(), "it goes on"
    book.hear(said("m1", K, final=True))
    if first == "end":
        assert meter.unmetered.names == set(), "it said nothing"
        meter.answered("m1")
    assert meter.unmetered.names == {"m1"}
    # An account that has no more does not know either.
    book.hear(account(1, opus=(1000, 0.004)))
    assert meter.unmetered.names == {"m1"}
    usage = {OPUS: {"inputTokens": 1000, "outputTokens": 300, "costUSD": 0.01, "costBasis": "list"}}
    book.hear(m.ControlReply(request_id=f"{ACCOUNT}2", ok=True, response={"session": {"model_usage": usage}}))
    assert meter.unmetered.names == set()


@pytest.mark.parametrize(("tokens", "mute"), [(1000, {"m2"}), (1001, set())])
def test_an_account_that_knows_more_than_was_read_explains_it(book, tokens, mute):
    book.hear(account(0), said("m1", K, final=True))
    book.meter.answered("m2")
    book.hear(account(1, opus=(tokens, 0.004)))
    assert book.meter.unmetered.names == mute
    book.meter.answered("m3")
    book.hear(result(since={OPUS: (tokens, 0.004)}, total={OPUS: (tokens, 0.004)}))
    assert book.meter.unmetered.names == (mute and {"m2", "m3"})


# -- accounts that cannot be right -----------------------------------------------------------------------------------------

ODD = [None, -96.99, 2e295, "0.004", True, float("nan"), [], 1e7]


def entry(**odd: Any) -> m.ControlReply:
    """
    An account of OPUS whose entry is *odd*.
    """
    response = {"session": {"model_usage": {OPUS: {"inputTokens": 1000, "costBasis": "list"} | odd}}}
    return m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response=response)


def told_result(**fields: Any) -> m.Result:
    line = {"type": "result", "subtype": "success", "is_error": False, "terminal_reason": "completed", "num_turns": 3}
    return read_result(line | fields)


@pytest.mark.parametrize("cost", ODD)
def test_where_the_cost_cannot_be_read_our_list_counts(book, cost):
    book.hear(account(0), said("m1", Usage(input=1000, output=50), final=True))
    assert book.hear(entry(costUSD=cost, outputTokens=50)) == []
    assert book.row.cost == 5_000_000
    # Also of what no stream told.
    book.hear(entry(costUSD=cost, inputTokens=3000, outputTokens=50))
    assert book.row.cost == 13_000_000
    usage = {OPUS: {"inputTokens": 3000, "outputTokens": 50, "costUSD": cost, "costBasis": "list"}}
    book.hear(told_result(model_usage_since_last_result=usage, modelUsage=usage))
    assert book.row.cost == 13_000_000
    # What comes after it is told again.
    book.hear(entry(inputTokens=4000, outputTokens=50, costUSD=0.017))
    assert book.row.cost == 17_000_000


@pytest.mark.parametrize("output", [-4_999_950, "50many", 1e300, 12.5, 10**13])
@pytest.mark.parametrize("cost", [0.000001, 0.9])
def test_a_cost_with_a_count_in_it_that_is_none_is_no_cost(book, output, cost):
    book.hear(account(0), said("m1", Usage(input=1000, output=50), final=True))
    assert book.hear(entry(costUSD=cost, outputTokens=output)) == []
    usage = {OPUS: {"inputTokens": 1000, "outputTokens": output, "costUSD": cost, "costBasis": "list"}}
    book.hear(told_result(model_usage_since_last_result=usage, modelUsage=usage))
    assert (book.row.cost, book.row.drift, book.row.unsettled) == (5_000_000, 0, {})


def test_an_account_holds_no_less_than_what_was_read_to_its_end(book):
    book.hear(account(0), said("m1", Usage(input=1000, output=50), final=True), said("m2", K, final=True, model=SONNET))
    assert book.row.cost == 7_000_000
    for short in (entry(inputTokens=999, outputTokens=50, costUSD=0.0001), entry(costUSD=0.0001), account(1)):
        assert book.hear(short) == []
    # What it says of the one model counts all the same.
    book.hear(entry(inputTokens=1900, outputTokens=50, costUSD=0.0086))
    assert {model: spend.cost for model, spend in book.live.items()} == {OPUS: 8_600_000, SONNET: 2_000_000}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"modelUsage": {}},
        {"modelUsage": {}, "model_usage_since_last_result": {}},
        {"modelUsage": None, "model_usage_since_last_result": "none"},
        {"total_cost_usd": 8.0, "model_usage_since_last_result": {SONNET: {"inputTokens": 1, "costUSD": 0.000002}}},
    ],
)
def test_a_result_without_an_account_settles_what_was_read(book, fields):
    used = Usage(input=1_000_000, output=200_000)
    book.hear(account(0, opus=(5000, 0.02)), said("m1", used, final=True))
    (settled,) = book.hear(told_result(**fields))
    assert settled.source == "result"
    assert book.row.settled[OPUS] == Spend(usage=used, cost=8_000_000_000)
    # Its totals come again with the next account, and what was settled is not in them twice.
    book.hear(entry(inputTokens=1_006_000, outputTokens=200_000, costUSD=8.024))
    assert book.live == {OPUS: Spend(usage=K, cost=4_000_000)}
    book.hear(told_result(modelUsage={OPUS: {"inputTokens": 1_007_000, "outputTokens": 200_000, "costUSD": 8.028}}))
    assert book.row.settled[OPUS].cost == 8_008_000_000


def test_where_a_result_tells_nothing_what_was_read_is_settled_but_what_may_be_under_way(book):
    book.hear(account(0), said("m1", K, final=True), said("s1", K, by="a"), said("s2", K, by="a", model=SONNET))
    book.hear(told_result(model_usage_since_last_result={}, modelUsage={}))
    assert {model: spend.cost for model, spend in book.row.settled.items()} == {OPUS: 8_000_000}
    assert {model: spend.cost for model, spend in book.live.items()} == {SONNET: 2_000_000}


@pytest.mark.parametrize("name", [f"{OPUS}-20261101", "eu.some-gateway/opus"])
def test_a_model_that_is_answered_for_under_another_name_is_not_counted_twice(book, name):
    """
    The CLI counts by the name that it asked for; the service answers by that of a snapshot, or a gateway by its own.
    """
    book.hear(account(0), said("m1", K, model=name, final=True))
    book.hear(account(1, opus=(1000, 0.004)))
    assert (book.row.cost, book.live.keys()) == (4_000_000, {OPUS})
    book.hear(said("m2", K, model=name, final=True))
    assert book.row.cost == 8_000_000
    book.hear(account(2, opus=(2000, 0.008)))
    assert book.row.cost == 8_000_000
    book.hear(result(since={OPUS: (2000, 0.008)}, total={OPUS: (2000, 0.008)}))
    assert (book.row.cost, book.row.settled.keys()) == (8_000_000, {OPUS})


# -- a subagent's response that goes on when the turn of the main conversation ends -----------------------------------------


@pytest.fixture
def beyond(book) -> Book:
    """
    One that has told its beginning, and the result of the turn that does not have it.
    """
    book.hear(account(0), said("m1", K, final=True), said("s1", Usage(input=5000, output=1), by="a"))
    book.hear(result(since={OPUS: (1000, 0.004)}, total={OPUS: (1000, 0.004)}))
    return book


def test_it_is_still_counted_as_it_was_read(beyond):
    begun = Usage(input=5000, output=1)
    assert beyond.row.settled == {OPUS: Spend(usage=K, cost=4_000_000)}
    assert beyond.live == {OPUS: Spend(usage=begun, cost=20_020_000)}
    assert beyond.row.drift == 0
    assert beyond.meter.uncertain("s1", subagent=True)


def test_the_account_after_it_takes_its_place(beyond):
    told = {OPUS: {"inputTokens": 6000, "outputTokens": 300, "costUSD": 0.030, "costBasis": "list"}}
    beyond.hear(m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response={"session": {"model_usage": told}}))
    assert (beyond.row.cost, beyond.live[OPUS].cost) == (30_000_000, 26_000_000)
    assert not beyond.meter.uncertain("s1", subagent=True)
    since = {OPUS: {"inputTokens": 5000, "outputTokens": 300, "costUSD": 0.026, "costBasis": "list"}}
    beyond.hear(told_result(model_usage_since_last_result=since, modelUsage=told))
    assert (beyond.row.cost, beyond.live, beyond.row.drift, beyond.meter.open) == (30_000_000, {}, 0, {})


def test_the_transcript_has_its_end_where_no_account_came(beyond):
    transcript = {
        "m1": Response(model=OPUS, usage=K, at=1.0),
        "s1": Response(model=OPUS, usage=Usage(input=5000, output=300), at=9.0),
    }
    fact = settle(RUN, beyond.meter, transcript, PRICES)
    assert [(s.usage, s.cost) for s in fact.spends] == [(Usage(input=5000, output=300), 26_000_000)]


def test_one_for_which_the_result_has_room_is_no_measure_of_what_else_it_has(book):
    """
    A result has what the CLI asked for itself, as long as what was read of a subagent's response, which ends later: one of a nested
    subagent that ended meanwhile is in no result.
    """
    book.hear(account(0), said("m1", K, final=True), said("s1", K, by="a"))
    book.hear(result(since={OPUS: (2000, 0.008)}, total={OPUS: (2000, 0.008)}))
    transcript = {
        name: Response(model=OPUS, usage=K, at=at) for name, at in {"m1": 1.0, "nested": 5.0, "s1": 9.0}.items()
    }
    fact = settle(RUN, book.meter, transcript, PRICES)
    assert [spend.cost for spend in fact.spends] == [4_000_000]


def test_one_after_which_its_subagent_went_on_has_ended(book):
    """
    It was broken off, or what was read of it at its beginning was not right.
    """
    book.hear(account(0), said("m1", K, final=True), said("s1", Usage(input=9000), by="a"), said("s2", K, by="a"))
    book.hear(result(since={OPUS: (2000, 0.008)}, total={OPUS: (2000, 0.008)}))
    assert (book.row.cost, book.meter.open) == (8_000_000, {})


# -- what an account cannot hold yet ---------------------------------------------------------------------------------------


def test_what_is_under_way_stays_on_top_of_an_account(book):
    """
    Five subagents are being answered while an account comes that has one response of the main conversation.
    """
    begun = Usage(input=250_000, output=1)
    book.hear(account(0), *(said(f"s{n}", begun, by=f"a{n}") for n in range(5)), account(1, opus=(2500, 0.01)))
    assert book.row.cost == 10_000_000 + 5 * PRICES.cost(OPUS, begun)
    done = Usage(input=250_000, output=100)
    book.hear(*(said(f"s{n}", done, by=f"a{n}", final=True) for n in range(5)))
    truth = 10_000_000 + 5 * PRICES.cost(OPUS, done)
    assert book.row.cost == truth
    book.hear(entry(inputTokens=1_252_500, outputTokens=500, costUSD=truth / 1e9))
    assert book.row.cost == truth


def test_the_main_conversations_response_that_is_under_way_is_in_no_account(book):
    book.hear(account(0), said("m1", K, final=True), said("m2", K))
    # The CLI asked for something itself, as long as that.
    book.hear(account(1, opus=(2000, 0.008)))
    assert book.row.cost == 12_000_000
    book.hear(said("m2", Usage(input=1000, output=10), final=True))
    assert book.row.cost == 12_200_000
    book.hear(said("m3", K))
    book.hear(entry(inputTokens=3000, outputTokens=10, costUSD=0.0122))
    assert book.row.cost == 16_200_000
    book.hear(
        told_result(model_usage_since_last_result={OPUS: {"inputTokens": 3000, "costUSD": 0.0122, "costBasis": "list"}})
    )
    # The turn was broken off in it.
    assert book.row.cost == 12_200_000


@pytest.mark.parametrize(("tokens", "on_top"), [(1000, 6), (2000, 5), (3000, 4), (4000, 3), (6000, 1), (7000, 0)])
def test_a_subagents_responses_are_in_it_as_far_as_its_tokens_go(book, tokens, on_top):
    book.hear(account(0), said("m1", K, final=True))
    book.hear(*(said(f"{by}{n}", K, by=by) for n in range(3) for by in "ab"))
    book.hear(account(1, opus=(tokens, tokens * 4e-6)))
    assert book.row.cost == tokens * 4000 + on_top * 4_000_000
    # Those that their conversation went on from first: only the newest can be under way.
    assert book.meter.held == {"m1", *["a0", "b0", "a1", "b1", "a2", "b2"][: 6 - on_top]}
    assert book.hear(account(2, opus=(tokens, tokens * 4e-6))) == []


def test_one_that_ends_after_an_account_was_not_in_it(book):
    book.hear(account(0), said("s1", K, by="a"), account(1, opus=(1000, 0.004)))
    assert book.row.cost == 4_000_000
    # What the account had was a request of the CLI's own.
    book.hear(said("s1", Usage(input=1000, output=5), by="a", final=True))
    assert book.row.cost == 8_100_000


# -- responses whose end says nothing --------------------------------------------------------------------------------------


def test_a_response_that_does_not_say_at_its_end_what_it_gave(book):
    book.hear(account(0), said("m1", Usage(input=1000, output=1)), said("s1", K, by="a"))
    assert book.meter.unmetered.names == set(), "of one that is under way nothing is missed"
    book.hear(said("m1", Usage(input=1000, output=1), final=True, told=False))
    book.meter.answered("m1")
    assert book.meter.unmetered.names == {"m1"}
    # Nor does an account that knows no more, or has more for another reason.
    book.hear(entry(inputTokens=2000, outputTokens=2, costUSD=0.00804))
    assert book.meter.unmetered.names == {"m1"}
    book.hear(result(since={OPUS: (2000, 0.008)}, total={OPUS: (2000, 0.008)}))
    assert book.meter.unmetered.names == {"m1"}


def test_an_account_that_has_the_same_responses_with_more_output_explains_it(book):
    book.hear(account(0), said("m1", Usage(input=1000, output=1), final=True, told=False))
    book.hear(entry(outputTokens=90, costUSD=0.0058))
    assert book.meter.unmetered.names == set()
    assert book.row.cost == 5_800_000


def test_what_is_told_later_is_told(book):
    book.hear(said("m1", K, final=True, told=False), said("m1", Usage(input=1000, output=9), final=True))
    assert book.meter.unmetered.names == set()


# -- what only an account tells --------------------------------------------------------------------------------------------

MINI = "claude-mini-1"
"""A model that the CLI knows and our list does not: it costs a tenth of our dearest."""


def test_a_model_without_a_price_costs_what_the_cli_says_of_it_from_the_first_account_on(book):
    meter = book.meter
    book.hear(account(0), said("m1", K, model=MINI), said("m1", Usage(input=1000, output=10), model=MINI, final=True))
    assert (book.row.cost, book.row.usage.input) == (0, 1000)
    assert meter.uncertain("m1", subagent=False)
    book.hear(guess(0.00042, model=MINI, basis="list", inputTokens=1000, outputTokens=10))
    assert (book.row.cost, book.row.response_cost) == (420_000, 420_000)
    assert not meter.uncertain("m1", subagent=False)
    # What is read after it counts at that price, and needs no account.
    book.hear(said("m2", K, model=MINI, final=True))
    assert (book.row.cost, meter.uncertain("m2", subagent=False)) == (820_000, False)
    usage = {MINI: {"inputTokens": 2000, "outputTokens": 10, "costUSD": 0.00082, "costBasis": "list"}}
    book.hear(told_result(model_usage_since_last_result=usage, modelUsage=usage))
    book.hear(said("m3", K, model=MINI))
    assert book.row.cost == 1_220_000


def test_readings_go_by_the_price_of_the_last_account_where_our_list_has_another(book):
    """
    Ours is twice the CLI's: what is read must not pass a limit that the account of it does not.
    """
    book.hear(account(0), said("m1", K, final=True), account(1, opus=(1000, 0.002)), said("m2", K, final=True))
    assert book.row.cost == 4_000_000
    book.hear(account(2, opus=(2000, 0.008)), said("m3", K, final=True))
    assert book.row.cost == 12_000_000


def test_web_searches_are_no_part_of_its_price(book):
    book.hear(account(0), said("m1", K, model=MINI, final=True))
    book.hear(guess(0.0204, model=MINI, basis="list", inputTokens=1000, webSearchRequests=2))
    book.hear(said("m2", K, model=MINI, final=True))
    assert book.row.cost == 20_400_000 + 400_000


def test_where_the_cli_cannot_tell_it_is_the_dearest(book):
    """
    Nobody is asked, it does not answer, or its price is a guess.
    """
    book.hear(said("m1", K, model=MINI, final=True))
    assert book.row.cost == 4_000_000
    book.hear(account(0), said("m2", K, model=MINI, final=True))
    assert book.row.cost == 4_000_000
    book.hear(m.ControlReply(request_id=f"{ACCOUNT}1", ok=False, response={}, error="unknown"))
    assert book.row.cost == 8_000_000
    assert not book.meter.uncertain("m2", subagent=False)
    book.hear(said("m3", K, model=MINI, final=True))
    assert book.row.cost == 12_000_000


def test_a_guess_of_its_price_is_no_cheaper_than_our_dearest(book):
    book.hear(account(0), said("m1", K, model=MINI, final=True))
    book.hear(guess(0.0004, model=MINI, basis="unknown", inputTokens=1000))
    book.hear(said("m2", K, model=MINI, final=True))
    assert book.row.cost == 8_000_000


def test_what_a_subagents_response_cost_is_uncertain_until_an_account_has_it(book):
    meter = book.meter
    book.hear(account(0), said("m1", K, final=True), said("s1", Usage(input=1000, output=1), by="a"))
    assert meter.uncertain("s1", subagent=True)
    assert not meter.uncertain("m1", subagent=False)
    assert not meter.uncertain("nested", subagent=True)
    book.hear(account(1, opus=(1000, 0.004)))
    assert meter.uncertain("s1", subagent=True), "its call came before its end"
    book.hear(account(2, opus=(2000, 0.008)))
    assert meter.uncertain("s1", subagent=True), "its end is not in it"
    book.hear(entry(inputTokens=2000, outputTokens=1, costUSD=0.00802))
    assert not meter.uncertain("s1", subagent=True)


def test_it_is_so_too_when_a_result_came_between(book):
    book.hear(account(0), said("m1", K, final=True), said("s1", Usage(input=1000, output=1), by="a"))
    book.hear(result(since={OPUS: (1000, 0.004)}, total={OPUS: (1000, 0.004)}))
    assert book.meter.uncertain("s1", subagent=True)
    assert not book.meter.uncertain("m1", subagent=False)
    book.hear(entry(inputTokens=2000, outputTokens=50, costUSD=0.009))
    assert not book.meter.uncertain("s1", subagent=True)
    assert book.row.cost == 9_000_000


def test_one_more_response_of_every_conversation_is_to_come(book):
    begun, whole = Usage(input=1000, output=1), PRICES.cost(OPUS, Usage(input=1000, output=500))
    book.hear(account(0), said("m1", Usage(input=2000), final=True))
    book.hear(said("s1", begun, by="a"), said("t1", begun, by="b"))
    assert book.row.response_cost == 8_000_000 + 2 * PRICES.cost(OPUS, begun)
    # What the two were in the end, only the account knows; and of the third, nobody yet.
    book.hear(entry(inputTokens=4000, outputTokens=1000, costUSD=(8_000_000 + 2 * whole) / 1e9))
    assert book.row.response_cost == 8_000_000 + 2 * whole
    book.meter.conversations.begun("c")
    book.hear(said("s2", begun, by="a"))
    assert book.row.response_cost == 8_000_000 + 2 * whole + 8_000_000
    book.meter.conversations.over("b")
    book.meter.conversations.over("c")
    book.hear(said("m2", Usage(input=500)))
    assert book.row.response_cost == 8_000_000 + whole, "one under way may come to as much as the one before it"
    book.hear(said("m2", Usage(input=500, output=10), final=True))
    assert book.row.response_cost == 2_200_000 + whole


@pytest.mark.parametrize("listed", [True, False])
def test_a_cost_of_nothing_is_none_told(book, listed):
    """
    No model of our list costs nothing, whatever the CLI was told by what lies between it and the service.
    """
    book.hear(account(0), said("m1", K, final=True))
    basis = {"costBasis": "list"} if listed else {}
    used = {OPUS: {"inputTokens": 1000, "costUSD": 0, **basis}}
    book.hear(m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response={"session": {"model_usage": used}}))
    assert book.row.cost == 4_000_000
    book.hear(said("m2", K, final=True))
    assert book.row.cost == 8_000_000


def test_the_response_in_which_an_older_cli_was_interrupted_counts(book):
    """
    2.1.197 leaves it out of the account of the result (2.1.330 does not), and of all that come after.
    """
    book.hear(said("m1", K, final=True), said("m2", Usage(input=500_000, output=1)))
    interrupted = replace(result(since=None, total={OPUS: (1000, 0.004)}), is_error=True)
    book.hear(interrupted)
    assert book.row.cost == 4_000_000 + PRICES.cost(OPUS, Usage(input=500_000, output=1))
    assert book.row.drift == 0
    book.hear(said("m2", Usage(input=500_000, output=1)), said("m3", K, final=True))
    book.hear(result(since=None, total={OPUS: (2000, 0.008)}))
    assert book.row.cost == 8_000_000 + PRICES.cost(OPUS, Usage(input=500_000, output=1))


def test_what_was_counted_at_other_prices_is_told_anew(book):
    book.hear(account(0), said("m1", K, final=True))
    recorded = dict(book.row.unsettled)
    assert list(book.meter.recounted(recorded)) == []
    assert list(book.meter.recounted({**recorded, SONNET: Spend()})) == []
    (told,) = book.meter.recounted({OPUS: Spend(usage=K, cost=400_000)})
    tell(book.state, told)
    assert book.row.cost == 4_000_000


def test_a_transcript_takes_nothing_back(book):
    """
    Neither tokens that were read of a response under way, nor a cost without tokens.
    """
    used = {OPUS: {"costUSD": 0.5, "webSearchRequests": 50, "costBasis": "list"}}
    book.hear(account(0))
    book.hear(m.ControlReply(request_id=f"{ACCOUNT}1", ok=True, response={"session": {"model_usage": used}}))
    book.hear(said("s1", K, by="a"))
    assert book.row.cost == 504_000_000
    tell(book.state, settle(RUN, book.meter, {"s1": Response(model=OPUS, usage=Usage(), at=0.0)}, PRICES))
    assert book.row.cost == 504_000_000
