"""What counts as a mutant, and what no test need notice."""

import pytest

from benchmarks.mutation import mutants_of


def changed(source):
    """Every mutated source of a snippet."""
    return {mutant.of(source.encode()).decode() for mutant in mutants_of("a.py", source)}


@pytest.mark.parametrize(
    ("source", "mutants"),
    [
        ("x = a < b", {"x = (a <= b)", "x = (a >= b)"}),
        ("x = a in b", {"x = (a not in b)"}),
        ("x = a + b", {"x = (a - b)"}),
        ("x = a and b", {"x = (a or b)"}),
        ("x = not a", {"x = (a)"}),
        ("x = a if b else c", {"x = (c if b else a)"}),
        ("x = 3", {"x = 4"}),
        ("x = True", {"x = False"}),
        ("x = 'ä', 1", {"x = 'äX', 1", "x = 'ä', 2"}),
        ("x = a[b:]", {"x = a[:]", "x = a[(b) + 1:]"}),
        ("a.b = c", {"pass"}),
        ("f(a)", {"pass"}),
        ("f(a, key=b)", {"pass", "f(a, **{})"}),
        ("def f(): return a", {"def f(): return None"}),
        ("def f(a=1): pass", {"def f(a=2): pass"}),
        ("while a: break", {"while (not a): break", "while a: continue"}),
    ],
)
def test_every_operator_makes_its_changes_and_no_others(source, mutants):
    assert changed(source) == mutants


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "import a",
        "x: Literal['a', 'b']",
        "def f(a: 'b') -> 'c': pass",
        "__all__ = ['a']",
        "assert a == 1, 'because'",
        "if TYPE_CHECKING:\n    f(1)",
        "if __name__ == '__main__':\n    f(1)",
        "logger.info('job %s', 1)",
        "@dataclass(frozen=True)\nclass A: pass",
        "x = f'{a + 1}'",
    ],
)
def test_what_no_test_need_notice_is_left_alone(source):
    assert changed(source) == set()


def test_of_a_raised_error_the_statement_counts_and_its_prose_does_not():
    assert changed("raise A('it is not there', code='gone')") == {
        "pass",
        "raise A('it is not there', **{})",
        "raise A('it is not there', code='goneX')",
    }


def test_what_runs_at_import_is_told_apart():
    source = "LIMIT = 1\ndef f(a=2):\n    return 3\n"
    levels = {mutant.before: mutant.module_level for mutant in mutants_of("a.py", source)}
    assert levels == {"1": True, "2": True, "return 3": False, "3": False}
