"""
Every way in which an agent spends, as a table: what the model says, and what befalls the agent meanwhile.

Each case is one task of a day.  Where it comes to the gate it stands still, and what we know of its money can be held against
the model's own books before it goes on.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kit.model import cost
from kit.processes import until
from kit.rpc import RpcError
from kit.script import (
    DAY,
    Step,
    agent,
    ask,
    bash,
    call,
    conversation,
    gate,
    gate_command,
    question,
    say,
    scenario,
    task,
    use,
)
from kit.world import World

MIXED = {"input": 1111, "output": 77, "cache_read": 5003, "cache_write": 307, "cache_write_1h": 201}
MUCH = {"input": 90_001, "output": 3_003, "cache_read": 700_007, "cache_write": 11_011}
WORDY = {"input": 200, "output": 1500}
FOR_GOOD = {"x-should-retry": "false"}
"""The CLI does not try again by itself."""
PATIENCE = 100.0
"""Seconds in which something happens, on a machine that does much else."""
TOLERANCE = 1000
"""Nano-USD: a millionth of a dollar."""


class Case(NamedTuple):
    """
    One task: what the model says to it and (*parts*) to its subagents, what is in its entry of the task file, what is done
    to it (*then*) at the gate, how it ends, whether it *asks* the person first, and how many answers at a time are asked for
    beside those (*more*): by the CLI itself, or while a command is at the gate.
    """

    name: str
    steps: tuple[Step, ...]
    parts: tuple[dict[str, Any], ...] = ()
    entry: dict[str, Any] = {}
    then: Callable[[World, Case], None] | None = None
    ends: str = "succeeded"
    asks: bool = False
    more: int = 0

    @property
    def conversations(self) -> int:
        """
        How many of them go on at a time at most: its own, its subagents', what the CLI asks about those by itself (2.1.197), and
        *more*.
        """
        return 1 + len(self.parts) + bool(self.parts) + self.more

    @property
    def gates(self) -> int:
        """
        How often it comes to the gate.
        """
        scripts = [*self.steps, *(step for part in self.parts for step in part["steps"])]
        return sum(gate_command(self.name) in str(step) for step in scripts)

    @property
    def scenarios(self) -> list[dict[str, Any]]:
        return [scenario(self.name, *self.steps), *self.parts]


class Standing(NamedTuple):
    """
    What is known of a case's money in one moment: nano-USD by our account and by the model's, the number of *answers* that
    were billed, and how many of the newest of them ours is *lacking*.
    """

    ours: int
    truth: int
    answers: int
    lacking: int

    @property
    def off(self) -> int:
        return self.ours - self.truth


def part(prompt: str, *steps: Step) -> dict[str, Any]:
    return conversation(prompt, *steps)


def killed(world: World, case: Case) -> None:
    """
    SIGKILL, once the CLI has written down what it was told: what is younger is asked again.
    """
    _written(world, case)
    os.kill(world.agent_pid(f"{case.name}/1"), signal.SIGKILL)


def bereft(world: World, case: Case) -> None:
    """
    The turn of the main conversation ends while a subagent is being answered, unless it waits for that (2.1.197); then the
    daemon is killed, and, when that answer has ended and nobody was there to ask what it cost, the agent.
    """
    name = case.parts[0]["name"]
    until(
        lambda: world.events("run.turn_ended", run=f"{DAY}/{case.name}/1") or _answered(world, name), timeout=PATIENCE
    )
    world.kill()
    until(lambda: _answered(world, name))
    killed(world, case)
    world.start()


def _answered(world: World, name: str) -> bool:
    return any(entry["scenario"] == name and entry["finished"] for entry in world.ledger())


def ended(world: World, case: Case) -> None:
    """
    SIGTERM, as at a shutdown of the machine.
    """
    _written(world, case)
    os.kill(world.agent_pid(f"{case.name}/1"), signal.SIGTERM)


def cancelled(world: World, case: Case) -> None:
    """
    By the person.
    """
    assert world.orchctl("cancel", case.name).code == 0


def restarted(world: World, case: Case) -> None:
    """
    The daemon is killed, and started again.
    """
    world.kill()
    world.start()


def _written(world: World, case: Case) -> None:
    own = {case.name, *(part["name"] for part in case.parts)}
    for entry in [entry for entry in world.ledger() if entry["scenario"] in own and entry["finished"]]:
        world.wait_transcript(f"{case.name}/1", (entry["scenario"], entry["step"]))


CASES = (
    # -- the first to begin: it is answered before anything else is waited for
    Case(
        "asks",
        (ask(question("Which?", "One", "Two"), usage=MIXED), gate("asks", usage=MIXED), say("Done.")),
        asks=True,
    ),
    # -- and the one in which what comes when matters most
    Case(
        "subagent-bereft",
        (
            call(
                use("Agent", description="part", prompt="a bereft part", subagent_type="general-purpose"),
                use("Bash", command=gate_command("subagent-bereft"), description="long", run_in_background=True),
                usage=MIXED,
            ),
            say("Waiting.", delay=4.0, usage=MIXED),
            say("Done."),
            say("Done."),
        ),
        (
            part(
                "a bereft part",
                bash("echo 7", thinking="Let me see.", text="word " * 60, usage=MUCH, pace=0.8),
                say("Seven."),
            ),
        ),
        then=bereft,
        more=1,
    ),
    # -- kinds of tokens
    Case("single", (say("Done."),)),
    Case("input-only", (gate("input-only", usage={"input": 12345, "output": 1}), say("Done.", usage={"output": 1}))),
    Case("output", (gate("output", usage={"output": 4321}), say("Done.", usage={"input": 1, "output": 7}))),
    Case("cache-read", (gate("cache-read", usage={"cache_read": 150_001}), say("Done.", usage={"cache_read": 9}))),
    Case("cache-5m", (gate("cache-5m", usage={"cache_write": 10_007}), say("Done.", usage={"cache_write": 3}))),
    Case("cache-1h", (gate("cache-1h", usage={"cache_write_1h": 10_007}), say("Done.", usage={"cache_write_1h": 3}))),
    Case("cache-both", (gate("cache-both", usage=MIXED), say("Done.", usage=MIXED))),
    Case("much", (gate("much", usage=MUCH), say("Done.", usage=MUCH))),
    # -- shapes of a conversation
    Case(
        "long",
        (*(bash(f"echo {n}", usage={"input": 100 + n}, delay=0.2) for n in range(25)), gate("long"), say("Done.")),
    ),
    Case("thinking", (gate("thinking", thinking="Let me see. " * 20, usage=MIXED), say("Done.", thinking="Hm."))),
    Case(
        "many-blocks",
        (
            call(
                *(use("Bash", command=f"echo {n}", description="one of many") for n in range(4)),
                thinking="All of them at once.",
                text="Four commands.",
                usage=MIXED,
            ),
            gate("many-blocks", usage=MIXED),
            say("Done."),
        ),
    ),
    Case("failing-tool", (bash("exit 3", usage=MIXED), gate("failing-tool"), say("Done."))),
    Case("forbidden", (bash("git commit -am x", usage=MIXED), say("I may not.")), ends="failed"),
    Case(
        "max-tokens",
        (
            say("It goes on", stop_reason="max_tokens", usage=MIXED),
            # The CLI asks for the rest without our leave; no real answer takes no time.
            gate("max-tokens", usage=MIXED, delay=0.5),
            say("Done."),
        ),
    ),
    Case(
        "background",
        (
            call(
                use("Bash", command=gate_command("background"), description="long", run_in_background=True), usage=MIXED
            ),
            say("It runs.", usage=MIXED),
            say("It has ended.", usage=MIXED),
        ),
        more=1,
    ),
    Case(
        "compacted",
        (
            bash("echo 1", usage={"input": 990_000}),
            gate("compacted", usage=MIXED),
            say("Done."),
        ),
        more=1,
    ),
    # What it asks to have the beginning summed up is no part of the scenario.
    Case("too-long", (bash("echo 1", usage=MIXED), {"error": "prompt_too_long"}, say("never")), more=1),
    # -- models
    Case("sonnet", (gate("sonnet", usage=MIXED), say("Done.", usage=MIXED)), entry={"model": "claude-sonnet-5-5"}),
    Case("unheard-of", (gate("unheard-of", usage=MIXED), say("Done.", usage=MIXED)), entry={"model": "claude-zeta-9"}),
    # -- subagents
    Case(
        "subagent",
        (agent("subagent part", usage=MIXED), say("Waiting."), say("Done.")),
        (part("subagent part", bash("echo 7", usage=MIXED), gate("subagent", usage=MUCH), say("Seven.", usage=MIXED)),),
    ),
    Case(
        "other-subagent",
        (
            call(
                use(
                    "Agent",
                    description="part",
                    prompt="a cheap part",
                    subagent_type="general-purpose",
                    model="sonnet",
                ),
                usage=MIXED,
            ),
            say("Waiting."),
            say("Done."),
        ),
        (part("a cheap part", bash("echo 7", usage=MIXED), gate("other-subagent", usage=MUCH), say("Seven.")),),
    ),
    Case(
        "two-subagents",
        (
            call(
                *(
                    use("Agent", description="part", prompt=f"part {n} of two", subagent_type="general-purpose")
                    for n in (1, 2)
                )
            ),
            say("Waiting."),
            say("One."),
            say("Done."),
        ),
        (
            part("part 1 of two", bash("echo 1", usage=MIXED), gate("two-subagents", usage=MIXED), say("One.")),
            part("part 2 of two", bash("echo 2", usage=MUCH), gate("two-subagents", usage=MUCH), say("Two.")),
        ),
    ),
    Case(
        "long-subagent",
        (agent("a long part"), say("Waiting."), say("Done.")),
        (
            part(
                "a long part",
                *(bash(f"echo {step}", usage=WORDY, delay=0.4) for step in range(12)),
                gate("long-subagent", usage=WORDY),
                say("Done.", usage=WORDY),
            ),
        ),
    ),
    Case(
        "many-subagents",
        (
            call(
                *(
                    use("Agent", description="part", prompt=f"part {n} of many", subagent_type="general-purpose")
                    for n in range(4)
                )
            ),
            say("Waiting."),
            *(say("One.") for _ in range(4)),
        ),
        tuple(
            part(
                f"part {n} of many",
                *(bash(f"echo {step}", usage=WORDY, delay=0.4) for step in range(8)),
                *([gate("many-subagents", usage=WORDY)] if n == 0 else []),
                say("Done.", usage=WORDY),
            )
            for n in range(4)
        ),
    ),
    # -- faults of the service
    Case("429", ({"error": {"status": 429, "retry_after": 0}}, gate("429", usage=MIXED), say("Done."))),
    Case("500", ({"error": {"status": 500, "times": 2}}, gate("500", usage=MIXED), say("Done."))),
    Case("529", (bash("echo 1", usage=MIXED), {"error": {"status": 529, "times": 2}}, gate("529"), say("Done."))),
    Case("400", (bash("echo 1", usage=MIXED), {"error": {"status": 400, "message": "no"}}, say("no"))),
    # -- what befalls the agent
    Case("killed", (bash("echo 1", usage=MIXED), gate("killed", usage=MIXED), say("Done.")), then=killed),
    Case("ended", (bash("echo 1", usage=MIXED), gate("ended", usage=MIXED), say("Done.")), then=ended),
    Case(
        "cancelled",
        (bash("echo 1", usage=MIXED), gate("cancelled", usage=MIXED), say("never")),
        then=cancelled,
        ends="cancelled",
    ),
    Case(
        "out-of-time",
        (bash("echo 1", usage=MIXED), bash("tail -f /dev/null", usage=MIXED), say("never")),
        entry={"timeout": "20s"},
        ends="failed",
    ),
    Case(
        "over-its-limit",
        (bash("echo 1", usage=MIXED), bash("echo 2", usage=MUCH), say("never"), say("never")),
        entry={"max_cost_usd": 0.4},
        ends="cancelled",
    ),
    Case(
        "subagent-killed",
        (agent("killed part", usage=MIXED), say("Waiting."), say("Done."), say("Done.")),
        (part("killed part", bash("echo 7", usage=MIXED), gate("subagent-killed", usage=MIXED), say("Seven.")),),
        then=killed,
    ),
    Case("restart", (bash("echo 1", usage=MIXED), gate("restart", usage=MIXED), say("Done.")), then=restarted),
)


def play(world: World, cases: Sequence[Case], seen: Callable[[Case], None]) -> dict[str, str]:
    """
    Let all *cases* happen, and call *seen* with each that stands still at the gate; gives the state in which each of them
    ended.
    """
    by_name = {case.name: case for case in cases}
    world.submit(*(task(case.name, **case.entry) for case in cases))
    for case in cases:
        if case.asks:
            world.wait_event("question.asked", lambda body, case=case: f"/{case.name}#" in body["question"])
            assert world.orchctl("answer", case.name, "--option", "A").code == 0
    to_come = Counter({case.name: case.gates for case in cases})
    while to_come.total():
        arrival = world.gate.arrive(timeout=PATIENCE)
        # A CLI that begins an interrupted command anew (2.1.197) comes once more, and finds the gate open.
        if to_come[arrival.name]:
            to_come[arrival.name] -= 1
            case = by_name[arrival.name]
            seen(case)
            if case.then is not None:
                case.then(world, case)
        arrival.close()
    for case in cases:
        if "max_cost_usd" in case.entry:
            # It waits for more money, and gets none.
            world.wait_event("task.limit_reached", lambda body, case=case: body["task"].endswith(f"/{case.name}"))
            cancelled(world, case)
    return _ends(world)


def _ends(world: World) -> dict[str, str]:
    """
    The states of all tasks once they have ended; whoever comes to the gate now finds it open.
    """
    end = time.monotonic() + PATIENCE
    while not (found := world.rpc("task.wait", tasks=[], timeout=0))["done"]:
        assert time.monotonic() < end, found
        try:
            world.gate.arrive(timeout=1.0).close()
        except TimeoutError:
            continue
    return world.wait()


def standings(world: World, cases: Sequence[Case]) -> dict[str, Standing]:
    """
    What is known now of the money of each of *cases*, by name; those that have not begun are not in it.
    """
    # In this order: of what is billed when the books are read, nothing may be unknown later.
    billed = _billed(world)
    shown = {entry["id"]: round(entry["cost_usd"] * 1e9) for entry in world.status()["tasks"]}
    return {case.name: _standing(shown[case.name], billed[case.name]) for case in cases if case.name in billed}


def standing(world: World, case: Case) -> Standing:
    """
    What is known of the money of *case*, which has begun.
    """
    return standings(world, [case])[case.name]


def _standing(ours: int, billed: list[int]) -> Standing:
    behind, lacking = sum(billed) - ours, 0
    while behind > TOLERANCE and lacking < len(billed):
        lacking += 1
        behind -= billed[-lacking]
    return Standing(ours=ours, truth=sum(billed), answers=len(billed), lacking=lacking)


def _billed(world: World) -> dict[str, list[int]]:
    """
    Task to the prices of the whole answers that its sessions were billed for, in the order in which they ended: its
    subagents' are in them, and what the CLI asks for itself.
    """
    tasks = {event["event"]["session"]: event["run"].split("/")[1] for event in world.events("run.started")}
    found: dict[str, list[int]] = {}
    for entry in sorted(world.ledger(), key=lambda entry: str(entry["ended"])):
        if entry["finished"] and cost(entry) and entry["session"] in tasks:
            found.setdefault(tasks[entry["session"]], []).append(cost(entry))
    return found


class Watch(threading.Thread):
    """
    Looks at every case again and again: *most* answers lacking by case, and how many *looks* lacked how many.
    """

    def __init__(self, world: World, cases: Sequence[Case]) -> None:
        super().__init__(daemon=True)
        self.most: Counter[str] = Counter()
        self.looks: Counter[int] = Counter()
        self._world = world
        self._cases = cases
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.05):
            try:
                found = standings(self._world, self._cases)
            except (OSError, EOFError, RpcError):
                continue  # there is no daemon just now
            for name, now in found.items():
                self.most[name] = max(self.most[name], now.lacking)
                self.looks[now.lacking] += 1

    def behind(self) -> dict[str, int]:
        """
        The answers that were lacking of each case of which it was more than one of each conversation.
        """
        return {case.name: self.most[case.name] for case in self._cases if self.most[case.name] > case.conversations}

    def end(self) -> None:
        self._over.set()
        self.join()
