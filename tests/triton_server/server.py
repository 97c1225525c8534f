"""A real Triton server for tests: the one inside the nvidia-pytriton wheel, started and ended by its process id.

Its environment is made by `python launch.py test --triton`. The folder is not called `triton`: whatever has its parent on the
path would then import it in the place of the compiler that torch looks for.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import httpx

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = ROOT / ".venv-triton-test"
READY_WITHIN = 180.0  # seconds; four on a free machine
MODEL, OLD_MODEL = "vllm_model", "vllm_model_2401"

INPUTS = ("text_input:STRING", "stream:BOOL", "sampling_parameters:STRING")
NEW_INPUTS = (
    *INPUTS,
    "exclude_input_in_output:BOOL",
    *(f"return_{name}:BOOL" for name in ("finish_reason", "num_input_tokens", "num_output_tokens")),
)
OUTPUTS = ("text_output:STRING",)
NEW_OUTPUTS = (*OUTPUTS, "finish_reason:STRING", "num_input_tokens:UINT32", "num_output_tokens:UINT32")


def is_installed() -> bool:
    """Whether the server's environment is there."""
    return (ENVIRONMENT / "bin" / "python").exists()


def config(release: str, inputs: tuple[str, ...], outputs: tuple[str, ...], state_file: Path) -> str:
    """A model's config.pbtxt."""

    def tensors(kind: str, names: tuple[str, ...], more: str = "") -> str:
        pairs = [name.split(":") for name in names]
        return "\n".join(f'{kind} [ {{ name: "{name}" data_type: TYPE_{type} dims: [ -1 ]{more} }} ]' for name, type in pairs)

    settings = {"release": release, "state_file": str(state_file)}
    return "\n".join(
        [
            'backend: "python"\nmax_batch_size: 0\nmodel_transaction_policy { decoupled: true }',
            tensors("input", inputs, " optional: true"),
            tensors("output", outputs),
            *(f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}' for key, value in settings.items()),
            "instance_group [ { count: 1 kind: KIND_CPU } ]\n",
        ]
    )


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


RELEASES = {MODEL: ("deltas", NEW_INPUTS, NEW_OUTPUTS), OLD_MODEL: ("cumulative", INPUTS, OUTPUTS)}


class TritonServer:
    """One server, with a stand-in of today's release of the backend and one of the tutorial's.

    Args:
        folder: for its models, log and state.
        models: which of them, by their names.
    """

    def __init__(self, folder: Path, models: Collection[str] = (MODEL, OLD_MODEL)) -> None:
        self.folder = folder
        self.grpc, self.http = free_port(), free_port()
        self.log = folder / "server.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._regions = f"batchat-test-{os.getpid()}-{self.grpc}"
        for name in models:
            release, inputs, outputs = RELEASES[name]
            version = folder / "models" / name / "1"
            version.mkdir(parents=True)
            shutil.copy(HERE / "vllm_model" / "model.py", version)
            (version.parent / "config.pbtxt").write_text(config(release, inputs, outputs, folder / f"{name}.json"))
        self._server, self._libraries = self._unpack()

    @property
    def url(self) -> str:
        """Its address for gRPC."""
        return f"127.0.0.1:{self.grpc}"

    def _unpack(self) -> tuple[Path, str]:
        """Puts the stub of the environment's Python where the server looks for it, in a copy of the backend."""
        code = (
            "import sys, sysconfig; print(sysconfig.get_path('purelib')); print('%d.%d' % sys.version_info[:2]); "
            "print(sysconfig.get_config_var('LIBDIR'))"
        )
        asked = subprocess.run([ENVIRONMENT / "bin" / "python", "-I", "-c", code], capture_output=True, text=True, check=True)
        packages, version, libraries = asked.stdout.splitlines()
        wheel = Path(packages) / "pytriton" / "tritonserver"
        python = self.folder / "backends" / "python"
        shutil.copytree(wheel / "backends" / "python", python)
        shutil.copy(wheel / "python_backend_stubs" / version / "triton_python_backend_stub", python)
        return wheel / "bin" / "tritonserver", f"{libraries}:{Path(packages) / 'nvidia_pytriton.libs'}"

    def start(
        self,
        models: Collection[str] = (MODEL, OLD_MODEL),
        ready_within: float = READY_WITHIN,
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> TritonServer:
        """Starts it, on the same ports as before, and waits until the models are ready."""
        command = [
            self._server,
            *("--backend-directory", self.folder / "backends", "--model-repository", self.folder / "models"),
            *("--grpc-address", "127.0.0.1", "--grpc-port", str(self.grpc)),
            *("--http-address", "127.0.0.1", "--http-port", str(self.http)),
            *("--allow-metrics=false", "--exit-timeout-secs=5"),
            f"--backend-config=python,shm-region-prefix-name={self._regions}",
        ]
        variables = {
            **os.environ,
            **environment,
            "LD_LIBRARY_PATH": self._libraries,
            "PATH": f"{ENVIRONMENT / 'bin'}:{os.environ['PATH']}",
        }
        variables.pop("PYTHONPATH", None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=variables, start_new_session=True)
        deadline = time.monotonic() + ready_within
        while not all(self._is_ready(model) for model in models):
            assert self.process.poll() is None and time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.1)
        return self

    def _is_ready(self, model: str) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.http}/v2/models/{model}/ready", timeout=10).status_code == 200
        except httpx.TransportError:
            return False

    def state(self, model: str = MODEL) -> dict[str, int]:
        """What the model says of its requests."""
        return dict(json.loads((self.folder / f"{model}.json").read_text()))

    def wait_for(self, condition: Callable[[dict[str, int]], bool], seconds: float = 60, model: str = MODEL) -> None:
        """Waits until the model's state meets a condition."""
        began = time.monotonic()
        while not condition(self.state(model)):
            assert time.monotonic() - began < seconds, (self.state(model), self.log.read_text()[-2000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """Ends it and its model processes at once, as a machine that goes down."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None
        for region in Path("/dev/shm").glob(f"{self._regions}*"):
            region.unlink(missing_ok=True)


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[TritonServer]:
    """A server that is ended whatever happens."""
    server = TritonServer(folder)
    try:
        yield server.start()
    finally:
        if server.process is not None:
            server.kill()
