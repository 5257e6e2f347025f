"""Work on many things is done once each, in one process or several, and a failure is told."""

import os
from pathlib import Path

import pytest

from demo_models.recipes.beside import for_each


def write(target: Path) -> None:
    if target.name == "fails":
        raise OSError("no room")
    target.write_text(str(os.getpid()))


@pytest.mark.parametrize("processes", [1, 2])
def test_each_thing_is_worked_on_once(tmp_path, processes):
    targets = [tmp_path / str(number) for number in range(4)]
    for_each(write, targets, processes)
    here = {target.read_text() == str(os.getpid()) for target in targets}
    assert here == {processes == 1}


@pytest.mark.parametrize("processes", [1, 2])
def test_what_fails_is_told(tmp_path, processes):
    with pytest.raises(OSError, match="no room"):
        for_each(write, [tmp_path / "fails", tmp_path / "later"], processes)
