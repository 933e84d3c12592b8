"""
Worktrees and the repository they belong to, with the real git on real repositories.
"""

import os
import shutil
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from gitworld import files, git, put, started
from orchestrd.errors import NotFound, Refused, StorageError
from orchestrd.workspace import descent, entries, snapshots, worktree
from orchestrd.workspace.git import Git
from orchestrd.workspace.merge import MergeConflict, Work
from orchestrd.workspace.repository import Repository, ref_name

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("never_blocking", "person")]
made_from = partial(anyio.to_thread.run_sync, worktree.made_from)


async def test_snapshots_survive_the_persons_rewriting_and_gc(repo, project, tmp_path):
    put(project, "kept.txt", "precious\n")
    git(project, "commit", "-qam", "to be lost")
    base = await repo.base(message="base", ref=ref_name("day", "task", "base"))
    git(project, "reset", "-q", "--hard", "HEAD~1")
    git(project, "reflog", "expire", "--expire=all", "--all")
    git(project, "gc", "-q", "--prune=now")
    git(repo.path, "gc", "-q", "--prune=now")

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
        (admin / entries.MARK).unlink()
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


async def test_a_worktree_is_made_once_it_is_furnished(repo, project, tmp_path):
    tree = tmp_path / "tree"
    base = await repo.base(message="base")

    async def furnish() -> None:
        assert await made_from(repo, tree) is None
        await anyio.to_thread.run_sync(put, tree, "half.txt")
        raise StorageError("no")

    with pytest.raises(StorageError, match="no"):
        await worktree.make(repo, tree, base.commit, furnish=furnish)
    assert await made_from(repo, tree) is None
    await worktree.make(repo, tree, base.commit)

    assert await made_from(repo, tree) == base.commit
    assert files(tree) == files(project)


async def test_half_a_removed_worktree_is_taken_for_no_work(repo, tmp_path, monkeypatch):
    tree = tmp_path / "tree"
    await started(repo, tree)

    def breaks(path):
        (tree / "kept.txt").unlink()
        raise OSError(f"{path} is in use")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="in use"):
        patch.setattr(descent, "remove", breaks)
        await worktree.remove(repo, await worktree.prove(repo, tree))
    assert await made_from(repo, tree) is None
    await worktree.remove(repo, await worktree.prove(repo, tree))

    assert not tree.exists()


async def test_a_folder_of_somebody_elses_is_left_alone(repo, project, tmp_path):
    base = await repo.base(message="base")
    put(tmp_path, "mine/file")

    with pytest.raises(Refused, match="not empty"):
        await worktree.make(repo, tmp_path / "mine", base.commit)
    with pytest.raises(Refused, match="no worktree"):
        await worktree.remove(repo, await worktree.prove(repo, tmp_path / "mine"))
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
        await worktree.remove(repo, await worktree.prove(repo, tree))
    assert (tree / "work/of/hours.txt").exists()
    await repo.snapshot(tree, parents=(base.commit,), message="kept", ref=ref_name("day", "t", "result"))
    with pytest.raises(Refused, match="no snapshot"):
        # What git ignores is not in it.
        await worktree.prove(repo, tree)
    taken = await snapshots.look(repo, tree, base=base.commit, max_file=0)
    kept = await snapshots.keep(repo, taken, tree, task="day/t", base=base.commit, about="kept")
    await worktree.remove(repo, await worktree.prove(repo, tree))
    await worktree.remove(repo, await worktree.prove(repo, tree))

    assert not tree.exists()
    assert not any((repo.path / "worktrees").glob("*"))
    assert git(repo.path, "show", f"{kept.commit}:work/of/hours.txt") == b"content\n"


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

    def closed(*_):
        raise PermissionError

    # As it is for a daemon that is not root.
    monkeypatch.setattr(descent.Descent, "file", closed)
    with pytest.raises(StorageError, match=r"gitignore .* cannot be read"):
        await repo.base(message="base")


