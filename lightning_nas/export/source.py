"""The source of a network's classes and functions, reduced to the code that the network uses.

The text comes from the modules of this package and from those of registered operations. Nothing
here builds or runs a network.
"""

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from typing import Any

from lightning_nas.errors import InputError

WIDTH = 100
# Code that uses one of these names acts in training alone, checks arguments or is a CPU's fast path.
LEFT_OUT = re.compile(
    r"auxiliary\w*|_?drop_(path|rate)|progress|initialize\w*|image_size|check_\w+|cpu"
)
SECTIONS = re.compile(r"\n+(Args|Attributes|Returns|Raises):\n.*", re.DOTALL)
PRAGMAS = re.compile(r"  # (type: ignore|noqa).*")
BLOCKS = ("class ", "def ", "@")  # two blank lines before and after each


def refuse(reason: str) -> InputError:
    """Return the error for a network that cannot be written as Python."""
    return InputError(f"export=python: {reason}; export=onnx and export=torch can write the network")


def brackets(head: str, items: list[str], tail: str, indent: int) -> str:
    """Return a bracket on one line if its length allows, else with one line per item.

    >>> brackets("call(", ["one", "two"], ")", indent=4)
    'call(one, two)'
    """
    line = head + ", ".join(items) + tail
    if "\n" not in line and indent + len(line) < WIDTH:  # a comma may follow
        return line
    space = " " * indent
    return "\n".join([head, *(f"{space}    {item}," for item in items), space + tail])


def literal(value: Any, indent: int = 0) -> str:
    """Return Python code for data, a function, a class or a partial application.

    Args:
        value: Dataclasses are called with their fields, up to the last one that has no default.
        indent: Spaces before the line in which the code begins.

    Raises:
        InputError: If a function or class is not defined at the top level of a module.
    """
    inner = indent + 4
    if is_dataclass(value):
        given = [(field, getattr(value, field.name)) for field in fields(value)]
        while given and given[-1][0].default is not MISSING and given[-1][0].default == given[-1][1]:
            given.pop()
        return brackets(
            f"{type(value).__name__}(", [literal(item, inner) for _, item in given], ")", indent
        )
    if isinstance(value, tuple):
        tail = ",)" if len(value) == 1 else ")"
        return brackets("(", [literal(item, inner) for item in value], tail, indent)
    if isinstance(value, dict):
        lines = [f"{' ' * inner}{literal(key)}: {literal(value[key], inner)}," for key in value]
        return "\n".join(["{", *lines, " " * indent + "}"]) if lines else "{}"
    if isinstance(value, partial):
        named = [f"{name}={literal(item)}" for name, item in value.keywords.items()]
        return f"partial({', '.join([literal(value.func), *map(literal, value.args), *named])})"
    if callable(value):
        if not value.__qualname__.isidentifier():
            raise refuse(f"{value.__qualname__} is not defined at the top level of a module")
        return value.__name__
    return f'"{value}"' if isinstance(value, str) and value.isidentifier() else repr(value)


class ModuleSource:
    """Source text of a module, with its definitions and imports at the top level by name."""

    def __init__(self, name: str) -> None:
        self.module = importlib.import_module(name)
        try:
            text = inspect.getsource(self.module)
        except (OSError, TypeError):
            raise refuse(f"the Python source of {name} is missing") from None
        self.lines = text.splitlines()
        self.definitions: dict[str, Any] = {}
        self.imports: dict[str, tuple[str, str | None]] = {}  # module and name, None = all of it
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign):
                self.definitions[_name(node)] = node
            elif isinstance(node, ast.ImportFrom):
                self.imports |= {a.asname or a.name: (node.module or "", a.name) for a in node.names}
            elif isinstance(node, ast.Import):
                self.imports |= {a.asname or a.name: (a.name, None) for a in node.names}

    def heading(self) -> str:
        """Return the first line and the sources of the module's docstring as a comment."""
        first, *others = (inspect.getdoc(self.module) or self.module.__name__).split("\n\n")
        texts = [first, *(text for text in others if text.startswith("Source:"))]
        return "\n#\n".join("\n".join(f"# {x}" for x in text.split("\n")) for text in texts)


