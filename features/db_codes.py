"""What the status codes of databases say: SQLSTATE, vendors' numbers and error prefixes.

`features.classify` asks here with ``db.response.status_code`` and ``db.system.name``.

References: SQL:2016 and appendix A of the PostgreSQL manual (SQLSTATE), and the error references of MySQL,
Oracle, SQL Server, MongoDB, Redis and Cassandra.
"""

from __future__ import annotations

import re

from features.status_codes import kind_of_http_status, status_number

__all__ = ["kind_of_db_status"]

_RAISED = range(20000, 21000)  # Oracle's raise_application_error: numbers that the application chose

# SQLSTATE: five characters first, then the class of two.
_SQLSTATE: dict[str, str] = {
    "08001": "connection_refused",
    "08004": "connection_refused",
    "08006": "connection_reset",
    "08003": "connection_reset",
    "08P01": "version_mismatch",
    "22001": "too_large",
    "22012": "arithmetic",
    "22P02": "malformed_data",
    "22021": "malformed_data",
    "23505": "duplicate",
    "25006": "read_only",
    "28P01": "unauthenticated",
    "40001": "conflict",
    "40P01": "deadlock",
    "42501": "permission_denied",
    "53100": "disk_full",
    "53200": "out_of_memory",
    "53300": "pool_exhausted",
    "53400": "quota_exceeded",
    "54001": "too_large",
    "55P03": "lock_timeout",
    "55006": "lock_timeout",
    "57014": "cancelled",
    "57P01": "shutdown",
    "57P02": "crash",
    "57P03": "dependency_unavailable",
    "57P05": "timeout",
    "58P01": "file_missing",
    "HYT00": "timeout",
    "HYT01": "connect_timeout",
    "25P03": "timeout",
    "XX001": "data_loss",
    "XX002": "data_loss",
    "08": "network",
    "0A": "unsupported",
    "02": "not_found",
    "20": "internal_error",
    "21": "schema_mismatch",
    "22": "validation",
    "23": "integrity",
    "24": "illegal_state",
    "25": "illegal_state",
    "26": "illegal_state",
    "28": "unauthenticated",
    "34": "illegal_state",
    "3D": "bad_configuration",
    "3F": "schema_mismatch",
    "40": "conflict",
    "42": "schema_mismatch",
    "44": "integrity",
    "53": "quota_exceeded",
    "54": "too_large",
    "55": "illegal_state",
    "57": "dependency_unavailable",
    "58": "io_error",
    "F0": "bad_configuration",
    "HV": "bad_upstream_response",
    "P0": "business_rule",
    "XX": "internal_error",
}
_SQLSTATE_FORM = re.compile(r"[0-9A-Z]{5}")

