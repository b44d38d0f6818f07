"""Handle errors by what they are: classify one, take the advice, and send the same request again only where that is safe.

    python docs/examples/error_handling.py [--url http://127.0.0.1:8318]

A small server plays a payment provider that is overloaded twice and then answers, and one that refuses a card. Foreshock says of each failure
what kind it is, whether the same request may be sent again, and how long to wait. It needs a running service (`make run`), and sends it nothing but
the two errors.
"""

from __future__ import annotations

import argparse
import http.server
import random
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

import httpx

from app.client import Foreshock

__all__ = ["call", "main", "provider"]


def call(
    client: Foreshock, request: Callable[[], httpx.Response], *, idempotent: bool, sleep: Callable[[float], None] = time.sleep
) -> httpx.Response:
    """Send a request, and send it again as long as its failures are of a kind that permits it.

    Parameters
    ----------
    client : Foreshock
        Says what kind a failure is.
    request : callable
        Sends it.
    idempotent : bool
        Whether the receiver may take it twice.
    sleep : callable
        Waits for seconds.
    """
    attempt = 0
    while True:
        answer = request()
        if answer.is_success:
            return answer
        verdict = client.classify(
            service="shop",
            message=answer.text,
            attributes={"http.response.status_code": answer.status_code, "http.request.method": "POST"},
        )
        retry = verdict.advice.retry
        allowed = retry.safe == "yes" or (retry.safe == "if_idempotent" and idempotent)
        print(f"  {answer.status_code} is {verdict.category}/{verdict.kind}: {verdict.advice.now}")
        if not allowed or attempt >= retry.attempts:
            print(f"  not sent again (safe: {retry.safe})")
            return answer
        wait = random.uniform(0.0, min(retry.first_s * retry.factor**attempt, retry.max_s))  # noqa: S311 - jitter, not a secret
        print(f"  again in {wait:.1f} s")
        sleep(wait)
        attempt += 1


@contextmanager
def provider() -> Generator[str]:
    """Run the payment provider and give its address."""
    left = iter([429, 503])

    class Provider(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status = 402 if self.path == "/refused" else next(left, 200)
            text = {402: "card declined", 429: "too many requests", 503: "service overloaded"}.get(status, "paid").encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def main(arguments: list[str] | None = None, sleep: Callable[[float], None] = time.sleep) -> list[int]:
    """Pay twice, and return the status of the last answer of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", default="http://127.0.0.1:8318", help="of the service")
    asked = parser.parse_args(arguments)
    found: list[int] = []
    with Foreshock(asked.url) as client, provider() as url, httpx.Client() as http_client:
        for path in ("/payments", "/refused"):
            print(f"POST {path}")
            answer = call(client, lambda path=path: http_client.post(url + path), idempotent=True, sleep=sleep)
            print(f"  {answer.status_code} {answer.text}")
            found.append(answer.status_code)
    return found


if __name__ == "__main__":
    main()
