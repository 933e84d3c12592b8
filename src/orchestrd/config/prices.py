"""
What tokens cost: ``config/prices.yaml``, and the table that ships with the program.
"""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import yaml

from orchestrd.config.places import PRICES_FILE, default_text
from orchestrd.config.settings import Settings
from orchestrd.config.yamlfile import SettingsFile

PRICE_KINDS = ("input", "output", "cache_read", "cache_write_5m", "cache_write_1h")
MOST_PRICE = 100_000
"""USD per million tokens that no model costs."""
LONG_CONTEXT = "[1m]"
"""What the CLI hangs on to a model's name for a long context; what is used is counted under the name without it."""


class PriceSettings(Settings, frozen=True, kw_only=True):
    """
    ``config/prices.yaml``: model to USD per million tokens, as of *date*.
    """

    date: str
    models: dict[str, dict[str, float]]


def load_prices(home: Path) -> PriceSettings:
    """
    The home's price table; what it does not list has the price of the packaged one.

    Raises `ConfigError`.
    """
    path = home / PRICES_FILE
    if not path.is_file():
        return packaged_prices()
    file = SettingsFile(path)
    prices, packaged = file.read(PriceSettings), packaged_prices()
    for model, row in prices.models.items():
        if model.endswith(LONG_CONTEXT):
            plain = model.removesuffix(LONG_CONTEXT)
            raise file.wrong(
                ("models", model),
                f"nothing is counted under this name: what {model} uses is counted as {plain}",
                hint=f"Give {plain} the dearer prices of the two, and take this line out.",
            )
        for kind in sorted({*PRICE_KINDS, *row}):
            keys = ("models", model, kind)
            if kind not in PRICE_KINDS:
                raise file.wrong(keys, f"unknown kind of tokens; there are {', '.join(PRICE_KINDS)}")
            if not 0 <= row.get(kind, math.nan) <= MOST_PRICE:
                raise file.wrong(keys, f"expected USD per million tokens, from 0 to {MOST_PRICE}")
    return PriceSettings(date=prices.date, models={**packaged.models, **prices.models})


def packaged_prices() -> PriceSettings:
    """
    The price table that ships with the program.
    """
    text = default_text("prices.yaml")
    return msgspec.convert(yaml.safe_load(text), PriceSettings, strict=False)
