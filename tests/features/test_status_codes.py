from __future__ import annotations

import pytest

from features.status_codes import kind_of_http_status, kind_of_rpc_status, status_number
from features.taxonomy import KINDS

GRPC = (
    "OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED"
    " FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED"
)


@pytest.mark.parametrize("code", range(400, 600))
@pytest.mark.parametrize("client", [True, False])
def test_every_failing_http_status_has_a_kind(code: int, client: bool) -> None:
    assert kind_of_http_status(str(code), client=client)[0] in KINDS


@pytest.mark.parametrize("status", ["200", "302", "", "abc", "-1", "1e3", "999999999"])
def test_a_status_that_is_no_failure_says_nothing(status: str) -> None:
    assert kind_of_http_status(status, client=True) == ("", False)


@pytest.mark.parametrize(("code", "name"), list(enumerate(GRPC.split())))
def test_a_grpc_status_means_the_same_as_number_and_as_name_in_any_case(code: int, name: str) -> None:
    found = kind_of_rpc_status(str(code))
    assert found == kind_of_rpc_status(name) == kind_of_rpc_status(name.lower()) == kind_of_rpc_status(f"StatusCode.{name}")
    assert (found[0] in KINDS) == (name not in ("OK", "UNKNOWN"))


def test_both_spellings_of_cancelled_are_known() -> None:
    assert kind_of_rpc_status("canceled") == kind_of_rpc_status("CANCELLED") == ("cancelled", True)


@pytest.mark.parametrize("status", ["17", "-5", "", "sideways"])
def test_a_foreign_rpc_status_says_nothing(status: str) -> None:
    assert kind_of_rpc_status(status) == ("", False)


def test_digits_of_other_scripts_are_no_number() -> None:
    assert status_number("\u0664\u0660\u0664") == -1
