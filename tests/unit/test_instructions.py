"""
What an agent is told: everything it needs, nothing it could mistake for something else.
"""

from factories import make_question, make_task
from orchestrd.domain.events import FileChange
from orchestrd.domain.instructions import (
    ContextFile,
    Dependency,
    Places,
    first_message,
    instructions,
    resume_message,
)
from orchestrd.domain.model import Check, Complexity, Deliverable
from orchestrd.domain.rows import QuestionState

PLACES = Places(
    tree="/h/var/ws/2026-11-22/task-001/tree",
    workspace="/h/var/ws/2026-11-22/task-001",
    question_file="/h/var/agent_questions/2026-11-22/task-001.md",
    scratch="/h/var/ws/2026-11-22/task-001/tmp",
)


def written(task=None, **overrides) -> str:
    values = {
        "template": "# How to work\n",
        "rules": "No git.",
        "patterns": "",
        "standards": "# Quality\n\nTest it.",
        "context": (),
    }
    return instructions(task or make_task(), PLACES, **(values | overrides))


def test_parts_come_in_order_and_empty_ones_are_left_out():
    text = written(dependencies=(Dependency(id="a", name="A", summary=""),), context=(ContextFile(path="x", size=1),))
    order = [
        "# How to work",
        "## Rules\n\nNo git.",
        "# Quality",
        "# Your task: Do task-001",
        "### a: A",
        "## Context files",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "Patterns that have worked" not in text
    assert "## Code quality standards" not in text  # it brought a heading of its own
    assert "\n\n\n" not in text
    assert text.endswith("\n")


def test_the_task_is_told_whole():
    task = make_task(
        name="Paginate", description="\nTwenty a page.\n\nNo more.\n", module="parishes", complexity=Complexity.HIGH,
        deliverables=(
            Deliverable(text="src/list.ts and docs/list.md", path="src/list.ts"),
            Deliverable(text="src/list.ts and docs/list.md", path="docs/list.md"),
            Deliverable(text="Tests for pagination"),
        ),
        checks=(Check(name="test", run="npm test"),),
    )  # fmt: skip
    text = written(task)
    for part in (
        "# Your task: Paginate", "`2026-11-22/task-001`", "- Module: parishes", "- Estimated complexity: high",
        f"`{PLACES.tree}`", f"`{PLACES.scratch}`", f"`{PLACES.workspace}/summary.md`", f"`{PLACES.question_file}`",
        "## Description\n\nTwenty a page.\n\nNo more.", "- Tests for pagination", "- `npm test`",
    ):  # fmt: skip
        assert part in text
    assert text.count("src/list.ts and docs/list.md") == 1


def test_what_the_task_does_not_have_is_not_mentioned():
    text = written()
    for part in ("Module:", "## Deliverables", "## Checks", "## Context files", "builds on"):
        assert part not in text


def test_a_context_file_is_shown_in_a_fence_that_it_cannot_close():
    body = "a\n```\ncode\n````\nb\n"
    text = written(
        context=(ContextFile(path="docs/x.md", size=20, text=body), ContextFile(path="big.bin", size=999_999))
    )
    assert f"### `docs/x.md`\n\n`````\n{body}`````" in text
    assert "- `docs/x.md` (20 bytes, shown below)" in text
    assert "- `big.bin` (999999 bytes)" in text
    assert "### `big.bin`" not in text


def test_an_empty_context_file_is_shown_as_empty():
    assert "### `e`\n\n```\n\n```" in written(context=(ContextFile(path="e", size=0, text=""),))


def test_finished_work_is_summed_up_and_bounded():
    files = tuple(FileChange(path=f"src/{n}.ts", kind="created") for n in range(80))
    text = written(dependencies=(Dependency(id="a", name="A", summary="s" * 9000, files=files),))
    assert text.count("- created: ") == 50
    assert "s" * 4000 in text
    assert "s" * 4001 not in text


def test_the_first_message_says_where_everything_is():
    text = first_message(make_task(), PLACES)
    for part in ("2026-11-22/task-001: Do task-001", PLACES.tree, f"{PLACES.workspace}/summary.md"):
        assert part in text


def test_who_starts_anew_is_told_what_was_answered_before():
    answered = make_question(answer="SQLite", state=QuestionState.DELIVERED)
    text = first_message(make_task(), PLACES, (answered,))
    assert "Asked: Which database?\nThe answer: SQLite" in text
    assert "do not ask again" not in first_message(make_task(), PLACES)


def test_a_resumed_conversation_is_told_why():
    text = resume_message(make_task(), PLACES, "the machine stopped")
    assert "(the machine stopped)" in text
    assert PLACES.tree in text
