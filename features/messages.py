"""What a message says, when neither types nor status codes do: the last and weakest evidence.

`features.classify` asks here with the message of a span or log record. Each row is tried in order, the
most telling first. The words are plain substrings of the lower-case text; a pattern looks closer only
where one of them was found. No pattern nests repetitions, and the text is bounded, so the time is too.
"""

from __future__ import annotations

import re
from functools import lru_cache

from features.exception_types import kind_of_type
from features.mask import zeroed
from features.status_codes import kind_of_http_status, kind_of_rpc_status

__all__ = ["MAX_CHARS", "kind_alike", "kind_of_message", "kind_said"]

MAX_CHARS = 1000
"""Characters of a message that are looked at."""

# kind, words (any of them), pattern that must match besides (empty: the word is enough)
_ROWS: tuple[tuple[str, str, str], ...] = (
    # finite things, before the timeouts and refusals that they cause
    ("disk_full", "no space left|disk full|disk is full|enospc|not enough space|out of disk|disk quota exceeded|insufficient storage", ""),
    ("disk_full", "could not extend file|database or disk is full|flood stage disk watermark|unable to extend t", ""),
    ("handle_exhaustion", "too many open files|emfile|cannot assign requested address|unable to create native thread", ""),
    ("handle_exhaustion", "unable to create new native thread|can't start new thread|resource temporarily unavailable", ""),
    ("out_of_memory", "out of memory|outofmemory|oomkilled|oom-kill|oom killer|java heap space|gc overhead limit|cannot allocate memory", ""),
    ("out_of_memory", "heap out of memory|memory limit exceeded|memory cgroup|exceeded memory limit|unable to allocate|maxmemory", ""),
    ("pool_exhausted", "too many connections|too many clients|remaining connection slots|max_connections|pool exhausted|pool is exhausted", ""),
    ("pool_exhausted", "connection is not available, request timed out|queuepool limit|timeout waiting for connection from pool", ""),
    ("pool_exhausted", "obtaining a connection from the pool|acquire connection from pool|timed out fetching a new connection", ""),
    ("pool_exhausted", "pool", r"pool\b.{0,60}(?:exhausted|empty|timed? ?out|timeout|no (?:idle|free|available)|full)"),
    ("pool_exhausted", "unable to acquire", r"unable to acquire .{0,20}connection|unable to acquire jdbc"),
    # concurrency
    ("deadlock", "deadlock", ""),
    ("lock_timeout", "lock wait timeout|lock timeout|database is locked|could not obtain lock|could not acquire lock|lock request time out", ""),
    ("lock_timeout", "lock", r"(?:acquir|obtain|wait).{0,40}\block\b.{0,40}(?:time|fail)|\block\b.{0,40}not available|failed to acquire.{0,20}lock"),
    ("conflict", "could not serialize access|optimistic lock|row was updated or deleted by another|write conflict|version conflict", ""),
    ("conflict", "conditional request failed|object has been modified|compare-and-set|stale object|restart transaction", ""),
    ("race", "data race|race condition|concurrent map|concurrently modified|changed size during iteration|dictionary changed", ""),
    # crash
    ("crash", "panic:|panicked at|segmentation fault|sigsegv|core dumped|sigabrt|fatal runtime error|stack smashing|fatal python error", ""),
    ("killed", "killed by signal|signal: killed|sigkill|exit code 137|exit status 137|evicted|preempted|liveness probe failed", ""),
    ("start_failed", "crashloopbackoff|address already in use|application failed to start|failed to start|readiness probe failed", ""),
    ("stack_overflow", "stack overflow|maximum recursion depth|maximum call stack|stackoverflow", ""),
    # who may do what
    ("token_expired", "token|session|jwt|credentials", r"(?:token|session|jwt|credentials?)\b.{0,30}expired|expired .{0,20}(?:token|session|jwt|credential)"),
    ("attack_blocked", "csrf|cross-site request|sql injection|blocked by waf|suspicious request|antiforgery", ""),
    ("missing_secret", "secret|api key|api_key|apikey|credential|password|private key",
     r"(?:secret|api[ _]?key|credentials?|password|private key)\b.{0,60}(?:not (?:found|set|provided|configured)|missing|is required|unset|is empty)"
     r"|(?:missing|no|without|unable to locate|could not (?:find|load)) .{0,30}(?:secret|api[ _]?key|credentials?|private key)"),
    ("unauthenticated", "unauthenticated|unauthorized|authentication failed|password authentication failed|invalid credentials", ""),
    ("unauthenticated", "bad credentials|access denied for user|login failed|invalid token|authentication required|invalid api key", ""),
    ("unauthenticated", "not authenticated|invalid username or password|jwt malformed|invalid signature|noauth|wrongpass|incorrect api key", ""),
    ("unauthenticated", "verification code|incorrect password|wrong password|password incorrect", r"verification code.{0,30}(?:wrong|incorrect|invalid|expired|mismatch)|password"),
    ("file_missing", "no such file or directory|cannot find the file|cannot find the path|enoent", ""),
    ("permission_denied", "permission denied|access denied|forbidden|not authorized|insufficient privilege|operation not permitted", ""),
    ("permission_denied", "insufficient permission|accessdenied|not allowed to access|lacks permission|eacces|eperm", ""),
    # limits
    ("rate_limited", "rate limit|ratelimit|too many requests|throttl|retry-after|retry after|request rate is large|requests per second", ""),
    ("quota_exceeded", "quota", r"quota.{0,40}(?:exceed|exhaust|reached|used up)|exceeded.{0,30}quota|insufficient[_ ]quota"),
    ("circuit_open", "circuit", r"circuit.{0,60}(?:open|not permit|tripped)"),
    ("overload", "overloaded|backpressure|back pressure|queue is full|queue full|load shed|too busy|rejected from|buffer is full|server busy", ""),
    ("overload", "concurrency limit|too many in-flight|too many pending|max inflight|executor is saturated", ""),
    # the network
    ("tls", "certificate|ssl|tls|x509|pkix",
     r"certificate.{0,60}(?:verif|expired|invalid|unknown|not valid|revoked|signed|trust|mismatch)|x509:|pkix path|(?:ssl|tls).{0,40}(?:error|handshake|alert|fail|version)"
     r"|(?:verify|unable to get).{0,20}certificate"),
    ("dns", "no such host|name or service not known|temporary failure in name resolution|could not resolve|enotfound|eai_again", ""),
    ("dns", "nodename nor servname|unknown host|unknownhost|name resolution|no address associated|failed to resolve|dns lookup|nxdomain", ""),
    ("dns", "dns", r"\bdns\b.{0,40}(?:fail|error|timeout)"),
    ("connection_refused", "connection refused|econnrefused|actively refused|errno 111|connect: refused|could not connect to server", ""),
    ("connection_reset", "connection reset|econnreset|broken pipe|epipe|socket hang up|remote end closed|unexpected eof|unexpected end of stream", ""),
    ("connection_reset", "server closed the connection|connection closed|connection was closed|connection aborted|lost connection|forcibly closed", ""),
    ("connection_reset", "connection has been closed|connection terminated|server has gone away|end of stream exception|premature close", ""),
    ("connection_reset", "connection was forcibly|closed by peer|closed by the remote|reset by peer|upstream connect error|transport is closing", ""),
    ("unreachable", "no route to host|network is unreachable|host is unreachable|ehostunreach|enetunreach|host is down|network partition", ""),
    ("connect_timeout", "connect timed out|connection timed out|connect timeout|connection timeout|timed out connecting|connecttimeout|dial", r"connect\w* ?time|connecting|dial.{0,120}(?:i/o timeout|timed out)"),
    # known sayings about dependencies
    ("dependency_unavailable", "no instances available|no servers available|service unavailable|no healthy upstream|no brokers available", ""),
    ("dependency_unavailable", "name not resolved to|no available server|no alive nodes|no nodes available|no living connections|no leader", ""),
    ("dependency_unavailable", "the database system is starting up|the database system is shutting down|not primary|node is not leader", ""),
    ("dependency_unavailable", "leader not available|coordinator not available|broker not available|load balancer does not contain", ""),
    ("dependency_unavailable", "server selection", r"server ?selection.{0,20}(?:time|error|fail)"),
    ("dependency_unavailable", "unavailable|unreachable|is down|not reachable",
     r"(?:service|server|backend|upstream|database|redis|kafka|broker|dependency|cluster|host|gateway|provider|api|shards?)\b.{0,40}"
     r"(?:unavailable|unreachable|is down|not reachable)|unavailable(?::| desc)"),
    ("bad_upstream_response", "bad gateway|invalid response from|unexpected response|unexpected status|bad response|invalid upstream response", ""),
    ("bad_upstream_response", "upstream prematurely|upstream sent|remote server returned an error|internal server error:|returned error status", ""),
    ("timeout", "timed out|timeout|deadline exceeded|time limit exceeded|time-out|etimedout|took too long|statement timeout", ""),
    # versions
    ("unsupported_format", "unsupported media type|content type|content-type|mime type|unsupported file|unknown file format",
     r"unsupported|not supported|unknown|mismatch|invalid"),
    ("version_mismatch", "version", r"version.{0,60}(?:mismatch|not supported|unsupported|incompatible|too old|too new|is required)|unsupported.{0,40}version|incompatible.{0,30}version|wrong version"),
    ("api_incompatible", "no such method|nosuchmethod|method not found|unknown method|method not allowed|unknown service|has no exported", ""),
    ("api_incompatible", "unexpected keyword argument|missing 1 required positional|required positional argument|incompatible api|deprecated api|unknown rpc", ""),
    ("missing_module", "no module named|cannot find module|class not found|cannot open shared object|could not load file or assembly", ""),
    ("missing_module", "command not found|executable file not found|cannot import name|noclassdeffound|module not found|imagepullbackoff", ""),
    # data
    ("data_loss", "corrupt|checksum mismatch|checksum error|crc mismatch|bad magic|data loss|invalid page|unrecoverable read", ""),
    ("schema_mismatch", "no such table|no such column|unknown column|undefined table|undefined column|unrecognized field|unknown field", ""),
    ("schema_mismatch", "schema|column|relation|table|field",
     r"schema.{0,60}(?:mismatch|incompatible|not compatible|invalid|registry|does ?n.t match)|(?:column|relation|table) .{0,80}does ?n[o']t exist"
     r"|missing required (?:field|column)|field .{0,40}not found in"),
    ("read_only", "read-only|read only|readonly", ""),
    ("duplicate", "duplicate key|duplicate entry|already exists|unique constraint|e11000|already registered|duplicate record|already exist", ""),
    ("integrity", "foreign key|violates|integrity constraint|constraint fails|constraint failed|constraint violation|cannot be null", ""),
    ("too_large", "too large|too long|exceeds the maximum|larger than max|payload too|body exceeded|maximum size|max.message.bytes", ""),
    ("malformed_data", "malformed|invalid json|unexpected token|unexpected end of json|expecting value|could not parse|cannot parse|failed to parse", ""),
    ("malformed_data", "invalid character|unmarshal|deserializ|can't decode|cannot decode|failed to decode|syntax error|parse error|not well-formed", ""),
    ("malformed_data", "invalid literal for|invalid utf|unterminated|cannot deserialize|unparseable|not valid json|parsing error|for input string", ""),
    # bugs
    ("null_reference", "nullpointer|null pointer|nil pointer|nonetype|of undefined|of null|null reference|not set to an instance|is not defined", ""),
    ("null_reference", " is null|is undefined| is none|is nil", r"(?:result|value|object|response|list|reference|variable|argument|it|\")\S{0,20} is (?:null|undefined|none|nil)\b|because .{0,100} is null"),
    ("out_of_bounds", "out of range|out of bounds|index out|keyerror|list index|outofbounds|slice bounds|sequence contains no", ""),
    ("arithmetic", "division by zero|divide by zero|integer overflow|arithmetic overflow|/ by zero", ""),
    ("type_error", "cannot be cast|classcast|unsupported operand|is not a function|is not iterable|type mismatch|has no attribute|not callable", ""),
    ("type_error", "interface conversion|cannot convert|is not subscriptable|must be str|unhashable type", ""),
    ("assertion", "assertion|assert failed|invariant violat|precondition failed|should never happen|unreachable code", ""),
    # configuration
    ("bad_configuration", "environment variable|config|property|setting|placeholder|misconfigur",
     r"misconfigur|(?:environment variable|config\w*|property|setting|placeholder)\b.{0,60}(?:not set|missing|invalid|not found|undefined|required|unknown|error|could not|fail)"
     r"|(?:invalid|missing|bad|unknown|could not (?:load|read|resolve)|failed to (?:load|read)) .{0,30}(?:config|environment variable|property|setting|placeholder)"),
    # business
    ("payment_declined", "insufficient funds|insufficient balance|card declined|card was declined|payment declined|payment failed|credit limit", ""),
    ("payment_declined", "not enough money|payment required|do not honor|payment was refused", ""),
    ("out_of_stock", "out of stock|sold out|insufficient stock|insufficient inventory|not enough stock|no seats|no seat available|not enough tickets", ""),
    ("business_rule", "status wrong|order status|business rule|not eligible|ineligible|policy violation|not permitted in state|is not allowed", ""),
    ("business_rule", "cannot be cancelled|cannot be refunded|already paid|already cancelled|already shipped|limit per customer|state transition", ""),
    # export, pipeline, work
    ("export_failed", "export", r"export.{0,60}(?:fail|error|reject|drop)|fail\w*.{0,30}\bexport"),
    ("pipeline_failed", "pipeline|publish|producer|etl|replication|sink|offset",
     r"(?:pipeline|etl|replication|sink)\b.{0,60}(?:fail|error|abort|stopped|stalled|lag)|fail\w* to (?:publish|produce|replicate|commit offset)|publish\w* .{0,40}failed"),
    ("message_failed", "dead letter|dead-letter|message", r"dead.letter|(?:process|handl|consum)\w* .{0,30}message.{0,30}(?:fail|error)|fail\w* to (?:process|handle|consume) .{0,30}(?:message|event)"),
    ("cancelled", "context canceled|cancelled|canceled|operation was aborted|request aborted|client closed request|interrupted", ""),
    ("shutdown", "shutting down|shut down|is closing|already closed|has been closed|is stopped|draining|sigterm|not running", ""),
    ("not_found", "not found|does not exist|doesn't exist|no such|no rows|not exist|could not find|cannot find|can't find|404",
     r"not found|exist|no such|no rows|find|\b404\b"),
    ("not_found", "no ", r"\bno (?:\w+ ){1,3}(?:according|with|for|matching|under|by) |\bno \w+ (?:was )?found"),
    ("validation", "invalid|validation|must be|must not|is required|illegal argument|bad request|not a valid|unexpected value|may not be", ""),
    ("unsupported", "not implemented|not supported|unsupported|unimplemented", ""),
    ("slow", "slow", r"slow (?:query|request|response|operation|call|log)|running slow|too slow"),
    ("io_error", "i/o error|input/output error|io error|read error|write error|disk error|medium error|stale file handle|eio", r"\bi/?o error|input/output|(?:read|write|disk|medium) error|stale file|\beio\b"),
    ("job_failed", "job|task|workflow|exit code|exit status|batch|cron",
     r"(?:job|task|workflow|batch|cron\w*)\b.{0,80}(?:failed|aborted|exited)|exit(?:ed)? (?:with )?(?:code|status) [1-9]|non-zero exit|failed (?:job|task)"),
)  # fmt: skip

