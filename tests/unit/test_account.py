"""
What all agents run into alike: how long the service is left alone, who comes back first, and when only a person can help.
"""

import itertools
from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from factories import DAY, LIMITS, NOW, make_day, make_rules, make_run, make_task_row, tell
from orchestrd.domain import account
from orchestrd.domain import events as ev
from orchestrd.domain.account import Manners, blocked
from orchestrd.domain.consequences import due
from orchestrd.domain.model import Cause, Outcome, TaskState, Usage
from orchestrd.domain.quiet import Quiet
from orchestrd.domain.retries import REMEDIES
from orchestrd.domain.rows import Block, HomeRow, RunPhase, Window
from orchestrd.domain.schedule import decide
from orchestrd.domain.state import State
from orchestrd.errors import Refused, RequestError
from orchestrd.services import views

MANNERS = Manners(first=60.0)
HOUR = 3600.0


def wall(text: str, zone=UTC) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


def block(home: HomeRow, cause: Cause, *, run=None, resets_at: float | None = None, now: float = NOW, **more):
    values = {"reason": "why", "resets_at": resets_at, "manners": MANNERS, "now": now, "zone": UTC} | more
    return blocked(home, run or make_run(), cause, **values)


class TestHowLong:
    @pytest.mark.parametrize("cause", [cause for cause in Cause if not REMEDIES[cause].shared])
    def test_what_is_one_tasks_own_concerns_no_other(self, cause):
        assert block(HomeRow(), cause) is None

    @pytest.mark.parametrize("cause", [Cause.RATE_LIMIT, Cause.OVERLOADED, Cause.SERVER_ERROR, Cause.UNREACHABLE])
    def test_a_busy_service_is_left_alone_longer_each_time(self, cause):
        home, waits = HomeRow(), []
        for number in range(7):
            fact = block(home, cause, run=make_run(block=number))
            assert fact.failures == number + 1
            waits.append(fact.until - NOW)
            home = HomeRow(
                block=Block(cause=cause, reason="", since=NOW, until=0, failures=number + 1), blocks=number + 1
            )
        longest = 3600 if cause is Cause.RATE_LIMIT else 900
        for wait, seconds in zip(
            waits, [60, 120, 240, 480, *(min(n, longest) for n in (960, 1920, 3840))], strict=True
        ):
            assert 0.9 * seconds <= wait <= 1.1 * seconds

    def test_a_window_is_waited_for_until_its_reset_and_a_little_longer(self):
        fact = block(HomeRow(), Cause.WINDOW, resets_at=NOW + 2 * HOUR)
        assert NOW + 2 * HOUR < fact.until <= NOW + 2 * HOUR + account.RESET_SPREAD
        spread = {
            block(HomeRow(), Cause.WINDOW, run=make_run(f"{DAY}/{n}/1"), resets_at=NOW + HOUR).until for n in range(20)
        }
        assert len(spread) == 20

    @pytest.mark.parametrize("first", [0.0, 0.001, 1.0])
    def test_whatever_the_settings_say_it_is_left_alone_ever_longer(self, first):
        home, waits = HomeRow(), []
        for number in range(12):
            fact = block(home, Cause.OVERLOADED, run=make_run(block=number), manners=Manners(first=first))
            waits.append(fact.until - NOW)
            home = HomeRow(block=Block(cause=fact.cause, reason="", since=NOW, failures=number + 1), blocks=number + 1)
        assert waits[0] >= 1.0
        assert all(after > 1.6 * before for before, after in itertools.pairwise(waits[:10]))
        assert 800 < waits[-1] < 1000

    @pytest.mark.parametrize("resets_at", [None, NOW - 1, NOW + account.LONGEST + 1, NOW + 30 * 24 * HOUR, NOW * 1000])
    def test_of_a_window_without_a_known_reset_it_is_found_out(self, resets_at):
        assert 0.9 * 900 <= block(HomeRow(), Cause.WINDOW, resets_at=resets_at).until - NOW <= 1.1 * 900

    def test_the_longest_window_is_waited_for(self):
        week = NOW + 7 * 24 * HOUR
        assert week < block(HomeRow(), Cause.WINDOW, resets_at=week).until <= week + account.RESET_SPREAD

    @pytest.mark.parametrize("cause", [Cause.UNAUTHORIZED, Cause.UNPAID])
    def test_what_only_a_person_can_mend_has_no_end(self, cause):
        assert block(HomeRow(), cause).until is None

    def test_others_that_run_into_the_same_are_no_news(self):
        home = HomeRow(block=Block(cause=Cause.WINDOW, reason="", since=NOW, until=NOW + HOUR), blocks=1)
        assert block(home, Cause.WINDOW, resets_at=NOW + HOUR - 1) is None
        assert block(home, Cause.OVERLOADED) is None
        later = block(home, Cause.WINDOW, resets_at=NOW + 9 * HOUR)
        assert (later.failures, later.until > NOW + 9 * HOUR) == (1, True)
        asks = block(home, Cause.UNAUTHORIZED)
        assert (asks.failures, asks.until) == (1, None)
        assert block(HomeRow(block=replace(home.block, until=None), blocks=1), Cause.UNPAID) is None

    def test_a_trouble_that_comes_back_soon_goes_on_where_it_was(self):
        home = HomeRow(recovered_at=NOW - 599, failures=3, left_alone=HOUR)
        assert block(home, Cause.OVERLOADED).failures == 4
        assert block(replace(home, recovered_at=NOW - 600), Cause.OVERLOADED).failures == 1
        # Soon is as long as it was left alone.
        assert block(replace(home, left_alone=598.0), Cause.OVERLOADED).failures == 1