_VENDOR: dict[str, dict[str, str]] = {
    "mysql": {
        "pool_exhausted": "1040 1203 1226",
        "unauthenticated": "1045 1044 1698",
        "permission_denied": "1142 1143 1227 1370 3118",
        "duplicate": "1062 1586 1050 1007",
        "integrity": "1048 1216 1217 1451 1452 1557 3819",
        "lock_timeout": "1205 3572",
        "deadlock": "1213",
        "schema_mismatch": "1054 1146 1136 1305 1364 1049",
        "malformed_data": "1064 1366 1292 1149",
        "too_large": "1153 1406 1118 2020",
        "validation": "1264 1265 1411",
        "disk_full": "1021 1114",
        "out_of_memory": "1037 1038 1041",
        "connection_refused": "2002 2003 1130 1129",
        "dns": "2005",
        "connection_reset": "2006 2013 1158 1159 1160 1161 1152 1184",
        "timeout": "3024 1969",
        "cancelled": "1317",
        "read_only": "1290 1836 1792",
        "shutdown": "1053 1077 1079",
        "data_loss": "1194 1195 1712",
        "tls": "2026 3159",
    },
    "oracle": {
        "duplicate": "1",
        "integrity": "1400 2290 2291 2292",
        "lock_timeout": "54 30006",
        "deadlock": "60",
        "conflict": "8177",
        "schema_mismatch": "904 942 913 947",
        "malformed_data": "1722 1843 1858 1861 900 933 936",
        "not_found": "1403",
        "cancelled": "1013",
        "pool_exhausted": "18 20 12516 12520 12519",
        "out_of_memory": "4031 4030",
        "disk_full": "1653 1654 1688 257 19809 1536",
        "unauthenticated": "1017 28000",
        "token_expired": "28001",
        "permission_denied": "1031",
        "connection_reset": "3113 3114 3135 12537",
        "connection_refused": "12541",
        "timeout": "12170 1051",
        "dns": "12154 12545",
        "bad_configuration": "12505 12514",
        "dependency_unavailable": "1033 1034 1089 12528",
        "too_large": "12899 1438",
        "data_loss": "1578",
    },
    "microsoft.sql_server": {
        "deadlock": "1205",
        "lock_timeout": "1222",
        "duplicate": "2601 2627 2714",
        "integrity": "547 515",
        "schema_mismatch": "207 208 213 2812 4121",
        "timeout": "-2",
        "connection_refused": "53 2 40",
        "connection_reset": "64 121 233 10053 10054",
        "connect_timeout": "10060 258",
        "unauthenticated": "18456 18452",
        "permission_denied": "229 230 916 262",
        "bad_configuration": "4060 911",
        "disk_full": "1105 9002 1101",
        "out_of_memory": "701 802",
        "too_large": "8152 2628",
        "malformed_data": "102 245 241 8114",
        "rate_limited": "40501 49918 49919 49920 10928 10929",
        "dependency_unavailable": "40197 40613 40143",
        "conflict": "3960 1204",
        "read_only": "3906",
        "data_loss": "823 824 825",
    },
    "mongodb": {
        "unreachable": "6 7",
        "network": "9001",
        "timeout": "50 89 262 202",
        "duplicate": "11000 11001 12582 48",
        "validation": "2 14 121 9",
        "permission_denied": "13",
        "unauthenticated": "18 11",
        "conflict": "112 251",
        "lock_timeout": "24 46",
        "read_only": "10107 13435 10058",
        "dependency_unavailable": "91 189 11600 11602 13436 133",
        "not_found": "26 43",
        "too_large": "10334 17280 17419",
        "unsupported": "59 115 20",
        "disk_full": "14031",
        "quota_exceeded": "12501",
        "out_of_memory": "146 292",
    },
    "redis": {
        "type_error": "WRONGTYPE",
        "out_of_memory": "OOM",
        "unauthenticated": "NOAUTH WRONGPASS",
        "permission_denied": "NOPERM",
        "dependency_unavailable": "LOADING CLUSTERDOWN MASTERDOWN TRYAGAIN MISCONF NOREPLICAS",
        "conflict": "MOVED ASK EXECABORT CROSSSLOT",
        "read_only": "READONLY",
        "overload": "BUSY",
        "not_found": "NOSCRIPT NOGROUP",
        "duplicate": "BUSYGROUP BUSYKEY",
        "validation": "ERR",
    },
    "cassandra": {
        "internal_error": "0 server_error",
        "dependency_unavailable": "4096 unavailable is_bootstrapping 4098",
        "overload": "4097 overloaded",
        "timeout": "4352 4608 write_timeout read_timeout",
        "schema_mismatch": "8704 8192",
        "unauthenticated": "256 bad_credentials",
        "permission_denied": "8448",
        "duplicate": "9216",
    },
}
_VENDOR_CODES = {
    system: {code.upper(): name for name, codes in table.items() for code in codes.split()} for system, table in _VENDOR.items()
}
_SAME_SYSTEM = {
    "mariadb": "mysql",
    "mssql": "microsoft.sql_server",
    "azure.sql": "microsoft.sql_server",
    "oracle.db": "oracle",
    "oracledb": "oracle",
    "valkey": "redis",
    "azure.cosmosdb": "http",
    "cosmosdb": "http",
    "elasticsearch": "http",
    "opensearch": "http",
    "couchdb": "http",
    "influxdb": "http",
    "aws.dynamodb": "http",
}


def kind_of_db_status(status: str, system: str) -> tuple[str, bool]:
    """Return what the status of a database says.

    Parameters
    ----------
    status : str
        ``db.response.status_code``: a SQLSTATE, a vendor's number (``ORA-00060`` too) or an error prefix.
    system : str
        ``db.system.name`` or ``db.system``; may be empty.

    Examples
    --------
    >>> kind_of_db_status("40P01", "postgresql"), kind_of_db_status("ORA-00060", "oracle.db"), kind_of_db_status("1205", "mysql")
    (('deadlock', True), ('deadlock', True), ('lock_timeout', True))
    """
    code, system = status[:64].strip().upper(), system.strip().lower()
    system = _SAME_SYSTEM.get(system, system)
    if system == "http":
        return kind_of_http_status(code, client=True)
    codes = _VENDOR_CODES.get(system, {})
    short = code.removeprefix("ORA-").lstrip("0") or "0"
    if system == "oracle" and status_number(short) in _RAISED:
        return "business_rule", True
    if short in codes or code in codes:
        return codes.get(short, codes.get(code, "")), True
    if _SQLSTATE_FORM.fullmatch(code):
        name = _SQLSTATE.get(code) or _SQLSTATE.get(code[:2], "")
        return name, bool(name)
    return "", False
