"""The tree of messages, and sampling settings that come from outside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.conversation import LIMITS, Conversation, Message, Sampling, Timing
from webui.errors import BadInput, MessageNotFound


def talk(*texts: str) -> Conversation:
    """A conversation of alternating messages."""
    conversation = Conversation("c", "v")
    parent = None
    for index, text in enumerate(texts):
        parent = conversation.add(Message("assistant" if index % 2 else "user", text, parent=parent)).id
    return conversation


def shown(conversation: Conversation) -> list[str]:
    return [message.text for message in conversation.path()]


def test_messages_follow_each_other() -> None:
    conversation = talk("a", "b", "c")
    assert shown(conversation) == ["a", "b", "c"]
    last = conversation.last()
    assert last is not None and last.text == "c"
    assert conversation.path(until=conversation.path()[1].id) == conversation.path()[:2]


def test_another_version_hides_what_followed_and_brings_it_back() -> None:
    conversation = talk("a", "b", "c", "d")
    second = conversation.path()[1]
    other = conversation.add(Message("assistant", "B", parent=second.parent))
    assert shown(conversation) == ["a", "B"]
    assert conversation.versions(other.id) == (2, 2)
    conversation.choose(other.id, 1)
    assert shown(conversation) == ["a", "b", "c", "d"]


def test_the_first_message_can_have_versions_too() -> None:
    conversation = talk("a", "b")
    conversation.add(Message("user", "A"))
    assert shown(conversation) == ["A"]


def test_what_is_not_there_is_named() -> None:
    conversation = talk("a")
    with pytest.raises(MessageNotFound):
        conversation.message("nothing")
    with pytest.raises(MessageNotFound):
        conversation.add(Message("user", parent="nothing"))
    with pytest.raises(BadInput, match="there are 1 versions"):
        conversation.choose(conversation.path()[0].id, 2)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 4)), max_size=40))
def test_whatever_is_added_and_chosen_nothing_is_lost_and_the_path_is_a_path(steps: list[tuple[int, int]]) -> None:
    conversation = talk("root")
    ids = [conversation.path()[0].id]
    for pick, version in steps:
        target = conversation.message(ids[pick % len(ids)])
        if pick % 3:
            ids.append(conversation.add(Message("user", str(len(ids)), parent=target.id)).id)
        else:
            _, versions = conversation.versions(target.id)
            conversation.choose(target.id, min(version, versions))
        path = conversation.path()
        assert [m.parent for m in path[1:]] == [m.id for m in path[:-1]]
        assert path[0].parent is None
    assert len(conversation) == len(ids)


def test_the_title_is_one_short_line() -> None:
    assert talk("two\n lines").heading.title == "two lines"
    assert talk("x" * 100).heading.title == "x" * 59 + "…"
    assert Conversation("c", "v").heading.title == ""


def test_sampling_takes_what_is_in_range_and_keeps_the_rest() -> None:
    defaults = Sampling(temperature=0.3, top_k=7)
    sampling = Sampling.from_mapping({"top_p": 0.5, "stop": ["a", ""], "seed": None}, defaults)
    assert sampling == Sampling(temperature=0.3, top_k=7, top_p=0.5, stop=("a",))
    assert Sampling.from_mapping(sampling.as_dict()) == sampling


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, limit.high + 1) for name, limit in LIMITS.items()),
        *((name, limit.low - 1) for name, limit in LIMITS.items()),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("temperature", "hot"),
        ("temperature", True),
        ("temperature", None),
        ("top_k", 1.5),
        ("min_tokens", None),
        ("stop", "text"),
        ("stop", [1]),
        ("stop", ["x"] * 5),
        ("stop", ["x" * 65]),
        ("prompt_logprobs", 1),
    ],
)
def test_sampling_refuses_and_names_what_is_wrong(name: str, value: object) -> None:
    with pytest.raises(BadInput) as refused:
        Sampling.from_mapping({name: value})
    assert refused.value.params["field"] == name


def test_timing_follows_its_formulas() -> None:
    timing = Timing(queue=1, prefill=0.5, decode=2, prompt_tokens=10, tokens=5)
    assert (timing.ttft, timing.e2e, timing.tpot, timing.tokens_per_second) == (1.5, 3.5, 0.5, 2.0)
    assert Timing(0, 0, 0, 1, 1).tpot is None
    assert Timing(0, 0, 0, 1, 0).tokens_per_second is None
