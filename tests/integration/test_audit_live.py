"""
A home is looked at while it lives: nothing is wrong with it at any moment, and nobody notices.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

import pytest
from kit.script import DAY, ask, bash, gate, question, say, scenario, task
from kit.world import World

from orchestrd.audit.finding import Finding, problems
from orchestrd.audit.home import check_home, examine
from orchestrd.audit.picture import Picture
from orchestrd.clock import SystemClock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Watch:
    """
    Looks at the home again and again in a thread of its own, and keeps what it did not like.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._over = threading.Event()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self.looks = 0
        self.found: list[Finding] = []
        self.error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self.found += problems(check_home(self._world.home, logs=[self._world.root / "daemon.log"]))
                with self._news:
                    self.looks += 1
                    self._news.notify_all()
        except BaseException as error:
            self.error = error
            raise

    def wait(self, more: int) -> None:
        """
        Until it has looked *more* times from now on.
        """
        with self._news:
            wanted = self.looks + more
            assert self._news.wait_for(lambda: self.looks >= wanted or self.error, 60)


def test_a_live_home_is_whole_at_every_moment(make_world: Callable[..., World]):
    with ExitStack() as stack:
        world = make_world(
            [
                scenario("works", *(bash(f'echo {n}; eval "$(date)"') for n in range(12)), gate("end"), say("Done.")),
                scenario("asks", ask(question("Which?", "One", "Two")), bash("echo 1"), say("Thanks.")),
            ],
            # What is denied goes on: each is one more thing that the home has to remember.
            config={"halt_at_unknown": 100},
        )
        watch = stack.enter_context(Watch(world))
        world.submit(task("works"), task("asks"))
        world.wait_event("question.asked")
        watch.wait(2)
        world.kill()
        watch.wait(2)
        # A start takes the home's lock, whoever looks at that moment.
        for _ in range(3):
            world.start()
            world.kill()
        world.start()
        assert world.orchctl("answer", "asks", "--option", "A").code == 0
        held = world.gate.arrive("end")
        pid = world.agent_pid("works/1")
        watch.wait(2)
        held.release()
        assert world.wait() == {"works": "succeeded", "asks": "succeeded"}
        watch.wait(2)
    assert watch.error is None
    assert watch.found == []
    assert watch.looks > 10
    assert world.agent_pid("works/1") == pid
    assert [e["event"]["attempt"] for e in world.events("run.started")] == [1, 1]
    assert {e["event"]["run"] for e in world.events("run.violation_seen")} == {f"{DAY}/works/1"}
    assert b"already" not in (world.root / "daemon.log").read_bytes()


def test_a_run_that_begins_while_the_home_is_looked_at_is_none_too_many(make_world: Callable[..., World]):
    world = make_world([scenario("works", gate("on"), say("Done."))])
    picture = Picture(world.home, {})
    world.submit(task("works"))
    held = world.gate.arrive("on")
    assert problems(examine(picture, ledger={}, logs=[], clock=SystemClock())) == []
    held.release()
    assert world.wait() == {"works": "succeeded"}
