"""A stand-in for Triton's vLLM backend: its inputs, outputs and ways of streaming, ending, refusing and being cancelled, with
a script in the place of a model. Runs inside a real Triton server's Python backend.

A token is a word. `say WORD` in the prompt makes the answer WORD0 WORD1 …, five of them, or with `for ever` as many as
allowed; `show the prompt` answers with the prompt itself; `break the engine` fails after three words. Four requests run at
once, the rest waits. What runs, waits and was cancelled is written to the file that the model's configuration names.
"""

import asyncio
import itertools
import json
import pathlib
import re
import threading

import numpy
import triton_python_backend_utils as backend

LANES = 4
STEP = 0.02  # seconds
FINAL = backend.TRITONSERVER_RESPONSE_COMPLETE_FINAL
FLOATS, WHOLE = ("temperature", "top_p", "min_p", "repetition_penalty"), ("max_tokens", "min_tokens", "top_k", "seed")


def given(request, name, default=None):
    tensor = backend.get_input_tensor_by_name(request, name)
    if tensor is None:
        return default
    value = tensor.as_numpy().reshape(-1)[0]
    return value.decode() if isinstance(value, bytes) else value


def checked(sampling):
    """As vLLM: every name must be known and every value of its type."""
    for name, value in sampling.items():
        kinds = (int, float) if name in FLOATS else int if name in WHOLE else list if name == "stop" else ()
        if not isinstance(value, kinds):
            raise ValueError("'NoneType' object has no attribute 'lora_name'")
    return sampling


def words(prompt):
    """The answer, word by word."""
    if "show the prompt" in prompt:
        yield prompt
        return
    said = re.findall(r"say (\w+)", prompt)
    for index in itertools.count() if "for ever" in prompt else range(5):
        yield f"{said[-1] if said else 'word'}{index} "


class TritonPythonModel:
    def initialize(self, args):
        settings = {name: value["string_value"] for name, value in json.loads(args["model_config"])["parameters"].items()}
        self.deltas = settings["release"] == "deltas"
        self.state_file = pathlib.Path(settings["state_file"])
        self.state = {"running": 0, "waiting": 0, "cancelled": 0, "answered": 0}
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.lanes = asyncio.run_coroutine_threadsafe(self.make_lanes(), self.loop).result()

    async def make_lanes(self):
        self.count()
        return asyncio.Semaphore(LANES)

    def count(self, **changes):
        for name, change in changes.items():
            self.state[name] += change
        new = self.state_file.with_suffix(".new")
        new.write_text(json.dumps(self.state))
        new.replace(self.state_file)

    def execute(self, requests):
        for request in requests:
            asyncio.run_coroutine_threadsafe(self.answer(request), self.loop)

    async def answer(self, request):
        sender = request.get_response_sender()
        try:
            prompt, sampling = given(request, "text_input"), checked(json.loads(given(request, "sampling_parameters", "{}")))
            if not given(request, "stream", False):
                raise ValueError("only streams are answered here")
            self.count(waiting=1)
            try:
                while self.lanes.locked() and not sender.is_cancelled():
                    await asyncio.sleep(STEP)
                await self.lanes.acquire()
            finally:
                self.count(waiting=-1)
            self.count(running=1)
            try:
                await self.stream(request, sender, prompt, sampling)
            finally:
                self.lanes.release()
                self.count(running=-1)
        except Exception as error:
            sender.send(self.error(f"Error generating stream: {error}"), FINAL)

    async def stream(self, request, sender, prompt, sampling):
        stops, longest, text = sampling.get("stop", []), sampling.get("max_tokens", 16), ""
        for index, word in enumerate(words(prompt)):
            await asyncio.sleep(STEP)
            if sender.is_cancelled():
                self.count(cancelled=1)
                sender.send(self.error("Request was cancelled"), FINAL)
                return
            if "break the engine" in prompt and index == 3:
                raise RuntimeError("EngineCore encountered an issue. See stack trace (above) for the root cause.")
            if index >= longest:
                self.end(request, sender, prompt, text, "length")
                return
            cut = min((word.index(stop) for stop in stops if stop in word), default=None)
            text += word[:cut]
            sender.send(self.response(request, prompt, text, word[:cut], None, 1))
            if cut is not None:
                break
        self.end(request, sender, prompt, text, "stop")

    def end(self, request, sender, prompt, text, reason):
        self.count(answered=1)
        if self.deltas:
            sender.send(self.response(request, prompt, text, "", reason, 0), FINAL)
        else:
            sender.send(flags=FINAL)

    def response(self, request, prompt, text, new, reason, tokens):
        shown = new if self.deltas else prompt + text
        tensors = [backend.Tensor("text_output", numpy.array([shown.encode()], dtype=object))]
        if given(request, "return_finish_reason"):
            tensors.append(backend.Tensor("finish_reason", numpy.array([str(reason).encode()], dtype=object)))
        if given(request, "return_num_input_tokens"):
            tensors.append(backend.Tensor("num_input_tokens", numpy.array([len(prompt.split())], dtype=numpy.uint32)))
        if given(request, "return_num_output_tokens"):
            tensors.append(backend.Tensor("num_output_tokens", numpy.array([tokens], dtype=numpy.uint32)))
        return backend.InferenceResponse(tensors)

    def error(self, message):
        return backend.InferenceResponse(error=backend.TritonError(message))

    def finalize(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