class TestQuietHours:
    NIGHT = Quiet(after=22 * 60, until=7 * 60)

    @pytest.mark.parametrize(
        ("at", "end"),
        [
            ("2026-11-22T21:59:59", "2026-11-22T21:59:59"),
            ("2026-11-22T22:00:00", "2026-11-23T07:00:00"),
            ("2026-11-22T23:59:59", "2026-11-23T07:00:00"),
            ("2026-11-23T00:00:00", "2026-11-23T07:00:00"),
            ("2026-11-23T06:59:59", "2026-11-23T07:00:00"),
            ("2026-11-23T07:00:00", "2026-11-23T07:00:00"),
        ],
    )
    def test_over_midnight(self, at, end):
        assert self.NIGHT.end(wall(at), UTC) == wall(end)
        east = timezone(timedelta(hours=9))
        assert self.NIGHT.end(wall(at, east), east) == wall(end, east)

    @pytest.mark.parametrize(
        ("at", "end"), [("12:59", "12:59"), ("13:00", "14:30"), ("14:29", "14:30"), ("14:30", "14:30")]
    )
    def test_within_a_day(self, at, end):
        noon = Quiet(after=13 * 60, until=14 * 60 + 30)
        assert noon.end(wall(f"2026-11-22T{at}"), UTC) == wall(f"2026-11-22T{end}")

    def test_nobody_comes_back_in_them(self):
        manners = Manners(first=60.0, quiet=self.NIGHT)
        now = wall("2026-11-22T21:30:00")
        late = block(HomeRow(), Cause.WINDOW, resets_at=wall("2026-11-22T23:10:00"), now=now, manners=manners)
        assert late.until == wall("2026-11-23T07:00:00")
        early = block(HomeRow(), Cause.WINDOW, resets_at=wall("2026-11-22T21:40:00"), now=now, manners=manners)
        assert early.until < wall("2026-11-22T21:41:01")


