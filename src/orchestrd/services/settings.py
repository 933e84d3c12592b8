"""
What the services are told once, at the start: the configuration in the program's own terms.
"""

from __future__ import annotations

import msgspec

from orchestrd.config import Config, PriceSettings, minute_of_day, seconds
from orchestrd.domain.account import Manners
from orchestrd.domain.budget import Limits, PriceTable
from orchestrd.domain.model import Complexity, Task, nano_usd
from orchestrd.domain.quiet import Quiet
from orchestrd.domain.room import Promise
from orchestrd.domain.schedule import Rules
from orchestrd.rulebook import Rulebook
from orchestrd.sizes import size


class Snapshotting(msgspec.Struct, frozen=True, kw_only=True):
    """
    When trees are kept, and for how long, in seconds; *max_file* in bytes, 0 for no limit.
    """

    interval: float
    hold: float
    max_file: int
    keep: float


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """
    The configuration, decoded; durations in seconds, memory in bytes.
    """

    config: Config
    rules: Rules
    prices: PriceTable
    timeouts: dict[Complexity, float]
    stop_grace: float
    silence_limit: float
    manners: Manners
    setup_timeout: float
    memory: Promise
    disk: Promise
    memory_max: int | None
    snapshots: Snapshotting
    rulebook: Rulebook = Rulebook()
    """What the person says about the rules."""

    def timeout_of(self, task: Task) -> float:
        """
        Seconds of work one run of *task* may take.
        """
        return task.timeout if task.timeout is not None else self.timeouts[task.complexity]


def limits_from(config: Config) -> Limits:
    """
    The limits on money that *config* names.
    """
    return Limits(
        daily=nano_usd(config.max_daily_cost_usd),
        warn_at=config.cost_warning_threshold,
        wrap_up=config.budget.wrap_up,
        reserve={
            Complexity.LOW: nano_usd(config.budget.reserve.low),
            Complexity.MEDIUM: nano_usd(config.budget.reserve.medium),
            Complexity.HIGH: nano_usd(config.budget.reserve.high),
        },
        slots=config.max_concurrent_agents,
        step=nano_usd(config.budget.step),
        unmetered=config.budget.unmetered,
        unknown=config.halt_at_unknown,
    )


def settings_from(config: Config, prices: PriceSettings, rulebook: Rulebook | None = None) -> Settings:
    """
    The settings that *config*, *prices* and *rulebook* come to.

    Raises `msgspec.ValidationError` for a price table of the wrong shape.
    """
    quiet = _quiet(config)
    limits = limits_from(config)
    return Settings(
        config=config,
        rules=Rules(
            max_concurrent=config.max_concurrent_agents,
            limits=limits,
            waiting_frees_slot_after=seconds(config.question_frees_slot_after),
            quiet=quiet,
        ),
        prices=PriceTable.of(prices.date, prices.models),
        timeouts={
            Complexity.LOW: seconds(config.timeouts.low),
            Complexity.MEDIUM: seconds(config.timeouts.medium),
            Complexity.HIGH: seconds(config.timeouts.high),
        },
        stop_grace=seconds(config.agent.stop_grace),
        silence_limit=seconds(config.agent.silence_limit),
        manners=Manners(first=seconds(config.busy_pause), quiet=quiet),
        setup_timeout=seconds(config.worktree.setup_timeout),
        memory=Promise(each=size(config.agent.memory), keep=size(config.keep_free.memory)),
        disk=Promise(each=size(config.agent.disk), keep=size(config.keep_free.disk)),
        memory_max=size(config.agent.memory_max or 0) or None,
        snapshots=Snapshotting(
            interval=seconds(config.snapshots.interval),
            hold=seconds(config.snapshots.hold),
            max_file=int(size(config.snapshots.max_file)),
            keep=seconds(config.snapshots.keep),
        ),
        rulebook=rulebook or Rulebook(),
    )


def _quiet(config: Config) -> Quiet | None:
    if config.quiet_after is None:
        return None
    quiet = Quiet(after=minute_of_day(config.quiet_after), until=minute_of_day(config.quiet_until))
    return quiet if quiet.after != quiet.until else None
