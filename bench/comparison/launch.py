"""Starts a command, waits for it, and prints what it took: wall, user and system seconds, and bytes of peak memory.

A process of its own, and a small one: Linux counts the memory of whoever starts a program into that program's peak.
The last number is how much that is here.
"""

import os
import sys
import time

nowhere = [(os.POSIX_SPAWN_OPEN, descriptor, "/dev/null", os.O_RDWR, 0) for descriptor in (0, 1)]
start = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=nowhere)
_, status, usage = os.wait4(child, 0)
wall = time.perf_counter() - start
with open("/proc/self/status") as lines:
    [least] = (int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
print(wall, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024, least * 1024)
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
