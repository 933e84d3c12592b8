"""
Task files that nobody should accept: one clear error each, exit status 2, and nothing is made of them.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from kit.script import say, scenario, task
from kit.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

HEAD = "date: 2026-11-22\ntasks:\n"
GOOD = "  - id: good\n    name: Good\n    description: Good.\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)

FILES: dict[str, tuple[bytes | str, str]] = {
    "empty": ("", ""),
    "no mapping": ("- just\n- a list\n", ""),
    "broken yaml": (HEAD + "  - id: a\n    name: [unclosed\n", "yaml"),
    "not utf-8": (b"date: 2026-11-22\ntasks:\n  - id: a\n    name: \xff\xfe\n", "utf-8"),
    "nul bytes": (HEAD.encode() + b"  - id: a\n    name: a\x00b\n    description: x\n", ""),
    "no date": ("tasks:\n" + GOOD, "date"),
    "impossible date": ("date: 2026-02-30\ntasks:\n" + GOOD, "date"),
    "date that climbs": ("date: ../../etc\ntasks:\n" + GOOD, "date"),
    "no tasks": ("date: 2026-11-22\n", "tasks"),
    "id that climbs": (HEAD + "  - id: ../../evil\n    name: a\n    description: b\n", "id"),
    "id twice": (HEAD + GOOD + GOOD, "good"),
    "unknown key": (HEAD + GOOD + "    depend_on: [x]\n", "depend_on"),
    "unknown dependency": (HEAD + GOOD + "    depends_on: [nobody]\n", "nobody"),
    "own dependency": (HEAD + GOOD + "    depends_on: [good]\n", "good"),
    "key twice": (HEAD + GOOD + "    name: Other\n", "name"),
    "negative limit": ("max_cost_usd: -5\n" + HEAD + GOOD, "max_cost_usd"),
    "no number": ("max_cost_usd: .nan\n" + HEAD + GOOD, "max_cost_usd"),
    "alias bomb": (BOMB + HEAD + GOOD, ""),
    "object": (HEAD + "  - !!python/object/apply:os.system ['touch owned']\n", ""),
    "context outside": (HEAD + GOOD + "    context_files: [../../etc/passwd]\n", "context_files"),
    "too large": (HEAD + GOOD + "# " + "x" * 3_000_000 + "\n", ""),
    "deep": ("date: 2026-11-22\ntasks: " + "[" * 5000 + "]" * 5000 + "\n", ""),
}


@pytest.fixture(scope="module")
def home() -> Iterator[World]:
    with World([scenario("good", say("Done."))]) as world:
        yield world


def everything(world: World) -> set[str]:
    """
    Every path below the home and the project.
    """
    folders = (world.home, world.project)
    return {str(path) for folder in folders for path in folder.rglob("*") if ".git" not in path.parts}


@pytest.mark.parametrize("name", FILES)
def test_hostile_file(home, name):
    content, word = FILES[name]
    path = home.home / "tasks" / "hostile.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before, files = home.events(), everything(home)
    done = home.orchctl("submit", str(path))
    assert done.code == 2, done
    assert "hostile.yaml" in done.err
    assert word.lower() in done.err.lower()
    assert "Traceback" not in done.err
    assert len(done.err) < 5000
    assert home.events() == before
    assert everything(home) == files
    assert home.daemon.poll() is None


def test_a_context_file_that_is_missing_is_said_at_once(home):
    text = HEAD + GOOD + "    context_files: [README.md, docs/NOWHERE.md]\n"
    done = home.orchctl("submit", "-", "--dry-run", stdin=text)
    assert done.code in {0, 2}, done
    assert "docs/NOWHERE.md" in done.out + done.err
    assert "README.md" not in done.out + done.err
    assert home.status()["tasks"] == []


def test_a_file_that_is_not_there(home):
    assert home.orchctl("submit", "nowhere.yaml").code == 5
    assert home.orchctl("submit", str(home.home)).code == 2


def test_after_all_that_a_good_file_works(home):
    assert home.submit(task("good"))["accepted"] == ["good"]
    assert home.wait() == {"good": "succeeded"}
