"""The plan on an incident's page: what to do in which order, and a button at each step that posts it to the user's runbook."""

from __future__ import annotations

from urllib.parse import quote

from app.api.plans import NO_RUNBOOK
from app.cache.group_records import GroupRecord
from app.dashboard.advice import retried
from app.dashboard.frame import Given, panel
from app.dashboard.markup import Child, Markup, h
from app.dashboard.rest import Refused, Rest
from app.dashboard.tables import button
from features.plan import Step

__all__ = ["plan_panel", "post_step"]


def plan_panel(group: GroupRecord, receiver: str, note: Child) -> Markup:
    """Return the panel.

    Parameters
    ----------
    group : GroupRecord
        Whose plan.
    receiver : str
        Who takes steps, empty where no runbook is configured.
    note : Child
        As of when.
    """
    steps = [_line(step, receiver) for step in sorted(group.plan, key=lambda step: step.step)]
    done = f"Nothing is done by Foreshock itself. {f'Steps are posted to {receiver}.' if receiver else f'{_sentence(NO_RUNBOOK)}.'}"
    return panel(
        "What to do, in this order",
        h("ol.lines", steps) if steps else h("p.soft", "No plan yet."),
        h("p.soft", done),
        note=note,
    )


async def post_step(rest: Rest, group: GroupRecord | None, incident: str, given: Given) -> str:
    """Post the step that the person saw; where the plan is another one by now, nothing is posted.

    Parameters
    ----------
    rest : Rest
        The API.
    group : GroupRecord or None
        As it is now.
    incident : str
        By whose id the API finds it.
    given : mapping
        The step that was shown, and who asks why.
    """
    number, _, action = given["value"].partition(" ")
    step = next((one for one in group.plan if str(one.step) == number), None) if group else None
    if step is None or step.action != action:
        raise Refused("the plan has changed meanwhile, nothing was posted: look at its steps once more")
    body = {"who": given.get("who") or "unknown", "why": given.get("why", "")}
    told = await rest.post(f"/incidents/{quote(incident, safe='')}/plan/{step.step}:post", body)
    return f"{told['receiver']} has step {step.step}."


def _line(step: Step, receiver: str) -> Markup:
    circuit = step.circuit
    return h(
        "li",
        h("strong", step.service, ": "),
        step.action,
        h("div.soft", f"Because: {step.why}.") if step.why else None,
        h("div.soft", f"Retries: {retried(step.retry)}.") if step.retry else None,
        h("div.soft", f"Circuit to open: {circuit.caller} to {circuit.callee}.") if circuit else None,
        h("div.buttons", _post(step, receiver)) if receiver else None,
    )


def _post(step: Step, receiver: str) -> Markup:
    return button(
        "Post to the runbook",
        "post",
        f"{step.step} {step.action}",
        ask=f"Post step {step.step} to {receiver}?",
        detail=f"{step.service}: {step.action} What the receiver does with it is its own affair.",
        fields="who why",
        verb="Post it",
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
