"""Several orders in one request: Place Multiple Orders and Cancel Multiple Orders."""

import json
from collections.abc import Sequence
from dataclasses import replace

from src.domain.commands import CancelOrder, OrderWrite, SubmitOrder
from src.domain.enums import OrderRole
from src.domain.errors import ExchangeError, NotSent, OutcomeUnknown, ProtocolError, Rejected
from src.domain.orders import ClientOrderId, OrderRequest, OrderUpdate
from src.exchange import endpoints, responses, wire
from src.exchange.client import AsterClient
from src.exchange.port import Answer


def is_essential(request: OrderRequest) -> bool:
    """Whether the order is an exit of ours, which may use the reserved part of the rate limits (I29)."""
    own_id = ClientOrderId.parse(request.client_order_id)
    return own_id is not None and own_id.role is not OrderRole.ENTRY


def has_room(client: AsterClient, commands: Sequence[OrderWrite]) -> bool:
    """Whether the rate limits allow these in one request; one by one, some of them may still be sent."""
    submits = [each for each in commands if isinstance(each, SubmitOrder)]
    if not submits:
        return True
    essential = all(is_essential(each.request) for each in submits)
    return client.limits.fits(endpoints.PLACE_ORDERS.weight, essential=essential, orders=len(submits))


def send(client: AsterClient, commands: Sequence[OrderWrite]) -> list[Answer]:
    """Send the commands in one request; one answer for each, in order. Raises the error of the whole request."""
    submits = [each for each in commands if isinstance(each, SubmitOrder)]
    cancels = [each for each in commands if isinstance(each, CancelOrder)]
    return _place(client, submits) if submits else _cancel(client, cancels)


def _place(client: AsterClient, commands: Sequence[SubmitOrder]) -> list[Answer]:
    """Place orders; those that may not be sent any more are left out, and the others sent without them."""
    answers: dict[str, Answer] = {}
    remaining = list(commands)
    while remaining:
        withheld: dict[str, NotSent] = {}
        try:
            received = _place_once(client, remaining, withheld)
        except NotSent:
            answers.update(withheld)
        except ExchangeError as error:
            if not answers:
                raise
            answers.update(dict.fromkeys(map(_name_of, remaining), error))  # not of those that were never sent
        else:
            answers.update(zip(map(_name_of, remaining), received, strict=True))
        remaining = [each for each in remaining if _name_of(each) not in answers]
    return [answers[_name_of(each)] for each in commands]


def _place_once(client: AsterClient, commands: Sequence[SubmitOrder], withheld: dict[str, NotSent]) -> list[Answer]:
    def check(now_ms: int) -> None:
        """Ask each order whether it may still be sent; raise ``NotSent`` if one may not."""
        for command in commands:
            try:
                command.before_send(now_ms)
            except NotSent as reason:
                withheld[_name_of(command)] = reason
        if withheld:
            raise NotSent("an order of the batch is withheld")

    endpoint = replace(endpoints.PLACE_ORDERS, orders=len(commands))
    orders = [wire.render_order_request(each.request) for each in commands]
    essential = all(is_essential(each.request) for each in commands)
    sent_at = client.clock.monotonic_ms()
    response = client.request(endpoint, {"batchOrders": _json(orders)}, essential=essential, before_send=check)
    return [_pause_if_limited(client, each, sent_at) for each in read_answers(commands, response)]


def _cancel(client: AsterClient, commands: Sequence[CancelOrder]) -> list[Answer]:
    names = [each.client_order_id for each in commands]
    parameters = {"symbol": commands[0].symbol, "origClientOrderIdList": _json(names)}
    return read_answers(commands, client.request(endpoints.CANCEL_ORDERS, parameters, essential=True))


def _json(values: Sequence[object]) -> str:
    """Render without a space after the comma, as Cancel Multiple Orders demands."""
    return json.dumps(values, separators=(",", ":"))


def read_answers(commands: Sequence[OrderWrite], response: object) -> list[Answer]:
    """Read the answer to each command: an order, or an error object. Pure.

    They come in the order of the request. What cannot be read is an unknown outcome, of all if their number differs.
    """
    if not isinstance(response, list) or len(response) != len(commands):
        raise OutcomeUnknown(f"the response does not answer {len(commands)} orders")
    return [_read_answer(command, entry) for command, entry in zip(commands, response, strict=True)]


def _read_answer(command: OrderWrite, entry: object) -> Answer:
    is_error = isinstance(entry, dict) and "code" in entry and "orderId" not in entry
    try:
        return responses.batch_error(entry) if is_error else [parse_own_order(entry, command)]
    except OutcomeUnknown as unknown:
        return unknown
    except ProtocolError as error:
        return OutcomeUnknown(f"the answer is not readable: {error}")


def parse_own_order(response: object, command: OrderWrite) -> OrderUpdate:
    """Parse the order of an accepted write; ``OutcomeUnknown`` if the response is not about that order."""
    try:
        order = wire.parse_order(response)
    except ProtocolError as error:
        raise OutcomeUnknown(f"the response is not an order: {error}") from error
    name = _name_of(command)
    if (order.symbol, order.client_order_id) != (_symbol_of(command), name):
        raise OutcomeUnknown(f"the response is about {order.client_order_id}, not {name}")
    return order


def _pause_if_limited(client: AsterClient, answer: Answer, sent_at: int) -> Answer:
    """One order over the limit counts as a 429 of the request, which was sent at ``sent_at``."""
    if isinstance(answer, Rejected) and answer.code in responses.RATE_LIMIT_CODES:
        return client.limits.back_off(429, {}, answer.reason, sent_at)
    return answer


def _name_of(command: OrderWrite) -> str:
    return command.client_order_id if isinstance(command, CancelOrder) else command.request.client_order_id


def _symbol_of(command: OrderWrite) -> str:
    return command.symbol if isinstance(command, CancelOrder) else command.request.symbol
