"""The certificate that listeners show, read anew when its files change.

`app.main` makes one where the settings name a certificate; `app.listeners` takes its context, `app.ingest.grpc_server`
its credentials, and both give it to every connection that begins from then on.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import cast

import grpc
from cryptography.x509 import Certificate, load_pem_x509_certificates

from app.edge_settings import TlsSettings
from app.telemetry import Telemetry
from features.errors import InvalidSetting

__all__ = ["LOOK_S", "Certificates"]

logger = logging.getLogger(__name__)

LOOK_S = 5.0
"""Seconds between two looks at the files. Guessed: a renewal is hours ahead of the end, three `stat` calls cost nothing."""

_DAY_S = 86_400.0

_Stamp = tuple[tuple[int, int, int], ...]


class _Unusable(Exception):
    """The files do not make a certificate that could be shown."""


@dataclass(frozen=True, slots=True)
class _Loaded:
    """What the files held at one moment."""

    context: ssl.SSLContext
    configuration: grpc.ServerCertificateConfiguration
    ends: dict[str, datetime]


class Certificates:
    """The certificate in use, for connections over HTTP and gRPC alike.

    Parameters
    ----------
    settings : TlsSettings
        With a certificate.
    telemetry : Telemetry
        Counts reloads, and shows how long the certificate lasts.
    now : callable
        The wall clock, unix seconds.

    Raises
    ------
    InvalidSetting
        When the files cannot be used at the start.
    """

    def __init__(self, settings: TlsSettings, telemetry: Telemetry, now: Callable[[], float] = time.time) -> None:
        if settings.certificate is None or settings.key is None:
            raise InvalidSetting("setting security.tls: certificate and key must be given")
        self._certificate, self._key, self._client_ca = settings.certificate, settings.key, settings.client_ca
        self._telemetry = telemetry
        self._now = now
        self._seen = self._stamp()
        try:
            self._loaded = self._load()
        except _Unusable as exc:
            raise InvalidSetting(f"setting security.tls: {exc}") from exc
        self._show()
        for name, end in self._loaded.ends.items():
            if end.timestamp() <= now():
                logger.warning("the %s has ended at %s: who checks it will not connect", name, end.isoformat())
        self._given = self._loaded.configuration
        self.context = self._loaded.context
        """Of the HTTP listeners: every handshake goes on with what is in use at that moment."""
        self.context.sni_callback = self._choose

    def credentials(self) -> grpc.ServerCredentials:
        """Return the credentials of a gRPC server, which asks at every handshake whether there is something newer."""
        newer = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._newer)  # None keeps what there is
        return grpc.dynamic_ssl_server_credentials(
            self._given, newer, require_client_authentication=self._client_ca is not None
        )

    def look(self) -> bool:
        """Read the files if they are not what they were, and say whether what they hold is in use now.

        A certificate that does not fit its key, cannot be read or has ended already is left out: the one before stays.
        """
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        try:
            loaded = self._load()
            for name, end in loaded.ends.items():
                if end.timestamp() <= self._now():
                    raise _Unusable(f"the {name} has ended at {end.isoformat()}")
        except _Unusable as exc:
            self._telemetry.tls_reloads.labels(outcome="refused").inc()
            logger.error("the new certificate is left out, and the one before stays: %s", exc)
            return False
        self._loaded = loaded
        self._show()
        self._telemetry.tls_reloads.labels(outcome="done").inc()
        logger.info("a new certificate is in use, until %s", loaded.ends["certificate"].isoformat())
        return True

    def run(self, stop: Event) -> None:
        """Look every few seconds, until told to stop."""
        while not stop.wait(LOOK_S):
            self.look()

    def _choose(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        connection.context = self._loaded.context

    def _newer(self) -> grpc.ServerCertificateConfiguration | None:
        newest = self._loaded.configuration
        if newest is self._given:
            return None
        self._given = newest
        return newest

    def _show(self) -> None:
        for name, end in self._loaded.ends.items():
            gauge = self._telemetry.tls_expiry_days.labels(file=name)
            gauge.set_function(partial(_days_until, end.timestamp(), self._now))

    @property
    def _files(self) -> dict[str, Path]:
        found = {"certificate": self._certificate, "key": self._key}
        return found if self._client_ca is None else {**found, "client_ca": self._client_ca}

    def _stamp(self) -> _Stamp:
        """Return what changes when one of the files does; a file that is missing has a stamp of its own."""
        stamps: list[tuple[int, int, int]] = []
        for path in self._files.values():
            try:
                found = path.stat()
                stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
            except OSError:
                stamps.append((0, 0, 0))
        return tuple(stamps)

    def _load(self) -> _Loaded:
        held: dict[str, bytes] = {}
        for name, path in self._files.items():
            try:
                held[name] = path.read_bytes()
            except OSError as exc:
                raise _Unusable(f"{name} {path}: {exc.strerror or exc}") from exc
        ends = {name: _end_of(name, self._files[name], held[name]) for name in held if name != "key"}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        try:
            context.load_cert_chain(self._certificate, self._key, password=_no_password)
            if self._client_ca is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=held["client_ca"].decode("ascii"))
                # A resumed session would show no certificate, and so outlive the authority that let it in.
                context.options |= ssl.OP_NO_TICKET
                context.num_tickets = 0
            if (self._certificate.read_bytes(), self._key.read_bytes()) != (held["certificate"], held["key"]):
                self._seen = ()  # look again
                raise ValueError("they change at this moment")
        except (OSError, ValueError) as exc:
            raise _Unusable(f"certificate {self._certificate} with key {self._key}: {exc}") from exc
        pairs = [(held["key"], held["certificate"])]
        return _Loaded(context, grpc.ssl_server_certificate_configuration(pairs, held.get("client_ca")), ends)


def _days_until(end_s: float, now: Callable[[], float]) -> float:
    return (end_s - now()) / _DAY_S


def _end_of(name: str, path: Path, pem: bytes) -> datetime:
    """Return when the first of the certificates in a file ends."""
    try:
        found: list[Certificate] = load_pem_x509_certificates(pem)
    except ValueError as exc:
        raise _Unusable(f"{name} {path}: {exc}") from exc
    return min(each.not_valid_after_utc for each in found)


def _no_password() -> str:
    raise ValueError("the key has a password; give one without")
