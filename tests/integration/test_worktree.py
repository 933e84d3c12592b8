"""
Snapshots and worktrees, with the real git on real repositories.
"""

import hashlib
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import anyio
import pytest
from blockbuster import blockbuster_ctx

from orchestrd.errors import ConfigError, NotFound, Refused, StorageError
from orchestrd.workspace import worktree
from orchestrd.workspace.merge import MergeConflict, Work
from orchestrd.workspace.repository import Repository, ref_name

pytestmark = pytest.mark.anyio

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
    git(project, "config", "filter.upper.clean", "tr a-z A-Z")
    git(project, "config", "filter.upper.smudge", "tr A-Z a-z")
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


@pytest.mark.parametrize("commits", [0, 1])
async def test_a_repository_inside_the_project_is_no_part_of_it(repo, project, tmp_path, commits):
    put(project, "vendor/lib/code.c")
    git(project / "vendor/lib", "init", "-q")
    if commits:
        git(project / "vendor/lib", "add", "-A")
        git(project / "vendor/lib", "commit", "-qm", "theirs")

    await started(repo, tmp_path / "tree")

    assert b"vendor/lib/code.c" not in files(tmp_path / "tree")


@pytest.mark.parametrize("commits", [0, 1])
async def test_a_repository_that_the_agent_makes_is_its_work(repo, project, tmp_path, commits):
    tree = tmp_path / "tree"
    base = await started(repo, tree)
    put(tree, "app/.gitignore", "junk\n")
    put(tree, "app/main.py")
    put(tree, "app/junk")
    git(tree / "app", "init", "-q")
    put(tree, "app/deeper/x")
    git(tree / "app/deeper", "init", "-q")
    if commits:
        git(tree / "app", "add", "main.py")
        git(tree / "app", "commit", "-qm", "theirs")

    after = await repo.snapshot(tree, parents=(base.commit,), message="after")

    names = git(repo.path, "diff", "--name-only", base.commit, after.commit).split()
    assert names == [b"app/.gitignore", b"app/deeper/x", b"app/main.py"]


