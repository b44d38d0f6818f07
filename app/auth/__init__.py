"""Who may do what: principals, their scopes and their tenants."""

from app.auth.principal import ANYONE, EVERY_TENANT, Principal, Scope

__all__ = ["ANYONE", "EVERY_TENANT", "Principal", "Scope"]
