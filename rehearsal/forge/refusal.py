"""How the forge says no: GitHub's status code and message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Refusal(Exception):  # noqa: N818 - not an error of the forge, an answer of it
    """An answer that is not a success.

    Attributes:
        status: Of HTTP.
        message: As GitHub words it.
        errors: GitHub's list of what is wrong with which field, for 422.
    """

    def __init__(self, status: int, message: str, errors: Sequence[Mapping[str, Any]] | None = None) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.errors = errors


def not_found() -> Refusal:
    """It is not there, or whoever asks may not know that it is."""
    return Refusal(404, "Not Found")


def invalid(resource: str, field: str, code: str = "invalid", message: str | None = None) -> Refusal:
    """422 for one field: code is missing, missing_field, invalid, already_exists or (with a message) custom."""
    error = {"resource": resource, "field": field, "code": code}
    return Refusal(422, "Validation Failed", [{**error, "message": message} if message else error])
