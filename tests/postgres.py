"""A PostgreSQL of the tests' own: Debian's programs, a private cluster in a temporary folder, ended by its process id.

PostgreSQL refuses to run as root; then it runs as the user `postgres`, which Debian's package makes, or `nobody`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

READY_WITHIN = 180.0  # seconds
PLACES = ("/usr/lib/postgresql/*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin")


def find_programs() -> Path | None:
    """The folder with initdb and postgres, the newest version's first."""
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    folders = [folder for place in PLACES for folder in Path("/").glob(place.lstrip("/"))]
    found = [folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()]
    return max(found, key=lambda folder: [int(part) for part in folder.parts if part.isdigit()] or [0], default=None)


class Cluster:
    """A private cluster.

    Args:
        programs: the folder of its programs.
        folder: an empty one.
    """

    def __init__(self, programs: Path, folder: Path) -> None:
        self._programs = programs
        self._folder = folder
        self._user = _other_user() if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
            folder.chmod(0o700)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = _free_port()
        self._run("initdb", "--pgdata", "data", "--auth", "trust", "--username", "tests", "--encoding", "UTF8", "--no-sync")

    def _options(self) -> dict[str, object]:
        environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "HOME": str(self._folder)}
        user = {} if self._user is None else {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
        return {"cwd": self._folder, "env": environment, **user}

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, **self._options())  # type: ignore[call-overload]
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Runs it, and waits until it answers."""
        command = [str(self._programs / "postgres"), "-D", "data", "-p", str(self._port), "-k", str(self._folder)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=30"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **self._options())  # type: ignore[call-overload]
        deadline = time.monotonic() + READY_WITHIN
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):
                self._run("psql", "-h", "127.0.0.1", "-p", str(self._port), "-U", "tests", "-c", "SELECT 1", "postgres")
                return
            assert self._process.poll() is None, (self._folder / "log").read_text()
            time.sleep(0.1)
        raise AssertionError((self._folder / "log").read_text())

    def stop(self) -> None:
        """Ends it; it can be started again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)  # its "fast" shutdown: clients are not waited for
            self._process.wait(180)
            self._process = None

    def new_database(self) -> str:
        """The URL of an empty database."""
        name = "d" + secrets.token_hex(8)
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self._port), "-U", "tests", name)
        return f"postgresql://tests@127.0.0.1:{self._port}/{name}"


@contextlib.contextmanager
def running_cluster(programs: Path) -> Iterator[Cluster]:
    """A cluster that is gone at the end."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        cluster = Cluster(programs, Path(folder))
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise AssertionError("PostgreSQL cannot run as root, and there is neither a user postgres nor nobody")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
