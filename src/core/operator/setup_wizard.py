"""Guided setup in a terminal, with the same credential test and save as the setup page."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.credentials.credentials import AnyCredentials, read_credentials
from src.credentials.stored_credentials import is_same_account, save_credentials, save_paper_choice
from src.database.db import open_reader, read_transaction
from src.database.foreign import reject_foreign
from src.database.queries.account import live_position_symbols
from src.domain.checks import Check, all_passed
from src.domain.errors import ConfigError
from src.settings.config import Environment, load_settings, save_settings, with_mode

_MODES = {"p": "paper", "l": "live"}
_KINDS = {"w": "wallet", "k": "key"}
_WELCOME = """\
Setup. Secrets never leave this computer: the test only signs with them. Nothing is saved before the test has passed.
Paper trading uses play money at live prices. Live trading uses your money: you can lose all of it."""
_WALLET_ADVICE = """\
An API wallet (V3) signs for your account and can be revoked at any time. Create one on
https://www.asterdex.com/en/api-wallet with permission to trade, and without permission to withdraw."""
_KEY_ADVICE = """\
An API key (V1) consists of a key and a secret. Aster issues no new ones; existing ones keep working.
It needs permission to trade, never permission to withdraw."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """Terminal input and output; ``ask_secret`` does not echo."""

    ask: Callable[[str], str]
    ask_secret: Callable[[str], str]
    say: Callable[[str], None]

    def choose(self, question: str, choices: dict[str, str]) -> str:
        """Ask until one of ``choices`` is entered, by its key or in full."""
        offered = " or ".join(choices.values())
        while True:
            answer = self.ask(f"{question} ({offered}): ").strip().lower()
            if answer in choices.values():
                return answer
            if answer in choices:
                return choices[answer]
            self.say(f"Please answer {offered}.")


def run_setup(
    environment: Environment, terminal: Terminal, check: Callable[[AnyCredentials, bool], Sequence[Check]]
) -> int:
    """Run the dialog; returns 0 if saved, 1 if cancelled. Raises ConfigError if a file cannot be read or written."""
    file, settings = environment.home / ".env", load_settings(environment.settings_file)
    reject_foreign(environment.database)
    if environment.env_override_keys:
        names = " and ".join(sorted(environment.env_override_keys))
        raise ConfigError(f"{names} are set outside {file} and override it: remove them there.")
    terminal.say(_WELCOME)
    is_simulated = terminal.choose("Paper or live?", _MODES) == "paper"
    found = (
        None
        if is_simulated
        else _ask_until_valid(terminal, lambda credentials: check(credentials, _wants_hedge(environment)))
    )
    if not is_simulated and found is None:
        terminal.say("Nothing was saved.")
        return 1
    _check_no_open_positions(environment.database, file, found)
    try:
        save_paper_choice(file) if found is None else save_credentials(file, found)
        if settings.globals_.simulate_only is not is_simulated:
            save_settings(environment.settings_file, with_mode(settings, is_simulated=is_simulated))
    except OSError as error:
        raise ConfigError(f"{error.filename or file} cannot be written: {error.strerror}.") from error
    terminal.say(f"Saved. Start or restart the bot: {_start_line(is_simulated)}")
    return 0


def _start_line(is_simulated: bool) -> str:
    confirmation = "" if is_simulated else ", which asks you to confirm live trading"
    return f"python launcher.py{confirmation}."


def _wants_hedge(environment: Environment) -> bool:
    return load_settings(environment.settings_file).globals_.hedge_mode


def _ask_until_valid(terminal: Terminal, check: Callable[[AnyCredentials], Sequence[Check]]) -> AnyCredentials | None:
    """Ask for credentials until they pass the test; None if cancelled."""
    while True:
        try:
            found = _ask_credentials(terminal)
        except ConfigError as error:
            terminal.say("\n".join(error.messages))
        else:
            checks = check(found)
            terminal.say("\n".join(each.line for each in checks))
            if all_passed(checks):
                return found
        if terminal.choose("Try again?", {"y": "yes", "n": "no"}) == "no":
            return None


def _ask_credentials(terminal: Terminal) -> AnyCredentials:
    if terminal.choose("API wallet (V3) or API key (V1)?", _KINDS) == "wallet":
        terminal.say(_WALLET_ADVICE)
        user = terminal.ask("The address you log in with: ")
        key = terminal.ask_secret("The API wallet's private key (not shown): ")
        values = {"ASTER_USER_ADDRESS": user, "ASTER_SIGNER_PRIVATE_KEY": key}
    else:
        terminal.say(_KEY_ADVICE)
        names = {"API_KEY": "API key (not shown): ", "API_SECRET": "API secret (not shown): "}
        values = {name: terminal.ask_secret(question) for name, question in names.items()}
    found = read_credentials({name: text.strip() for name, text in values.items()}, frozenset())
    if found is None:
        raise ConfigError("Nothing was entered.")
    return found


def _check_no_open_positions(database: Path, file: Path, found: AnyCredentials | None) -> None:
    """Raise ConfigError if the current account has positions, which the bot would no longer manage."""
    if not database.exists() or (found is not None and is_same_account(file, found)):
        return
    engine = open_reader(database)
    try:
        with read_transaction(engine) as connection:
            held = live_position_symbols(connection)
    finally:
        engine.dispose()
    if held:
        raise ConfigError(f"The bot has open positions in the current account; close them first: {', '.join(held)}.")
