"""Files of prompts: every kind is read, a bad row is named with its number, and nothing ends the reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.conversation import Conversation, Message
from webui.errors import BadInput
from webui.evaluation.prompts import read, read_path
from webui.evaluation.variants import GREEDY, Variant, checked, read_variant
from webui.exports import as_json


def jsonl(*rows: object) -> bytes:
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows).encode()


def test_a_row_has_all_its_fields() -> None:
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "1"},
        {"role": "user", "content": "Two?"},
    ]
    row = {"id": "x", "messages": messages, "reference": ["2", 2], "tags": ["count"], "tolerance": 0.5, "regex": "2"}
    (found,) = read("rows.jsonl", jsonl({**row, "schema": {"type": "number"}})).rows
    assert (found.id, found.system, found.prompt, found.references) == ("x", "Be short.", "Two?", ("2", "2"))
    assert [role for role, _ in found.messages] == ["user", "assistant", "user"]
    assert (found.tags, found.tolerance, found.regex, found.schema) == (("count",), 0.5, "2", {"type": "number"})


def test_bad_rows_are_named_and_the_others_are_there() -> None:
    content = jsonl(
        {"prompt": "good"},
        "not json",
        "[1]",
        "",
        {"prompt": "x", "messages": []},
        {"id": "a"},
        {"prompt": " "},
        {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
        {"prompt": "x", "tolerance": -1},
        {"prompt": "x", "tags": [True]},
        {"id": "1", "prompt": "the first row's id"},
        {"id": "last", "prompt": "also good"},
    )
    prompts = read("rows.jsonl", content)
    assert [row.id for row in prompts.rows] == ["1", "last"]
    assert [bad.number for bad in prompts.bad] == [2, 3, 5, 6, 7, 8, 9, 10, 11, 12]
    reasons = {bad.number: bad.reason for bad in prompts.bad}
    assert reasons[2] == "is not JSON" and "user's" in reasons[8] and reasons[12] == "id 1 is row 1's"


def test_a_table_is_read_with_lists_and_numbers_in_cells() -> None:
    content = 'id,prompt,reference,tags,tolerance\na,"two\nlines",4,x; y,0.1\nb,,4,,\nc,q,4,,much\nd,q,,,,surplus\n'
    prompts = read("rows.CSV", b"\xef\xbb\xbf" + content.encode())
    (row,) = prompts.rows
    assert (row.prompt, row.references, row.tags, row.tolerance) == ("two\nlines", ("4",), ("x", "y"), 0.1)
    assert [bad.number for bad in prompts.bad] == [2, 3, 4]


def test_saved_conversations_are_rows_up_to_the_last_question(tmp_path: Path) -> None:
    conversation = Conversation("0" * 32, "me")
    parent = None
    for role, text in (("user", "Hi"), ("assistant", "Hello"), ("user", "Bye?"), ("assistant", "Bye")):
        parent = conversation.add(Message(role, text, parent=parent, end="stop" if role == "assistant" else None)).id
    (tmp_path / "b.json").write_bytes(as_json([conversation]))
    (tmp_path / "a.json").write_text("{}")
    prompts = read_path(tmp_path)
    (row,) = prompts.rows
    assert (row.id, row.prompt, row.references, len(row.messages)) == ("b-1", "Bye?", ("Bye",), 3)
    assert [bad.number for bad in prompts.bad] == [1] and prompts.bad[0].reason.startswith("a: ")


@pytest.mark.parametrize("name", ["rows.txt", "rows"])
def test_a_file_of_another_kind_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="jsonl"):
        read(name, b"")


def test_what_is_not_utf8_is_refused_with_its_line() -> None:
    with pytest.raises(BadInput, match="line 2"):
        read("rows.jsonl", b'{"prompt": "x"}\n\xff')


@given(st.binary(max_size=400), st.sampled_from(["x.jsonl", "x.csv", "x.json"]))
def test_no_content_ends_the_reading(content: bytes, name: str) -> None:
    try:
        read(name, content)
    except BadInput as error:
        assert "UTF-8" in str(error)


def test_rows_that_are_written_are_read_again() -> None:
    prompts = read("rows.jsonl", jsonl({"prompt": "가", "reference": "나", "schema": False, "tags": "t", "system": "s"}))
    again = read("again.jsonl", prompts.as_jsonl())
    assert again.rows == prompts.rows and again.bad == []


def test_a_variant_is_read_and_greedy_unless_it_says_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "short.toml"
    file.write_text('system = "Be short."\n[sampling]\nmax_tokens = 5\n[engine]\nmax_num_seqs = 2\n')
    variant = read_variant(file)
    assert (variant.name, variant.system, variant.engine) == ("short", "Be short.", {"max_num_seqs": 2})
    assert (variant.sampling.temperature, variant.sampling.max_tokens) == (0, 5)
    assert Variant("x").sampling == GREEDY and Variant.of(variant.as_dict()) == variant


@pytest.mark.parametrize("text", ["x = 1", "[engine]\nport = 1", "[sampling]\ntemperature = 9", "name = 'a/b'", "name = "])
def test_a_bad_variant_is_named_with_its_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(text)
    with pytest.raises(BadInput, match=r"bad\.toml"):
        read_variant(file)


def test_two_variants_of_one_name_cannot_stand_beside_each_other() -> None:
    with pytest.raises(BadInput, match="same name"):
        checked([Variant("a"), Variant("a")])
