"""
Every kind of project: submodules, worktrees, empty, shallow, sparse, in the middle of a merge.
"""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from blockbuster import blockbuster_ctx

from orchestrd.errors import ConfigError
from orchestrd.workspace import worktree
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
