"""Decimal constants, and Decimals as plain text."""

from decimal import Decimal

ZERO = Decimal(0)
PER_CENT = Decimal(100)


def plain(value: Decimal) -> str:
    """Render a Decimal with all its digits and without an exponent."""
    return format(value, "f")


def trimmed(value: Decimal) -> str:
    """Render a Decimal without an exponent and without trailing zeros."""
    text = plain(value)
    return text.rstrip("0").rstrip(".") if "." in text else text


def six_digits(value: Decimal) -> str:
    """Render an estimate with at most six significant digits."""
    return trimmed(Decimal(f"{value:.6g}"))
