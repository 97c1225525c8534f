"""A Hugging Face model -> a compiled folder, by optimum-rbln: the command `compile`. The only place that imports optimum.

What can be known to be wrong is said before the long part. The folder is written aside and renamed at the end, so that one
that was interrupted is never taken for a whole one; the request lies in it, so that the same request is not compiled twice.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TextIO

from webui.errors import CompileRefused, WebuiError
from webui.rbln.compiled import is_compiled, read
from webui.rbln.devices import find_npus
from webui.rbln.report import is_good, size, table
from webui.rbln.request import CompileRequest, Plan, look_at_host, parse, plan
from webui.rbln.source import ModelSource, read_source

REQUEST_FILE = "compile_request.json"
ASIDE = ".compiling-"  # and the process's id: the folder that is being written


def main(arguments: list[str]) -> int:
    """Runs the command.

    Returns:
        The exit status: 0 if the compiled folder is there, 1 if not.
    """
    request, notes = parse(arguments)
    for note in notes:
        print(note, file=sys.stderr)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what was written aside is removed
    try:
        return _run(request)
    except WebuiError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; nothing was left behind.", file=sys.stderr)
        return 1


def _run(request: CompileRequest) -> int:
    source = read_source(request.model, request.revision)
    record = _record(request, source)
    if not request.dry_run and _is_there(request, record):
        print(f"Already compiled: {request.out}")
        return 0
    npus = find_npus()
    planned = plan(request, source, look_at_host(request, npus.name))
    print(f"Compiling {source.name} for {planned.npu} x {request.num_devices}{' (emulated)' if npus.emulated else ''}")
    print(table(planned.findings))
    if not is_good(planned.findings):
        raise CompileRefused(reason="see what is wrong above")
    if not request.dry_run:
        _compile_aside(request, planned, record)
    return 0


# ---- what is there already


def _record(request: CompileRequest, source: ModelSource) -> dict[str, Any]:
    """What decides on the result: the request, the version of the model, the versions of what compiles."""
    versions = {name: _version(name) for name in ("optimum-rbln", "rebel-compiler")}
    return {"request": request.identity(), "model": source.version, "versions": versions}


def _version(library: str) -> str | None:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return None


def _is_there(request: CompileRequest, record: dict[str, Any]) -> bool:
    """Whether the same request was compiled to that folder before.

    Raises:
        CompileRefused: if something else is there that may not be replaced.
    """
    out = request.out
    if Path(request.model).is_dir() and out.resolve() in (
        Path(request.model).resolve(),
        *Path(request.model).resolve().parents,
    ):
        raise CompileRefused(reason=f"--out {out} is the model's own folder, or holds it; choose another")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return _not_renamed(request)
    if not is_compiled(out):
        raise CompileRefused(reason=f"{out} is there and is no compiled model; choose another --out")
    if request.overwrite:
        return _not_renamed(request)
    try:
        before = json.loads((out / REQUEST_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    if before == record and not read(out).missing:
        return True
    raise CompileRefused(reason=f"{out} is there already, {_difference(before, record)}; --force replaces it")


def _not_renamed(request: CompileRequest) -> Literal[False]:
    """Nothing that may stay is there; but a volume's own folder can be put in no other's place, which is said before the long
    part."""
    if os.path.ismount(request.out):
        inside = request.out / f"rbln-{Path(request.model).name}"
        raise CompileRefused(
            reason=f"--out {request.out} is a mount point, which cannot be renamed; choose a folder in it: {inside}"
        )
    return False


def _difference(before: dict[str, Any], record: dict[str, Any]) -> str:
    """Why a folder is not what is asked for."""
    if before.keys() != record.keys():
        return "and does not say what it was compiled from"
    if before == record:
        return "but files are missing in it"
    asked, compiled = record["request"], before["request"]
    other = [
        f"{name} {compiled.get(name)!r} instead of {value!r}" for name, value in asked.items() if compiled.get(name) != value
    ]
    if before["model"] != record["model"]:
        other.append("another version of the model")
    if before["versions"] != record["versions"]:
        other.append("other versions of the compiler")
    return "compiled with " + ", ".join(other)


# ---- compiling


def is_installed() -> bool:
    """Whether this environment can compile."""
    return all(importlib.util.find_spec(package) for package in ("optimum", "rebel"))


def _compile_aside(request: CompileRequest, planned: Plan, record: dict[str, Any]) -> None:
    if not is_installed():
        raise CompileRefused(reason="this environment has no optimum-rbln: python launch.py --device rbln compile …")
    out = request.out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(out)
    aside = out.with_name(f"{out.name}{ASIDE}{os.getpid()}")
    aside.mkdir()
    started = time.monotonic()
    try:
        with Progress(sys.stderr, graphs=1 + len(request.buckets)) as progress:
            _compile(request, planned, aside, progress)
        _finish(aside, record)
        _put_in_place(aside, out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    bytes = sum(path.stat().st_size for path in out.iterdir())
    print(f"Compiled in {_elapsed(time.monotonic() - started)}: {request.out} ({size(bytes)})")
    print(f"Serve it: python launch.py --model {request.out}")


def _compile(request: CompileRequest, planned: Plan, folder: Path, progress: Progress) -> None:
    """Hands the request to optimum-rbln, which writes into the folder."""
    progress.phase("importing optimum-rbln")
    import rebel  # before transformers: it defines operators that they look for
    from optimum.rbln import RBLNAutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # two progress lines would overwrite each other
    options: dict[str, Any] = {"revision": request.revision} if request.revision else {}
    try:
        rbln_class = RBLNAutoModelForCausalLM.get_rbln_cls(request.model, export=True, **options)
    except (AttributeError, ValueError) as error:
        raise CompileRefused(reason=f"optimum-rbln does not support this model: {_first_line(error)}") from error
    if request.dtype:
        options["dtype"] = request.dtype
    if request.trust_remote_code:
        options["trust_remote_code"] = True
    progress.phase("loading the weights")
    names = ["prefill", *(f"decoder, {lanes} at once" for lanes in request.buckets)]
    try:
        with _told(rebel, names, progress):
            rbln_class.from_pretrained(
                request.model,
                export=True,
                model_save_dir=str(folder),
                rbln_config=request.rbln_config(planned.npu, planned.max_seq_len),
                **options,
            )
    except (ValueError, TypeError, RuntimeError, NotImplementedError, OSError, MemoryError) as error:
        raise CompileRefused(reason=f"{progress.current}: {_first_line(error)}") from error


@contextlib.contextmanager
def _told(rebel: Any, names: list[str], progress: Progress) -> Iterator[None]:
    """Tells of each graph as optimum hands it to the compiler; were it handed over in another way, the detail would be
    missing and nothing else."""
    original = rebel.compile_from_torch
    remaining = list(names)

    def telling(*arguments: Any, **options: Any) -> Any:
        progress.graph(remaining.pop(0) if remaining else "another graph")
        compiled = original(*arguments, **options)
        if not remaining:
            progress.phase("saving")
        return compiled

    rebel.compile_from_torch = telling
    try:
        yield
    finally:
        rebel.compile_from_torch = original


def _finish(folder: Path, record: dict[str, Any]) -> None:
    """Sees to it that the folder is whole, and leaves the record in it."""
    missing = read(folder).missing
    if missing:
        raise CompileRefused(reason=f"optimum-rbln did not write {', '.join(missing)}")
    (folder / REQUEST_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _put_in_place(aside: Path, out: Path) -> None:
    """Renames the new folder to its name; an older one is moved out of the way first and removed last."""
    former = aside.with_name(aside.name + ".former")
    replaced = out.exists()
    if replaced:
        out.rename(former)
    try:
        aside.rename(out)
    except OSError:
        if replaced:
            former.rename(out)
        raise
    if replaced:
        shutil.rmtree(former)


def _remove_abandoned(out: Path) -> None:
    """Removes what compiles to this folder left that were killed. One whose process still runs is somebody's, unless that is
    this very process: in containers they all have the same number."""
    for path in out.parent.glob(f"{out.name}{ASIDE}*"):
        pid = path.name.removeprefix(out.name + ASIDE).partition(".")[0]
        if pid.isdigit() and (int(pid) == os.getpid() or not _runs(int(pid))):
            if path.name.endswith(".former") and not out.exists():
                path.rename(out)
            else:
                shutil.rmtree(path, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # somebody else's
    return True


class Progress:
    """Says what is being done and for how long: on a terminal one line, rewritten each second; elsewhere a line per phase.

    Args:
        out: where to.
        graphs: how many graphs will be compiled.
    """

    def __init__(self, out: TextIO, graphs: int) -> None:
        self._out = out
        self._graphs = graphs
        self._done = 0
        self._started = self._since = time.monotonic()
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)
        self.current = ""

    def phase(self, name: str) -> None:
        """The next phase begins."""
        if self.current and name != self.current:
            self._end_line()
        self.current, self._since = name, time.monotonic()
        self._show()

    def graph(self, name: str) -> None:
        """The next graph goes to the compiler."""
        self._done += 1
        self.phase(f"compiling {name} [{self._done}/{self._graphs}]")

    def __enter__(self) -> Progress:
        self._ticker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._ticker.join()
        self._end_line()

    def _tick(self) -> None:
        while not self._over.wait(1 if self._out.isatty() else 60):
            self._show()

    def _show(self) -> None:
        now = time.monotonic()
        line = f"{_elapsed(now - self._started)}  {self.current}, {_elapsed(now - self._since)}"
        self._out.write(f"\r{line:<79}" if self._out.isatty() else f"{_elapsed(now - self._started)}  {self.current}\n")
        self._out.flush()

    def _end_line(self) -> None:
        if self._out.isatty():
            self._show()
            self._out.write("\n")


def _elapsed(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
