"""
What a snapshot holds, byte for byte, with the real git on real repositories.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from orchestrd.workspace import worktree
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
