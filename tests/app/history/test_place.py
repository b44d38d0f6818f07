"""Where history lies, and what every call of an object store is bound by."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.history.place import place_of


@pytest.mark.parametrize(
    "place", ["/var/history", Path("/var/history"), "/var/history/", "file:///var/history", "file:///var/history/"]
)
def test_a_folder_is_a_folder_however_it_is_written(place: str | Path) -> None:
    found = place_of(place)
    assert (found.folder, found.table("facts"), found.options) == (Path("/var/history"), "/var/history/facts", None)


def test_a_folder_with_a_blank_in_its_url_is_found() -> None:
    assert place_of("file:///var/lib/my%20history").folder == Path("/var/lib/my history")


@pytest.mark.parametrize("url", ["s3://bucket/history", "gs://bucket", "az://container/a/b"])
def test_calls_of_an_object_store_end_in_time(url: str) -> None:
    found = place_of(url + "/")
    assert (found.url, found.folder) == (url, None)
    assert found.options is not None
    assert {"connect_timeout", "timeout", "max_retries", "retry_timeout"} <= found.options.keys()


def test_commits_in_s3_are_conditional_unless_something_else_keeps_writers_apart() -> None:
    def conditional(**options: str) -> bool:
        found = place_of("s3://bucket", options).options
        return found is not None and "conditional_put" in found

    assert conditional()
    assert conditional(AWS_REGION="eu-central-1")
    assert not conditional(AWS_S3_LOCKING_PROVIDER="dynamodb")
    assert not conditional(aws_conditional_put="etag")


def test_options_that_are_given_win_and_are_not_printed() -> None:
    found = place_of("s3://bucket", {"MAX_RETRIES": "0", "aws_secret_access_key": "hush"})
    assert found.options is not None
    assert (found.options["max_retries"], found.options["aws_secret_access_key"]) == ("0", "hush")
    assert "hush" not in repr(found)
