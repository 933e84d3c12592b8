"""
Typed settings from ``config/*.yaml``.

One Struct a file; unknown keys are refused, and every error names file, line, key and what was expected.  Knows nothing
of what the settings are used for.
"""

from __future__ import annotations

import difflib
import math
import os
import re
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from orchestrd.errors import ConfigError
from orchestrd.sizes import size

CONFIG_FILE = "config/orchestrd.yaml"
PRICES_FILE = "config/prices.yaml"
PRICE_KINDS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
MOST_PRICE = 100_000
"""USD per million tokens that no model costs."""
TEXT_FILES = (
    "agent_instructions.md",
    "orchestrator_rules.md",
    "task_execution_patterns.md",
    "code_quality_standards.md",
)
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MAY_BE_SHORT = (("agent", "stop_grace"), ("question_frees_slot_after",))
"""Durations that may be none at all; with any other less than a second would end, or ask for, everything at once."""
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+|\d+(?:\.\d+)?")
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?(?::[0-9]{1,5})?")

DEFAULT_ENV = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LC_ALL",
    "TZ",
    "TERM",
    "SSL_CERT_FILE",
    "NODE_EXTRA_CA_CERTS",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "ANTHROPIC_BASE_URL",
    "CLAUDE_CODE_OAUTH_TOKEN",
    "CLAUDE_CONFIG_DIR",
)


