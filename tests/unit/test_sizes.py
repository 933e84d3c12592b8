"""
Sizes as people write and read them.
"""

import pytest

from orchestrd.sizes import size, size_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (0, 0), (4096, 4096), (1.5, 1), ("0", 0), ("4096", 4096), ("4096B", 4096), ("1kB", 1000), ("1KiB", 1024),
        ("512MB", 512_000_000), ("512 mb", 512_000_000), ("512MiB", 512 << 20), ("1.5GB", 1_500_000_000),
        ("1.5GiB", 3 << 29), ("100TB", 10**14), ("2TiB", 2 << 40),
    ],
)  # fmt: skip
def test_a_size(text, expected):
    assert size(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "GB", "1G", "1.5 gigs", "-1", -1, "1e9", ".5GB", "1,5GB", "1PB", "iB", "1iB", True, float("inf"), "nan"],
)
def test_what_is_none(text):
    with pytest.raises(ValueError, match="is not a size"):
        size(text)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (-5, "0 B"), (0, "0 B"), (999, "999 B"), (1000, "1 kB"), (512_000_000, "512 MB"), (1_500_000_000, "1.5 GB"),
        (1_499_999_999, "1.4 GB"), (999_999_999, "999 MB"), (10**14, "100 TB"), (10**16, "10000 TB"), (3 << 29, "1.6 GB"),
    ],
)  # fmt: skip
def test_as_text_it_is_never_more_than_it_is(number, expected):
    assert size_text(number) == expected
    assert size(expected) <= max(0, number)
