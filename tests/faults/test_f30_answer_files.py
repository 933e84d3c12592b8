"""
F30: answers by file that are long, unfinished, or no text at all.  What is taken is taken whole, and of what cannot be taken
the person is told where they look.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import ask, gate, say, stream
from kit.files import wait_file
from kit.processes import until
from kit.script import DAY, question, task

from orchestrd.services.questions import ANSWER_LIMIT

pytestmark = pytest.mark.slow

MUTANTS = (
    Mutant(
        "a long answer is cut",
        file="storage/regular.py",
        old="    if len(data) > limit:\n",
        new="    data = data[: 1 << 16]\n    if len(data) > limit:\n",
        test="test_a_long_answer",
    ),
    Mutant(
        "an answer is taken that the socket would not take",
        file="services/watched.py",
        old="        if text is not None and len(msgspec.json.encode(text)) > limit:\n",
        new="        if text is None:\n",
        test="test_a_long_answer",
    ),
    Mutant(
        "what cannot be taken is not told in a list of tasks",
        file="edges/handlers.py",
        old="live, hitch = self._runs.live, self._questions.refusal",
        new='live, hitch = self._runs.live, lambda _: ""',
        test="test_what_cannot_be_taken_is_told[link]",
    ),
    Mutant(
        "what cannot be taken is not told where questions are",
        file="services/questions.py",
        old="            if note := self.refusal(row):\n",
        new="            if note := None:\n",
        test="test_what_cannot_be_taken_is_told[latin-1]",
    ),
    Mutant(
        "bytes that are no text are taken for words",
        file="storage/regular.py",
        old='    if "\\0" in text:\n',
        new="    if False:\n",
        test="test_what_cannot_be_taken_is_told[utf-16 without a mark]",
    ),
    Mutant(
        "a file that is gone is told of for ever",
        file="services/watched.py",
        old="            del self._refused[path]\n",
        new="            pass\n",
        test="test_what_cannot_be_taken_is_told[link]",
    ),
    Mutant(
        "the mark of UTF-16 is not known",
        file="storage/regular.py",
        old='(codecs.BOM_UTF16_LE, "utf-16")',
        new='(codecs.BOM_UTF16_LE, "utf-8")',
        test="test_marks_that_editors_set",
    ),
    Mutant(
        "a file that lies still is done, whoever has it open",
        file="services/watched.py",
        old="        if writer is not None:\n            self._changing[path]",
        new="        if False:\n            self._changing[path]",
        test="test_an_answer_in_two_goes",
    ),
    Mutant(
        "half an answer is better than none",
        file="services/watched.py",
        old="        if writer is not None:\n            log.warning",
        new="        if False:\n            log.warning",
        test="test_half_an_answer_as_the_run_ends",
    ),
)


def asking(world, *names: str) -> None:
    """
    Tasks of these names, each with an open question.
    """
    for name in names:
        world.script(name, [ask(question("Which?", "One", "Two")), stream(1), say()])
    world.submit_tasks(*(task(name, retries=0) for name in names), day=DAY)
    for name in names:
        world.wait_event("question.asked", question=f"{DAY}/{name}#1")


def file_of(world, name: str) -> Path:
    return world.home / "var" / "agent_questions" / DAY / f"{name}-answer.md"


def put(world, name: str, content: bytes) -> None:
    """
    A whole file in one go, from beside.
    """
    beside = world.root / "beside"
    beside.touch(mode=0o600)
    beside.write_bytes(content)
    beside.rename(file_of(world, name))


def note(world, name: str) -> str:
    """
    What is said of the answer files of the task's question.
    """
    [found] = [entry for entry in world.rpc("question.list", all=True) if entry["task"] == f"{DAY}/{name}"]
    return found["note"]


def told_everywhere(world, name: str, words: str) -> None:
    until(lambda: words in note(world, name), timeout=30.0)
    for command in (("questions",), ("why", name)):
        assert words in " ".join(world.orchctl(*command).out.split())
    assert words in world.status(name)["why"]


def told_nowhere(world, name: str) -> None:
    until(lambda: not note(world, name), timeout=30.0)
    assert "answer file" not in world.orchctl("why", name).out + world.status(name)["why"]


def heard(world, name: str) -> list[str]:
    """
    The answers that the agent on *name* got, by its own account.
    """
    rows = [row for row in world.truth_rows("answer") if row["run"] == f"{DAY}/{name}/1"]
    return [text for row in rows for text in (row["answers"] or {}).values()]


def test_a_long_answer(fault_world, tally):
    """
    As long as one over the socket may be; what is longer stays where it is, and is told.
    """
    world = fault_world()
    asking(world, "long", "longer")
    text = "a line of the specification\n" * 30_000 + "and never touch the billing table"
    assert 800_000 < len(text) < ANSWER_LIMIT
    put(world, "long", text.encode())
    # Short enough as a file, and too long for one line.
    too_long = b"\n\t" * (ANSWER_LIMIT // 3) + b"never"
    put(world, "longer", b"see:" + too_long)
    world.wait_event("question.answered", question=f"{DAY}/long#1")
    told_everywhere(world, "longer", "the answer file longer-answer.md cannot be taken: it is longer than 1 MB")
    put(world, "longer", b"x" * (2 << 20))
    wait_file(world.log, lambda data: data.count(b"it is longer than") == 2)
    assert file_of(world, "longer").stat().st_size == 2 << 20
    put(world, "longer", b"short\n")
    assert world.wait() == {"long": "succeeded", "longer": "succeeded"}
    assert (heard(world, "long"), heard(world, "longer")) == ([text], ["short"])
    tally("F30", note="a long answer by file", **check(world).counts)


@pytest.mark.parametrize("what", ["link", "fifo", "latin-1", "utf-16 without a mark"])
def test_what_cannot_be_taken_is_told(fault_world, tally, what):
    world = fault_world()
    asking(world, "a")
    path = file_of(world, "a")
    if what == "link":
        (world.root / "mine.md").write_text("Two\n")
        path.symlink_to(world.root / "mine.md")
        words = "it is a link"
    elif what == "fifo":
        os.mkfifo(path, 0o600)
        words = "it is not a regular file"
    elif what == "latin-1":
        put(world, "a", "Größer".encode("latin-1"))
        words = "it is not UTF-8 text"
    else:
        put(world, "a", "Two\n".encode("utf-16-le"))
        words = "it is not UTF-8 text, it holds NULs"
    told_everywhere(world, "a", f"the answer file a-answer.md cannot be taken: {words}")
    # Found again by the next daemon.
    world.restart()
    told_everywhere(world, "a", words)
    path.unlink()
    told_nowhere(world, "a")
    put(world, "a", b"Two\n")
    assert world.wait() == {"a": "succeeded"}
    assert heard(world, "a") == ["Two"]
    tally("F30", kills=1, note=f"an answer file that is {what}", **check(world).counts)


def test_marks_that_editors_set(fault_world, tally):
    world = fault_world()
    names = {"wide": "utf-16", "wider": "utf-16-be", "marked": "utf-8-sig"}
    asking(world, *names)
    for name, codec in names.items():
        text = f"Größer, sagt {name}\r\n"
        put(world, name, (b"\xfe\xff" if codec == "utf-16-be" else b"") + text.encode(codec))
    assert world.wait() == dict.fromkeys(names, "succeeded")
    assert [heard(world, name) for name in names] == [[f"Größer, sagt {name}"] for name in names]
    tally("F30", note="answers with a byte order mark", **check(world).counts)


def test_an_answer_in_two_goes(fault_world, tally):
    """
    Whoever has the file open for writing is not done, however long nothing happens.
    """
    world = fault_world()
    asking(world, "slow")
    path = file_of(world, "slow")
    with path.open("w", encoding="utf-8") as file:
        file.write("Use the first option only\n")
        file.flush()
        told_everywhere(world, "slow", f"is not taken yet: process {os.getpid()} has it open for writing")
        assert not world.events("question.answered")
        file.write("if the table is empty; otherwise stop and ask me.\n")
    assert world.wait() == {"slow": "succeeded"}
    assert heard(world, "slow") == ["Use the first option only\nif the table is empty; otherwise stop and ask me."]
    tally("F30", note="an answer in two goes", **check(world).counts)


def test_half_an_answer_as_the_run_ends(fault_world, tally):
    """
    It is waited for, but not for ever, and not taken for an answer; once it is whole it is kept aside, and that is told.
    """
    world = fault_world()
    world.script("a", [stream(1), ask(question("Which?", "One", "Two")), say()], [gate("told"), say()])
    world.submit_tasks(task("a", retries=1), day=DAY)
    world.wait_event("question.asked")
    with file_of(world, "a").open("w", encoding="utf-8") as file:
        file.write("Use the second\n")
        file.flush()
        os.kill(world.agent_pid("a/1"), signal.SIGKILL)
        world.wait_event("question.withdrawn", question=f"{DAY}/a#1")
        assert not world.events("question.answered")
        file.write("unless it is Tuesday\n")
    late = wait_file(file_of(world, "a").with_name("a-answer.md.late"), bytes)
    assert late == b"Use the second\nunless it is Tuesday\n"
    assert note(world, "a") == "an answer that came too late was kept aside as a-answer.md.late"
    assert "kept aside as a-answer.md.late" in world.orchctl("questions", "--all").out
    world.gate.arrive("told").release()
    assert world.wait() == {"a": "succeeded"}
    tally("F30", kills=1, note="half an answer as the run ended", **check(world).counts)
