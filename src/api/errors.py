"""Error responses, all in one format: ``{"error": {"code", "message"}}`` with the matching status."""

import logging
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, jsonify
from werkzeug.exceptions import HTTPException, InternalServerError

log = logging.getLogger(__name__)

_DEFAULT_MESSAGES = {
    400: ("bad_request", "The request could not be understood."),
    404: ("not_found", "No such page or resource."),
    405: ("method_not_allowed", "This method is not allowed here."),
    413: ("too_large", "The request body is too large."),
    415: ("json_expected", "Send the body as application/json."),
    500: ("internal_error", "Internal error in the dashboard; see its log."),
}


class ApiError(Exception):
    """A failed request; the message is shown to the user."""

    def __init__(
        self, status: int, code: str, message: str, *, headers: Mapping[str, str] | None = None, **details: Any
    ) -> None:
        super().__init__(message)
        self.headers = headers or {}
        self.status = status
        self.code = code
        self.message = message
        self.details = details

    def response(self) -> Response:
        body = jsonify({"error": {"code": self.code, "message": self.message, **self.details}})
        body.status_code = self.status
        body.headers.update(self.headers)
        return body


def not_found(message: str) -> ApiError:
    return ApiError(404, "not_found", message)


def bad_parameter(name: str, message: str) -> ApiError:
    return ApiError(400, "bad_parameter", message, parameter=name)


def register_errors(app: Flask) -> None:
    """Register the error handlers. Unexpected errors are logged, and their details are not sent to the client."""
    app.register_error_handler(ApiError, ApiError.response)
    app.register_error_handler(HTTPException, _from_http)
    app.register_error_handler(Exception, _from_unexpected)


def _from_http(error: HTTPException) -> Response:
    status = error.code or 500
    code, message = _DEFAULT_MESSAGES.get(status, ("http_error", error.name))
    response = ApiError(status, code, message).response()
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


def _from_unexpected(error: Exception) -> Response:
    log.error("request failed", exc_info=error)
    return _from_http(InternalServerError())
