"""
Task runners and build tools: their targets by name, with their recipes where those are plain.
"""

from __future__ import annotations

import json
import re

from orchestrd.policy.inquiry import Handler, Inquiry
from orchestrd.policy.programs import options as o
from orchestrd.policy.programs.fresh import task_sources
from orchestrd.policy.programs.javascript import run_script
from orchestrd.policy.programs.makefiles import follow_recipes
from orchestrd.policy.programs.own import follow, judge_target
from orchestrd.policy.programs.targets import is_migrating_target
from orchestrd.policy.shell.invocation import Invocation
from orchestrd.policy.shell.marks import HOLE, is_known

_TASKS: dict[str, tuple[str, frozenset[str]]] = {
    # program -> words before a target, options that take a value
    **o.each("just j", ("", o.words("-f --justfile -d --working-directory --set --dotenv-path --shell"))),
    **o.each("task go-task", ("", o.words("-t --taskfile -d --dir -o --output"))),
    **o.each(
        """
        invoke inv fab doit duty poe poethepoet taskipy
        """,
        ("", o.words("-c --collection -r --search-root -f --file -H")),
    ),
    **o.each("tox nox", ("", o.words("-e -s -c -f --session --sessions -p --python"))),
    **o.each(
        """
        gulp grunt jake wireit wsrun ultra redo run-s run-p npm-run-all npm-run-all2 concurrently zx-run
        """,
        ("", o.words("-f --gulpfile --cwd --tasks -n --names -c -k")),
    ),
    **o.each(
        """
        nx turbo moon lage rush lerna wsrun
        """,
        ("run exec run-many", o.words("-t --target --targets --projects -p --filter --scope --configuration -c")),
    ),
    **o.each("composer", ("run-script run exec", o.words("-d --working-dir"))),
    **o.each(
        """
        gradle gradlew mvn mvnw mvnd ant sbt lein bazel bazelisk buck pants please mill boot rebar3 zig
        swift-build xcodebuild fastlane earthly dagger mage goyek ninja meson scons waf cmake rake-task bun-task
        pyinvoke mask run robo phing tusk cargo-make makers xtask
        """,
        ("run", o.words("-p -f --file -C --project-dir -b -D")),
    ),
}


_MANY = o.words("""
    gradle gradlew mvn mvnw mvnd ant gulp grunt inv invoke fab doit tox nox turbo nx jake sbt lage phing poe
    rush ninja just
""")
"""Runners of which every word may be a target."""


def _bare(call: Invocation) -> str:
    """
    The name under which the table has a program: ``just-1.36`` is ``just``.
    """
    return call.program if call.program in _TASKS else re.sub(r"-?\d[\d.]*$", "", call.program)


def task(inquiry: Inquiry, call: Invocation) -> str | None:
    """
    Task runners: targets by name, with their recipes where those are plain.
    """
    before, valued = _TASKS[_bare(call)]
    task_sources(inquiry, call)
    words = o.plain(call.argv[1:], valued)
    for value in o.options(call.argv[1:], "-e", "-s", "--session", "-t", "--target"):
        words += value.split(",") if call.program in {"tox", "nox", "nx"} else []
    if set(call.argv[1:]) & o.words("--list -l --summary --help --version -n --dry-run --show --dry"):
        return None
    for text in o.options(call.argv[1:], "--wrapper", "--run_under", "--launcher", "--test-wrapper"):
        inquiry.text(text)
    for path in o.options(call.argv[1:], "-C", "-d", "--dir", "--project-dir", "--cwd", "--working-directory"):
        inquiry.use(path, call, only_looks=True)
    if call.program in {"npm-run-all", "run-s", "run-p", "concurrently", "npm-run-all2"}:
        for word in words:
            if " " in word:
                inquiry.text(word)
            else:
                run_script(inquiry, call, word.removeprefix("npm:"), (), None)
        return HOLE
    if before and words and words[0] in before.split():
        verb = words.pop(0)
        if verb == "exec" and words:
            at = call.argv.index(words[0])
            rest = call.argv[at:] if words[0] != "--" else call.argv[at + 1 :]
            return inquiry.argv(call, rest) if " " not in rest[0] else inquiry.text(rest[0])
    for word in words[: 8 if call.program in _MANY else 1]:
        name = (
            word.rpartition(":")[2]
            if call.program in {"nx", "turbo", "moon"} and not is_migrating_target(word)
            else word
        )
        judge_target(inquiry, call, name.removeprefix("//").lstrip("@"))
    if call.program in {"mvn", "mvnw", "mvnd", "gradle", "gradlew", "sbt"}:
        return _jvm(inquiry, call, words)
    if call.program in {"just", "j"}:
        _justfile(inquiry, call, words)
    elif call.program in {"task", "go-task"}:
        _taskfile(inquiry, call, words)
    elif call.program == "composer":
        return _composer(inquiry, call, words)
    elif call.program == "nx" or call.program == "turbo":
        return HOLE if "--" not in call.argv else None
    return None


