"""
Laws of task files, for any bytes.
"""

from datetime import UTC
from pathlib import Path

import jsonschema
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrd.domain.model import Task, TaskFile
from orchestrd.domain.taskfile.deliverables import read_deliverables
from orchestrd.domain.taskfile.paths import BadPath, relative_path
from orchestrd.domain.taskfile.schema import task_file_schema
from orchestrd.domain.tasks import TASK_FIELDS, TaskFileProblems, parse_task_file

FILES = Path(__file__).parent.parent / "data" / "taskfiles"
GOOD = [path.read_bytes() for path in sorted(FILES.glob("*.yaml"))]
VALIDATOR = jsonschema.Draft202012Validator(task_file_schema())

_SPICE = (
    "\0 \t \n \r \x1b \x85 \u2028 \ufeff \u202e : - ? [ ] { } , # & * ! | > ' \" % @ ` ~ null .. / \\ -answer 0 -1 1e9 "
    ".inf yes <<: !!python/object:x &a *a --- ... %TAG  $ 24:00 2026-02-30 99999999999999999999 \ud83d"
)
_WORDS = (
    "src/a.ts docs/B.md ../x /etc/x.conf README.md and or , ; : - ( ) (if needed) `c d.ts` Create Update for to in see new "
    "Tests docs/ src/a b/c.py not optional Node.js v1.2 https://x.org/a.md C:\\x.md *.ts -> 'x y' . … | **docs/x.md**"
)
SPICE = st.sampled_from(_SPICE.split(" "))
WORDS = st.sampled_from(_WORDS.split())
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 10**6),
    st.floats(),
    st.text(max_size=12),
    SPICE,
    st.sampled_from(["low", "x"]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=4), inner, max_size=3)),
    max_leaves=8,
)


class EditorLoader(yaml.SafeLoader):
    """
    As an editor reads YAML: dates are text.
    """


EditorLoader.yaml_implicit_resolvers = {
    first: [(tag, shape) for tag, shape in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def outcome(data: bytes) -> TaskFile | None:
    """
    A file, or None when there are problems: anything else that is raised is a bug.
    """
    told: TaskFileProblems | None = None
    try:
        file = parse_task_file(data, source="f.yaml", zone=UTC)
    except TaskFileProblems as error:
        told = error
    if told is None:
        assert file.tasks
        return file
    # Line breaks of YAML 1.1: U+0085, U+2028 and U+2029 besides the usual ones.
    lines = sum(data.count(mark) for mark in (b"\n", b"\r", b"\xc2\x85", b"\xe2\x80")) + 1
    assert told.problems
    assert all(1 <= problem.line <= lines + 1 and problem.column >= 1 for problem in told.problems)
    assert str(told).splitlines() == str(told).split("\n")
    return None


def is_sound(task: Task) -> bool:
    """
    What the rest of the program relies on.
    """
    paths = [*task.context_files, *(one.path for one in task.deliverables if one.path is not None)]
    inside = all(
        relative_path(path) == path and not path.startswith("/") and ".." not in path.split("/") for path in paths
    )
    positive = all(value is None or value > 0 for value in (task.max_cost, task.timeout))
    return inside and positive and bool(task.name.strip()) and bool(task.description.strip()) and "/" not in task.id


@given(st.binary(max_size=300))
@settings(max_examples=400, deadline=None)
def test_any_bytes(data: bytes) -> None:
    """
    Any bytes are a file or a list of problems.
    """
    outcome(data)


@given(st.text(max_size=200))
@settings(max_examples=400, deadline=None)
def test_any_text(text: str) -> None:
    """
    So is any text.
    """
    outcome(text.encode("utf-8", "surrogatepass"))


@given(
    st.sampled_from(GOOD),
    st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 6), st.one_of(SPICE, st.text(max_size=3))), min_size=1, max_size=6
    ),
)
@settings(max_examples=600, deadline=None)
def test_damaged_files(data: bytes, edits: list[tuple[float, int, str]]) -> None:
    """
    A good file with parts taken out and others put in is a file or a list of problems; a file is still sound.
    """
    for where, length, put in edits:
        at = int(where * len(data))
        data = data[:at] + put.encode("utf-8", "surrogatepass") + data[at + length :]

    result = outcome(data)

    if result is not None:
        assert all(is_sound(task) for task in result.tasks)


@given(st.dictionaries(st.sampled_from(TASK_FIELDS), TREES, max_size=6), st.booleans())
@settings(max_examples=600, deadline=None)
def test_any_values(values: dict[str, object], required: bool) -> None:
    """
    Whatever value a field has; and the schema refuses nothing the parser accepts.
    """
    task = {"id": "t", "name": "N", "description": "D"} | values if required else values
    text = yaml.safe_dump({"date": "2026-11-22", "tasks": [task]}, allow_unicode=True)

    result = outcome(text.encode("utf-8", "surrogatepass"))

    if result is not None:
        assert all(is_sound(task) for task in result.tasks)
        assert [error.message for error in VALIDATOR.iter_errors(yaml.load(text, Loader=EditorLoader))] == []


@given(st.one_of(st.text(max_size=80), st.lists(WORDS, max_size=9).map(" ".join)))
@settings(max_examples=1000, deadline=None)
def test_deliverables(text: str) -> None:
    """
    A sentence gives at least one promise, with the sentence, and no path that is not in it; or leads outside.
    """
    try:
        found = read_deliverables(text)
    except BadPath:
        return

    assert found
    assert {one.text for one in found} == {" ".join(text.split())}
    assert len(found) == 1 or None not in [one.path for one in found]
    for path in (one.path for one in found if one.path is not None):
        assert relative_path(path) == path
        assert path.rstrip("/").rpartition("/")[2] in " ".join(text.split()) or path == "."
