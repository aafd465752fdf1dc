"""What takes a message out of the house: Apprise for people, a plain request for the dead-man's heartbeat."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
import warnings
from typing import Protocol

from labctl.errors import InputError
from labctl.notify.policy import Delivery, Severity

_TIMEOUT_S = 10.0


class Carrier(Protocol):
    """One way out. May block for some seconds; it is only called from the notifier's own thread."""

    def carry(self, delivery: Delivery) -> str:
        """Send; return what went wrong, empty when it was taken. Never says the address."""
        ...


class AppriseCarrier:
    """Any service that Apprise speaks.

    Raises
    ------
    InputError
        Apprise is not installed, or does not understand the address (which is not shown).
    """

    def __init__(self, reference: str, address: str) -> None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # those of its plug-ins are Apprise's own affair
                import apprise  # noqa: PLC0415 - an optional extra, and slow to import

                out = apprise.Apprise()
                logging.getLogger("apprise").disabled = True  # its lines may show parts of an address
                understood = out.add(address)
        except ImportError:
            raise InputError(
                "notifications need Apprise, which is not installed",
                expected="pip install 'labctl-acquisition[notify]'",
            ) from None
        self._apprise, self._out = apprise, out
        if not understood:
            raise InputError(
                f"notifications: Apprise does not understand the address in {reference}",
                expected="one address as Apprise writes them, such as mailto://, tgram:// or json://",
            )

    def carry(self, delivery: Delivery) -> str:
        """Send to one address; Apprise says yes or no and nothing more."""
        kinds = self._apprise.NotifyType
        kind = {
            Severity.INFO: kinds.INFO,
            Severity.WARNING: kinds.WARNING,
            Severity.PERSON: kinds.WARNING,
            Severity.ALARM: kinds.FAILURE,
        }[delivery.severity]
        try:
            taken = self._out.notify(title=delivery.title, body=delivery.text or delivery.title, notify_type=kind)
        except Exception as problem:  # noqa: BLE001 - whatever a service's plug-in raises must stay in here
            return type(problem).__name__  # its text may hold the address
        return "" if taken else "it was not taken"


class Pulse:
    """A regular sign of life to an address that somebody else watches, so that silence is noticed there."""

    def __init__(self, reference: str, address: str) -> None:
        if not address.startswith(("https://", "http://")):
            raise InputError(
                f"notifications: the heartbeat's address in {reference} is no web address",
                expected="https://... of a service that notices when nothing comes",
            )
        self._address = address

    def beat(self) -> str:
        """Ask for the address once; return what went wrong, without the address."""
        try:
            with urllib.request.urlopen(self._address, timeout=_TIMEOUT_S):  # noqa: S310 - http(s) only, see above
                return ""
        except urllib.error.HTTPError as problem:
            problem.close()
            return f"HTTP {problem.code}"
        except (OSError, ValueError) as problem:
            return type(problem).__name__
