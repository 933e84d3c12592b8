"""
What a snapshot holds, byte for byte, with the real git on real repositories.
"""

import json
import os
import threading

import anyio
import pytest

from gitworld import files, git, image, put, started
from orchestrd.errors import GitTooSlow
from orchestrd.workspace import disk, repository
from orchestrd.workspace.changes import changed_files

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]

ODD = [
    "plain.txt",
    "with space.txt",
    "naïve-文字.txt",
    "new\nline\ttab",
    "-dash",
    '"quoted"',
    "a/b/c/deep",
    b"latin-\xe9",
]


async def test_an_agent_starts_from_what_lies_on_disk(repo, project, tmp_path):
    put(project, "kept.txt", "changed, not staged\n")
    put(project, "staged.txt", "staged\n")
    git(project, "add", "staged.txt")
    put(project, "staged.txt", "staged, then changed\n")
    put(project, "src/new.py", "untracked\n")
    (project / "run.sh").unlink()
    put(project, "noise.log")
    put(project, "build/out")
    put(project, "forced.log", "tracked though ignored\n")
    git(project, "add", "-f", "forced.log")
    before = image(project)

    await started(repo, tmp_path / "tree")

    expected = files(project)
    del expected[b"noise.log"], expected[b"build/out"]
    assert files(tmp_path / "tree") == expected
    assert image(project) == before


async def test_the_agent_sees_history_and_a_clean_status(repo, project, tmp_path):
    put(project, "kept.txt", "uncommitted\n")

    await started(repo, tmp_path / "tree")

    assert git(tmp_path / "tree", "status", "--porcelain") == b""
    assert git(tmp_path / "tree", "log", "--format=%s").split(b"\n")[:2] == [b"base", b"first"]
    put(tmp_path / "tree", "kept.txt", "by the agent\n")
    assert b"+by the agent" in git(tmp_path / "tree", "diff")


async def test_odd_names_modes_links_and_bytes_come_through_exactly(repo, project, tmp_path):
    for name in ODD:
        put(project, name, os.fsencode(name) + b"\0\xff\r\n")
    put(project, "tool", "x", 0o755)
    (project / "here").symlink_to("kept.txt")
    (project / "dangling").symlink_to("no/such\nplace")
    (project / "outside").symlink_to("/etc")
    (project / "into").symlink_to("src")
    (project / "empty").mkdir()

    await started(repo, tmp_path / "tree")

    assert files(tmp_path / "tree") == files(project)
    assert git(tmp_path / "tree", "status", "--porcelain") == b""


async def test_no_attribute_and_no_setting_changes_a_byte(repo, project, tmp_path, monkeypatch):
    git(project, "config", "--global", "core.autocrlf", "true")
    git(project, "config", "--global", "filter.upper.clean", "tr a-z A-Z")
    git(project, "config", "--global", "filter.upper.smudge", "tr A-Z a-z")
    put(
        project,
        ".gitattributes",
        "* text=auto eol=crlf\n*.f filter=upper\n*.id ident\n*.u working-tree-encoding=UTF-16\n",
    )
    put(project, "dos.txt", b"one\r\ntwo\r\n")
    put(project, "mixed.txt", b"one\r\ntwo\nthree\r\n")
    put(project, "unix.txt", b"one\ntwo\n")
    put(project, "x.f", b"MiXeD\n")
    put(project, "x.id", b"$Id: expanded $\n")
    put(project, "x.u", "wide\n".encode("utf-16"))
    git(project, "add", "-A")
    git(project, "commit", "-qm", "attributes")

    base = await started(repo, tmp_path / "tree")
    again = await repo.snapshot(tmp_path / "tree", parents=(base.commit,), message="again")

    assert files(tmp_path / "tree") == files(project)
    assert again.tree_id == base.tree_id
    for name in ("x.f", "x.u", "x.id", "dos.txt", "mixed.txt"):
        assert git(repo.path, "show", f"{base.commit}:{name}") == (project / name).read_bytes()
        (tmp_path / "tree" / name).touch()
    assert git(tmp_path / "tree", "status", "--porcelain") == b""


