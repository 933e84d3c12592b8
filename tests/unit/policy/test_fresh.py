"""
What was only just written, and what a program would run of it.
"""

import pytest

from orchestrd.policy.engine import judge_command
from orchestrd.policy.scope import Files, NoFiles, Scope
from orchestrd.policy.verdict import Verdict

TREE = "/home/dev/project"
RUNNERS = r"""
printf 'version: "3"\ntasks:\n  x:\n    cmds:\n      - THAT\n' > Taskfile.yml; task x
printf 'version: "3"\ntasks:\n  x: THAT\n' > Taskfile.yml; task x
printf '{"tasks":{"x":"THAT"}}' > deno.json; deno task x
printf '{"tasks":{"x":{"command":"THAT"}}}' > deno.json; deno task x
printf '[tool.pdm.scripts]\nx = "THAT"\n' > pyproject.toml; pdm run x
printf '[tool.pdm.scripts]\nx = {shell = "THAT"}\n' > pyproject.toml; pdm run x
printf '[tool.hatch.envs.default.scripts]\nx = "THAT"\n' > pyproject.toml; hatch run x
printf '[tool.hatch.envs.default.scripts]\nx = ["THAT"]\n' > pyproject.toml; hatch run x
printf '[tool.poe.tasks]\nx = "THAT"\n' > pyproject.toml; poe x
printf '[tasks.x]\nrun = "THAT"\n' > mise.toml; mise run x
printf 'def task_x():\n    return {"actions": ["THAT"]}\n' > dodo.py; doit x
printf 'import nox\n@nox.session\ndef x(s):\n    s.run(WORDS, external=True)\n' > noxfile.py; nox -s x
printf '[testenv]\ncommands = THAT\n' > tox.ini; tox
printf '[testenv]\ncommands =\n    THAT\n' > tox.ini; tox
printf 'Execute("THAT")\n' > SConstruct; scons
printf 'import os\nos.system("THAT")\n' > SConstruct; scons
printf 'def build(b):\n    b.exec_command("THAT")\n' > wscript; waf build
printf 'web: THAT\n' > Procfile; foreman start
printf 'web: THAT\n' > Procfile; honcho start
printf '{"scripts":{"prepare":"THAT"}}' > package.json; npm install
printf '{"scripts":{"postinstall":"THAT"}}' > package.json; npm ci
printf '{"scripts":{"postinstall":"THAT"}}' > package.json; yarn
printf '{"scripts":{"preinstall":"THAT"}}' > package.json; pnpm i
printf '[target.x86_64-unknown-linux-gnu]\nrunner = "THAT"\n' > .cargo/config.toml; cargo run
printf 'execute_process(COMMAND THAT)\n' > CMakeLists.txt; cmake .
printf 'execute_process(\n  COMMAND THAT\n)\n' > CMakeLists.txt; cmake -B build
printf 'add_custom_target(x COMMAND THAT)\n' > CMakeLists.txt; cmake --build build --target x
printf 'THAT' > evil.sh; printf '[build]\nrustc-wrapper = "./evil.sh"\n' > .cargo/config.toml; cargo build
printf 'package a\n//go:generate THAT\n' > a.go; go generate ./...
printf 'repos:\n- repo: local\n  hooks:\n  - id: x\n    name: x\n    entry: THAT\n    language: system\n' > .pre-commit-config.yaml; pre-commit run -a
printf 'x:\n    THAT\n' > justfile; just x
printf 'task :x do\n  sh "THAT"\nend\n' > Rakefile; rake x
printf 'const {execSync}=require("child_process"); execSync("THAT")\n' > gulpfile.js; gulp
printf 'require("child_process").execSync("THAT")\n' > Gruntfile.js; grunt
printf 'from invoke import task\n@task\ndef x(c):\n    c.run("THAT")\n' > tasks.py; inv x
printf 'from fabric import task\n@task\ndef x(c):\n    c.local("THAT")\n' > fabfile.py; fab x
printf 'import os\nos.system("THAT")\n' > conftest.py; pytest
printf 'import os\nos.system("THAT")\n' > setup.py; pip install -e .
printf 'import os\nos.system("THAT")\n' > setup.py; python -m build
printf 'require("child_process").execSync("THAT")\n' > vite.config.js; npx vite build
printf 'require("child_process").execSync("THAT")\n' > jest.config.js; npx jest
printf 'require("child_process").execSync("THAT")\n' > eslint.config.js; npx eslint .
printf '{"*.js":"THAT"}' > .lintstagedrc; npx lint-staged
printf 'rule x\n  command = THAT\nbuild y: x\n' > build.ninja; ninja y
printf "run_command(QUOTED)\n" > meson.build; meson setup build
printf 'task x(type: Exec) { commandLine WORDS }\n' > build.gradle; gradle x
printf 'package main\nimport "os/exec"\nfunc X(){ exec.Command(WORDS).Run() }\n' > magefile.go; mage x
printf '{"scripts":{"x":"THAT"}}' > composer.json; composer run-script x
printf '{"scripts":{"post-install-cmd":"THAT"}}' > composer.json; composer install
printf 'x:\n  LOCALLY\n  RUN THAT\n' > Earthfile; earthly +x
printf '{"scripts":{"x":"THAT"}}' > package.json; turbo run x
printf '{"scripts":{"x":"THAT"}}' > package.json; bun run x
printf 'x:\n\tTHAT\n' > GNUmakefile; make x
"""
"""Command lines that write down THAT (WORDS and QUOTED: as words), for a program that would run it."""