class TestWhatEarlierVersionsBelieved:
    """
    A home may hold a reset in milliseconds, taken for seconds.
    """

    ABSURD = (NOW + HOUR) * 1000

    def state(self) -> State:
        state = day_of("a", "b")
        run = start(state, "a", 1, NOW)
        tell(state, ev.RateLimitSeen(run=run, status="rejected", window="five_hour", resets_at=self.ABSURD))
        exited = ev.RunExited(run=run, outcome=Outcome.RATE_LIMITED, cause=Cause.WINDOW, reason="limit")
        requeued = ev.TaskRequeued(task=f"{DAY}/a", reason="limit", counted=False)
        until = self.ABSURD + 30
        tell(state, exited, requeued, ev.AccountBlocked(cause=Cause.WINDOW, reason="limit", until=until))
        return state

    @pytest.mark.parametrize("hours", [-12, 0, 14])
    def test_it_is_tried_after_a_while(self, hours):
        state, zone = self.state(), timezone(timedelta(hours=hours))
        decision = decide(state, make_rules(), NOW + 1, zone=zone)
        assert (decision.starts, decision.look_again) == ((), NOW + 900)
        assert starts(state, NOW + 900) == ["a"]

    def test_its_window_is_shown_as_it_was_meant(self):
        (window,) = views.windows(self.state(), NOW)
        assert window.resets_at == "2026-11-22T11:00:00.000Z"


def day_of(*names: str) -> State:
    return State([make_day(), *(make_task_row(name, order=n) for n, name in enumerate(names))])


def starts(state: State, now: float) -> list[str]:
    return [key.partition("/")[2] for key in decide(state, make_rules(max_concurrent=9), now).starts]


def start(state: State, name: str, attempt: int, at: float) -> str:
    run = f"{DAY}/{name}/{attempt}"
    tell(state, ev.RunStarted(run=run, task=f"{DAY}/{name}", attempt=attempt, session="s", tree="/t"), at=at)
    return run


def fail(state: State, run: str, cause: Cause, at: float, resets_at: float | None = None) -> None:
    fact = blocked(
        state.home(), state.run(run), cause, reason="why", resets_at=resets_at, manners=MANNERS, now=at, zone=UTC
    )
    tell(
        state,
        ev.RunExited(run=run, outcome=REMEDIES[cause].outcome, cause=cause, reason="why"),
        ev.TaskRequeued(task=run.rpartition("/")[0], reason="why", counted=False, parked=True),
        *([fact] if fact else []),
        at=at,
    )


def answered(state: State, run: str, at: float) -> None:
    tell(state, ev.SpendSeen(run=run, message="m1", model="m", usage=Usage(input=1), cost=1), at=at)
    tell(state, *due(state, LIMITS), at=at)


