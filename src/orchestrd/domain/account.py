"""
The account that all agents share: when its service is left alone, and how one comes back to it.

What one agent runs into, a window that is used up, a service that is overloaded, a login that is gone, all others run into as
well.  So nothing starts while it lasts.  After that one agent alone tries; once the service has answered it, the others follow
one after another.
"""

from __future__ import annotations

from datetime import tzinfo

import msgspec

from orchestrd.domain import events as ev
from orchestrd.domain.model import Cause
from orchestrd.domain.quiet import Quiet
from orchestrd.domain.retries import REMEDIES, pause, spread
from orchestrd.domain.rows import ABOUT_ACCOUNT, Block, HomeRow, RunRow, TaskRow
from orchestrd.domain.state import State
from orchestrd.domain.wallclock import ahead, moment
from orchestrd.errors import Refused, RequestError

AGAIN = "Try again"
TRY_NOW = "have it tried now: orchctl retry --account"
"""How the person ends a wait that they know to be over, told beside it."""
RESET_SPREAD = 60.0
"""Seconds after a window's reset within which its first agent starts."""
FIVE_HOURS = 5 * 3600.0
LONGEST_WINDOW = 7 * 86400.0
"""Seconds that the longest usage window lasts."""
LONGEST = LONGEST_WINDOW + 86400.0
"""Seconds ahead in which a window may reset: as long as one lasts, and a day for clocks that differ.  What is said to be later is
not believed: it is found out by trying."""
LEAST = 1.0
"""Seconds for which the service is left alone at least, whatever the settings say."""
COMING_BACK = 600.0
"""
For how many seconds agents come back one after another, at most: for as long as the service was left alone, when that is less.
A trouble that comes again meanwhile goes on where it was.
"""
STAGGER = 10.0
"""Seconds between two starts while they do, at most: a sixth of that time, when that is less."""

NAMES = {
    Cause.WINDOW: "the usage window is used up",
    Cause.RATE_LIMIT: "the service wants fewer requests",
    Cause.OVERLOADED: "the service is overloaded",
    Cause.SERVER_ERROR: "the service has an error",
    Cause.UNREACHABLE: "the service cannot be reached",
    Cause.UNAUTHORIZED: "the agent has no valid login",
    Cause.UNPAID: "the account has no credit",
    Cause.UNMETERED: "what agents spend cannot be known",
}


def lasts(kind: str) -> float:
    """
    For how many seconds at most a usage window of *kind* (five_hour …) lasts: what was told of one longer ago is over.
    """
    return FIVE_HOURS if kind == "five_hour" else LONGEST_WINDOW


class Manners(msgspec.Struct, frozen=True, kw_only=True):
    """
    How the service is treated: *first* is how many seconds it is left alone at first when it is busy, None for the table's
    own; *quiet* are the quiet hours, or None.
    """

    first: float | None = None
    quiet: Quiet | None = None


def blocked(
    home: HomeRow,
    run: RunRow,
    cause: Cause,
    *,
    reason: str,
    resets_at: float | None,
    manners: Manners,
    now: float,
    zone: tzinfo,
) -> ev.AccountBlocked | None:
    """
    What the end of *run* by *cause* at wall time *now* makes of the account: None when it tells nothing new.  *resets_at* is
    when the service says it will be back, or None; what is further ahead than any window lasts was not meant so.  Of an agent
    that began before the person wanted the account tried again, it tells of what they have changed since.
    """
    remedy, present = REMEDIES[cause], home.block
    if not remedy.shared or _outlived(home, run, now):
        return None
    resets_at = resets_at if resets_at is not None and now < resets_at <= now + LONGEST else None
    failures = 1
    if present is not None:
        if not tries(home, run):
            # It ran into the same trouble as the first; only a later end, or none by itself, is news.
            later = resets_at is not None and present.until is not None and resets_at > present.until
            if not later and (not remedy.asks or present.until is None):
                return None
            failures = present.failures
        else:
            failures = present.failures + 1
    elif coming_back(home, now):
        failures = home.failures + 1
    until: float | None = None
    if not remedy.asks:
        first = remedy.first if manners.first is None or cause is Cause.WINDOW else manners.first
        first = max(LEAST, first)
        until = now + max(LEAST, pause(first, max(first, remedy.cap), failures - 1, run.key))
        if resets_at is not None:
            until = resets_at + RESET_SPREAD * spread(run.key)
        until = until if manners.quiet is None else manners.quiet.end(until, zone)
    return ev.AccountBlocked(cause=cause, reason=reason, until=until, failures=failures)


