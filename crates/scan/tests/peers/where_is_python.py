"""Prints where the standard library lies."""

import sysconfig

print(sysconfig.get_path("stdlib"))
