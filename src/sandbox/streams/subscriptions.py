"""Requests of a client on a stream connection (Live Subscribing/Unsubscribing to streams)."""

import json
from dataclasses import dataclass, field

MAX_STREAMS = 200
_METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_PROPERTY, _TYPE, _REQUEST, _JSON = 0, 1, 2, 3


class SubscriptionError(Exception):
    """An invalid request, with the documented code and text (Error Messages)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Subscriptions:
    """Streams of one connection. With ``is_combined`` every event is wrapped with the name of its stream."""

    is_combined: bool
    names: list[str] = field(default_factory=list)

    def handle(self, text: str | bytes) -> dict[str, object]:
        """Process a request and return the reply, with ``id: null`` if the request has no id."""
        number: object = None
        try:
            request = _parse(text)
            number = _request_id(request)
            return {"result": self._perform(request), "id": number}
        except SubscriptionError as error:
            return {"error": {"code": error.code, "msg": error.message}, "id": number}

    def subscribe(self, names: list[str]) -> None:
        added = [name for name in dict.fromkeys(names) if name not in self.names]
        if len(self.names) + len(added) > MAX_STREAMS:
            raise SubscriptionError(_REQUEST, f"Invalid request: more than {MAX_STREAMS} streams on a connection")
        self.names += added

    def _perform(self, request: dict[str, object]) -> object:
        match request.get("method"):
            case "SUBSCRIBE":
                self.subscribe(_names(request))
                return None
            case "UNSUBSCRIBE":
                removed = _names(request)
                self.names = [name for name in self.names if name not in removed]
                return None
            case "LIST_SUBSCRIPTIONS":
                return list(self.names)
            case "SET_PROPERTY":
                self._set_property(request)
                return None
            case "GET_PROPERTY":
                _check_property(_names(request, maximum=1))
                return self.is_combined
            case None:
                raise SubscriptionError(_REQUEST, "Invalid request: missing field `method` at line 1 column 1")
            case unknown:
                expected = ", ".join(f"`{method}`" for method in _METHODS)
                text = f"Invalid request: unknown variant {unknown}, expected one of {expected} at line 1 column 1"
                raise SubscriptionError(_REQUEST, text)

    def _set_property(self, request: dict[str, object]) -> None:
        parameters = request.get("params")
        if not isinstance(parameters, list) or len(parameters) > 2:
            raise SubscriptionError(_REQUEST, "Invalid request: too many parameters")
        _check_property(parameters[:1])
        if len(parameters) < 2 or not isinstance(parameters[1], bool):
            raise SubscriptionError(_TYPE, "Invalid value type: expected Boolean")
        self.is_combined = parameters[1]


def _parse(text: str | bytes) -> dict[str, object]:
    try:
        request = json.loads(text)
    except (ValueError, RecursionError):
        raise SubscriptionError(_JSON, "Invalid JSON: expected value at line 1 column 1") from None
    if not isinstance(request, dict):
        raise SubscriptionError(_REQUEST, "Invalid request: an object was expected")
    return request


def _request_id(request: dict[str, object]) -> object:
    """Return the id: an unsigned integer, or a string or nothing as some clients send."""
    number = request.get("id")
    is_valid = number is None or isinstance(number, str) or (type(number) is int and number >= 0)
    if not is_valid:
        raise SubscriptionError(_REQUEST, "Invalid request: request ID must be an unsigned integer")
    return number


def _names(request: dict[str, object], maximum: int = MAX_STREAMS) -> list[str]:
    names = request.get("params")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SubscriptionError(_REQUEST, "Invalid request: property name must be a string")
    if len(names) > maximum:
        raise SubscriptionError(_REQUEST, "Invalid request: too many parameters")
    return names


def _check_property(names: list[object] | list[str]) -> None:
    if names != ["combined"]:
        raise SubscriptionError(_PROPERTY, "Unknown property")
