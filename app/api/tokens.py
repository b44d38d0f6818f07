"""Routes of tokens: made, listed, rotated and revoked by who has the scope `admin`. `foreshock tokens --url` asks here."""

from __future__ import annotations

from functools import partial
from typing import Annotated, cast
from urllib.parse import quote

from anyio import to_thread
from fastapi import APIRouter, Body, Depends, Query, Request, Response

from app.api.pages import Listing, Page
from app.api.parts import PREFIX, ApiParts, Paged, answer, answer_page
from app.api.schemas import Items
from app.api.token_schemas import MadeOut, RotateIn, TokenIn, TokenOut
from app.auth import Made, Principal, Tokens, Wanted, principal_of
from app.auth.token import Token

__all__ = ["router"]

router = APIRouter(prefix=PREFIX, tags=["access"])

_BY_NAME: Listing[Token] = Listing("tokens", (str,), lambda token: (token.name,))
_USUAL = RotateIn()
_NO_STORE = {"Cache-Control": "no-store"}  # a token is in it


class _Keys:
    """The tokens, and who asks for them."""

    def __init__(self, request: Request) -> None:
        self.parts = cast("ApiParts", request.app.state.parts)
        self.tokens = Tokens(self.parts.documents, self.parts.now)
        self.by: Principal = principal_of(request.scope)

    def shown(self, token: Token) -> dict[str, object]:
        named = ("id", "name", "scopes", "tenants", "created_at", "created_by", "expires_at", "rotated_at", "revoked_at")
        found: dict[str, object] = {name: getattr(token, name) for name in named}
        return found | {"valid": token.is_valid(self.parts.now())}

    def told(self, made: Made, status: int) -> Response:
        headers = _NO_STORE | {"Location": f"{PREFIX}/tokens/{quote(made.token.name, safe='')}"}
        return answer(self.shown(made.token) | {"token": made.text}, status, headers)


_Asked = Annotated[_Keys, Depends()]


@router.get("/tokens", response_model=Items[TokenOut], summary="Tokens by name, those that ended lately too")
async def list_tokens(keys: _Asked, page: Annotated[Paged, Query()]) -> Response:
    """List the tokens that who asks may see: all, or those of its own tenants."""
    found = _BY_NAME.page(await to_thread.run_sync(keys.tokens.all, keys.by), page.limit, page.cursor)
    return answer_page(Page(tuple(keys.shown(token) for token in found.rows), found.next))


@router.post("/tokens", response_model=MadeOut, status_code=201, summary="Make a token, which is told this once")
async def create_token(keys: _Asked, body: TokenIn) -> Response:
    """Make a token."""
    wanted = Wanted(body.name, body.scopes, body.tenants, body.expires_at)
    return keys.told(await to_thread.run_sync(keys.tokens.add, wanted, keys.by), 201)


@router.post("/tokens/{name:path}:rotate", response_model=MadeOut, summary="Give a token a new secret, which is told this once")
async def rotate_token(keys: _Asked, name: str, body: Annotated[RotateIn, Body()] = _USUAL) -> Response:
    """Change a secret; the one before is taken for as long as the overlap says."""
    return keys.told(await to_thread.run_sync(partial(keys.tokens.rotate, name, body.overlap_s, keys.by)), 200)


@router.delete("/tokens/{name:path}", response_model=TokenOut, summary="Revoke a token at once, on all nodes")
async def revoke_token(keys: _Asked, name: str) -> Response:
    """End a token."""
    return answer(keys.shown(await to_thread.run_sync(keys.tokens.revoke, name, keys.by)))
