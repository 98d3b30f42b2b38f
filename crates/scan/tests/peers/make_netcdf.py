"""Writes classic NetCDF files into a folder, and prints what scipy reads in them: one line of JSON each."""

import json
import sys
from pathlib import Path

import numpy as np
from scipy.io import netcdf_file

out = Path(sys.argv[1])
out.mkdir()


def write(name, version, records, record_variables, mmap=False):
    with netcdf_file(out / name, "w", version=version) as f:
        f.title = "A test of consign"
        f.createDimension("time", None)
        f.createDimension("lat", 3)
        f.createDimension("lon", 5)
        lat = f.createVariable("lat", "f4", ("lat",))
        lat[:] = np.arange(3)
        lat.units = "degrees_north"
        scalar = f.createVariable("crs", "i4", ())
        scalar.grid_mapping_name = "latitude_longitude"
        for n, dtype in enumerate(["f8", "i2", "i1", "S1", "i4"][:record_variables]):
            v = f.createVariable(f"v{n}", dtype, ("time", "lat", "lon") if n % 2 else ("time",))
            v.units = "K"
            v.long_name = f"variable {n}"
            for r in range(records):
                v[r] = b"x" if dtype == "S1" else r


for version in (1, 2):
    for records in (0, 1, 7):
        for variables in (0, 1, 2, 5):
            write(f"{version}-{records}-{variables}.nc", version, records, variables)

for path in sorted(out.iterdir()):
    with netcdf_file(path, "r", mmap=False) as f:
        records = max((v.shape[0] for v in f.variables.values() if v.dimensions[:1] == ("time",)), default=0)
        text = lambda value: value.decode() if isinstance(value, bytes) else value
        print(json.dumps({
            "name": path.name,
            "records": records,
            "lat": f.dimensions["lat"],
            "variables": [[name, text(getattr(v, "units", None)), list(v.dimensions)] for name, v in f.variables.items()],
        }))
