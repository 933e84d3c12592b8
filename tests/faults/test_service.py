"""
The daemon as a service of a real ``systemd --user``: ready when it is, back when it dies, and its agents notice nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, say
from harness.service import ServiceWorld
from harness.world import FaultWorld
from kit.client import run_client
from kit.processes import alive, parent, until
from kit.script import DAY, task

from orchctl.client import Client
from orchctl.failures import Unreachable
from orchctl.unit import Unit

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
Make = Callable[..., ServiceWorld]
UNITS = "../orchctl/units"

MUTANTS = (
    Mutant(
        "each agent is in the daemon's control group",
        file="runner/scopes.py",
        old='            "--user",\n            "--scope",\n',
        new='            "--no-such-option",\n',
        test="test_each_agent_has_a_control_group_and_the_daemon_its_own",
    ),
    Mutant(
        "an agent may take all memory",
        file="runner/scopes.py",
        old="if self._memory_max is not None else []",
        new="if False else []",
        test="test_each_agent_has_a_control_group_and_the_daemon_its_own",
    ),
    Mutant(
        "agents end with the daemon's control group",
        file=f"{UNITS}/orchestrd.service",
        old="KillMode=process\n",
        new="",
        test="test_without_scopes_agents_are_started_all_the_same",
    ),
    Mutant(
        "the socket that was handed over is not used",
        file="edges/systemd.py",
        old="            listener = inherited(FIRST_FD)\n",
        new="            os.close(FIRST_FD)\n",
        test="test_nobody_is_refused_while_the_daemon_is_restarted",
    ),
    Mutant(
        "what needs a person is started again for ever",
        file=f"{UNITS}/orchestrd.service",
        old="RestartPreventExitStatus=75 78\n",
        new="RestartPreventExitStatus=75\n",
        test="test_settings_that_need_a_person_do_not_restart_for_ever",
    ),
    Mutant(
        "a home that is taken is asked for for ever",
        file=f"{UNITS}/orchestrd.service",
        old="RestartPreventExitStatus=75 78\n",
        new="RestartPreventExitStatus=78\n",
        test="test_a_home_that_another_daemon_holds_is_left_alone",
    ),
    Mutant(
        "what was stopped is started again by the next call",
        file="../orchctl/unit.py",
        old='self.manager.do("stop", self.socket, self.service)',
        new='self.manager.do("stop", self.service)',
        test="test_a_daemon_by_hand_hands_over_and_back",
    ),
    Mutant(
        "what means something in a unit file is written as it is",
        file="../orchctl/unit.py",
        old='return text.replace("%", "%%")',
        new="return text",
        test="test_several_homes_side_by_side_and_units_that_verify_without_a_word",
    ),
    Mutant(
        "a daemon by hand is started beside the service",
        file="../orchctl/unit.py",
        old="return self.installed and not self.manager.absence() and (self.loaded() or self.running())",
        new="return False",
        test="test_agents_outlive_every_end_of_the_daemon",
    ),
    Mutant(
        "a daemon hands over to a service that cannot be loaded",
        file="../orchctl/service.py",
        old="        unit.require_loaded()\n",
        new="",
        test="test_a_service_that_cannot_be_had_changes_nothing[load]",
    ),
    Mutant(
        "what a failed installation wrote stays",
        file="../orchctl/service.py",
        old="if unit.write(self.texts):",
        new="if unit.write():",
        test="test_a_service_that_cannot_be_had_changes_nothing[enable]",
    ),
    Mutant(
        "the daemon that was stopped for a service is not started again",
        file="../orchctl/service.py",
        old="            before.by_hand = launcher.stop_by_call(home, client) is not None\n",
        new="            launcher.stop_by_call(home, client)\n",
        test="test_a_service_that_cannot_be_had_changes_nothing[start]",
    ),
    Mutant(
        "a unit that cannot be loaded is used",
        file="../orchctl/unit.py",
        old="not self.manager.absence() and (self.loaded() or self.running())",
        new="not self.manager.absence()",
        test="test_a_unit_that_cannot_be_loaded_is_in_nobodys_way",
    ),
)


def test_agents_outlive_every_end_of_the_daemon(service_world: Make, tally) -> None:
    world = service_world()
    installed = world.install()
    assert (installed["state"], installed["enabled"], installed["pid"]) == ("active", True, world.main_pid)
    # Active means ready: the first call of all is answered.
    assert world.rpc("daemon.status")["pid"] == world.main_pid
    agents = world.begin("a", "b", "c")
    for end in (
        lambda: world.systemctl("restart", world.unit.service),
        lambda: os.kill(world.main_pid, signal.SIGKILL),
        lambda: world.orchctl("daemon", "restart"),
        lambda: [world.orchctl("daemon", "stop"), world.orchctl("daemon", "start")],
    ):
        world.wait_truth("told", since=world.streamed())
        before = world.main_pid
        end()
        assert world.rpc("daemon.status")["pid"] != before
        world.assert_alive(agents)
        world.wait_truth("told", since=world.streamed())
    world.finish()
    assert world.wait() == dict.fromkeys(agents, "succeeded")
    found = check(world)
    tally("service", kills=1, note="restarted by systemctl, by SIGKILL and by orchctl", **found.counts)


def test_each_agent_has_a_control_group_and_the_daemon_its_own(service_world: Make) -> None:
    world = service_world(config={"agent": {"memory_max": "2GB"}})
    world.install()
    for name, pid in world.begin("a", "b").items():
        group = Path(f"/proc/{pid}/cgroup").read_text().strip()
        assert f"/orchestrd.slice/orchestrd-agent-{world.unit.name[-16:-8]}-2026-11-22-{name}-1-" in group
        assert group.endswith(".scope")
        assert world.show("MemoryMax", group.rpartition("/")[2]) == "2000000000"
        assert Path(f"/proc/{pid}/oom_score_adj").read_text() == "500\n"
        # The shim sees no more of the daemon's environment than without a service manager.
        names = Path(f"/proc/{parent(pid)}/environ").read_bytes().rstrip(b"\0").split(b"\0")
        assert {name.partition(b"=")[0] for name in names} == {b"PATH", b"LC_ALL"}
    own = world.manager.group / world.show("ControlGroup").strip("/")
    # A git that it has at work comes and goes.
    until(lambda: (own / "cgroup.procs").read_text().split() == [str(world.main_pid)])
    world.logged("agent.ready")
    world.wait_shown("StatusText", "2 agents at work, 0 tasks queued")
    # What the service manager handed over is nobody else's business.
    names = Path(f"/proc/{world.main_pid}/environ").read_bytes()
    assert b"NOTIFY_SOCKET=" in names
    assert b"LISTEN_FDS=" in names


def test_without_scopes_agents_are_started_all_the_same(service_world: Make) -> None:
    world = service_world()
    nowhere = ("DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent", "XDG_RUNTIME_DIR=/nonexistent")
    world.drop_in(*(f"Environment={text}" for text in nowhere))
    world.install()
    agents = world.begin("a", "b")
    assert all(world.unit.keeps(pid) for pid in agents.values())
    assert len(world.logged("scope.refused")) == 1
    # They are in the daemon's control group, and still are not what is ended with it.
    for restarts, number in enumerate((signal.SIGTERM, signal.SIGKILL), 1):
        before = world.main_pid
        world.systemctl("kill", "--kill-whom=main", f"--signal={number}", world.unit.service)
        world.wait_shown("NRestarts", str(restarts))
        assert world.rpc("daemon.status")["pid"] != before
        world.assert_alive(agents)


def test_nobody_is_refused_while_the_daemon_is_restarted(service_world: Make) -> None:
    world = service_world()
    world.install()
    refused: list[str] = []
    pids: set[int] = set()
    enough = threading.Event()

    def call() -> None:
        while not enough.is_set():
            client = Client(world.socket)
            try:
                pids.add(client.call("daemon.status", timeout=60.0).pid)
            except Unreachable as error:
                refused.append(str(error))
            finally:
                client.close()

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    try:
        for _ in range(3):
            world.systemctl("restart", world.unit.service)
        before = world.main_pid
        os.kill(before, signal.SIGKILL)
        assert world.rpc("daemon.status")["pid"] != before
    finally:
        enough.set()
        for caller in callers:
            caller.join(90)
    # A call that a killed daemon had taken is lost, and made again by the client.
    assert refused == []
    assert len(pids) >= 4
    assert world.socket.is_socket()


def test_settings_that_need_a_person_do_not_restart_for_ever(service_world: Make) -> None:
    world = service_world()
    world.install()
    settings = world.home / "config" / "orchestrd.yaml"
    good = settings.read_text()
    settings.write_text(good + "max_concurent_agents: 3\n")
    done = world.orchctl("daemon", "restart")
    assert done.code == 4
    assert "exit status 78" in done.err
    assert "max_concurent_agents" in done.err
    assert world.show("ActiveState") == "failed"
    assert world.show("ExecMainStatus") == "78"
    assert world.show("NRestarts") == "0"
    # Each caller has it started once more, until the start limit ends that; then callers are told.
    for _ in range(20):
        if world.orchctl("daemon", "status").code == 3 and world.show("ActiveState", world.unit.socket) == "failed":
            break
    else:
        pytest.fail("the socket starts it for ever")
    assert world.orchctl("service", "status").code == 1
    settings.write_text(good)
    assert world.orchctl("daemon", "start").code == 0
    assert world.show("ActiveState") == "active"
    assert world.show("ActiveState", world.unit.socket) == "active"


def test_a_daemon_by_hand_hands_over_and_back(service_world: Make) -> None:
    world = service_world()
    assert world.orchctl("daemon", "start").code == 0
    by_hand = world.rpc("daemon.status")["pid"]
    assert not world.unit.keeps(by_hand)
    agents = world.begin("a")
    installed = world.install()
    assert not alive(by_hand)
    assert world.unit.keeps(installed["pid"])
    world.rpc("daemon.status")
    world.assert_alive(agents)
    # Without its manager nobody can stop it for good, and nobody is told otherwise.
    blind = {name: value for name, value in world.environ.items() if name != "XDG_RUNTIME_DIR"}
    told = run_client(world.home, "daemon", "stop", env=blind, stdin=None, timeout=60)
    assert told.code == 4
    assert f"systemctl --user stop {world.unit.socket} {world.unit.service}" in told.err
    # Again: nothing is written, nothing is restarted.
    again = world.install()
    assert (again["changed"], again["pid"]) == ([], installed["pid"])
    assert world.orchctl("daemon", "stop", "--json").json == {"pid": installed["pid"], "agents": 1}
    # Stopped is stopped: no call wakes it up.
    assert world.orchctl("daemon", "status").code == 3
    assert world.orchctl("daemon", "stop", "--json").json is None
    assert world.show("ActiveState") == "inactive"
    world.assert_alive(agents)
    removed = world.orchctl("service", "uninstall", "--json").json
    assert [Path(path).name for path in removed["changed"]] == [world.unit.service, world.unit.socket]
    assert not removed["installed"]
    assert world.orchctl("service", "uninstall", "--json").json["changed"] == []
    assert world.orchctl("daemon", "start").code == 0
    world.assert_alive(agents)
    world.finish()
    assert world.wait() == {"a": "succeeded"}
    assert world.orchctl("daemon", "stop").code == 0


def test_a_home_that_another_daemon_holds_is_left_alone(service_world: Make) -> None:
    world = service_world()
    world.install()
    assert world.orchctl("daemon", "stop").code == 0
    command = ["flock", str(world.home / "var" / "orchestrd.lock"), "sh", "-c", "echo held; cat"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        assert held.stdout.readline() == b"held\n"
        world.systemctl("start", world.unit.service, check=False)
        assert world.show("ExecMainStatus") == "75"
        # Not waiting for its next start either.
        assert world.show("SubState") == "failed"
        assert world.show("NRestarts") == "0"
        held.stdin.close()


class Pretended:
    """
    A ``systemctl`` that does nothing, and refuses the verbs that are named in a file; its units are loaded unless "load" is.
    """

    def __init__(self, world: FaultWorld, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = world.claude / ".config" / "systemd" / "user"
        self.refused = world.root / "refused"
        self.refused.write_text("", encoding="ascii")
        program = world.root / "bin" / "systemctl"
        program.parent.mkdir()
        program.write_text(
            f"""#!/bin/sh