class TestComingBack:
    def test_one_tries_then_the_others_follow_one_after_another(self):
        state = day_of("a", "b", "c", "d")
        first, second = start(state, "a", 1, NOW), start(state, "b", 1, NOW)
        fail(state, first, Cause.OVERLOADED, NOW + 10)
        fail(state, second, Cause.OVERLOADED, NOW + 11)
        until = state.home().block.until
        assert (state.home().blocks, state.home().block.failures) == (1, 1)
        decision = decide(state, make_rules(), NOW + 12)
        assert (decision.starts, decision.look_again) == ((), until)
        assert decision.waits[f"{DAY}/c"].reason.startswith("the service is overloaded, tried again at 10:0")
        assert starts(state, until - 0.001) == []
        assert starts(state, until) == ["a"]
        probe = start(state, "a", 2, until)
        decision = decide(state, make_rules(), until + 1)
        assert decision.starts == ()
        assert decision.waits[f"{DAY}/b"].reason == "the service is overloaded: one agent tries whether that is over"
        answered(state, probe, until + 5)
        assert state.home().block is None
        assert starts(state, until + 5) == ["b"]
        start(state, "b", 2, until + 5)
        later = decide(state, make_rules(), until + 6)
        step = state.home().left_alone / 6
        assert (later.starts, later.look_again) == ((), until + 5 + step)
        assert starts(state, until + 5 + step) == ["c"]
        start(state, "c", 1, until + 5 + step)
        assert starts(state, until + 4.9 + 2 * step) == []
        assert starts(state, until + 5 + 2 * step) == ["d"]
        # Once that is over, tasks start as ever.
        assert starts(state, until + 5 + account.COMING_BACK) == ["d"]
        assert 50 < state.home().left_alone < 70

    def test_the_one_that_tries_and_fails_is_followed_by_a_longer_pause(self):
        state = day_of("a", "b")
        fail(state, start(state, "a", 1, NOW), Cause.SERVER_ERROR, NOW)
        until = state.home().block.until
        fail(state, start(state, "a", 2, until), Cause.SERVER_ERROR, until + 1)
        home = state.home()
        assert (home.block.failures, home.blocks) == (2, 2)
        assert home.block.until > until + 100

    def test_an_answer_to_one_that_started_before_says_nothing(self):
        state = day_of("a", "b")
        other = start(state, "b", 1, NOW)
        fail(state, start(state, "a", 1, NOW), Cause.WINDOW, NOW, resets_at=NOW + HOUR)
        answered(state, other, NOW + 1)
        assert state.home().block is not None

    def test_a_clock_that_was_set_back_keeps_nobody_waiting(self):
        state = day_of("a", "b")
        fail(state, start(state, "a", 1, NOW), Cause.WINDOW, NOW, resets_at=NOW + HOUR)
        assert starts(state, NOW - 61) == ["a"]
        probe = start(state, "a", 2, NOW - 61)
        answered(state, probe, NOW - 60)
        assert state.home().block is None

    def test_a_freeze_forgets_nothing_of_it(self):
        state = day_of("a")
        fail(state, start(state, "a", 1, NOW), Cause.WINDOW, NOW, resets_at=NOW + HOUR)
        before = state.home()
        tell(state, ev.HomeFrozen(by="x"))
        tell(state, ev.HomeThawed(by="x"))
        assert state.home() == before

    def test_of_another_day_the_date_is_told(self):
        state = day_of("a")
        fail(state, start(state, "a", 1, NOW), Cause.WINDOW, NOW, resets_at=NOW + 96 * HOUR)
        reason = decide(state, make_rules(), NOW + 1).waits[f"{DAY}/a"].reason
        assert reason.startswith("the usage window is used up, tried again at 2026-11-26 10:0")

    def test_one_that_has_just_tried_lets_the_others_try_first(self):
        state, order = day_of("a", "b", "c"), []
        until = NOW
        for name in ("a", "b", "c"):
            fail(state, start(state, name, 1, NOW), Cause.OVERLOADED, NOW)
        for _ in range(7):
            until = state.home().block.until
            (name,) = starts(state, until)
            order.append(name)
            fail(state, start(state, name, 2 + len(order), until), Cause.OVERLOADED, until)
        assert order == ["a", "b", "c", "a", "b", "c", "a"]

    def test_one_that_the_service_fails_alone_comes_last(self):
        state = day_of("a", "b", "c")
        fail(state, start(state, "a", 1, NOW), Cause.OVERLOADED, NOW)
        state.put(replace(state.task(f"{DAY}/a"), refusals=1))
        assert starts(state, state.home().block.until) == ["b"]


