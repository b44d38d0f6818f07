"""The frames of a stack trace that belong to the application, in any of six languages.

Stack traces come with span events and log records; `features.fingerprint` names groups by the frames
that are left here, which a new build or another address does not change.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import islice

__all__ = ["MAX_FRAMES", "frames"]

MAX_FRAMES = 3
"""Frames that name a group; guessed: deeper ones say where the call came from, not what failed."""

_MAX_CHARS = 8000  # guessed; twice what ingest keeps of a stack by default

_PYTHON = re.compile(r'^\s*File "([^"\n]+)", line \d+, in (\S+)', re.MULTILINE)
_FRAMES = re.compile(
    r"""^\s*(?:
        at\s+(?:async\s+|new\s+)?(?P<at>[^\n]+)                # Java, .NET, JavaScript
      | \d+:\s+(?:0x[0-9a-f]+\s+-\s+)?(?P<rust>[\w<][^\n]*::[^\n]+)  # Rust
      | (?P<go>[\w.~/-]+\.[\w.*()\[\]-]+)\([^\n]*\)[ \t]*$     # Go
    )""",
    re.VERBOSE | re.MULTILINE,
)
_LIBRARY = re.compile(
    r"""
    ^(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|reactor|rx|io\.(?:netty|grpc|opentelemetry|micrometer|vertx)
       |org\.(?:springframework|apache|hibernate|eclipse|jboss|junit|postgresql)|com\.(?:fasterxml|zaxxer|mysql|google\.common)|okhttp3
       |feign|System|Microsoft|Npgsql|Newtonsoft|runtime|net|net/http|reflect|sync|database/sql|testing|google\.golang\.org
       |core|std|alloc|tokio|hyper|axum|tower|rust_begin_unwind|__rust\w*|backtrace|futures\w*)(?:[./:$]|$)
    | node:|node_modules/|\(internal/|^internal/|<anonymous>|site-packages|dist-packages|/lib/python\d|<frozen|\bnative\b
    """,
    re.VERBOSE,
)
# What another build, host or run changes: positions, addresses, generated classes, closures' numbers, hashes.
_NOISE = re.compile(
    r"\s+in\s+[^\n]*:line\s\d+|:line\s\d+|\([^()\n]*\.(?:java|kt|scala|groovy)(?::\d+)?\)|:\d+(?::\d+)?|0x[0-9a-fA-F]+"
    r"|\$\$\w+|\$\d+|::h[0-9a-f]{16}|\+\d+|\[\w+\.jar[^\]]*\]|(?<=\.func)\d+(?:\.\d+)*"
)


@lru_cache(maxsize=2048)  # at most some ten megabytes; the errors of a fault share few stacks
def frames(stack: str) -> tuple[str, ...]:
    r"""Return the top frames of the application, innermost first.

    Parameters
    ----------
    stack : str
        A stack trace of Java, Python, .NET, Go, JavaScript or Rust; anything else has no frames.

    Returns
    -------
    tuple of str
        At most `MAX_FRAMES`, without line numbers, addresses and generated names.

    Examples
    --------
    >>> frames("java.io.IOException\n\tat java.net.Socket.read(Socket.java:9)\n\tat shop.Cart.add(Cart.java:42)")
    ('shop.Cart.add',)
    >>> frames('Traceback\n  File "/app/a.py", line 3, in main\n  File "/app/b.py", line 9, in load')
    ('/app/b.py load', '/app/a.py main')
    """
    text = stack[-_MAX_CHARS:]
    python = [f"{file} {name}" for file, name in _PYTHON.findall(text)]
    if python:
        found = python[::-1]
    else:
        found = [str(match["at"] or match["rust"] or match["go"]) for match in _FRAMES.finditer(stack[:_MAX_CHARS])]
    kept = (_NOISE.sub("", frame).strip() for frame in found if not _LIBRARY.search(frame))
    return tuple(islice((frame for frame in kept if frame), MAX_FRAMES))
