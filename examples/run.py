"""
The example day, from an empty folder to the report: what ``make run`` does.

It makes a throw-away home and a small git project, starts the rehearsal model and the daemon, submits the day, follows
it, answers the one question that is asked, and prints the report.  With ``--model live`` it does the same on a project
and a task file of your own, with your own account, in a home that is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
EXPECTED = {"task-001": "succeeded", "task-002": "succeeded", "task-003": "succeeded", "task-004": "failed"}
ANSWER = "Whole cents"


def main() -> int:
    """
    Exit status 0 when the day went as it should.
    """
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument("--model", choices=["rehearsal", "live"], default="rehearsal")
    parser.add_argument("--project", type=Path, help="the git repository to work on (live)")
    parser.add_argument("--tasks", type=Path, help="the task file (live)")
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "run", help="where homes are made")
    arguments = parser.parse_args()
    if arguments.model == "live":
        if arguments.project is None or arguments.tasks is None:
            parser.error("--model live needs --project and --tasks: make run MODEL=live PROJECT=… TASKS=…")
        return live(arguments.folder.with_name("live"), arguments.project.resolve(), arguments.tasks.resolve())
    return rehearse(arguments.folder)


def rehearse(folder: Path) -> int:
    """
    The example day against the rehearsal model.
    """
    home, project = folder / "home", folder / "project"
    if (home / "var").exists():
        orchctl(home, "daemon", "stop", check=False, quiet=True)
    shutil.rmtree(folder, ignore_errors=True)
    make_project(project)
    say("A home, a project, and a model that costs nothing")
    orchctl(home, "init", str(home), "--project", str(project), quiet=True)
    with Rehearsal(HERE / "scenarios.yaml", folder / "rehearsal.json") as model:
        point_at(home, model.url, folder / "agent-home")
        (folder / "agent-home").mkdir()
        orchctl(home, "daemon", "start")
        try:
            say("The day: orchctl submit tasks/2026-11-22.yaml --wait")
            helper = threading.Thread(target=answer_first_question, args=(home,), daemon=True)
            helper.start()
            orchctl(home, "submit", str(ROOT / "tasks" / "2026-11-22.yaml"), "--wait", check=False)
            say("Taking the work: orchctl apply task-002 task-003")
            orchctl(home, "apply", "task-002", "task-003")
            subprocess.run(["git", "-C", str(project), "status", "--short"], check=True)
            say("The report: orchctl report")
            orchctl(home, "report")
            found = states(home)
        finally:
            orchctl(home, "daemon", "stop", check=False)
    if found != EXPECTED:
        print(f"The day did not go as it should: {found}, expected {EXPECTED}", file=sys.stderr)
        return 1
    say("As planned: three tasks succeeded, and task-004 failed its check although the agent called it done")
    return 0


def live(home: Path, project: Path, tasks: Path) -> int:
    """
    A task file of your own on a project of your own; the home is kept, so that nothing is lost.
    """
    if not (home / "config" / "orchestrd.yaml").exists():
        orchctl(home, "init", str(home), "--project", str(project))
    orchctl(home, "daemon", "start")
    done = orchctl(home, "submit", str(tasks), "--wait", check=False)
    orchctl(home, "report", check=False)
    print(f"\nThe home is {home}; agents and answers: orchctl --home {home} status")
    return done.returncode


def make_project(project: Path) -> None:
    """
    The example project as a git repository with one commit.
    """
    shutil.copytree(HERE / "project", project)
    identity = ["-c", "user.name=Example", "-c", "user.email=example@localhost"]
    for words in (["init", "--quiet", "-b", "main"], ["add", "."], [*identity, "commit", "--quiet", "-m", "tally"]):
        subprocess.run(["git", "-C", str(project), *words], check=True)


def point_at(home: Path, url: str, agent_home: Path) -> None:
    """
    Let agents talk to the rehearsal model, with a home of their own and no credentials.
    """
    path = home / "config" / "orchestrd.yaml"
    text = path.read_text(encoding="utf-8")
    start, end = text.index("  env:\n"), text.index("  # Further arguments")
    entries = [
        "PATH",
        "LANG",
        f"HOME={agent_home}",
        f"ANTHROPIC_BASE_URL={url}",
        "ANTHROPIC_API_KEY=rehearsal",
    ]
    env = "  env:\n" + "".join(f"    - {json.dumps(entry)}\n" for entry in entries) + "\n"
    text = text[:start] + env + text[end:]
    path.write_text(text.replace("  binary: auto\n", "  binary: bundled\n"), encoding="utf-8")


def answer_first_question(home: Path) -> None:
    """
    Be the person: wait for the question and answer it.
    """
    while True:
        found = orchctl(home, "questions", "--json", check=False, quiet=True)
        if found.returncode == 0 and (questions := json.loads(found.stdout)):
            orchctl(home, "answer", questions[0]["task"], "--option", ANSWER, check=False, quiet=True)
            return
        threading.Event().wait(0.3)


def states(home: Path) -> dict[str, str]:
    """
    Task id → state.
    """
    status = json.loads(orchctl(home, "status", "--json", quiet=True).stdout)
    return {task["id"]: task["state"] for task in status["tasks"]}


def orchctl(home: Path, *words: str, check: bool = True, quiet: bool = False) -> subprocess.CompletedProcess[str]:
    """
    Run the client on *home*; *quiet* keeps its output instead of showing it.
    """
    sys.stdout.flush()
    argv = [sys.executable, "-m", "orchctl", "--home", str(home), *words]
    done = subprocess.run(argv, check=False, text=True, capture_output=quiet)
    if check and done.returncode != 0:
        print(f"orchctl {' '.join(words)} ended with {done.returncode}", done.stderr or "", file=sys.stderr)
        raise SystemExit(1)
    return done


class Rehearsal:
    """
    The rehearsal model as a process of its own.
    """

    def __init__(self, scenarios: Path, ready: Path) -> None:
        argv = [sys.executable, "-m", "orchestrd.rehearsal", str(scenarios)]
        ready.parent.mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        if self._process.stdout is None:
            raise RuntimeError("the rehearsal model has no output")
        first = self._process.stdout.readline()
        if "http://" not in first:
            raise SystemExit("the rehearsal model did not start")
        self.url = first.split()[-1]
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)


def say(text: str) -> None:
    """
    A heading between the steps.
    """
    print(f"\n── {text}\n", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("ORCHESTRD_HOME", str(ROOT / "build" / "run" / "home"))
    sys.exit(main())
