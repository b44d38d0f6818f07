"""What is audited: a known defect fails, an unreachable source does not, and a licence has to be one of the list."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Generator
from contextlib import contextmanager
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deploy.audit import Accepted, accepted_in, audit_licences, audit_packages, licence_of
from deploy.locked import closure, direct_names, read_pins
from tests.cluster.servers import free_port
from tests.house.sources import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LOCK = f"jinja2==3.1.2 \\\n    --hash=sha256:{'0' * 64}\nmarkupsafe==2.1.3 \\\n    --hash=sha256:{'1' * 64}\n"
KNOWN = {
    "id": "GHSA-h5c8-rqwp-cp95",
    "aliases": ["CVE-2024-22195"],
    "summary": "HTML attribute injection",
    "affected": [
        {
            "package": {"name": "jinja2", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.3"}]}],
        }
    ],
}
NOTHING = Accepted(frozenset({"MIT"}))


@contextmanager
def osv(known: dict[str, Any], *, status: int = 200, body: bytes | None = None) -> Generator[tuple[str, list[str]]]:
    """Answer as OSV does, and yield its address with the names that were asked for."""
    asked: list[str] = []

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            query = json.loads(self.rfile.read(int(self.headers["content-length"])))
            asked.append(query["package"]["name"])
            found = {"vulns": [known[asked[-1]]]} if asked[-1] in known else {}
            data = json.dumps(found).encode() if body is None else body
            self.send_response(status)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1/query", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "lock.txt"
    path.write_text(LOCK)
    return path


def test_a_known_vulnerability_fails_by_its_names_unless_it_is_listed_with_a_reason(lock: Path) -> None:
    with osv({"jinja2": KNOWN}) as (url, asked):
        status, words = audit_packages(lock, NOTHING, url)
        assert (status, sorted(asked)) == (1, ["foreshock", "jinja2", "markupsafe"])
        assert "jinja2 3.1.2: CVE-2024-22195, GHSA-h5c8-rqwp-cp95, mended in 3.1.3" in words
        for name in ("CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"):
            accepted = Accepted(NOTHING.licences, vulnerabilities={name: "no template is a stranger's"})
            assert audit_packages(lock, accepted, url)[0] == 0
        stale = Accepted(NOTHING.licences, vulnerabilities={"CVE-2000-1": "gone", "CVE-2024-22195": "as above"})
        status, words = audit_packages(lock, stale, url)
        assert (status, "accepts CVE-2000-1, which no package has any more" in words) == (1, True)


def test_where_nothing_is_known_it_passes_and_says_of_how_many(lock: Path) -> None:
    with osv({}) as (url, _):
        assert audit_packages(lock, NOTHING, url) == (0, "2 packages of the lock looked up, 0 with a known vulnerability")


def test_where_nobody_can_be_asked_it_says_so_and_passes(lock: Path) -> None:
    status, words = audit_packages(lock, NOTHING, f"http://127.0.0.1:{free_port()}/v1/query")
    assert (status, words.startswith("packages were not audited: http://127.0.0.1:")) == (0, True)
    assert "cannot be reached (ConnectError" in words
    for proxy in (osv({}, status=403), osv({}, body=b"<html>log in to this network</html>")):
        with proxy as (url, _):
            status, words = audit_packages(lock, NOTHING, url)
            assert (status, "cannot be reached" in words) == (0, True)


def test_a_lock_that_cannot_be_read_does_not_pass_for_audited(tmp_path: Path) -> None:
    (tmp_path / "lock.txt").write_text("jinja2>=3\n")
    with osv({}) as (url, _):
        status, words = audit_packages(tmp_path / "lock.txt", NOTHING, url)
    assert status == 1
    assert "no report" in words


def test_every_package_of_the_runtime_has_a_licence_of_the_list() -> None:
    pins = closure(read_pins((ROOT / "constraints.txt").read_text(encoding="utf-8")), direct_names(PROJECT, []))
    status, words = audit_licences(sorted({pin.name for pin in pins}), accepted_in(PROJECT))
    assert status == 0, words


def test_a_licence_that_is_not_of_the_list_is_refused_by_name() -> None:
    accepted = accepted_in(PROJECT)
    without = Accepted(accepted.licences - {"MPL-2.0"}, accepted.licence_of)
    status, words = audit_licences(["bidict", "docutils", "numpy", "orjson"], without)
    assert status == 1
    assert "refused: bidict: MPL-2.0" in words
    assert "refused: orjson: MPL-2.0 AND (Apache-2.0 OR MIT)" in words
    assert "numpy" not in words
    status, words = audit_licences(["docutils"], Accepted(accepted.licences))
    assert (status, "refused: docutils: no licence that its metadata says plainly" in words) == (1, True)
    status, words = audit_licences(["idna"], Accepted(accepted.licences, {"gone": "MIT: it was there"}))
    assert (status, "names gone, which the runtime does not need" in words) == (1, True)
    assert audit_licences(["no-such-package"], NOTHING) == (
        0,
        "licences of 0 packages of the runtime looked at\nnot installed on this platform, so not looked at: no-such-package",
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"License-Expression": "MIT OR Apache-2.0", "License": "other"}, "MIT OR Apache-2.0"),
        ({"Classifier": "License :: OSI Approved :: ISC License (ISCL)"}, "ISC"),
        ({"Classifier": "License :: OSI Approved :: GNU General Public License (GPL)"}, ""),
        ({"License": "3-Clause BSD License"}, "BSD-3-Clause"),
        ({"License": "Apache-2.0"}, "Apache-2.0"),
        ({"License": "Copyright (c) somebody, all rights reserved"}, ""),
        ({}, ""),
    ],
)
def test_a_licence_is_read_where_metadata_says_it_plainly(headers: dict[str, str], expected: str) -> None:
    about = Message()
    for name, value in headers.items():
        about[name] = value
    assert licence_of(about) == expected


def test_two_classifiers_must_both_be_accepted() -> None:
    about = Message()
    about["Classifier"] = "License :: OSI Approved :: MIT License"
    about["Classifier"] = "License :: OSI Approved :: Apache Software License"
    assert licence_of(about) == "MIT AND Apache-2.0"
    about["Classifier"] = "License :: Other/Proprietary License"
    assert licence_of(about) == ""


def test_nothing_is_accepted_without_a_reason() -> None:
    for table in ({"vulnerabilities": {"CVE-1": " "}}, {"licence-of": {"docutils": "MIT"}}):
        with pytest.raises(SystemExit, match=r"must say why it accepts (?:CVE-1|docutils)"):
            accepted_in({"tool": {"foreshock": {"audit": {"licences": ["MIT"]} | table}}})
