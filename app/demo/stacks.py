"""Stack traces in the form that each language prints them.

`app.demo.render` puts them into exception events and error logs.
"""

from __future__ import annotations

from functools import cache

__all__ = ["stack"]


def stack(language: str, service: str, operation: str, type_: str, message: str) -> str:
    """Return a stack trace.

    Parameters
    ----------
    language : str
        ``telemetry.sdk.language`` of the service.
    service, operation : str
        Whose frames to show; the same operation always has the same frames.
    type_, message : str
        What the first (or last) line says.

    Returns
    -------
    str

    Examples
    --------
    >>> print(stack("java", "cart", "GET /cart", "java.io.IOException", "full").splitlines()[0])
    java.io.IOException: full
    """
    frames = _frames(language, service, operation)
    if language == "python":
        return f"Traceback (most recent call last):\n{frames}\n{type_}: {message}"
    if language == "go":
        return f"{message}\n\ngoroutine {17 + len(operation)} [running]:\n{frames}"
    if language == "rust":
        return f"Error: {message}\n\nStack backtrace:\n{frames}"
    return f"{type_}: {message}\n{frames}"


@cache
def _frames(language: str, service: str, operation: str) -> str:
    words = "".join(c if c.isalnum() else " " for c in operation).split()
    verb, noun = words[0].lower(), words[-1].lower()
    camel, line = noun.capitalize(), 20 + 7 * len(operation)
    own = {
        "java": (
            f"\tat com.shop.{service}.{camel}Repository.{verb}({camel}Repository.java:{line})",
            f"\tat com.shop.{service}.{camel}Controller.{verb}{camel}({camel}Controller.java:{line + 31})",
            "\tat org.springframework.web.method.support.InvocableHandlerMethod.doInvoke(InvocableHandlerMethod.java:255)",
            "\tat org.springframework.web.servlet.DispatcherServlet.doDispatch(DispatcherServlet.java:1089)",
            "\tat java.base/java.lang.Thread.run(Thread.java:1583)",
        ),
        "dotnet": (
            f"   at Shop.{service.capitalize()}.{camel}Store.{verb.capitalize()}Async() in /src/{camel}Store.cs:line {line}",
            f"   at Shop.{service.capitalize()}.{camel}Controller.Invoke() in /src/{camel}Controller.cs:line {line + 12}",
            "   at Microsoft.AspNetCore.Mvc.Infrastructure.ControllerActionInvoker.InvokeInnerFilterAsync()",
        ),
        "nodejs": (
            f"    at {verb}{camel} (/app/src/{service}/{noun}.js:{line}:17)",
            f"    at async /app/src/routes/{noun}.js:{line // 2}:22",
            "    at async Layer.handle [as handle_request] (/app/node_modules/express/lib/router/layer.js:95:5)",
        ),
        "python": (
            f'  File "/app/{service}/views.py", line {line}, in {verb}_{noun}\n    result = store.{verb}(request.key)',
            f'  File "/app/{service}/store.py", line {line + 44}, in {verb}\n    return self._call(key)',
        ),
        "go": (
            f"main.(*server).{camel}(0xc000{line:04x}00)\n\t/src/{service}/server.go:{line} +0x1d4",
            "google.golang.org/grpc.(*Server).processUnaryRPC(0xc0001b6000)\n\t/go/pkg/mod/google.golang.org/grpc/server.go:1343 +0xe2b",
        ),
        "rust": (
            f"   0: {service}::{noun}::{verb}\n             at ./src/{noun}.rs:{line}:9",
            "   1: axum::routing::route::Route::call\n   2: tokio::runtime::task::raw::poll",
        ),
    }
    return "\n".join(own[language])
