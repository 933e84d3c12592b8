"""
What ``config/orchestrd.yaml`` says, one Struct a group of settings.

Values are as YAML reads them; `measures` makes numbers of durations, sizes and times of day.
"""

from __future__ import annotations

import msgspec

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


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    Base of every group of settings.
    """


class AgentSettings(Settings, frozen=True, kw_only=True):
    """
    Which agent CLI runs, and with what environment.

    *env* is an allow-list: ``NAME`` is copied from the daemon's environment, ``NAME=value`` is set.  *memory* and *disk*
    are what each live agent is promised: another one starts only when its own fits too.  *memory_max* is what one agent may
    take at most, under a service manager.  *canary*: no agent starts before the CLI was seen to obey (`services.canary`).

    *sandbox* (auto, required, off), *network* (full, api-only, off) and *credentials* (env, proxy) are what the operating system
    keeps agents from; YAML reads a bare ``off`` as false, which means the same.  *hosts* are reached with api-only.
    """

    binary: str = "auto"
    canary: bool = True
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


class KeepFree(Settings, frozen=True, kw_only=True):
    """
    What no agent is promised: it stays free for the rest of the machine.
    """

    memory: str | float = "512MB"
    disk: str | float = "1GB"


class Timeouts(Settings, frozen=True, kw_only=True):
    """
    Default time limit of a run by the task's complexity.
    """

    low: str | float = "1h"
    medium: str | float = "2.5h"
    high: str | float = "4h"


class Reserve(Settings, frozen=True, kw_only=True):
    """
    USD that a task is expected to cost at most, by its complexity.
    """

    low: float = 1.0
    medium: float = 3.0
    high: float = 8.0


class Budget(Settings, frozen=True, kw_only=True):
    """
    How a limit is kept: *reserve* is held back for a task from its start, the fraction *wrap_up* of a limit is for summaries,
    and *step* is by how many USD the person is offered to raise a limit that is reached.  *unmetered* lets agents work whose
    model does not say what it uses, such as a free one behind a gateway; they count as nothing.
    """

    reserve: Reserve = Reserve()
    wrap_up: float = 0.1
    step: float = 5.0
    unmetered: bool = False


class WorktreeSettings(Settings, frozen=True, kw_only=True):
    """
    How an agent's worktree is made ready, shell commands run in it before the agent starts, and the largest file of it that is
    kept, 0 for any.
    """

    setup: list[str] = []
    setup_timeout: str | float = "10m"
    max_file: str | float = "1GB"


class SnapshotSettings(Settings, frozen=True, kw_only=True):
    """
    How trees are kept while agents work: every *interval* when something changed, before a call that may delete or overwrite,
    which waits for it *hold* at most, and before a tree is removed.  *max_file* is the largest file in those of agents at work, 0
    for any; old ones are thinned out, and gone after *keep* but for the newest.
    """

    interval: str | float = "60s"
    hold: str | float = "20s"
    max_file: str | float = "10MB"
    keep: str | float = "14d"


class Config(Settings, frozen=True, kw_only=True):
    """
    ``config/orchestrd.yaml``.
    """

    project: str
    max_concurrent_agents: int = 3
    max_daily_cost_usd: float = 50.0
    cost_warning_threshold: float = 0.75
    budget: Budget = Budget()
    retries: int = 1
    halt_at_unknown: int = 3
    busy_pause: str | float = "60s"
    quiet_after: str | int | None = None
    quiet_until: str | int = "07:00"
    question_frees_slot_after: str | float = "5m"
    inline_context_bytes: int = 16384
    timeouts: Timeouts = Timeouts()
    agent: AgentSettings = AgentSettings()
    keep_free: KeepFree = KeepFree()
    worktree: WorktreeSettings = WorktreeSettings()
    snapshots: SnapshotSettings = SnapshotSettings()
    log_level: str = "info"