async def test_the_persons_own_ignore_rules_count_everywhere(repo, project, tmp_path):
    put(tmp_path / "person", ".config/git/ignore", "*.secret\n")
    put(project, ".git/info/exclude", "private/\n")
    put(project, "a.secret")
    put(project, "private/b")

    base = await started(repo, tmp_path / "tree")
    put(tmp_path / "tree", "c.secret")
    put(tmp_path / "tree", "private/d")
    after = await repo.snapshot(tmp_path / "tree", parents=(base.commit,), message="after")

    assert b"a.secret" not in files(tmp_path / "tree")
    assert b"private/b" not in files(tmp_path / "tree")
    assert after.tree_id == base.tree_id


async def test_a_named_excludes_file_counts(repo, project, tmp_path):
    put(tmp_path / "person", "mine", "*.secret\n")
    git(project, "config", "--global", "core.excludesFile", "~/mine")
    put(project, "a.secret")

    base = await started(repo, tmp_path / "tree")
    put(tmp_path / "tree", "c.secret")

    assert b"a.secret" not in files(tmp_path / "tree")
    assert (await repo.snapshot(tmp_path / "tree", parents=(base.commit,), message="x")).tree_id == base.tree_id


async def test_what_becomes_ignored_leaves_the_next_snapshot(repo, project, tmp_path):
    put(project, "token", "secret\n")
    await started(repo, tmp_path / "one")
    put(project, ".gitignore", "token\n")

    await started(repo, tmp_path / "two")

    assert b"token" in files(tmp_path / "one")
    assert b"token" not in files(tmp_path / "two")


async def test_a_tracked_file_stays_though_the_agent_ignores_it(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, ".gitignore", "*\n")
    put(tree, "kept.txt", "still mine\n")
    put(tree, "fresh.txt")

    after = await repo.snapshot(tree, parents=(base.commit,), message="after")

    assert git(repo.path, "show", f"{after.commit}:kept.txt") == b"still mine\n"
    assert git(repo.path, "ls-tree", "-r", "--name-only", after.commit).split() == [
        b".gitignore", b"kept.txt", b"run.sh", b"src/app.py"
    ]  # fmt: skip