async def test_refs_hold_any_id(repo):
    tree = (await repo.base(message="base")).commit
    ids = ["a.lock", "a.", "a..b", "a-b_c", "A", "a", "a.lock.lock", "%2E"]
    for name in ids:
        await repo.git.run("update-ref", ref_name("2026-11-22", name, "1", "base"), tree)

    assert len(await repo.refs("refs/orchestrd/2026-11-22")) == len(ids)
    # Each task has its own, however like another's its name is.
    assert await repo.refs(ref_name("2026-11-22", "a")) == [ref_name("2026-11-22", "a", "1", "base")]


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


async def test_a_link_in_the_place_of_a_tree_is_neither_looked_at_nor_followed(repo, project, tmp_path):
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "inner").chmod(0o755)
    (outside / "kept.txt").write_text("kept")
    base = await repo.base(message="m")
    tree = tmp_path / "w" / "tree"
    tree.parent.mkdir()
    await worktree.make(repo, tree, base.commit)
    assert await anyio.to_thread.run_sync(lambda: worktree.intact(repo, tree, under=tmp_path))

    tree.rename(tmp_path / "moved")
    tree.symlink_to(outside)

    assert not await anyio.to_thread.run_sync(lambda: worktree.intact(repo, tree, under=tmp_path))
    await worktree.remove(repo, await worktree.prove(repo, tree))
    assert not tree.is_symlink()
    assert (outside / "kept.txt").read_text() == "kept"
    assert (outside / "inner").stat().st_mode & 0o777 == 0o755


STEPS = (
    "folder",
    "locked",
    "gitdir empty",
    "gitdir",
    "pointer empty",
    "pointer",
    "HEAD empty",
    "HEAD",
    "commondir empty",
    "commondir",
)
"""What a ``git worktree add`` (2.39) has done when it is killed, in the order in which it does it."""


def cut_off(repository, tree, last):
    """
    The entry and the tree of a ``git worktree add`` that was killed after its step *last*.
    """
    entry = repository / "worktrees" / tree.name
    deeds = {
        "folder": lambda: entry.mkdir(parents=True),
        "locked": lambda: (entry / "locked").write_text("initializing"),
        "gitdir empty": lambda: (tree.mkdir(), (entry / "gitdir").touch()),
        "gitdir": lambda: (entry / "gitdir").write_text(f"{tree}/.git\n"),
        "pointer empty": (tree / ".git").touch,
        "pointer": lambda: (tree / ".git").write_text(f"gitdir: {entry}\n"),
        "HEAD empty": (entry / "HEAD").touch,
        "HEAD": lambda: (entry / "HEAD").write_text("0" * 40 + "\n"),
        "commondir empty": (entry / "commondir").touch,
        "commondir": lambda: (entry / "commondir").write_text("../..\n"),
    }
    for step in STEPS[: STEPS.index(last) + 1]:
        deeds[step]()
    return entry


@pytest.mark.parametrize("last", STEPS)
async def test_a_worktree_that_was_cut_off_stops_no_other(repo, project, tmp_path, last):
    cut_off(repo.path, tmp_path / "cut", last)

    again = await Repository.open(repo.path, project)

    await started(again, tmp_path / "other")
    base = await started(again, tmp_path / "cut")
    git(repo.path, "gc", "-q", "--prune=now")
    assert await anyio.to_thread.run_sync(partial(worktree.intact, under=tmp_path), again, tmp_path / "cut")
    assert git(repo.path, "rev-parse", "worktrees/cut/HEAD").decode().strip() == base.commit


@pytest.mark.parametrize("damage", ["HEAD", "commondir"])
async def test_the_entry_of_a_whole_worktree_is_mended(repo, project, tmp_path, damage):
    base = await started(repo, tmp_path / "a")
    put(tmp_path / "a", "work.txt", "work\n")
    (repo.path / "worktrees/a" / damage).write_text("")

    again = await Repository.open(repo.path, project)

    await started(again, tmp_path / "b")
    kept = await again.snapshot(tmp_path / "a", parents=(base.commit,), message="a")
    assert git(repo.path, "show", f"{kept.commit}:work.txt") == b"work\n"
    assert git(tmp_path / "a", "rev-parse", "HEAD").decode().strip() == base.commit


async def test_the_copy_of_a_home_leaves_the_trees_of_the_first_alone(repo, project, tmp_path):
    cut_off(repo.path, tmp_path / "cut", "commondir")
    shutil.copytree(repo.path, tmp_path / "copy.git")

    copy = await Repository.open(tmp_path / "copy.git", project)

    await started(copy, tmp_path / "other")
    assert (tmp_path / "cut/.git").exists()
    assert not (copy.path / "worktrees/cut").exists()


