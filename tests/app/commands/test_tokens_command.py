"""Tokens in a folder that nobody holds and through a node: what is done is in the audit log, and who does not answer is named."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from app.auth import AuditLog
from app.auth.tokens import BUCKET
from app.clock import utc_now
from app.commands.tokens_command import Place, asked_of, in_store, line, over_rest, seconds_of, tell
from app.opening import open_alone
from features.errors import ForeshockError, InvalidValue
from tests.app.commands.test_tokens_cli import COLLECTOR, demanding, run


def test_what_a_command_does_is_in_the_audit_log_also_where_it_is_refused(tmp_path: Path) -> None:
    settings = demanding(tmp_path)
    run("create", "--data", tmp_path, *COLLECTOR)
    with in_store(settings) as asked:
        first = asked.rotate("collector", 0.0)["token"]
        asked.revoke("collector")
        with pytest.raises(ForeshockError, match="collector"):
            asked.revoke("collector")
    assert first.startswith("fsk_")
    with closing(open_alone(settings)) as store:
        deeds = list(AuditLog(store.documents, utc_now, 1e6).deeds())
        assert store.documents.items(BUCKET)
    assert [(deed.action, deed.outcome) for deed in deeds] == [
        ("token.revoke", "refused"),
        ("token.revoke", "done"),
        ("token.rotate", "done"),
        ("token.create", "done"),
    ]
    assert {deed.object for deed in deeds} == {"/api/v1/tokens/collector"}
    assert all(deed.principal.startswith("command line, ") for deed in deeds)


def test_who_does_not_answer_is_named() -> None:
    with over_rest("http://127.0.0.1:1", "") as asked, pytest.raises(InvalidValue, match="does not answer"):
        asked.all()
    with pytest.raises(InvalidValue, match="--url must be an address"), over_rest("http://a:b", ""):
        pass


@pytest.mark.parametrize("text", ["", "h", "-1s", "1w", "1e3", "1 h", "9" * 30])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidValue, match="length of time"):
        seconds_of(text)


def test_a_folder_is_made_for_a_new_token_alone(tmp_path: Path) -> None:
    nowhere = tmp_path / "dta"
    with pytest.raises(InvalidValue, match=f"{nowhere} is no data folder of Foreshock"), asked_of(Place(data=nowhere)):
        pass
    assert not nowhere.exists()
    with asked_of(Place(data=nowhere), new=True) as asked:
        assert asked.all() == []


@pytest.mark.parametrize(
    ("of", "ends"),
    [
        ({}, "valid"),
        ({"expires_at": "2026-12-01T00:00:00Z"}, "ends 2026-12-01T00:00:00Z"),
        ({"expires_at": "2026-11-01T00:00:00Z", "valid": False}, "ended 2026-11-01T00:00:00Z"),
        ({"revoked_at": "2026-11-02T00:00:00Z", "valid": False}, "revoked 2026-11-02T00:00:00Z"),
    ],
)
def test_a_line_says_how_long_a_token_is_taken(of: dict[str, object], ends: str, capsys: pytest.CaptureFixture[str]) -> None:
    token = {"name": "a", "scopes": ["read"], "tenants": ["*"], "revoked_at": None, "expires_at": None, "valid": True} | of
    assert line(token).split(maxsplit=3) == ["a", "read", "*", ends]
    tell(token | {"token": "fsk_x"}, as_json=False)
    told = capsys.readouterr()
    assert (told.out, line(token) in told.err) == ("fsk_x\n", True)
