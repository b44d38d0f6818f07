"""Regular expressions of the settings as rules of redaction: compiled, and refused where a text could make one stand still.

`app.redaction` asks for them at the start. Python's expressions try ways until one fits, and some expressions have more ways
than there is time; so each is tried on hard texts of the longest size that it is ever shown, in a process that is ended if it must.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from app import pattern_probe
from app.secret_rules import REDACTED, Rule
from features.errors import InvalidSetting

__all__ = ["MAX_PATTERN_CHARS", "MAX_PATTERN_S", "WINDOW_CHARS", "own_rules", "secret_span"]

MAX_PATTERN_CHARS = 1000
"""Characters of an expression. Guessed: longer ones are lists, which are better several expressions."""

WINDOW_CHARS = 4096
"""Characters of a text that an expression is shown at a time; longer texts come in pieces that overlap by half."""

MAX_PATTERN_S = 0.1
"""Seconds of processor time that an expression may take on the hardest of the texts that it is tried on. Guessed: ordinary ones take
microseconds, those that try the square of a text's length tenths of seconds, the others longer than anybody waits."""

_PATIENCE_S = 60.0  # of the wall clock, on a machine that is busy with other things


def own_rules(patterns: Mapping[str, str]) -> tuple[Rule, ...]:
    """Return a rule for each expression.

    Parameters
    ----------
    patterns : Mapping of str to str
        Expressions by the name of the rule. Where one has a group ``secret``, only that is redacted, else all that it matches.

    Raises
    ------
    InvalidSetting
        When one is no expression, is too long, matches nothing at all, or takes too long on a text.

    Examples
    --------
    >>> [rule] = own_rules({"customers": r"customer (?P<secret>[0-9]{6})"})
    >>> rule.pattern.sub(rule.replace, "customer 123456 is gone")
    'customer REDACTED is gone'
    """
    return tuple(Rule(name, _checked(name, pattern), (), _replace, exact=True) for name, pattern in patterns.items())


def secret_span(match: re.Match[str]) -> tuple[int, int]:
    """Return where in its text the secret of a match begins and ends: its group ``secret`` where that took part, else all of it.

    Examples
    --------
    >>> secret_span(re.compile("id=(?P<secret>[0-9]+)|ticket [0-9]+").match("id=42"))
    (3, 5)
    """
    if "secret" not in match.re.groupindex or match["secret"] is None:
        return match.span()
    return match.span("secret")


def _checked(name: str, pattern: str) -> re.Pattern[str]:
    where = f"setting security.redaction.patterns.{name}"
    if not 0 < len(pattern) <= MAX_PATTERN_CHARS:
        raise InvalidSetting(f"{where}: must have 1 to {MAX_PATTERN_CHARS} characters, got {len(pattern)}")
    try:
        compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as exc:
        raise InvalidSetting(f"{where}: is no regular expression: {exc}") from None
    if compiled.match("") is not None:
        raise InvalidSetting(f"{where}: must match at least 1 character, but it matches an empty text too")
    took = _probed_s(pattern)
    if took > MAX_PATTERN_S:
        raise InvalidSetting(
            f"{where}: must take <= {MAX_PATTERN_S} s on every text of {WINDOW_CHARS} characters, got {took:.3g} s or more on one: "
            "name what may repeat once, as in a+ for (a+)+"
        )
    return compiled


def _probed_s(pattern: str) -> float:
    asked = json.dumps({"pattern": pattern, "chars": WINDOW_CHARS})
    command = [sys.executable, "-I", str(Path(pattern_probe.__file__))]
    try:
        done = subprocess.run(command, input=asked, capture_output=True, text=True, timeout=_PATIENCE_S, check=False)  # noqa: S603 - ours  # nosec B603
    except subprocess.TimeoutExpired:
        return _PATIENCE_S
    except OSError as exc:
        raise InvalidSetting(f"setting security.redaction.patterns: an expression cannot be tried: {exc}") from exc
    if done.returncode == -signal.SIGPROF:
        return pattern_probe.CPU_S
    if done.returncode:
        raise InvalidSetting(
            f"setting security.redaction.patterns: an expression cannot be tried: {done.stderr.strip()[-200:]}"
        )
    return float(json.loads(done.stdout))


def _replace(match: re.Match[str]) -> str:
    whole, start, (low, high) = match[0], match.start(), secret_span(match)
    return f"{whole[: low - start]}{REDACTED}{whole[high - start :]}"
