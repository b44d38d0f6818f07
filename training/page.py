"""The page that a person reads of a backtest: one HTML file with everything in it, no script and nothing fetched.

`app.commands.backtest_command` writes it with ``--html``. The words are of `training.words`, the charts of `training.charts`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from models.ensemble import ENSEMBLE
from training.alerting import EventScores
from training.charts import budget_chart, group_chart, lead_chart, reliability_chart, sparkline, weight_chart
from training.detail import Bin, Budget, Detail, Fold, Told
from training.page_style import CSS
from training.report import Report, Scores
from training.words import (
    DASH,
    alerting,
    calibration,
    categories,
    moment,
    number,
    opening,
    ranged,
    serving,
    share,
    span,
    verdicts,
)

__all__ = ["page"]

_SHOWN = 50  # incidents before those that a click shows

_AS_SERVED = "as served"

_MARKS = {"better": "✓ better", "even": "≈ may be chance", "worse": "✗ a baseline wins", "unknown": DASH}

_TERMS = (
    ("AP", "ap", "Average precision: how purely incidents lead when rows are sorted by what was said. Guessing gives the base rate, 1 is perfect."),
    ("AUC", "auc", "Chance that a row before an incident was given more than a row before none; 0.5 is guessing."),
    ("Brier skill", "brier_skill", "How much of the base rate's squared error is gone; 0 is no better, below 0 worse."),
    ("ECE", "ece", "Expected calibration error: how far stated and observed lie apart, mean over ten groups of rows."),
    ("Log loss", "log_loss", "Mean surprise in nats; lower is better. What decides who serves."),
    ("Against the ensemble", "model_minus_this", "The ensemble's log loss less this one's, in nats; the tables show it as a share of this one's. Below 0 the ensemble is better."),
    ("As served", "served, choice", "In each stretch of time the ensemble where it is better beyond doubt, else the best baseline; scored as one forecast. That is chosen on the very rows it is scored on, which favours it a little; for a model that serves it was chosen on its held-out block before."),
    ("Slope", "slope", "Calibration slope: 1 is right, below 1 overconfident, above 1 too cautious."),
    ("Riskiest 1\N{NO-BREAK SPACE}%", "top_ratio", "Incidents over expected incidents in the rows of the highest chances; 1 is right."),
    ("Quiet rows", "quiet", "Rows whose series had no incident within the last horizon. Who is good on these alone foresees, not remembers."),
    ("Alerts at the budget", "events", "Threshold found on these very days, so that every forecaster spends the same on false alarms: a fair comparison, not a promise."),
    ("Alerts in service", "deployed", "Each day's threshold follows what was said in the fourteen days before it; until enough was said it is that of the fit. The budget then counts all alerts, right or wrong, since no outcome is looked at."),
    ("Worth of a group", "folds[].groups", "What the log loss grows by when the group's values are shuffled among rows; groups that say the same hide each other."),
    ("Coverage", "folds[].coverage", "Share of ten groups of rows whose observed rate agrees with the stated interval; 90 % is right on average."),
    ("Categories", "categories", "Which category an incident was of, given that it began: what was told in the hour before, every incident counted once. The mixture is served; the rest is one source alone."),
    ("Curves", "reliability, budgets", "The points of the charts."),
    ("Incidents one by one", "told", "The newest, each with what was said for the horizon of alerts before it, and how long before it that first reached the threshold."),
    ("Intervals", "*_interval", "In brackets, of 90\N{NO-BREAK SPACE}%, from resampled blocks of time: neighbouring rows are not independent."),
)  # fmt: skip


def page(report: Report) -> str:
    """Return a report as an HTML page that needs no script and no network.

    Parameters
    ----------
    report : Report
        Of `training.walkforward`, or of `training.evaluate`: then without folds, curves and incidents.

    Returns
    -------
    str
        The same report gives the same page.
    """
    title = f"Foreshock backtest, {moment(report.test_begin_s)} to {moment(report.test_end_s)} UTC"
    detail = report.detail
    parts = [
        ("answer", "In short", _answer(report)),
        ("alerts", "Alerts", _alerts(report)),
        ("scores", "Scores by horizon", _scores(report)),
        *(() if detail is None else _detailed(report, detail)),
        ("notes", "Notes", _list(report.notes) if report.notes else "<p>None.</p>"),
        ("how", "How to read this", _terms(report)),
    ]
    links = "".join(f'<a href="#{name}">{heading}</a>' for name, heading, _ in parts)
    body = "".join(f'<section id="{name}"><h2>{heading}</h2>{text}</section>' for name, heading, text in parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">'
        f"<title>{escape(title)}</title><style>{CSS}</style></head>\n"
        f'<body><header><p class="brand">Foreshock backtest</p><h1>How well could these incidents have been forecast?</h1>'
        f'<p class="lead">{escape(opening(report))}</p><nav aria-label="Sections">{links}</nav></header>\n'
        f"<main>{body}</main></body></html>\n"
    )


def _answer(report: Report) -> str:
    scores = report.events[ENSEMBLE]
    tiles = (
        ("incidents announced", share(scores.recall), ranged(scores.recall_interval, share)),
        ("median lead", span(scores.median_lead_s), ranged(scores.median_lead_interval, span)),
        ("alerts right", share(scores.precision), ranged(scores.precision_interval, share)),
        (
            "false alarms a day",
            number(scores.false_alarms_a_day, 1),
            ranged(scores.false_alarms_interval, lambda value: number(value, 1)),
        ),
    )
    shown = "".join(f"<div><dt>{name}</dt><dd>{value} <small>{interval}</small></dd></div>" for name, value, interval in tiles)
    told = "".join(
        f'<li class="{v.kind}"><strong>{_MARKS[v.kind]}</strong> <span>{escape(v.text)}</span></li>' for v in verdicts(report)
    )
    paragraphs = "".join(f"<p>{escape(text)}</p>" for text in alerting(report))
    told_of = categories(report)
    return (
        f'<dl class="tiles">{shown}</dl>{paragraphs}<h3>Against the baselines</h3><ul class="verdicts">{told}</ul>'
        f"<h3>What would be served</h3>{_list(serving(report))}"
        f"<h3>Calibration</h3>{_list(calibration(report))}"
        + (f"<h3>Categories</h3><p>{escape(told_of)}</p>" if told_of else "")
    )


def _alerts(report: Report) -> str:
    budget = f"Alerts at the budget of {report.budget_per_day:g} false alarms a day, with hindsight"
    tables = _event_table(budget, report.events | {_AS_SERVED: report.served.events})
    detail = report.detail
    if detail is None:
        return tables
    tables += _event_table(
        "Alerts in service: at thresholds that earlier time had set, one a day (the mean is shown)", detail.deployed
    )
    leads = report.events[ENSEMBLE].leads_s
    figures = ""
    if detail.budgets:
        caption = "What more or fewer false alarms buy: the share of incidents announced, and of alerts right."
        figures += _figure(budget_chart(detail.budgets, report.budget_per_day), caption, _budget_table(detail.budgets))
    if leads:
        figures += _figure(lead_chart(leads), "How long before their start incidents were announced, at the budget.")
    return tables + f'<div class="charts">{figures}</div>'


def _event_table(caption: str, events: Mapping[str, EventScores]) -> str:
    head = ("Forecaster", "Recall", "Median lead", "9 in 10 have at least", "Precision", "False a day", "Threshold")
    rows = [
        (
            escape(name),
            _pair(f"{share(e.recall)} ({e.announced}/{e.incidents})", ranged(e.recall_interval, share)),
            _pair(span(e.median_lead_s), ranged(e.median_lead_interval, span)),
            span(e.tenth_lead_s),
            _pair(f"{share(e.precision)} ({e.right}/{e.alerts})", ranged(e.precision_interval, share)),
            _pair(number(e.false_alarms_a_day, 1), ranged(e.false_alarms_interval, lambda value: number(value, 1))),
            share(e.threshold),
        )
        for name, e in events.items()
    ]
    return _table(caption, head, [("", rows)])


def _scores(report: Report) -> str:
    return "".join(
        _horizon(horizon, by_name | {_AS_SERVED: report.served.horizons[horizon]}, report.quiet[horizon])
        for horizon, by_name in report.horizons.items()
    )


def _horizon(horizon: str, everything: Mapping[str, Scores], quiet: Mapping[str, Scores]) -> str:
    head = (
        "Forecaster",
        "AP",
        "AUC",
        "Brier skill",
        "ECE",
        "Log loss",
        "Ensemble against it",
        "Slope",
        "Riskiest 1\N{NO-BREAK SPACE}%",
    )
    bodies = [(_rows_of(kind, table), _score_rows(table)) for kind, table in (("All", everything), ("Quiet", quiet))]
    return f"<h3>At {escape(horizon)}</h3>" + _table(f"Scores at {escape(horizon)}, the lowest log loss in bold", head, bodies)


def _rows_of(kind: str, by_name: Mapping[str, Scores]) -> str:
    mine = by_name[ENSEMBLE]
    return f"{kind} rows: {mine.n:,}, of which {mine.positives:,} before an incident ({share(mine.base_rate)})"


def _score_rows(by_name: Mapping[str, Scores]) -> list[tuple[str, ...]]:
    losses = [s.log_loss for s in by_name.values() if math.isfinite(s.log_loss)]
    return [
        (
            escape(name),
            _pair(number(s.ap), ranged(s.ap_interval)),
            _pair(number(s.auc), ranged(s.auc_interval)),
            _pair(number(s.brier_skill), ranged(s.brier_skill_interval)),
            number(s.ece, 4),
            _best(number(s.log_loss, 4), best=bool(losses) and s.log_loss == min(losses)),
            DASH if name == ENSEMBLE else _against(s),
            _pair(number(s.slope, 2), ranged(s.slope_interval, lambda value: number(value, 2))),
            _pair(number(s.top_ratio, 2), ranged(s.top_ratio_interval, lambda value: number(value, 2))),
        )
        for name, s in by_name.items()
    ]


def _against(s: Scores) -> str:
    """Return the ensemble's log loss against a forecaster's as a share of the latter."""
    if not math.isfinite(s.model_minus_this) or not s.log_loss > 0:
        return DASH

    def signed(value: float) -> str:
        return ("+" if value > 0 else "") + share(value / s.log_loss)

    kind = "worse" if s.model_minus_this > 0 else "better"
    if s.model_minus_this_interval is None or s.model_minus_this_interval[0] <= 0 <= s.model_minus_this_interval[1]:
        kind = "even"
    return f'<span class="{kind}">{_pair(signed(s.model_minus_this), ranged(s.model_minus_this_interval, signed))}</span>'


def _detailed(report: Report, detail: Detail) -> list[tuple[str, str, str]]:
    return [
        ("reliability", "Reliability", _reliability(detail)),
        ("carried", "What carried", _carried(detail.folds)),
        ("incidents", "Incidents, newest first", _incidents(detail.incidents)),
    ]


def _reliability(detail: Detail) -> str:
    figures = "".join(
        _figure(reliability_chart(horizon, bins), f"At {escape(horizon)}.", _bin_table(bins))
        for horizon, bins in detail.reliability.items()
        if bins
    )
    return (
        "<p>Rows in up to ten groups of equal expected incidents, by what was stated. On the dashed line, what is stated happens; "
        "below it too much was stated, above it too little. Bars are 90\N{NO-BREAK SPACE}% intervals, an open triangle is a group "
        f'in which nothing happened.</p><div class="charts">{figures}</div>'
    )


def _bin_table(bins: Sequence[Bin]) -> str:
    rows = [(share(b.predicted), _pair(share(b.observed), ranged((b.lower, b.upper), share)), f"{b.rows:,}") for b in bins]
    return _table("Groups of rows", ("Stated", "Observed", "Rows"), [("", rows)])


def _budget_table(budgets: Iterable[Budget]) -> str:
    rows = [(number(b.false_alarms_a_day, 2), share(b.recall), share(b.precision), share(b.threshold)) for b in budgets]
    return _table("Points of the curve", ("False a day", "Recall", "Precision", "Threshold"), [("", rows)])


def _carried(folds: Sequence[Fold]) -> str:
    figures = ""
    if any(fold.groups for fold in folds):
        caption = (
            "Worth of each feature group: what the log loss grows by without it, mean over the folds; the line spans the folds."
        )
        figures += _figure(group_chart(folds), caption)
    if any(fold.weights for fold in folds):
        figures += _figure(weight_chart(folds), "How the ensemble weighs its members in each fold.")
    return f'<div class="charts">{figures}</div>{_fold_table(folds)}'


def _fold_table(folds: Sequence[Fold]) -> str:
    head = (
        "Fold",
        "Forecast from",
        "to (UTC)",
        "Rows",
        "Learned from incidents",
        "Coverage",
        '<span class="words">What had to give</span>',
    )
    rows = [
        (
            str(number),
            moment(fold.begin_s),
            moment(fold.end_s),
            f"{fold.rows:,}",
            f"{fold.trained_on:,}",
            share(fold.coverage),
            f'<span class="words">{escape("; ".join(fold.notes)) or DASH}</span>',
        )
        for number, fold in enumerate(folds, start=1)
    ]
    return _table("Folds", head, [("", rows)])


def _incidents(incidents: Sequence[Told]) -> str:
    if not incidents:
        return "<p>None began in this time.</p>"
    said = [point for told in incidents for point in told.said]
    longest_s = max((before_s for before_s, _ in said), default=1.0) or 1.0
    lowest = min((p for _, p in said if p > 0), default=1e-3)
    newest = sorted(incidents, key=lambda told: (told.start_s, told.series), reverse=True)
    items = [_incident(told, sparkline(told, longest_s=longest_s, lowest=lowest)) for told in newest]
    shown, rest = "".join(items[:_SHOWN]), "".join(items[_SHOWN:])
    more = f'<details class="more"><summary>{len(items) - _SHOWN:,} more</summary><ul class="told">{rest}</ul></details>'
    return (
        f"<p>The curve is what was stated for the horizon of alerts in the last {span(longest_s)} before each start, on a logarithmic "
        "scale. From the dashed line on, which earlier days had set, an alert is due; dots mark it.</p>"
        f'<ul class="told">{shown}</ul>{more if rest else ""}'
    )


def _incident(told: Told, drawing: str) -> str:
    announced = told.lead_s is not None
    how = f"announced {span(told.lead_s)} ahead" if announced else "not announced"
    most = max((p for _, p in told.said), default=float("nan"))
    return (
        f'<li><time datetime="{moment(told.start_s).replace(" ", "T")}Z">{moment(told.start_s)}</time>'
        f'<span class="whose">{escape(told.series)}</span>'
        f'<span class="{"better" if announced else "missed"}">{how}</span>{drawing}'
        f'<span class="most">at most {share(most)}</span></li>'
    )


def _terms(report: Report) -> str:
    items = "".join(
        f"<div><dt>{escape(term)} <code>{escape(key)}</code></dt><dd>{escape(text)}</dd></div>"
        for term, key, text in _TERMS
        if key != "categories" or report.categories is not None
    )
    return f'<p>Names in this type are the keys of <code>foreshock backtest --json</code>.</p><dl class="terms">{items}</dl>'


def _list(texts: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + "</ul>"


def _pair(value: str, interval: str) -> str:
    return f"{value} <small>{interval}</small>" if interval else value


def _best(text: str, *, best: bool) -> str:
    return f"<strong>{text}</strong>" if best else text


def _figure(drawing: str, caption: str, numbers: str = "") -> str:
    more = f"<details><summary>Numbers</summary>{numbers}</details>" if numbers else ""
    return f"<figure>{drawing}<figcaption>{caption}</figcaption>{more}</figure>"


def _table(caption: str, head: Sequence[str], bodies: Iterable[tuple[str, Iterable[Sequence[str]]]]) -> str:
    """Return a table of HTML cells; a wide one scrolls by itself, and its first column stays.

    Parameters
    ----------
    caption : str
        HTML.
    head : sequence of str
        Columns.
    bodies : iterable of (str, rows)
        A heading for some rows, empty for none, and the rows.
    """
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    text = ""
    for heading, rows in bodies:
        kind = f'<tr><th scope="rowgroup" colspan="{len(head)}"><span>{heading}</span></th></tr>' if heading else ""
        lines = "".join(
            f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
            for first, *cells in rows
        )
        text += f"<tbody>{kind}{lines}</tbody>"
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{caption}"><table><caption><span>{caption}</span></caption>'
        f"<thead><tr>{columns}</tr></thead>{text}</table></div>"
    )
