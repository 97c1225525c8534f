"""The command `compile`: what is refused before it begins, what it estimates, and what it leaves behind. A few lines stand in
for optimum-rbln; the real one compiles in `tests/rbln`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from folders import LLAMA_2_7B, write_compiled
from hypothesis import given
from hypothesis import strategies as st

from webui.errors import CompileRefused
from webui.rbln import compile as command
from webui.rbln.devices import Npus
from webui.rbln.memory import ATOM, GIB, REBEL, Shape, estimate, kv_per_token, npu_family
from webui.rbln.report import Finding, table
from webui.rbln.request import CompileRequest, Host, Plan, parse, plan
from webui.rbln.source import ModelSource, read_source

ROOT = Path(__file__).resolve().parents[3]
ROOM = Host("RBLN-CA25", 64 * GIB, 200 * GIB)


def source(**changes: Any) -> ModelSource:
    """Llama 2 7B by its numbers."""
    parameters = changes.pop("parameters", 6_738_415_616)
    return ModelSource("m", {**LLAMA_2_7B, **changes}, parameters, 13_476_831_232, "v")


def request(**changes: Any) -> CompileRequest:
    return CompileRequest(**{"model": "m", "out": Path("out"), "batch_size": 4, "num_devices": 4, **changes})


def finding(planned: Plan, name: str) -> Finding:
    return next(each for each in planned.findings if each.name == name)


# ---- the command line


def test_the_tutorials_spellings_are_taken_with_a_note() -> None:
    asked, notes = parse(
        "--model m --out o --rbln-max-seq-len 4096 --rbln_batch_size=4 --rbln_tensor_parallel_size 4 --max_seq_len 2048".split()
    )
    assert (asked.max_seq_len, asked.batch_size, asked.num_devices) == (2048, 4, 4)
    assert notes == [
        "--rbln-max-seq-len is called --max-seq-len today.",
        "--rbln-batch-size is called --batch-size today.",
        "--rbln-tensor-parallel-size is called --num-devices today.",
    ]


def test_todays_spellings_are_taken_without() -> None:
    line = "--model m --out o --decoder-batch-sizes 4,2,1 --attn-impl flash_attn --npu RBLN-CA12 --quantization int4"
    asked, notes = parse([*line.split(), "--batch-size", "8"])
    assert notes == []
    assert (asked.buckets, asked.attn_impl, asked.npu) == ((8, 4, 2, 1), "flash_attn", "RBLN-CA12")
    assert asked.quantization == {"weights": "int4"}
    assert parse(["--model=m", "--out=o", '--quantization={"weights": "int8"}'])[0].quantization == {"weights": "int8"}


@pytest.mark.parametrize(
    "wrong",
    [
        *("--batch-size 0", "--batch-size x", "--decoder-batch-sizes 4,,1", "--attn-impl x"),
        *("--quantization []", "--quantization {}", "--quantization int3", '--quantization {"kv_caches":"int4"}'),
    ],
)
def test_what_cannot_be_understood_is_said(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["--model", "m", "--out", "o", *wrong.split()])
    assert wrong.split()[0] in capsys.readouterr().err


def test_optimum_gets_what_was_asked_and_nothing_else() -> None:
    config = request(decoder_batch_sizes=(2, 1)).rbln_config("RBLN-CA25", 4096)
    assert config == {
        "batch_size": 4,
        "max_seq_len": 4096,
        "num_devices": 4,
        "npu": "RBLN-CA25",
        "create_runtimes": False,
        "decoder_batch_sizes": [4, 2, 1],
    }


# ---- the limits


def test_the_tutorials_compile_is_fine() -> None:
    planned = plan(request(), source(), ROOM)
    assert (planned.npu, planned.max_seq_len) == ("RBLN-CA25", 4096)
    assert [each.state for each in planned.findings] == ["ok"] * 8


@pytest.mark.parametrize(
    ("changes", "name", "advice"),
    [
        ({"max_seq_len": 8192}, "context", "--max-seq-len 4096"),
        ({"prefill_chunk_size": 100}, "prefill chunk", "--prefill-chunk-size 64"),
        ({"max_seq_len": 1000}, "prefill chunk", "--max-seq-len 896"),
        ({"attn_impl": "flash_attn"}, "attention", "a smaller --kvcache-partition-len"),
        ({"kvcache_partition_len": 512}, "attention", "1024 to 32768"),
        ({"kvcache_partition_len": 1024, "max_seq_len": 3840}, "attention", "must be a multiple"),
        ({"kvcache_partition_len": 4096}, "attention", "At least two partitions"),
        ({"decoder_batch_sizes": (8, 1)}, "decode buckets", "--batch-size 4"),
        ({"num_devices": 1}, "device memory", "--batch-size 1 is the largest"),
    ],
)
def test_a_limit_is_said_before_and_what_to_do(changes: dict[str, Any], name: str, advice: str) -> None:
    wrong = finding(plan(request(**changes), source(), ROOM), name)
    assert wrong.state == "wrong" and advice in wrong.advice


def test_eager_attention_has_an_end() -> None:
    long = source(max_position_embeddings=131072, num_key_value_heads=1)
    asked = request(max_seq_len=65536)
    assert "flash_attn" in finding(plan(asked, long, ROOM), "attention").advice
    assert finding(plan(request(max_seq_len=65536, attn_impl="flash_attn"), long, ROOM), "attention").state == "ok"


def test_a_stretched_rope_makes_a_longer_context() -> None:
    rope = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}
    assert source(max_position_embeddings=32768, rope_parameters=rope).longest_context == 131072


def test_no_room_is_said() -> None:
    planned = plan(request(), source(), Host("RBLN-CA25", 8 * GIB, 8 * GIB))
    assert finding(planned, "disk").state == finding(planned, "host memory").state == "wrong"
    planned = plan(request(), source(), Host("RBLN-CA25", 20 * GIB, 20 * GIB))
    assert finding(planned, "disk").state == finding(planned, "host memory").state == "warning"


def test_code_of_the_models_own_wants_trust() -> None:
    own = source(auto_map={"AutoModelForCausalLM": "modeling.X"})
    assert "--trust-remote-code" in finding(plan(request(), own, ROOM), "model").advice
    assert finding(plan(request(trust_remote_code=True), own, ROOM), "model").state == "ok"


@pytest.mark.parametrize("npu", [None, "RTX"])
def test_without_a_known_npu_there_is_no_plan(npu: str | None) -> None:
    with pytest.raises(CompileRefused, match="RBLN-CA"):
        plan(request(), source(), Host(npu, GIB, GIB))


# ---- the estimate


def test_llama_2_7b_on_four_devices() -> None:
    """2 x 32 layers x 32 heads x 128 x 2 bytes = 512 KiB per token; 4 x 4096 tokens = 8 GiB, on four devices 2 GiB."""
    assert kv_per_token(LLAMA_2_7B, 16) == 512 * 1024
    estimated = plan(request(), source(), ROOM).estimate
    assert estimated and estimated.kv_cache == 2 * GIB
    assert estimated.weights == 6_738_415_616 * 2 // 4
    assert estimated.available == 16 * GIB - 288 * 2**20
    assert estimated.verdict == "fits"


def test_the_readmes_estimate_is_todays() -> None:
    said = table(plan(request(num_devices=1), source(), ROOM).findings)
    for name in ("README.md", "README.ko.md"):
        assert said in (ROOT / name).read_text(encoding="utf-8")


def test_quantised_weights_leave_embeddings_and_head_alone() -> None:
    quantised = plan(request(quantization={"weights": "int4"}), source(), ROOM).estimate
    kept = 2 * 32000 * 4096
    assert quantised and quantised.weights * 4 == pytest.approx((6_738_415_616 - kept) / 2 + kept * 2, rel=1e-6)


def test_flash_attention_gets_by_with_fewer_blocks() -> None:
    asked = request(num_devices=1, batch_size=2, kvcache_partition_len=1024)
    memory = finding(plan(asked, source(max_position_embeddings=4096), ROOM), "device memory")
    assert memory.state == "warning" and "fewer blocks" in memory.found


def test_what_does_not_fit_may_be_tried() -> None:
    memory = finding(plan(request(num_devices=1, ignore_estimate=True), source(), ROOM), "device memory")
    assert memory.state == "warning"


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 16), st.integers(10**6, 10**11), st.sampled_from([64, 128, 1024]))
def test_the_largest_that_fits_fits_and_one_more_does_not(
    batch: int, chunks: int, devices: int, parameters: int, unit: int
) -> None:
    shape = Shape(parameters, 16, 131072)
    context = chunks * unit

    def total(batch: int, context: int) -> int:
        return shape.weights + shape.kv_per_token * batch * context

    room = ATOM.memory * devices
    found = estimate(
        shape, batch=batch, context=context, devices=devices, available=ATOM.memory, unit=unit, least_tokens=0, longest=10**9
    )
    if found.largest_batch:
        assert total(found.largest_batch, context) <= room
    if found.largest_context:
        assert total(batch, found.largest_context) <= room and found.largest_context % unit == 0
    if shape.weights <= room:
        assert total(found.largest_batch + 1, context) > room and total(batch, found.largest_context + unit) > room


def test_families() -> None:
    assert (npu_family("RBLN-CA25"), npu_family("RBLN-CR03"), npu_family("x")) == (ATOM, REBEL, None)


# ---- the model before it is loaded


def test_a_folder_is_counted_without_loading_it(model: Any) -> None:
    folder = model()
    read = read_source(str(folder))
    assert (read.parameters, read.architecture, read.dtype) == (50_000, "LlamaForCausalLM", "float16")
    (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes() + b"x")
    assert read_source(str(folder)).version != read.version


def test_what_is_no_model_is_said(model: Any, tmp_path: Path) -> None:
    folder = model()
    (folder / "model.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(CompileRefused, match="damaged"):
        read_source(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(CompileRefused, match="no weights"):
        read_source(str(folder))
    with pytest.raises(CompileRefused, match="no model at"):
        read_source(str(tmp_path / "none"))


# ---- compiling


class Optimum:
    """What the command uses of optimum-rbln and rebel."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.fails: BaseException | None = None
        self.rebel = types.ModuleType("rebel")
        self.rebel.compile_from_torch = lambda *_: None  # type: ignore[attr-defined]

    def get_rbln_cls(self, model: str, **_: Any) -> Optimum:
        return self

    def from_pretrained(self, model: str, *, model_save_dir: str, rbln_config: dict[str, Any], **options: Any) -> None:
        self.calls.append({"model": model, **rbln_config, **options})
        for _ in ["prefill", *rbln_config["decoder_batch_sizes"]]:
            self.rebel.compile_from_torch(None)
        write_compiled(
            Path(model_save_dir),
            batch_size=rbln_config["batch_size"],
            max_seq_len=rbln_config["max_seq_len"],
            decoder_batch_sizes=rbln_config["decoder_batch_sizes"],
        )
        if self.fails:
            raise self.fails