class SourceCollector:
    """Collector of the definitions that a class needs.

    Args:
        root: The class. Methods that it overrides are left out of its base classes.
        operations: Names of the rule set and of the operations that the network uses. Other entries
            of the registry of operations are left out.

    Raises:
        InputError: If a registered operation imports more than torch and the standard library, or
            is not defined at the top level of a module with Python source.
    """

    def __init__(self, root: type, operations: Collection[str]) -> None:
        self.root = root
        self.operations = operations
        self.sources: dict[str, ModuleSource] = {}
        self.attributes = {"forward"}  # a method is kept if kept code mentions its name
        known = 0
        while known < len(self.attributes):
            known = len(self.attributes)
            self.imports: set[tuple[str, str | None, str]] = set()  # module, name in it, name here
            self.texts: dict[str, dict[str, str]] = {}  # by module and name
            self.used_modules: dict[str, list[str]] = {}
            self._collect(root.__module__, root.__name__)

    def code(self) -> str:
        """Return the definitions, those of a module after those of the modules that it uses."""
        blocks: list[str] = []
        for module in self._ordered(self.root.__module__, set()):
            blocks.append(self.sources[module].heading())
            before = BLOCKS[0]
            for name in self.sources[module].definitions:
                text = self.texts[module].get(name, "")
                if before.startswith(BLOCKS) or text.startswith(BLOCKS):
                    blocks += [text] if text else []
                elif text:
                    blocks[-1] += f"\n{text}"
                before = text or before
        return "\n\n\n".join(blocks)

    def import_lines(self) -> str:
        """Return the import statements, sorted as ruff asks for."""
        groups = []
        for is_torch in (False, True):
            lines: list[str] = []
            members: dict[str, list[str]] = {}
            for module, name, alias in sorted(self.imports, key=str):
                if module.startswith("torch") is not is_torch:
                    continue
                if name is None:
                    lines.append(f"import {module}" + (f" as {alias}" if alias != module else ""))
                else:
                    members.setdefault(module, []).append(name)
            for module, names in members.items():
                names.sort(key=lambda name: (not name.isupper(), not name[0].isupper(), name))
                lines.append(f"from {module} import {', '.join(names)}")
            groups.append("\n".join(lines))
        return "\n\n".join(groups)

    def _ordered(self, module: str, seen: set[str]) -> Iterator[str]:
        """Yield the used modules, each after those that it uses."""
        seen.add(module)
        for used in self.used_modules[module]:
            if used not in seen:
                yield from self._ordered(used, seen)
        yield module

    def _collect(self, module: str, name: str) -> None:
        """Add a definition and the definitions that it needs."""
        if module not in self.sources:
            self.sources[module] = ModuleSource(module)
        source = self.sources[module]
        used = self.used_modules.setdefault(module, [])
        if name in self.texts.setdefault(module, {}):
            return
        if any(name in texts for texts in self.texts.values()):
            raise refuse(f"{module}.{name} has the name of other code that the network needs")
        if name not in source.definitions:
            raise refuse(f"{module}.{name} is not defined at the top level of its module")
        node, value = source.definitions[name], getattr(source.module, name)
        needed: list[tuple[str, str]] = []
        if _is_registry(value):
            value, factories = _select(value, self.operations)
            annotation = f": {ast.unparse(node.annotation)}" if hasattr(node, "annotation") else ""
            text = f"{name}{annotation} = {literal(value)}"
            needed = [(factory.__module__, factory.__name__) for factory in factories]
        else:
            is_base = name in {base.__name__ for base in self.root.__mro__[1:]}
            text = Cut(source.lines, self.attributes, vars(self.root) if is_base else ()).cut(node)
        self.texts[module][name] = text
        for part in ast.walk(ast.parse(text)):
            if isinstance(part, ast.Attribute):
                self.attributes.add(part.attr)
            elif isinstance(part, ast.Constant) and isinstance(part.value, str):
                self.attributes.add(part.value)  # getattr(layer, "reads_relu", False)
            elif isinstance(part, ast.Name) and part.id in source.definitions:
                needed.append((module, part.id))
            elif isinstance(part, ast.Name) and part.id in source.imports:
                origin, member = source.imports[part.id]
                package = origin.split(".")[0]
                if member and package in ("lightning_nas", module.split(".")[0]):
                    needed.append((origin, member))
                elif package == "torch" or package in sys.stdlib_module_names:
                    self.imports.add((origin, member, part.id))
                else:
                    raise refuse(f"{module} imports {origin}; the file can import torch alone")
        for entry in needed:
            used.append(entry[0])
            self._collect(*entry)


