"""Whether a person has agreed to real orders under these very terms."""

from collections.abc import Iterator, Mapping
from typing import Any

from src.core.desks.consent_desk import AGREED
from src.core.plans.live_terms import terms_from, terms_of, what_rises
from src.domain.checks import Check, failed, passed
from src.domain.enums import Network
from src.utils.config import Environment, Settings

_CONSENT = "consent"


def check_consent(
    known: Mapping[str, Mapping[str, Any]], environment: Environment, settings: Settings
) -> Iterator[Check]:
    """``known`` is what the bot has written of itself. Paper and the sandbox need no word."""
    credentials = environment.credentials
    if settings.globals_.simulate_only or environment.network is Network.SANDBOX or credentials is None:
        return
    agreed = known.get(AGREED)
    wanted = terms_of(settings, environment.network, credentials.label)
    rising = what_rises(terms_from(agreed["terms"]) if agreed else None, wanted)
    if rising:
        remedy = "start the bot and confirm them on the dashboard or in the terminal; a service takes --yes"
        yield failed(_CONSENT, f"real orders wait for your word ({'; '.join(rising)})", remedy)
    else:
        yield passed(_CONSENT, "you have agreed to real orders under these settings")
