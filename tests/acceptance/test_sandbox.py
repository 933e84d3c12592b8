"""
The real CLI in a real sandbox: what it can do, what it cannot, and that nothing else changes by it.
"""

from __future__ import annotations

import http.server
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from kit.cell import ENV, FILES, Found, found, look, needs_bwrap, settings
from kit.processes import alive, of_runs, until
from kit.script import DAY, bash, gate, say, scenario, task, write

from orchestrd.runner.claude_cli import _bundled
from orchestrd.runner.sweep import heirs
from orchestrd.runner.vitals import EVER, vitals
from orchestrd.storage.rundir import RunDir

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240), needs_bwrap]

PLACE = "127.0.0.2"
"""Loopback, and none of the names that go past a proxy inside."""
KEY = "sk-planted-7f3a9c51d2e84b60"


@pytest.fixture
def make_cell(make_world):
    """
    A world whose agents are held: *steps* of each task, made with the world known.
    """

    def make(steps, *, env=None, files=None, watched=False, start=True, **agent):
        return make_world(
            lambda world: [scenario(name, *of(world)) for name, of in steps.items()],
            config=settings(**agent),
            env={**ENV, "ANTHROPIC_API_KEY": KEY, **(env or {})},
            files={**FILES, **(files or {})},
            watched=watched,
            start=start,
        )

    return make


def test_it_can_work_and_cannot_leave(make_cell):
    def todo(world):
        tree = "$PWD"
        work = {
            "status": "git status --short",
            "log": "git log --oneline",
            "diff": "git diff HEAD --stat",
            "python": f"{sys.executable} -c 'import sys; print(sys.version)'",
            "pytest": f"{sys.executable} -m pytest --version",
            "write": "echo hi > new.txt && mkdir -p d && echo hi > d/f",
            "remove": "echo hi > old.txt && rm old.txt",
            "summary": "echo done > ../summary.md",
            "scratch": 'echo hi > "$TMPDIR/x" && echo hi > /tmp/x',
            "home": 'echo hi > "$HOME/x"',
            "user": f'test "$({sys.executable} -c \'import os, pwd; print(pwd.getpwuid(os.getuid()).pw_dir)\')" = "$HOME"',
        }
        for program in ("node", "npm", "git"):
            if shutil.which(program, path="/usr/bin:/bin"):
                work[program] = f"{program} --version"
        git = {
            "add": "git add -A",
            "commit": "git -c user.name=a -c user.email=a@b commit --allow-empty -m no",
            "tag": "git tag no",
            "config": "git config user.name no",
            "branch": "git branch no",
            "stash": "git stash",
            "ref": "git update-ref refs/heads/no HEAD",
            "worktree": "git worktree add ../no",
            "push": f"git push {world.project} HEAD:refs/heads/no",
            "point": f"echo 'gitdir: /tmp' > {tree}/.git",
            "move": "mv .git elsewhere",
            "drop": "rm -rf .git",
            "unmount": "umount .git",
            "remount": "mount -o remount,rw,bind .git",
        }
        out = {
            "usr": "echo x > /usr/no",
            "etc": "echo x > /etc/no",
            "users": "echo x >> /etc/passwd",
            "root": "echo x > /no",
            "project": f"echo x >> {world.project}/README.md",
            "var": f"echo x > {world.home}/var/no",
            "bare": f"echo x > {world.home}/var/git/no",
            "claude": "echo '{}' > .claude/settings.json",
            "instructions": "echo x >> ../agent_instructions.md",
            "tree": "mv ../tree ../other",
            "userns": "unshare -U true",
            "answer": f"test -e {world.home}/var/agent_questions/{DAY}/mark",
            "journal": f"cat {world.home}/var/orchestrd.db",
            "spec": f"cat {world.home}/var/agent_logs/{DAY}/a/1/spec.json",
            "settings": f"cat {world.home}/config/orchestrd.yaml",
            "secret": f"cat {world.root}/secret",
            "shadow": "cat /etc/shadow",
            "others": "test $(ls -d /proc/[0-9]* | wc -l) -gt 40",
        }
        return work, git, out

    parts = {}

    def steps(world):
        parts.update(zip(("work", "git", "out"), todo(world), strict=True))
        return [*look(parts["work"] | parts["git"] | parts["out"]), say("Done.")]

    world = make_cell({"a": steps})
    (world.root / "secret").write_text("planted")
    (world.home / "var" / "agent_questions" / DAY).mkdir()
    (world.home / "var" / "agent_questions" / DAY / "mark").write_text("")
    before = world.git("for-each-ref"), world.git("status", "--porcelain"), (world.project / ".git/config").read_bytes()
    world.submit(task("a", checks=[{"name": "held", "run": f"test -f new.txt && ! test -e {world.root}/secret"}]))
    assert world.wait() == {"a": "succeeded"}
    seen = found(world, "a")
    assert seen.failed(*parts["work"]) == [], seen
    assert seen.failed(*parts["git"]) == [*parts["git"]], seen
    assert seen.failed(*parts["out"]) == [*parts["out"]], seen
    assert "new.txt" in (world.workspace("a") / "tree" / "new.txt").name
    assert before == (
        world.git("for-each-ref"),
        world.git("status", "--porcelain"),
        (world.project / ".git/config").read_bytes(),
    )
    assert (world.workspace("a") / "summary.md").read_text() == "done\n"
    held = world.events("run.contained")[0]["event"]["containment"]
    assert held == {"sandbox": True, "wanted": True, "why": "", "network": "full", "credentials": "env"}
    assert world.status()["daemon"]["sandbox"]["on"] is True
    assert "in a sandbox" in world.orchctl("status").out
    assert "Agents ran in a sandbox" in world.orchctl("report").out
    paths = {file["path"] for file in world.events("run.exited")[0]["event"]["files"]}
    assert {"new.txt", "d/f"} <= paths
    assert not any(path.startswith(".claude") for path in paths)


