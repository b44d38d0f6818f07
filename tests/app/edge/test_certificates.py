"""Certificates are shown on every listener, replaced without a restart, and never by one that cannot be used."""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Generator
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import grpc
import httpx
import pytest
import trustme
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from app.edge.certificates import LOOK_S, Certificates
from app.edge_settings import TlsSettings
from app.telemetry import Telemetry
from features.errors import InvalidSetting
from tests.app.ingest.requests import a_log, as_json, as_protobuf, logs
from tests.nodes import RunningNode, run_node, until

EXPORT = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
NOW_S = datetime.now(UTC).timestamp()


@dataclass
class Files:
    """The files that a node reads, in a folder of a test."""

    folder: Path

    @property
    def certificate(self) -> Path:
        return self.folder / "tls.pem"

    @property
    def key(self) -> Path:
        return self.folder / "tls.key"

    @property
    def client_ca(self) -> Path:
        return self.folder / "clients.pem"

    def write(self, authority: trustme.CA, ends: datetime | None = None, *, key_of: trustme.LeafCert | None = None) -> None:
        leaf = authority.issue_cert("127.0.0.1", "localhost", not_after=ends)
        self.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        self.key.write_bytes((key_of or leaf).private_key_pem.bytes())

    def settings(self, *, mutual: bool = False) -> TlsSettings:
        return TlsSettings(certificate=self.certificate, key=self.key, client_ca=self.client_ca if mutual else None)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(tmp_path: Path, authority: trustme.CA) -> Files:
    folder = tmp_path / "tls"
    folder.mkdir()
    found = Files(folder)
    found.write(authority)
    return found


def trusting(authority: trustme.CA, shown: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return the context of a client, which shows a certificate of its own where it has one."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if shown is not None:
        shown.configure_cert(context)
    return context


def channel_to(address: str, authority: trustme.CA, shown: trustme.LeafCert | None = None) -> grpc.Channel:
    pem = authority.cert_pem.bytes()
    if shown is None:
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(pem))
    chain = b"".join(blob.bytes() for blob in shown.cert_chain_pems)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(pem, shown.private_key_pem.bytes(), chain))


def exported(channel: grpc.Channel) -> ExportLogsServiceResponse:
    with channel:
        said = channel.unary_unary(EXPORT)(as_protobuf(logs(a_log()), "logs"), timeout=30)
    return ExportLogsServiceResponse.FromString(said)


def serial_of(address: str, authority: trustme.CA) -> str:
    """Return the serial number of the certificate that a listener shows to a new connection."""
    host, _, port = address.removeprefix("https://").rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=30) as plain,
        trusting(authority).wrap_socket(plain, server_hostname=host) as connection,
    ):
        shown = connection.getpeercert()
    assert shown is not None
    return str(shown["serialNumber"])


@pytest.fixture
def node(tmp_path: Path, files: Files) -> Generator[RunningNode]:
    with run_node(tmp_path / "data", security__tls=files.settings().model_dump()) as running:
        yield running


def test_all_three_listeners_speak_tls_and_nothing_else(node: RunningNode, authority: trustme.CA) -> None:
    served, context = node.served, trusting(authority)
    assert served.api.startswith("https://")
    assert httpx.get(f"{served.api}/livez", verify=context).json() == {"status": "ok"}
    json_headers = {"content-type": "application/json"}
    sent = httpx.post(f"{served.otlp_http}/v1/logs", content=as_json(logs(a_log())), headers=json_headers, verify=context)
    assert (sent.status_code, sent.json()) == (200, {})
    assert exported(channel_to(served.otlp_grpc, authority)) == ExportLogsServiceResponse()
    for url in (served.api, served.otlp_http):
        with pytest.raises(httpx.HTTPError):
            httpx.get(url.replace("https:", "http:"))
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(url)
    with pytest.raises(grpc.RpcError) as plain:
        exported(grpc.insecure_channel(served.otlp_grpc))
    assert plain.value.code() == grpc.StatusCode.UNAVAILABLE


