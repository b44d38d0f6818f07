"""What each route needs: the one table of scopes, of what is written into the audit log, and of what is open to all.

`app.api.guard` asks it for every request, a test of the authorisation matrix fails for a route that has no entry here, and
`docs/generate.py` prints it.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.auth.principal import Scope

__all__ = ["API", "FILES", "NEEDS", "OWN_FILES", "PAGES", "Need"]

API = "/api/v1"


@dataclass(frozen=True, slots=True)
class Need:
    """What a route needs.

    Parameters
    ----------
    scope : Scope or None
        None for a route that is open to all.
    action : str
        What the audit log calls it; empty for a route that changes nothing.
    tenant : bool
        Whether it is about one tenant; else `X-Scope-OrgID` is not looked at.
    every_tenant : bool
        Whether it shows what no tenant owns alone, so that who is bound to tenants may not see it.
    """

    scope: Scope | None
    action: str = ""
    tenant: bool = True
    every_tenant: bool = False


_OPEN = Need(None, tenant=False)
_READ = Need(Scope.READ)
_FEEDBACK, _TRAIN, _ADMIN = Scope.FEEDBACK, Scope.TRAIN, Scope.ADMIN

PAGES = Need(Scope.READ)
"""What the dashboard's pages need; what is done on them goes through the routes below, with what these need."""

OWN_FILES = "/dashboard-files"
"""Below it are the dashboard's own scripts and styles."""

FILES = ("/_nicegui", OWN_FILES)
"""Below them are scripts and styles, the same for all tenants; who may not see pages has no use for them either."""

NEEDS: dict[tuple[str, str], Need] = {
    ("GET", "/livez"): _OPEN,
    ("GET", "/readyz"): _OPEN,
    ("GET", "/metrics"): Need(Scope.READ, tenant=False, every_tenant=True),
    ("GET", f"{API}/openapi.json"): Need(Scope.READ, tenant=False),
    ("GET", f"{API}/services"): _READ,
    ("GET", f"{API}/predictions"): _READ,
    ("GET", f"{API}/predictions/{{prediction_id:path}}/explanation"): _READ,
    ("GET", f"{API}/predictions/{{service:path}}"): _READ,
    ("GET", f"{API}/anomalies"): _READ,
    ("GET", f"{API}/trends/{{service:path}}"): _READ,
    ("GET", f"{API}/errors"): _READ,
    ("POST", f"{API}/errors:classify"): _READ,
    ("GET", f"{API}/graph"): _READ,
    ("GET", f"{API}/hotspots"): _READ,
    ("GET", f"{API}/incidents"): _READ,
    ("GET", f"{API}/incidents/{{incident_id:path}}"): _READ,
    ("POST", f"{API}/incidents/{{incident_id:path}}/plan/{{step}}:post"): Need(_FEEDBACK, "plan.post"),
    ("GET", f"{API}/groups"): _READ,
    ("GET", f"{API}/groups/{{group_id:path}}"): _READ,
    ("POST", f"{API}/webhooks/alertmanager"): Need(_FEEDBACK, "incidents.report"),
    ("GET", f"{API}/feedback"): _READ,
    ("GET", f"{API}/feedback/impact"): _READ,
    ("GET", f"{API}/feedback/{{feedback_id}}"): _READ,
    ("POST", f"{API}/feedback"): Need(_FEEDBACK, "feedback.give"),
    ("POST", f"{API}/feedback:batch"): Need(_FEEDBACK, "feedback.give"),
    ("POST", f"{API}/feedback/{{feedback_id}}:undo"): Need(_FEEDBACK, "feedback.undo"),
    ("GET", f"{API}/alerts"): _READ,
    ("GET", f"{API}/alerts:explain"): _READ,
    ("GET", f"{API}/alerts/{{alert_id}}"): _READ,
    ("POST", f"{API}/alerts/{{alert_id}}:acknowledge"): Need(_FEEDBACK, "alert.acknowledge"),
    ("GET", f"{API}/alert-routes"): _READ,
    ("GET", f"{API}/silences"): _READ,
    ("POST", f"{API}/silences"): Need(_FEEDBACK, "silence.add"),
    ("DELETE", f"{API}/silences/{{silence_id}}"): Need(_FEEDBACK, "silence.end"),
    ("GET", f"{API}/training-runs"): _READ,
    ("GET", f"{API}/training-runs/{{run_id}}"): _READ,
    ("POST", f"{API}/training-runs"): Need(_TRAIN, "train"),
    ("GET", f"{API}/backtests"): _READ,
    ("GET", f"{API}/backtests/{{run_id}}"): _READ,
    ("GET", f"{API}/backtests/{{run_id}}/page"): _READ,
    ("POST", f"{API}/backtests"): Need(_TRAIN, "backtest"),
    ("GET", f"{API}/learning"): _READ,
    ("GET", f"{API}/models"): _READ,
    ("GET", f"{API}/models/{{version_id}}"): _READ,
    ("GET", f"{API}/models/{{version_id}}/compare/{{other_id}}"): _READ,
    ("POST", f"{API}/models/{{version_id}}:promote"): Need(_TRAIN, "model.promote"),
    ("POST", f"{API}/models:rollback"): Need(_TRAIN, "model.rollback"),
    ("GET", f"{API}/nodes"): Need(Scope.READ, tenant=False),
    ("GET", f"{API}/stream"): _READ,
    ("GET", f"{API}/tokens"): Need(_ADMIN, tenant=False),
    ("POST", f"{API}/tokens"): Need(_ADMIN, "token.create", tenant=False),
    ("POST", f"{API}/tokens/{{name:path}}:rotate"): Need(_ADMIN, "token.rotate", tenant=False),
    ("DELETE", f"{API}/tokens/{{name:path}}"): Need(_ADMIN, "token.revoke", tenant=False),
    ("GET", f"{API}/audit"): Need(_ADMIN, tenant=False),
}
"""By method and path, as the application writes them. A route that is not here is refused to everybody."""
