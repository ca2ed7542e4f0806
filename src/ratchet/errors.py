"""The one base error: whoever runs a command sees its message, one to three lines, and exit code 2."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class RatchetError(Exception):
    """What is wrong, where, and what to do about it."""


class AbsentError(RatchetError):
    """The source has nothing of what was asked for, or nothing yet: no fault of the data."""


@contextmanager
def told_to_the_user() -> Iterator[None]:
    """End the program with exit code 2 and a message, no traceback, when the work inside cannot be done."""
    try:
        yield
    except RatchetError as error:
        sys.exit(_tell(str(error)))
    except OSError as error:
        sys.exit(_tell(f"{error.filename or 'the file system'}: {error.strerror}; what was there before is unchanged"))


def _tell(message: str) -> int:
    sys.stderr.write(f"error: {message}\n")
    return 2
