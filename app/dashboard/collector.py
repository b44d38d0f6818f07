"""What a newcomer is told: the Collector's configuration with this node's own address, to paste, and what comes then.

Every page that has nothing to show yet shows it (`first_steps`), or says in one sentence when it will have something.
"""

from __future__ import annotations

from app.dashboard.markup import Child, Markup, h
from app.dashboard.sources import Sources

__all__ = ["configuration", "empty", "first_steps"]

_ELSEWHERE = "http://a-node-with-the-role-ingest:4318"


def configuration(endpoint: str, tenant: str, default: str) -> str:
    r"""Return a configuration of the OpenTelemetry Collector that sends everything here.

    Parameters
    ----------
    endpoint : str
        URL of OTLP/HTTP.
    tenant, default : str
        Whose telemetry it is, and whose it would be without a header.

    Examples
    --------
    >>> print(configuration("http://127.0.0.1:4318", "team-a", "default").partition("\nexporters:")[2])
    <BLANKLINE>
      otlphttp/foreshock:
        endpoint: http://127.0.0.1:4318
        headers:
          X-Scope-OrgID: team-a
    <BLANKLINE>
    service:
      pipelines:
        traces:
          receivers: [otlp]
          exporters: [otlphttp/foreshock]
        metrics:
          receivers: [otlp]
          exporters: [otlphttp/foreshock]
        logs:
          receivers: [otlp]
          exporters: [otlphttp/foreshock]
    <BLANKLINE>
    """
    headers = f"    headers:\n      X-Scope-OrgID: {tenant}\n" if tenant != default else ""
    pipelines = "".join(
        f"    {signal}:\n      receivers: [otlp]\n      exporters: [otlphttp/foreshock]\n"
        for signal in ("traces", "metrics", "logs")
    )
    receiver = "0.0.0.0:14318"  # not the port that Foreshock listens on, for both may run on one machine
    return (
        f"receivers:\n  otlp:\n    protocols:\n      http:\n        endpoint: {receiver}\n"
        f"exporters:\n  otlphttp/foreshock:\n    endpoint: {endpoint}\n{headers}"
        f"\nservice:\n  pipelines:\n{pipelines}"
    )


def first_steps(sources: Sources, tenant: str) -> Markup:
    """Return what to do where nothing has come in yet."""
    endpoint = sources.otlp_http or _ELSEWHERE
    text = configuration(endpoint, tenant, sources.parts.default_tenant)
    tick = sources.tick_s
    return h(
        "section.panel.empty",
        h("h2", "Nothing has come in yet"),
        h(
            "p.soft",
            f"Send telemetry of tenant {tenant}, and the first predictions are here at the end of the next tick ({tick} s).",
        ),
        h(
            "ol",
            h(
                "li",
                "With an OpenTelemetry Collector: add this exporter to its configuration, and restart it. ",
                h("button", "Copy", type="button", data_copy="collector"),
                h("pre", text, id="collector", tabindex=0, aria_label="Configuration of the Collector"),
            ),
            h(
                "li",
                "Without one: set ",
                h("code", f"OTEL_EXPORTER_OTLP_ENDPOINT={endpoint}"),
                " for a program with an OpenTelemetry SDK.",
            ),
            h(
                "li",
                "To look around first: run ",
                h("code", "foreshock demo"),
                " with another data folder; it plays a shop with faults.",
            ),
        ),
        h("p.soft", "This page changes by itself as soon as something arrives."),
    )


def empty(title: str, *words: Child) -> Markup:
    """Return what a page says that has nothing to show: why, and what to do next."""
    return h("section.panel.empty", h("h2", title), h("p.soft", *words))
