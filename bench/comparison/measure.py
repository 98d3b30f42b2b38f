"""Runs one command and tells what it took."""

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")


class Failure(Exception):
    """A command did not do what it should: the figures would mean nothing."""


@dataclass(frozen=True)
class Run:
    wall: float
    user: float
    system: float
    # Of the largest process, not of all together: that is what the kernel keeps for a process and those it waited for.
    peak: float
    # What is not below this says nothing.
    least: float


def run(command, environment):
    """Runs a list of arguments, or a script for bash, which stops at the first command that fails."""
    if isinstance(command, str):
        command = ["bash", "-euo", "pipefail", "-c", command]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", LAUNCH, *command], env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True,
    )
    try:
        figures, said = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode != 0:
        raise Failure(f"exit {process.returncode}: {command}\n{said[-3000:]}")
    return Run(*map(float, figures.split()))


def output(*command, **options):
    """What a command prints. Not timed."""
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout
    except subprocess.CalledProcessError as error:
        raise Failure(f"exit {error.returncode}: {command}\n{error.stderr[-3000:]}") from error
