"""The key pair the sandbox has issued."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    api_key: str
    api_secret: str

    def __repr__(self) -> str:
        return "Keys(***)"
