from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.db_codes import kind_of_db_status
from features.taxonomy import KINDS


@pytest.mark.parametrize(
    ("status", "system", "kind"),
    [
        ("08006", "postgresql", "connection_reset"),
        ("28P01", "postgresql", "unauthenticated"),
        ("42P01", "postgresql", "schema_mismatch"),
        ("23503", "postgresql", "integrity"),
        ("57014", "postgresql", "cancelled"),
        ("25006", "", "read_only"),
        ("22003", "other_sql", "validation"),
        ("1040", "mysql", "pool_exhausted"),
        ("1213", "mariadb", "deadlock"),
        ("2013", "mysql", "connection_reset"),
        ("23000", "mysql", "integrity"),
        ("ORA-01017", "oracle", "unauthenticated"),
        ("12541", "oracle.db", "connection_refused"),
        ("ORA-00001", "oracle.db", "duplicate"),
        ("-2", "mssql", "timeout"),
        ("18456", "microsoft.sql_server", "unauthenticated"),
        ("112", "mongodb", "conflict"),
        ("WRONGTYPE", "redis", "type_error"),
        ("moved", "valkey", "conflict"),
        ("4608", "cassandra", "timeout"),
        ("503", "opensearch", "dependency_unavailable"),
    ],
)
def test_a_status_is_read_in_its_database_s_own_terms(status: str, system: str, kind: str) -> None:
    assert kind_of_db_status(status, system)[0] == kind


@pytest.mark.parametrize(("status", "system"), [("00000", "postgresql"), ("9", "mysql"), ("", "redis"), ("ZZZZZ", "")])
def test_a_status_that_nobody_documents_says_nothing(status: str, system: str) -> None:
    assert kind_of_db_status(status, system) == ("", False)


@given(st.text(), st.sampled_from(["", "mysql", "oracle", "redis", "mongodb", "elasticsearch", "x"]))
def test_any_status_has_an_answer(status: str, system: str) -> None:
    kind, _ = kind_of_db_status(status, system)
    assert kind in KINDS or kind == ""
