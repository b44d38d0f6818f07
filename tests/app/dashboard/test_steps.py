"""Steps of a plan are posted as they were shown, or not at all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI, Request

from app.dashboard.rest import Refused, Rest
from app.dashboard.steps import plan_panel, post_step
from features.plan import Circuit, Step
from features.recovery import Retry
from tests.app.dashboard.loops import finished
from tests.group_builders import a_group

RETRY = Retry("if_idempotent", 0.2, 2.0, 10.0, 4, "full")
STEPS = (
    Step(2, "cart", "Open the circuit.", "it waits", RETRY, Circuit("cart", "payment")),
    Step(1, "payment", "Free <space>.", "the disk is full"),
)
GROUP = replace(a_group(), plan=STEPS)


def test_steps_are_in_order_with_retries_and_circuits_and_no_button_without_a_runbook() -> None:
    shown = plan_panel(GROUP, "", "now")
    assert shown.index("Free &lt;space&gt;.") < shown.index("Open the circuit.")
    assert "Retries: safe if the request is idempotent, the first after 200 ms, at most 4 times and 10 s apart." in shown
    assert "Circuit to open: cart to payment." in shown
    assert "No runbook is configured: set runbook.url and runbook.secret" in shown
    assert "<button" not in shown
    assert "No plan yet." in plan_panel(a_group(), "", "now")


def test_where_a_runbook_is_each_step_has_a_button_that_asks() -> None:
    shown = plan_panel(GROUP, "https://automation", "now")
    assert shown.count("data-ask") == 2
    assert "Post step 1 to https://automation?" in shown
    assert "No runbook" not in shown


def test_a_step_that_is_another_by_now_is_not_posted() -> None:
    app, came = FastAPI(), list[tuple[str, Any]]()

    @app.post("/{path:path}")
    async def take(request: Request, path: str) -> dict[str, str]:
        came.append((path, await request.json()))
        return {"receiver": "https://automation"}

    rest = Rest(app, "default")
    said = finished(post_step(rest, GROUP, "i/1", {"value": "1 Free <space>.", "who": "ann"}))
    assert said == "https://automation has step 1."
    assert came == [("api/v1/incidents/i/1/plan/1:post", {"who": "ann", "why": ""})]
    for group in (replace(GROUP, plan=STEPS[:1]), None):
        with pytest.raises(Refused, match="the plan has changed meanwhile"):
            finished(post_step(rest, group, "i/1", {"value": "1 Free <space>."}))
    with pytest.raises(Refused, match="the plan has changed meanwhile"):
        finished(post_step(rest, GROUP, "i/1", {"value": "1 Grow the volume."}))
    assert len(came) == 1
