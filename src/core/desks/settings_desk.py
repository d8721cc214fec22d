"""Takes new settings over: in force as a whole, from one event on, but for what needs a restart."""

from dataclasses import dataclass

from src.core.desks.account_desk import AccountDesk
from src.core.desks.consent_desk import ConsentDesk
from src.core.desks.desk import Desk
from src.core.desks.entries import EntryDesk
from src.core.desks.operator_desk import OperatorDesk
from src.core.desks.retired import retire
from src.core.operator.settings_changed import SettingsChanged, in_force
from src.domain.messages import OperatorAction


@dataclass(frozen=True, slots=True)
class SettingsDesk:
    """Tells everyone who must look again, and answers under the number of the wish."""

    desk: Desk
    entries: EntryDesk
    account: AccountDesk
    consent: ConsentDesk
    operator: OperatorDesk

    def on_changed(self, event: SettingsChanged) -> None:
        running, self.desk.settings = self.desk.settings, in_force(event.settings, self.desk.settings)
        retire(self.desk, running)
        self.entries.restore()
        self.consent.review()
        self.account.ask("settings changed")
        is_whole = self.desk.settings.globals_ == event.settings.globals_
        answer = "new settings are in force" + ("" if is_whole else ", some of them only after a restart")
        self.desk.tell("settings", {"message": answer})
        if event.command_id is not None:
            self.operator.conclude(event.command_id, OperatorAction.RELOAD_SETTINGS, answer)
