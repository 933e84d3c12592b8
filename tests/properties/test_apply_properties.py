"""
Random bases, persons and agents: ``apply`` either refuses and changes nothing, or gives the three-way merge of each path.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gitworld import Agent, git
from orchestrd.workspace.apply import apply, plan
from orchestrd.workspace.merge import MergeConflict
from orchestrd.workspace.repository import Repository

NAMES = ["a", "b", "d/x", "d/y", "d", "e/f/g", "e", "é \n"]
LINES = st.lists(st.sampled_from(["1\n", "2\n", "3\n", "4\n", "5\r\n"]), max_size=6).map(
    lambda lines: "".join(lines).encode()
)
CONTENT = st.one_of(
    st.tuples(st.sampled_from(["100644", "100755"]), st.one_of(LINES, st.binary(max_size=5))),
    st.tuples(st.just("120000"), st.sampled_from([b"a", b"d", b"../outside", b"/etc"])),
)


def _fits(tree):
    return not any(f"{folder}/" == path[: len(folder) + 1] for folder in tree for path in tree)


TREES = st.dictionaries(st.sampled_from(NAMES), CONTENT, max_size=5).filter(_fits)


@st.composite
def edited(draw, base, least):
    """
    A tree that shares much with *base*, with at least so many tries at changing it.
    """
    tree = dict(base)
    for path in draw(st.lists(st.sampled_from(NAMES), min_size=least, max_size=4, unique=True)):
        what = draw(st.one_of(st.none(), CONTENT, st.just("append"), st.just("prepend")))
        mode, body = tree.get(path, ("100644", b""))
        if what == "append" and mode != "120000":
            tree[path] = (mode, body + b"end\n")
        elif what == "prepend" and mode != "120000":
            tree[path] = (mode, b"start\n" + body)
        elif isinstance(what, tuple):
            tree[path] = what
        else:
            tree.pop(path, None)
    return tree if _fits(tree) else dict(base)


TRIPLES = TREES.flatmap(lambda base: st.tuples(st.just(base), edited(base, 0), edited(base, 2)))


def write(root, tree):
    for entry in root.iterdir():
        if entry.name != ".git":
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    for path, (mode, body) in tree.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if mode == "120000":
            target.symlink_to(os.fsdecode(body))
        else:
            target.write_bytes(body)
            target.chmod(0o755 if mode == "100755" else 0o644)


def read(root):
    found = {}
    for folder, folders, files in os.walk(root):
        for name in (*files, *folders):
            path = Path(folder) / name
            if path.is_symlink():
                found[str(path.relative_to(root))] = ("120000", os.fsencode(path.readlink()))
            elif path.is_file():
                mode = "100755" if path.stat().st_mode & 0o100 else "100644"
                found[str(path.relative_to(root))] = (mode, path.read_bytes())
    return found


def outside_git(found):
    return {path: what for path, what in found.items() if not path.startswith(".git/")}


def inside_git(found):
    return {path: what for path, what in found.items() if path.startswith(".git/")}


def merge_file(scratch, base, ours, theirs):
    """
    The merge of three contents as ``git merge-file`` makes it; None for a conflict.
    """
    names = [scratch / name for name in ("ours", "base", "theirs")]
    for name, body in zip(names, (ours, base, theirs), strict=True):
        name.write_bytes(body)
    done = subprocess.run(["git", "merge-file", "-p", *names], capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


def three_way(scratch, base, person, agent):
    """
    What should be there afterwards, path by path, or None where that is for a person to decide.
    """
    merged = {}
    for path in {*base, *person, *agent}:
        was, here, there = base.get(path), person.get(path), agent.get(path)
        if there in {was, here}:
            result = here
        elif here == was:
            result = there
        elif (
            here is None
            or there is None
            or "120000" in {was and was[0], here[0], there[0]}
            or (was is None and here[0] != there[0])
        ):
            return None
        else:
            # Two new files are merged as if both had begun empty.
            was = was or (here[0], b"")
            body = merge_file(scratch, was[1], here[1], there[1])
            if body is None:
                return None
            result = (there[0] if here[0] == was[0] else here[0], body)
        if result is not None:
            merged[path] = result
    return merged if _fits(merged) else None


async def scenario(place, base, person, agent):
    project = place / "project"
    write(project, base)
    repo = await Repository.open(place / "ours.git", project)
    worker = await Agent.start(repo, place / "tree")
    write(worker.tree, agent)
    work = await worker.done()
    write(project, person)
    before = read(project)

    made = await plan(repo, [work])
    assert read(project) == before
    expected = three_way(place, base, person, agent)
    if made.conflicts:
        with pytest.raises(MergeConflict):
            await apply(repo, made)
        assert read(project) == before
        assert expected is None
        return
    await apply(repo, made)
    after = read(project)
    assert inside_git(after) == inside_git(before)
    assert outside_git(after) == expected
    assert (await plan(repo, [work])).steps == ()


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(TRIPLES)
def test_apply_refuses_whole_or_merges_exactly(triple):
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", place)
        patch.delenv("XDG_CONFIG_HOME", raising=False)
        project = Path(place).resolve() / "project"
        project.mkdir()
        git(project, "init", "-q")
        anyio.run(scenario, project.parent, *triple)
