"""Runs one command and tells what it took."""

import os
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass


class Failure(Exception):
    """A command did not do what it should: the figures would mean nothing."""


@dataclass(frozen=True)
class Run:
    wall: float
    user: float
    system: float
    # Of the largest process, not of all together: that is what the kernel keeps for a process and those it waited for.
    peak: int


def floor_of_peak():
    """A child's peak is never below the memory that this process had when it started the child."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(command, environment):
    """Runs a list of arguments, or a script for bash, which stops at the first command that fails."""
    if isinstance(command, str):
        command = ["bash", "-euo", "pipefail", "-c", command]
    with tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
            start_new_session=True,
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            errors.seek(0)
            said = errors.read()[-3000:].decode(errors="replace")
            raise Failure(f"exit {process.returncode}: {command}\n{said}")
    return Run(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024)


def output(*command, **options):
    """What a command prints. Not timed."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout
    except subprocess.CalledProcessError as error:
        raise Failure(f"exit {error.returncode}: {command}\n{error.stderr[-3000:]}") from error
