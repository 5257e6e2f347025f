"""A setting that nobody reads promises what it does not do: every key is read by the product's code.

The product's syntax trees are followed from what is annotated or loaded as a section (`config: Config`,
`load_config()`) through names and attributes to the keys. A name that merely looks like a key does not count, nor does
a validator of the configuration itself.
"""

from __future__ import annotations

import ast
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from pydantic import BaseModel

from composition.config import Config
from composition.controls import CONTROLS
from jobs.worker.attempt import AttemptSettings
from runners.diffusion.engine.settings import EngineSettings
from runners.diffusion.families.stable_diffusion.settings import StableDiffusionSettings

ROOT = Path(__file__).resolve().parents[4]
PACKAGES = ("api", "composition", "jobs", "models_store", "prompt_reading", "runners")
READ_BY_NAME = {("ControlNetConfig", name) for name in CONTROLS}
"""Keys that are read by the name of a thing in a registry; the registry's test has each of them act."""
CONFIGURED = ("load_config", "planned")
"""Functions that give the whole configuration."""
Fields = Mapping[str, type | None]


def fields_of(cls: type) -> Fields:
    """A section's keys, each with its section where it is one."""
    return {name: hint if is_section(hint) else None for name, hint in annotations_of(cls).items()}


def annotations_of(cls: type) -> Mapping[str, typing.Any]:
    if issubclass(cls, BaseModel):
        return {name: field.annotation for name, field in cls.model_fields.items()}
    return typing.get_type_hints(cls)


def is_section(annotation: object) -> typing.TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def sections_of(cls: type) -> Iterator[type]:
    yield cls
    for inner in fields_of(cls).values():
        if inner is not None:
            yield from sections_of(inner)


class Reads(ast.NodeVisitor):
    """The keys that a source file reads, as (section, key).

    Attributes:
        attributes: object attributes that hold a section, by name, whoever's they are (`self._config`).
    """

    def __init__(self, sections: Mapping[str, Fields], attributes: dict[str, str]) -> None:
        self.found: set[tuple[str, str]] = set()
        self.attributes = attributes
        self._sections = sections
        self._scopes: list[dict[str, str | None]] = [{}]

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        named = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        self._scopes.append({arg.arg: self._annotated(arg.annotation) for arg in named})
        self.generic_visit(node)
        self._scopes.pop()

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        section = self._annotated(node.annotation)
        if isinstance(node.value, ast.Dict):  # a table of lambdas over a section
            for value in node.value.values:
                if isinstance(value, ast.Lambda):
                    self._scopes.append({arg.arg: section for arg in value.args.args})
                    self.visit(value)
                    self._scopes.pop()
        elif node.value is not None:
            self.visit(node.value)
        elif isinstance(node.target, ast.Name) and section is not None:
            self.attributes[node.target.id] = section

    def visit_Assign(self, node: ast.Assign) -> None:
        self.generic_visit(node)
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for name, value in zip(target.elts, node.value.elts, strict=True):
                    self._bind(name, value)
            else:
                self._bind(target, node.value)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.generic_visit(node)
        section = self._resolve(node.value)
        if section is not None and node.attr in self._sections[section]:
            self.found.add((section, node.attr))

    def _bind(self, target: ast.expr, value: ast.expr) -> None:
        section = self._resolve(value)
        if isinstance(target, ast.Name):
            self._scopes[-1][target.id] = section
        elif isinstance(target, ast.Attribute) and section is not None:
            self.attributes[target.attr] = section

    def _resolve(self, node: ast.expr) -> str | None:
        """The section that an expression is, by its class's name."""
        if isinstance(node, ast.Name):
            return next((scope[node.id] for scope in reversed(self._scopes) if node.id in scope), None)
        if isinstance(node, ast.Call):
            return "Config" if isinstance(node.func, ast.Name) and node.func.id in CONFIGURED else None
        if isinstance(node, ast.Attribute):
            section = self._resolve(node.value)
            if section is not None:
                inner = self._sections[section].get(node.attr)
                return inner.__name__ if inner is not None else None
            return self.attributes.get(node.attr)
        return None

    def _annotated(self, annotation: ast.expr | None) -> str | None:
        names = {part.id for part in ast.walk(annotation) if isinstance(part, ast.Name)} if annotation else set()
        return next(iter(names & self._sections.keys()), None)


def keys_read(sources: Mapping[str, str], sections: Mapping[str, Fields]) -> set[tuple[str, str]]:
    attributes: dict[str, str] = {}
    found: set[tuple[str, str]] = set()
    trees = [ast.parse(source) for source in sources.values()]
    for _ in range(2):  # the first time around learns the attributes that hold sections
        for tree in trees:
            reads = Reads(sections, attributes)
            reads.visit(tree)
            found |= reads.found
    return found


def product() -> Mapping[str, str]:
    paths = [ROOT / "service.py", ROOT / "worker.py", *(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))]
    own = ROOT / "composition" / "config"
    return {str(path): path.read_text(encoding="utf-8") for path in paths if not path.is_relative_to(own)}


def has_one_value(cls: type, key: str) -> bool:
    """Such a key acts by refusing every other value."""
    hint = annotations_of(cls)[key]
    return typing.get_origin(hint) is typing.Literal and len(typing.get_args(hint)) == 1


@pytest.mark.parametrize(
    "root", [Config, EngineSettings, StableDiffusionSettings, AttemptSettings], ids=lambda cls: cls.__name__
)
def test_every_key_is_read_by_the_product(root):
    classes = {
        cls.__name__: cls for cls in (*sections_of(Config), EngineSettings, StableDiffusionSettings, AttemptSettings)
    }
    read = READ_BY_NAME | keys_read(product(), {name: fields_of(cls) for name, cls in classes.items()})
    unread = [
        f"{cls.__name__}.{key}"
        for cls in sections_of(root)
        for key in fields_of(cls)
        if (cls.__name__, key) not in read and not has_one_value(cls, key)
    ]
    assert unread == []


class Inner(BaseModel):
    depth: int = 0


class Outer(BaseModel):
    inner: Inner = Inner()
    width: int = 0


@pytest.mark.parametrize(
    ("source", "read"),
    [
        ("def f(c: Outer): return c.width", {("Outer", "width")}),
        ("def f(c: Outer): return c.inner.depth", {("Outer", "inner"), ("Inner", "depth")}),
        ("def f(c: Outer):\n a, b = 1, c.inner\n return b.depth", {("Outer", "inner"), ("Inner", "depth")}),
        (
            "class A:\n def __init__(self, c: Outer): self._c = c\n def f(self): return self._c.width",
            {("Outer", "width")},
        ),
        ("class A:\n c: Outer\ndef f(a: A): return a.c.width", {("Outer", "width")}),
        ("T: Mapping[str, Callable[[Outer], int]] = {'w': lambda c: c.width}", {("Outer", "width")}),
        ("def f(c: Image): return c.width", set()),
        ("def f(c: Outer):\n c = other()\n return c.width", set()),
        ("def f(c: Outer): return c.depth", set()),
        ("def f(c: Outer): return width", set()),
    ],
)
def test_a_read_is_told_from_what_merely_looks_like_one(source, read):
    assert keys_read({"a.py": source}, {"Outer": fields_of(Outer), "Inner": fields_of(Inner)}) == read