class _Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Base of every group of settings.
    """


class AgentSettings(_Settings, frozen=True, kw_only=True):
    """
    Which agent CLI runs, and with what environment.

    *env* is an allow-list: ``NAME`` is copied from the daemon's environment, ``NAME=value`` is set.  *memory* and *disk*
    are what each live agent is promised: another one starts only when its own fits too.  *memory_max* is what one agent may
    take at most, under a service manager.

    *sandbox* (auto, required, off), *network* (full, api-only, off) and *credentials* (env, proxy) are what the operating system
    keeps agents from; YAML reads a bare ``off`` as false, which means the same.  *hosts* are reached with api-only, *readable*
    and *writable* are paths that a sandbox shows besides.
    """

    binary: str = "auto"
    model: str | None = None
    env: list[str] | dict[str, str | None] = msgspec.field(default_factory=lambda: list(DEFAULT_ENV))
    args: list[str] = []
    stop_grace: str | float = "10s"
    silence_limit: str | float = "15m"
    memory: str | float = "1.5GB"
    disk: str | float = "1GB"
    memory_max: str | float | None = None
    sandbox: str | bool = "auto"
    network: str | bool = "full"
    hosts: list[str] = []
    credentials: str = "env"
    readable: list[str] = []
    writable: list[str] = []


class KeepFree(_Settings, frozen=True, kw_only=True):
    """
    What no agent is promised: it stays free for the rest of the machine.
    """

    memory: str | float = "512MB"
    disk: str | float = "1GB"


class Timeouts(_Settings, frozen=True, kw_only=True):
    """
    Default time limit of a run by the task's complexity.
    """

    low: str | float = "1h"
    medium: str | float = "2.5h"
    high: str | float = "4h"


class Reserve(_Settings, frozen=True, kw_only=True):
    """
    USD that a task is expected to cost at most, by its complexity.
    """

    low: float = 1.0
    medium: float = 3.0
    high: float = 8.0


class Budget(_Settings, frozen=True, kw_only=True):
    """
    How a limit is kept: *reserve* is held back for a task from its start, the fraction *wrap_up* of a limit is for summaries,
    and *step* is by how many USD the person is offered to raise a limit that is reached.  *unmetered* lets agents work whose
    model does not say what it uses, such as a free one behind a gateway; they count as nothing.
    """

    reserve: Reserve = Reserve()
    wrap_up: float = 0.1
    step: float = 5.0
    unmetered: bool = False


class WorktreeSettings(_Settings, frozen=True, kw_only=True):
    """
    How an agent's worktree is made ready, shell commands run in it before the agent starts, and the largest file of it that is
    kept, 0 for any.
    """

    setup: list[str] = []
    setup_timeout: str | float = "10m"
    max_file: str | float = "1GB"


class Config(_Settings, frozen=True, kw_only=True):
    """
    ``config/orchestrd.yaml``.
    """

    project: str
    max_concurrent_agents: int = 3
    max_daily_cost_usd: float = 50.0
    cost_warning_threshold: float = 0.75
    budget: Budget = Budget()
    retries: int = 1
    busy_pause: str | float = "60s"
    quiet_after: str | int | None = None
    quiet_until: str | int = "07:00"
    question_frees_slot_after: str | float = "5m"
    inline_context_bytes: int = 16384
    timeouts: Timeouts = Timeouts()
    agent: AgentSettings = AgentSettings()
    keep_free: KeepFree = KeepFree()
    worktree: WorktreeSettings = WorktreeSettings()
    log_level: str = "info"


class PriceSettings(_Settings, frozen=True, kw_only=True):
    """
    ``config/prices.yaml``: model to USD per million tokens, as of *date*.
    """

    date: str
    models: dict[str, dict[str, float]]


def seconds(text: str | float) -> float:
    """
    A duration as seconds: ``90``, ``"45s"``, ``"90m"``, ``"2.5h"``, ``"1h30m"``.

    Raises `ValueError` for anything else.
    """
    if isinstance(text, (int, float)) and not isinstance(text, bool) and 0 <= text < math.inf:
        return float(text)
    compact = str(text).replace(" ", "").lower()
    if isinstance(text, (int, float)) or not _DURATION.fullmatch(compact):
        raise ValueError(f"{text!r} is not a duration; write seconds, or 45s, 90m, 2.5h, 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+(?:\.\d+)?)([smhd]?)", compact))


def minute_of_day(text: str | float) -> int:
    """
    A time of day such as ``"22:00"`` as minutes after midnight; YAML 1.1 makes 1320 of an unquoted 22:00, which is the same.

    Raises `ValueError` for anything else: a bare 22 is no hour.
    """
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", str(text).strip())
    if found is not None:
        return int(found[1]) * 60 + int(found[2])
    if isinstance(text, int) and not isinstance(text, bool) and (text == 0 or 60 <= text < 1440):
        return text
    raise ValueError(f"{text!r} is not a time of day; write such as '22:00'")


def find_home(given: Path | None, environ: dict[str, str], cwd: Path) -> Path:
    """
    The home folder: *given*, else ``$ORCHESTRD_HOME``, else the nearest ancestor of *cwd* that holds
    ``config/orchestrd.yaml``.

    Raises `ConfigError` when there is none.
    """
    named = given or (Path(environ["ORCHESTRD_HOME"]) if environ.get("ORCHESTRD_HOME") else None)
    if named is not None:
        home = Path(os.path.abspath(cwd / named))  # noqa: PTH100 - keep symlinks as the person wrote them
        if not (home / CONFIG_FILE).is_file():
            raise ConfigError(f"{home} is not a home: it has no {CONFIG_FILE}", hint="Make one: orchctl init DIR")
        return home
    for folder in (cwd, *cwd.parents):
        if (folder / CONFIG_FILE).is_file():
            return folder
    raise ConfigError(
        f"no home found: neither {cwd} nor a folder above it holds {CONFIG_FILE}",
        hint="Make one with `orchctl init DIR --project PATH`, or name one with --home or $ORCHESTRD_HOME.",
    )


def load_config(home: Path) -> Config:
    """
    The home's settings.

    Raises `ConfigError` naming file, line, key and expectation.
    """
    path = home / CONFIG_FILE
    config = _load(path, Config)
    checks = (
        (1 <= config.max_concurrent_agents <= 64, "max_concurrent_agents", "a number from 1 to 64"),
        (0 < config.max_daily_cost_usd <= 100_000, "max_daily_cost_usd", "USD above 0"),
        (0 < config.cost_warning_threshold <= 1, "cost_warning_threshold", "a fraction above 0, at most 1"),
        (0 <= config.budget.wrap_up <= 0.5, "budget.wrap_up", "a fraction from 0 to 0.5"),
        (_whole_cents(config.budget.step), "budget.step", "USD in whole cents, from 0.01 to 100000"),
        (0 <= config.budget.reserve.low <= 100_000, "budget.reserve.low", "USD from 0"),
        (0 <= config.budget.reserve.medium <= 100_000, "budget.reserve.medium", "USD from 0"),
        (0 <= config.budget.reserve.high <= 100_000, "budget.reserve.high", "USD from 0"),
        (0 <= config.retries <= 10, "retries", "a number from 0 to 10"),
        (0 <= config.inline_context_bytes <= 1_000_000, "inline_context_bytes", "bytes from 0 to 1000000"),
        (word(config.agent.sandbox) in ("auto", "required", "off"), "agent.sandbox", "auto, required or off"),
        (word(config.agent.network) in ("full", "api-only", "off"), "agent.network", "full, api-only or off"),
        (config.agent.credentials in ("env", "proxy"), "agent.credentials", "env or proxy"),
        (
            all(map(_HOST.fullmatch, config.agent.hosts)),
            "agent.hosts",
            "names such as pypi.org, *.npmjs.org, host:8080",
        ),
        (all(map(_rooted, config.agent.readable)), "agent.readable", "absolute paths"),
        (all(map(_rooted, config.agent.writable)), "agent.writable", "absolute paths"),
        (config.log_level in ("debug", "info", "warning", "error"), "log_level", "debug, info, warning or error"),
    )
    for good, key, expected in checks:
        if not good:
            raise ConfigError(f"{path}:{_line_of(path, key.split('.'))}: {key}: expected {expected}")
    measures: dict[tuple[str, ...], tuple[Callable[[str | float], float], str | float]] = {
        ("timeouts", "low"): (seconds, config.timeouts.low),
        ("timeouts", "medium"): (seconds, config.timeouts.medium),
        ("timeouts", "high"): (seconds, config.timeouts.high),
        ("agent", "stop_grace"): (seconds, config.agent.stop_grace),
        ("agent", "silence_limit"): (seconds, config.agent.silence_limit),
        ("agent", "memory"): (size, config.agent.memory),
        ("agent", "disk"): (size, config.agent.disk),
        ("agent", "memory_max"): (size, config.agent.memory_max or 0),
        ("keep_free", "memory"): (size, config.keep_free.memory),
        ("keep_free", "disk"): (size, config.keep_free.disk),
        ("worktree", "setup_timeout"): (seconds, config.worktree.setup_timeout),
        ("worktree", "max_file"): (size, config.worktree.max_file),
        ("question_frees_slot_after",): (seconds, config.question_frees_slot_after),
        ("busy_pause",): (seconds, config.busy_pause),
        ("quiet_after",): (minute_of_day, "00:00" if config.quiet_after is None else config.quiet_after),
        ("quiet_until",): (minute_of_day, config.quiet_until),
    }
    for keys, (read, value) in measures.items():
        where = f"{path}:{_line_of(path, list(keys))}: {'.'.join(keys)}"
        try:
            found = read(value)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
        if read is seconds and found < 1 and keys not in _MAY_BE_SHORT:
            raise ConfigError(f"{where}: expected 1s or more, not {value!r}")
        if read is minute_of_day and found and ":" not in _written(path, keys[0]):
            raise ConfigError(f"{where}: {_written(path, keys[0])} is not a time of day; write such as '22:00'")
    try:
        agent_environment(config.agent, {})
    except ConfigError as error:
        raise ConfigError(f"{path}:{_line_of(path, ['agent', 'env'])}: {error.message}", hint=error.hint) from None
    return config


def word(value: str | bool) -> str:  # noqa: FBT001 - as YAML reads it
    """
    A setting of a few words as it was meant: YAML 1.1 reads ``off`` as false.
    """
    return value if isinstance(value, str) else "on" if value else "off"


def _rooted(path: str) -> bool:
    return path.startswith(("/", "~/"))


def _whole_cents(amount: float) -> bool:
    """
    True for an *amount* of USD that can be offered as it is written on an answer.
    """
    return 0.01 <= amount <= 100_000 and abs(amount * 100 - round(amount * 100)) < 1e-6


def load_prices(home: Path) -> PriceSettings:
    """
    The home's price table; what it does not list has the price of the packaged one.

    Raises `ConfigError`.
    """
    path = home / PRICES_FILE
    if not path.is_file():
        return packaged_prices()
    prices = _load(path, PriceSettings)
    for model, row in prices.models.items():
        for kind in sorted({*PRICE_KINDS, *row}):
            where = f"{path}:{_line_of(path, ['models', model, kind])}: models.{model}.{kind}"
            if kind not in PRICE_KINDS:
                raise ConfigError(f"{where}: unknown kind of tokens; there are {', '.join(PRICE_KINDS)}")
            if not 0 <= row.get(kind, math.nan) <= MOST_PRICE:
                raise ConfigError(f"{where}: expected USD per million tokens, from 0 to {MOST_PRICE}")
    return PriceSettings(date=prices.date, models={**packaged_prices().models, **prices.models})


def packaged_prices() -> PriceSettings:
    """
    The price table that ships with the program.
    """
    text = default_text("prices.yaml")
    return msgspec.convert(yaml.safe_load(text), PriceSettings, strict=False)


def default_text(name: str) -> str:
    """
    A file of the packaged defaults, ``orchestrd.yaml`` or ``agent_instructions.md``.
    """
    return resources.files("orchestrd").joinpath("defaults", name).read_text(encoding="utf-8")


def project_path(home: Path, config: Config) -> Path:
    """
    The project's absolute path; a relative one counts from the home.
    """
    return (home / Path(config.project).expanduser()).resolve()


def agent_environment(settings: AgentSettings, environ: dict[str, str]) -> dict[str, str]:
    """
    The agent's environment: the allow-list applied to *environ*.

    Raises `ConfigError` for an entry that is no ``NAME`` or ``NAME=value``.
    """
    entries: list[tuple[str, str | None]]
    if isinstance(settings.env, dict):
        entries = list(settings.env.items())
    else:
        split = (entry.partition("=") for entry in settings.env)
        entries = [(name, value if sign else None) for name, sign, value in split]
    result: dict[str, str] = {}
    for name, value in entries:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise ConfigError(f"agent.env: {name!r} is no variable name", hint="Write NAME or NAME=value.")
        if value is not None:
            result[name] = value
        elif name in environ:
            result[name] = environ[name]
    return result


SettingsT = TypeVar("SettingsT", bound=_Settings)


def _load(path: Path, kind: type[SettingsT]) -> SettingsT:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise ConfigError(f"{path}{where}: not valid YAML: {getattr(error, 'problem', error)}") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1: expected settings as `key: value` lines")
    _refuse_unknown(path, data, kind, [])
    try:
        return msgspec.convert(data, kind, strict=False)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$")
        keys = re.findall(r"\.([A-Za-z_0-9]+)", where)
        raise ConfigError(f"{path}:{_line_of(path, keys)}: {'.'.join(keys) or 'settings'}: {message}") from None


def _refuse_unknown(path: Path, data: dict[str, Any], kind: Any, above: list[str]) -> None:
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in data.items():
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            line = _line_of(path, [*above, str(key)])
            raise ConfigError(
                f"{path}:{line}: {'.'.join([*above, str(key)])}: unknown setting",
                hint=f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(fields)}.",
            )
        inner = fields[key]
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, _Settings):
            _refuse_unknown(path, value, inner, [*above, key])


def _written(path: Path, key: str) -> str:
    """
    The value of the setting *key* as it is written, before YAML makes a number of it; ``:`` when it is not set.
    """
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((str(value.value) for name, value in pairs if name.value == key), ":")


def _line_of(path: Path, keys: list[str]) -> int:
    """
    The line of the setting that *keys* lead to, or of the last key that exists on the way.
    """
    node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    line = 1
    for key in keys:
        if not isinstance(node, yaml.MappingNode):
            break
        for name, value in node.value:
            if name.value == key:
                line, node = name.start_mark.line + 1, value
                break
        else:
            break
    return line