def due(state: State, *, unmetered: bool = False) -> list[ev.AnyEvent]:
    """
    The facts that the account's present state makes necessary: it is open again once the service has answered an agent that
    started since; while only the person can open it, nothing goes on, and they are asked once.  *unmetered*: agents may
    work whose spend cannot be known.
    """
    home = state.home()
    block = home.block
    if block is None:
        return [ev.QuestionWithdrawn(question=home.asked, reason="it works again")] if home.asked is not None else []
    days = state.active_days()
    live = _live(state)
    metered = block.cause is Cause.UNMETERED
    if (metered and unmetered) or any(tries(home, run) and _answered(run, metered=metered) for run in live):
        return [ev.AccountOpened()]
    if block.until is not None or not days:
        return []
    outcome = REMEDIES[block.cause].outcome
    facts: list[ev.AnyEvent] = [
        ev.RunStopping(run=run.key, outcome=outcome, reason=block.reason, cause=block.cause)
        for run in live
        if run.spends and not tries(home, run)
    ]
    if home.asked is None:
        facts.append(_ask(home, block, days[-1]))
    return facts


def _answered(run: RunRow, *, metered: bool) -> bool:
    """
    True when the service has answered *run*; *metered*: and said what that used.
    """
    if metered:
        return any(spend.usage.prompt for spend in (*run.settled.values(), *run.unsettled.values()))
    return run.answered


def _ask(home: HomeRow, block: Block, day: str) -> ev.QuestionAsked:
    text = f"Everything stands still: {NAMES[block.cause]} ({block.reason}). Put that right, then have it tried again."
    return ev.QuestionAsked(
        question=f"{day}/{ABOUT_ACCOUNT}#{home.questions + 1}",
        run="",
        text=text,
        header="No agent can work",
        options=(ev.QuestionOption(label=AGAIN, description="one agent first, then the others"),),
    )


def follow(question: str, answer: str, by: str) -> list[ev.AnyEvent]:
    """
    What *answer* to *question*, about the account, does.

    Raises `RequestError` for any but the one that is offered.
    """
    if answer.strip().casefold() != AGAIN.casefold():
        raise RequestError(f"{answer!r} is no answer to that", hint=f"Say: {AGAIN}.")
    return [ev.AccountRetried(by=by), ev.AnswerDelivered(question=question)]


def retry(state: State, by: str, now: float) -> tuple[Block, list[ev.AnyEvent]]:
    """
    What is the matter with the account, and what it does that the person wants it tried at wall time *now*, whatever it waits
    for: nothing where that is being done.  What they were asked about it is answered by that.

    Raises `Refused` when nothing is the matter with the account.
    """
    home = state.home()
    if home.block is None:
        raise Refused(
            "nothing is known to be the matter with the account: no agent waits for it",
            hint="See what a task waits for: orchctl why TASK",
        )
    told = home.block.until is not None and home.block.bidden and home.block.until <= now
    if told or any(tries(home, run) for run in _live(state)):
        return home.block, []
    if home.asked is None:
        return home.block, [ev.AccountRetried(by=by)]
    answered = ev.QuestionAnswered(question=home.asked, answer=AGAIN, by=by)
    return home.block, [answered, *follow(home.asked, AGAIN, by)]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """
    Whether tasks may start, for the account's sake: none for a *reason*, until a wall time or an event, *stuck* when only the
    person can change it; or a *single* one at a time.  *rest* is the end of the quiet hours (wall seconds), where they keep
    what would come back and nothing else.
    """

    reason: str = ""
    until: float | None = None
    stuck: bool = False
    single: bool = False
    rest: float | None = None


