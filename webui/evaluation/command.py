"""The command `evaluate`: a file of prompts to one variant or more, and what their answers come to.

Variants that share an engine are asked while it runs, one after the other. Engines are started one after the other too, since
two would share one machine, each in a fresh process. A run that was stopped or killed goes on with the same command.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from webui.data_folder import NONE
from webui.errors import UnknownModel, WebuiError
from webui.evaluation.folder import Folder, Plan, checked_scores
from webui.evaluation.judge import RUBRIC, Judge
from webui.evaluation.prompts import Prompts, read_path
from webui.evaluation.provenance import engine_provenance, fingerprint
from webui.evaluation.report import said, signed
from webui.evaluation.runs import Ask, Journal, Progress, Run
from webui.evaluation.scores import fitting
from webui.evaluation.variants import Variant, checked, read_variant
from webui.settings import Settings, load, with_values

if TYPE_CHECKING:
    from webui.server.app import App

BAD_ROWS_SHOWN = 20
SHOW_EVERY = 10.0  # seconds, where there is no terminal
JUDGE = "judge"


def run(options: argparse.Namespace, rest: Sequence[str], arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        options: what `arguments.py` read.
        rest: settings of the app.
        arguments: both as they were written, for the process that starts the next engine.

    Returns:
        0 if every row was answered, 1 if some were not or the run could not go on, 2 for arguments that make no sense,
        130 if it was interrupted.
    """
    try:
        settings = load(rest)
        rows = read_path(options.prompts)
        folder = _planned(options, rows)
        phases = list(_phases(folder.plan, settings))
    except WebuiError as error:
        print(error, file=sys.stderr)
        return 2
    if not options.phase:
        _say_bad_rows(rows)
    before = dict(os.environ)
    try:
        for number, (engine, variants, judge) in enumerate(phases):
            started = number >= options.phase and _run_phase(folder, engine, variants, judge)
            if started and number + 1 < len(phases):
                # What one engine's libraries leave behind in a process is in the way of the next one.
                again = [*_without_phase(arguments), "--phase", str(number + 1)]
                os.execve(sys.executable, [sys.executable, "-P", "-m", "webui", "evaluate", *again], before)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
    except (WebuiError, OSError) as error:
        print(f"{error}\nWhat was answered is kept; the same command goes on from here.", file=sys.stderr)
        return 1
    return _finish(folder)


def _without_phase(arguments: Sequence[str]) -> list[str]:
    at = arguments.index("--phase") if "--phase" in arguments else len(arguments)
    return [*arguments[:at], *arguments[at + 2 :]]


def _planned(options: argparse.Namespace, rows: Prompts) -> Folder:
    """The plan, written down."""
    variants = checked([read_variant(path) for path in options.variant])
    rubric = options.rubric.read_text(encoding="utf-8") if options.rubric else RUBRIC
    judge = Judge(read_variant(options.judge), rubric) if options.judge else None
    scores = checked_scores(options.score) if options.score else fitting(rows.rows)
    plan = Plan(options.prompts.name, variants, scores, judge=judge)
    numbers = {name: getattr(options, name) for name in ("repeats", "concurrency", "warm_up")}
    return Folder.make(options.out, Plan.of({**plan.as_dict(), **numbers}, rows.rows), rows)


Phase = tuple[Settings, list[Variant], bool]
"""An engine's settings, who is asked of it, and whether it is the judge."""


def _phases(plan: Plan, settings: Settings) -> Iterator[Phase]:
    """Each engine once, in the order in which its first variant comes; the judge last."""
    engines: dict[Settings, list[Variant]] = {}
    for variant in plan.variants:
        engines.setdefault(_engine_of(variant, settings), []).append(variant)
    yield from ((engine, variants, False) for engine, variants in engines.items())
    if plan.judge is not None:
        yield _engine_of(plan.judge.variant, settings), [plan.judge.variant], True


def _engine_of(variant: Variant, settings: Settings) -> Settings:
    """The settings of a variant's engine: of the one that it names, or of the usual one, with its own in their place.

    Raises:
        UnknownModel, BadSetting
    """
    several = dict(settings.engines or (("", settings),))
    if variant.model and variant.model not in several:
        raise UnknownModel(model=variant.model)
    named = several.get(variant.model) or next(iter(several.values()))
    return with_values(replace(named, engines=(), data_dir=NONE, database_url=None), variant.engine, variant.name)


