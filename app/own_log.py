"""The lines that the process logs itself, without secrets in them.

`app.cli` sets it up before anything is logged, `app.child` in processes of its own, and `app.main` gives it the rules of the settings once they are known.
Exceptions of libraries hold addresses with passwords and headers with tokens; what is written of them goes through `app.redaction`, which
is imported with the first line: a command that says nothing starts without it.
"""

from __future__ import annotations

import logging
import sys
from functools import cache
from typing import TYPE_CHECKING, ClassVar, TextIO

if TYPE_CHECKING:
    from app.redaction import Redaction

__all__ = ["RedactingFormatter", "redact_by", "set_up_log", "without_secrets"]

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class RedactingFormatter(logging.Formatter):
    """Formats a record whole, with traceback, and takes the secrets out.

    Examples
    --------
    >>> formatter = RedactingFormatter("%(message)s")
    >>> formatter.format(logging.makeLogRecord({"msg": "cannot reach %s", "args": ("nats://bob:hunter2@n1:4222",)}))
    'cannot reach nats://REDACTED@n1:4222'
    """

    redaction: ClassVar[Redaction | None] = None
    """Of all instances; None stands for the default rules until `redact_by` is called."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, or lines, without secrets."""
        return without_secrets(super().format(record))


def set_up_log(stream: TextIO | None = None) -> None:
    """Log to standard error, or another stream, without secrets; where the root logger has handlers already, through them.

    Parameters
    ----------
    stream : TextIO, optional
        Where to.
    """
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(logging.StreamHandler(stream or sys.stderr))
        root.setLevel(logging.INFO)
    for handler in root.handlers:
        handler.setFormatter(RedactingFormatter(FORMAT))


def without_secrets(text: str) -> str:
    """Return a text without secrets, by the rules of `redact_by`, or those that hold by default.

    Parameters
    ----------
    text : str
        What is to be written.

    Examples
    --------
    >>> without_secrets("login of bob with password=hunter2 refused")
    'login of bob with password=REDACTED refused'
    """
    return (RedactingFormatter.redaction or _usual()).text(text)


@cache
def _usual() -> Redaction:
    from app.redaction import Redaction

    return Redaction()


def redact_by(redaction: Redaction) -> None:
    """Take secrets out by other rules from now on.

    Parameters
    ----------
    redaction : Redaction
        By the settings.
    """
    RedactingFormatter.redaction = redaction