def turn(state: State, now: float, zone: tzinfo, quiet: Quiet | None = None) -> Turn:
    """
    Whose turn it is at wall time *now*; times of day are told in *zone*.  In *quiet* hours nothing comes back by itself, whatever
    kept it from that before them.
    """
    home = state.home()
    block = home.block
    if block is None:
        return _coming_back(state, home, now, zone, quiet)
    name = NAMES[block.cause]
    if block.until is None:
        return Turn(reason=f"{name}: {block.reason}; put that right, then {TRY_NOW}", stuck=True)
    # An earlier version believed what no window does, and would wait for thousands of years.
    until = block.until if block.until - block.since <= 2 * LONGEST else block.since + REMEDIES[block.cause].first
    if ahead(until, now, since=block.since):
        again = moment(until, now, zone)
        return Turn(reason=f"{name}, tried again at {again} ({block.reason}); {TRY_NOW}", until=until)
    if any(tries(home, run) for run in _live(state)):
        return Turn(reason=f"{name}: one agent tries whether that is over")
    rest = _rest(quiet, now, zone, bidden=block.bidden)
    if rest is not None:
        again = moment(rest, now, zone)
        return Turn(reason=f"{name}, tried again after the quiet hours, at {again}; {TRY_NOW}", until=rest)
    return Turn(single=True)


def _rest(quiet: Quiet | None, now: float, zone: tzinfo, *, bidden: bool) -> float | None:
    """
    The end of the quiet hours that *now* is in; None when it is in none, or the person has *bidden* to try again.
    """
    end = now if quiet is None or bidden else quiet.end(now, zone)
    return end if end > now else None


def _coming_back(state: State, home: HomeRow, now: float, zone: tzinfo, quiet: Quiet | None) -> Turn:
    since = home.recovered_at
    rest = _rest(quiet, now, zone, bidden=home.bidden)
    if since is None or not (coming_back(home, now) or _gets_up(home, now, zone, quiet)):
        return Turn(rest=rest)
    if rest is not None:
        return Turn(reason=f"agents come back after the quiet hours, from {moment(rest, now, zone)}", until=rest)
    step = min(STAGGER, home.left_alone / 6)
    newest = max((run.started_at for run in _live(state)), default=0.0)
    if newest >= since and ahead(newest + step, now, since=newest):
        return Turn(reason="agents come back one after another", until=newest + step)
    return Turn(single=True, until=now + step)


def _gets_up(home: HomeRow, now: float, zone: tzinfo, quiet: Quiet | None) -> bool:
    """
    True when quiet hours broke in on the agents' coming back, and have ended as long ago as it may take.
    """
    if quiet is None or home.bidden or home.recovered_at is None:
        return False
    span = min(COMING_BACK, home.left_alone)
    evening = home.recovered_at + span
    morning = quiet.end(evening, zone)
    return evening < morning <= now < morning + span


def place(state: State, task: TaskRow) -> tuple[int, int]:
    """
    Where *task* stands, lowest first, when one at a time may start: behind the others when the service failed it while it answered
    them, and, of those that have tried in vain, when it was the last to try.
    """
    run = state.run(task.run) if task.run is not None and task.parked_at is not None else None
    return task.refusals, run.block if run is not None and not run.answered else 0


def coming_back(home: HomeRow, now: float) -> bool:
    """
    True while agents come back, at wall time *now*, after the service was left alone.
    """
    since = home.recovered_at
    return since is not None and ahead(since + min(COMING_BACK, home.left_alone), now, since=since)


def tries(home: HomeRow, run: RunRow) -> bool:
    """
    True for a *run* that was started to see whether the present trouble is over.
    """
    return home.block is not None and run.block == home.blocks


def _outlived(home: HomeRow, run: RunRow, now: float) -> bool:
    """
    True when *run* began before the person wanted the account tried again, and is not the one that tries.
    """
    if run.block == home.blocks:
        return False
    if home.block is not None:
        return home.block.bidden
    # Of a clock that was set back since nothing is believed: each agent would begin before that.
    return home.bidden and home.recovered_at is not None and run.started_at < home.recovered_at <= now


def _live(state: State) -> list[RunRow]:
    return [run for day in state.active_days() for run in state.live(day)]