async def test_submodules_stay_what_they_are(repo, project, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q")
    put(other, "lib.c")
    git(other, "add", "-A")
    git(other, "commit", "-qm", "lib")
    git(project, "submodule", "--quiet", "add", str(other), "sub")
    before = image(project)
    tree = tmp_path / "tree"

    base = await started(repo, tree)
    same = await repo.snapshot(tree, parents=(base.commit,), message="same")
    (tree / "sub").rmdir()
    gone = await repo.snapshot(tree, parents=(base.commit,), message="folder gone")
    put(tree, "sub/made.txt")
    filled = await repo.snapshot(tree, parents=(base.commit,), message="filled")

    assert git(repo.path, "ls-tree", base.commit, "sub").startswith(b"160000 commit")
    assert base.tree_id == same.tree_id == gone.tree_id
    assert git(repo.path, "ls-tree", "-r", "--name-only", filled.commit, "sub").split() == [b"sub/made.txt"]
    assert image(project) == before


async def test_a_project_that_is_itself_a_submodule_or_a_linked_worktree(project, tmp_path):
    git(project, "branch", "side")
    git(project, "worktree", "add", "-q", str(tmp_path / "linked"), "side")
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", str(project), "inner")
    for number, place in enumerate([tmp_path / "linked", outer / "inner"]):
        put(place, "kept.txt", "here\n")
        before = image(tmp_path / "project"), image(outer)

        repo = await Repository.open(tmp_path / f"{number}.git", place)
        await started(repo, tmp_path / f"tree{number}")

        assert files(tmp_path / f"tree{number}") == {k: v for k, v in files(place).items() if k != b".git"}
        assert git(tmp_path / f"tree{number}", "log", "--format=%s").split() == [b"base", b"first"]
        assert (image(tmp_path / "project"), image(outer)) == before


async def test_an_empty_repository(tmp_path):
    root = tmp_path / "fresh"
    root.mkdir()
    git(root, "init", "-q")
    repo = await Repository.open(tmp_path / "fresh.git", root)

    nothing = await started(repo, tmp_path / "nothing")
    put(root, "first.txt")
    await started(repo, tmp_path / "something")

    assert files(tmp_path / "nothing") == {}
    assert (
        await repo.snapshot(tmp_path / "nothing", parents=(nothing.commit,), message="x")
    ).tree_id == nothing.tree_id
    assert list(files(tmp_path / "something")) == [b"first.txt"]


async def test_detached_shallow_and_sha256_projects(project, tmp_path):
    for number in range(3):
        git(project, "commit", "-qm", f"more {number}", "--allow-empty")
    git(project, "checkout", "-q", "--detach", "HEAD~1")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{project}", "shallow")
    modern = tmp_path / "modern"
    modern.mkdir()
    git(modern, "init", "-q", "--object-format=sha256")
    put(modern, "x")
    git(modern, "add", "-A")
    git(modern, "commit", "-qm", "one")
    for number, place in enumerate([project, shallow, modern]):
        before = image(place)

        repo = await Repository.open(tmp_path / f"{number}.git", place)
        base = await started(repo, tmp_path / f"tree{number}")
        await started(repo, tmp_path / f"again{number}")

        assert files(tmp_path / f"tree{number}") == files(place)
        assert git(repo.path, "rev-parse", f"{base.commit}^") == git(place, "rev-parse", "HEAD")
        assert image(place) == before


async def test_a_merge_that_the_person_is_in_the_middle_of(repo, project, tmp_path):
    git(project, "checkout", "-qb", "side")
    put(project, "kept.txt", "side\n")
    git(project, "commit", "-qam", "side")
    git(project, "checkout", "-q", "main")
    put(project, "kept.txt", "main\n")
    git(project, "commit", "-qam", "main")
    git(project, "merge", "side", ok=False)
    assert b"UU" in git(project, "status", "--porcelain")
    before = image(project)

    await started(repo, tmp_path / "tree")

    assert files(tmp_path / "tree") == files(project)
    assert image(project) == before


async def test_flags_in_the_persons_index_hide_nothing(repo, project, tmp_path):
    git(project, "update-index", "--assume-unchanged", "kept.txt")
    put(project, "kept.txt", "changed in secret\n")
    git(project, "config", "core.splitIndex", "true")
    git(project, "update-index", "--split-index")

    await started(repo, tmp_path / "tree")

    assert files(tmp_path / "tree") == files(project)


async def test_a_sparse_checkout_keeps_what_is_not_on_disk(repo, project, tmp_path):
    git(project, "sparse-checkout", "set", "--no-cone", "/kept.txt")
    assert not (project / "src").exists()

    await started(repo, tmp_path / "tree")

    assert (tmp_path / "tree/src/app.py").read_text() == "print('hello')\n"


async def test_a_home_inside_the_project_is_no_part_of_it(project, tmp_path):
    var = project / "var"
    put(var, ".gitignore", "*\n")
    put(var, "orchestrd.db")
    repo = await Repository.open(var / "git/x.git", project, keep_out=[var])
    await started(repo, var / "agent_workspaces/day/task/tree")
    (var / ".gitignore").unlink()

    await started(repo, tmp_path / "tree")

    assert not any(path.startswith(b"var") for path in files(tmp_path / "tree"))


async def test_hooks_and_monitors_of_the_project_do_not_run(repo, project, tmp_path):
    trap = put(tmp_path, "trap.sh", f"#!/bin/sh\ntouch {tmp_path}/sprung\n", 0o755)
    for hook in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        put(project, f".git/hooks/{hook}", trap.read_bytes(), 0o755)
    git(project, "config", "core.fsmonitor", str(trap))
    git(project, "config", "--global", "core.hooksPath", str(project / ".git/hooks"))

    base = await started(repo, tmp_path / "tree")
    await repo.snapshot(tmp_path / "tree", parents=(base.commit,), message="x")

    assert not (tmp_path / "sprung").exists()


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


async def test_a_project_that_is_none_is_refused(project, tmp_path, monkeypatch):
    (tmp_path / "plain").mkdir()
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    for place, says in [
        (tmp_path / "missing", "not a folder"),
        (tmp_path / "plain", "git init"),
        (tmp_path / "bare.git", "not a git work tree"),
        (project / "src", "lies inside"),
    ]:
        with pytest.raises(ConfigError, match=says):
            await Repository.open(tmp_path / "x.git", place)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="PATH"):
        await Repository.open(tmp_path / "x.git", project)


async def test_a_project_reached_through_a_link(project, tmp_path):
    (tmp_path / "link").symlink_to(project)
    repo = await Repository.open(tmp_path / "x.git", tmp_path / "link")
    put(project, "late.txt")

    base = await repo.snapshot(tmp_path / "link", message="through the link")

    assert b"late.txt" in git(repo.path, "ls-tree", "--name-only", base.commit)
