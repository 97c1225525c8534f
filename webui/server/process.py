"""The process around the application: its port, its signals, its order of starting and ending.

The address answers first, then the page is built while the engine starts. On SIGINT or SIGTERM no new turn begins, running
ones get some seconds, and then everything ends: no engine process, port, shared memory or temporary file stays behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import shutil
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from webui import processes
from webui.background import in_background
from webui.errors import AddressUnusable, BadSetting, PortTaken, WebuiError
from webui.server.app import App
from webui.settings import Settings

log = logging.getLogger(__name__)

# Longer than the usual proxies keep an idle connection (nginx: 60 s), so that they close it: a request that they send into one
# that the server is just closing is lost.
KEEP_IDLE_FOR = 75  # seconds
CLOSE_CONNECTIONS_WITHIN = 2  # seconds, once every stream has been ended
DEAD_PEER_AFTER = 20_000  # milliseconds without an acknowledgement after which a connection counts as gone
CHILDREN_END_WITHIN = 3.0  # seconds
SOCKET_FOLDER_AT_MOST = 107 - 37  # bytes: what a socket's address may have (unix(7)) without the name that vLLM gives it


def listen(host: str, port: int) -> socket.socket:
    """Binds the address, so that a port that is taken is known before anything is loaded.

    Raises:
        PortTaken, AddressUnusable
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted connections inherit it; a vanished tab is then noticed
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_PEER_AFTER)
        listener.bind(address)
        listener.listen(1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(host=host, port=port) from None
        raise AddressUnusable(host=host, port=port, reason=error.strerror or error) from None
    listener.set_inheritable(False)
    return listener


def check_certificate(settings: Settings) -> None:
    """That the certificate and its key can be used, so that it is known before anything is loaded.

    Raises:
        BadSetting
    """
    if settings.ssl_certfile is None:
        return
    for setting, path in (("--ssl-certfile", settings.ssl_certfile), ("--ssl-keyfile", settings.ssl_keyfile)):
        try:
            content = Path(path).read_bytes() if path else b"-----BEGIN"
        except OSError as error:
            raise BadSetting(setting=setting, reason=f"{path} cannot be read: {error.strerror}") from None
        if b"-----BEGIN" not in content:
            raise BadSetting(setting=setting, reason=f"{path} is not in PEM format")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # Whoever has encrypted the key would be asked for a password in the middle of a start.
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password="")
    except ssl.SSLError as error:
        mismatch = error.reason == "KEY_VALUES_MISMATCH"
        reason = "is not that of the private key" if mismatch else "or its private key is missing, encrypted or not valid"
        raise BadSetting(setting="--ssl-certfile", reason=f"{settings.ssl_certfile} {reason}") from None


def server_config(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How the application is served."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        lifespan="off",
        ws="none",
        root_path=settings.root_path,
        timeout_keep_alive=KEEP_IDLE_FOR,
        timeout_graceful_shutdown=CLOSE_CONNECTIONS_WITHIN,
        server_header=False,
        proxy_headers=False,  # the app knows which proxies to believe
        ssl_certfile=settings.ssl_certfile,
        ssl_keyfile=settings.ssl_keyfile,
    )


async def serve(settings: Settings, listener: socket.socket) -> int:
    """Runs the app until a signal ends it.

    Returns:
        The exit status.
    """
    app = App(settings)
    server = _Server(server_config(app.asgi, settings))
    stop = _stop_on_signals()
    serving = asyncio.create_task(server.serve([listener]), name="server")
    loading = asyncio.create_task(_load(app), name="load")
    waiting = asyncio.create_task(stop.wait(), name="signal")
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    log.info("Ending: running answers get a few seconds.")
    stop.clear()  # a second signal does not wait for them
    await _end(app, server, serving, loading, stop)
    return 0 if not serving.cancelled() and serving.exception() is None else 1


async def _load(app: App) -> None:
    """Engine and page; a page that cannot be built is a fault of ours and leaves the light page standing.

    Gradio is imported while the engine's own processes start and this one would only wait for them. At the same time as
    vLLM, for which there is but one interpreter lock, it would make the engine ready a quarter later than vLLM's own server.
    """
    app.history.start()
    app.registry.start()
    if app.npu_metrics is not None:
        app.npu_metrics.start()
    if app.kiosk is not None:  # its page is there already, and needs no Gradio
        return
    await app.supervisor.imported.wait()
    try:
        await app.page.mount(app.settings.root_path)
    except Exception:
        log.exception("The chat page could not be built.")


async def _end(
    app: App, server: uvicorn.Server, serving: asyncio.Task[None], loading: asyncio.Task[None], hurry: asyncio.Event
) -> None:
    for front in app.fronts:
        front.demo.stop()
    closing = asyncio.create_task(app.chats.close())
    hurrying = asyncio.create_task(hurry.wait())
    await asyncio.wait([closing, hurrying], return_when=asyncio.FIRST_COMPLETED)
    await app.evaluations.close()
    for front in app.fronts:
        front.everybody.close()
    server.should_exit = True
    if app.npu_metrics is not None:
        await app.npu_metrics.stop()
    loading.cancel()
    await asyncio.gather(serving, loading, return_exceptions=True)
    stopping = asyncio.create_task(app.registry.stop())
    await asyncio.wait([stopping, hurrying], return_when=asyncio.FIRST_COMPLETED)
    await app.history.close()
    hurrying.cancel()
    await app.page.close()
    await in_background(end_children)  # an engine that was just starting waits for its process in a thread


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # the terminal is closed; under nohup the app is to live on
        numbers.append(signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    return stop


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The app's own handlers stay in force: uvicorn's would not let running answers finish."""
        yield


@contextlib.contextmanager
def private_temporary_folder() -> Iterator[None]:
    """A folder for the sockets and files of this process and its children, gone when it ends."""
    # What torch has compiled is worth keeping for the next start.
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(tempfile.gettempdir()) / f"torchinductor_{os.getuid()}"))
    folder = sockets = tempfile.mkdtemp(prefix="batchat-")
    if len(os.fsencode(folder)) > SOCKET_FOLDER_AT_MOST:
        sockets = tempfile.mkdtemp(prefix="batchat-", dir="/tmp")
    os.environ["TMPDIR"] = tempfile.tempdir = folder
    os.environ["VLLM_RPC_BASE_PATH"] = sockets
    try:
        yield
    finally:
        for path in {folder, sockets}:
            shutil.rmtree(path, ignore_errors=True)


def end_children() -> None:
    """Ends whatever this process started and is still there, such as an engine that was just starting."""
    processes.end(processes.started_processes(), within=CHILDREN_END_WITHIN)


def run(settings: Settings) -> int:
    """Runs the app as this process.

    Returns:
        The exit status.
    """
    import uvloop

    try:
        check_certificate(settings)
        listener = listen(settings.host, settings.port)
    except WebuiError as error:
        print(error, file=sys.stderr)
        return 1
    host, port = listener.getsockname()[:2]
    scheme = "https" if settings.ssl_certfile else "http"
    log.info("Batchat is at %s://%s:%s%s", scheme, f"[{host}]" if ":" in host else host, port, settings.root_path)
    if not settings.is_local and not settings.has_login:
        log.warning("Whoever reaches this address can use the page. --auth or --auth-header keeps it for those you know.")
    with private_temporary_folder():
        try:
            return uvloop.run(serve(settings, listener))
        finally:
            end_children()
