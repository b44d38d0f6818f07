"""What secrets look like in texts: the built-in rules of redaction, each with the words without which it cannot match.

`app.redaction` applies them to what errors say before anything is stored, and to the lines that the process itself logs. Shapes of
tokens follow what their makers document; each is matched from its prefix on, however much of it a bound on texts has left.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["REDACTED", "RULES", "SENSITIVE_KEYS", "Rule"]

REDACTED = "REDACTED"
"""What stands for a secret, as OpenTelemetry's conventions have it for URLs; `features.mask` takes it for something that varies."""

SENSITIVE_KEYS = frozenset(
    {
        "password",
        "passwd",
        "pwd",
        "passphrase",
        "secret",
        "client-secret",
        "authorization",
        "proxy-authorization",
        "www-authenticate",
        "cookie",
        "cookies",
        "set-cookie",
        "x-api-key",
        "api-key",
        "apikey",
        "x-auth-token",
        "x-access-token",
        "x-csrf-token",
        "x-xsrf-token",
        "x-amz-security-token",
        "access-token",
        "refresh-token",
        "id-token",
        "auth-token",
        "bearer-token",
        "session-token",
        "session-id",
        "sessionid",
        "credential",
        "credentials",
        "private-key",
        "secret-key",
        "access-key",
        "token",
        "jwt",
        "otp",
        "pin",
        "cvv",
        "cvc",
        "card-number",
    }
)
"""Names of attributes whose values are secrets, in lower case with hyphens: the whole key, or what follows its last dot."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of secret.

    Parameters
    ----------
    name : str
        As settings and metrics call it.
    pattern : re.Pattern
        Matches the secret with what stands before it. Which digit stands where makes no difference to it, unless `exact`.
    hints : tuple of str
        One of them is in every text that the pattern matches; none where there is no such word.
    replace : str or callable
        What stands for a match, as `re.sub` takes it.
    cased : bool
        Whether the hints are as the text must have them; else in lower case, for a pattern that takes either.
    exact : bool
        Whether digits make a difference.
    """

    name: str
    pattern: re.Pattern[str]
    hints: tuple[str, ...]
    replace: str | Callable[[re.Match[str]], str]
    cased: bool = False
    exact: bool = False


_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_CARD_DIGITS = range(13, 20)  # ISO/IEC 7812-1 permits up to 19; 13 were the shortest that were issued
_LONGEST_WORD = 11  # guessed: of a word with a digit that follows "token:" in a sentence
_CREDENTIAL_CHARS = 20  # of letters alone; guessed: longer than any word that follows "bearer" in a sentence


def _credential(match: re.Match[str]) -> str:
    """Keep words of a sentence, such as "basic authentication failed"."""
    value = match["value"]
    is_word = value.isalpha() and (value.islower() or value[1:].islower()) and len(value) < _CREDENTIAL_CHARS
    return match[0] if is_word else f"{match['scheme']}{REDACTED}"


def _assigned(match: re.Match[str]) -> str:
    """Keep the name and the quotes; a parser's "unexpected token: name" is no secret."""
    name, between, value = match["name"], match["between"], match["value"]
    quote = match["escaped"] or match["plain"] or ""
    in_sentence = name.lower() == "token" and ":" in between and not quote
    if in_sentence and not (len(value) > _LONGEST_WORD and any(c.isdigit() for c in value)):
        return match[0]
    return f"{name}{between}{quote}{REDACTED}"


def _header(match: re.Match[str]) -> str:
    return f"{match['scheme'] or match['cookie']}{REDACTED}"


def _address(match: re.Match[str]) -> str:
    return f"{match['before']}{REDACTED}@" if match["before"] else f"{match['name']}{REDACTED}"


def _card(match: re.Match[str]) -> str:
    digits = [int(c) for c in match[0] if c.isdigit()]
    if len(digits) not in _CARD_DIGITS:
        return match[0]
    total = sum(digits[-1::-2]) + sum(_LUHN_DOUBLED[d] for d in digits[-2::-2])
    return match[0] if total % 10 else REDACTED


_NAMES = (
    r"(?:(?:pass(?:word|wd|phrase|code)|pwd|secret|credentials?|auth[_-]?key|api[_.-]?key|"
    r"(?:access|secret|private|encryption|signing|account|master|shared|session|subscription)[_.-]?(?:access[_.-]?)?key|"
    r"(?:access|refresh|id|auth|bearer|session|security|csrf|xsrf|client|api)[_.-]?token|cvv|cvc)[\w.-]{0,24}|"
    r"token|session[_.-]?id|jsessionid|phpsessid|(?:set-)?cookies?)"
)