_WORD = re.compile(r"[a-z0-9_]+")
_NO_HEX = re.compile(r"[g-z_]")

_Phrase = tuple[int, str]  # row and words


def _key(words: str) -> str:
    """Return the first word that ends before the phrase does: a text with the phrase holds it as a whole word."""
    return next((match[0] for match in _WORD.finditer(words) if match.end() < len(words)), "")


def _phrases() -> dict[str, list[_Phrase]]:
    """Return all phrases by the word that a text must hold for them; under no word those of a single word."""
    index: dict[str, list[_Phrase]] = {"": []}
    for number, (_, words, _) in enumerate(_ROWS):
        for phrase in words.split("|"):
            index.setdefault(_key(phrase), []).append((number, phrase))
    return index


# Searching a text for all 540 phrases takes longer than finding which of them its words allow.
_PHRASES = _phrases()
_OF_HEX = [phrase for phrase in _PHRASES[""] if not _NO_HEX.search(phrase[1])]
_PATTERNS = tuple(re.compile(pattern) if pattern else None for _, _, pattern in _ROWS)


@lru_cache(maxsize=8192)
def _within(word: str) -> tuple[_Phrase, ...]:
    """Return the phrases of a single word that a word holds; ids in hexadecimal are many, and hold few."""
    phrases = _PHRASES[""] if _NO_HEX.search(word) else _OF_HEX
    return tuple([phrase for phrase in phrases if phrase[1] in word])


