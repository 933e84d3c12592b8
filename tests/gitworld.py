"""
Real repositories for tests: the git of a person, a project of theirs, and agents that work on it.

The fixtures that stand on these are in ``integration/conftest.py``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Collection
from pathlib import Path
from typing import Any, Self

import pytest

from orchestrd.workspace import worktree
from orchestrd.workspace.apply import Applied, apply, plan
from orchestrd.workspace.merge import MergeConflict, Work
from orchestrd.workspace.repository import Repository, Snapshot, ref_name


def nest(tree: Path, top: str, name: str, depth: int, file: str = "f") -> None:
    """
    Make *depth* folders called *name*, one in the other, in a folder *top* of *tree*, and a *file* in the innermost.
    """
    here = os.open(tree, os.O_RDONLY)
    for one in (top, *[name] * depth):
        os.mkdir(one, dir_fd=here)
        inner = os.open(one, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    if file:
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def git(cwd: Path, *words: str, ok: bool = True, stdin: bytes | None = None) -> bytes:
    """
    What git prints for the person in *cwd*; it has to succeed unless *ok* is False.
    """
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {"GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    identity = ("-c", "user.name=Person", "-c", "user.email=p@example.org", "-c", "protocol.file.allow=always")
    done = subprocess.run(["git", *identity, *words], cwd=cwd, env=env, input=stdin, capture_output=True, check=False)
    assert not ok or done.returncode == 0, done.stderr
    return done.stdout


def put(root: Path, path: str | bytes, content: str | bytes = b"content\n", mode: int | None = None) -> Path:
    """
    Write a file below *root*, with the folders it needs.
    """
    target = root / os.fsdecode(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())
    if mode is not None:
        target.chmod(mode)
    return target


def image(root: Path, *, without: Collection[str] = ()) -> dict[bytes, tuple[int, str]]:
    """
    Every path of *root* with mode (kind and permissions) and content; the modification times do not count.

    Folders named in *without* are passed over wherever they are.
    """
    found = {}
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in without]
        for name in (*folders, *files):
            path = Path(folder) / name
            mode = path.lstat().st_mode
            if path.is_symlink():
                body = str(path.readlink())
            elif path.is_dir():
                body = ""
            elif not path.is_file():
                body = "odd"
            else:
                body = hashlib.sha256(path.read_bytes()).hexdigest()
            found[os.fsencode(path.relative_to(root))] = (mode, body)
    return found


def files(root: Path) -> dict[bytes, tuple[int, str]]:
    """
    Paths of the files and links of *root* with what git keeps of them, without ``.git``.
    """
    return {
        path: (mode & 0o170100, body)
        for path, (mode, body) in image(root).items()
        if path.split(b"/")[0] != b".git" and mode & 0o170000 != 0o040000
    }


def make_project(root: Path, *, object_format: str = "sha1") -> Path:
    """
    A repository at *root* with a few files and one commit, ``first``, on ``main``.
    """
    root.mkdir()
    git(root, "init", "-q", "-b", "main", f"--object-format={object_format}")
    put(root, "kept.txt", "one\ntwo\nthree\n")
    put(root, "src/app.py", "print('hello')\n")
    put(root, "run.sh", "#!/bin/sh\n", 0o755)
    put(root, ".gitignore", "*.log\nbuild/\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    return root


def add_submodule(project: Path, source: Path) -> None:
    """
    Make a library at *source*, and have it in *project* as the submodule ``sub``.
    """
    source.mkdir()
    git(source, "init", "-q")
    put(source, "lib.c")
    git(source, "add", "-A")
    git(source, "commit", "-qm", "lib")
    git(project, "submodule", "--quiet", "add", str(source), "sub")


def merge_halfway(project: Path) -> None:
    """
    Leave *project* in the middle of a merge, with a conflict in ``kept.txt``.
    """
    git(project, "checkout", "-qb", "side")
    put(project, "kept.txt", "side\n")
    git(project, "commit", "-qam", "side")
    git(project, "checkout", "-q", "main")
    put(project, "kept.txt", "main\n")
    git(project, "commit", "-qam", "main")
    git(project, "merge", "side", ok=False)


async def started(repo: Repository, path: Path, **how: Any) -> Snapshot:
    """
    A base snapshot of the project, and a worktree of it at *path*.
    """
    base = await repo.base(message="base", ref=ref_name("day", path.name, "base"), **how)
    await worktree.make(repo, path, base.commit)
    return base


class Agent:
    """
    A worktree to change at will; ``done`` makes the work of it.
    """

    def __init__(self, repo: Repository, tree: Path, base: str) -> None:
        self.repo = repo
        self.tree = tree
        self.base = base

    @classmethod
    async def start(cls, repo: Repository, tree: Path, **how: Any) -> Self:
        base = await started(repo, tree, **how)
        return cls(repo, tree, base.commit)

    def put(self, path: str | bytes, *what: Any) -> Path:
        return put(self.tree, path, *what)

    async def done(self) -> Work:
        ref = ref_name("day", self.tree.name, "result")
        result = await self.repo.snapshot(self.tree, parents=(self.base,), message="result", ref=ref)
        return Work(base=self.base, result=result.commit)


async def bring(repo: Repository, *works: Work) -> Applied:
    """
    Plan *works* and carry the plan out.
    """
    return await apply(repo, await plan(repo, works))


async def refuses(repo: Repository, work: Work, **reasons: str) -> None:
    """
    Check that *work* is refused for these *reasons* by path, and that not a byte of the project changes.

    A home inside the project (``var``) does not count: planning writes there.
    """

    def project() -> tuple[object, object]:
        return image(repo.project.path, without=("var",)), image(repo.project.path / ".git")

    before = project()
    made = await plan(repo, [work])
    told = {conflict.path: conflict.reason for conflict in made.conflicts}
    # Only test modules get their assertions explained by pytest.
    assert told == reasons, told
    assert made.steps == (), made.steps
    with pytest.raises(MergeConflict) as raised:
        await apply(repo, made)
    assert set(raised.value.paths) == set(reasons), raised.value.paths
    assert project() == before