class Cut:
    """Source lines of a definition without the code that ``LEFT_OUT`` names and without checks.

    Args:
        source: Lines of the module.
        attributes: Names that other code mentions; other methods and constants of classes go.
        overridden: Names of members that go because a class overrides them.
    """

    def __init__(
        self, source: list[str], attributes: Collection[str], overridden: Collection[str]
    ) -> None:
        self.source = source
        self.attributes = attributes
        self.overridden = overridden
        self.lines: dict[int, str] = {}

    def cut(self, node: Any) -> str:
        """Return the text of the definition that is left."""
        self.lines = {number: self.source[number - 1] for number in _line_range(node)}
        self._visit(node)
        lines = (PRAGMAS.sub("", self.lines[number]).rstrip() for number in sorted(self.lines))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines))

    def _visit(self, node: Any) -> None:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            self._shorten_docstring(node.body[0])
        if isinstance(node, ast.FunctionDef):
            given = node.args.args + node.args.kwonlyargs
            padding = [None] * (len(node.args.args) - len(node.args.defaults))
            defaults = [*padding, *node.args.defaults, *node.args.kw_defaults]
            for parameter, default in reversed([*zip(given, defaults, strict=True)]):
                if LEFT_OUT.fullmatch(parameter.arg):
                    self._delete_argument(parameter, default or parameter)
        for statement in [*getattr(node, "body", []), *getattr(node, "orelse", [])]:
            if self._is_left_out(statement, node):
                self._delete(statement)
            else:
                self._visit(statement)
        if not hasattr(node, "body"):
            for keyword in _left_out_keywords(node):
                self._delete_argument(keyword, keyword)

    def _is_left_out(self, node: Any, owner: Any) -> bool:
        if isinstance(node, ast.If):
            return isinstance(node.body[-1], ast.Raise) or _is_mentioned(node.test)
        is_definition = isinstance(node, ast.FunctionDef | ast.Assign | ast.AnnAssign)
        if isinstance(owner, ast.ClassDef) and is_definition and not _name(node).startswith("__"):
            is_field = bool(owner.decorator_list) and "ClassVar" not in ast.unparse(node)
            if _name(node) in self.overridden or not is_field and _name(node) not in self.attributes:
                return True
        return not hasattr(node, "body") and _is_mentioned(node)

    def _delete(self, node: Any) -> None:
        """Delete a statement and the comments directly before it."""
        numbers = _line_range(node)
        while self.source[numbers[0] - 2].strip().startswith("#"):
            numbers = range(numbers[0] - 1, numbers[-1] + 1)
        for number in numbers:
            self.lines.pop(number, None)

    def _delete_argument(self, start: Any, end: Any) -> None:
        """Delete a parameter or an argument, neither of which is the first one in its line."""
        line = self.lines[start.lineno]
        before, after = line[: start.col_offset].rstrip(), line[end.end_col_offset :]
        if before:
            self.lines[start.lineno] = before.removesuffix(",") + after
        else:
            del self.lines[start.lineno]

    def _shorten_docstring(self, node: Any) -> None:
        """Delete the sections: they describe arguments that may be left out."""
        text = SECTIONS.sub("", inspect.cleandoc(node.value.value))
        indent = " " * node.col_offset
        is_long = "\n" in text or len(f'{indent}"""{text}"""') > WIDTH
        self._delete(node)
        end = '\n"""' if is_long else '"""'
        self.lines[node.lineno] = textwrap.indent(f'"""{text}{end}', indent)


def _name(node: Any) -> str:
    """Return the name that a class, a function or an assignment defines."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    return node.name


def _line_range(node: Any) -> range:
    starts = [node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", []))]
    return range(min(starts), node.end_lineno + 1)


def _left_out_keywords(node: ast.AST) -> list[ast.keyword]:
    parts = [part for part in ast.walk(node) if isinstance(part, ast.keyword)]
    return [part for part in parts if part.arg and LEFT_OUT.fullmatch(part.arg)]


def _is_mentioned(node: ast.AST) -> bool:
    """Return whether code uses a name that is left out, other than in an argument to delete."""
    skipped = {id(part) for key in _left_out_keywords(node) for part in ast.walk(key)}
    parts = [part for part in ast.walk(node) if id(part) not in skipped]
    words = [getattr(part, key, None) for part in parts for key in ("id", "attr", "value")]
    return any(isinstance(word, str) and LEFT_OUT.fullmatch(word) for word in words)


def _is_registry(value: Any) -> bool:
    """Return whether a value maps names to factories, or rule sets to such mappings."""
    entries = value.values() if isinstance(value, dict) else []
    return bool(entries) and all(callable(item) or _is_registry(item) for item in entries)


def _select(registry: dict[str, Any], names: Collection[str]) -> tuple[dict[str, Any], list[Any]]:
    """Return the entries of the given names, and the functions and classes in them."""
    selected: dict[str, Any] = {}
    factories: list[Any] = []
    for name in (key for key in registry if key in names):
        entry = registry[name]
        if isinstance(entry, dict):
            entry, inner = _select(entry, names)
            factories += inner
        else:
            factories.append(entry.func if isinstance(entry, partial) else entry)
        selected[name] = entry
    return selected, factories