@pytest.fixture
def optimum(monkeypatch: pytest.MonkeyPatch) -> Optimum:
    optimum = Optimum()
    package, rbln = types.ModuleType("optimum"), types.ModuleType("optimum.rbln")
    rbln.RBLNAutoModelForCausalLM = optimum  # type: ignore[attr-defined]
    for name, module in {"optimum": package, "optimum.rbln": rbln, "rebel": optimum.rebel}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(command, "is_installed", lambda: True)
    monkeypatch.setattr(command, "find_npus", lambda: Npus(("RBLN-CA25",) * 4, False, "", ""))
    return optimum


def run(folder: Path, out: Path, *more: str) -> int:
    return command.main(["--model", str(folder), "--out", str(out), "--batch-size", "4", "--max-seq-len", "1024", *more])


def test_it_compiles_once(model: Any, tmp_path: Path, optimum: Optimum, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = model(), tmp_path / "deep" / "rbln-model"
    assert run(folder, out, "--decoder-batch-sizes", "2") == 0
    said = capsys.readouterr()
    assert "compiling prefill [1/3]" in said.err and "compiling decoder, 2 at once [3/3]" in said.err
    assert f"Serve it: python launch.py --model {out}" in said.out
    assert optimum.calls[0]["decoder_batch_sizes"] == [4, 2] and optimum.calls[0]["create_runtimes"] is False
    assert [path.name for path in out.parent.iterdir()] == ["rbln-model"]
    assert run(folder, out, "--decoder-batch-sizes", "2") == 0
    assert capsys.readouterr().out == f"Already compiled: {out}\n" and len(optimum.calls) == 1


def test_nothing_is_overwritten_without_force(
    model: Any, tmp_path: Path, optimum: Optimum, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, out = model(), tmp_path / "rbln-model"
    assert run(folder, out) == 0
    assert run(folder, out, "--num-devices", "2") == 1
    assert "num_devices 1 instead of 2; --force replaces it" in capsys.readouterr().err
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    assert run(folder, out) == 1
    assert "another version of the model" in capsys.readouterr().err
    assert run(folder, out, "--num-devices", "2", "--force") == 0 and len(optimum.calls) == 2
    assert [path.name for path in tmp_path.iterdir() if path != folder] == ["rbln-model"]


def test_a_folder_that_is_no_compiled_model_is_never_replaced(
    model: Any, tmp_path: Path, optimum: Optimum, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model()
    for out in (folder, folder.parent):
        assert run(folder, out, "--force") == 1
        assert "the model's own folder" in capsys.readouterr().err
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").touch()
    assert run(folder, precious, "--force") == 1
    assert (precious / "thesis.txt").exists() and not optimum.calls


@pytest.mark.parametrize(
    ("raised", "said"), [(ValueError("no memory\nmore"), "no memory"), (KeyboardInterrupt(), "nothing was left behind")]
)
def test_what_breaks_off_leaves_nothing(
    model: Any, tmp_path: Path, optimum: Optimum, capsys: pytest.CaptureFixture[str], raised: BaseException, said: str
) -> None:
    folder, out = model(), tmp_path / "rbln-model"
    assert run(folder, out) == 0
    before = (out / "rbln_config.json").stat().st_mtime_ns
    optimum.fails = raised
    assert run(folder, out, "--force") == 1
    assert said in capsys.readouterr().err
    assert (out / "rbln_config.json").stat().st_mtime_ns == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "rbln-model"]


def test_what_was_killed_is_cleared_away_by_the_next(model: Any, tmp_path: Path, optimum: Optimum) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead = write_compiled(tmp_path / f"rbln-model.compiling-{process.pid}")
    running = write_compiled(tmp_path / f"rbln-model.compiling-{os.getppid()}")
    assert run(model(), tmp_path / "rbln-model") == 0
    assert not dead.exists() and running.exists()


def test_what_is_wrong_is_said_and_nothing_compiled(
    model: Any, tmp_path: Path, optimum: Optimum, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = model()
    assert run(folder, tmp_path / "out", "--max-seq-len", "8192") == 1
    assert "The model was not made for more" in capsys.readouterr().out
    assert run(folder, tmp_path / "out", "--dry-run") == 0
    assert not optimum.calls and not (tmp_path / "out").exists()


def test_without_optimum_it_says_where_it_is(model: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(model(), tmp_path / "out", "--npu", "RBLN-CA25") == 1
    assert "python launch.py --device rbln compile" in capsys.readouterr().err


def test_the_record_holds_versions_and_the_request(model: Any, tmp_path: Path, optimum: Optimum) -> None:
    out = tmp_path / "rbln-model"
    assert run(model(), out) == 0
    record = json.loads((out / command.REQUEST_FILE).read_text())
    assert record["request"]["max_seq_len"] == 1024 and set(record["versions"]) == {"optimum-rbln", "rebel-compiler"}


def test_a_mount_point_is_refused_before_the_long_part(
    model: Any, tmp_path: Path, optimum: Optimum, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "volume"
    out.mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == out)
    assert run(model(), out) == 1
    assert "mount point" in capsys.readouterr().err and not optimum.calls


def test_what_one_of_the_same_number_left_is_cleared_away(model: Any, tmp_path: Path, optimum: Optimum) -> None:
    """In a container every compile has the same process id."""
    write_compiled(tmp_path / f"rbln-model.compiling-{os.getpid()}")
    assert run(model(), tmp_path / "rbln-model") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "rbln-model"]


def test_every_device_holds_whole_kv_heads() -> None:
    """Qwen2.5 7B: 4 KV heads on 8 devices, one on each. 2 x 28 x 128 x 2 bytes = 14 KiB per token and device; 2^20 tokens."""
    qwen = source(
        **{"parameters": 7_615_616_512, "hidden_size": 3584, "num_attention_heads": 28, "num_key_value_heads": 4},
        **{"num_hidden_layers": 28, "max_position_embeddings": 32768, "vocab_size": 152064},
    )
    estimated = plan(request(num_devices=8, batch_size=32), qwen, ROOM).estimate
    assert estimated and estimated.kv_cache == 14 * GIB and estimated.verdict == "does not fit"
