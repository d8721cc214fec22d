"""The guided set-up in a terminal: a few questions, the same test as on the page, the same save."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.credentials.credentials import AnyCredentials, read_credentials
from src.credentials.stored_credentials import is_same_account, save_credentials, save_paper_choice
from src.database.db import open_reader, read_transaction
from src.database.queries.account import live_position_symbols
from src.domain.checks import Check, all_passed
from src.domain.errors import ConfigError
from src.settings.config import Environment, load_settings, save_settings, with_mode

_MODES = {"p": "paper", "l": "live"}
_KINDS = {"w": "wallet", "k": "key"}
_WELCOME = """\
Set-up. A secret never leaves this computer: the test only signs with it. Nothing is saved before it has passed.
On paper the bot trades with play money at live prices. Live, it trades with yours: you can lose everything."""
_WALLET_ADVICE = """\
An API wallet (V3) signs for your account and can be ended at any time. Create one on
https://www.asterdex.com/en/api-wallet with the right to trade; it needs no right to withdraw, so give it none."""
_KEY_ADVICE = """\
An API key (V1) has two halves. Aster gives out no new ones; yours goes on working.
It needs the right to trade, never the right to withdraw."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """How a person is asked: ``ask_secret`` shows nothing of what is typed."""

    ask: Callable[[str], str]
    ask_secret: Callable[[str], str]
    say: Callable[[str], None]

    def choose(self, question: str, choices: dict[str, str]) -> str:
        """One of these words, by its first letter or whole."""
        offered = " or ".join(choices.values())
        while True:
            word = self.ask(f"{question} ({offered}): ").strip().lower()
            if word in choices.values():
                return word
            if word in choices:
                return choices[word]
            self.say(f"Please answer {offered}.")


def run_setup(
    environment: Environment, terminal: Terminal, check: Callable[[AnyCredentials, bool], Sequence[Check]]
) -> int:
    """The exit code: 0 saved, 1 called off. Raises ConfigError where a file is broken or closed."""
    file, settings = environment.home / ".env", load_settings(environment.settings_file)
    if environment.env_override_keys:
        names = " and ".join(sorted(environment.env_override_keys))
        raise ConfigError(f"{names} are set outside {file}: remove them there, for they win over it.")
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
    terminal.say(f"Saved. Start the bot, or stop and start it again if it runs: {_start_line(is_simulated)}")
    return 0


def _start_line(is_simulated: bool) -> str:
    asks = "" if is_simulated else ", which asks once more before it trades"
    return f"python launcher.py{asks}."


def _wants_hedge(environment: Environment) -> bool:
    return load_settings(environment.settings_file).globals_.hedge_mode


def _ask_until_valid(terminal: Terminal, check: Callable[[AnyCredentials], Sequence[Check]]) -> AnyCredentials | None:
    """Credentials that pass, asked for until they do; None where the person gives up."""
    while True:
        try:
            found = _ask_credentials(terminal)
        except ConfigError as error:
            terminal.say("\n".join(error.faults))
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
        raise ConfigError("Nothing was filled in.")
    return found


def _check_no_open_positions(database: Path, file: Path, found: AnyCredentials | None) -> None:
    """Positions of the account of now would be left without the bot."""
    if not database.exists() or (found is not None and is_same_account(file, found)):
        return
    engine = open_reader(database)
    try:
        with read_transaction(engine) as connection:
            held = live_position_symbols(connection)
    finally:
        engine.dispose()
    if held:
        raise ConfigError(
            f"The bot holds {', '.join(held)} in the account of now: close that first, for it would be left alone."
        )
