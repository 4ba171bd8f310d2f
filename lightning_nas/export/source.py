"""The source code that a network uses. Nothing here builds or runs a network."""

import ast
import importlib
import inspect
import re
import sys
import textwrap
from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from functools import cache, partial
from typing import Any

from lightning_nas.errors import InputError
from lightning_nas.layers.operations import OPERATIONS

WIDTH = 100
# Names in code for training, checks of arguments and fast paths for CPUs. An exported file leaves
# out the lines of all statements, parameters and keyword arguments with these names.
LEFT_OUT = re.compile(
    r"auxiliary\w*|_?drop_(path|rate)|progress|initialize\w*|image_size|check_\w+|cpu"
)
SECTIONS = re.compile(r"\n+(Args|Attributes|Returns|Raises):\n.*", re.DOTALL)
PRAGMAS = re.compile(r"  # (type: ignore|noqa).*| \| tuple\[Tensor, Tensor\](?=:$)")


def refuse(reason: str) -> InputError:
    """Return the error for a network that cannot be exported as Python."""
    return InputError(f"export=python: {reason}; use export=onnx or export=torch")


def write_value(value: Any, indent: int = 0, prefix: str = "") -> str:
    """Return the Python code of a value: data, a function, a class or a ``partial``.

    Args:
        value: Value to write. A string becomes a string literal, never code.
        indent: Number of spaces before the first line.
        prefix: Code before the value, such as ``name = ``.
    """
    if is_dataclass(value):
        parts = {field.name: getattr(value, field.name) for field in fields(value)}
        for field in reversed(fields(value)):
            if field.default != parts[field.name]:
                break
            del parts[field.name]
        has_names = any(isinstance(part, int) or "=" in repr(part) for part in parts.values())
        given = [(f"{name}=" if has_names else "", part) for name, part in parts.items()]
        opening, closing = f"{type(value).__name__}(", ")"
    elif isinstance(value, partial):
        named = [(f"{name}=", part) for name, part in value.keywords.items()]
        given = [*(("", part) for part in (value.func, *value.args)), *named]
        opening, closing = "partial(", ")"
    elif isinstance(value, dict):
        given = [(f"{write_value(name)}: ", part) for name, part in value.items()]
        opening, closing = "{", "}"
    elif isinstance(value, tuple):
        given = [("", part) for part in value]
        opening, closing = "(", ",)" if len(value) == 1 else ")"
    elif callable(value):
        return prefix + value.__name__
    else:
        is_word = isinstance(value, str) and value.isidentifier()
        return prefix + (f'"{value}"' if is_word else repr(value))
    items = [write_value(part, indent + 4, name) for name, part in given]
    return brackets(prefix + opening, items, closing, indent)


def brackets(head: str, items: list[str], tail: str, indent: int) -> str:
    """Return items in brackets: in one line if there is room, else one line per item."""
    line = head + ", ".join(items) + tail
    if "\n" not in line and indent + len(line) < WIDTH:  # leaves room for a comma
        return line
    return "\n".join([head, *(" " * indent + f"    {x}," for x in items), " " * indent + tail])


class ModuleSource:
    """Source code of a module, and the top-level definitions and imports of the module by name."""

    def __init__(self, name: str) -> None:
        self.module = importlib.import_module(name)
        try:
            text = inspect.getsource(self.module)
        except (OSError, TypeError):
            raise refuse(f"the Python source of {name} is missing") from None
        self.lines = text.splitlines()
        self.definitions: dict[str, Any] = {}
        self.imports: dict[str, tuple[str, str | None]] = {}  # None = the module
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign):
                self.definitions[_defined_name(node)] = node
            elif isinstance(node, ast.ImportFrom):
                origin = node.module or ""
                self.imports |= {a.asname or a.name: (origin, a.name) for a in node.names}
            elif isinstance(node, ast.Import):
                names = {a.asname or a.name.split(".")[0]: a.name for a in node.names}
                self.imports |= {name: (origin, None) for name, origin in names.items()}

    def heading(self) -> str:
        """Return a comment: the first line and the "Source:" part of the module's docstring."""
        first, *others = (inspect.getdoc(self.module) or self.module.__name__).split("\n\n")
        texts = [first, *(text for text in others if text.startswith("Source:"))]
        return "\n#\n".join(textwrap.indent(textwrap.fill(x, WIDTH - 2), "# ") for x in texts)


