"""Runs commands one after the other, each at a terminal of its own, as a person would who follows a guide.

Reads a list of steps from standard input, writes a list of what came of them to standard output. A step has
`command`, `home`, and `answers`: what is typed when the program asks, in order. The working directory and the
variables of a step are those of the step before that had the same home.
"""

import json
import os
import pty
import re
import select
import signal
import sys
import time

ASKS = re.compile(r"(assphrase[^\n]*: ?|same again: ?|\[y/N\] ?|PIN[^\n]*: ?)$")
PATIENCE = 120

step_script = r"""
if [ -f "$STEP_STATE" ]; then . "$STEP_STATE"; fi
set -a
eval "$STEP_COMMAND"
step_result=$?
set +a
{ export -p | grep -v ' STEP_'; printf 'cd %q\n' "$PWD"; } > "$STEP_STATE"
exit $step_result
"""


def run(step, work):
    home = os.path.join(work, "homes", step["home"])
    os.makedirs(home, mode=0o700, exist_ok=True)
    environment = {
        "HOME": home, "USER": step["home"], "LOGNAME": step["home"],
        "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "dumb", "NO_COLOR": "1",
        "CONSIGN_PROGRESS": "none", "PAGER": "cat", "FIXTURES": os.environ["FIXTURES"],
        "STEP_STATE": os.path.join(work, "homes", step["home"] + ".state"), "STEP_COMMAND": step["command"],
    }
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(os.path.join(work, "desk"))
        os.execve("/bin/bash", ["bash", "-c", step_script], environment)
    said, answers, answered = b"", list(step["answers"]), 0
    deadline = time.monotonic() + PATIENCE
    while True:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            said += b"\n[nothing more for two minutes]\n"
            break
        readable, _, _ = select.select([terminal], [], [], 0.2)
        if readable:
            try:
                more = os.read(terminal, 65536)
            except OSError:
                break
            if not more:
                break
            said += more
        text = said[answered:].decode("utf-8", "replace")
        if ASKS.search(text):
            answered = len(said)
            time.sleep(0.05)
            answer = answers.pop(0) if answers and "[y/N]" in text.splitlines()[-1] else None
            if answer is None:
                answer = "y" if "[y/N]" in text.splitlines()[-1] else "correct horse battery staple"
            os.write(terminal, answer.encode() + b"\n")
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return {"said": said.decode("utf-8", "replace").replace("\r\n", "\n"), "exit": code}


def main():
    work = sys.argv[1]
    results = [run(step, work) for step in json.load(sys.stdin)]
    json.dump(results, sys.stdout)


main()
