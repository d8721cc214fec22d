"""The word by which a person agrees to real orders: typed, never clicked."""

WORD = "LIVE"
_ENDING = 4


def is_agreement(typed: str, account: str) -> bool:
    """LIVE, or the last four signs of the account; a phone may write them small."""
    ending = {account[-_ENDING:].upper()} if len(account) >= _ENDING else set()
    return typed.strip().upper() in {WORD} | ending
