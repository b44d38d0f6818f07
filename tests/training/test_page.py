"""The page says all that the report says, in well-formed HTML that fetches nothing, and a browser shows it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from models.prediction import HORIZONS
from tests.browsers import QUIET
from training.alerting import EventScores
from training.categories import CategoryScores
from training.choice import Choice
from training.detail import Bin, Budget, Detail, Fold, Told
from training.page import page
from training.report import Report, Scores, Served
from training.words import DASH

ATTACK = "default/<script>alert(1)</script>/*"
FORECASTERS = ("ensemble", "recency", "rate", "seasonal", "climatology")
GOOD = Scores(1000, 20, 0.02, 0.4, 0.9, 0.2, 0.001, 0.08, 1.1, (0.3, 0.5), (0.1, 0.3), -0.01, (-0.02, -0.005), 1.2)
EVENTS = EventScores(
    0.3, 10, 6, 8, 6, 1200.0, 300.0, 1.0, (0.4, 0.8), None, (900.0, 1500.0), (1.5, 2.5), (600.0, 1200.0, 3300.0)
)
NONE = EventScores(0.3, 0, 0, 0, 0, float("nan"), float("nan"), 1.0)
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
CHARTS = len(HORIZONS) + 4  # reliability by horizon; budgets, leads, groups and weights


def a_detail(n_incidents: int = 3) -> Detail:
    said = ((3600.0, 0.01), (1200.0, 0.4), (60.0, 0.6))
    series = [ATTACK, "default/cart/*", "default/payment/POST /charge"]
    told = tuple(Told(series[i % 3], 1000.0 * i, 1200.0 if i % 2 else None, 0.3, said) for i in range(n_incidents))
    fold = Fold(
        0, 43_200, 500, 12, {"trees": 0.7, "linear": 0.3}, {"surprise": 0.02, "clock": 0.0}, 0.9, ("a <b>short</b> block",)
    )
    bins = (Bin(0.001, 0.0, 0.0, 0.01, 900), Bin(0.02, 0.03, 0.01, 0.05, 90), Bin(0.4, 0.5, 0.3, 0.7, 10))
    budgets = (Budget(0.9, 0.5, 0.3, 0.9), Budget(1.9, 0.3, 0.6, 0.7), Budget(7.5, 0.1, 0.9, 0.2))
    return Detail((fold, fold), {"ensemble": EVENTS, "rate": NONE}, dict.fromkeys(HORIZONS, bins), budgets, told, 3)


def a_report(detail: Detail | None = None) -> Report:
    tables = dict.fromkeys(HORIZONS, dict.fromkeys(FORECASTERS, GOOD) | {"climatology": Scores.empty()})
    events = {"ensemble": EVENTS, "rate": NONE}
    counts = {"test": 1000}
    return Report(
        tables,
        tables,
        events,
        Served(dict.fromkeys(HORIZONS, Choice("seasonal", 0.01, (-0.01, 0.02))), dict.fromkeys(HORIZONS, GOOD), EVENTS),
        {"trees": 0.7},
        counts,
        counts,
        0,
        86_400,
        2.0,
        ("a note & more",),
        detail or a_detail(),
    )


class Outline(HTMLParser):
    """What a page is made of; complains about tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    def values(self, name: str) -> list[str]:
        """Return all values of an attribute."""
        return [value or "" for key, value in self.attributes if key == name]


@pytest.fixture(scope="module")
def text() -> str:
    return page(a_report())


@pytest.fixture(scope="module")
def outline(text: str) -> Outline:
    return Outline(text)


def test_categories_are_a_paragraph_where_there_are_any(text: str) -> None:
    assert "Categories" not in text
    scores = CategoryScores(12, 1.5, 0.7, 0.5, 0.8, (1.2, 1.8), None, (0.4, 0.6), (0.7, 0.9), 0.0, (0.0, 0.0))
    told = Outline(page(replace(a_report(), categories={"mixture": scores, "own": replace(scores, log_loss=1.6)})))
    assert any(words.startswith("Of 12 incidents of a known category") for words in told.words)


def test_the_same_report_gives_the_same_page(text: str) -> None:
    assert page(a_report()) == text


def test_tags_match_and_ids_are_unique(outline: Outline) -> None:
    ids = outline.values("id")
    assert len(ids) == len(set(ids))
    assert {link.removeprefix("#") for link in outline.values("href")} <= set(ids)
    assert outline.tags.count("h1") == 1


def test_nothing_is_fetched_and_nothing_runs(text: str, outline: Outline) -> None:
    assert not {"script", "link", "img", "iframe", "object", "embed"} & set(outline.tags)
    assert outline.values("src") == []
    assert all(link.startswith("#") for link in outline.values("href"))
    assert not re.search(r"https?:|@import|url\((?!#)|\son\w+=", text)
    assert "default-src 'none'" in text


def test_names_from_outside_are_text(text: str, outline: Outline) -> None:
    assert ATTACK not in text
    assert escape(ATTACK) in text
    assert "b" not in outline.tags, "a note's mark-up is text, too"
    assert "a note &amp; more" in text


def test_every_horizon_forecaster_and_incident_appears(outline: Outline) -> None:
    words = outline.words
    for horizon in HORIZONS:
        assert f"At {horizon}" in words
    for name in FORECASTERS:
        assert words.count(name) >= 2 * len(HORIZONS), name
    for told in a_detail().incidents:
        assert told.series in words
    starts = outline.values("datetime")
    assert starts == sorted(starts, reverse=True), "newest first"
    assert len(starts) == 3