class TestComingBackAtNight:
    NIGHT = Quiet(after=22 * 60, until=7 * 60)
    MORNING = wall("2026-11-23T07:00:00")

    def look(self, state: State, now: float):
        return decide(state, make_rules(max_concurrent=9, quiet=self.NIGHT), now)

    def recovered(self, at: float, *names: str) -> State:
        """
        The tasks *names* have run into a window, and the first of them was answered *at* a wall time.
        """
        state = day_of(*names, "fresh")
        begun = at - HOUR
        runs = [start(state, name, 1, begun) for name in names]
        for run in runs:
            fail(state, run, Cause.WINDOW, begun, resets_at=at - 200)
        answered(state, start(state, names[0], 2, state.home().block.until), at)
        assert state.home().block is None
        return state

    def test_what_could_not_start_at_the_reset_waits_for_the_morning(self):
        state, reset = day_of("a", "b"), wall("2026-11-22T21:30:00")
        fail(state, start(state, "a", 1, reset - HOUR), Cause.WINDOW, reset - HOUR, resets_at=reset)
        assert self.look(state, wall("2026-11-22T21:59:00")).starts == (f"{DAY}/a",)
        decision = self.look(state, wall("2026-11-22T23:30:00"))
        assert (decision.starts, decision.look_again) == ((), self.MORNING)
        assert decision.waits[f"{DAY}/a"].reason == (
            "the usage window is used up, tried again after the quiet hours, at 2026-11-23 07:00; "
            "have it tried now: orchctl retry --account"
        )
        assert self.look(state, self.MORNING).starts == (f"{DAY}/a",)

    def test_the_return_is_broken_off_and_goes_on_in_the_morning(self):
        state = self.recovered(wall("2026-11-22T21:59:55"), "a", "b", "c")
        assert self.look(state, wall("2026-11-22T21:59:56")).starts == (f"{DAY}/b",)
        for now in ("22:00:00", "22:00:35", "22:09:00"):
            decision = self.look(state, wall(f"2026-11-22T{now}"))
            assert (decision.starts, decision.look_again) == ((), self.MORNING)
            assert (
                decision.waits[f"{DAY}/fresh"].reason == "agents come back after the quiet hours, from 2026-11-23 07:00"
            )
        # One after another then, too.
        assert self.look(state, self.MORNING).starts == (f"{DAY}/b",)
        start(state, "b", 2, self.MORNING)
        assert self.look(state, self.MORNING + 1).starts == ()
        assert self.look(state, self.MORNING + 10).starts == (f"{DAY}/c",)

    def test_what_nobody_parked_starts_at_night(self):
        state = self.recovered(wall("2026-11-22T21:00:00"), "a", "b")
        decision = self.look(state, wall("2026-11-22T23:30:00"))
        assert (decision.starts, decision.look_again) == ((f"{DAY}/fresh",), self.MORNING)
        assert decision.waits[f"{DAY}/b"].reason == "it comes back after the quiet hours, from 2026-11-23 07:00"

    def test_the_persons_word_counts_at_night(self):
        state, night = day_of("a", "b"), wall("2026-11-22T23:00:00")
        for name in ("a", "b"):
            fail(state, start(state, name, 1, night), Cause.UNAUTHORIZED, night)
        tell(state, ev.AccountRetried(by="cli"), at=night + 60)
        assert self.look(state, night + 60).starts == (f"{DAY}/a",)
        answered(state, start(state, "a", 2, night + 60), night + 70)
        assert self.look(state, night + 70).starts == (f"{DAY}/b",)


class TestOnlyAPersonCanHelp:
    ASKED = f"{DAY}/_account#1"

    def state(self) -> State:
        state = day_of("a", "b", "c")
        one, _ = start(state, "a", 1, NOW), start(state, "b", 1, NOW)
        fail(state, one, Cause.UNAUTHORIZED, NOW + 1)
        return state

    def test_everything_stops_and_they_are_asked_once(self):
        state = self.state()
        stopping, asked = due(state, LIMITS)
        assert stopping == ev.RunStopping(
            run=f"{DAY}/b/1", outcome=Outcome.FAILED, reason="why", cause=Cause.UNAUTHORIZED
        )
        assert (asked.question, asked.run) == (self.ASKED, "")
        assert asked.text == (
            "Everything stands still: the agent has no valid login (why). Put that right, then have it tried again."
        )
        tell(state, stopping, asked)
        assert due(state, LIMITS) == []
        wait = decide(state, make_rules(), NOW + 99 * HOUR).waits[f"{DAY}/c"]
        told = "the agent has no valid login: why; put that right, then have it tried now: orchctl retry --account"
        assert (wait.reason, wait.stuck) == (told, True)

    def test_their_word_lets_one_try(self):
        state = self.state()
        tell(state, *due(state, LIMITS))
        for text in ("yes", "", "again"):
            with pytest.raises(RequestError):
                account.follow(self.ASKED, text, "cli")
        facts = account.follow(self.ASKED, "try AGAIN", "cli")
        tell(state, ev.QuestionAnswered(question=self.ASKED, answer="Try again", by="cli"), *facts, at=NOW + HOUR)
        assert state.home().asked is None
        assert starts(state, NOW + HOUR) == ["a"]
        probe = start(state, "a", 2, NOW + HOUR)
        assert due(state, LIMITS) == []
        fail(state, probe, Cause.UNAUTHORIZED, NOW + HOUR + 1)
        (asked,) = due(state, LIMITS)
        assert asked.question == f"{DAY}/_account#2"

    def test_one_that_waits_for_a_person_is_left_alone(self):
        state = self.state()
        state.put(replace(state.run(f"{DAY}/b/1"), phase=RunPhase.WAITING))
        assert [type(fact) for fact in due(state, LIMITS)] == [ev.QuestionAsked]
        state.put(replace(state.run(f"{DAY}/b/1"), works_on=True))
        assert [type(fact) for fact in due(state, LIMITS)] == [ev.RunStopping, ev.QuestionAsked]

    def test_so_is_one_whose_agent_is_gone(self):
        state = self.state()
        tell(state, ev.RunLeaving(run=f"{DAY}/b/1"))
        assert [type(fact) for fact in due(state, LIMITS)] == [ev.QuestionAsked]

    def test_the_question_is_taken_back_when_it_works_again(self):
        state = self.state()
        tell(state, *due(state, LIMITS))
        state.put(replace(state.home(), block=None))
        assert due(state, LIMITS) == [ev.QuestionWithdrawn(question=self.ASKED, reason="it works again")]


