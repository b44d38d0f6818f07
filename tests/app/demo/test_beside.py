"""A node beside the one who looks at it."""

from __future__ import annotations

from pathlib import Path

import httpx

from app.demo.beside import beside
from tests.nodes import until


def test_it_answers_where_it_says_and_is_gone_afterwards(tmp_path: Path) -> None:
    with beside(tmp_path / "log", "serve", "--data", str(tmp_path / "data")) as (process, url):

        def answers() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                return httpx.get(f"{url}/livez").is_success
            except httpx.HTTPError:
                return False

        until(answers, "an answer")
    assert process.returncode == 0
    assert f"{url}/api/v1/predictions" in (tmp_path / "log").read_text()


def test_one_that_cannot_start_ends_by_itself(tmp_path: Path) -> None:
    with beside(tmp_path / "log", "serve", "--config", str(tmp_path / "absent.toml")) as (process, _):
        process.wait(60)
    assert process.returncode == 2
