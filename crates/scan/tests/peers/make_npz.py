"""Writes an archive of arrays, some of them of objects, as `numpy.savez` does it, into the file given."""

import sys

import numpy as np

objects = np.array([{"a": 1}, None, "x"], dtype=object)
np.savez(sys.argv[1], first=objects, numbers=np.arange(3), last=objects)
