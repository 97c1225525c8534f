"""Prompts: the template's own ids, no control token out of a message, and a budget that is kept."""

from __future__ import annotations

import os
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

os.environ["HF_HUB_OFFLINE"] = "1"

from transformers import AutoTokenizer

from webui.conversation import Message
from webui.errors import MessageTooLong
from webui.prompt import BREAK, PromptBuilder
from webui.settings import DEMO_MODEL

CONTEXT = 256
LLAMA_2 = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return AutoTokenizer.from_pretrained(DEMO_MODEL)


@pytest.fixture(scope="module")
def builder(tokenizer: Any) -> PromptBuilder:
    return PromptBuilder(tokenizer, CONTEXT)


def talk(*texts: str) -> list[Message]:
    return [Message("assistant" if i % 2 else "user", text) for i, text in enumerate(texts)]


def control_ids(tokenizer: Any) -> set[int]:
    return {id for id, token in tokenizer.added_tokens_decoder.items() if token.special}


def template_ids(tokenizer: Any, messages: list[Message], system: str = "") -> list[int]:
    turns = [{"role": m.role, "content": m.text} for m in messages]
    turns = [{"role": "system", "content": system}, *turns] if system else turns
    return list(tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=True, return_dict=False))


@pytest.mark.parametrize("system", ["", "Answer in Korean."])
def test_ordinary_text_gives_the_templates_own_ids(tokenizer: Any, builder: PromptBuilder, system: str) -> None:
    messages = talk("Hello!", "Hi, how can I help?", "여우 이야기 들려줘 :)")
    assert builder.build(messages, system).ids == template_ids(tokenizer, messages, system)


def test_control_tokens_that_a_person_types_are_text(tokenizer: Any) -> None:
    builder = PromptBuilder(tokenizer, 2048)
    typed = "".join(tokenizer.all_special_tokens) + "</s> <|im_start|>system <|eot_id|> <<SYS>> [INST]"
    clean = builder.build(talk("x", "x", "x"), "x").ids
    dirty = builder.build(talk(typed, typed, typed), typed).ids
    count = lambda ids: sum(id in control_ids(tokenizer) for id in ids)  # noqa: E731
    assert count(dirty) == count(clean) > 0
    assert typed in tokenizer.decode(dirty).replace("\n", " ")


@settings(max_examples=200, deadline=None)
@given(pieces=st.lists(st.sampled_from(["<|", "|>", "eot_id", "<|eot_id|>", "user", "<|user|>", "<<", ">", " ", "한", "a"])))
def test_however_it_is_put_together_no_control_token_comes_out_of_a_message(
    tokenizer: Any, builder: PromptBuilder, pieces: list[str]
) -> None:
    clean = builder.build(talk("x")).ids
    dirty = builder.build(talk("".join(pieces) + "x"))
    as_text = tokenizer(dirty.text, add_special_tokens=False)["input_ids"]  # by an engine that takes only text
    for ids in (dirty.ids, as_text):
        assert sum(i in control_ids(tokenizer) for i in ids) == sum(i in control_ids(tokenizer) for i in clean)
    assert "".join(pieces).strip() in dirty.text.replace(BREAK, "")


def test_a_template_without_a_system_role_gets_it_with_the_first_question(tokenizer: Any) -> None:
    builder = PromptBuilder(tokenizer, CONTEXT, chat_template=LLAMA_2)
    text = tokenizer.decode(builder.build(talk("Hello", "Hi", "Bye"), "Be brief.").ids)
    assert text.startswith("[INST] Be brief.\n\nHello [/INST]") and text.endswith("[INST] Bye [/INST]")


def test_the_oldest_messages_are_left_out_and_counted(tokenizer: Any, builder: PromptBuilder) -> None:
    messages = talk(*["one two three four five six seven " * 4] * 9)
    prompt = builder.build(messages, "Be brief.")
    assert prompt.dropped > 0 and prompt.dropped % 2 == 0
    assert len(prompt.ids) <= CONTEXT * 3 // 4
    assert prompt.ids == template_ids(tokenizer, messages[prompt.dropped :], "Be brief.")


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 120), min_size=1, max_size=12),
    max_tokens=st.one_of(st.none(), st.integers(1, 400)),
    system=st.sampled_from(["", "Answer in Korean."]),
)
def test_the_budget_is_kept_or_the_message_refused_with_both_numbers(
    builder: PromptBuilder, lengths: list[int], max_tokens: int | None, system: str
) -> None:
    lengths = lengths if len(lengths) % 2 else lengths[:-1] or [1]
    messages = talk(*("word " * n for n in lengths))
    budget = builder.measure(messages, system, max_tokens)
    try:
        prompt = builder.build(messages, system, max_tokens)
    except MessageTooLong as refused:
        assert refused.params == {"used": budget.used, "total": CONTEXT} and budget.used >= CONTEXT and not budget.fits
        return
    assert budget.fits and (budget.used, budget.dropped) == (len(prompt.ids), prompt.dropped)
    assert len(prompt.ids) < CONTEXT and prompt.dropped < len(messages)
    assert messages[prompt.dropped].role == "user"


def test_a_short_answer_needs_little_room(builder: PromptBuilder) -> None:
    messages = talk("word " * 60, "word " * 60, "word")
    assert builder.measure(messages, max_tokens=1).used >= builder.measure(messages, max_tokens=None).used


def test_an_answer_is_continued_after_its_own_text(tokenizer: Any) -> None:
    builder = PromptBuilder(tokenizer, 2048)
    begun = talk("Hello!", "Once upon a")
    whole = tokenizer.decode(builder.build(begun, "Be kind.").ids)
    assert whole == tokenizer.decode(builder.build(begun[:1], "Be kind.").ids) + "Once upon a"
    assert builder.build(talk("Hello!", "")).ids == builder.build(talk("Hello!")).ids


def test_a_long_conversation_is_continued_with_its_question(tokenizer: Any) -> None:
    builder = PromptBuilder(tokenizer, 128)
    messages = talk(*["some words of a long talk " * 4] * 6, "the question", "the answer so far")
    prompt = builder.build(messages)
    assert 0 < prompt.dropped <= len(messages) - 2 and len(prompt.ids) < 128
    text = tokenizer.decode(prompt.ids)
    assert "the question" in text and text.endswith("the answer so far")
    with pytest.raises(MessageTooLong):
        builder.build(talk("a question", "an answer without end " * 200))


def test_many_look_alikes_make_no_pattern_of_as_many_words(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    patterns, split = [], re.split

    def noted(pattern: Any, *rest: Any, **options: Any) -> Any:
        patterns.append(str(pattern))
        return split(pattern, *rest, **options)

    monkeypatch.setattr(re, "split", noted)
    PromptBuilder(tokenizer, 8192).build(talk("<|pad|>" * 200))
    (own,) = [each for each in patterns if "literal" in each]
    assert len(own) < 100
