"""What the service is told by its environment, read once at start; a value that makes no sense ends it there."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ratchet.errors import RatchetError

PREFIX = "RATCHET_"

Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Each is an environment variable: `max_rows` is RATCHET_MAX_ROWS. Empty means: not set.

    Attributes:
        bundle: Folder of the model.
        token: What a caller must bring as `Authorization: Bearer …`; empty: nobody is asked.
        max_body: Largest body of a request, bytes.
        max_rows: Most rows of a batch.
        body_seconds: How long a caller may take to send a body.
        drain_seconds: How long the service still answers, but says that it is not ready, after it is told to end: what
            sends it traffic needs that long to notice.
        workers: Processes.
        log: Folder of the prediction log, a path or an fsspec URL; empty: off. The other `log_*` are `LogSettings`.
        commit: Commit of main that was released.
        record: Path of the verdict's record in branch `records`.
        source: URL of the repository.
        released: When, seconds since 1970.
        release: Tag of the release.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: Path | None = None
    token: str = ""
    max_body: Count = 1 << 20
    max_rows: Count = 1000
    body_seconds: Annotated[float, Field(gt=0)] = 10.0
    drain_seconds: Annotated[float, Field(ge=0)] = 2.0
    workers: Count = 1

    log: str = ""
    log_queue: Count = 10_000
    log_rotate_rows: Count = 20_000
    log_rotate_seconds: Annotated[float, Field(gt=0)] = 300.0
    log_keep_days: Annotated[int, Field(ge=0)] = 30
    log_private: Literal["drop", "hash"] = "drop"
    log_salt: str = ""

    commit: str = ""
    record: str = ""
    source: str = ""
    released: float | None = None
    release: str = ""

    @property
    def verdict_url(self) -> str | None:
        """Where people read the verdict; None when it is not known."""
        return f"{self.source.rstrip('/')}/blob/records/{self.record}" if self.source and self.record else None


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Settings of an environment.

    Raises:
        RatchetError: A variable does not hold what it must, or the file of the token cannot be read.
    """
    given: dict[str, Any] = {}
    for name in Settings.model_fields:
        value = environment.get(PREFIX + name.upper(), "").strip()
        if value:
            given[name] = value
    if path := environment.get(f"{PREFIX}TOKEN_FILE", "").strip():
        given["token"] = _secret(Path(path))
    try:
        return Settings.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{str(first['loc'][0]).upper()}"
        raise RatchetError(f"{name}={first['input']}: {first['msg']}; unset it, or give it such a value") from error


def _secret(path: Path) -> str:
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise RatchetError(f"{PREFIX}TOKEN_FILE={path}: cannot be read: {error}") from error
    if not secret:  # an empty one would open the service to everybody
        raise RatchetError(f"{PREFIX}TOKEN_FILE={path}: is empty; put a token into it, or unset the variable")
    return secret
