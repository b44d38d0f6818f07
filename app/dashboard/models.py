"""The models of a tenant: how well they forecast lately, which version serves and since when, what feedback changed, and training."""

from __future__ import annotations

from urllib.parse import quote

from app.cache.learning_records import LearningRecord
from app.cache.records import TrainingRun
from app.dashboard import charts, words
from app.dashboard.collector import empty
from app.dashboard.frame import ChartData, Frame, Given, panel
from app.dashboard.impact import impact_panel
from app.dashboard.markup import Child, Markup, h, join
from app.dashboard.rest import Reading, Refused
from app.dashboard.runs import runs_table
from app.dashboard.tables import button, table
from models.prediction import HORIZONS
from models.version import ModelVersion, ServingHistory

__all__ = ["show"]

_TONES = {"champion": "good", "challenger": "info", "retired": "", "candidate": "warn"}
_MOST = 30  # guessed: a month of daily trainings
_STEPS = 12


async def show(frame: Frame) -> None:
    """Show the page."""
    page = _Models(frame)
    content = frame.head("Models", "models")
    frame.acts |= {"promote": page.promote, "rollback": page.roll_back, "train": page.train}
    frame.reads.append(page.impact.read)
    await page.impact.read()
    with content:
        await frame.section(page.headline)
        await frame.chart(page.calibration)
        await frame.section(page.validation)
        await frame.section(page.versions)
        await frame.section(page.beside, classes="two")
        await frame.section(lambda: impact_panel(page.impact.answer, page.impact.at))
    frame.follow("models", "training-runs", "learning", "feedback")


