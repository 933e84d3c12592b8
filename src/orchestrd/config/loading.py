"""
The settings of a home, each looked at: every error names file, line, key and what was expected.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from orchestrd.config.measures import minute_of_day, seconds, whole_cents, word
from orchestrd.config.places import CONFIG_FILE
from orchestrd.config.settings import AgentSettings, Config
from orchestrd.config.yamlfile import SettingsFile
from orchestrd.errors import ConfigError
from orchestrd.sizes import size

_MAY_BE_SHORT = (("agent", "stop_grace"), ("question_frees_slot_after",))
"""Durations that may be none at all; with any other less than a second would end, or ask for, everything at once."""
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?(?::[0-9]{1,5})?")


def load_config(home: Path) -> Config:
    """
    The home's settings.

    Raises `ConfigError` naming file, line, key and expectation.
    """
    file = SettingsFile(home / CONFIG_FILE)
    config = file.read(Config)
    checks = (
        (1 <= config.max_concurrent_agents <= 64, "max_concurrent_agents", "a number from 1 to 64"),
        (0 < config.max_daily_cost_usd <= 100_000, "max_daily_cost_usd", "USD above 0"),
        (0 < config.cost_warning_threshold <= 1, "cost_warning_threshold", "a fraction above 0, at most 1"),
        (0 <= config.budget.wrap_up <= 0.5, "budget.wrap_up", "a fraction from 0 to 0.5"),
        (whole_cents(config.budget.step), "budget.step", "USD in whole cents, from 0.01 to 100000"),
        (0 <= config.budget.reserve.low <= 100_000, "budget.reserve.low", "USD from 0"),
        (0 <= config.budget.reserve.medium <= 100_000, "budget.reserve.medium", "USD from 0"),
        (0 <= config.budget.reserve.high <= 100_000, "budget.reserve.high", "USD from 0"),
        (0 <= config.retries <= 10, "retries", "a number from 0 to 10"),
        (1 <= config.halt_at_unknown <= 1000, "halt_at_unknown", "a number from 1 to 1000"),
        (0 <= config.inline_context_bytes <= 1_000_000, "inline_context_bytes", "bytes from 0 to 1000000"),
        (word(config.agent.sandbox) in ("auto", "required", "off"), "agent.sandbox", "auto, required or off"),
        (word(config.agent.network) in ("full", "api-only", "off"), "agent.network", "full, api-only or off"),
        (config.agent.credentials in ("env", "proxy"), "agent.credentials", "env or proxy"),
        (
            all(map(_HOST.fullmatch, config.agent.hosts)),
            "agent.hosts",
            "names such as pypi.org, *.npmjs.org, host:8080",
        ),
        (config.log_level in ("debug", "info", "warning", "error"), "log_level", "debug, info, warning or error"),
    )
    for good, key, expected in checks:
        if not good:
            raise file.wrong(key.split("."), f"expected {expected}")
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
        ("snapshots", "interval"): (seconds, config.snapshots.interval),
        ("snapshots", "hold"): (seconds, config.snapshots.hold),
        ("snapshots", "max_file"): (size, config.snapshots.max_file),
        ("snapshots", "keep"): (seconds, config.snapshots.keep),
        ("question_frees_slot_after",): (seconds, config.question_frees_slot_after),
        ("busy_pause",): (seconds, config.busy_pause),
        ("quiet_after",): (minute_of_day, "00:00" if config.quiet_after is None else config.quiet_after),
        ("quiet_until",): (minute_of_day, config.quiet_until),
    }
    for keys, (read, value) in measures.items():
        try:
            found = read(value)
        except ValueError as error:
            raise file.wrong(keys, str(error)) from None
        if read is seconds and found < 1 and keys not in _MAY_BE_SHORT:
            raise file.wrong(keys, f"expected 1s or more, not {value!r}")
        if read is minute_of_day and found and isinstance(value, int) and ":" not in file.written(keys[0]):
            raise file.wrong(keys, f"{file.written(keys[0])} is not a time of day; write such as '22:00'")
    try:
        agent_environment(config.agent, {})
    except ConfigError as error:
        raise file.wrong(("agent", "env"), error.message.removeprefix("agent.env: "), error.hint) from None
    return config


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
