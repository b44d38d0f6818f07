"""Who may do what: principals, their scopes and their tenants, the tokens that they show, and the log of what they did."""

from app.auth.audit import AuditLog, Deed
from app.auth.doorkeeper import OPEN, Doorkeeper
from app.auth.principal import ADDRESS, ANYONE, EVERY_TENANT, PLACE, Principal, Scope, principal_of
from app.auth.refusals import NotAllowed, NotAuthenticated
from app.auth.tokens import Made, NoSuchToken, Tokens, Wanted

__all__ = [
    "ADDRESS",
    "ANYONE",
    "EVERY_TENANT",
    "OPEN",
    "PLACE",
    "AuditLog",
    "Deed",
    "Doorkeeper",
    "Made",
    "NoSuchToken",
    "NotAllowed",
    "NotAuthenticated",
    "Principal",
    "Scope",
    "Tokens",
    "Wanted",
    "principal_of",
]