_RPC_CODE = re.compile(
    r"\bcode = ([A-Za-z]+)|\b(?:StatusCode\.|Status\{code=|StatusRuntimeException: )([A-Z_]+)|^([A-Z_]{7,20}): |^\d{1,2} ([A-Z_]{7,20}): "
)
_HTTP_STATUS = re.compile(
    r"(?:status(?: code)?|http(?:/[0-9.]+)?|response(?: code)?|error|returned|code)[ :=\"']{1,4}([45]\d\d)\b"
    r"|\b([45]\d\d) (?:internal server|bad gateway|service unavailable|gateway time|client error|server error|not found|too many)",
    re.IGNORECASE,
)  # fmt: skip
# What every match holds, and what is found faster.
_MAY_HOLD_RPC_CODE = re.compile(r"code = |Status|^[A-Z_]{7}|^\d{1,2} [A-Z_]{7}")
_MAY_BE_STATUS = re.compile(r"[45]\d\d")
_TYPE = re.compile(r"(?<![\w.$])[A-Za-z_][\w.$]{0,200}(?:Exception|Error)(?![\w.])")


def kind_of_message(message: str) -> tuple[str, str]:
    """Return what a message says.

    Parameters
    ----------
    message : str
        Only the first `MAX_CHARS` characters count.

    Returns
    -------
    tuple of (str, str)
        Kind, empty when nothing is recognised, and what was recognised.

    Examples
    --------
    >>> kind_of_message("dial tcp 10.0.0.7:5432: connect: connection refused")
    ('connection_refused', 'connection refused')
    >>> kind_of_message("rpc error: code = NotFound desc = cart 7"), kind_of_message("it hurts")
    (('not_found', 'NotFound'), ('', ''))
    """
    text = message[:MAX_CHARS]
    # Words that name no failure of their own must not win over a specific type in the same message,
    # so sayings come first, then the codes and types that the message quotes.
    lower = text.lower()
    found: dict[int, str] = {}
    for word in dict.fromkeys(_WORD.findall(lower)):
        for number, phrase in _within(word):
            found.setdefault(number, phrase)
        for number, phrase in _PHRASES.get(word, ()):
            if phrase in lower:
                found.setdefault(number, phrase)
    for number in sorted(found):
        pattern = _PATTERNS[number]
        if pattern is None:
            return _ROWS[number][0], found[number]
        if match := pattern.search(lower):
            return _ROWS[number][0], match[0]
    return _quoted(text)