def test_undefined_scores_are_a_dash(outline: Outline) -> None:
    joined = "|".join(outline.words)
    assert "climatology" + f"|{DASH}" * 8 in joined
    assert not re.search(r"\b(nan|None|inf)\b", joined)


@pytest.mark.parametrize(("low", "high", "kind"), [(-0.02, -0.005, "better"), (-0.02, 0.01, "even"), (0.005, 0.02, "worse")])
def test_a_difference_that_may_be_chance_is_shown_apart(low: float, high: float, kind: str) -> None:
    rate = replace(GOOD, model_minus_this=(low + high) / 2, model_minus_this_interval=(low, high))
    table = {key: {"ensemble": GOOD, "rate": rate} for key in HORIZONS}
    report = a_report()
    served = replace(report.served, horizons=dict.fromkeys(HORIZONS, rate))
    text = page(replace(report, horizons=table, quiet=table, served=served, detail=None))
    assert set(re.findall(r'<td><span class="(\w+)">', text)) == {kind}


def test_every_table_has_a_caption_and_every_chart_a_sentence(text: str, outline: Outline) -> None:
    assert outline.tags.count("table") == outline.tags.count("caption") > 0
    assert outline.tags.count("svg") == CHARTS + 3
    assert text.count('<svg class="chart" role="img" aria-label="') == CHARTS
    assert text.count('<svg class="spark" role="img" aria-label="') == 3


def test_many_incidents_wait_for_a_click() -> None:
    told = Outline(page(a_report(a_detail(60))))
    assert "10 more" in told.words
    assert len(told.values("datetime")) == 60


def test_a_report_without_detail_is_a_page_without_its_sections() -> None:
    report = replace(a_report(), detail=None, notes=())
    told = Outline(page(report))
    assert "svg" not in told.tags
    assert not {"incidents", "carried", "reliability"} & set(told.values("id"))
    assert "None." in told.words


def test_a_backtest_in_which_nothing_happened_is_a_page() -> None:
    empty = Detail((), {}, dict.fromkeys(HORIZONS, ()), (), (), 0)
    tables = dict.fromkeys(HORIZONS, dict.fromkeys(FORECASTERS, Scores.empty()))
    told = Outline(page(replace(a_report(empty), horizons=tables, quiet=tables, events={"ensemble": NONE})))
    assert "svg" not in told.tags
    assert "None began in this time." in told.words


# --- a browser --------------------------------------------------------------------------------------------------------

MEASURE = """<script>
const shown = [...document.querySelectorAll('svg')].map(one => one.getBoundingClientRect());
document.body.dataset.charts = shown.filter(box => box.width > 100 && box.height > 20).length;
document.body.dataset.inside = shown.filter(box => box.left >= 0 && box.right <= innerWidth).length;
document.body.dataset.overflow = document.documentElement.scrollWidth - innerWidth;
document.body.dataset.paper = getComputedStyle(document.body).backgroundColor;
document.body.dataset.ink = getComputedStyle(document.querySelector('svg.chart text')).fill;
</script>"""


def browse(folder: Path, html: str, *options: str) -> str:
    """Return what chromium prints of a page; a profile of its own, and no network for it to use."""
    file = folder / "page.html"
    file.write_text(html, encoding="utf-8")
    command = ["chromium", *QUIET, f"--user-data-dir={folder / 'profile'}", *options, file.as_uri()]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def measured(folder: Path, text: str, width: int, *options: str) -> dict[str, str]:
    """Return what a script finds that is put into a copy of the page; the page itself forbids scripts."""
    copy = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text).replace("</body>", MEASURE + "</body>")
    dom = browse(folder, copy, "--dump-dom", f"--window-size={width},900", *options)
    body = re.search(r"<body ([^>]*)>", dom)
    assert body is not None
    return dict(re.findall(r'data-(\w+)="([^"]*)"', body[1]))


@pytest.mark.system("chromium")
def test_a_browser_shows_the_headline_and_runs_nothing(text: str, tmp_path: Path) -> None:
    attacked = text.replace("</body>", "<script>document.body.dataset.ran = 1</script></body>")
    dom = browse(tmp_path, attacked, "--dump-dom")
    assert "data-ran" not in dom, "the page's own policy stops what is smuggled in"
    words = "".join(Outline(dom.replace("<script>document.body.dataset.ran = 1</script>", "")).words).replace(
        "\N{NO-BREAK SPACE}", " "
    )
    for headline in (
        "incidents announced60 % [40 %, 80 %]",
        "median lead20 min [15 min, 25 min]",
        "false alarms a day2.0 [1.5, 2.5]",
    ):
        assert headline in words


@pytest.mark.system("chromium")
@pytest.mark.parametrize("width", [1200, 400])
def test_a_browser_draws_every_chart_within_its_window(text: str, tmp_path: Path, width: int) -> None:
    found = measured(tmp_path, text, width)
    assert int(found["charts"]) == int(found["inside"]) == CHARTS + 3
    assert int(found["overflow"]) <= 0, "wide tables scroll by themselves"


@pytest.mark.system("chromium")
def test_a_browser_shows_it_dark_where_that_is_preferred(text: str, tmp_path: Path) -> None:
    light, dark = (measured(tmp_path, text, 1200, f"--blink-settings=preferredColorScheme={scheme}") for scheme in (1, 0))
    assert (light["paper"], light["ink"]) == ("rgb(255, 255, 255)", "rgb(86, 96, 112)")
    assert (dark["paper"], dark["ink"]) == ("rgb(18, 22, 28)", "rgb(163, 174, 187)")


@pytest.mark.system("chromium")
def test_a_browser_paints_it(text: str, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    browse(tmp_path, text, f"--screenshot={picture}", "--window-size=400,900")
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 20_000, "not an empty sheet"
