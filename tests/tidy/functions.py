# SPDX-License-Identifier: Apache-2.0
"""The functions of a file and their lengths in lines, without a compiler: C++ by braces in clang-formatted text, Python
by its own parser."""

from __future__ import annotations

import ast
import re
from typing import Iterator

Function = tuple[str, int, int]  # name, first line, lines

# What opens a brace and is no function.
_NOT_FUNCTION = re.compile(r"\b(namespace|class|struct|enum|union|extern|concept)\b|=\s*$")
_TEST = re.compile(r"^(TEST|TEST_F|TEST_P|TYPED_TEST|BENCHMARK\w*)\(")


def of(path: str, text: str) -> Iterator[Function]:
    if path.endswith(".py"):
        yield from _python(text)
    elif path.endswith((".cc", ".h")):
        yield from _cpp(text)


def _python(text: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, (node.end_lineno or node.lineno) - node.lineno + 1


def _without_literals(text: str) -> str:
    """Comments, strings and characters blanked, line breaks kept."""
    pattern = re.compile(r'R"(\w*)\((?:.|\n)*?\)\1"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'|//[^\n]*|'
                         r"/\*(?:.|\n)*?\*/")
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def _cpp(text: str) -> Iterator[Function]:
    lines = _without_literals(text).split("\n")
    stack: list[tuple[bool, str, int]] = []  # (is an outermost function, name, first line)
    head: list[str] = []  # code since the last ; { or }
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            continue
        for char in line:
            if char == "{":
                opener = "".join(head).strip()
                inside = any(s[0] for s in stack)
                function = not inside and "(" in opener and not _NOT_FUNCTION.search(opener.split("(")[0])
                stack.append((function, opener, number - "".join(head).strip().count("\n")))
                head = []
            elif char == "}":
                if stack:
                    function, opener, first = stack.pop()
                    if function:
                        yield _name(opener), first, number - first + 1
                head = []
            elif char == ";":
                head = []
            else:
                head.append(char)
        head.append("\n")


def _name(opener: str) -> str:
    if _TEST.match(opener):
        return " ".join(opener.split())
    found = re.search(r"([\w:~]+|operator\S+)\s*\(", opener)
    return found[1] if found else opener[:40]


def self_test() -> None:
    text = ("namespace a {\nclass B {\n  int f() const {\n    return 1;\n  }\n};\n// {\n"
            "template <typename T>\nint G(int a,\n      int b) {\n  if (a) {\n  }\n  const char* s = \"{\";\n"
            "  auto c = [&] {\n  };\n  return 1'000;\n}\n}\n")
    assert [f for f in _cpp(text)] == [("f", 3, 3), ("G", 8, 10)], list(_cpp(text))
