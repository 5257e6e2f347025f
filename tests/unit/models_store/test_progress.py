"""Rate and time left follow what arrives now; what was there before counts as done, not as fast."""

from __future__ import annotations

import io

from models_store.progress import GIGABYTE, Progress, bytes_in, watched


def test_a_line_has_what_is_done_the_rate_and_the_time_left():
    now = [0.0]
    progress = Progress(9 * GIGABYTE, lambda: now[0])
    assert progress.line(3 * GIGABYTE) == "3.0 of 9.0 GB (33 %)"
    now[0] = 10.0
    assert progress.line(4 * GIGABYTE) == "4.0 of 9.0 GB (44 %), 100.0 MB/s, 50 s left"


def test_the_rate_forgets_what_was_long_ago():
    now = [0.0]
    progress = Progress(100 * GIGABYTE, lambda: now[0])
    for second in range(0, 61, 5):
        now[0] = second
        line = progress.line(
            second * GIGABYTE // 10 if second <= 20 else 2 * GIGABYTE + (second - 20) * GIGABYTE // 100
        )
    assert line.endswith("10.0 MB/s, 2.7 h left")


def test_a_download_that_stands_still_has_no_rate_and_one_that_is_larger_than_told_is_not_over_full():
    now = [0.0]
    progress = Progress(GIGABYTE, lambda: now[0])
    progress.line(GIGABYTE // 2)
    now[0] = 5.0
    assert progress.line(GIGABYTE // 2) == "0.5 of 1.0 GB (50 %)"
    assert progress.line(2 * GIGABYTE).startswith("2.0 of 2.0 GB (100 %)")


def test_bytes_are_those_of_all_files_below(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "x").write_bytes(b"123")
    (tmp_path / "a" / "b" / "y.incomplete").write_bytes(b"4567")
    assert bytes_in(tmp_path) == 7
    assert bytes_in(tmp_path / "nowhere") == 0


def test_what_ends_soon_says_nothing_where_nobody_watches(tmp_path):
    told = io.StringIO()
    with watched("clip", tmp_path, 100, told):
        pass
    assert told.getvalue() == ""
