"""The OpenAPI document: what the routes say of themselves, and every status that an operation may answer with a problem.

Read from the routes of `app.api.application` when the document is asked for first. `tests/app/api/test_openapi_fuzz.py` asks
a running node for all of it, and fails on an answer that is not written here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.api import problems
from app.api.parts import PREFIX
from app.api.schemas import ProblemOut

__all__ = ["described", "problems_of"]

_PROBLEM_REF = {"$ref": "#/components/schemas/Problem"}
_MEANS = {
    "400": "The request cannot be understood: no tenant's name, no cursor of this list, a body that cannot be decoded",
    "401": "A token is demanded, and what was shown is none, or no longer one",
    "403": "The token does not allow it, or not for this tenant; or another site's page made a browser ask",
    "404": "There is no such resource",
    "408": "The body did not arrive in time",
    "409": "What is there now does not allow it",
    "413": "The body is too large",
    "415": "The body is not declared as JSON",
    "422": "A value breaks its bound",
    "429": "Too many requests of the address or the token, or the tenant has as much under way as it may; `Retry-After` says when to come again",
    "5XX": "The node cannot answer now, or failed",
}
_TENANT = "X-Scope-OrgID"
_SCHEME = "A token of `foreshock tokens create`, where `security.require_tokens` is on; as the password of Basic too."
_CHANGES = {"post", "put", "patch", "delete"}


def described(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI document, in which every operation names the statuses of its problems; it is made once.

    Parameters
    ----------
    app : FastAPI
        With all its routes.

    Returns
    -------
    dict
        OpenAPI 3.1.
    """
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = ProblemOut.model_json_schema()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                # The routes name a default alone so that FastAPI does not describe its own form of a 422.
                operation["responses"].pop("default", None)
                for status in problems_of(path, method, operation):
                    told = operation["responses"].setdefault(status, {"description": _MEANS[status]})
                    told["content"] = {problems.MEDIA_TYPE: {"schema": _PROBLEM_REF}}
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer", "description": _SCHEME}}
        document["security"] = [{}, {"token": []}]
        app.openapi_schema = document
    return app.openapi_schema


def problems_of(path: str, method: str, operation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the statuses with which an operation may answer a problem.

    Parameters
    ----------
    path, method : str
        Of the operation; the method in small letters.
    operation : mapping
        As OpenAPI has it.

    Yields
    ------
    str
        A status, or a range of them.

    Examples
    --------
    >>> list(problems_of("/livez", "get", {}))
    ['429', '5XX']
    >>> list(problems_of("/api/v1/groups/{group_id}", "get", {"parameters": [{"name": "group_id", "in": "path"}]}))
    ['400', '401', '403', '404', '429', '5XX']
    """
    parameters = [(one["in"], one["name"]) for one in operation.get("parameters", ())]
    has_body = "requestBody" in operation
    if path.startswith(PREFIX):
        yield "400"
    if path != "/livez":
        yield from ("401", "403")
    if any(place == "path" for place, _ in parameters) or "404" in operation.get("responses", ()):
        yield "404"
    if has_body:
        yield "408"
    if method in _CHANGES:
        yield "409"
    if has_body:
        yield from ("413", "415")
    if has_body or any(place != "path" and name != _TENANT for place, name in parameters):
        yield "422"
    yield "429"
    yield "5XX"