RULES = (
    Rule(
        "private_keys",
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:(?!-----END)[\s\S])*(?:-----END [A-Z0-9 ]{0,40}(?:-----)?)?"
        ),
        ("-----BEGIN ",),
        REDACTED,
        cased=True,
    ),
    Rule(
        "urls",
        re.compile(
            r"(?P<before>\b[a-z][a-z0-9+.-]{1,30}://)(?!REDACTED@)[^\s/\"'<>?#]+@|"
            r"(?P<name>[?&](?:sig|signature|x-amz-signature|x-amz-credential|x-amz-security-token|x-goog-signature|"
            r"x-goog-credential|key|auth|jwt|session|sid|ticket|otp|code_verifier|assertion)=)[^\s&#\"'<>]+",
            re.IGNORECASE,
        ),
        ("://", "="),
        _address,
    ),
    Rule(
        "authorization",
        re.compile(
            r"(?P<scheme>\b(?:proxy-)?authorization\\?[\"']?\s{0,4}(?:=>|[:=])\s{0,4}\\?[\"'\[]{0,2})"
            r"(?:(?:digest|hawk|signature|aws4-hmac-sha256)\s[^\r\n]+|"
            r"(?:(?:basic|bearer|negotiate|ntlm|token|apikey)\s{1,4})?+(?!REDACTED)[^\s\"'\\\]}]+)|"
            r"(?P<cookie>\b(?:set-)?cookie\s{0,2}[:=]\s{0,4})(?!REDACTED)[^\r\n\"'\s][^\r\n\"']*",
            re.IGNORECASE,
        ),
        ("authorization", "cookie"),
        _header,
    ),
    Rule(
        "bearer",
        re.compile(
            r"(?P<scheme>\b(?:bearer|basic)(?:\s{1,4}|%\d\d|\+))(?P<value>(?!REDACTED)[a-z0-9._~+/-]{8,}={0,2})",
            re.IGNORECASE,
        ),
        ("bearer", "basic"),
        _credential,
    ),
    Rule(
        "assignments",
        re.compile(
            rf"(?P<name>{_NAMES})(?P<between>\\?[\"']?\]?\s{{0,4}}(?:=>|:=|==?|:)\s{{0,4}})(?:(?P<escaped>\\[\"'])|(?P<plain>[\"']))?"
            r"(?P<value>(?(escaped)(?:(?!(?P=escaped))[\s\S])+|(?(plain)(?:\\[\s\S]|(?!(?P=plain))[^\\])+|"
            r"(?!REDACTED)(?:[^\s\"'&,;\\]|[&,;](?![\s\"'}]|$|[\w .%\[\]-]{1,64}[=:])|\\(?![\"'])|[\"'](?=\w))+)))",
            re.IGNORECASE,
        ),
        ("pass", "pwd", "secret", "token", "key", "credential", "session", "sessid", "cookie", "cvv", "cvc"),
        _assigned,
    ),
    Rule(
        "aws",
        re.compile(r"(?<![A-Za-z0-9])(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}(?![A-Za-z0-9])"),
        ("AKIA", "ASIA", "ABIA", "ACCA"),
        REDACTED,
        cased=True,
    ),
    Rule("jwts", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]*){0,4}"), ("eyJ",), REDACTED, cased=True),
    Rule(
        "vendors",
        re.compile(
            r"\b(?:fsk_[0-9a-f]{12}_[\w-]{8,}|gh[pousr]_\w{8,}|github_pat_\w{8,}|glpat-[\w-]{8,}|xox[abeoprs]-[\w-]{8,}|xapp-[\w-]{8,}|"
            r"hooks\.slack\.com/(?:services|workflows)/[\w/-]{8,}|discord(?:app)?\.com/api/webhooks/[\w/-]{8,}|"
            r"[rsp]k_(?:live|test)_\w{8,}|whsec_[\w+/=-]{8,}|AIza[\w-]{20,}|ya29\.[\w.-]{8,}|GOCSPX-[\w-]{8,}|"
            r"sk-(?=[\w-]{0,64}\d)[\w-]{16,}|SG\.[\w-]{8,}(?:\.[\w-]*)?|key-[0-9a-f]{32}|npm_\w{16,}|pypi-[\w-]{16,}|"
            r"do[opr]_v\d_\w{8,}|hf_\w{16,}|hv[bs]\.[\w-]{8,}|shp(?:at|ca|pa|ss)_\w{8,}|dapi[0-9a-f]{32}|sq\d[a-z]{3}-[\w-]{8,}|"
            r"NRAK-\w{8,}|lin_api_\w{8,}|AGE-SECRET-KEY-\d\w{8,}|\d{8,10}:AA[\w-]{30,}|PMAK-[\w-]{16,}|dckr_pat_[\w-]{8,}|"
            r"ATATT\d[\w=-]{16,})"
        ),
        (
            *(
                "fsk_",
                "ghp_",
                "gho_",
                "ghu_",
                "ghs_",
                "ghr_",
                "github_pat_",
                "glpat-",
                "xox",
                "xapp-",
                "hooks.slack.com/",
                "/api/webhooks/",
            ),
            *(
                "k_live_",
                "k_test_",
                "whsec_",
                "AIza",
                "ya29.",
                "GOCSPX-",
                "sk-",
                "SG.",
                "key-",
                "npm_",
                "pypi-",
                "_v1_",
                "hf_",
                "hvs.",
            ),
            *(
                "hvb.",
                "shpat_",
                "shpca_",
                "shppa_",
                "shpss_",
                "dapi",
                "sq0",
                "NRAK-",
                "lin_api_",
                "AGE-SECRET-KEY-1",
                ":AA",
                "PMAK-",
            ),
            *("dckr_pat_", "ATATT3"),
        ),
        REDACTED,
        cased=True,
    ),
    Rule("cards", re.compile(r"(?<![\w.-])[2-6](?:[ -]?[0-9]){12,18}(?![\w-]|\.[0-9])"), (), _card, exact=True),
    Rule(
        "emails",
        re.compile(r"(?<![\w.+-])[\w.+-]{1,64}(?:@|%[0-9][0-9])[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}"),
        ("@", "%"),
        REDACTED,
    ),
    Rule(
        "addresses",
        re.compile(
            r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)|"
            r"(?:[0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}(?![\w:])|"
            r"(?:[0-9a-fA-F]{1,4}:){1,6}(?::[0-9a-fA-F]{1,4}){1,6}(?![\w:])|(?:[0-9a-fA-F]{1,4}:){1,7}:(?![\w:])|"
            r"::(?:[0-9a-fA-F]{1,4}:){0,6}[0-9a-fA-F]{1,4}(?![\w:]))"
        ),
        (".", ":"),
        REDACTED,
    ),
)
"""In the order in which they are applied: what holds other secrets comes first."""
