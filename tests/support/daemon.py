# SPDX-License-Identifier: Apache-2.0
"""One fletchd of a test: its data in a temporary folder, its port taken from a file, ended by the test alone."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
from typing import Any, Optional

import grpc

from support import wire

BINARY = pathlib.Path(os.environ.get("FLETCHD", wire.ROOT / "build/release/bin/fletchd"))
READY_SECONDS = 60
DRAIN_SECONDS = 60
_OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
            ("grpc.max_metadata_size", 1 << 16)]


class Daemon:
    """Use as a context manager; `stubs` and `address` are those of the running process."""

    def __init__(self, *flags: str, listen: str = "127.0.0.1:0", data_dir: Optional[pathlib.Path] = None) -> None:
        self.scratch = pathlib.Path(tempfile.mkdtemp(prefix="fletch-test-"))
        self.data_dir = data_dir or self.scratch / "data"
        self.log = self.scratch / "fletchd.log"
        self.flags = flags
        self.listen = listen
        self.process: Optional[subprocess.Popen] = None
        self.starts = 0
        self.channel: Any = None
        self.stubs: Any = None
        self.address = ""

    def __enter__(self) -> "Daemon":
        self.start()
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self.alive():
            self.kill()
        if self.channel is not None:
            self.channel.close()
        if kind is None or kind is KeyboardInterrupt:
            shutil.rmtree(self.scratch, ignore_errors=True)
        else:
            print(f"the daemon's log and data are kept in {self.scratch}", flush=True)

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        if not BINARY.exists():
            raise SystemExit(f"{BINARY} does not exist: build it first (cmake --preset release && "
                             "cmake --build --preset release), or name another with FLETCHD")
        if self.channel is not None:
            self.channel.close()
        self.starts += 1
        port_file = self.scratch / f"port-{self.starts}"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(BINARY), "--listen", self.listen, "--metrics-listen", "", "--data-dir", str(self.data_dir),
                 "--port-file", str(port_file), *self.flags], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not (port_file.exists() and port_file.read_text().endswith("\n")):
            self._check_start(deadline)
        self.address = port_file.read_text().splitlines()[0]
        self.channel = grpc.insecure_channel(self.address, _OPTIONS)
        self.stubs = wire.Stubs(self.channel)
        while not self.serving():
            self._check_start(deadline)

    def _check_start(self, deadline: float) -> None:
        if not self.alive() or time.monotonic() > deadline:
            raise RuntimeError(f"fletchd is not ready; its log ends:\n{self.log_tail()}")
        time.sleep(0.01)

    def serving(self, service: str = "") -> bool:
        """grpc.health.v1 by hand: request {service = 1}, response {status = 1}, SERVING is 1."""
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        name = service.encode()
        try:
            return check(b"\x0a" + bytes([len(name)]) + name if name else b"", timeout=5) == b"\x08\x01"
        except grpc.RpcError:
            return False

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-3000:]

    def kill(self) -> None:
        """SIGKILL, as a crash. Calls under way end by themselves; the channel is closed by the next start."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        """SIGTERM: drains, ends with 0."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(DRAIN_SECONDS)
        if code != 0:
            raise RuntimeError(f"fletchd ended with {code} on SIGTERM; its log ends:\n{self.log_tail()}")