def _run_phase(folder: Folder, settings: Settings, variants: list[Variant], judge: bool) -> bool:
    """Asks one engine what is still open.

    Returns:
        Whether it had to be started.
    """
    from webui.engines.local import prepare_environment
    from webui.server.process import end_children, private_temporary_folder

    model = fingerprint(settings)
    if judge and folder.engines.get(JUDGE, {}).get("fingerprint") != model:
        folder.engines[JUDGE] = {"fingerprint": model}
    with contextlib.closing(Journal(folder.journal)) as journal:
        asks = folder.judge_asks() if judge else [a for v in variants for a in folder.plan.asks(folder.prompts.rows, v, model)]
        # What was asked of another model in between has its own answers: the folder must say that it stands for this one.
        known = {folder.engines.get(each, {}).get("fingerprint") for each in _names(variants, judge)} == {model}
        if known and all(journal.has(ask) for ask in asks):
            return False
        prepare_environment(settings)
        try:
            with private_temporary_folder():
                asyncio.run(_ask(folder, settings, variants, judge, model, asks, journal))
        finally:
            end_children()
    return True


def _names(variants: list[Variant], judge: bool) -> list[str]:
    return [JUDGE] if judge else [variant.name for variant in variants]


async def _ask(
    folder: Folder, settings: Settings, variants: list[Variant], judge: bool, model: str, asks: list[Ask], journal: Journal
) -> None:
    from webui.evaluation.asking import Asking

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with _engine(settings) as app:
        engine = await app.supervisor.ready()
        folder.engines |= {name: engine_provenance(engine.info, model) for name in _names(variants, judge)}
        folder.save()
        run = Run(
            asks, journal, Asking(app.supervisor, app.board, app.chats.prompt), folder.plan.concurrency, folder.plan.warm_up
        )
        showing = asyncio.create_task(_show(lambda: run.progress, ", ".join(_names(variants, judge))))
        try:
            await run.run()
        finally:
            showing.cancel()
            await asyncio.gather(showing, return_exceptions=True)
            print(_line(run.progress, ", ".join(_names(variants, judge))), file=sys.stderr)


@contextlib.asynccontextmanager
async def _engine(settings: Settings) -> AsyncIterator[App]:
    """The app without its server."""
    from webui.server.app import App

    print(f"Starting the engine: {settings.model if settings.engine == 'local' else settings.url}", file=sys.stderr)
    app = App(settings)
    app.supervisor.start()
    try:
        yield app
    finally:
        await app.evaluations.close()
        await app.chats.close(0)
        await app.history.close()
        await app.supervisor.stop()


async def _show(progress: Callable[[], Progress], who: str) -> None:
    """On a terminal one line, written anew every second; elsewhere one every SHOW_EVERY seconds."""
    tty = sys.stderr.isatty()
    while True:
        await asyncio.sleep(1.0 if tty else SHOW_EVERY)
        print(_line(progress(), who), end="\r" if tty else "\n", file=sys.stderr, flush=True)


def _line(progress: Progress, who: str) -> str:
    rate = f", {progress.rate:.1f}/s" if progress.rate else ""
    eta = "" if progress.eta is None else time.strftime(", %H:%M:%S left", time.gmtime(progress.eta))
    kept = f" ({progress.kept} from before)" if progress.kept else ""
    return f"{who}: {progress.done} of {progress.total} answered{kept}, {progress.failed} failed{rate}{eta}"


def _say_bad_rows(rows: Prompts) -> None:
    print(f"{len(rows.rows)} rows; {len(rows.bad)} cannot be asked.", file=sys.stderr)
    for bad in rows.bad[:BAD_ROWS_SHOWN]:
        print(f"  row {bad.number}: {bad.reason}", file=sys.stderr)
    if len(rows.bad) > BAD_ROWS_SHOWN:
        print(f"  … and {len(rows.bad) - BAD_ROWS_SHOWN} more; the report lists all", file=sys.stderr)


def _finish(folder: Folder) -> int:
    folder.write_reports()
    summary = folder.results().summary()
    for name, each in summary["variants"].items():
        scores = [f"{score} {found['mean']:.3f}{_interval(found)}" for score, found in each["scores"].items() if found]
        print(f"{name}: {each['answered']} answered, {each['failed']} failed; {', '.join(scores) or 'no score'}")
    for name, settings in summary["unheeded"].items():
        print(f"{name}: its engine does not heed {', '.join(settings)}")
    for pair in summary["pairs"]:
        difference = f"{signed(pair['mean'])}{_interval(pair)}, p={pair['p']:.4f}"
        print(f"{pair['first']} − {pair['second']}, {pair['score']}: {difference}: {said(pair)}")
    print(f"Reports: {folder.path / 'report.html'}, summary.csv and results.jsonl beside it")
    return 1 if any(each["failed"] or not each["asked"] for each in summary["variants"].values()) else 0


def _interval(found: dict[str, float | None]) -> str:
    return "" if found["low"] is None else f" [{found['low']:.3f}, {found['high']:.3f}]"