_read_source = cache(ModuleSource)


class SourceCollector:
    """Collector of the definitions that a class needs.

    Args:
        root: The class. Its base classes lose the members that ``root`` overrides.
        operations: Names of the rule set and of the operations to keep in the registry.

    Raises:
        InputError: If a registered operation imports more than torch and the standard library, or
            is not defined at the top level of a module with Python source.
    """

    def __init__(self, root: type, operations: Collection[str]) -> None:
        self.root = root
        self.registry = {
            rules: {name: entry for name, entry in entries.items() if name in operations}
            for rules, entries in OPERATIONS.items()
            if rules in operations
        }
        self.factories: dict[str, str] = {}  # module of each factory by name
        for entry in (entry for entries in self.registry.values() for entry in entries.values()):
            factory: Any = getattr(entry, "func", entry)
            if not getattr(factory, "__qualname__", "").isidentifier():
                raise refuse(f"{factory} is not defined at the top level of a module")
            self.factories[factory.__name__] = factory.__module__
        self.attributes = {"forward"}  # names in kept code; members with other names are dropped
        count = 0
        while count < len(self.attributes):
            count = len(self.attributes)
            self.imports: set[tuple[str, str | None, str]] = set()  # (module, name in it, alias)
            self.texts: dict[str, dict[str, str]] = {}  # text by module and name
            self.used_modules: dict[str, list[str]] = {}  # by the module that uses them
            self._collect(root.__module__, root.__name__)

    def code(self) -> str:
        """Return the definitions of all modules. A module follows the modules that it uses."""
        blocks: list[str] = []
        for module in self._order_modules(self.root.__module__, set()):
            source, texts = _read_source(module), self.texts[module]
            blocks += [source.heading(), *(texts[n] for n in source.definitions if n in texts)]
        return "\n\n\n".join(blocks)

    def import_lines(self) -> str:
        """Return the import statements in the order of ruff."""
        plain, members = [], dict[str, list[str]]()
        for module, name, alias in sorted(self.imports, key=str):
            renamed = f" as {alias}" if alias != (name or module.split(".")[0]) else ""
            if name is None:
                plain.append(f"import {module}{renamed}")
            else:
                members.setdefault(module, []).append(name + renamed)
        for module, names in members.items():
            names.sort(key=lambda name: (not name.isupper(), not name[0].isupper(), name))
            plain.append(f"from {module} import {', '.join(names)}")
        groups = [[x for x in plain if (" torch" in x) is is_torch] for is_torch in (False, True)]
        return "\n\n".join("\n".join(group) for group in groups)

    def _order_modules(self, module: str, seen: set[str]) -> Iterator[str]:
        """Yield the modules that a module uses, then the module itself."""
        seen.add(module)
        for used in self.used_modules[module]:
            if used not in seen:
                yield from self._order_modules(used, seen)
        yield module

    def _collect(self, module: str, name: str) -> None:
        """Add a definition and the definitions that it needs."""
        source, used = _read_source(module), self.used_modules.setdefault(module, [])
        if name in self.texts.setdefault(module, {}):
            return
        if name not in source.definitions:
            raise refuse(f"{module}.{name} is not defined at the top level of its module")
        if any(name in texts for texts in self.texts.values()):
            raise refuse(f"two definitions that the network needs have the name {name}")
        node = source.definitions[name]
        if getattr(source.module, name) is OPERATIONS:
            text = write_value(self.registry, prefix=f"{name}: {ast.unparse(node.annotation)} = ")
        else:
            text = _reduce_text(module, name, self._unused_members(node))
        self.texts[module][name] = text
        names, attributes = _find_words(text)
        self.attributes |= attributes
        for word in names:
            if other := self._find_module(source, module, word):
                used.append(other)
                self._collect(other, word)

    def _find_module(self, source: ModuleSource, module: str, name: str) -> str | None:
        """Return the module that defines a name; None if the name is builtin, local or outside."""
        if name in source.definitions:
            return module
        if name not in source.imports:
            return self.factories.get(name)
        origin, member = source.imports[name]
        package = origin.split(".")[0]
        if member and package in ("lightning_nas", module.split(".")[0]):
            imported = _read_source(origin)  # may be a package that only imports the name
            return self._find_module(imported, origin, member) or origin
        if package != "torch" and package not in sys.stdlib_module_names:
            raise refuse(f"{module} imports {origin}; the file can import torch alone")
        self.imports.add((origin, member, name))
        return None

    def _unused_members(self, node: Any) -> frozenset[str]:
        """Return the members of a class that kept code does not use or that the root overrides."""
        if not isinstance(node, ast.ClassDef):
            return frozenset()
        is_base = node.name in {base.__name__ for base in self.root.__mro__[1:]}
        used = self.attributes - (set(vars(self.root)) if is_base else set())
        is_data = bool(node.decorator_list)  # a dataclass needs all its fields
        members = [item for item in node.body if not is_data or "ClassVar" in ast.unparse(item)]
        names = {name for name in map(_defined_name, members) if name[:2] != "__"}
        return frozenset(names - used - {""})