for verb in $(cat {self.refused}); do
    case " $* " in *" $verb "*) echo "Failed to $verb unit: refused" >&2; exit 1;; esac
done
case "$*" in
    *" show "*) echo ActiveState=inactive; echo MainPID=0; grep -q load {self.refused} || echo LoadState=loaded;;
    *show-environment*) echo PATH=/usr/bin;;
esac
""",
            encoding="ascii",
        )
        program.chmod(0o700)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def refuse(self, *verbs: str) -> None:
        self.refused.write_text(" ".join(verbs), encoding="ascii")

    def units(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("*"))


@pytest.mark.parametrize("verb", ["daemon-reload", "enable", "load", "start"])
def test_a_service_that_cannot_be_had_changes_nothing(fault_world, monkeypatch, tally, verb: str) -> None:
    """
    Who served before serves on, and the home is started and stopped as before.
    """
    world = fault_world()
    world.script("a", [gate("stays"), say()])
    world.submit_tasks(task("a"), day=DAY)
    stays = world.gate.arrive("stays")
    agents, manager = world.living(), Pretended(world, monkeypatch)
    manager.refuse(verb)
    told = world.orchctl("service", "install")
    assert told.code == 4
    assert "the service was not installed" in told.err
    assert "Everything is as it was before." in told.err
    assert "orchctl service install" in told.err
    assert manager.units() == []
    # Only one that had all it needs, and would not start, was handed over to.
    assert (world.rpc("daemon.status")["pid"] == world.daemon.pid) == (verb != "start")
    assert world.orchctl("daemon", "restart").code == 0
    assert world.living() == agents
    stays.release()
    assert world.wait() == {"a": "succeeded"}
    assert world.orchctl("daemon", "stop").code == 0
    tally("service", note=f"not installed: {verb} failed", **check(world).counts)


def test_a_unit_that_cannot_be_loaded_is_in_nobodys_way(fault_world, monkeypatch) -> None:
    """
    As it was left by a version before, or by a hand that slipped.
    """
    world = fault_world()
    manager, unit = Pretended(world, monkeypatch), Unit(world.home, {**world.environ})
    unit.write()
    manager.refuse("load", "start", "restart", "stop", "disable")
    assert world.orchctl("daemon", "restart").code == 0
    assert world.rpc("daemon.status")["pid"] != world.daemon.pid
    assert world.orchctl("service", "uninstall").code == 0
    assert manager.units() == []
    assert world.orchctl("daemon", "stop").code == 0


def test_several_homes_side_by_side_and_units_that_verify_without_a_word(service_world: Make) -> None:
    world = service_world()
    world.install()
    first = world.main_pid
    # What means something in unit files.
    other = world.root / 'o$HOME "100%n\\ home'
    made = world.orchctl("init", str(other), "--project", str(world.project))
    assert made.code == 0, made
    world.set_service_env(other)
    own, world.home = world.home, other
    try:
        installed = world.orchctl("service", "install", "--json")
        assert installed.code == 0, installed
        assert world.rpc("daemon.status")["home"] == str(other)
    finally:
        world.home = own
    assert installed.json["unit"] == Unit(other, world.environ).service != world.unit.service
    assert world.main_pid == first
    files = [str(path) for path in sorted(world.unit.folder.glob("orchestrd-*.*")) if path.is_file()]
    assert len(files) == 4
    verified = subprocess.run(
        ["systemd-analyze", "--user", "--man=no", "verify", *files],
        env=world.manager.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    # A key that it does not know is a warning, and exit status 0.
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
