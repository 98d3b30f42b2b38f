"""Writes an archive into the first path: `version` and `data.pkl` of the folder given second, below `archive/`.

The third argument says whether the pickle is compressed: `yes` or `no`.
"""

import pathlib
import sys
import zipfile

folder = pathlib.Path(sys.argv[2])
how = zipfile.ZIP_DEFLATED if sys.argv[3] == "yes" else zipfile.ZIP_STORED
with zipfile.ZipFile(sys.argv[1], "w") as archive:
    archive.writestr("archive/version", (folder / "version").read_bytes())
    archive.writestr("archive/data.pkl", (folder / "data.pkl").read_bytes(), how)
