"""
F37: settings that cannot be used.  A daemon that starts ends with status 78 and names file, line and key; one that runs is not
harmed by a file that is broken under it, and what it refuses later is said as clearly, while its agents live on.

`tests/unit/test_config.py` (each setting and what is said of it) belongs to this row too.
"""

from __future__ import annotations

import pytest
from harness.check import check
from harness.mutant import Mutant
from harness.script import gate, say, stream
from kit.processes import alive
from kit.script import DAY, task

pytestmark = pytest.mark.slow

BROKEN = {
    "broken YAML": ("project: [unclosed\n", "orchestrd.yaml:2:1: not valid YAML"),
    "tabs": ("project: .\nagent:\n\tmodel: x\n", "orchestrd.yaml:3:1: not valid YAML"),
    "no settings": ("- a\n- b\n", "orchestrd.yaml:1: expected settings"),
    "empty": ("", "orchestrd.yaml:1: expected settings"),
    "bad UTF-8": (b"project: \xff\n", "orchestrd.yaml: cannot be read"),
    "unknown key": ("project: .\nmax_agents: 3\n", "orchestrd.yaml:2: max_agents: unknown setting"),
    "unknown key below": ("project: .\nagent:\n  modle: x\n", "orchestrd.yaml:3: agent.modle: unknown setting"),
    "missing key": ("retries: 1\n", "project"),
    "wrong type": (
        "project: .\nmax_concurrent_agents: many\n",
        "orchestrd.yaml:2: max_concurrent_agents: Expected `int`",
    ),
    "a list for a group": ("project: .\nagent: [a]\n", "orchestrd.yaml:2: agent: Expected `object`"),
    "out of range": ("project: .\nmax_concurrent_agents: 0\n", "orchestrd.yaml:2: max_concurrent_agents: expected"),
    "not a number": ("project: .\nmax_daily_cost_usd: .nan\n", "orchestrd.yaml:2: max_daily_cost_usd: expected"),
    "no duration": ("project: .\ntimeouts:\n  low: soon\n", "orchestrd.yaml:3: timeouts.low: 'soon' is not a duration"),
    "no variable": (
        "project: .\nagent:\n  env: ['NO GOOD=1']\n",
        "orchestrd.yaml:3: agent.env: 'NO GOOD' is no variable name",
    ),
    "an alias bomb": (
        "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nproject: .\n",
        "orchestrd.yaml:1: a: unknown setting",
    ),
}

MUTANTS = (
    Mutant(
        "broken settings look like a failure of the program",
        file="errors.py",
        old="    rpc_code = -32010\n    exit_status = 78\n",
        new="    rpc_code = -32010\n    exit_status = 1\n",
        test="test_a_start_with_settings_that_cannot_be_used",
    ),
    Mutant(
        "broken YAML comes out as a traceback",
        file="config/yamlfile.py",
        old="        except yaml.YAMLError as error:\n",
        new="        except ZeroDivisionError as error:\n",
        test="test_a_start_with_settings_that_cannot_be_used",
    ),
    Mutant(
        "unknown settings are taken for none",
        file="config/yamlfile.py",
        old="        self._refuse_unknown(data, kind, [])\n",
        new="        data = {key: value for key, value in data.items() if key in kind.__struct_fields__}\n",
        test="test_a_start_with_settings_that_cannot_be_used",
    ),
    Mutant(
        "the environment of agents is looked at when it is too late",
        file="config/loading.py",
        old="        agent_environment(config.agent, {})\n    except",
        new="        pass\n    except",
        test="test_a_start_with_settings_that_cannot_be_used",
    ),
    Mutant(
        "any folder is taken for a home",
        file="config/places.py",
        old="        if not (home / CONFIG_FILE).is_file():\n",
        new="        if not home.is_dir():\n",
        test="test_a_start_without_settings_or_with_bad_prices",
    ),
    Mutant(
        "the home is locked before its settings are read",
        file="daemon.py",
        old="        config = load_config(home.root)\n"
        "        self._settings = settings_from(config, load_prices(home.root), load_rulebook(home.root))\n"
        "        home.create()\n"
        '        service.starting("taking the home")\n'
        "        self.lock = take(home)\n",
        new="        home.create()\n        self.lock = take(home)\n        home.database.write_bytes(b'')\n"
        "        config = load_config(home.root)\n"
        "        self._settings = settings_from(config, load_prices(home.root), load_rulebook(home.root))\n",
        test="test_settings_broken_under_a_running_daemon",
    ),
    Mutant(
        "a running daemon reads its settings again",
        file="services/submissions.py",
        old="        if not dry_run:\n            await self._preflight.look()\n",
        new="        from orchestrd.config import load_config\n        load_config(self._preflight._home.root)\n"
        "        if not dry_run:\n            await self._preflight.look()\n",
        test="test_settings_broken_under_a_running_daemon",
    ),
)


