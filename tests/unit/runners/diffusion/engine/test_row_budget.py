from __future__ import annotations

from runners.diffusion.engine.row_budget import RowBudget

SMALL, LARGE = (32, 32), (64, 64)


def test_without_a_gpu_the_configured_limit_holds():
    assert RowBudget(16, lambda: None).limit(SMALL) == 16


def test_free_memory_and_the_measured_cost_of_a_row_limit_a_forward():
    budget = RowBudget(16, lambda: 1000)
    budget.note_peak(SMALL, rows=2, peak_bytes=200)
    assert budget.limit(SMALL) == 8
    assert budget.limit((96, 64)) == 16


def test_free_memory_is_asked_for_once_until_it_may_have_changed():
    free = [1000]
    budget = RowBudget(16, lambda: free[0])
    budget.note_peak(SMALL, rows=1, peak_bytes=100)
    assert budget.limit(SMALL) == 8
    free[0] = 500
    assert budget.limit(SMALL) == 8
    budget.look_again()
    assert budget.limit(SMALL) == 4
    free[0] = 250
    budget.note_out_of_memory(LARGE, rows=8)
    assert budget.limit(SMALL) == 2


def test_the_highest_measured_cost_counts():
    budget = RowBudget(16, lambda: 1000)
    budget.note_peak(SMALL, rows=2, peak_bytes=400)
    budget.note_peak(SMALL, rows=2, peak_bytes=200)
    assert budget.limit(SMALL) == 4


def test_at_least_one_row_is_always_allowed():
    budget = RowBudget(16, lambda: 0)
    budget.note_peak(SMALL, rows=1, peak_bytes=10**9)
    assert budget.limit(SMALL) == 1


def test_running_out_of_memory_halves_that_size_and_good_forwards_bring_it_back():
    budget = RowBudget(8, lambda: None)
    budget.note_out_of_memory(LARGE, rows=8)
    assert budget.limit(LARGE) == 4
    assert budget.limit(SMALL) == 8
    for _ in range(64):
        budget.note_success(LARGE)
    assert budget.limit(LARGE) == 6
    for _ in range(64):
        budget.note_success(LARGE)
    assert budget.limit(LARGE) == 8


def test_a_dear_forward_is_forgotten_after_as_many_as_are_kept():
    budget = RowBudget(10, lambda: 1000)
    budget.note_peak(SMALL, rows=1, peak_bytes=400)
    for _ in range(63):
        budget.note_peak(SMALL, rows=1, peak_bytes=80)
    assert budget.limit(SMALL) == 2
    budget.note_peak(SMALL, rows=1, peak_bytes=80)
    assert budget.limit(SMALL) == 10
