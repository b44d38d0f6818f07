from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.frames import MAX_FRAMES, frames

JAVA = """java.lang.RuntimeException: no
\tat java.base/java.util.Optional.get(Optional.java:143)
\tat org.springframework.web.Servlet.run(Servlet.java:9)
\tat shop.Cart$$FastClassBySpringCGLIB$$1f.add(<generated>)
\tat shop.Cart.lambda$add$3(Cart.java:42)
Caused by: java.io.IOException
\tat shop.Store.read(Store.java:7)"""
PYTHON = """Traceback (most recent call last):
  File "/usr/lib/python3.11/asyncio/runners.py", line 190, in run
  File "/app/shop/main.py", line 3, in main
    load()
  File "/app/shop/cart.py", line 31, in load
  File "/app/.venv/lib/python3.11/site-packages/redis/client.py", line 9, in get
redis.exceptions.ConnectionError: no"""
DOTNET = """System.NullReferenceException: no
   at System.Linq.Enumerable.First()
   at Shop.Cart.Add(Item item) in C:\\\\src\\\\Cart.cs:line 12
   at Microsoft.AspNetCore.Run()"""
GO = """goroutine 1 [running]:
runtime.gopanic({0x1, 0x2})
\t/usr/local/go/src/runtime/panic.go:884 +0x213
main.(*Cart).Add(0xc000, 0x1)
\t/app/cart.go:12 +0x1d
main.main.func1()
\t/app/main.go:9 +0x2"""
NODE = """TypeError: no
    at Cart.add (/app/src/cart.js:12:5)
    at async run (/app/node_modules/express/lib/router.js:1:2)
    at node:internal/process/task_queues:95:5"""
RUST = """thread 'main' panicked at src/main.rs:3:5
   0: rust_begin_unwind
   1: core::panicking::panic_fmt
   2: shop::cart::add::h0123456789abcdef
   3: std::rt::lang_start"""


@pytest.mark.parametrize(
    ("stack", "found"),
    [
        (JAVA, ("shop.Cart.add(<generated>)", "shop.Cart.lambda$add", "shop.Store.read")),
        (PYTHON, ("/app/shop/cart.py load", "/app/shop/main.py main")),
        (DOTNET, ("Shop.Cart.Add(Item item)",)),
        (GO, ("main.(*Cart).Add", "main.main.func")),
        (NODE, ("Cart.add (/app/src/cart.js)",)),
        (RUST, ("shop::cart::add",)),
        ("", ()),
        ("it hurts\nvery much", ()),
    ],
)
def test_the_frames_of_the_application_are_found_in_every_language(stack: str, found: tuple[str, ...]) -> None:
    assert frames(stack) == found


@pytest.mark.parametrize("stack", [JAVA, PYTHON, DOTNET, GO, NODE])
def test_another_build_has_the_same_frames(stack: str) -> None:
    moved = (
        stack.replace(":42)", ":47)")
        .replace("line 31", "line 35")
        .replace("line 12", "line 14")
        .replace("0xc000", "0xbeef")
        .replace("12:5", "13:7")
    )
    assert frames(moved) == frames(stack)


@given(st.text())
def test_any_text_has_at_most_so_many_frames(text: str) -> None:
    assert len(frames(text)) <= MAX_FRAMES
