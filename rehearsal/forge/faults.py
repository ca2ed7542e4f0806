"""Faults on purpose, so that clients can be tested against a bad day."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass
class Fault:
    """What goes wrong with the next requests that match.

    Attributes:
        method: Of the request; `*` is any.
        path: Regular expression, searched in the request's path.
        status: Answered instead of doing anything; `"cut"`: the change is made, then the connection is cut before the
            answer; `"drop"`: the connection is cut before anything is done; `"lie"`: it is done, and what the API
            answers is changed by `lie`.
        times: How many requests it hits.
        headers: Of the answer: `{"Retry-After": "1"}`.
        message: Of the answer.
        skip: How many matching requests pass unharmed before.
        lie: The JSON that is answered, given the one that would be.
    """

    method: str
    path: str
    status: int | Literal["cut", "drop", "lie"]
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "Server Error"
    skip: int = 0
    lie: Callable[[Any], Any] = lambda answer: answer

    def hits(self, method: str, path: str) -> bool:
        """It strikes this request; counts it."""
        if self.times <= 0 or self.method not in ("*", method) or not re.search(self.path, path):
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True
