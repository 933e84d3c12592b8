"""
Worktrees and the repository they belong to, with the real git on real repositories.
"""

import hashlib
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from blockbuster import blockbuster_ctx

from orchestrd.errors import NotFound, Refused, StorageError
from orchestrd.workspace import worktree
from orchestrd.workspace.merge import MergeConflict, Work
from orchestrd.workspace.repository import Repository, ref_name

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def anyio_backend():
    return "asyncio"


@pytest.fixture(autouse=True)
def _never_blocking():
    with blockbuster_ctx("orchestrd.workspace"):
        yield


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    home = tmp_path / "person"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    # What the daemon inherits must not reach git.
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent")


def git(cwd, *words, ok=True, stdin=None):
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    identity = ("-c", "user.name=Person", "-c", "user.email=p@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *identity, *words], cwd=cwd, env=env, input=stdin, capture_output=True, check=False)
    assert not ok or done.returncode == 0, done.stderr
    return done.stdout


def put(root, path, content=b"content\n", mode=None):
    target = root / os.fsdecode(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    if mode is not None:
        target.chmod(mode)
    return target


def image(root):
    """
    Every path of *root* with kind, mode and content; the modification times do not count.
    """
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if path.is_symlink():
                body = str(path.readlink())
            elif path.is_dir():
                body = ""
            else:
                body = hashlib.sha256(path.read_bytes()).hexdigest()
            found[os.fsencode(path.relative_to(root))] = (mode, body)
    return found


def files(root):
    """
    Paths of the files and links of *root* with their contents, without ``.git``.
    """
    return {
        path: (mode & 0o170100, body)
        for path, (mode, body) in image(root).items()
        if path.split(b"/")[0] != b".git" and mode & 0o170000 != 0o040000
    }


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    put(root, "kept.txt", "one\ntwo\nthree\n")
    put(root, "src/app.py", "print('hello')\n")
    put(root, "run.sh", "#!/bin/sh\n", 0o755)
    put(root, ".gitignore", "*.log\nbuild/\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


@pytest.fixture
async def repo(tmp_path, project):
    return await Repository.open(tmp_path / "home/var/git/one.git", project)


async def started(repo, path, **how):
    """
    A base snapshot of the project, and a worktree of it at *path*.
    """
    base = await repo.base(message="base", ref=ref_name("day", path.name, "base"), **how)
    await worktree.make(repo, path, base.commit)
    return base


async def test_snapshots_survive_the_persons_rewriting_and_gc(repo, project, tmp_path):
    put(project, "kept.txt", "precious\n")
    git(project, "commit", "-qam", "to be lost")
    base = await repo.base(message="base", ref=ref_name("day", "task", "base"))
    git(project, "reset", "-q", "--hard", "HEAD~1")
    git(project, "reflog", "expire", "--expire=all", "--all")
    git(project, "gc", "-q", "--prune=now")
    await repo.tidy()

    assert git(repo.path, "fsck", "--strict", "--connectivity-only") == b""
    assert git(repo.path, "show", f"{base.commit}:kept.txt") == b"precious\n"


async def test_dependent_work_builds_on_what_was_made(repo, project, tmp_path):
    base = await started(repo, tmp_path / "a")
    put(tmp_path / "a", "made.txt", "by a\n")
    put(tmp_path / "a", "kept.txt", "one\ntwo\nthree, by a\n")
    done = Work(
        base=base.commit, result=(await repo.snapshot(tmp_path / "a", parents=(base.commit,), message="a")).commit
    )
    put(project, "kept.txt", "one, by the person\ntwo\nthree\n")

    second = await started(repo, tmp_path / "b", merge=[done])
    put(tmp_path / "b", "more.txt", "by b\n")
    more = Work(
        base=second.commit, result=(await repo.snapshot(tmp_path / "b", parents=(second.commit,), message="b")).commit
    )
    await started(repo, tmp_path / "c", merge=[done, more])

    assert (tmp_path / "c/kept.txt").read_text() == "one, by the person\ntwo\nthree, by a\n"
    assert (tmp_path / "c/made.txt").read_text() == "by a\n"
    assert (tmp_path / "c/more.txt").read_text() == "by b\n"
    put(project, "made.txt", "by a\n")
    assert (await repo.base(message="made.txt is there already", merge=[done, more])).tree_id == git(
        repo.path, "rev-parse", "refs/orchestrd/day/c/base^{tree}"
    ).decode().strip()


async def test_dependencies_that_do_not_fit_are_named(repo, project, tmp_path):
    base = await started(repo, tmp_path / "a")
    put(tmp_path / "a", "kept.txt", "by a\n")
    (tmp_path / "a/run.sh").unlink()
    done = Work(
        base=base.commit, result=(await repo.snapshot(tmp_path / "a", parents=(base.commit,), message="a")).commit
    )
    put(project, "kept.txt", "by the person\n")
    put(project, "run.sh", "#!/bin/sh\nexit\n")

    with pytest.raises(MergeConflict) as raised:
        await repo.base(message="base", merge=[done])

    assert raised.value.paths == ("kept.txt", "run.sh")


async def test_making_a_worktree_twice_changes_nothing(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "work.txt")

    await worktree.make(repo, tree, base.commit)
    put(project, "kept.txt", "other\n")
    other = await repo.base(message="other")
    with pytest.raises(Refused, match="another snapshot"):
        await worktree.make(repo, tree, other.commit)

    assert (tree / "work.txt").exists()


@pytest.mark.parametrize("damage", ["mark", "mark and files", "pointer", "tree gone", "admin gone", "locked"])
async def test_a_half_made_worktree_is_made_again(repo, project, tmp_path, damage):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    (admin,) = (repo.path / "worktrees").iterdir()
    if damage != "tree gone":
        (admin / worktree.MARK).unlink()
    if damage == "mark and files":
        (tree / "kept.txt").unlink()
        (admin / "index").unlink()
    elif damage == "pointer":
        (tree / ".git").unlink()
    elif damage == "tree gone":
        shutil.rmtree(tree)
    elif damage == "admin gone":
        shutil.rmtree(admin)
    elif damage == "locked":
        (admin / "locked").write_text("initializing\n")

    await worktree.make(repo, tree, base.commit)

    assert files(tree) == files(project)
    assert git(tree, "status", "--porcelain") == b""
    assert len(list((repo.path / "worktrees").iterdir())) == 1


async def test_a_folder_of_somebody_elses_is_left_alone(repo, project, tmp_path):
    base = await repo.base(message="base")
    put(tmp_path, "mine/file")

    with pytest.raises(Refused, match="not empty"):
        await worktree.make(repo, tmp_path / "mine", base.commit)
    with pytest.raises(Refused, match="no worktree"):
        await worktree.remove(repo, tmp_path / "mine")
    with pytest.raises(Refused):
        await worktree.make(repo, project, base.commit)
    with pytest.raises(NotFound):
        await worktree.make(repo, tmp_path / "new", "refs/orchestrd/no/such")

    assert (tmp_path / "mine/file").exists()


async def test_work_is_removed_only_once_a_snapshot_has_it(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "work/of/hours.txt")
    put(tree, "cache.log")
    (tree / "work").chmod(0o555)

    with pytest.raises(Refused, match="no snapshot"):
        await worktree.remove(repo, tree)
    assert (tree / "work/of/hours.txt").exists()
    kept = await repo.snapshot(tree, parents=(base.commit,), message="kept", ref=ref_name("day", "t", "result"))
    await worktree.remove(repo, tree)
    await worktree.remove(repo, tree)

    assert not tree.exists()
    assert not any((repo.path / "worktrees").glob("*"))
    assert git(repo.path, "show", f"{kept.commit}:work/of/hours.txt") == b"content\n"


async def test_worktrees_whose_folders_are_gone_are_pruned(repo, tmp_path):
    await started(repo, tmp_path / "tree")
    shutil.rmtree(tmp_path / "tree")

    await worktree.prune(repo)

    assert not any((repo.path / "worktrees").glob("*"))


async def test_many_at_once(repo, project, tmp_path):
    async with anyio.create_task_group() as group:
        for number in range(6):
            group.start_soon(partial(started, repo, tmp_path / f"t{number}"))

    assert all(files(tmp_path / f"t{number}") == files(project) for number in range(6))
    assert len(await repo.refs("refs/orchestrd/day")) == 6


async def test_opening_again_sweeps_up_after_a_kill(repo, project, tmp_path):
    base = await repo.base(message="base", ref=ref_name("day", "task", "base"))
    for stray in ("orchestrd-index/new-1-2", "orchestrd-index/new-1-2.lock", "packed-refs.lock", "config.lock"):
        put(repo.path, stray)
    put(repo.path, "refs/orchestrd/day/task/base.lock")

    again = await Repository.open(repo.path, project)
    await again.base(message="base", ref=ref_name("day", "task", "base"))

    assert not [*repo.path.rglob("*.lock"), *repo.path.rglob("new-*")]
    assert await again.resolve(base.commit) == base.commit


async def test_a_file_that_cannot_be_read_is_named(repo, project, tmp_path, monkeypatch):
    put(project, "kept.txt", "x")
    monkeypatch.setattr("orchestrd.workspace.listing._present", lambda tree, paths: [b"kept.txt", b"src"])

    with pytest.raises(StorageError, match="src"):
        await repo.base(message="base")


async def test_refs_hold_any_id_and_can_be_dropped(repo):
    tree = (await repo.base(message="base")).commit
    ids = ["a.lock", "a.", "a..b", "a-b_c", "A", "a", "a.lock.lock", "%2E"]
    for name in ids:
        await repo.git.run("update-ref", ref_name("2026-11-22", name, "1", "base"), tree)

    assert len(await repo.refs("refs/orchestrd/2026-11-22")) == len(ids)
    await repo.drop(ref_name("2026-11-22", "a"))
    assert len(await repo.refs("refs/orchestrd/2026-11-22")) == len(ids) - 1
    await repo.drop("refs/orchestrd/2026-11-22")
    assert await repo.refs("refs/orchestrd") == []


async def test_a_command_that_hangs_is_ended_with_all_it_started(repo, tmp_path):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    # Opened for reading and writing: reading ends only when nobody else holds it.
    hang = f"!exec 3<>{fifo}; sleep 600 & sleep 600"

    with anyio.fail_after(20), pytest.raises(StorageError, match="and was stopped"):
        await repo.git.run("-c", f"alias.hang={hang}", "hang", patience=0.5)
    with await anyio.to_thread.run_sync(lambda: os.fdopen(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK), "rb")) as reader:
        os.set_blocking(reader.fileno(), True)
        assert await anyio.to_thread.run_sync(reader.read) == b""


async def test_git_says_why(repo):
    with pytest.raises(StorageError, match="git rev-list failed with status 128: fatal: ambiguous argument"):
        await repo.git.run("rev-list", "no-such-thing")
