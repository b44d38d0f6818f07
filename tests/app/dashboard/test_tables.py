"""Tables, search and progress."""

from __future__ import annotations

from app.dashboard.tables import button, matches, meter, search_box, table


def test_a_table_has_heads_rows_and_a_name() -> None:
    shown = table(("What", "How many"), [("<a>", 3)], (1,))
    assert shown.count("<tr>") == 2
    assert '<td class="number">3</td>' in shown
    assert "&lt;a&gt;" in shown
    assert 'aria-label="What, How many"' in shown


def test_rows_say_what_they_are_of_where_that_is_told() -> None:
    shown = table(("What",), [["a"], ["b"]], keys=['"1', "2"])
    assert '<tr data-key="&quot;1"><td>a</td></tr><tr data-key="2">' in shown


def test_all_words_must_stand_somewhere() -> None:
    assert matches("time out", "a timeout", "")
    assert not matches("time cart", "a timeout")


def test_progress_stays_between_nothing_and_all() -> None:
    assert [f'aria-valuenow="{value}"' in meter(share, "x") for share, value in ((-1.0, 0), (0.424, 42), (7.0, 100))] == [
        True
    ] * 3


def test_words_of_the_url_stand_in_the_box_and_buttons_say_what_they_do() -> None:
    assert 'value="&quot;x"' in search_box('"x', "anything")
    assert button("Go", "go", "1", ask="Sure?") == (
        '<button type="button" data-act="go" data-value="1" data-ask="Sure?">Go</button>'
    )