async def test_files_folders_and_links_may_trade_places(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    await repo.snapshot(tree, parents=(base.commit,), message="warm the cache")
    (tree / "kept.txt").unlink()
    put(tree, "kept.txt/inside", "a folder now\n")
    (tree / "src/app.py").unlink()
    (tree / "src").rmdir()
    (tree / "src").symlink_to(project / "src")
    (tree / "run.sh").unlink()
    os.mkfifo(tree / "run.sh")

    after = await repo.snapshot(tree, parents=(base.commit,), message="after")

    assert git(repo.path, "ls-tree", "-r", "--name-only", after.commit).split() == [
        b".gitignore", b"kept.txt/inside", b"src"
    ]  # fmt: skip


async def test_a_change_within_one_tick_and_of_one_size_is_seen(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    seen = set()
    for digit in range(10):
        put(tree, "kept.txt", f"{digit}\n")
        seen.add((await repo.snapshot(tree, parents=(base.commit,), message="x")).tree_id)

    assert len(seen) == 10


async def test_a_damaged_stat_cache_is_made_again(repo, project, tmp_path):
    base = await started(repo, tmp_path / "tree")
    repo.index_of(tmp_path / "tree").write_bytes(b"DIRCgarbage")

    after = await repo.snapshot(tmp_path / "tree", parents=(base.commit,), message="after")

    assert after.tree_id == base.tree_id


async def test_what_is_kept_is_on_disk_before_anybody_hears_of_it(repo, project, tmp_path, monkeypatch):
    """
    Every loose object and the ref by git, as its own trace counts; then the folders in which they have their names.
    """
    base = await repo.base(message="base")
    for number in range(20):
        put(project, f"new/{number}.txt", f"{number}\n")
    trace = tmp_path / "trace"
    repo.git._env["GIT_TRACE2_EVENT"] = str(trace)
    synced: list[tuple[int, str]] = []

    def syncing(folder):
        disk.sync(folder)
        synced.append((flushes(trace)["hardware-flush"], str(folder.relative_to(repo.path))))

    monkeypatch.setattr(repository, "sync", syncing)
    before = set(repo.path.glob("objects/??/*"))
    kept = await repo.snapshot(project, parents=(base.commit,), message="kept", ref="refs/orchestrd/day/a/result")
    del repo.git._env["GIT_TRACE2_EVENT"]

    assert await repo.resolve("refs/orchestrd/day/a/result") == kept.commit
    made = set(repo.path.glob("objects/??/*")) - before
    assert len(made) == 23  # files, two trees, a commit
    assert flushes(trace) == {"hardware-flush": len(made) + 1}
    folders = {str(path.parent.relative_to(repo.path)) for path in made}
    assert folders | {"objects", "refs/orchestrd/day/a", "refs/orchestrd/day", "refs", "."} <= {
        name for _, name in synced
    }
    assert {count for count, _ in synced} == {len(made) + 1}


def flushes(trace):
    """
    Kind to how many syncs of it git counted.
    """
    found = {}
    for line in trace.read_text().splitlines():
        said = json.loads(line)
        if said.get("category") == "fsync" and int(said["value"]):
            kind = said["key"].removeprefix("fsync/")
            found[kind] = found.get(kind, 0) + int(said["value"])
    return found


async def test_several_tasks_are_made_ready_at_once(repo, project, monkeypatch):
    inside, most = [], []
    real_put = repository.put

    def slow_put(path, text):
        inside.append(path)
        most.append(len(inside))
        threading.Event().wait(0.05)  # held open, so that a second writer would surely meet it
        real_put(path, text)
        inside.pop()

    monkeypatch.setattr(repository, "put", slow_put)
    put(project, ".git/info/exclude", "ignored\n")
    put(project, "ignored", "x")
    made = []

    async def start():
        made.append(await repo.base(message="m"))

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(start)

    assert max(most) == 1
    assert len({snapshot.tree_id for snapshot in made}) == 1
    assert b"ignored" not in git(repo.path, "ls-tree", "--name-only", made[0].commit).split()


async def test_what_is_too_large_is_left_out(repo, project, tmp_path):
    for name in ("same", "edited", "grown", "gone"):
        put(project, name, "x" * 200)
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "edited", "y" * 200)
    put(tree, "grown", "x" * 201)
    (tree / "gone").unlink()
    put(tree, "new", "x" * 101)
    put(tree, "small", "x" * 100)
    (tree / "link").symlink_to("x" * 150)

    repo.max_file = 100
    after = await repo.snapshot(tree, parents=(base.commit,), message="after")
    assert after.left_out == ("grown", "new")
    changed = {change.path: change.kind for change in await changed_files(repo, base.commit, after.commit)}
    assert changed == {"edited": "modified", "gone": "deleted", "small": "created", "link": "created"}

    repo.max_file = 0
    whole = await repo.snapshot(tree, parents=(base.commit,), message="whole")
    assert whole.left_out == ()
    changed = {change.path for change in await changed_files(repo, base.commit, whole.commit)}
    assert changed == {"edited", "gone", "small", "link", "grown", "new"}


async def test_what_took_too_long_is_not_done_again(repo, project, monkeypatch):
    calls = []

    async def slow(*_, **__) -> str:
        calls.append(1)
        raise GitTooSlow("git update-index took more than 900 s and was stopped")

    monkeypatch.setattr(repository, "write_tree", slow)
    with pytest.raises(GitTooSlow):
        await repo.tree_of(project)
    assert len(calls) == 1
