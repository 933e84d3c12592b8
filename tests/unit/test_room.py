"""
Room for another agent: what was promised, against what there is.
"""

import pytest

from orchestrd.domain.room import Promise, Stock, never, shortage

GB = 10**9
MEMORY = Stock(name="memory", promise=Promise(each=3 * GB // 2, keep=GB // 2), total=16 * GB, free=5 * GB)
DISK = Stock(name="disk", promise=Promise(each=GB, keep=GB), total=100 * GB, free=3 * GB)


def stock(free: float, used: dict[str, float] | None = None) -> Stock:
    """
    Memory with *free* GB, of which the runs have *used* some.
    """
    return Stock(
        name="memory", promise=MEMORY.promise, total=16 * GB, free=round(free * GB),
        used={run: round(number * GB) for run, number in (used or {}).items()},
    )  # fmt: skip


def test_without_a_stock_there_is_room():
    assert shortage((), ["a"] * 100) is None
    assert never(()) is None


@pytest.mark.parametrize(
    ("free", "used", "live", "fits"),
    [
        (2.0, {}, [], True),  # its own promise and what is kept free
        (1.999, {}, [], False),
        (3.5, {}, ["a"], True),  # and all of what another was promised
        (3.499, {}, ["a"], False),
        (2.5, {"a": 1.0}, ["a"], True),  # of which that has taken a part
        (2.499, {"a": 1.0}, ["a"], False),
        (2.0, {"a": 9.0}, ["a"], True),  # who takes more than it was promised gives nothing back
        (1.999, {"a": 9.0}, ["a"], False),
        (3.4, {"a": 9.0}, ["a", "b"], False),  # nor does one's excess pay for another
        (2.0, {"gone": 1.0}, [], True),  # an ended run is promised nothing more
    ],
)
def test_a_promise_is_kept_until_it_is_taken(free, used, live, fits):
    assert (shortage((stock(free, used),), live) is None) == fits


def test_each_stock_must_suffice():
    assert shortage((MEMORY, DISK), []) is None
    found = shortage((MEMORY, DISK), ["a", "b"])
    assert found is not None
    assert found.brief == "too little disk for another agent"


def test_the_reason_has_the_figures_and_the_brief_one_has_none():
    found = shortage((stock(2.9, {"a": 0.4}),), ["a"])
    assert found is not None
    assert found.reason == (
        "waits for memory: 1.5 GB an agent, 1.3 GB left (2.9 GB free, 1.1 GB still promised to 1 live agent, "
        "500 MB kept free)"
    )
    assert found.brief == "too little memory for another agent"
    more = shortage((stock(0.2),), ["a", "b"])
    assert more is not None
    assert "0 B left (200 MB free, 3 GB still promised to 2 live agents" in more.reason
    assert more.brief == found.brief


def test_a_machine_that_is_too_small_is_told_from_a_busy_one():
    small = Stock(name="disk", promise=Promise(each=10**14, keep=GB), total=100 * GB, free=99 * GB)
    found = never((MEMORY, small))
    assert found is not None
    assert found.reason == ("never enough disk: 100 TB an agent and 1 GB kept free, of 100 GB in all; lower agent.disk")
    exact = Stock(name="memory", promise=Promise(each=3 * GB, keep=GB), total=4 * GB, free=0)
    assert never((exact,)) is None
    assert never((Stock(name="memory", promise=Promise(each=3 * GB, keep=GB + 1), total=4 * GB, free=4 * GB),))