def _quoted(text: str) -> tuple[str, str]:
    """Return what a gRPC code, an exception type or an HTTP status that the message quotes says."""
    for match in _RPC_CODE.finditer(text) if _MAY_HOLD_RPC_CODE.search(text) else ():
        code = next(part for part in match.groups() if part)
        if (name := kind_of_rpc_status(code)[0]) and code.lower() not in ("error", "warning"):
            return name, code
    weak = ("", "")
    types = _TYPE.findall(text) if "Error" in text or "Exception" in text else []
    for found in types[::-1]:  # the innermost cause comes last
        name, specific = kind_of_type(found)
        if specific:
            return name, found
        weak = weak if weak[0] else (name, found if name else "")
    if _MAY_BE_STATUS.search(text) and (match := _HTTP_STATUS.search(text)):
        code = match[1] or match[2]
        return kind_of_http_status(code, client=True)[0], code
    return weak


# The numbers of a message mostly tell nothing about its kind; `_telling` finds all that do.
_TELLING = {"111", "137", "404", "509", "11000"} | {str(digit) for digit in range(10)}
_ERRORS_BEGIN = "45"  # of a status
_STATUS_DIGITS = 3
_NUMBER = re.compile("0+")


def kind_said(message: str) -> str:
    """Return the kind that `kind_of_message` does; what was answered for a like message, but for its numbers, is remembered.

    Examples
    --------
    >>> kind_said("process 17 was killed: exit code 137"), kind_said("process 18 ended: exit code 139")
    ('killed', 'job_failed')
    """
    text = message[:MAX_CHARS]
    plain = zeroed(text)
    for start, end, always in _telling(plain):
        number = text[start:end]
        if always or number in _TELLING or number[0] in _ERRORS_BEGIN:
            plain = plain[:start] + number + plain[end:]
    return _kind_said(plain)


