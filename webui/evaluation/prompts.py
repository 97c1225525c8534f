"""Reads files of prompts: JSONL, CSV, or saved conversations. A bad row is listed with its number and reason; it never ends the
reading.

It knows nothing of engines, variants or scores beyond the names of the fields that they want.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from webui import imports
from webui.conversation import Message, Role
from webui.errors import BadInput, NotAnExport

ROWS_AT_MOST = 100_000
TEXT_AT_MOST = 400_000  # characters of one message, as on the page
TAGS_BETWEEN = ";"  # in a cell of a CSV file
SUFFIXES = (".jsonl", ".csv", ".json")
FIELDS = ("id", "prompt", "messages", "system", "reference", "tags", "regex", "tolerance", "schema")


@dataclass(frozen=True, slots=True)
class Row:
    """One prompt.

    Attributes:
        number: of its line (JSONL), record (CSV) or conversation, from 1.
        id: unique in its file; the number if the file says none.
        messages: (role, text), oldest first, ending with a person's.
        system: the system prompt of this row.
        references: answers of which each is right; empty if there are none.
        regex: what a right answer matches.
        tolerance: how far a number may be from the reference.
        schema: the JSON schema that an answer has to meet.
    """

    number: int
    id: str
    messages: tuple[tuple[Role, str], ...]
    system: str = ""
    references: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    regex: str | None = None
    tolerance: float | None = None
    schema: dict[str, Any] | bool | None = None

    @property
    def prompt(self) -> str:
        """The last message: what is asked."""
        return self.messages[-1][1]

    def as_messages(self) -> list[Message]:
        """As a conversation has them."""
        return [Message(role, text) for role, text in self.messages]

    def as_dict(self) -> dict[str, Any]:
        """In the fields of a JSONL file, so that `read` gives the same row again."""
        messages = [{"role": role, "content": text} for role, text in self.messages]
        said = {"system": self.system, "reference": list(self.references), "tags": list(self.tags), "regex": self.regex}
        optional = {**said, "tolerance": self.tolerance, "schema": self.schema}
        kept = {name: value for name, value in optional.items() if value not in ("", [], None)}
        return {"id": self.id, "messages": messages, **kept}


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be asked, and why."""

    number: int
    reason: str


@dataclass(slots=True)
class Prompts:
    """What a file holds."""

    rows: list[Row] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)

    @property
    def tags(self) -> list[str]:
        """Every tag, in the order in which they first come."""
        return list(dict.fromkeys(tag for row in self.rows for tag in row.tags))

    def as_jsonl(self) -> bytes:
        """The good rows as a file that `read` understands."""
        return b"".join(json.dumps(row.as_dict(), ensure_ascii=False).encode() + b"\n" for row in self.rows)

    def bad_as_dicts(self) -> list[dict[str, Any]]:
        """The bad rows as JSON types."""
        return [asdict(row) for row in self.bad]


def read_path(path: Path) -> Prompts:
    """Reads a file, or a folder of saved conversations.

    Raises:
        BadInput: if there is nothing that can be read.
    """
    if path.is_dir():
        files = sorted(path.glob("*.json"))
        if not files:
            raise BadInput(field=str(path), reason="there is no *.json file in this folder")
        return _numbered(item for file in files for item in _conversations_in(file.stem, _content(file)))
    return read(path.name, _content(path))


def read(name: str, content: bytes) -> Prompts:
    """Reads the content of a file; its name's ending says of which kind it is.

    Raises:
        BadInput: if it is of no kind that is known.
    """
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise BadInput(field=name, reason=f"a file that ends in {', '.join(SUFFIXES)} is wanted")
    if suffix == ".json":
        return _numbered(_conversations_in(Path(name).stem, content))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise BadInput(field=name, reason=f"is not UTF-8 (line {line})") from None
    return _numbered(_lines(text) if suffix == ".jsonl" else _records(text))


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadInput(field=str(path), reason=f"cannot be read: {error.strerror}") from None


Item = tuple[int, "Mapping[str, Any] | str"]
"""A row's number and its fields, or why it has none."""


def _lines(text: str) -> Iterator[Item]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            item = json.loads(line)
        except (json.JSONDecodeError, RecursionError):
            yield number, "is not JSON"
            continue
        yield number, item if isinstance(item, dict) else "is no object"


def _records(text: str) -> Iterator[Item]:
    records = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    number = 0
    while True:
        number += 1
        try:
            record = next(records)
        except StopIteration:
            return
        except csv.Error as error:
            yield number, f"is no CSV: {error}"
            return
        if None in record:
            yield number, "has more cells than the header"
        else:
            yield number, _of_cells(record)


