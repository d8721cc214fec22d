"""The guided set-up in a terminal: a few questions, the same test as on the page, the same save."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from src.database.db import open_reader, reading
from src.database.queries.account import held_for_real
from src.domain.checks import Check, is_passable
from src.domain.errors import ConfigError
from src.utils.config import Environment, in_mode, load_settings, save_settings
from src.utils.credentials import AnyCredentials, read_credentials
from src.utils.stored_credentials import remember_paper, same_account, save_credentials

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


def set_up(
    environment: Environment, terminal: Terminal, check: Callable[[AnyCredentials, bool], Sequence[Check]]
) -> int:
    """The exit code: 0 saved, 1 called off. Raises ConfigError where a file is broken or closed."""
    file, settings = environment.home / ".env", load_settings(environment.settings_file)
    if environment.keys_outside:
        names = " and ".join(sorted(environment.keys_outside))
        raise ConfigError(f"{names} are set outside {file}: remove them there, for they win over it.")
    terminal.say(_WELCOME)
    is_simulated = terminal.choose("Paper or live?", _MODES) == "paper"
    found = (
        None if is_simulated else _tested(terminal, lambda credentials: check(credentials, _wants_hedge(environment)))
    )
    if not is_simulated and found is None:
        terminal.say("Nothing was saved.")
        return 1
    _refuse_to_leave(environment.database, file, found)
    try:
        remember_paper(file) if found is None else save_credentials(file, found)
        if settings.globals_.simulate_only is not is_simulated:
            save_settings(environment.settings_file, in_mode(settings, is_simulated=is_simulated))
    except OSError as error:
        raise ConfigError(f"{error.filename or file} cannot be written: {error.strerror}.") from error
    terminal.say(f"Saved. Start the bot, or stop and start it again if it runs: {_start_line(is_simulated)}")
    return 0


def _start_line(is_simulated: bool) -> str:
    asks = "" if is_simulated else ", which asks once more before it trades"
    return f"python launcher.py{asks}."


def _wants_hedge(environment: Environment) -> bool:
    return load_settings(environment.settings_file).globals_.hedge_mode


def _tested(terminal: Terminal, check: Callable[[AnyCredentials], Sequence[Check]]) -> AnyCredentials | None:
    """Credentials that pass, asked for until they do; None where the person gives up."""
    while True:
        try:
            found = _typed(terminal)
        except ConfigError as error:
            terminal.say("\n".join(error.faults))
        else:
            checks = check(found)
            terminal.say("\n".join(each.line for each in checks))
            if is_passable(checks):
                return found
        if terminal.choose("Try again?", {"y": "yes", "n": "no"}) == "no":
            return None


def _typed(terminal: Terminal) -> AnyCredentials:
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


def _refuse_to_leave(database: Path, file: Path, found: AnyCredentials | None) -> None:
    """Positions of the account of now would be left without the bot."""
    if not database.exists() or (found is not None and same_account(file, found)):
        return
    engine = open_reader(database)
    try:
        with reading(engine) as connection:
            held = held_for_real(connection)
    finally:
        engine.dispose()
    if held:
        raise ConfigError(
            f"The bot holds {', '.join(held)} in the account of now: close that first, for it would be left alone."
        )
