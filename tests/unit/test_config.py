"""
Settings: every mistake is told with file, line and key, and nothing is guessed.
"""

import fcntl
import itertools
import math
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from orchestrd.address import SOCKET_PATH_LIMIT, served_socket, socket_path
from orchestrd.config import (
    CONFIG_FILE,
    PRICE_KINDS,
    PRICES_FILE,
    AgentSettings,
    Config,
    agent_environment,
    default_text,
    find_home,
    load_config,
    load_prices,
    minute_of_day,
    packaged_prices,
    project_path,
    seconds,
)
from orchestrd.errors import ConfigError
from orchestrd.protocol.fields import plain_model


@pytest.fixture
def home(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / CONFIG_FILE).write_text("project: ../app\n", encoding="utf-8")
    return tmp_path


def configure(home: Path, text: str) -> Config:
    (home / CONFIG_FILE).write_text(text, encoding="utf-8")
    return load_config(home)


def mistake(home: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        configure(home, text)
    return str(caught.value).removeprefix(f"{home}/")


def test_only_the_project_is_needed(home):
    config = load_config(home)
    assert config == Config(project="../app")
    assert (config.max_concurrent_agents, config.max_daily_cost_usd, config.cost_warning_threshold) == (3, 50.0, 0.75)
    assert project_path(home, config) == (home / "../app").resolve()
    assert project_path(home, Config(project="/abs/app")) == Path("/abs/app")


def test_the_packaged_file_says_what_the_defaults_are(home):
    text = default_text("orchestrd.yaml")
    assert configure(home, text.replace("project:", "project: x #", 1) if "project:" in text else text)


def test_everything_can_be_set(home):
    config = configure(
        home,
        "project: .\nmax_concurrent_agents: 8\nmax_daily_cost_usd: 12.5\nretries: 0\nquestion_frees_slot_after: 90\n"
        "timeouts: {low: 5m, medium: 1h30m, high: 2.5h}\nagent: {binary: /bin/claude, model: m, args: [--x], stop_grace: 3}\n"
        "worktree: {setup: [npm ci], setup_timeout: 20m}\nlog_level: debug\n",
    )
    assert (config.timeouts.medium, config.agent.args, config.worktree.setup) == ("1h30m", ["--x"], ["npm ci"])


@pytest.mark.parametrize(
    ("text", "where", "part"),
    [
        ("", "1:", "expected settings"),
        ("- a\n", "1:", "expected settings"),
        ("project: [\n", "2:1:", "not valid YAML"),
        ("# one\n\nproject: .\ncolour: 3\n", "4:", "colour: unknown setting\nKnown here"),
        ("project: .\nmax_concurent_agents: 3\n", "2:", "Did you mean 'max_concurrent_agents'?"),
        ("project: .\nagent:\n  modell: x\n", "3:", "agent.modell: unknown setting\nDid you mean 'model'?"),
        ("project: .\n1: x\n", "2:", "1: unknown setting"),
        ("project: .\nmax_concurrent_agents: many\n", "2:", "max_concurrent_agents: Expected `int`"),
        ("project: .\nmax_concurrent_agents: 0\n", "2:", "a number from 1 to 64"),
        ("project: .\nmax_concurrent_agents: 65\n", "2:", "a number from 1 to 64"),
        ("project: .\nmax_daily_cost_usd: 0\n", "2:", "USD above 0"),
        ("project: .\nmax_daily_cost_usd: .nan\n", "2:", "USD above 0"),
        *(
            (f"project: .\nbudget:\n  step: {step}\n", "3:", "budget.step: expected USD in whole cents, from 0.01")
            for step in ("0.001", "1.999", "0", "-1", "100001", ".nan", ".inf")
        ),
        ("project: .\nmax_daily_cost_usd: .inf\n", "2:", "USD above 0"),
        ("project: .\ncost_warning_threshold: 1.1\n", "2:", "a fraction above 0, at most 1"),
        ("project: .\nretries: -1\n", "2:", "a number from 0 to 10"),
        ("project: .\nlog_level: loud\n", "2:", "debug, info, warning or error"),
        ("project: .\ntimeouts:\n  low: 5m\n  high: soon\n", "4:", "timeouts.high: 'soon' is not a duration"),
        ("project: .\ntimeouts:\n  low: -5\n", "3:", "timeouts.low: -5"),
        ("project: .\nagent:\n  stop_grace: .inf\n", "3:", "agent.stop_grace: inf"),
        ("project: .\nagent:\n  model: x\n  memory: 1.5 gigs\n", "4:", "agent.memory: '1.5 gigs' is not a size"),
        ("project: .\nagent:\n  disk: -1\n", "3:", "agent.disk: -1.0 is not a size; write bytes, or 512MB"),
        ("project: .\nkeep_free: {disk: 1GB, memory: 1G}\n", "2:", "keep_free.memory: '1G' is not a size"),
        ("project: .\nkeep_free:\n  disk: .inf\n", "3:", "keep_free.disk: inf is not a size"),
        ("project: .\nkeep_free:\n  swap: 1GB\n", "3:", "keep_free.swap: unknown setting"),
        ("project: .\nagent:\n", "2:", "agent: Expected `object`"),
        ("project: .\nworktree:\n  setup: npm ci\n", "3:", "worktree.setup: Expected `array`"),
        ("project: .\nbusy_pause: 0\n", "2:", "busy_pause: expected 1s or more, not 0"),
        ("project: .\nbusy_pause: 0.9s\n", "2:", "busy_pause: expected 1s or more, not '0.9s'"),
        ("project: .\nagent:\n  model: x\n  silence_limit: 0\n", "4:", "agent.silence_limit: expected 1s or more"),
        ("project: .\ntimeouts:\n  low: 0\n", "3:", "timeouts.low: expected 1s or more"),
        ("project: .\ntimeouts:\n  medium: 0s\n", "3:", "timeouts.medium: expected 1s or more"),
        ("project: .\ntimeouts:\n  high: 0\n", "3:", "timeouts.high: expected 1s or more"),
        ("project: .\nworktree: {setup_timeout: 0}\n", "2:", "worktree.setup_timeout: expected 1s or more"),
        ("project: .\nquiet_after: 22\n", "2:", "quiet_after: 22 is not a time of day; write such as '22:00'"),
        ("project: .\nquiet_after: 730\n", "2:", "quiet_after: 730 is not a time of day; write such as '22:00'"),
        ("project: .\nquiet_until: 2200\n", "2:", "quiet_until: 2200 is not a time of day"),
        ("project: .\nquiet_until: '7'\n", "2:", "quiet_until: '7' is not a time of day"),
        ("retries: 1\n", "1:", "missing required field `project`"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(home, text, where, part):
    message = mistake(home, text)
    assert message.startswith(f"{CONFIG_FILE}:{where}")
    assert part in message


@pytest.mark.parametrize("after", ["22:00", "'22:00'", "1:05", "00:30", "0:00", "'0:00'", "0", "null"])
def test_a_time_of_day_may_be_quoted_or_not(home, after):
    config = configure(home, f"project: .\nquiet_after: {after}\nquiet_until: 6:30\n")
    assert minute_of_day(config.quiet_until) == 390
    minutes = {"22:00": 1320, "1:05": 65, "00:30": 30}.get(after.strip("'"), 0)
    assert minute_of_day(config.quiet_after or 0) == minutes


@pytest.mark.parametrize("text", [22, 1, 59, 1440, -1, True, "22", "24:00", "7:5", ""])
def test_what_is_no_time_of_day(text):
    with pytest.raises(ValueError, match="not a time of day"):
        minute_of_day(text)


@pytest.mark.parametrize("step", [0.01, 0.07, 1.1, 4.35, 5, 19.99, 100_000])
def test_a_step_in_whole_cents(home, step):
    assert configure(home, f"project: .\nbudget: {{step: {step}}}\n").budget.step == step


def test_what_may_last_no_time_at_all(home):
    config = configure(home, "project: .\nquestion_frees_slot_after: 0\nagent: {stop_grace: 0.2s}\nbusy_pause: 1\n")
    assert (config.question_frees_slot_after, config.busy_pause) == (0.0, 1.0)


def test_a_file_that_cannot_be_read(home):
    (home / CONFIG_FILE).write_bytes(b"project: \xff\xfe\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(home)
    (home / CONFIG_FILE).unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(home)


@pytest.mark.parametrize(
    ("text", "expected"),
    [(90, 90.0), (1.5, 1.5), ("90", 90.0), ("45s", 45.0), ("90m", 5400.0), ("2.5h", 9000.0), ("1h30m", 5400.0),
     ("1d", 86400.0), ("1 h 30 m", 5400.0), ("2H", 7200.0), (0, 0.0)],
)  # fmt: skip
def test_durations(text, expected):
    assert seconds(text) == expected


@pytest.mark.parametrize(
    "text", ["", "h", "-5", "5x", "1h30", "five", "1e3", "1..5h", -1, -0.5, float("nan"), float("inf"), True]
)
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="not a duration"):
        seconds(text)


class TestHome:
    def test_by_name(self, home):
        assert find_home(home, {}, Path("/")) == home
        assert find_home(Path(home.name), {}, home.parent) == home
        assert find_home(None, {"ORCHESTRD_HOME": str(home)}, Path("/")) == home

    def test_a_given_name_comes_before_the_environment(self, home, tmp_path_factory):
        with pytest.raises(ConfigError, match="is not a home"):
            find_home(tmp_path_factory.mktemp("empty"), {"ORCHESTRD_HOME": str(home)}, home)

    def test_the_nearest_folder_above(self, home):
        below = home / "a" / "b"
        below.mkdir(parents=True)
        assert find_home(None, {}, below) == home
        (below / "config").mkdir()
        (below / CONFIG_FILE).write_text("project: .\n", encoding="utf-8")
        assert find_home(None, {}, below) == below

    def test_by_a_name_that_is_no_text(self, tmp_path):
        """
        However it is called: what is told of it is UTF-8.
        """
        strange = tmp_path / os.fsdecode(b"\xff\xfe")
        (strange / "config").mkdir(parents=True)
        (strange / CONFIG_FILE).write_text("project: ../app\n", encoding="utf-8")
        link = tmp_path / "link"
        link.symlink_to(strange)
        for given, cwd in ((strange, tmp_path), (link, tmp_path), (None, strange / "config")):
            with pytest.raises(ConfigError, match=r"udcff.*is not UTF-8") as caught:
                find_home(given, {}, cwd)
            assert str(caught.value).encode()

    def test_none_at_all(self, tmp_path):
        with pytest.raises(ConfigError, match="no home found") as caught:
            find_home(None, {"ORCHESTRD_HOME": ""}, tmp_path)
        assert "orchctl init" in caught.value.hint


class TestPrices:
    def test_the_homes_own_come_first(self, home):
        assert load_prices(home) == packaged_prices()
        free = dict.fromkeys(PRICE_KINDS, 0.0)
        text = yaml.safe_dump({"date": "2026-01-01", "models": {"m": free}})
        (home / PRICES_FILE).write_text(text, encoding="utf-8")
        assert load_prices(home).models == {**packaged_prices().models, "m": free}
        assert load_prices(home).date == "2026-01-01"

    @pytest.mark.parametrize(
        "text", ["date: x\n", "models: {}\n", "date: x\nmodels: {m: 1}\n", "date: x\nmodel: {}\n", "x"]
    )
    def test_a_mistake_is_told(self, home, text):
        (home / PRICES_FILE).write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=r"prices\.yaml:\d"):
            load_prices(home)

    def test_prices_under_a_name_that_nothing_is_counted_under(self, home):
        """
        They would be left out of the account without a word.
        """
        name = "claude-x[1m]"
        assert plain_model(name) == "claude-x", "so every reading of it is called"
        prices = dict.fromkeys(PRICE_KINDS, 1.0)
        text = yaml.safe_dump({"date": "2026-01-01", "models": {"claude-x": prices, name: prices}})
        (home / PRICES_FILE).write_text(text, encoding="utf-8")
        with pytest.raises(
            ConfigError,
            match=r"prices\.yaml:\d+: models\.claude-x\[1m\]: .* counted as claude-x\nGive claude-x the dearer",
        ):
            load_prices(home)

    @pytest.mark.parametrize(
        ("row", "told"),
        [
            ({"input": -1}, r"models\.m\.input: expected USD per million tokens, from 0 to 100000"),
            ({"output": math.nan}, r"models\.m\.output: expected USD"),
            ({"cache_read": math.inf}, r"models\.m\.cache_read: expected USD"),
            ({"cache_write_1h": None}, r"models\.m\.cache_write_1h: expected USD"),
            ({"thinking": 1}, r"models\.m\.thinking: unknown kind of tokens; there are input, output, cache_read, "),
        ],
    )
    def test_a_price_that_is_none(self, home, row, told):
        prices = {**dict.fromkeys(PRICE_KINDS, 1.0), **row}
        given = {kind: price for kind, price in prices.items() if price is not None}
        text = yaml.safe_dump({"date": "2026-01-01", "models": {"m": given}})
        (home / PRICES_FILE).write_text(text, encoding="utf-8")
        with pytest.raises(ConfigError, match=rf"prices\.yaml:\d+: {told}"):
            load_prices(home)


class TestAgentEnvironment:
    ENVIRON = {"PATH": "/bin", "HOME": "/root", "TELEGRAM_TOKEN": "secret", "NOTIFY_SOCKET": "/run/x"}

    def test_only_what_is_listed_passes(self):
        assert agent_environment(AgentSettings(), self.ENVIRON) == {"PATH": "/bin", "HOME": "/root"}

    @pytest.mark.parametrize(
        "env",
        [
            ["PATH", "CI=1", "EMPTY=", "A=b=c", "ABSENT"],
            {"PATH": None, "CI": "1", "EMPTY": "", "A": "b=c", "ABSENT": None},
        ],
    )
    def test_as_a_list_or_as_a_mapping(self, env):
        found = agent_environment(AgentSettings(env=env), self.ENVIRON)
        assert found == {"PATH": "/bin", "CI": "1", "EMPTY": "", "A": "b=c"}

    @pytest.mark.parametrize("entry", ["", "=x", "A B", "1A", "A-B=c", "ß"])
    def test_what_is_no_name(self, entry):
        with pytest.raises(ConfigError, match="is no variable name"):
            agent_environment(AgentSettings(env=[entry]), {})


class TestSocketPath:
    def test_in_the_runtime_folder_or_in_the_home(self):
        # A short name: a socket's path has 107 bytes.
        with tempfile.TemporaryDirectory(prefix="home") as name:
            self.runtime_or_home(Path(name))

    def runtime_or_home(self, tmp_path):
        runtime = tmp_path / "run"
        runtime.mkdir()
        found = socket_path(tmp_path, {"XDG_RUNTIME_DIR": str(runtime)})
        assert found.parent == runtime / "orchestrd"
        for environ in ({}, {"XDG_RUNTIME_DIR": ""}, {"XDG_RUNTIME_DIR": str(tmp_path / "gone")}):
            assert socket_path(tmp_path, environ) == tmp_path / "var" / "run" / found.name

    def test_each_home_has_its_own_however_it_is_named(self, tmp_path):
        (tmp_path / "a").mkdir()
        (tmp_path / "link").symlink_to("a")
        environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
        names = [socket_path(tmp_path / name, environ) for name in ("a", "link", "a/../a", "b")]
        assert names[0] == names[1] == names[2] != names[3]

    def test_a_deep_home_listens_in_a_folder_of_the_user(self, tmp_path):
        deep = tmp_path.joinpath(*itertools.repeat("x" * 20, 6))
        assert socket_path(deep, {}).parent == Path(f"/tmp/orchestrd-{os.getuid()}")

    def test_too_long_a_path_is_told(self, tmp_path):
        deep = tmp_path.joinpath(*itertools.repeat("x" * 20, 6))
        with pytest.raises(ConfigError, match=f"{SOCKET_PATH_LIMIT} bytes"):
            socket_path(deep, {"TMPDIR": str(deep)})

    @pytest.mark.parametrize("who", ["a living holder", "a copied file", "nobody"])
    def test_what_the_daemon_wrote_beside_its_lock_counts_while_it_holds_it(self, who):
        """
        Another home's daemon may listen there by now: this one was copied, or moved.
        """
        home = Path(tempfile.mkdtemp(prefix="home"))
        computed = socket_path(home, {})
        assert served_socket(home, {}) == computed
        (home / "var").mkdir()
        listening, lock = home / "s.sock", home / "var" / "orchestrd.lock"
        hold = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
        with (
            lock.open("w") as file,
            subprocess.Popen(
                [sys.executable, "-c", hold],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=() if who == "nobody" else (file.fileno(),),
                text=True,
            ) as holder,
        ):
            fcntl.flock(file, fcntl.LOCK_EX)
            file.write(f"{holder.stdout.readline().strip()}\n{listening}\n")
            file.flush()
            assert served_socket(home, {}) == computed
            if who == "a copied file":
                shutil.copy(lock, home / "copy")
                (home / "copy").replace(lock)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(listening))
                assert served_socket(home, {}) == (listening if who == "a living holder" else computed)
            holder.stdin.close()
        shutil.rmtree(home)

    def test_a_socket_of_this_home_s_name_counts_whoever_holds_it(self):
        home = Path(tempfile.mkdtemp(prefix="home"))
        computed = socket_path(home, {})
        (home / "var").mkdir()
        own, other = home / computed.name, home / "0123456789abcdef.sock"
        for path, seen in ((own, own), (other, computed)):
            (home / "var" / "orchestrd.lock").write_text(f"1\n{path}\n")
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(path))
                assert served_socket(home, {}) == seen
        shutil.rmtree(home)


def test_memory_max_is_checked_with_its_place(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "orchestrd.yaml").write_text("project: .\nagent:\n  memory_max: lots\n")
    with pytest.raises(ConfigError, match=r"orchestrd.yaml:3: agent.memory_max: 'lots' is not a size"):
        load_config(tmp_path)


def test_the_files_that_init_writes_are_each_parsed_once(home, monkeypatch):
    texts = {name: default_text(name) for name in ("orchestrd.yaml", "prices.yaml")}
    (home / CONFIG_FILE).write_text(texts["orchestrd.yaml"], encoding="utf-8")
    (home / PRICES_FILE).write_text(texts["prices.yaml"], encoding="utf-8")
    parsed = []
    monkeypatch.setattr(yaml, "safe_load", lambda text, load=yaml.safe_load: (parsed.append(text), load(text))[1])
    monkeypatch.setattr(yaml, "compose", lambda *_, **__: pytest.fail("nothing is wrong, so no line is wanted"))
    load_config(home)
    load_prices(home)
    # The packaged prices, too: the home's stand before them.
    assert sorted(parsed) == sorted([texts["orchestrd.yaml"], texts["prices.yaml"], texts["prices.yaml"]])
