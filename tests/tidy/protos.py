# SPDX-License-Identifier: Apache-2.0
"""What a .proto file declares without saying what it is."""

from __future__ import annotations

import re

_DECLARES = re.compile(r"^\s*(?:"
                       r"(?P<block>service|message|enum|oneof)\s+(?P<name>\w+)|"
                       r"rpc\s+(?P<rpc>\w+)|"
                       r"(?:repeated\s+|optional\s+)?(?:map<[^>]+>|[\w.]+)\s+(?P<field>\w+)\s*=\s*\d+|"
                       r"(?P<value>[A-Z][A-Z0-9_]*)\s*=\s*-?\d+)")


def undocumented(text: str) -> list[tuple[int, str]]:
    """(line, what): declarations without a comment on the line before or behind them on their own."""
    out = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        found = _DECLARES.match(line)
        if not found or line.lstrip().startswith(("//", "option ", "syntax", "package", "import", "reserved")):
            continue
        before = lines[number - 2].strip() if number > 1 else ""
        if before.startswith("//") or "//" in line:
            continue
        out.append((number, f"{line.strip().rstrip('{').strip()}"))
    return out


def self_test() -> None:
    text = ("// A.\nmessage A {\n  // b.\n  int32 b = 1;\n  int32 c = 2;\n  map<string, Column> d = 3;\n}\n"
            "enum E {\n  X = 0;\n  // y.\n  Y = 1;\n}\n// S.\nservice S {\n  rpc Do(A) returns (A);\n}\n")
    assert [n for n, _ in undocumented(text)] == [5, 6, 8, 9, 15], undocumented(text)
