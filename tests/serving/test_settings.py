"""What the environment says, and what it may not say."""

from pathlib import Path

import pytest

from ratchet.errors import RatchetError
from ratchet.serving import settings


def test_nothing_set_is_a_service_that_anybody_may_ask() -> None:
    """No token, no log, bounds as documented."""
    given = settings.read({})
    assert (given.token, given.log, given.max_body, given.max_rows) == ("", "", 1_048_576, 1000)
    assert (given.log_queue, given.log_keep_days, given.log_private, given.workers) == (10_000, 30, "drop", 1)


def test_an_empty_variable_is_not_set() -> None:
    """Compose hands on variables that nobody gave a value."""
    assert settings.read({"RATCHET_MAX_ROWS": "", "RATCHET_RELEASED": " "}).max_rows == 1000


def test_variables_are_read_as_what_they_are() -> None:
    """Numbers, paths and text."""
    given = settings.read(
        {"RATCHET_MAX_ROWS": "5", "RATCHET_BUNDLE": "/b", "RATCHET_RELEASED": "1730000000", "RATCHET_LOG": "s3://logs"}
    )
    assert (given.max_rows, given.bundle, given.released, given.log) == (5, Path("/b"), 1_730_000_000.0, "s3://logs")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RATCHET_MAX_ROWS", "0"),
        ("RATCHET_MAX_BODY", "1MB"),
        ("RATCHET_LOG_PRIVATE", "keep"),
        ("RATCHET_DRAIN_SECONDS", "-1"),
        ("RATCHET_WORKERS", "two"),
    ],
)
def test_a_value_without_sense_is_named(name: str, value: str) -> None:
    """Variable and value, in one line."""
    with pytest.raises(RatchetError, match=f"^{name}={value}: .*$"):
        settings.read({name: value})


def test_a_token_can_come_from_a_file(tmp_path: Path) -> None:
    """As secrets are mounted; it replaces the variable."""
    (tmp_path / "token").write_text("s3cret\n")
    given = settings.read({"RATCHET_TOKEN": "x", "RATCHET_TOKEN_FILE": str(tmp_path / "token")})
    assert given.token.encode() == b"s3cret"


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_token_file_without_a_token_opens_nothing(tmp_path: Path, content: str | None) -> None:
    """A secret that failed to mount must not make the service public."""
    if content is not None:
        (tmp_path / "token").write_text(content)
    with pytest.raises(RatchetError, match="RATCHET_TOKEN_FILE"):
        settings.read({"RATCHET_TOKEN_FILE": str(tmp_path / "token")})


def test_the_verdict_can_be_read_where_the_record_is() -> None:
    """Both the repository and the record must be known."""
    known = {"RATCHET_SOURCE": "https://github.com/ada/flights/", "RATCHET_RECORD": "verdicts/12/ab.json"}
    assert settings.read(known).verdict_url == "https://github.com/ada/flights/blob/records/verdicts/12/ab.json"
    assert settings.read({"RATCHET_SOURCE": "https://github.com/ada/flights"}).verdict_url is None
