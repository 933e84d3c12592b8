"""
Tokens to money, and money against limits: exact sums, prefix names, and never too little for what is not known.
"""

import pytest

from factories import LIMITS, OPUS, PRICES, SONNET, make_day
from orchestrd.config import packaged_prices
from orchestrd.domain.budget import Price, PriceTable
from orchestrd.domain.model import NANO, Usage, nano_usd, usd

MILLION = 1_000_000


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (Usage(), 0.0),
        (Usage(input=MILLION), 4.0),
        (Usage(output=MILLION), 20.0),
        (Usage(cache_write_5m=MILLION), 5.0),
        (Usage(cache_write_1h=MILLION), 8.0),
        (Usage(cache_read=MILLION), 0.2),
        (Usage(input=100, output=20, cache_read=1000, cache_write_5m=50), 0.00125),
        (Usage(cache_read=1), 0.0000002),
    ],
)
def test_what_tokens_cost(usage, dollars):
    assert PRICES.cost(OPUS, usage) == nano_usd(dollars)


def test_the_cost_of_parts_is_the_cost_of_the_whole():
    table = PriceTable(
        date="", models={"m": Price(input=0.3, output=1.1, cache_write_5m=0.7, cache_write_1h=0.9, cache_read=0.07)}
    )
    parts = [Usage(input=n, output=3 * n, cache_read=7 * n, cache_write_5m=n, cache_write_1h=n) for n in range(1, 50)]
    whole = Usage()
    for part in parts:
        whole += part
    assert sum(table.cost("m", part) for part in parts) == table.cost("m", whole)


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        (OPUS, OPUS),
        (f"{OPUS}-20261120", OPUS),
        (f"{SONNET}[1m]", SONNET),
        (f"{OPUS}@20261120", OPUS),
        (f"{OPUS}-20261120-v1:0", OPUS),
        (f"{OPUS}-6", None),
        ("claude-opus-5", None),
        ("claude-opus-5-55", None),
        ("", None),
        ("gpt", None),
    ],
)
def test_a_dated_model_has_the_price_of_its_family(model, listed):
    assert PRICES.find(model) == (PRICES.models[listed] if listed else None)


def test_a_newer_model_does_not_have_the_price_of_an_older_one():
    cheap, dear = (Price(input=n, output=n, cache_write_5m=n, cache_write_1h=n, cache_read=n) for n in (1.0, 2.0))
    table = PriceTable(date="", models={"claude-x": cheap, "claude-x-4": dear})
    assert table.find("claude-x-4-20260101") is dear
    assert table.find("claude-x-20260101") is cheap
    assert table.find("claude-x-5") is None
    assert table.cost("claude-x-5", Usage(input=1)) == 2000


def test_an_unknown_model_is_counted_at_the_dearest_price():
    usage = Usage(input=10, output=10)
    assert PRICES.cost("claude-nope-9", usage) == PRICES.cost(OPUS, usage)
    assert PriceTable(date="", models={}).cost("x", usage) == 0


def test_the_packaged_prices_are_those_the_cli_applies():
    prices = packaged_prices()
    assert prices.models[OPUS] == {
        "input": 4.0, "output": 20.0, "cache_write_5m": 5.0, "cache_write_1h": 8.0, "cache_read": 0.2,
    }  # fmt: skip
    for row in prices.models.values():
        assert row.keys() == set(Price.__struct_fields__)


def test_the_days_own_limit_replaces_the_configured_one():
    assert LIMITS.of_day(None) == 50 * NANO
    assert LIMITS.of_day(make_day()) == 50 * NANO
    assert LIMITS.of_day(make_day(limit=7)) == 7
    assert LIMITS.of_day(make_day(limit=0)) == 0


def test_what_the_person_gave_is_added_to_either():
    assert LIMITS.of_day(make_day(raised=2)) == 50 * NANO + 2
    assert LIMITS.of_day(make_day(limit=7, raised=2)) == 9


def test_dollars_round_to_the_nearest_nano_and_back():
    assert nano_usd(0.00125) == 1_250_000
    assert usd(nano_usd(0.1) * 3) == 0.3
    assert Usage(cache_write_5m=1, cache_write_1h=2).cache_write == 3
    assert Usage(input=1, output=2, cache_read=3, cache_write_5m=4, cache_write_1h=5).total == 15