def write(world, text: str | bytes, name: str = "orchestrd.yaml") -> None:
    (world.home / "config" / name).write_bytes(text.encode() if isinstance(text, str) else text)


def refused(world) -> str:
    """
    What a daemon says that ends at once, as it must.
    """
    before = world.log.stat().st_size if world.log.exists() else 0
    daemon = world.spawn()
    try:
        assert daemon.wait(30) == 78
    finally:
        daemon.kill()
        daemon.wait(10)
    said = world.log.read_bytes()[before:].decode("utf-8", "replace")
    assert "Traceback" not in said
    assert said.count("orchestrd: ") == 1
    return said


@pytest.mark.parametrize("name", BROKEN)
def test_a_start_with_settings_that_cannot_be_used(fault_world, tally, name):
    world = fault_world(start=False)
    text, expected = BROKEN[name]
    write(world, text)
    said = refused(world)
    assert expected in said
    assert str(world.home / "config" / "orchestrd.yaml") in said
    assert not (world.home / "var" / "orchestrd.db").exists(), "something was made of settings that cannot be used"
    tally(row="F37", note="at the start: exit 78, file, line and key")


def test_a_start_without_settings_or_with_bad_prices(fault_world, tally):
    world = fault_world(start=False)
    write(world, "date: '2026-11-20'\nmodels: {claude: {input: cheap}}\n", "prices.yaml")
    said = refused(world)
    assert "prices.yaml:2: models" in said
    (world.home / "config" / "prices.yaml").unlink()
    (world.home / "config" / "orchestrd.yaml").unlink()
    assert "is not a home: it has no config/orchestrd.yaml" in refused(world)
    tally(row="F37")


@pytest.mark.parametrize(
    "text", ["project: [unclosed\n", "project: .\nmax_agents: 3\n", None], ids=["YAML", "key", "gone"]
)
def test_settings_broken_under_a_running_daemon(fault_world, tally, text):
    """
    There is no reload: what runs goes on by what it read, a restart refuses, and mended settings take the agents up again.
    """
    world = fault_world()
    world.script("works", [stream(3), gate("held"), stream(3), say()])
    world.script("later", [stream(3), say()])
    world.submit_tasks(task("works"), day=DAY)
    held = world.gate.arrive("held")
    good = (world.home / "config" / "orchestrd.yaml").read_bytes()
    if text is None:
        (world.home / "config" / "orchestrd.yaml").unlink()
    else:
        write(world, text)
    world.submit_tasks(task("later"), day="2026-11-23")
    assert world.wait("2026-11-23/later") == {"later": "succeeded"}
    world.kill()
    before = world.events()
    said = refused(world)
    assert "orchestrd.yaml" in said
    assert alive(held.pid)
    assert world.events() == before
    write(world, good)
    world.start()
    held.release()
    assert world.wait(f"{DAY}/works") == {"works": "succeeded"}
    assert world.events()[: len(before)] == before
    tally(row="F37", kills=1, note="under a running daemon: no harm", **check(world).counts)