def test_what_other_tasks_left_in_our_repository_is_not_there(make_cell):
    """
    A snapshot has what is ignored: the first agent wrote an ``.env``.
    """
    secret = "planted-51d2e84b60"
    common = "$(git rev-parse --git-common-dir)"
    todo = {
        "objects": f"git cat-file --batch-all-objects --batch | grep -a {secret}",
        "refs": "git for-each-ref | grep -vE 'refs/(orchestrd/base|heads/main)$'",
        "repositories": f"ls {common}/.. | grep -vxE '(history-[0-9a-f]+|work).git'",
        "trees": f"ls {common}/worktrees | grep -vx $(basename $(git rev-parse --git-dir))",
    }
    # There is a snapshot before what deletes.
    kept = bash(f"printf 'TOKEN={secret}\\n' > .env; touch x")
    first = [write(".gitignore", ".env\n"), kept, bash("rm x"), say("Done.")]
    world = make_cell({"a": lambda _: first, "b": lambda _: [*look(todo | {"log": "git log"}), say("Done.")]})
    world.submit(task("a"), task("b", depends_on=["a"]))
    assert world.wait() == {"a": "succeeded", "b": "succeeded"}
    ours = ("git", "-C", str(world.home / "var" / "git" / "work.git"), "cat-file", "--batch-all-objects", "--batch")
    assert secret.encode() in subprocess.run(ours, capture_output=True, check=True).stdout
    seen = found(world, "b")
    assert seen.failed(*todo, "log") == [*todo], seen