class TestThePersonNeedNotWait:
    """
    Whatever the account waits for, the person may have it tried now: they know what they changed.
    """

    def state(self, cause: Cause = Cause.WINDOW) -> State:
        state = day_of("a", "b", "c")
        runs = [start(state, name, 1, NOW) for name in "ab"]
        fail(state, runs[0], cause, NOW + 1, resets_at=NOW + 168 * HOUR if cause is Cause.WINDOW else None)
        tell(state, *due(state, LIMITS))
        return state

    def retried(self, state: State, now: float) -> list[type]:
        _, facts = account.retry(state, "cli", now)
        tell(state, *facts, at=now)
        tell(state, *due(state, LIMITS), at=now)
        return [type(fact) for fact in facts]

    @pytest.mark.parametrize("cause", [cause for cause in Cause if REMEDIES[cause].shared])
    def test_any_block_is_tried_at_their_word(self, cause):
        state = self.state(cause)
        assert "orchctl retry --account" in decide(state, make_rules(), NOW + 2).waits[f"{DAY}/a"].reason
        assert "orchctl retry --account" in views.account(state, make_rules(), NOW + 2, UTC)
        assert starts(state, NOW + 2) == []
        assert ev.AccountRetried in self.retried(state, NOW + 2)
        assert state.home().asked is None, "what was asked about it is answered"
        assert starts(state, NOW + 2) == ["a"]
        # Said twice it is done once, and so while an agent tries.
        assert self.retried(state, NOW + 3) == []
        probe = start(state, "a", 2, NOW + 3)
        assert self.retried(state, NOW + 4) == []
        tell(state, ev.SpendSeen(run=probe, message="m", model="m", usage=Usage(input=1), cost=1), at=NOW + 5)
        tell(state, *due(state, LIMITS), at=NOW + 5)
        assert (state.home().block, views.account(state, make_rules(), NOW + 5, UTC)) == (None, "")

    def test_where_it_was_not_over_it_is_waited_for_as_before_and_they_may_try_again(self):
        state = self.state()
        until = state.home().block.until
        self.retried(state, NOW + 2)
        fail(state, start(state, "a", 2, NOW + 2), Cause.WINDOW, NOW + 3, resets_at=NOW + 168 * HOUR)
        assert abs(state.home().block.until - until) <= account.RESET_SPREAD
        assert starts(state, NOW + 4) == []
        assert self.retried(state, NOW + 4) == [ev.AccountRetried]

    def test_at_night_too(self):
        state = self.state(Cause.OVERLOADED)
        night = wall("2026-11-22T23:30:00")
        quiet = make_rules(quiet=Quiet(after=22 * 60, until=7 * 60))
        wait = decide(state, quiet, night).waits[f"{DAY}/a"]
        assert "after the quiet hours" in wait.reason
        assert wait.reason.endswith("have it tried now: orchctl retry --account")
        assert self.retried(state, night) == [ev.AccountRetried]
        assert decide(state, quiet, night).starts == (f"{DAY}/a",)

    def test_one_that_began_before_tells_of_what_is_changed_since(self):
        """
        It has the old login, or the old plan; what it runs into says nothing of the new one.
        """
        state = self.state()
        self.retried(state, NOW + 2)
        fail(state, f"{DAY}/b/1", Cause.WINDOW, NOW + 3, resets_at=NOW + 169 * HOUR)
        assert (state.home().block.until, state.home().block.bidden) == (NOW + 2, True)
        assert starts(state, NOW + 3)[:1] == ["a"]
        state = self.state()
        self.retried(state, NOW + 2)
        answered(state, start(state, "a", 2, NOW + 3), NOW + 4)
        fail(state, f"{DAY}/b/1", Cause.WINDOW, NOW + 5, resets_at=NOW + 169 * HOUR)
        assert state.home().block is None
        # The one that tried, and those that began since, are believed.
        fail(state, f"{DAY}/a/2", Cause.WINDOW, NOW + 6, resets_at=NOW + 169 * HOUR)
        assert state.home().block is not None

    def test_a_clock_that_was_set_back_since_makes_no_agent_an_old_one(self):
        state = self.state()
        self.retried(state, NOW + 2)
        answered(state, start(state, "a", 2, NOW + 3), NOW + 4)
        fail(state, start(state, "c", 1, NOW - HOUR), Cause.WINDOW, NOW - HOUR + 1, resets_at=NOW)
        assert state.home().block is not None

    def test_where_nothing_is_the_matter_it_is_refused(self):
        with pytest.raises(Refused, match="nothing is known to be the matter with the account"):
            account.retry(day_of("a"), "cli", NOW)


