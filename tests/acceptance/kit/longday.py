"""
A day of twelve hours and the morning after it, on a clock that jumps whenever nobody works, with a service that is in trouble for
a good part of it.

Time runs as the machine's while an agent does something.  While every agent waits for the model, or there is none and tasks wait,
it is moved on, a step at a time, so that nothing that the daemon does by the clock is passed over.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

from kit import virtual
from kit.files import wait_file
from kit.gateway import Gateway, Kind, Trouble
from kit.script import Step, say, scenario, task, write
from kit.told import Told
from kit.virtual import VirtualClock
from kit.world import World

from orchestrd.rehearsal.conversation import Conversation

SLOTS, TASKS, ANSWERS = 4, 24, 7
THINK = (400.0, 840.0)
"""Seconds that an answer takes at least and at most."""
STEP = 60.0
"""Seconds of the clock that are jumped over at once, at most: half of what the daemon gives an agent to answer it."""
LOOKS, LOOK = 3, 0.008
"""How often in a row nothing must be going on before the clock jumps, and the seconds between two looks."""
PATIENCE = 240.0
"""Seconds within which something must go on."""
TRIES = 3
"""
How often an agent asks before it gives up.  By itself Claude Code 2.1.330 asks an overloaded service 11 times, for three minutes,
when it has a subscription's token; 3 times with an API key.
"""
STORM = SLOTS * (TRIES + 1)
"""Requests a minute: each agent gets an answer and then tries at a service that fails."""
BOUNDS = {Kind.WINDOW: SLOTS, Kind.OVERLOADED: (SLOTS + 8) * TRIES, Kind.UNAUTHORIZED: SLOTS * TRIES}
"""Requests that a trouble may meet: each agent runs into it once, a used-up window is told at once; and then one tries, seldom."""
BEGIN = 10.0
QUIET = (22.0, 31.0)
"""Hours after midnight of the day."""
TROUBLES = (
    (12.0, 13.5, Kind.WINDOW),
    (15.0, 16.0, Kind.OVERLOADED),
    (17.5, 18.2, Kind.UNAUTHORIZED),
    (20.5, 23.2, Kind.WINDOW),
)
KILLS = (15.5, 19.0)
"""When the daemon is killed: while all wait for the service, and while all work."""


class LongDay(World):
    """
    The world of such a day.
    """

    def __init__(self) -> None:
        # Ahead of the machine's clock, which the agents go by: a window that they are told of must be in their future.
        self.midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        self.name = f"{self.midnight:%Y-%m-%d}"
        self.troubles = [Trouble(self.at(begin), self.at(end), kind) for begin, end, kind in TROUBLES]
        self.clock: VirtualClock | None = None
        self._gateway: Gateway | None = None
        config = {"max_concurrent_agents": SLOTS, "retries": 0, "quiet_after": "22:00", "quiet_until": "07:00"}
        names = [f"t{number:02}" for number in range(TASKS)]
        self._tasks = [task(name) for name in names]
        super().__init__([scenario(name, *_steps(name), day=self.name) for name in names], config=config)

    def furnish(self) -> dict[str, str]:
        self.clock = VirtualClock(self.root / "clock", begin=self.at(BEGIN))
        # Only a subscription has windows, and the CLI tells of them only then.
        env = super().furnish() | {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-rehearsal"}
        del env["ANTHROPIC_API_KEY"]
        env["CLAUDE_CODE_MAX_RETRIES"] = str(TRIES - 1)
        self._gateway = Gateway(env["ANTHROPIC_BASE_URL"], self.clock, self.troubles, _think)
        return env | {"ANTHROPIC_BASE_URL": self._gateway.url}

    def spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, virtual.__file__, str(self.root / "clock"), str(self.home)],
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def close(self) -> None:
        super().close()
        if self._gateway is not None:
            self._gateway.close()

    @property
    def gateway(self) -> Gateway:
        assert self._gateway is not None
        return self._gateway

    @property
    def now(self) -> float:
        """
        Wall seconds of the day.
        """
        assert self.clock is not None
        return self.clock.wall()

    def at(self, hour: float) -> float:
        """
        The wall time so many *hours* after midnight of the day.
        """
        return self.midnight.timestamp() + hour * 3600

    def hour(self, at: float) -> str:
        """
        A wall time as the person's clock shows it, with the day if it is the next one.
        """
        there = datetime.fromtimestamp(at, UTC)
        return f"{there:%H:%M:%S}" + ("" if there.date() == self.midnight.date() else "+1")

    def live(self) -> Told:
        """
        Submit all tasks and let the day go by until each has ended; the daemon is killed at `KILLS` and started again.

        Raises `AssertionError` when there are more than `STORM` requests in a minute, or than `BOUNDS` in a trouble, `TimeoutError`
        when nothing goes on or the tasks are not done at noon.
        """
        self.submit(*self._tasks, day=self.name, max_cost_usd=1000.0)
        moments: list[tuple[float, Callable[[], None]]] = [
            (trouble.end, self.log_in) for trouble in self.troubles if trouble.kind is Kind.UNAUTHORIZED
        ]
        moments += [(self.at(hour), self.restart) for hour in KILLS]
        moments.sort(key=lambda moment: moment[0])
        with closing(Told(self.home)) as told:
            while not self._over(told):
                while moments and moments[0][0] <= self.now:
                    moments.pop(0)[1]()
                due = moments[0][0] if moments else self.at(36)
                if self.now >= self.at(36):
                    raise TimeoutError(f"at noon not all tasks are done: {told.ended}")
                self._go_on(told, due)
            return told

    @staticmethod
    def _over(told: Told) -> bool:
        return len(told.ended) == TASKS

    def restart(self) -> None:
        """
        SIGKILL for the daemon, and another one.
        """
        self.kill()
        self.start()

    def start(self) -> None:
        """
        As of every world; the agents' program is looked at, too, which may take as long as the clock takes to jump.
        """
        before = self.log.stat().st_size if self.log.exists() else 0
        super().start()
        wait_file(self.log, lambda data: b"agent.ready" in data[before:], writer=self.daemon)

    def log_in(self) -> None:
        """
        What the person does about a login that is gone: they are asked once, and say that it is there again.
        """
        (asked,) = self.orchctl("questions", "--json").json
        done = self.orchctl("answer", asked["task"], "--option", "A")
        assert done.code == 0, done

    def _no_storm(self) -> None:
        busiest = self.gateway.busiest
        assert busiest <= STORM, f"a storm: {busiest} requests in a minute, at {self.hour(self.now)}"
        for trouble, number in self.gateway.met.items():
            assert number <= BOUNDS[trouble.kind], f"a storm: {number} met {trouble}, at {self.hour(self.now)}"

    def _go_on(self, told: Told, due: float) -> None:
        """
        Wait until nobody does anything, and move the clock on by a step, to *due* at most.
        """
        assert self.clock is not None
        end, calm = time.monotonic() + PATIENCE, 0
        while calm < LOOKS:
            self._no_storm()
            nothing = not told.look() and told.waits(set(self.gateway.held)) and self.clock.followed
            calm = calm + 1 if nothing else 0
            if self._over(told) or self.now >= due:
                return
            if time.monotonic() > end:
                raise TimeoutError(f"nothing goes on at {self.hour(self.now)}: {list(told.open)}, {self.gateway.held}")
            time.sleep(LOOK)
        nearest = min(self.gateway.held.values(), default=due)
        self.clock.jump(max(0.0, min(STEP, nearest - self.now, due - self.now)))


def distribution(minutes: Counter[int]) -> str:
    """
    How many minutes had how many requests, in one line.
    """
    counts = Counter(minutes.values())
    return "requests a minute: " + ", ".join(f"{number} in {counts[number]} minutes" for number in sorted(counts))


def _steps(name: str) -> list[Step]:
    return [*(write(f"{name}/{number}.txt", f"{number}\n") for number in range(ANSWERS - 1)), say("Done.")]


def _think(talk: Conversation) -> float:
    """
    How long the model thinks: as long as always for the same question, and else for another.
    """
    return random.Random(f"{talk.key}/{len(talk.past)}").uniform(*THINK)