class _Models:
    """What the sections hold, and what the buttons do."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._cache = frame.sources.cache
        self._view = frame.view
        self.impact = Reading(frame.rest, "/feedback/impact", frame.sources.parts.now)

    def learning(self) -> LearningRecord | None:
        return self._cache.one("learning", self._view.key("*"), LearningRecord)

    def serving(self) -> ServingHistory:
        return self._cache.one("models", self._view.key("serving"), ServingHistory) or ServingHistory()

    def headline(self) -> Markup:
        champion, steps = self.serving().champion, [step for step in self.serving().steps if step.served]
        since = steps[-1].at if steps else None
        chip = (
            h("span.chip", f"{champion} serves", data_status="good")
            if champion
            else h("span.chip", "no model yet", data_status="warn")
        )
        train = button(
            "Train now",
            "train",
            ask="Train a model now?",
            detail="It runs at low priority beside the service, and serves only if it is better.",
            fields="why",
            verb="Train",
        )
        return h("div.title", h("h1", "Models"), chip, h("span.soft", "since ", words.age(since)) if since else None, train)

    def calibration(self) -> ChartData | None:
        """Draw what was forecast beside what came, as soon as something came."""
        record = self.learning()
        if record is None:
            return None
        found = {member.member: member.horizons for member in record.members}
        served = found.get("served") or found.get("blend") or {}
        names = [name for name in HORIZONS if name in served]
        data = {
            "forecast": [served[name].forecast_rate for name in names],
            "came true": [served[name].base_rate for name in names],
        }
        series = [
            {"name": name, "type": "bar", "data": values, "itemStyle": {"color": color}, "barMaxWidth": 36}
            for (name, values), color in zip(data.items(), ("--a", "--low"), strict=True)
        ]
        options = charts.time_chart(series)
        options["xAxis"] = {
            "type": "category",
            "data": [f"within {name.removesuffix('min')} min" for name in names],
            "axisLabel": {"color": "--soft"},
            "axisLine": {"lineStyle": {"color": "--line"}},
        }
        note = h("span", "mean probability, and the share of rows before incidents; ", words.age(record.as_of))
        return ChartData(
            "Calibration: what was said, and what came",
            note,
            options,
            "Mean forecast beside how often incidents came",
            "percent",
        )

    def validation(self) -> Markup:
        record = self.learning()
        if record is None:
            return empty(
                "No outcome yet",
                "How well forecasts do is said here an hour after the first ones, when their longest horizon has closed. ",
                "A model is trained once history holds enough incidents; until then the prior forecasts.",
            )
        rows = [
            [member.member, f"{name.removesuffix('min')} min", self._weight(member.weights.get(name)), f"{one.log_loss:.4f} nats", f"{one.base_log_loss:.4f} nats", f"{one.brier:.4f}", words.amount(one.rows)]
            for member in record.members
            for name, one in member.horizons.items()
        ]  # fmt: skip
        drifts = [h("li", drift) for drift in record.drifts]
        rival = record.rival
        facts: list[Child] = [
            h("p", f"{record.incidents_began:.1f} rows before incidents since it serves, {record.incidents_forecast:.1f} were forecast; {words.amount(record.rows_waiting)} forecasts wait for their outcome."),
            h("p", f"Compared with {rival.version} for {rival.hours} h: log loss {rival.difference:+.4f} nats a row, {_verdict(rival.verdict)}.") if rival else None,
            h("div", h("strong", "Signs of drift"), h("ul", drifts)) if drifts else h("p.soft", "No sign of drift."),
        ]  # fmt: skip
        heads = ("Who", "Within", "Share", "Log loss", "of the base rate", "Brier", "Rows")
        return panel(
            "How well it forecast lately",
            facts,
            h("details", h("summary", "Every member and horizon"), table(heads, rows, (3, 4, 5, 6))),
            note=["rows of ", words.duration(record.half_life_s), " ago count half; ", words.age(record.as_of)],
        )

    def _weight(self, share: float | None) -> str:
        return words.percent(share) if share is not None else words.DASH

    def versions(self) -> Markup:
        serving = self.serving()
        found = list(self._cache.all("models", self._view.key("version", ""), ModelVersion).values())
        if not found:
            return empty(
                "No model version yet",
                "One is fitted by itself once there are enough incidents in history (setting models.min_incidents). ",
                "To have one at once: Train now, above.",
            )
        found.sort(key=lambda one: one.record.created_at, reverse=True)
        heads = ("Version", "Is", "Fitted", "Learned from", "AP within 60 min", "Serves", "Do")
        return panel(
            "Versions",
            table(heads, [self._version_row(one, serving) for one in found[:_MOST]], (4,), [one.id for one in found]),
            note=words.counted(len(found), "version") + words.cut(len(found), _MOST),
        )

    def _version_row(self, one: ModelVersion, serving: ServingHistory) -> list[Child]:
        alias, record = serving.alias(one.id, one.alias), one.record
        serves = sorted({f"{who}" for who in record.serves.values()})
        length = words.duration((record.trained_to - record.trained_from).total_seconds())
        score = record.scores.get("60min.ap")
        return [
            h("code", one.id),
            h("span.chip", alias, data_status=_TONES.get(alias, "")),
            words.age(record.created_at),
            h("span", f"{length} up to ", words.age(record.trained_to)),
            f"{score:.3f}" if score is not None else words.DASH,
            ", ".join(serves),
            self._buttons(one.id, alias, serving),
        ]

    def _buttons(self, version: str, alias: str, serving: ServingHistory) -> Markup | None:
        fields = "who why"
        if alias != "champion":
            detail = f"Every forecast from the next tick on is made by it, instead of {serving.champion or 'the prior'}."
            return button(
                "Promote", "promote", version, ask=f"Let {version} serve?", detail=detail, fields=fields, verb="Promote"
            )
        if len(serving.history) > 1:
            before = serving.history[-2]
            detail = f"{before} serves again from the next tick on."
            return button(
                "Roll back", "rollback", version, ask=f"Take {version} back?", detail=detail, fields=fields, verb="Roll back"
            )
        return None

    def beside(self) -> Markup:
        runs = sorted(
            self._cache.all("training-runs", self._view.prefix, TrainingRun).values(),
            key=lambda run: run.requested_at,
            reverse=True,
        )
        none = h("p.soft", "None yet.")
        steps = [
            h("li", f"{step.action.replace('_', ' ')}: ", h("code", step.version), h("span.soft", f" by {step.who}{f', {step.why}' if step.why else ''}, ", words.age(step.at) if step.at else "unknown when"))
            for step in reversed(self.serving().steps[-_STEPS:])
        ]  # fmt: skip
        return join(
            [
                panel("Training runs", runs_table(runs[:_STEPS]) if runs else none),
                panel("Who let what serve", h("ul.plain.lines", steps) if steps else none),
            ]
        )

    async def promote(self, given: Given) -> str:
        """Let a version serve."""
        await self._frame.rest.post(f"/models/{quote(given['value'], safe='')}:promote", _who(given))
        return f"{given['value']} serves from the next tick on."

    async def roll_back(self, given: Given) -> str:
        """Let the version before serve again, if what serves is still the one that the person saw serve."""
        serves = self.serving().champion
        if serves != given["value"]:
            raise Refused(
                f"{serves or 'no model'} serves meanwhile, not {given['value']}: nothing was taken back, look once more"
            )
        found = await self._frame.rest.post("/models:rollback", _who(given))
        return f"{found['id']} serves again from the next tick on."

    async def train(self, given: Given) -> str:
        """Ask for a training run."""
        await self._frame.rest.post("/training-runs", {"reason": given.get("why") or "asked for on the dashboard"})
        return "It is queued; its progress shows below."


def _who(given: Given) -> dict[str, str]:
    return {"who": given.get("who") or "unknown", "why": given.get("why", "")}


def _verdict(verdict: str) -> str:
    return {"below": "what serves is better beyond doubt", "above": "the other is better beyond doubt"}.get(
        verdict, "which is open yet"
    )
