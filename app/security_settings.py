"""The settings of access: who must show a token; `app.settings` holds them as the group `security`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from app.edge_settings import LimitSettings, OidcSettings, TlsSettings
from app.redaction_settings import RedactionSettings

__all__ = ["SecuritySettings"]

_DAY_S = 86_400.0


class SecuritySettings(BaseModel):
    """Who may reach the service, and as whom."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True, frozen=True)

    require_tokens: bool = False
    """Whether every request must show a token that allows what it asks for. Off by default, since a node on loopback is reached by the users of its own machine alone; then whoever reaches a port may do everything."""
    allow_open: bool = False
    """Whether the node starts where `server.host` is not loopback while neither tokens are demanded nor TLS is on. Off by default: then whoever reaches the port reads and changes everything. For machines whose ports something else guards, such as a container behind a proxy with a login."""
    open_metrics: bool = False
    """Whether `/metrics` needs no token where others do, for scrapers that send none. Off by default: it then needs one with the scope `read` for all tenants (`*`), since metrics name the services of each."""
    audit_days: float = Field(default=90.0, gt=0.0, le=3650.0)
    """Days for which the audit log keeps who changed what. Each entry takes about 1 KB of the store, and on a cluster of the memory of each node with the role `api` too; a few days leave nobody to ask after an accident, ten years of a busy service are GBs."""
    tls: TlsSettings = TlsSettings()
    """The certificate that listeners show."""
    limits: LimitSettings = LimitSettings()
    """How often one may ask."""
    session_hours: float = Field(default=12.0, ge=0.1, le=720.0)
    """Hours that a login on the dashboard lasts where tokens are demanded. A working day by default; a login by token ends sooner when its token does. Short ones make people log in during an incident, long ones outlive who left."""
    oidc: OidcSettings = OidcSettings()
    """Logins by OpenID Connect."""
    redaction: RedactionSettings = RedactionSettings()
    """What is taken out of errors before they are stored."""

    @property
    def audit_s(self) -> float:
        """Seconds for which the audit log keeps who changed what."""
        return self.audit_days * _DAY_S