def judged(line: str, disk: Files | None = None) -> Verdict:
    return judge_command(line, Scope(tree=TREE, scratch=("/tmp/agent",)), TREE, disk or NoFiles())


def written(line: str, command: str) -> str:
    words = command.split()
    listed, quoted = (", ".join(f"{sign}{word}{sign}" for word in words) for sign in ('"', "'"))
    return line.replace("QUOTED", quoted).replace("WORDS", listed).replace("THAT", command)


@pytest.mark.parametrize("line", RUNNERS.strip().splitlines())
def test_what_a_runner_would_run_is_judged(line):
    assert judged(written(line, "git push")).rule == "git"
    assert judged(written(line, "git status")).allowed


@pytest.mark.parametrize(
    "line",
    [
        'printf \'[tool.poetry.dependencies]\\npython = "^3.11"\\nnode = {version = "1"}\\n\' > pyproject.toml; pdm run pytest',
        'echo \'{"engines":{"node":">=18","npm":">=9"},"scripts":{"test":"vitest run"}}\' > package.json; npm ci; turbo run test',
        "printf 'services:\\n  node:\\n    image: node\\n' > lefthook.yml; lefthook run",
        "printf 'project(git)\\nfind_package(Git)\\n' > CMakeLists.txt; cmake -B build",
        "printf 'export default {test: {globals: true}}\\n' > vitest.config.ts; npx vitest run",
    ],
)
def test_what_only_looks_like_a_command_is_none(line):
    assert judged(line).allowed, judged(line)


class Disk(NoFiles):
    """
    Files that the project had and the agent has changed.
    """

    def __init__(self, **files: str) -> None:
        self._files = {f"{TREE}/{name.replace('_', '.')}": text for name, text in files.items()}

    def read(self, path: str) -> str | None:
        return self._files.get(path)

    def exists(self, path: str) -> bool:
        return path in self._files

    def settled(self, path: str) -> bool:
        return path not in self._files


MANIFESTS = {
    "pdm run": Disk(
        pyproject_toml='[project]\nname = "git"\n[tool.pdm.scripts]\ntest = "pytest"\nship = {shell = "git push"}\n'
    ),
    "hatch run": Disk(
        pyproject_toml='[tool.hatch.envs.default.scripts]\ntest = "pytest"\nship = ["git add .", "git push"]\n'
    ),
    "poe": Disk(pyproject_toml='[tool.poe.tasks]\ntest = "pytest"\npost_ship = "git push"\nship = "true"\n'),
    "mise run": Disk(mise_toml='[tasks.test]\nrun = "pytest"\n[tasks.ship]\nrun = "git push"\n'),
    "deno task": Disk(deno_json='{"tasks": {"test": "deno test", "ship": {"command": "git push"}}}'),
    "composer run-script": Disk(composer_json='{"scripts": {"test": "phpunit", "ship": "git push"}}'),
    "turbo run": Disk(package_json='{"scripts": {"test": "vitest run", "ship": "git push"}}'),
}


@pytest.mark.parametrize("runner", MANIFESTS)
def test_of_a_manifest_that_was_there_only_the_task_that_is_named_is_judged(runner):
    disk = MANIFESTS[runner]
    assert judged(f"{runner} test", disk).allowed, judged(f"{runner} test", disk)
    assert judged(f"{runner} ship", disk).rule == "git"


@pytest.mark.parametrize("line", RUNNERS.strip().splitlines())
def test_of_the_project_it_is_not(line):
    """
    What was there before is the project's own.
    """
    assert judged(line.rpartition("; ")[2]).allowed