def kind_alike(plain: str) -> str | None:
    """Return the kind of all messages that a text with all digits 0 stands for, None where it hangs on their digits.

    Examples
    --------
    >>> kind_alike("order 00 timed out"), kind_alike("exit code 000")
    ('timeout', None)
    """
    return None if _telling(plain[:MAX_CHARS]) else _kind_said(plain[:MAX_CHARS])


@lru_cache(maxsize=4096)
def _kind_said(text: str) -> str:
    return kind_of_message(text)[0]


@lru_cache(maxsize=4096)
def _telling(plain: str) -> tuple[tuple[int, int, bool], ...]:
    """Return where digits may tell something in a text whose digits are all 0, and whether they do whatever they are."""
    lower = plain.lower()
    if len(lower) != len(plain):  # places in one are none in the other
        return ((0, len(plain), True),)
    # Beside "exist" and "find" a 404 tells even as a part of a longer number.
    everywhere = "exist" in lower or "find" in lower
    spans: set[tuple[int, int, bool]] = set()
    for match in _NUMBER.finditer(lower):
        start, end = match.span()
        if everywhere:
            spans.add((start, end, True))
        spans.update((start, at, False) for at in _ends(lower[:start], end - start, lower[end : end + 1]))
    if "Error" in plain or "Exception" in plain:
        spans |= {(*match.span(), True) for match in _TYPE.finditer(plain)}
    return tuple(sorted(spans))


def _ends(before: str, length: int, after: str) -> set[int]:
    """Return where what may tell in a number ends: a status, a code of an exit or of an operating system, and the like."""
    start, lengths = len(before), set[int]()
    if length == _STATUS_DIGITS and not _in_word(before[-1:]) and not _in_word(after):
        lengths.add(_STATUS_DIGITS)
    if before.endswith(("errno ", "exit code ", "exit status ", "x")):
        lengths.add(_STATUS_DIGITS)
    if before.endswith(("code ", "status ", "missing ")):
        lengths.add(1)
    if before.endswith("e"):
        lengths.add(len("11000"))
    return {start + wanted for wanted in lengths if wanted <= length}


def _in_word(sign: str) -> bool:
    return sign.isalnum() or sign == "_"
