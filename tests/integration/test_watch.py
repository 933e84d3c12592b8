"""
What git keeps for an agent's tree is seen to change, by whatever changes it, and by nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import anyio
import pytest

from orchestrd.protocol import messages as m
from orchestrd.redaction import Redactor
from orchestrd.runner.gitwatch import Commons, names
from orchestrd.runner.reach import sight_of
from orchestrd.runner.sight import Sight
from orchestrd.runner.watch import RECORD, Watch
from orchestrd.workspace.gitstate import GitState, Places, changes
from orchestrd.workspace.indexfile import entries_digest
from orchestrd.workspace.repository import Repository

ENV = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
CALL = m.ToolCall(id="c", name="Bash", input={"command": "make"})


def git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=folder, env=ENV, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    for name in ("a.txt", "b.txt", "sub/c.txt"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(name)
    git(path, "add", ".")
    git(path, "commit", "-qm", "one")
    return path


@pytest.fixture
def bare(tmp_path: Path, project: Path) -> Path:
    path = tmp_path / "work.git"
    git(tmp_path, "clone", "-q", "--bare", str(project), str(path))
    git(path, "update-ref", "refs/orchestrd/base", "HEAD")
    for ref in git(path, "for-each-ref", "--format=%(refname)", "refs/heads").split():
        git(path, "update-ref", "-d", ref)
    return path


def grow(bare: Path, name: str) -> tuple[Path, Places]:
    tree = bare.parent / name
    git(bare, "worktree", "add", "-q", "--detach", str(tree), "refs/orchestrd/base")
    return tree, Places(entry=bare / "worktrees" / name, common=bare, pointer=tree / ".git")


def seen(places: Places, act: Callable[[], object]) -> list[str]:
    state = GitState(places)
    own, shared = state.own(), state.shared()
    act()
    return [*changes(own, state.own()), *changes(shared, state.shared())]


MUTATIONS = {
    "add": (lambda t: ((t / "a.txt").write_text("new"), git(t, "add", "a.txt")), "index"),
    "intent": (lambda t: ((t / "n.txt").write_text("new"), git(t, "add", "-N", "n.txt")), "index"),
    "rm": (lambda t: git(t, "rm", "-q", "--cached", "a.txt"), "index"),
    "assume": (lambda t: git(t, "update-index", "--assume-unchanged", "a.txt"), "index"),
    "skip": (lambda t: git(t, "update-index", "--skip-worktree", "a.txt"), "index"),
    "mode": (lambda t: git(t, "update-index", "--chmod=+x", "a.txt"), "index"),
    "commit": (lambda t: git(t, "commit", "-q", "--allow-empty", "-m", "x"), "HEAD"),
    "checkout": (lambda t: git(t, "checkout", "-q", "-b", "other"), "HEAD"),
    "branch": (lambda t: git(t, "branch", "other"), "refs/heads/other"),
    "tag": (lambda t: git(t, "tag", "v1"), "refs/tags/v1"),
    "stash": (lambda t: ((t / "a.txt").write_text("new"), git(t, "stash", "-q")), "refs/stash"),
    "config": (lambda t: git(t, "config", "core.hooksPath", "x"), "config"),
    "hook": (lambda t: _hook(t), "hooks/pre-commit"),
    "pointer": (lambda t: (t / ".git").write_text("gitdir: /elsewhere\n"), ".git"),
    "unpoint": (lambda t: (t / ".git").unlink(), ".git"),
    "packed": (lambda t: (git(t, "branch", "other"), git(t, "pack-refs", "--all")), "packed-refs"),
    "bisect": (lambda t: git(t, "bisect", "start"), "BISECT_START"),
}


def _hook(tree: Path) -> None:
    common = Path(git(tree, "rev-parse", "--git-common-dir").strip())
    (common / "hooks").mkdir(exist_ok=True)
    (common / "hooks" / "pre-commit").write_text("#!/bin/sh\n")


@pytest.mark.parametrize("name", MUTATIONS)
def test_every_change_is_seen(bare: Path, name: str) -> None:
    tree, places = grow(bare, "t1")
    act, where = MUTATIONS[name]
    told = seen(places, lambda: act(tree))
    assert any(line.startswith(f"{where} ") for line in told), told


def harmless(tree: Path, bare: Path) -> None:
    (tree / "a.txt").write_text("other words")
    (tree / "new.txt").write_text("new")
    (tree / "b.txt").unlink()
    os.utime(tree / "sub" / "c.txt", (1, 1))
    # With its optional locks it writes down what the files look like.
    index = bare / "worktrees" / tree.name / "index"
    before = index.read_bytes()
    git(tree, "status")
    assert index.read_bytes() != before
    git(tree, "diff")
    git(tree, "log", "--oneline")


def test_reading_and_working_change_nothing(bare: Path) -> None:
    tree, places = grow(bare, "t1")
    assert seen(places, lambda: harmless(tree, bare)) == []


def test_what_this_program_does_beside_is_no_change(bare: Path) -> None:
    _, places = grow(bare, "t1")

    def act() -> None:
        other, _ = grow(bare, "t2")
        git(other, "commit", "-q", "--allow-empty", "-m", "x")
        git(bare, "update-ref", "refs/orchestrd/2026/a/1/result", "refs/orchestrd/base")
        git(bare, "pack-refs", "--all")
        (bare / "worktrees" / "t1" / "index.lock").write_text("")
        (bare / "worktrees" / "t1" / "orchestrd-made").write_text("x")
        git(bare, "worktree", "remove", "--force", str(other))

    # Even our own refs, packed, are as good as none.
    assert seen(places, act) == []


@pytest.mark.parametrize("version", ["2", "3", "4"])
def test_the_index_is_read_in_every_version(project: Path, version: str) -> None:
    for number in range(40):
        (project / f"dir{number % 7}").mkdir(exist_ok=True)
        (project / f"dir{number % 7}" / f"file-{number}.txt").write_text(str(number))
    git(project, "add", ".")
    if version == "3":
        (project / "intent").write_text("x")
        git(project, "add", "-N", "intent")
    index = project / ".git" / "index"
    plain = entries_digest(index.read_bytes())
    git(project, "update-index", "--index-version", version)
    assert not plain.startswith("raw")
    assert entries_digest(index.read_bytes()) == plain
    assert plain.startswith(f"{len(git(project, 'ls-files').splitlines())}:")
    git(project, "rm", "-q", "--cached", "dir3/file-3.txt")
    assert entries_digest(index.read_bytes()) != plain


def test_a_damaged_index_is_its_bytes() -> None:
    for data in (b"", b"DIRC", b"DIRC\0\0\0\2\0\0\0\5" + b"x" * 30, b"DIRC\0\0\0\x04\0\0\0\1" + b"\0" * 70):
        assert entries_digest(data).startswith(("raw:", "1:"))


def test_hostile_places_are_neither_followed_nor_waited_for(bare: Path) -> None:
    tree, places = grow(bare, "t1")
    state = GitState(places)
    state.own(), state.shared()
    (tree / ".git").unlink()
    os.mkfifo(tree / ".git")
    (bare / "refs" / "heads").rmdir()
    (bare / "refs" / "heads").symlink_to("/")
    (bare / "hooks").mkdir(exist_ok=True)
    os.mkfifo(bare / "hooks" / "pre-push")
    (places.entry / "HEAD").unlink()
    (places.entry / "HEAD").symlink_to("/etc/passwd")
    own, shared = state.own(), state.shared()
    assert own[".git"] == "a special file"
    assert own["HEAD"] == "a link to /etc/passwd"
    assert shared["hooks/pre-push"] == "a special file"
    assert shared["refs/heads"] == "a link to /"


@pytest.mark.anyio
async def test_who_is_blamed(bare: Path, project: Path, tmp_path: Path) -> None:
    tree, places = grow(bare, "t1")
    theirs = Places(entry=project / ".git", common=project / ".git", ours=False)
    (tmp_path / "run").mkdir()

    commons = Commons()

    def watch() -> Watch:
        sight = Sight(tree=places, root=tree, project=theirs, folder=str(project))
        return Watch(sight, tmp_path / "run", commons=commons)

    first = watch()
    assert await first.look([]) is None
    # The person works on in the project, whatever the agent runs.
    git(project, "commit", "-q", "--allow-empty", "-m", "mine")
    assert await first.look([CALL]) is None
    # Another agent's doing is not that of who had nothing under way.
    another = Watch(Sight(tree=grow(bare, "t2")[1], root=tmp_path), tmp_path, commons=commons)
    assert await another.look([]) is None
    git(bare, "update-ref", "refs/heads/x", "refs/orchestrd/base")
    reading = m.ToolCall(id="r", name="Read", input={"file_path": "a"})
    assert await first.look([reading]) is None
    assert await another.look([CALL]) is not None
    assert await first.look([CALL]) is None
    # That of a process which nobody is seen to run is whose who works next.
    idle = watch()
    assert await idle.look([]) is None
    git(bare, "update-ref", "refs/heads/w", "refs/orchestrd/base")
    assert await idle.look([reading]) is None
    found = await idle.look([CALL])
    assert found is not None
    assert "shared refs/heads/w appeared" in found.evidence
    git(bare, "update-ref", "-d", "refs/heads/w")
    assert await first.look([reading]) is None
    git(bare, "update-ref", "refs/heads/y", "refs/orchestrd/base")
    found = await first.look([CALL])
    assert found is not None
    assert (found.rule, found.seen_by, found.call) == ("git", "watch", "c")
    assert "refs/heads/y appeared" in found.evidence
    assert "Bash make" in found.evidence
    assert await first.look([CALL]) is None, "told once"
    # A call that names the project is blamed for what changes there.
    second = watch()
    assert await second.look([]) is None
    git(project, "commit", "-q", "--allow-empty", "-m", "not mine")
    found = await second.look([m.ToolCall(id="d", name="Bash", input={"command": f"sh {project}/x.sh"})])
    assert found is not None
    assert "project's refs/heads/main changed" in found.evidence
    # What is the run's alone has no other author, and is remembered over a restart.
    assert (tmp_path / "run" / RECORD).exists()
    git(tree, "commit", "-q", "--allow-empty", "-m", "x")
    made = m.ToolCall(id="e", name="Bash", input={"command": "TOKEN=planted-one make"})
    found = await watch().look([made], redact=Redactor(["planted-one"]))
    assert found is not None
    assert found.target.startswith("HEAD changed")
    assert "TOKEN=[secret] make" in found.evidence


@pytest.mark.anyio
async def test_a_tree_that_is_gone_as_a_whole_is_no_change(bare: Path, tmp_path: Path) -> None:
    tree, places = grow(bare, "t1")
    (tmp_path / "run").mkdir()
    watch = Watch(Sight(tree=places, root=tree), tmp_path / "run")
    assert await watch.look([]) is None
    shutil.rmtree(tree)
    assert await watch.look([CALL]) is None
    tree.mkdir()
    found = await watch.look([CALL])
    assert found is not None
    assert ".git changed" in found.evidence


class Allows(NamedTuple):
    """
    A `runner.watch.Pardon`: *given*, or for the call with this id, which this *rule* would have stopped.
    """

    given: bool = False
    call: str = ""
    rule: str = "delete"
    act: str = "a" * 32

    def covers(self, call: m.ToolCall) -> frozenset[str]:
        return frozenset({self.rule} if call.id == self.call else ())


@pytest.fixture
def counted(bare: Path, tmp_path: Path) -> tuple[Path, Callable[..., Watch]]:
    """
    A tree, and what makes a watch over it, each as after a restart.
    """
    tree, places = grow(bare, "t1")
    (tmp_path / "run").mkdir()

    async def moved() -> set[str]:
        env = {**ENV, "GIT_INDEX_FILE": str(tmp_path / "other-index")}
        await anyio.run_process(["git", "add", "-A"], cwd=tree, env=env)
        words = ["git", "diff", "--cached", "-M", "--name-status", "refs/orchestrd/base"]
        out = (await anyio.run_process(words, cwd=tree, env=env)).stdout.decode()
        return {line.split("\t")[1] for line in out.splitlines() if line.startswith("R")}

    return tree, lambda pardon=None: Watch(Sight(tree=places, root=tree), tmp_path / "run", pardon, moved)


@pytest.mark.anyio
async def test_a_file_that_is_gone_when_nothing_is_under_way(counted) -> None:
    tree, make = counted
    watch = make()
    assert await watch.look([], resting=True) is None
    (tree / "sub" / "c.txt").unlink()
    assert await watch.look([CALL]) is None, "it may come back"
    found = await watch.look([CALL], resting=True)
    assert found is not None
    assert (found.rule, found.seen_by, found.target, found.fixed) == ("delete", "watch", "sub/c.txt is gone", False)
    assert "Meanwhile: Bash make" in found.evidence
    assert await watch.look([CALL], resting=True) is None, "told once"


@pytest.mark.anyio
async def test_a_file_that_comes_back_or_was_moved_is_not_gone(counted) -> None:
    tree, make = counted
    watch = make()
    assert await watch.look([], resting=True) is None
    (tree / "a.txt").unlink()
    assert await watch.look([CALL]) is None
    (tree / "a.txt").write_text("made anew")
    (tree / "new").mkdir()
    (tree / "b.txt").rename(tree / "new" / "moved.txt")
    (tree / "sub").rename(tree / "elsewhere")
    assert await watch.look([CALL], resting=True) is None
    # One that was changed as well is the same yet, in a file of its own; and what was moved may not go from there.
    (tree / "elsewhere" / "c.txt").write_text("sub/c.txt.")
    assert await watch.look([CALL], resting=True) is None
    # What it made itself is its own to take away.
    (tree / "mine.txt").write_text("mine")
    assert await watch.look([CALL], resting=True) is None
    (tree / "mine.txt").unlink()
    assert await watch.look([CALL], resting=True) is None
    (tree / "elsewhere" / "c.txt").unlink()
    found = await watch.look([], resting=True, over=True)
    assert found is not None
    assert found.target == "sub/c.txt is gone"


@pytest.mark.anyio
async def test_another_file_does_not_stand_for_one_that_is_gone(counted) -> None:
    """
    Its inode may be used again at once.
    """
    tree, make = counted
    watch = make()
    assert await watch.look([], resting=True) is None
    (tree / "a.txt").unlink()
    (tree / "note.txt").write_text("something else altogether")
    found = await watch.look([CALL], resting=True)
    assert found is not None
    assert found.target == "a.txt is gone"


@pytest.mark.anyio
@pytest.mark.parametrize("pardon", [Allows(given=True), Allows(call="c")])
async def test_what_a_person_allowed_to_go_may_go(counted, pardon) -> None:
    tree, make = counted
    watch = make(pardon)
    assert await watch.look([], resting=True) is None
    (tree / "a.txt").unlink()
    assert await watch.look([CALL], resting=True) is None
    (tree / "b.txt").unlink()
    found = await watch.look([m.ToolCall(id="d", name="Bash", input={"command": "make"})], resting=True)
    assert (found is None) is pardon.given
    assert found is None or (found.target, found.act) == ("b.txt is gone", pardon.act)


@pytest.mark.anyio
async def test_a_file_that_goes_while_no_daemon_looks(counted) -> None:
    tree, make = counted
    (tree / "b.txt").unlink()
    assert await make().look([], resting=True) is None, "it was so when the run began"
    # One that was moved meanwhile is there yet.
    (tree / "a.txt").rename(tree / "z.txt")
    assert await make().look([], resting=True) is None
    (tree / "sub" / "c.txt").unlink()
    found = await make().look([], resting=True)
    assert found is not None
    assert found.evidence.startswith("sub/c.txt is gone. Meanwhile")


@pytest.mark.anyio
async def test_a_look_is_cheap(bare: Path, tmp_path: Path) -> None:
    _, places = grow(bare, "t1")
    state = GitState(places)
    state.own(), state.shared()
    began = time.process_time()
    for _ in range(100):
        state.own(), state.shared()
    assert (time.process_time() - began) / 100 < 0.01


def test_names() -> None:
    assert names({"command": "cd /p && make"}, "/p")
    assert not names({"command": "ls /p-days /pq /p.old"}, "/p")
    # Where the home lies in the project, the agent's own folder is not meant.
    assert not names({"file_path": "/p/home/t/tree/a"}, "/p", "/p/home/t")
    assert names({"command": "cp /p/home/t/tree/a /p/a"}, "/p", "/p/home/t")
    assert not names({"file_path": "/x", "content": "see /p"}, "/p")
    assert names({"a": [{"x": 1}, "in /p/q"]}, "/p")
    assert names({"a": {"b": "/p"}}, "/p")
    assert not names({"a": 3, "b": ["x"]}, "/p")
    assert not names({"a": "/p"}, "")


@pytest.mark.anyio
async def test_what_a_person_let_a_call_change_is_so_from_then_on(counted, bare: Path) -> None:
    tree, make = counted
    leave = Allows(call=CALL.id, rule="git")
    watch = make(leave)
    assert await watch.look([], resting=True) is None
    git(tree, "tag", "v1")
    git(tree, "commit", "--allow-empty", "--quiet", "-m", "x")
    assert await watch.look([CALL]) is None
    other = m.ToolCall(id="other", name="Bash", input={"command": "make"})
    assert await watch.look([other], resting=True) is None
    # Neither does the next daemon find it.
    assert await make(leave).look([], resting=True) is None
    git(tree, "tag", "v2")
    found = await watch.look([other])
    assert found is not None
    assert "refs/tags/v2 appeared" in found.target
    # Another rule's leave is none for that; nor is any for what runs programs.
    watch = make(Allows(call=CALL.id))
    assert await watch.look([], resting=True) is None
    git(tree, "tag", "v3")
    assert await watch.look([CALL]) is not None
    watch = make(leave)
    assert await watch.look([], resting=True) is None
    (bare / "hooks").mkdir(exist_ok=True)
    (bare / "hooks" / "pre-commit").write_text("x")
    found = await watch.look([CALL])
    assert found is not None
    assert "hooks/pre-commit appeared" in found.target


@pytest.mark.anyio
async def test_a_link_in_the_place_of_git_is_looked_at_itself(tmp_path: Path, project: Path) -> None:
    """
    Whoever replaces it leads the person's next git elsewhere, and nothing changes in what it led to.
    """
    (project / ".git").rename(tmp_path / "gitdir")
    (project / ".git").symlink_to("../gitdir")
    sight = sight_of(await Repository.open(tmp_path / "own.git", project), project)
    assert sight is not None
    state = GitState(sight.tree)
    before = state.own()
    (project / ".git").unlink()
    shutil.copytree(tmp_path / "gitdir", project / ".git")
    assert [line.split()[0] for line in changes(before, state.own())] == [".git"]


@pytest.mark.anyio
async def test_what_a_person_let_one_run_change_is_held_against_no_other(bare: Path, tmp_path: Path) -> None:
    commons = Commons()

    async def watch(name: str, pardon: Allows | None = None) -> Watch:
        (tmp_path / f"run-{name}").mkdir()
        tree, places = grow(bare, name)
        made = Watch(Sight(tree=places, root=tree), tmp_path / f"run-{name}", pardon, commons=commons)
        await made.begin()
        assert await made.look([], resting=True) is None
        return made

    tagging = await watch("t1", Allows(call=CALL.id, rule="git"))
    early, late, idle = [await watch(name) for name in ("t2", "t3", "t4")]
    other = m.ToolCall(id="other", name="Bash", input={"command": "make"})
    under_way = [CALL]
    tagging.current = lambda: under_way
    git(bare, "tag", "v1", "refs/orchestrd/base")
    # While it is under way, and before it was looked at what came of it.
    assert await early.look([other]) is None
    assert await idle.look([]) is None
    assert await tagging.look([CALL], resting=True) is None
    under_way.clear()
    # And afterwards, by whoever had not looked yet.
    assert await late.look([other]) is None
    assert await idle.look([other]) is None
    # What comes after it is blamed on who works, and so is what nobody can let anybody change.
    git(bare, "tag", "v2", "refs/orchestrd/base")
    found = await late.look([other])
    assert found is not None
    assert found.target == f"shared refs/tags/v2 appeared ({git(bare, 'rev-parse', 'refs/tags/v2').strip()})"
    under_way.append(CALL)
    (bare / "hooks").mkdir(exist_ok=True)
    (bare / "hooks" / "pre-push").write_text("x")
    found = await idle.look([other])
    assert found is not None
    assert "hooks/pre-push appeared" in found.target
    # A run that is over excuses nobody.
    await tagging.look([], over=True)
    git(bare, "tag", "v3", "refs/orchestrd/base")
    found = await early.look([other])
    assert found is not None
    assert "refs/tags/v3 appeared" in found.evidence
