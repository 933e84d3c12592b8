"""
Task runners and build tools: their targets by name, with their recipes where those are plain.
"""

from __future__ import annotations

import json
import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.javascript import run_package_script
from orchestrd.policy.programs.makefiles import follow_recipes
from orchestrd.policy.programs.own import follow, judge_target
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.programs.taskfiles import flow_items
from orchestrd.policy.programs.verbs import judge_launched
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known

_TASKS: dict[str, tuple[str, frozenset[str]]] = {
    # program -> words before a target, options that take a value
    **o.each("just j", ("", o.words("-f --justfile -d --working-directory --set --dotenv-path --shell"))),
    **o.each("task go-task", ("", o.words("-t --taskfile -d --dir -o --output"))),
    **o.each(
        "invoke inv fab doit duty poe poethepoet taskipy",
        ("", o.words("-c --collection -r --search-root -f --file -H")),
    ),
    **o.each("tox nox", ("", o.words("-e -s -c -f --session --sessions -p --python"))),
    **o.each(
        "gulp grunt jake wireit wsrun ultra redo run-s run-p npm-run-all npm-run-all2 concurrently zx-run",
        ("", o.words("-f --gulpfile --cwd --tasks -n --names -c -k")),
    ),
    **o.each(
        "nx turbo moon lage rush lerna wsrun",
        ("run exec run-many", o.words("-t --target --targets --projects -p --filter --scope --configuration -c")),
    ),
    **o.each("composer", ("run-script run exec", o.words("-d --working-dir"))),
    **o.each(
        """
        gradle gradlew mvn mvnw mvnd ant sbt lein bazel bazelisk buck pants please mill boot rebar3 zig
        swift-build xcodebuild fastlane earthly dagger mage goyek ninja meson scons waf cmake rake-task bun-task
        pyinvoke mask run robo phing tusk cargo-make makers xtask
        """,
        ("run call", o.words("-p -f --file -C --project-dir -b -D")),
    ),
}
_MANY = o.words("""
    gradle gradlew mvn mvnw mvnd ant gulp grunt inv invoke fab doit tox nox turbo nx jake sbt lage phing poe
    rush ninja just
""")
"""Runners of which every word may be a target."""
_SCRIPTS = o.words("npm-run-all npm-run-all2 run-s run-p concurrently")
"""Runners of a package's scripts."""
_GRADLE = o.words("gradle gradlew")
_JVM = o.words("mvn mvnw mvnd gradle gradlew sbt")
_ONLY_TELLS = o.words("--list -l --summary --help --version -n --dry-run --show --dry")
_VERSION = re.compile(r"-?\d[\d.]*$")
_JVM_MIGRATES = re.compile(
    r"""
    (?:^|:)(?:liquibase|flyway)[:\w.-]*[:]
        (?:update\w*|migrate|clean|undo|repair|baseline|rollback\w*|dropAll|drop-all)$
    |(?:^|:)sql(?:-maven-plugin)?(?::[\d.]+)?:execute$
    |^(?:flyway(?:Migrate|Clean|Undo|Repair|Baseline)|liquibase(?:Update|Rollback|DropAll)\w*
    |(?:update|rollback)(?:Count|ToTag|ToDate|TestingRollback)?|dropAll
    |migrateDb|dbMigrate|jooq-migrate|mybatis:(?:up|down))$
    """,
    re.VERBOSE,
)
_RUNS = re.compile(r"(?:[\w-]+/)?run(?:Main\s+\S+)?\s+")
"""How sbt is told in one word to run the project's program."""
_TASK_LINE = re.compile(r"(?m)^[^\S\n]+-\s+(?:cmd:\s*)?(.+)$|\bcmd:\s*(.+)$")
"""A command in a task of a Taskfile."""
_JVM_TELLS = re.compile(r"SQL$|status|validate|info")
_JVM_PUBLISHES = re.compile(
    r"""
    release:(?:perform|prepare|rollback|branch)|scm:(?:checkin|add|tag|branch|remove)|j?gitflow:[\w-]+
    |deploy|publish(?!\w*Local$|M2$)\w*|release(?:[ ].*)?|axion\w*|finalRelease|candidateRelease|createRelease|pushRelease
    |gitPublishPush|closeAndRelease\w*
    """,
    re.VERBOSE,
)