def test_what_is_told_of_usage_windows_is_kept():
    state = State([make_day(), make_task_row(state=TaskState.RUNNING), make_run()])
    for status, share in (("allowed", 0.5), ("allowed_warning", 0.82)):
        seen = ev.RateLimitSeen(run=make_run().key, status=status, window="five_hour", utilization=share, resets_at=9.0)
        tell(state, seen)
    tell(state, ev.RateLimitSeen(run=make_run().key, status="allowed", window="seven_day"))
    assert state.home().windows == {
        "five_hour": Window(status="allowed_warning", at=NOW, utilization=0.82, resets_at=9.0),
        "seven_day": Window(status="allowed", at=NOW),
    }
    tell(state, ev.RateLimitSeen(run=make_run().key, status="rejected", window="seven_day", overage=True))
    assert state.home().windows["seven_day"] == Window(status="rejected", at=NOW, overage=True)
    assert [window.overage for window in views.windows(state, NOW) if window.kind == "seven_day"] == [True]


def test_a_window_that_has_been_reset_is_not_shown():
    """
    Of the one that follows it nothing is known.
    """
    state = State([make_day(), make_task_row(state=TaskState.RUNNING), make_run()])
    for kind, resets in (("five_hour", NOW + HOUR), ("seven_day", (NOW + 9 * HOUR) * 1000), ("other", None)):
        tell(state, ev.RateLimitSeen(run=make_run().key, status="rejected", window=kind, resets_at=resets))

    def shown(now: float) -> set[str]:
        return {window.kind for window in views.windows(state, now)}

    assert shown(NOW) == shown(NOW - 9 * HOUR) == {"five_hour", "seven_day", "other"}
    assert shown(NOW + HOUR - 1) == {"five_hour", "seven_day", "other"}
    assert shown(NOW + HOUR) == {"seven_day", "other"}
    assert shown(NOW + 9 * HOUR) == {"other"}
    assert shown(NOW + 168 * HOUR) == set(), "none lasts longer"


@pytest.mark.parametrize(
    ("kind", "hours"), [("five_hour", 5), ("seven_day", 168), ("seven_day_opus", 168), ("new", 168)]
)
def test_a_window_of_which_no_reset_is_told_is_shown_while_it_may_last(kind, hours):
    state = State([make_day(), make_task_row(state=TaskState.RUNNING), make_run()])
    tell(state, ev.RateLimitSeen(run=make_run().key, status="rejected", window=kind))
    assert [window.kind for window in views.windows(state, NOW + hours * HOUR - 1)] == [kind]
    assert views.windows(state, NOW + hours * HOUR) == []