def test_sdk_exporters_send_over_tls(
    node: RunningNode, files: Files, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would win over what the exporter was given
        monkeypatch.delenv(name, raising=False)
    ca = files.folder / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    exporters: list[SpanExporter] = [
        HttpExporter(f"{node.served.otlp_http}/v1/traces", certificate_file=str(ca)),
        GrpcExporter(f"https://{node.served.otlp_grpc}", credentials=grpc.ssl_channel_credentials(ca.read_bytes())),
    ]
    for exporter in exporters:
        provider = TracerProvider(resource=Resource({"service.name": "shop"}))
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        with provider.get_tracer("test").start_as_current_span("order"):
            pass
        provider.shutdown()
    assert node.node.telemetry.value("records", signal="traces") == 2


@pytest.mark.parametrize("which", ["api", "otlp_http", "otlp_grpc"])
def test_no_version_of_tls_below_1_2_is_spoken(node: RunningNode, authority: trustme.CA, which: str) -> None:
    host, _, port = getattr(node.served, which).removeprefix("https://").rpartition(":")
    spoken: list[str] = []
    for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = trusting(authority)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # else the client itself would refuse
        context.set_alpn_protocols(["h2", "http/1.1"])
        with pytest.warns(DeprecationWarning, match="TLSv1_1") if version == ssl.TLSVersion.TLSv1_1 else nullcontext():
            context.minimum_version = context.maximum_version = version
        with socket.create_connection((host, int(port)), timeout=30) as plain:
            try:
                with context.wrap_socket(plain, server_hostname=host) as connection:
                    spoken.append(str(connection.version()))
            except ssl.SSLError as exc:
                spoken.append(exc.reason or type(exc).__name__)
    # By whether the alert got out, and by what Python makes of an end before anything was agreed upon (3.11.2).
    assert spoken[0] in {"TLSV1_ALERT_PROTOCOL_VERSION", "UNEXPECTED_EOF_WHILE_READING", "SSLZeroReturnError"}
    assert spoken[1:] == ["TLSv1.2", "TLSv1.3"]


def test_a_new_certificate_is_shown_to_new_connections_while_old_ones_go_on(
    node: RunningNode, files: Files, authority: trustme.CA
) -> None:
    certificates = node.node.certificates
    assert certificates is not None
    addresses = (node.served.api, node.served.otlp_http, node.served.otlp_grpc)
    first = {serial_of(address, authority) for address in addresses}
    with httpx.Client(verify=trusting(authority), base_url=node.served.api) as client:
        assert client.get("/livez").status_code == 200
        files.write(authority)
        until(lambda: node.node.telemetry.value("tls_reloads", outcome="done") == 1 or certificates.look(), "the reload")
        second = {serial_of(address, authority) for address in addresses}
        assert client.get("/livez").status_code == 200  # on the connection that it had
    assert len(first) == len(second) == 1
    assert first != second
    assert exported(channel_to(node.served.otlp_grpc, authority)) == ExportLogsServiceResponse()


def test_a_broken_certificate_is_left_out_logged_and_counted(
    files: Files, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry, past = Telemetry(), datetime.now(UTC) - timedelta(days=1)
    certificates = Certificates(files.settings(), telemetry)
    used = certificates.credentials(), vars(certificates)["_loaded"]
    broken = 0

    def refused(words: str) -> None:
        nonlocal broken
        broken += 1
        caplog.clear()
        assert not certificates.look()
        assert words in caplog.text
        assert telemetry.value("tls_reloads", outcome="refused") == broken
        assert vars(certificates)["_loaded"] is used[1]
        assert not certificates.look()  # nor does it complain again and again

    with caplog.at_level(logging.ERROR):
        files.write(authority, key_of=authority.issue_cert("127.0.0.1"))
        refused("KEY_VALUES_MISMATCH")
        files.certificate.write_text("no certificate")
        refused("certificate")
        files.write(authority, ends=past)
        refused("has ended at")
        files.key.unlink()
        refused("No such file")
    files.write(authority)
    assert certificates.look()
    assert telemetry.value("tls_reloads", outcome="done") == 1


def test_the_days_that_are_left_are_a_metric(files: Files, authority: trustme.CA) -> None:
    now_s, telemetry = [NOW_S], Telemetry()
    files.write(authority, ends=datetime.fromtimestamp(int(NOW_S), UTC) + timedelta(days=30))
    certificates = Certificates(files.settings(), telemetry, lambda: now_s[0])
    assert telemetry.value("tls_expiry_days", file="certificate") == pytest.approx(30, abs=0.001)
    now_s[0] += 31 * 86_400
    assert telemetry.value("tls_expiry_days", file="certificate") == pytest.approx(-1, abs=0.001)
    files.write(authority, ends=datetime.fromtimestamp(int(now_s[0]), UTC) + timedelta(days=90))
    assert certificates.look()
    assert telemetry.value("tls_expiry_days", file="certificate") == pytest.approx(90, abs=0.001)
    assert b"foreshock_tls_expiry_days{" not in Telemetry().render()


def test_with_an_authority_of_clients_every_listener_wants_a_certificate(
    tmp_path: Path, files: Files, authority: trustme.CA
) -> None:
    clients, strangers = trustme.CA(), trustme.CA()
    clients.cert_pem.write_to_path(files.client_ca)
    known, stranger = clients.issue_cert("collector"), strangers.issue_cert("collector")
    with run_node(tmp_path / "data", security__tls=files.settings(mutual=True).model_dump()) as running:
        served = running.served
        urls = (f"{served.api}/livez", f"{served.otlp_http}/v1/logs")
        assert [httpx.get(url, verify=trusting(authority, known)).status_code for url in urls] == [200, 405]
        assert exported(channel_to(served.otlp_grpc, authority, known)) == ExportLogsServiceResponse()
        for shown in (None, stranger):
            for url in urls:
                with pytest.raises(httpx.TransportError):
                    httpx.get(url, verify=trusting(authority, shown))
            with pytest.raises(grpc.RpcError) as refused:
                exported(channel_to(served.otlp_grpc, authority, shown))
            assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
        assert running.node.telemetry.value("tls_expiry_days", file="client_ca") > 0
        # Another authority: who was let in is a stranger from now on, and the other way round.
        strangers.cert_pem.write_to_path(files.client_ca)
        certificates = running.node.certificates
        assert certificates is not None
        until(lambda: running.node.telemetry.value("tls_reloads", outcome="done") == 1 or certificates.look(), "the reload")
        assert httpx.get(urls[0], verify=trusting(authority, stranger)).status_code == 200
        assert exported(channel_to(served.otlp_grpc, authority, stranger)) == ExportLogsServiceResponse()
        with pytest.raises(httpx.TransportError):
            httpx.get(urls[0], verify=trusting(authority, known))
        with pytest.raises(grpc.RpcError):
            exported(channel_to(served.otlp_grpc, authority, known))


def test_files_that_cannot_be_used_stop_the_start_with_their_name(files: Files, authority: trustme.CA) -> None:
    files.write(authority, key_of=authority.issue_cert("127.0.0.1"))
    with pytest.raises(InvalidSetting, match=r"security\.tls: certificate .*tls\.pem with key"):
        Certificates(files.settings(), Telemetry())
    files.certificate.unlink()
    with pytest.raises(InvalidSetting, match=r"certificate .*tls\.pem: No such file"):
        Certificates(files.settings(), Telemetry())
    with pytest.raises(InvalidSetting, match="must be given"):
        Certificates(TlsSettings(), Telemetry())


def test_a_certificate_that_has_ended_is_shown_all_the_same_at_a_start(
    files: Files, authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    files.write(authority, ends=datetime.now(UTC) - timedelta(days=1))
    with caplog.at_level(logging.WARNING):
        Certificates(files.settings(), Telemetry())
    assert "the certificate has ended at" in caplog.text


class AfterTwoLooks(Event):
    """Tells to stop at the third wait; the files are others before the second."""

    def __init__(self, renew: Callable[[], None]) -> None:
        super().__init__()
        self.renew = renew
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        assert len(self.waits) <= 3, "it goes on after it was told to stop"
        if len(self.waits) == 2:
            self.renew()
        if len(self.waits) == 3:
            self.set()
        return self.is_set()


def test_it_looks_until_told_to_stop(files: Files, authority: trustme.CA) -> None:
    telemetry, stop = Telemetry(), AfterTwoLooks(lambda: files.write(authority))
    Certificates(files.settings(), telemetry).run(stop)
    assert stop.waits == [LOOK_S] * 3
    assert telemetry.value("tls_reloads", outcome="done") == 1
