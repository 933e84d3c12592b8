"""
F30: a question is answered by several at once, while its run dies, while it is taken back, and while the daemon is killed at
any place of the way.  The first answer wins, everybody else is told which it was, the agent acts on it once, and nothing is
handed to a run that is over.

`tests/acceptance/test_questions.py` (channels, files, several questions in one call) belongs to this row too.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream
from kit.files import wait_file
from kit.rpc import RpcError
from kit.script import DAY, question, task

from orchestrd.errors import AlreadyAnswered
from orchestrd.services.questions import LOOK_SECONDS
from orchestrd.services.watched import STILL_SECONDS

pytestmark = pytest.mark.slow
LONG = "long " * 4000
"""More than is written for an agent at once."""
POINTS = (
    "journal.begun",
    "journal.written.before_commit",
    "journal.committed",
    "store.committed.before_publish",
    "rpc.synced.before_reply",
    "session.answer.before_write",
    "session.answer.mid_write",
    "session.answer.written",
)

MUTANTS = (
    Mutant(
        "what a dead agent had in its hands counts as told",
        file="runner/settlement.py",
        old="return interpreter.leave.asking(question.request)",
        new="return False",
        test="test_an_answer_that_the_agent_did_not_live_to_read[agent]",
    ),
    Mutant(
        "the last answer wins",
        file="services/questions.py",
        old="            if row.state is not QuestionState.OPEN:\n                raise AlreadyAnswered(closed(row))\n",
        new="",
        test="test_many_answers_at_once",
    ),
    Mutant(
        "who comes late is not told",
        file="domain/answers.py",
        old='    return f"{row.id} was answered before by {row.answered_by}: {row.answer}"',
        new='    return f"{row.id} was answered before"',
        test="test_many_answers_at_once",
    ),
    Mutant(
        "an answer in a file is told as one over the socket",
        file="services/questions.py",
        old='options=[], by="file")',
        new='options=[], by="cli")',
        test="test_an_answer_over_the_socket_and_one_in_a_file",
    ),
    Mutant(
        "only an answer closes a question",
        file="services/questions.py",
        old="            if row.state is not QuestionState.OPEN:\n                raise AlreadyAnswered(closed(row))\n",
        new="            if row.answer is not None:\n                raise AlreadyAnswered(closed(row))\n",
        test="test_an_answer_as_the_question_is_taken_back",
    ),
    Mutant(
        "an answer is the last one only when it is delivered",
        file="services/questions.py",
        old="            if row.state is not QuestionState.OPEN:\n                raise AlreadyAnswered(closed(row))\n",
        new="            if row.state not in (QuestionState.OPEN, QuestionState.ANSWERED):\n"
        "                raise AlreadyAnswered(closed(row))\n",
        test="test_a_second_answer_while_the_first_is_on_its_way",
    ),
    Mutant(
        "a question outlives its run",
        file="services/endings.py",
        old="            unanswered = (QuestionState.OPEN, QuestionState.ANSWERED)\n",
        new="            unanswered = ()\n",
        test="test_an_answer_as_the_run_dies",
    ),
    Mutant(
        "an answer in a file that nobody has read dies with the run",
        file="services/endings.py",
        old="        await self._desk.last_answers(run)\n",
        new="",
        test="test_an_answer_in_a_file_as_the_run_ends[daemon down]",
    ),
    Mutant(
        "a file that came late stays as if it had been first",
        file="services/questions.py",
        old="        if row.answer is not None and _says(row, answer):\n",
        new="        if True:\n",
        test="test_a_file_that_comes_late_does_not_say_what_was_not_given",
    ),
    Mutant(
        "whatever lies in our file's place is ours",
        file="services/questions.py",
        old="not (theirs or _foreign(text))",
        new="not theirs",
        test="test_a_question_in_the_place_of_our_file_is_heard",
    ),
    Mutant(
        "what a person adds to our file is a question",
        file="services/questions.py",
        old="not (theirs or _foreign(text))",
        new="False",
        test="test_a_question_in_the_place_of_our_file_is_heard",
    ),
    Mutant(
        "an answer that nobody will hear is passed over",
        file="services/questions.py",
        old="        if row.answer is not None and _says(row, answer):\n",
        new="        if row.answer is None or _says(row, answer):\n",
        test="test_a_file_that_comes_late_does_not_say_what_was_not_given",
    ),
    Mutant(
        "of answers that come late only the last is kept",
        file="storage/home.py",
        old="    path.rename(aside)\n",
        new='    path.rename(aside := path.with_name(f"{path.name}.{why}"))\n',
        test="test_a_file_that_comes_late_does_not_say_what_was_not_given",
    ),
    Mutant(
        "what was given is taken for late",
        file="services/questions.py",
        old="    if text in (known, read_answer(ours)):\n        return True\n",
        new="",
        test="test_a_file_that_comes_late_does_not_say_what_was_not_given",
    ),
    Mutant(
        "an answer is handed over on paper first",
        file="runner/delivery.py",
        old='        voice.answer([(request, line)])\n        failpoint("session.answer.written")\n',
        new='        await desk.delivered([q for q in group if q.state == "answered"])\n'
        '        failpoint("session.answer.written")\n        voice.answer([(request, line)])\n',
        test="test_killed_at_each_place_of_an_answer[session.answer.written]",
    ),
    Mutant(
        "an answer that was cut off is written behind its torn half",
        file="storage/spool.py",
        old="            end = self._whole_lines(fd, end)\n",
        new="",
        test="test_killed_at_each_place_of_an_answer[session.answer.mid_write]",
    ),
    Mutant(
        "an answer that was not handed over is forgotten by the next daemon",
        file="runner/session.py",
        old="        for ask in heard.asks:\n            self._asks.setdefault(ask.request, ask)\n",
        new="        for ask in () if known else heard.asks:\n            self._asks.setdefault(ask.request, ask)\n",
        test="test_killed_at_each_place_of_an_answer[session.answer.before_write]",
    ),
)


def asked(world, *names: str, **more) -> None:
    """
    Tasks of these names, each with an open question.
    """
    for name in names:
        world.script(name, [ask(question(f"Which for {name}?", "One", "Two")), stream(2), say()])
    world.submit_tasks(*(task(name, retries=0, **more) for name in names), day=DAY)
    for name in names:
        world.wait_event("question.asked", question=f"{DAY}/{name}#1")


def at_once(*acts) -> list:
    """
    What each of *acts* gives, all begun in the same moment; an error is given, not raised.
    """
    found: list = [None] * len(acts)
    line = threading.Barrier(len(acts))

    def run(number: int) -> None:
        line.wait(30)
        try:
            found[number] = acts[number]()
        except RpcError as error:
            found[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return found


def answering(world, name: str, text: str):
    return lambda: world.rpc("question.answer", task=name, question=f"{DAY}/{name}#1", text=text)


def leave(world, name: str, text: str) -> None:
    """
    An answer as a person writes it.
    """
    path = world.home / "var" / "agent_questions" / DAY / f"{name}-answer.md"
    path.touch(mode=0o600)
    path.write_text(f"{text}\n", encoding="utf-8")


def heard(world, name: str) -> list[str]:
    """
    The answers that the agent on *name* got, by its own account.
    """
    rows = [row for row in world.truth_rows("answer") if row["run"] == f"{DAY}/{name}/1"]
    return [text for row in rows for text in (row["answers"] or {}).values()]


def test_many_answers_at_once(fault_world, tally):
    world = fault_world()
    names = [f"q{n}" for n in range(4)]
    asked(world, *names)
    late = 0
    for name in names:
        found = at_once(*(answering(world, name, f"word {n}") for n in range(6)))
        won = [entry for entry in found if isinstance(entry, dict)]
        lost = [entry for entry in found if isinstance(entry, RpcError)]
        assert (len(won), len(lost)) == (1, 5)
        for error in lost:
            assert error.code == AlreadyAnswered.rpc_code
            assert f"answered before by cli: {won[0]['answer']}" in str(error)
        late += len(lost)
        world.wait_event("question.delivered", question=f"{DAY}/{name}#1")
    assert world.wait() == dict.fromkeys(names, "succeeded")
    answered = {e["event"]["question"]: e["event"]["answer"] for e in world.events("question.answered")}
    for name in names:
        assert heard(world, name) == [answered[f"{DAY}/{name}#1"]]
    tally(row="F30", note=f"{late} answers that came late", **check(world).counts)


def test_an_answer_over_the_socket_and_one_in_a_file(fault_world, tally):
    """
    Whichever is first; the other is told, or lies there without effect.
    """
    world = fault_world()
    names = [f"q{n}" for n in range(6)]
    asked(world, *names)
    by: Counter[str] = Counter()
    for number, name in enumerate(names):
        leave(world, name, "by file")
        if name == names[-1]:
            world.wait_event("question.answered", question=f"{DAY}/{name}#1")
        elif number:
            # About the moment at which the file has lain still for long enough, a little later each time.
            threading.Event().wait(STILL_SECONDS + LOOK_SECONDS * number / 5)
        (found,) = at_once(answering(world, name, "by socket"))
        fact = world.wait_event("question.answered", question=f"{DAY}/{name}#1")["event"]
        by[fact["by"]] += 1
        if fact["by"] == "file":
            assert isinstance(found, RpcError)
            assert "answered before by file: by file" in str(found)
        else:
            assert found["answer"] == fact["answer"] == "by socket"
    assert set(by) == {"cli", "file"}
    assert world.wait() == dict.fromkeys(names, "succeeded")
    facts = {e["event"]["question"]: e["event"]["answer"] for e in world.events("question.answered")}
    assert len(facts) == len(world.events("question.answered")) == len(names)
    for name in names:
        assert heard(world, name) == [facts[f"{DAY}/{name}#1"]]
    tally(row="F30", note=f"{by['cli']} first by socket, {by['file']} by file", **check(world).counts)


@pytest.mark.parametrize("victim", ["agent", "shim"])
def test_an_answer_as_the_run_dies(fault_world, tally, victim):
    world = fault_world(config={"agent": {"stop_grace": "0.2s"}})
    names = [f"q{n}" for n in range(6)]
    asked(world, *names)
    refused = 0
    for number, name in enumerate(names):
        agent = world.agent_pid(f"{name}/1")
        pid = agent if victim == "agent" else _parent(agent)

        def die(pid=pid) -> None:
            os.kill(pid, signal.SIGKILL)

        acts = [die, answering(world, name, "late")]
        if number == 0:
            # Certainly dead before the answer is given.
            acts.pop(0)()
            world.wait_event("run.exited", run=f"{DAY}/{name}/1")
        *_, found = at_once(*acts)
        if isinstance(found, RpcError):
            refused += 1
            assert found.code == AlreadyAnswered.rpc_code
            assert "is withdrawn: nobody needs the answer any more" in str(found)
    for name in names:
        world.wait_event("run.exited", run=f"{DAY}/{name}/1")
    # A run that was lost with its shim is followed by another, which asks as well.
    world.rpc("task.cancel", all=True)
    world.wait()
    order = {(e["type"], e["event"].get("question") or e["run"]): e["seq"] for e in world.events()}
    for name in names:
        end = order["run.exited", f"{DAY}/{name}/1"]
        for kind in ("question.answered", "question.delivered", "question.withdrawn"):
            assert order.get((kind, f"{DAY}/{name}#1"), 0) < end, f"{kind} after the run's end"
        assert len(heard(world, name)) <= 1
    shown = world.rpc("question.list", all=True)
    assert {entry["state"] for entry in shown} <= {"delivered", "withdrawn"}
    assert refused >= 1
    tally(row="F30", kills=len(names), note=f"the {victim} died: {refused} answers refused", **check(world).counts)


@pytest.mark.parametrize("victim", ["agent", "shim"])
def test_an_answer_that_the_agent_did_not_live_to_read(fault_world, tally, victim):
    """
    It was handed over, and the run died with it: the next one is told, and nobody is asked again.
    """
    world = fault_world()
    world.script("a", [stream(1), ask(question("Which?", "One", "Two")), say()], [gate("told"), say()])
    world.submit_tasks(task("a", retries=1), day=DAY)
    world.wait_event("question.asked")
    agent = world.agent_pid("a/1")
    stopped = agent if victim == "agent" else _parent(agent)
    os.kill(stopped, signal.SIGSTOP)
    world.rpc("question.answer", task="a", text="the second, and mind the gap")
    world.wait_event("question.delivered")
    os.kill(stopped, signal.SIGKILL)
    withdrawn = world.wait_event("question.withdrawn")["event"]
    assert withdrawn["reason"] == "the run ended before it went on with the answer"
    told = world.gate.arrive("told")
    [opening] = world.truth_rows("user")[1:]
    assert "Which?" in opening["text"]
    assert "the second, and mind the gap" in opening["text"]
    told.release()
    assert world.wait() == {"a": "succeeded"}
    assert heard(world, "a") == []
    tally(row="F30", kills=1, note=f"the {victim} died with an answer in its hands", **check(world).counts)


@pytest.mark.parametrize("when", ["daemon down", "daemon up"])
def test_an_answer_in_a_file_as_the_run_ends(fault_world, tally, when):
    """
    Nobody has read it when the agent is gone: it was given all the same, and the next run is told.
    """
    world = fault_world()
    world.script("a", [stream(1), ask(question("Which?", "One", "Two")), say()], [gate("told"), say()])
    world.submit_tasks(task("a", retries=1), day=DAY)
    world.wait_event("question.asked")
    agent = world.agent_pid("a/1")
    if when == "daemon down":
        world.kill()
        os.kill(agent, signal.SIGKILL)
        leave(world, "a", "the second, and mind the gap")
        world.start()
    else:
        leave(world, "a", "the second, and mind the gap")
        os.kill(agent, signal.SIGKILL)
    told = world.gate.arrive("told")
    [opening] = world.truth_rows("user")[1:]
    assert "the second, and mind the gap" in opening["text"]
    told.release()
    assert world.wait() == {"a": "succeeded"}
    assert len(world.events("question.asked")) == len(world.events("question.answered")) == 1
    tally(row="F30", kills=1, note="answered by file as the run ended", **check(world).counts)


def test_a_file_that_comes_late_does_not_say_what_was_not_given(fault_world, tally):
    world = fault_world()
    asked(world, "p", "q", "r", "s")
    folder = world.home / "var" / "agent_questions" / DAY
    leave(world, "q", "Blue")
    answering(world, "q", "Green")()
    late = wait_file(folder / "q-answer.md.late", bytes)
    assert late == b"Blue\n"
    assert wait_file(folder / "q-answer.md", lambda data: b"answered by cli" in data and b"Green" in data)
    leave(world, "q", "Red, because the customer insists")
    assert wait_file(folder / "q-answer.md.late-2", bytes).startswith(b"Red")
    # Nobody will hear of it, and that is not kept secret.
    world.rpc("task.cancel", tasks=["s"])
    world.wait_event("question.withdrawn", question=f"{DAY}/s#1")
    leave(world, "s", "One more thing")
    assert wait_file(folder / "s-answer.md.late", bytes) == b"One more thing\n"
    wait_file(world.log, lambda data: b'"state": "withdrawn"' in data)
    # What was given is left alone, by whatever way it came, also by the next daemon.
    answering(world, "p", "  line\r\nline\r  " + LONG * 4)()
    wait_file(folder / "p-answer.md", lambda data: b"answered by cli" in data)
    world.restart()
    # Read after the others.
    leave(world, "r", "the last")
    assert world.wait_event("question.answered", question=f"{DAY}/r#1")["event"]["by"] == "file"
    world.wait()
    late = ["q-answer.md.late", "q-answer.md.late-2", "s-answer.md.late"]
    assert sorted(path.name for path in folder.glob("*.late*")) == late
    tally(row="F30", note="a file that came late", **check(world).counts)


def test_a_question_in_the_place_of_our_file_is_heard(fault_world, tally):
    """
    The agent was told to write to the very file that its question by tool lies in since.  What a person adds there is no
    question.
    """
    world = fault_world(watched=True)
    world.script("a", [stream(1), ask(question("Which?", "One", "Two")), gate("on"), say()])
    world.submit_tasks(task("a"), day=DAY)
    file = world.home / "var" / "agent_questions" / DAY / "a.md"
    ours = wait_file(file, bytes)
    file.write_bytes(ours.replace(b"Which?\n", b"Which?\n\nI should think it is Two.\n", 1))
    # Looked at again and again until it has lain still for long enough.
    world.rounds("questions", 6)
    world.write("question.answer", task="a", text="Two")
    held = world.gate.arrive("on")
    world.wait_event("question.delivered")
    file.write_text("And which port?\n", encoding="utf-8")
    asked = world.wait_event("question.asked", question=f"{DAY}/a#2")["event"]
    assert asked["text"] == "And which port?"
    world.write("question.answer", task="a", text="8080")
    held.release()
    assert world.wait() == {"a": "succeeded"}
    assert len(world.events("question.asked")) == 2
    tally(row="F30", note="a question in our file's place", **check(world).counts)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])


def test_an_answer_as_the_question_is_taken_back(fault_world, tally):
    """
    The task is cancelled in the same moment: its agent is interrupted and takes the question back.
    """
    world = fault_world()
    names = [f"q{n}" for n in range(5)]
    asked(world, *names)
    refused = 0
    for number, name in enumerate(names):
        cancel, answer = partial(world.rpc, "task.cancel", tasks=[name]), answering(world, name, "late")
        if number == 0:
            # Certainly taken back before the answer is given.
            cancelled = cancel()
            withdrawn = world.wait_event("question.withdrawn", question=f"{DAY}/{name}#1")["event"]
            assert withdrawn["reason"] == "the agent took it back"
            (found,) = at_once(answer)
        else:
            cancelled, found = at_once(cancel, answer)
        assert cancelled["changed"] == [f"{DAY}/{name}"]
        if isinstance(found, RpcError):
            refused += 1
            assert found.code == AlreadyAnswered.rpc_code
    assert world.wait() == dict.fromkeys(names, "cancelled")
    # Now it is certainly over.
    with pytest.raises(RpcError) as error:
        answering(world, names[0], "much too late")()
    assert error.value.code == AlreadyAnswered.rpc_code
    states = {entry["id"]: entry["state"] for entry in world.rpc("question.list", all=True)}
    assert set(states.values()) <= {"withdrawn", "delivered"}
    assert all(len(heard(world, name)) <= 1 for name in names)
    tally(row="F30", note=f"{refused} answers to what was taken back", **check(world).counts)


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_each_place_of_an_answer(fault_world, tally, tmp_path, point):
    world = fault_world()
    asked(world, "asks")
    # A daemon that takes the run up passes some of them before it serves.
    passes = tmp_path / "passes"
    world.kill()
    world.start(log=passes)
    taken = passes.read_text(encoding="ascii").split().count(point)
    world.kill()
    world.start(f"{point}=kill@{taken + 1}")
    answer = world.write("question.answer", task="asks", text=LONG)
    assert answer["answer"] == LONG.strip()
    if point.startswith("session"):
        world.died()
        world.start()
    assert world.wait() == {"asks": "succeeded"}
    assert len(world.lives) == 4, "it was not killed"
    assert heard(world, "asks") == [LONG.strip()]
    assert len(world.events("question.answered")) == len(world.events("question.delivered")) == 1
    assert len(world.events("run.started")) == 1
    tally(row="F30", kills=3, **check(world).counts)


def test_a_second_answer_while_the_first_is_on_its_way(fault_world, tally):
    """
    Answered, and the daemon killed before the agent has it: the next answers are late all the same, also while the next
    daemon cannot hand the first one over.
    """
    world = fault_world()
    asked(world, "asks")
    world.kill()
    world.start("session.answer.before_write=kill")
    world.rpc("question.answer", task="asks", text="first", request_id="one")
    world.died()
    leave(world, "asks", "second")
    with (world.run_dir("asks/1") / "stdin.jsonl").open("rb") as spool:
        # Somebody else is speaking to the agent.
        fcntl.flock(spool, fcntl.LOCK_EX)
        world.start()
        with pytest.raises(RpcError, match="answered before by cli: first"):
            world.rpc("question.answer", task="asks", question=f"{DAY}/asks#1", text="third")
        late = wait_file(world.home / "var" / "agent_questions" / DAY / "asks-answer.md.late", bytes)
        assert late == b"second\n"
        assert not world.events("question.delivered")
    assert world.wait() == {"asks": "succeeded"}
    assert heard(world, "asks") == ["first"]
    tally(row="F30", kills=2, **check(world, acknowledged=["one"]).counts)