def task(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Task runners: targets by name, with their recipes where those are plain.
    """
    runner = call.program if call.program in _TASKS else _VERSION.sub("", call.program)
    before, valued = _TASKS[runner]
    argv = call.argv[1:]
    words = o.plain(argv, valued)
    if runner in {"tox", "nox", "nx"}:
        for value in o.options(argv, "-e", "-s", "--session", "-t", "--target"):
            words += value.split(",")
    if not _ONLY_TELLS.isdisjoint(argv):
        return None
    for text in o.options(argv, "--wrapper", "--run_under", "--launcher", "--test-wrapper"):
        inquiry.text(text)
    for path in o.options(argv, "-C", "-d", "--dir", "--project-dir", "--cwd", "--working-directory"):
        inquiry.use(path, call, only_looks=True)
    if runner in _SCRIPTS:
        for word in words:
            if " " in word:
                inquiry.text(word)
            else:
                run_package_script(inquiry, call, word.removeprefix("npm:"), (), None)
        return HOLE
    if words and words[0] in before.split():
        verb = words.pop(0)
        if verb == "exec" and words:
            rest = argv[argv.index(words[0]) :]
            return inquiry.text(rest[0]) if " " in rest[0] else inquiry.argv(call, rest)
    for word in words[: 8 if runner in _MANY else 1]:
        by_project = runner in _GRADLE or (runner in {"nx", "turbo", "moon"} and not is_migrating_target(word))
        name = word.rpartition(":")[2] if by_project else word
        judge_target(inquiry, call, name.removeprefix("//").lstrip("@").rpartition("+")[2])
    if runner in _JVM:
        return _jvm(inquiry, call, words)
    if runner in {"just", "j"}:
        _justfile(inquiry, call, words)
    elif runner in {"task", "go-task"}:
        _taskfile(inquiry, words)
    elif runner == "composer":
        return _composer(inquiry, call, words)
    elif runner in {"nx", "turbo"} and "--" not in argv:
        return HOLE
    return None


def _jvm(inquiry: Inquiry, call: Invocation, words: list[str]) -> str | None:
    """
    Goals of Maven and Gradle, and what ``exec:exec`` runs.
    """
    for word in words:
        if _JVM_MIGRATES.search(word) and not _JVM_TELLS.search(word):
            inquiry.object("db", call, f"`{word}` runs migrations or changes a database")
            return HOLE
        if _JVM_PUBLISHES.fullmatch(word):
            inquiry.object("git", call, f"`{word}` commits, tags, pushes or publishes")
            return HOLE
    for text in [*o.options(call.argv[1:], "--args", "-Dexec.args"), *(word for word in words if _RUNS.match(word))]:
        judge_launched(inquiry, call, (call.program, *_RUNS.sub("", text).split()))
    arguments = [word.partition("=")[2] for word in call.argv if word.startswith("-Dexec.args=")]
    for word in call.argv:
        if word.startswith("-Dexec.executable="):
            inquiry.argv(call, (word.partition("=")[2], *arguments))
    return None


def _justfile(inquiry: Inquiry, call: Invocation, words: list[str]) -> None:
    """
    A justfile's recipes, read as a makefile's.
    """
    for name in (o.option(call.argv[1:], "-f", "--justfile") or "justfile", "Justfile", ".justfile"):
        text = inquiry.content(name)
        if is_known(text):
            text = re.sub(r"(?m)^( {2,}|\t)@?", "\t", text)
            text = re.sub(r"(?m)^@?([\w-]+)(?: [^:=\n]*)?:(?!=)", r"\1:", text)
            follow_recipes(inquiry, text, words or ["default"], inquiry.origin(name))
            return


def _taskfile(inquiry: Inquiry, words: list[str]) -> None:
    """
    The commands of a Taskfile's tasks.
    """
    for name in ("Taskfile.yml", "Taskfile.yaml"):
        text = inquiry.content(name)
        if not is_known(text):
            continue
        for word in words or ["default"]:
            match = re.search(rf"(?ms)^  {re.escape(word)}:(.*?)(?=^  \S|\Z)", text)
            said = match.group(1) if match else ""
            lines = [one or other for one, other in _TASK_LINE.findall(said)]
            for line in [*lines, *flow_items(said, ("cmds",))]:
                if not line.startswith(("{", "[")):
                    follow(inquiry, line.strip("'\""), inquiry.origin(name))
        return


def _composer(inquiry: Inquiry, call: Invocation, words: list[str]) -> str | None:
    """
    Composer's scripts; what is installed globally is the person's.
    """
    if words[:1] == ["global"] and set(words[1:2]) & o.words("require remove update install"):
        inquiry.object("outside", call, "what is installed for the person would change")
        return HOLE
    text = inquiry.content("composer.json")
    if not is_known(text) or not words:
        return None
    try:
        package = json.loads(text)
    except ValueError:
        return None
    scripts = package.get("scripts") if isinstance(package, dict) else None
    lines = scripts.get(words[0]) if isinstance(scripts, dict) else None
    for line in lines if isinstance(lines, list) else [lines]:
        if isinstance(line, str) and not line.startswith("@") and "::" not in line:
            follow(inquiry, line, inquiry.origin("composer.json"))
    return None


HANDLERS: dict[str, Handler] = dict.fromkeys(_TASKS, task)