def test_the_key_is_nowhere_inside(make_cell):
    search = (
        f"{sys.executable} - <<'EOF'\n"
        "import os\n"
        f"key, hits = {KEY[::-1]!r}[::-1].encode(), []\n"
        "for top in (os.environ['HOME'], '..', '/run', '/tmp', '/etc', '/proc'):\n"
        "    for folder, below, names in os.walk(top):\n"
        "        below[:] = [b for b in below if b not in ('task', 'map_files', 'fdinfo', 'net', 'sys', 'irq', 'fs')]\n"
        "        for name in names:\n"
        "            path = os.path.join(folder, name)\n"
        "            if top == '/proc' and name not in ('environ', 'cmdline'):\n"
        "                continue\n"
        "            try:\n"
        "                if os.path.isfile(path) and key in open(path, 'rb').read(8 << 20):\n"
        "                    hits.append(path)\n"
        "            except OSError:\n"
        "                pass\n"
        "print(hits)\n"
        "EOF"
    )
    todo = {"search": search, "environ": "printenv ANTHROPIC_API_KEY"}
    world = make_cell({"a": lambda _: [*look(todo), gate("searched"), say("Done.")]}, credentials="proxy")
    world.submit(task("a"))
    held = world.gate.arrive("searched")
    looked = [Path(f"/proc/{pid}/{name}") for pid in of_runs(world.root) for name in ("environ", "cmdline")]
    seen = [path for path in looked if KEY.encode() in path.read_bytes()]
    held.release()
    assert world.wait() == {"a": "succeeded"}
    assert seen == []
    assert found(world, "a").out("search").strip() == "[]", found(world, "a")
    assert found(world, "a").out("environ").startswith("run-")
    assert world.events("run.contained")[0]["event"]["containment"]["credentials"] == "proxy"
    # And without that, the search would have found it.
    assert KEY in (world.run_dir("a/1") / "spec.json").read_text()


