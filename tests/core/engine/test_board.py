"""The board of switches."""

from attrs import evolve

from mailward import Switches
from mailward.engine.board import Board


def test_watchers_are_told_of_changes_and_of_nothing_else():
    board, seen = Board(), []
    board.watch(seen.append)
    board.set(Switches())
    assert seen == []
    off = evolve(board.now, deliver=False)
    board.set(off)
    assert seen == [off]
    assert board.now is off
    assert not off.delivers
    assert off.accept