async def test_a_git_that_is_called_off_while_it_is_started_is_killed(repo, tmp_path, monkeypatch, slow_spawn):
    put(tmp_path / "bin", "git", "#!/bin/sh\nexec sleep 600\n", 0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    async with anyio.create_task_group() as group:
        group.start_soon(Git.ours(repo.path).version)
        await slow_spawn.call_off(group)
    (pid,) = slow_spawn.pids
    assert not Path(f"/proc/{pid}").exists()


async def test_a_worktree_whose_making_is_called_off_stops_no_other(repo, project, tmp_path, monkeypatch):
    """
    By a person's cancel: git is killed while the daemon goes on.
    """
    base = await repo.base(message="base", ref=ref_name("day", "base"))
    entry = cut_off(repo.path, tmp_path / "cut", "HEAD")
    real, scripts = shutil.which("git"), tmp_path / "bin"
    # It has got so far as a git that is killed there.
    put(
        scripts,
        "git",
        f"""#!/bin/sh
        case "$*" in *"worktree add"*) ;; *) exec {real} "$@";; esac
        mkdir -p {entry} {tmp_path}/cut
        echo {tmp_path}/cut/.git > {entry}/gitdir
        echo "gitdir: {entry}" > {tmp_path}/cut/.git
        echo {"0" * 40} > {entry}/HEAD
        touch {repo.path}/shallow.lock
        sleep 60 &
        echo $! > {tmp_path}/started.new && mv {tmp_path}/started.new {tmp_path}/started
        wait
        """,
        0o755,
    )
    monkeypatch.setenv("PATH", f"{scripts}:{os.environ['PATH']}")
    held = await Repository.open(repo.path, project)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            group.start_soon(worktree.make, held, tmp_path / "cut", base.commit)
            while not (tmp_path / "started").exists():
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
    process = Path("/proc") / (tmp_path / "started").read_text().strip()
    assert not process.exists() or (process / "stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    assert not (held.path / "shallow.lock").exists()
    assert not entry.exists()

    await held.base(message="another")
    await started(repo, tmp_path / "cut")


async def test_a_copied_home_has_trees_of_its_own(project, tmp_path):
    """
    And what an agent put in the place of one is not taken for it.
    """
    home = tmp_path / "home"
    repo = await Repository.open(home / "work.git", project)
    places = [home / "w" / "2026-11-22" / name / "tree" for name in "abc"]
    for place in places:
        await started(repo, place)
    put(places[0], "made.txt", "by a\n")
    # Killed as it was made: nothing of an agent's is in it.
    half = home / "w" / "2026-11-22" / "half" / "tree"
    await started(repo, half)
    await anyio.to_thread.run_sync(lambda: (entries.entry_of(repo.path, half) / entries.MARK).unlink())
    shutil.rmtree(places[1])
    places[1].symlink_to(tmp_path / "elsewhere")
    (places[2] / ".git").unlink()
    put(places[2], ".git", "gitdir: /somewhere/else\n")
    copy = tmp_path / "copy"
    shutil.copytree(home, copy, symlinks=True)
    other = await Repository.open(copy / "work.git", project)
    moved = [copy / place.relative_to(home) for place in places]
    assert [await intact(other, place, copy / "w") for place in moved] == [False] * 3
    for _ in range(2):
        await worktree.follow(other, copy / "w")
        assert [await intact(other, place, copy / "w") for place in moved] == [True, False, False]
    base = await made_from(other, moved[0])
    assert base == await made_from(repo, places[0])
    await started(other, copy / half.relative_to(home))
    # The first home's are where they were.
    assert await anyio.to_thread.run_sync(worktree.made_from, repo, half) is None
    assert await intact(repo, places[0], home / "w")
    snapshot = await other.snapshot(moved[0], parents=(base,), message="copied")
    assert git(other.path, "show", f"{snapshot.commit}:made.txt") == b"by a\n"


async def intact(repo, place, under):
    return await anyio.to_thread.run_sync(partial(worktree.intact, repo, place, under=under))
