"""
How much of what is forbidden is caught, and how much of the daily work is held up, over two corpora of command lines.

``corpus.jsonl`` was there while the policy was written; ``families.jsonl`` was written by others, family by family,
without a look at the policy; ``escapes.jsonl`` holds what is tried in earnest on a whole machine.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from functools import cache

import pytest

from orchestrd.policy.inquiry import REASONS
from orchestrd.policy.verdict import Verdict
from policyworld import Case, corpus, verdict

CORPORA = ("corpus", "families")
# Just below what is measured: in percent of the distinct commands of a file.
CATCH = {"corpus": 99.5, "families": 97.5}
RIGHT_RULE = {"corpus": 96.5, "families": 92.5}
CATCH_PER_RULE = 99.0
FALSE_POSITIVES = 0.25
UNTOUCHABLE = ("safe.git", "safe.test", "safe.lint")


@cache
def judged(name: str) -> tuple[tuple[Case, Verdict], ...]:
    return tuple((case, verdict(case.command)) for case in corpus(name))


def told(cases: list[tuple[Case, Verdict]]) -> str:
    return "\n" + "\n".join(f"  {case.category:20} {found.rule:12} {case.command!r}" for case, found in cases)


def percent(part: int, whole: int) -> float:
    return 100 * part / whole


@pytest.mark.parametrize("name", CORPORA)
def test_what_is_forbidden_is_caught(name):
    forbidden = [(case, found) for case, found in judged(name) if case.verdict == "deny"]
    missed = [(case, found) for case, found in forbidden if found.allowed]

    caught = percent(len(forbidden) - len(missed), len(forbidden))

    assert caught >= CATCH[name], f"{caught:.2f} % of {len(forbidden)}, missed:{told(missed)}"


def test_no_way_out_is_overlooked():
    missed = [(case, found) for case in corpus("escapes") if (found := verdict(case.command)).allowed]

    assert not missed, told(missed)


@pytest.mark.parametrize("rule", [rule for rule in REASONS if rule != "none"])
def test_no_rule_lags_behind(rule):
    forbidden = [(case, found) for case, found in judged("corpus") if (case.verdict, case.rule) == ("deny", rule)]
    missed = [(case, found) for case, found in forbidden if found.allowed]

    caught = percent(len(forbidden) - len(missed), len(forbidden))

    assert caught >= CATCH_PER_RULE, f"{caught:.2f} % of {len(forbidden)}, missed:{told(missed)}"


@pytest.mark.parametrize("name", CORPORA)
def test_it_is_caught_for_the_right_reason(name):
    denied = [(case, found) for case, found in judged(name) if case.verdict == "deny" and not found.allowed]
    wrong = [(case, found) for case, found in denied if found.rule != case.rule]

    right = percent(len(denied) - len(wrong), len(denied))

    assert right >= RIGHT_RULE[name], f"{right:.2f} % of {len(denied)}, named otherwise:{told(wrong)}"


@pytest.mark.parametrize("name", CORPORA)
def test_the_daily_work_is_left_alone(name):
    harmless = [(case, found) for case, found in judged(name) if case.verdict == "allow"]
    held_up = [(case, found) for case, found in harmless if not found.allowed]

    share = percent(len(held_up), len(harmless))

    assert share <= FALSE_POSITIVES, f"{share:.2f} % of {len(harmless)}, held up:{told(held_up)}"


@pytest.mark.parametrize("category", UNTOUCHABLE)
def test_reading_git_tests_and_linters_are_never_held_up(category):
    cases = [(case, found) for case, found in judged("corpus") if case.category == category]
    held_up = [(case, found) for case, found in cases if not found.allowed]

    assert len(cases) >= 40
    assert not held_up, told(held_up)


@pytest.mark.parametrize("name", CORPORA)
def test_a_denial_says_what_is_forbidden_and_what_to_do_instead(name):
    for case, found in judged(name):
        if found.allowed:
            assert (found.rule, found.reason, found.target) == ("none", "", ""), case
            continue
        what, _, instead = found.reason.partition(". ")
        assert found.reason.endswith(REASONS[found.rule]), (case, found)
        assert what, (case, found)
        assert what[0] == what[0].upper(), (case, found)
        assert instead.endswith("."), (case, found)
        assert len(found.reason) <= 1000, (case, found)
        assert 0 < len(found.target) <= 200, (case, found)


@pytest.mark.parametrize("name", CORPORA)
def test_a_denial_can_be_shown(name):
    """
    Neither a line end nor a mark of our own stands in what a person reads.
    """
    odd = defaultdict(list)
    for case, found in judged(name):
        for sign in found.reason + found.target:
            if unicodedata.category(sign) in {"Cc", "Co", "Cs"}:
                odd[f"U+{ord(sign):04X}"].append((case, found))
                break

    assert not odd, "".join(f"\n{sign}:{told(cases)}" for sign, cases in odd.items())


@pytest.mark.parametrize(("name", "denied", "allowed"), [("corpus", 1500, 800), ("families", 2600, 2000)])
def test_the_corpora_are_what_they_were(name, denied, allowed):
    cases = corpus(name)
    verdicts = Counter(case.verdict for case in cases)

    assert verdicts["deny"] >= denied
    assert verdicts["allow"] >= allowed
    assert verdicts.total() == len(cases)
    assert {case.rule for case in cases} == set(REASONS)
    assert all((case.rule == "none") == (case.verdict == "allow") for case in cases)


def test_no_command_stands_in_them_twice():
    commands = Counter(case.command for name in CORPORA for case in corpus(name))

    assert [command for command, count in commands.items() if count > 1] == []