@contextmanager
def listening(text: str):
    """
    A loopback server that says *text*; gives its port.
    """

    class Says(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer((PLACE, 0), Says) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def reach(port: int, *, proxied: bool) -> str:
    """
    A command that says what the server at *port* says, through the proxy of the environment or past it.
    """
    proxies = "{'http': os.environ['HTTP_PROXY']}" if proxied else "{}"
    return (
        f'{sys.executable} -c "import os, urllib.request as u; '
        f"print(u.build_opener(u.ProxyHandler({proxies})).open('http://{PLACE}:{port}/', timeout=10).read())\""
    )


def test_only_the_api_and_listed_hosts_are_reached(make_cell):
    with listening("welcome") as good, listening("secret") as bad:
        todo = {
            "good": reach(good, proxied=True),
            "bad": reach(bad, proxied=True),
            "good straight": reach(good, proxied=False),
            "bad straight": reach(bad, proxied=False),
            "tunnel": (
                f"{sys.executable} -c \"import socket; s = socket.create_connection(('127.0.0.1', 41318)); "
                f"s.sendall(b'CONNECT {PLACE}:{bad} HTTP/1.1\\r\\n\\r\\n'); print(s.recv(99))\""
            ),
            "name": f"{sys.executable} -c \"import socket; socket.create_connection(('example.org', 80), 5)\"",
            "interfaces": "ls /sys/class/net /proc/self/net/dev && cat /proc/self/net/dev",
        }
        world = make_cell({"a": lambda _: [*look(todo), say("Done.")]}, network="api-only", hosts=[f"{PLACE}:{good}"])
        world.submit(task("a"))
        assert world.wait() == {"a": "succeeded"}
    seen = found(world, "a")
    assert "welcome" in seen.out("good"), seen
    assert "403 Forbidden" in seen.out("tunnel"), seen
    assert seen.failed("bad", "good straight", "bad straight", "name") == [
        "bad",
        "good straight",
        "bad straight",
        "name",
    ]
    assert "secret" not in repr(seen)
    assert world.events("run.contained")[0]["event"]["containment"]["network"] == "api-only"
    assert "network to the API and listed hosts only" in world.orchctl("status").out


def test_off_leaves_nothing_but_the_api(make_cell):
    with listening("secret") as bad:
        todo = {
            "bad": reach(bad, proxied=False),
            "tunnel": (
                f"{sys.executable} -c \"import socket; s = socket.create_connection(('127.0.0.1', 41318)); "
                f"s.sendall(b'GET http://{PLACE}:{bad}/ HTTP/1.1\\r\\n\\r\\n'); print(s.recv(99))\""
            ),
            "proxy": "printenv HTTPS_PROXY",
        }
        world = make_cell(
            {"a": lambda _: [*look(todo), say("Done.")]}, env={"HTTPS_PROXY": "http://127.0.0.1:9"}, network="off"
        )
        world.submit(task("a"))
        assert world.wait() == {"a": "succeeded"}
    seen = found(world, "a")
    assert "403 Forbidden" in seen.out("tunnel"), seen
    assert seen.failed("bad", "proxy") == ["bad", "proxy"], seen


def test_the_daemon_is_killed_and_the_agent_goes_on(make_cell):
    world = make_cell(
        {"a": lambda _: [write("a.txt", "a"), gate("working"), bash("cat a.txt"), say("Done.")]},
        credentials="proxy",
    )
    world.submit(task("a"))
    held = world.gate.arrive("working")
    agent = world.agent_pid("a/1")
    world.kill()
    assert alive(agent)
    world.start()
    assert alive(agent)
    held.release()
    assert world.wait() == {"a": "succeeded"}
    # Through the same gateway as before, and in one run.
    assert world.status("a")["attempts"] == 1
    until(lambda: not of_runs(world.root))


def test_frozen_thawed_and_cancelled(make_cell):
    world = make_cell({"a": lambda _: [gate("working"), say("Done.")]}, credentials="proxy")
    world.submit(task("a"))
    held = world.gate.arrive("working")
    run = RunDir(world.run_dir("a/1"))
    names = heirs(run)
    assert [names[pid] for pid in sorted(run.own_pids())].count("bwrap") == 2
    assert "claude" in names[run.agent_pid()]
    # What is ours is not the agent's work.
    assert vitals(run, EVER).beside == len(names.keys() - run.own_pids()) - 1
    assert [name for pid, name in names.items() if pid not in run.own_pids()].count("bwrap") == 0
    world.rpc("home.freeze")
    states = until(lambda: (found := of_runs(world.root)) and set(found.values()) <= set("TtZ") and found)
    assert len(states) >= 4
    world.rpc("home.thaw")
    until(lambda: not set(of_runs(world.root).values()) & set("Tt"))
    assert world.orchctl("cancel", "a").code == 0
    assert held.gone()
    assert world.wait() == {"a": "cancelled"}
    until(lambda: not of_runs(world.root))
    record = json.loads((world.run_dir("a/1") / "exit.json").read_text())
    # It was told, not shot: the CLI ends so on SIGTERM, or was let go before that.
    assert record["exit_code"] in {0, 1, 143}, record


def test_what_it_leaves_running_is_ended_and_told(make_cell):
    stay = (
        f"{sys.executable} -c \"import os, time; os.fork() and os._exit(0); os.setsid(); os.dup2(os.open('/dev/null', 1), 1); "
        'os.dup2(1, 2); time.sleep(3600)"'
    )
    world = make_cell({"a": lambda _: [*look({"stay": stay}), say("Done.")]})
    world.submit(task("a"))
    assert world.wait() == {"a": "succeeded"}
    assert world.events("run.exited")[0]["event"]["leftovers"] == 1
    assert not of_runs(world.root)


def test_killed_by_the_system_it_is_taken_up_again(make_cell):
    world = make_cell({"a": lambda _: [write("a.txt", "a"), gate("working"), bash("cat a.txt"), say("Done.")]})
    world.submit(task("a"))
    world.gate.arrive("working")
    session = world.events("run.started")[0]["event"]["session"]
    main = next((world.workspace("a") / "home" / ".claude" / "projects").glob(f"*/{session}.jsonl"))
    wanted = [e["message"] for e in world.ledger() if e["scenario"] == "a"][-1].encode()
    until(lambda: wanted in main.read_bytes())
    os.kill(world.agent_pid("a/1"), signal.SIGKILL)
    assert world.wait() == {"a": "succeeded"}
    runs = [e["event"] for e in world.events("run.started")]
    assert [run["resumes"] for run in runs] == [False, True]
    assert runs[1]["session"] == session
    assert world.events("run.exited")[0]["event"]["cause"] == "killed"


def test_a_question_by_file_comes_out_and_an_answer_does_not(make_cell):
    def steps(world):
        folder = f"{world.home}/var/agent_questions/{DAY}"
        ask = {
            "ask": f"printf '# Which?\\n\\nWhich one?\\n' > {folder}/a.md",
            "answer": f"echo mine > {folder}/a-answer.md; echo mine > {folder}/b-answer.md; echo hm > {folder}/b.md",
        }
        return [*look(ask), say("I asked."), {"when": {"result": "One"}, **say("Done.")}]

    world = make_cell({"a": steps})
    world.submit(task("a"))
    asked = world.wait_event("question.asked")
    assert "Which one?" in asked["event"]["text"]
    folder = world.home / "var" / "agent_questions" / DAY
    assert sorted(path.name for path in folder.iterdir()) == ["a.md"]
    assert world.events("question.answered") == []
    world.orchctl("cancel", "a")
    world.wait()


def test_in_the_persons_own_tree(make_cell):
    todo = {
        "write": "echo hi > new.txt",
        "commit": "git -c user.name=a -c user.email=a@b commit --allow-empty -m no",
        "config": "git config user.name no",
        "hook": "echo x > .git/hooks/pre-commit",
        "drop": "mv .git other",
    }
    world = make_cell({"a": lambda _: [*look(todo), say("Done.")]})
    before = world.git("for-each-ref"), (world.project / ".git/config").read_bytes()
    world.submit(task("a", isolation="in_place"))
    assert world.wait() == {"a": "succeeded"}
    seen = Found(json.loads((world.project / "found.json").read_text()))
    assert seen.failed(*todo) == ["commit", "config", "hook", "drop"], seen
    assert (world.project / "new.txt").read_text() == "hi\n"
    assert before == (world.git("for-each-ref"), (world.project / ".git/config").read_bytes())
    assert list((world.project / ".claude").iterdir()) == []


def test_the_shim_is_killed_and_nothing_stays(make_cell):
    world = make_cell({"a": lambda _: [gate("working"), say("Done.")]}, credentials="proxy")
    world.submit(task("a"))
    held = world.gate.arrive("working")
    shim = json.loads((world.run_dir("a/1") / "process.json").read_text())["shim"]
    os.kill(shim, signal.SIGKILL)
    assert held.gone()
    world.wait_event("run.exited")
    # The gateway too; what runs now is the next run's.
    until(lambda: not of_one(world, "a/1"))
    world.orchctl("cancel", "a")
    world.wait()
    until(lambda: not of_runs(world.root))
    doctor = world.orchctl("doctor", "--deep")
    assert doctor.code == 0, doctor


def of_one(world, run: str) -> list[int]:
    """
    What lives of one run.
    """
    mark = f"ORCHESTRD_RUN_DIR={world.run_dir(run)}".encode()
    found = []
    for pid in of_runs(world.root):
        with suppress(OSError):
            if mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def test_without_bubblewrap(make_world):
    def world_with(mode: str, text: str):
        world = make_world([scenario("a", say("Done."))], config={"agent": {"sandbox": mode}}, start=False)
        tools = world.root / "tools"
        tools.mkdir()
        (tools / "bwrap").write_text(f"#!/bin/sh\n{text}\n")
        (tools / "bwrap").chmod(0o755)
        world.path = tools
        return world

    # One that the kernel does not let do it, and one that holds nobody.
    world = world_with("required", "echo 'no permissions to create a new namespace' >&2; exit 1")
    assert spawn(world).wait(60) == 78
    log = world.log.read_text()
    assert "agent.sandbox is required" in log
    assert "no permissions to create a new namespace" in log
    assert "agent.sandbox: auto" in log
    assert "Traceback" not in log
    world.configure(agent={"sandbox": "auto"})
    world.daemon = spawn(world)
    until(lambda: "daemon.ready" in world.log.read_text())
    world.submit(task("a"))
    assert world.wait() == {"a": "succeeded"}
    held = world.events("run.contained")[0]["event"]["containment"]
    assert (held["sandbox"], held["wanted"], held["network"]) == (False, True, "full")
    assert "no sandbox: bubblewrap does not work here" in world.orchctl("status").out
    assert "no sandbox" in world.orchctl("report").out
    loose = world_with("required", 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    assert spawn(loose).wait(60) == 78
    assert "does not hold" in loose.log.read_text()


def spawn(world):
    """
    A daemon that finds another bubblewrap first.
    """
    import subprocess

    environ = {**world.environ, "PATH": f"{world.path}:{world.environ['PATH']}"}
    with world.log.open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrd", "--home", str(world.home)],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
        )


TOKEN = {
    "accessToken": "sk-ant-oat01-planted",
    "refreshToken": "sk-ant-ort01-planted",
    "expiresAt": 4_000_000_000_000,
    "scopes": ["user:inference"],
}
THEIRS = {
    "local/claude": "#!/bin/sh\necho real\n",
    "statusline.sh": "echo line\n",
    "rules/mine.md": "mine\n",
    "commands/mine.md": "mine\n",
    "shell-snapshots/snapshot-person.sh": "person\n",
    "projects/-p/memory/MEMORY.md": "mine\n",
}
"""What a person's own sessions run or heed."""


@pytest.mark.parametrize("named", [False, True], ids=["in the home", "named"])
def test_a_login_of_the_cli_cannot_be_used_to_run_things_for_the_person(make_cell, named):
    """
    Of the CLI's folder an agent has the login, and nothing else, whatever is a link there: what it makes in its own reaches no session
    of the person's.
    """
    tries = {
        "settings": "rm -f $CLAUDE_CONFIG_DIR/settings.json; echo no > $CLAUDE_CONFIG_DIR/settings.json",
        "hook": "rm -f $CLAUDE_CONFIG_DIR/hooks; mkdir $CLAUDE_CONFIG_DIR/hooks && echo no > $CLAUDE_CONFIG_DIR/hooks/no.sh",
        "local": "mkdir -p $CLAUDE_CONFIG_DIR/local; echo no > $CLAUDE_CONFIG_DIR/local/claude",
        "line": "echo no > $CLAUDE_CONFIG_DIR/statusline.sh",
        "rules": "mkdir -p $CLAUDE_CONFIG_DIR/rules; echo no > $CLAUDE_CONFIG_DIR/rules/no.md",
        "state": "echo '{\"mcpServers\": {}}' > $CLAUDE_CONFIG_DIR/.claude.json",
        "names": "cat $CLAUDE_CONFIG_DIR/.claude.json",
        "theirs": "cat THEIRS/statusline.sh",
        "login": "cat $CLAUDE_CONFIG_DIR/.credentials.json",
        "gone": "rm $CLAUDE_CONFIG_DIR/.credentials.json",
        "renewed": "sed s/planted/renewed/g $CLAUDE_CONFIG_DIR/.credentials.json > $CLAUDE_CONFIG_DIR/new && "
        "cat $CLAUDE_CONFIG_DIR/new > $CLAUDE_CONFIG_DIR/.credentials.json",
    }

    def place(world):
        return world.root / "cli" if named else world.claude / ".claude"

    def steps(world):
        return [*look({n: t.replace("THEIRS", str(place(world))) for n, t in sorted(tries.items())}), say("Done.")]

    world = make_cell(
        {"a": steps},
        env={"ANTHROPIC_API_KEY": None, "ANTHROPIC_AUTH_TOKEN": None},
        start=False,
    )
    login, dots = place(world), world.claude / "dotfiles"
    if named:
        world.set_env(CLAUDE_CONFIG_DIR=str(login))
    for name, text in THEIRS.items():
        (login / name).parent.mkdir(parents=True, exist_ok=True)
        (login / name).write_text(text)
    (dots / "hooks").mkdir(parents=True)
    (dots / "settings.json").write_text("{}")
    for name in ("settings.json", "hooks"):
        (login / name).symlink_to(dots / name)
    (login / ".credentials.json").write_text(json.dumps({"claudeAiOauth": TOKEN}))
    state = (login if named else world.claude) / ".claude.json"
    state.write_text(json.dumps({"oauthAccount": {"emailAddress": "me@here"}, "mcpServers": {"x": {"command": "own"}}}))
    world.start()
    world.submit(task("a"))
    assert world.wait() == {"a": "succeeded"}
    (held,) = [e["event"]["containment"] for e in world.events("run.contained")]
    assert (held["sandbox"], held["credentials"]) == (True, "login")
    seen = found(world, "a")
    assert set(seen.failed(*tries)) == {"theirs", "gone"}, seen
    assert "planted" in seen.out("login"), "it is the CLI's login, which the CLI needs"
    assert "me@here" in seen.out("names")
    assert "own" not in seen.out("names")
    assert {name: (login / name).read_text() for name in THEIRS} == THEIRS
    assert {str(path.readlink()) for path in login.iterdir() if path.is_symlink()} == {
        str(dots / name) for name in ("settings.json", "hooks")
    }
    assert (dots / "settings.json").read_text() == "{}"
    assert not [path for top in (login, dots) for path in top.rglob("no.*")]
    assert "renewed" in (login / ".credentials.json").read_text(), "a login that the CLI renews is the person's too"
    assert "own" in state.read_text()
    assert not list(login.glob("projects/*/*.jsonl")), "its conversation is not among the person's"
    assert list((world.workspace("a") / "login" / "projects").glob("*/*.jsonl"))


@pytest.mark.parametrize("linked", [False, True], ids=["a script", "a link to one"])
def test_a_script_for_the_cli_does_not_show_the_folder_that_it_lies_in(make_cell, linked):
    tries = {"ssh": "cat HOME/.ssh/id_rsa", "home": "ls -A HOME", "others": "ls HOME/scripts"}

    def steps(world):
        return [*look({n: t.replace("HOME", str(world.claude)) for n, t in tries.items()}), say("Done.")]

    world = make_cell({"a": steps}, start=False)
    home, real = world.claude, next(path for path in _bundled() if path.is_file()).resolve()
    for name in ("scripts/note", ".ssh/id_rsa"):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text("PRIVATE")
    script = home / ("scripts/claude" if linked else "claude-wrapper")
    script.write_text(f'#!/bin/sh\nexec {real} "$@"\n')
    script.chmod(0o755)
    named = script
    if linked:
        named = home / "bin" / "claude"
        named.parent.mkdir()
        named.symlink_to(script)
    config = settings(binary=str(named))
    config["policy"]["readable"].append(str(real.parent))
    world.configure(**config)
    world.start()
    world.submit(task("a", retries=0))
    assert world.wait() == {"a": "succeeded"}, world.orchctl("why", "a")
    seen = found(world, "a")
    assert "PRIVATE" not in repr(seen)
    assert not {"note", ".ssh"} & set(f"{seen.out('home')}\n{seen.out('others')}".split()), seen


def test_settings_behind_a_link_cannot_be_written_and_are_noticed(make_cell):
    """
    The link itself can be replaced, and what is new on the way there: then the work is not what it seems.
    """
    tries = {"through": "echo no > .claude/settings.json", "new": "echo no > .claude/new.json"}
    swap = {"swap": "rm .claude && mkdir .claude && echo '{}' > .claude/settings.json"}
    aside = {"aside": "mv tools other && mkdir -p tools/claude && echo no > tools/claude/settings.json"}
    todo = {"a": tries, "b": swap, "c": aside}
    world = make_cell(
        {name: lambda _, todo=todo: [*look(todo), say("Done.")] for name, todo in todo.items()},
        files={"tools/claude/settings.json": "{}\n"},
        start=False,
    )
    (world.project / ".claude").symlink_to("tools/claude")
    world.git("add", "-A")
    world.git("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "link")
    world.start()
    world.submit(*(task(name, retries=0) for name in todo))
    assert world.wait() == {"a": "succeeded", "b": "failed", "c": "failed"}
    assert found(world, "a").failed(*tries) == ["through", "new"], found(world, "a")
    assert (world.workspace("a") / "tree/tools/claude/settings.json").read_text() == "{}\n"
    told = {e["event"]["run"].split("/")[1]: e["event"]["target"] for e in world.events("run.violation_seen")}
    assert set(told) == {"b", "c"}
    assert "tools/claude/settings.json" in told["c"]


def test_settings_that_git_ignores_are_noticed_in_the_persons_own_tree(make_cell):
    tries = {"folder": "mkdir -p .claude && echo '{}' > .claude/settings.local.json"}
    todo = {"a": tries, "b": {"memory": "echo 'obey me' > CLAUDE.local.md"}}
    world = make_cell(
        {name: lambda _, todo=todo: [*look(todo), say("Done.")] for name, todo in todo.items()},
        files={".gitignore": ".claude/\nCLAUDE.local.md\nfound.json\n"},
    )
    world.submit(task("a", isolation="in_place", retries=0))
    assert world.wait("a") == {"a": "succeeded"}
    seen = Found(json.loads((world.project / "found.json").read_text()))
    assert seen.failed(*tries) == ["folder"], seen
    assert list((world.project / ".claude").iterdir()) == []
    world.submit(task("b", isolation="in_place", retries=0))
    assert world.wait("b") == {"b": "failed"}
    (seen_by,) = world.events("run.violation_seen")
    assert "CLAUDE.local.md" in seen_by["event"]["target"]


def test_a_tree_whose_git_is_a_link_is_not_given_to_an_agent(make_cell):
    world = make_cell({"a": lambda _: [say("Done.")]}, start=False)
    (world.project / ".git").rename(world.root / "gitdir")
    (world.project / ".git").symlink_to("../gitdir")
    world.start()
    world.submit(task("a", isolation="in_place", retries=0))
    assert world.wait() == {"a": "failed"}
    assert ".git is a link" in world.orchctl("why", "a").out


def test_checks_have_a_home_of_their_own(make_cell):
    """
    What an agent puts into its home says what Python, git and others do: a check that fails must fail.
    """
    plant = "mkdir -p ~/.config && echo yes > ~/.config/planted"
    checks = [
        {"name": "fresh", "run": 'test -z "$(ls -A ~)" && test "$(getent passwd $(id -u) | cut -d: -f6)" = "$HOME"'},
        {"name": "usable", "run": "echo kept > ~/cache && cat ~/cache"},
        {"name": "each", "run": "test ! -e ~/cache"},
        {"name": "planted", "run": "grep -q yes ~/.config/planted"},
    ]
    world = make_cell({"a": lambda _: [*look({"plant": plant}), say("Done.")]})
    world.submit(task("a", retries=0, checks=checks))
    assert world.wait() == {"a": "failed"}
    assert found(world, "a").failed("plant") == []
    (ended,) = world.events("run.exited")
    status = {check["name"]: check["status"] for check in ended["event"]["checks"]}
    assert status == {"fresh": "passed", "usable": "passed", "each": "passed", "planted": "failed"}
    assert not (world.run_dir("a/1") / "homes").exists()


def test_what_makes_a_tree_ready_has_no_key(make_cell):
    """
    It runs outside, and what it runs may be the work of the task before.
    """
    world = make_cell(
        {
            "a": lambda _: [write("setup.sh", "printenv > seen.txt\n"), say("Done.")],
            "b": lambda _: [*look({"seen": "cat seen.txt"}), say("Done.")],
        },
        files={"setup.sh": "true\n"},
        credentials="proxy",
        start=False,
    )
    world.configure(**settings(credentials="proxy"), worktree={"setup": ["sh setup.sh"]})
    world.start()
    world.submit(task("a"), task("b", depends_on=["a"]))
    assert world.wait() == {"a": "succeeded", "b": "succeeded"}
    seen = found(world, "b").out("seen")
    assert "PATH=" in seen
    assert KEY not in seen
