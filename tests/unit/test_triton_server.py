"""What the engine before a Triton server decides by itself. The server is a real one in `tests/triton_server`."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webui.conversation import LIMITS, Sampling
from webui.engines.triton_server import Answer, Release, _context, leading_bos, parameters
from webui.errors import ContextUnknown
from webui.settings import DEMO_MODEL, Settings

TODAY = Release(deltas=True, finish_reason=True, token_counts=True)
EARLY_2024 = Release(deltas=False, finish_reason=False, token_counts=False)


class Response:
    """A response of the server: the tensors that it sent."""

    def __init__(self, **tensors: Any) -> None:
        self._tensors = tensors

    def as_numpy(self, name: str) -> Any:
        if name not in self._tensors:
            return None
        value = self._tensors[name]
        return numpy.array([value.encode()], dtype=object) if isinstance(value, str) else numpy.array([value])


class Tokenizer:
    """Writes a beginning before every text, or not."""

    bos_token, bos_token_id = "<s>", 1

    def __init__(self, adds: bool, longest: float = 1e30) -> None:
        self._adds = adds
        self.model_max_length = longest

    def __call__(self, text: str) -> dict[str, list[int]]:
        return {"input_ids": [1, 7] if self._adds else [7]}


def test_releases_are_told_apart_by_their_inputs() -> None:
    inputs = {"text_input", "stream", "sampling_parameters"}
    assert Release.of(inputs) == EARLY_2024
    assert Release.of({*inputs, "exclude_input_in_output"}) == Release(deltas=True, finish_reason=False, token_counts=False)
    extras = {"return_finish_reason", "return_num_input_tokens", "return_num_output_tokens"}
    assert Release.of({*inputs, "exclude_input_in_output", *extras}) == TODAY


@given(st.lists(st.text(max_size=8), max_size=12), st.text(max_size=20))
def test_both_ways_of_streaming_give_the_same_text(pieces: list[str], prompt: str) -> None:
    new, old = Answer(TODAY, prompt), Answer(EARLY_2024, prompt)
    for index, piece in enumerate(pieces):
        assert new.take(Response(text_output=piece)) == piece
        assert old.take(Response(text_output=prompt + "".join(pieces[: index + 1]))) == piece
    assert new.text == old.text == "".join(pieces)


def test_an_answer_counts_and_knows_its_end() -> None:
    answer = Answer(TODAY, "p")
    answer.take(Response(text_output="a", finish_reason="None", num_input_tokens=3, num_output_tokens=2))
    assert (answer.new_tokens, answer.prompt_tokens, answer.end) == (2, 3, None)
    answer.take(Response(text_output="", finish_reason="length", num_output_tokens=1))
    assert (answer.new_tokens, answer.prompt_tokens, answer.end) == (1, 3, "length")
    answer.take(Response(text_output="", finish_reason="something new"))
    assert answer.end == "failed"


def test_only_what_differs_is_sent_and_always_the_length() -> None:
    assert json.loads(parameters(Sampling(), 77)) == {"max_tokens": 77, "temperature": 0.7, "top_p": 1.0}


@given(
    st.builds(
        Sampling,
        temperature=st.floats(0, 2),
        top_k=st.integers(0, 200),
        min_p=st.floats(0, 1),
        min_tokens=st.integers(0, 50),
        stop=st.lists(st.text(min_size=1, max_size=5), max_size=4).map(tuple),
        seed=st.none() | st.integers(0, 2**31 - 1),
    ),
    st.integers(1, 1000),
)
def test_nothing_is_sent_that_the_server_would_refuse(sampling: Sampling, longest: int) -> None:
    sent = json.loads(parameters(sampling, longest))
    assert sent["max_tokens"] == longest and sent.get("min_tokens", 0) <= longest
    assert None not in sent.values() and sent.get("top_k", 1) > 0
    assert set(sent) <= {*LIMITS, "stop"}


@pytest.mark.parametrize(("adds", "stripped"), [(True, "<s>"), (False, "")])
def test_a_beginning_is_taken_off_only_if_the_server_adds_it(adds: bool, stripped: str) -> None:
    assert leading_bos(Tokenizer(adds)) == stripped


def test_a_tokenizer_without_a_beginning_has_nothing_to_take_off() -> None:
    tokenizer = SimpleNamespace(bos_token=None, bos_token_id=None)
    assert leading_bos(tokenizer) == ""


def test_the_context_is_what_is_said_or_else_the_smaller_of_what_is_found(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"max_position_embeddings": 4096}')
    here = Settings(engine="triton", tokenizer=str(tmp_path))
    assert _context(here, Tokenizer(True)) == 4096
    assert _context(here, Tokenizer(True, 1024)) == 1024
    assert _context(Settings(tokenizer=str(DEMO_MODEL), max_model_len=99), Tokenizer(True, 1024)) == 99
    with pytest.raises(ContextUnknown, match="some/model"):
        _context(Settings(tokenizer="some/model"), Tokenizer(True))
