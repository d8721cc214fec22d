"""The paper account as a document for the ledger, and back."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from src.domain.errors import ConfigError
from src.engine.memory import AccountMemory

_ACCOUNT = TypeAdapter(AccountMemory)


def render_memory(memory: AccountMemory) -> dict[str, Any]:
    """Money as text, exact to the last digit."""
    document: dict[str, Any] = _ACCOUNT.dump_python(memory, mode="json")
    return document


def parse_memory(document: Mapping[str, Any]) -> AccountMemory:
    """ConfigError where it is none: a paper account is never begun anew behind its owner's back."""
    try:
        return _ACCOUNT.validate_python(document)
    except ValidationError as error:
        raise ConfigError(
            "the paper account in the database cannot be read: go on with the version of this program that wrote it, "
            "or begin a new one with another database (globals.db_path)"
        ) from error