@cache
def _reduce_text(module: str, name: str, unused: frozenset[str]) -> str:
    """Return the text of a definition without unused members, checks and LEFT_OUT names."""
    source = _read_source(module)
    root = source.definitions[name]
    lines = {number: source.lines[number - 1] for number in _line_range(root, source.lines)}
    if not module.startswith("lightning_nas."):  # LEFT_OUT has names of this package only
        return "\n".join(lines.values())
    for node in ast.walk(root):
        numbers = range(0)
        if isinstance(node, ast.stmt) and node is not root:
            is_unused = node in getattr(root, "body", []) and _defined_name(node) in unused
            if is_unused or _is_left_out(node):
                numbers = _line_range(node, source.lines)
        elif isinstance(node, ast.arg | ast.keyword) and LEFT_OUT.fullmatch(node.arg or ""):
            numbers = range(node.lineno, (node.end_lineno or 0) + 1)
        for number in numbers:
            lines.pop(number, None)
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.body[0].lineno in lines:
            _shorten_docstring(node, lines)
    kept = (PRAGMAS.sub("", lines[number]).rstrip() for number in sorted(lines))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).rstrip()


@cache
def _find_words(text: str) -> tuple[list[str], set[str]]:
    """Return the names in code, and the attributes and strings (strings: for ``getattr``)."""
    parts = list(ast.walk(ast.parse(text)))
    names = dict.fromkeys(part.id for part in parts if isinstance(part, ast.Name))
    words = (getattr(part, key, None) for part in parts for key in ("attr", "value"))
    return list(names), {word for word in words if isinstance(word, str)}


def _defined_name(node: Any) -> str:
    """Return the name that a class, a function or an assignment defines; "" for other code."""
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
    return getattr(node, "name", "")


def _line_range(node: Any, source: list[str]) -> range:
    """Return the line numbers of a statement with its decorators and the comments above."""
    first = min([node.lineno, *(item.lineno for item in getattr(node, "decorator_list", []))])
    while source[first - 2].strip().startswith("#"):
        first -= 1
    return range(first, node.end_lineno + 1)


def _is_left_out(node: Any) -> bool:
    """Return whether a statement checks an argument or uses a LEFT_OUT name."""
    if isinstance(node, ast.If):
        return isinstance(node.body[-1], ast.Raise) or _uses_left_out_name(node.test)
    if hasattr(node, "body"):
        return bool(LEFT_OUT.fullmatch(_defined_name(node)))
    return _uses_left_out_name(node)


def _uses_left_out_name(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword) and LEFT_OUT.fullmatch(node.arg or ""):
        return False  # only the argument is left out, not the statement
    words = [getattr(node, key, None) for key in ("id", "attr", "value")]
    is_left_out = any(isinstance(word, str) and LEFT_OUT.fullmatch(word) for word in words)
    return is_left_out or any(map(_uses_left_out_name, ast.iter_child_nodes(node)))


def _shorten_docstring(node: Any, lines: dict[int, str]) -> None:
    """Remove the sections of a docstring: an argument in a section may be left out."""
    full_text, first = ast.get_docstring(node) or "", node.body[0]
    text = SECTIONS.sub("", full_text)
    if "\n" not in text and first.col_offset + len(text) + 6 > WIDTH:  # no room for the quotes
        text = full_text
    if text:
        for number in range(first.lineno, first.end_lineno + 1):
            del lines[number]
        text = f'"""{text}\n"""' if "\n" in text else f'"""{text}"""'
        lines[first.lineno] = textwrap.indent(text, " " * first.col_offset)