def _of_cells(record: Mapping[str, str | None]) -> Mapping[str, Any] | str:
    """Cells are texts: what is a list, a number or an object elsewhere is written as one."""
    item: dict[str, Any] = {name.strip(): cell for name, cell in record.items() if cell}
    try:
        if "tags" in item:
            item["tags"] = [tag.strip() for tag in item["tags"].split(TAGS_BETWEEN) if tag.strip()]
        if "tolerance" in item:
            item["tolerance"] = float(item["tolerance"])
        for name in ("messages", "schema"):
            if name in item:
                item[name] = json.loads(item[name])
    except ValueError as error:
        return f"has a cell that cannot be read: {error}"
    return item


def _conversations_in(name: str, content: bytes) -> Iterator[Item]:
    """Each conversation up to its last question; what was answered then is the reference."""
    try:
        conversations = imports.read(content, "")
    except NotAnExport as error:
        yield 1, f"{name}: {error.params['reason']}"
        return
    for number, conversation in enumerate(conversations, start=1):
        path = conversation.path()
        asked = max((i for i, message in enumerate(path) if message.role == "user"), default=None)
        if asked is None:
            yield number, f"{name}: there is no question in it"
            continue
        messages = [{"role": message.role, "content": message.text} for message in path[: asked + 1]]
        reference = [message.text for message in path[asked + 1 : asked + 2] if message.text]
        yield number, {"id": f"{name}-{number}", "messages": messages, "reference": reference}


def _numbered(items: Iterator[Item]) -> Prompts:
    prompts = Prompts()
    numbers: dict[str, int] = {}
    for number, item in items:
        if len(prompts.rows) + len(prompts.bad) >= ROWS_AT_MOST:
            prompts.bad.append(BadRow(number, f"and all after it: {ROWS_AT_MOST} rows are the limit"))
            break
        row = item if isinstance(item, str) else _row(number, item)
        if isinstance(row, str):
            prompts.bad.append(BadRow(number, row))
        elif row.id in numbers:
            prompts.bad.append(BadRow(number, f"id {row.id} is row {numbers[row.id]}'s"))
        else:
            numbers[row.id] = number
            prompts.rows.append(row)
    return prompts


def _row(number: int, item: Mapping[str, Any]) -> Row | str:
    """The row of these fields, or why there is none."""
    try:
        system, messages = _messages(item)
        return Row(
            number,
            id=str(item.get("id") or number),
            messages=messages,
            system="\n\n".join(text for text in (_text(item, "system"), system) if text),
            references=_texts(item, "reference"),
            tags=_texts(item, "tags"),
            regex=_text(item, "regex") or None,
            tolerance=_tolerance(item.get("tolerance")),
            schema=_schema(item.get("schema")),
        )
    except BadInput as error:
        return str(error)


def _messages(item: Mapping[str, Any]) -> tuple[str, tuple[tuple[Role, str], ...]]:
    """(system prompt, questions and answers)."""
    if ("prompt" in item) == ("messages" in item):
        raise BadInput(field="prompt", reason="either prompt or messages is wanted")
    given = [{"role": "user", "content": item["prompt"]}] if "prompt" in item else item["messages"]
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise BadInput(field="messages", reason="a list of objects is wanted")
    system, messages = [], []
    for each in given:
        role, text = each.get("role"), each.get("content")
        if not isinstance(text, str) or not text.strip():
            raise BadInput(field="content", reason="a text is wanted")
        if len(text) > TEXT_AT_MOST:
            raise BadInput(field="content", reason=f"{len(text)} characters; {TEXT_AT_MOST} are the limit")
        if role == "system":
            system.append(text)
        elif role in ("user", "assistant"):
            messages.append((role, text))
        else:
            raise BadInput(field="role", reason=f"system, user or assistant is wanted, not {role!r}")
    if not messages or messages[-1][0] != "user":
        raise BadInput(field="messages", reason="the last one must be the user's")
    return "\n\n".join(system), tuple(messages)


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    if value is not None and not isinstance(value, str):
        raise BadInput(field=name, reason="a text is wanted")
    return value or ""


def _texts(item: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """One text or number, or a list of them."""
    value = item.get(name)
    values = value if isinstance(value, list) else [] if value in (None, "") else [value]
    if not all(isinstance(each, str | int | float) and not isinstance(each, bool) for each in values):
        raise BadInput(field=name, reason="a text or a list of texts is wanted")
    return tuple(str(each) for each in values)


def _tolerance(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise BadInput(field="tolerance", reason="a number of 0 and more is wanted")
    return float(value)


def _schema(value: Any) -> dict[str, Any] | bool | None:
    if value is not None and not isinstance(value, dict | bool):
        raise BadInput(field="schema", reason="an object is wanted")
    return value