def _jvm(inquiry: Inquiry, call: Invocation, words: list[str]) -> str | None:
    for word in words:
        if re.search(
            r"(?:^|:)(?:liquibase|flyway)[:\w.-]*[:](?:update\w*|migrate|clean|undo|repair|baseline|rollback\w*|dropAll|drop-all)$|^(?:flyway(?:Migrate|Clean|Undo|Repair|Baseline)|(?:liquibase)?(?:[uU]pdate|[rR]ollback|[dD]ropAll)\w*|migrateDb|dbMigrate|jooq-migrate|mybatis:(?:up|down))$",
            word,
        ) and not re.search(r"SQL$|status|validate|info", word):
            inquiry.object("db", call, f"`{word}` runs migrations or changes a database")
            return HOLE
        if re.search(
            r"^(?:release:(?:perform|prepare|rollback|branch)|scm:(?:checkin|add|tag|branch|remove)|gitflow:[\w-]+|jgitflow:[\w-]+|deploy|publish\w*|release(?: .*)?|axion\w*|finalRelease|candidateRelease|createRelease|pushRelease|gitPublishPush|closeAndRelease\w*)$",
            word,
        ):
            inquiry.object("git", call, f"`{word}` commits, tags, pushes or publishes")
            return HOLE
    for value in [word for word in call.argv if word.startswith("-Dexec.executable=")]:
        inquiry.argv(
            call,
            (
                value.partition("=")[2],
                *(word.partition("=")[2] for word in call.argv if word.startswith("-Dexec.args=")),
            ),
        )
    return None


def _justfile(inquiry: Inquiry, call: Invocation, words: list[str]) -> None:
    for name in (o.option(call.argv[1:], "-f", "--justfile") or "justfile", "Justfile", ".justfile"):
        text = inquiry.content(name)
        if is_known(text):
            plain = re.sub(r"(?m)^( {2,}|\t)@?", "\t", text)
            plain = re.sub(r"(?m)^@?([\w-]+)(?: [^:=\n]*)?:(?!=)", r"\1:", plain)
            follow_recipes(inquiry, call, plain, words or ["default"], ours=not inquiry.is_new(name))
            return


def _taskfile(inquiry: Inquiry, call: Invocation, words: list[str]) -> None:
    for name in ("Taskfile.yml", "Taskfile.yaml"):
        text = inquiry.content(name)
        if not is_known(text):
            continue
        for word in words or ["default"]:
            match = re.search(rf"(?ms)^  {re.escape(word)}:\s*\n(.*?)(?=^  \S|\Z)", text)
            for line in re.findall(r"(?m)^\s+-\s+(?:cmd:\s*)?(.+)$|cmd:\s*(.+)$", match.group(1)) if match else []:
                follow(inquiry, (line[0] or line[1]).strip("'\""), ours=not inquiry.is_new(name))
        return


def _composer(inquiry: Inquiry, call: Invocation, words: list[str]) -> str | None:
    if words[:1] == ["global"] and set(words[1:2]) & o.words("require remove update install"):
        inquiry.object("outside", call, "what is installed for the person would change")
        return HOLE
    text = inquiry.content("composer.json")
    if is_known(text) and words:
        try:
            scripts = json.loads(text).get("scripts", {})
        except ValueError:
            return None
        lines = scripts.get(words[0], []) if isinstance(scripts, dict) else []
        for line in [lines] if isinstance(lines, str) else lines:
            if isinstance(line, str) and not line.startswith("@") and "::" not in line:
                follow(inquiry, line, ours=not inquiry.is_new("composer.json"))
    return None


HANDLERS: dict[str, Handler] = dict.fromkeys(_TASKS, task)
