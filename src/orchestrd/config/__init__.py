"""
Typed settings from ``config/*.yaml``.

One Struct a file; unknown keys are refused, and every error names file, line, key and what was expected.  Knows nothing
of what the settings are used for.
"""

from __future__ import annotations

from orchestrd.config.loading import agent_environment, load_config
from orchestrd.config.measures import minute_of_day, seconds, word
from orchestrd.config.places import (
    CONFIG_FILE,
    PRICES_FILE,
    TEXT_FILES,
    default_text,
    find_home,
    project_path,
    speakable,
)
from orchestrd.config.prices import PRICE_KINDS, PriceSettings, load_prices, packaged_prices
from orchestrd.config.settings import AgentSettings, Config

__all__ = [
    "CONFIG_FILE",
    "PRICES_FILE",
    "PRICE_KINDS",
    "TEXT_FILES",
    "AgentSettings",
    "Config",
    "PriceSettings",
    "agent_environment",
    "default_text",
    "find_home",
    "load_config",
    "load_prices",
    "minute_of_day",
    "packaged_prices",
    "project_path",
    "seconds",
    "speakable",
    "word",
]
