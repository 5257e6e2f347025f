"""Mutants of a source file: every small change that a test ought to notice, as a replacement of text.

source -> **sites** -> sample -> run (`mutants`).

Left out, since no test should notice them: docstrings, annotations, imports, `__all__`, logging, `assert`,
`TYPE_CHECKING` and `__main__` blocks, the options of `@dataclass` (mypy sees to those), and prose: the text of a raised
error, of `description=`, and whole sentences. Inside f-strings Python 3.11 knows no positions, so they are left alone.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

PROSE_KEYWORDS = {"description", "summary", "help", "title"}
LOGGING_METHODS = {"debug", "info", "warning", "error", "exception", "log"}
COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change to one file; `start` and `end` are offsets in its UTF-8 bytes."""

    file: str
    line: int
    operator: str
    start: int
    end: int
    before: str
    after: str
    module_level: bool

    @property
    def key(self) -> str:
        return f"{self.file}:{self.start}:{self.end}:{self.after}"

    def of(self, source: bytes) -> bytes:
        """The mutated source."""
        return source[: self.start] + self.after.encode() + source[self.end :]


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Every mutant of a file that still compiles, in the order of the text."""
    encoded = source.encode()
    line_starts = [0]
    for line in encoded.splitlines(keepends=True):
        line_starts.append(line_starts[-1] + len(line))
    found = []
    for node, operator, after, module_level in _Sites(ast.parse(source)).found():
        start = line_starts[node.lineno - 1] + node.col_offset
        end = line_starts[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        mutant = Mutant(
            file=file,
            line=node.lineno,
            operator=operator,
            start=start,
            end=end,
            before=encoded[start:end].decode(),
            after=after,
            module_level=module_level,
        )
        if _compiles(mutant.of(encoded)):
            found.append(mutant)
    return sorted(found, key=lambda mutant: (mutant.start, mutant.end, mutant.after))


def _compiles(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


Positioned = ast.expr | ast.stmt | ast.keyword
Site = tuple[Positioned, str, str, bool]


class _Sites:
    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree

    def found(self) -> Iterator[Site]:
        yield from self._walk(self._tree, module_level=True, raising=False)

    def _walk(self, node: ast.AST, *, module_level: bool, raising: bool) -> Iterator[Site]:
        for name, child in _children(node):
            if _left_out(node, name, child):
                continue
            inside = module_level and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            # A function's defaults and decorators run where it is defined.
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and name in {"args", "decorator_list"}:
                inside = True
            for site, operator, after in _changes(child, raising=raising):
                yield site, operator, after, inside
            yield from self._walk(child, module_level=inside, raising=raising or isinstance(child, ast.Raise))


def _children(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield name, child


def _left_out(parent: ast.AST, name: str, child: ast.AST) -> bool:
    if name in {"annotation", "returns"}:
        return True
    match child:
        case ast.Import() | ast.ImportFrom() | ast.Assert() | ast.JoinedStr():
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test) or "__name__" in ast.unparse(test):
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.Expr(value=value) if _logs(value):
            return True
        case ast.Call(func=func) if name == "decorator_list" and ast.unparse(func) == "dataclass":
            return True
        case ast.keyword(arg=arg) if arg in PROSE_KEYWORDS:
            return True
    return isinstance(parent, ast.Subscript) and isinstance(parent.value, ast.Name) and parent.value.id == "Literal"


def _logs(node: ast.expr) -> bool:
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=attr)):
            return attr in LOGGING_METHODS and "log" in owner.lower()
    return False


def _changes(node: ast.AST, *, raising: bool) -> Iterator[tuple[Positioned, str, str]]:  # one case per operator
    match node:
        case ast.Compare(ops=[op], left=left, comparators=comparators):
            for other in COMPARISONS[type(op)]:
                yield node, "comparison", _text(ast.Compare(left=left, ops=[other()], comparators=comparators))
        case ast.BinOp(op=binary, left=left, right=right) if type(binary) in ARITHMETIC:
            yield node, "arithmetic", _text(ast.BinOp(left=left, op=ARITHMETIC[type(binary)](), right=right))
        case ast.BoolOp(op=ast.And(), values=values):
            yield node, "and/or", _text(ast.BoolOp(op=ast.Or(), values=values))
        case ast.BoolOp(op=ast.Or(), values=values):
            yield node, "and/or", _text(ast.BoolOp(op=ast.And(), values=values))
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield node, "not/minus", _text(operand)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            yield node, "condition", _text(ast.IfExp(test=test, body=orelse, orelse=body))
        case ast.If(test=test) | ast.While(test=test):
            yield test, "condition", _text(ast.UnaryOp(op=ast.Not(), operand=test))
        case ast.Slice(lower=lower, upper=upper):
            for bound in (lower, upper):
                if bound is not None:
                    yield bound, "slice", ""
                    yield bound, "slice", f"{_text(bound)} + 1"
        case ast.Call(keywords=keywords):
            for keyword in keywords:
                if keyword.arg is not None and keyword.arg not in PROSE_KEYWORDS:
                    # Another keyword twice would not compile; none at all is what a forgotten argument looks like.
                    yield keyword, "dropped argument", "**{}"
        case ast.Constant():
            yield from _constants(node, raising=raising)
        case ast.Return(value=value) if value is not None and not _is_none(value):
            yield node, "return None", "return None"
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Delete():
            yield node, "dropped statement", "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "dropped statement", "pass"
        case ast.Break():
            yield node, "break/continue", "continue"
        case ast.Continue():
            yield node, "break/continue", "break"


def _constants(node: ast.Constant, *, raising: bool) -> Iterator[tuple[ast.expr, str, str]]:
    match node.value:
        case bool() as value:
            yield node, "constant", repr(not value)
        case int() as value:
            yield node, "constant", repr(value + 1)
        case float() as value:
            yield node, "constant", repr(value * 2 if value else 1.0)
        case str() as value if not (" " in value and (raising or value.endswith("."))):
            yield node, "constant", repr(value + "X")
        case bytes() as value:
            yield node, "constant", repr(value + b"X")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _text(node: ast.expr) -> str:
    return f"({ast.unparse(node)})"
