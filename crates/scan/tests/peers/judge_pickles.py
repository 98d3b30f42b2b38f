"""Prints, for each file given, what picklescan and fickling say of it: `name<TAB>picklescan<TAB>fickling`.

picklescan: `dangerous`, `suspicious`, `clean` or `error`; fickling: the name of its severity, or `error`.
"""

import io
import logging
import pathlib
import sys

from fickling.analysis import check_safety
from fickling.fickle import StackedPickle
from picklescan.scanner import SafetyLevel, scan_pickle_bytes

logging.disable(logging.CRITICAL)
for path in map(pathlib.Path, sys.argv[1:]):
    data = path.read_bytes()
    result = scan_pickle_bytes(io.BytesIO(data), str(path))
    levels = {found.safety for found in result.globals}
    if SafetyLevel.Dangerous in levels or result.issues_count > 0:
        scanned = "dangerous"
    elif result.scan_err:
        scanned = "error"
    else:
        scanned = "suspicious" if SafetyLevel.Suspicious in levels else "clean"
    try:
        worst = max((check_safety(one).severity for one in StackedPickle.load(data)), default=None)
        fickled = worst.name if worst else "error"
    except Exception:
        fickled = "error"
    print(path.name, scanned, fickled, sep="\t")
