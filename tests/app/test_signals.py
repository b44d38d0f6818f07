"""Signals end what a command runs, and are given back."""

from __future__ import annotations

import signal

import pytest

from app.signals import on_stop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_each_signal_is_told_and_given_back_afterwards(number: signal.Signals) -> None:
    before, told = signal.getsignal(number), list[int]()
    with on_stop(lambda: told.append(1)):
        signal.raise_signal(number)
        signal.raise_signal(number)
    assert told == [1, 1]
    assert signal.getsignal(number) is before
