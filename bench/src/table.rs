//! Numbers as text: a table of measurements.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use rand::{RngExt, SeedableRng};
use rand_distr::StandardNormal;
use rand_xorshift::XorShiftRng;

const SENSORS: usize = 16;

pub(crate) fn write(folder: &Path, bytes: u64) -> anyhow::Result<()> {
    let mut rng = XorShiftRng::seed_from_u64(3);
    let mut out = BufWriter::new(File::create(folder.join("measurements.csv"))?);
    let header = "row,seconds,sensor,temperature,pressure,x,y,z,label\n";
    out.write_all(header.as_bytes())?;
    let mut written = header.len() as u64;
    // Slow quantities wander; the others are independent from row to row.
    let mut state = [(20.0f64, 1013.0f64); SENSORS];
    let mut row = 0u64;
    while written < bytes {
        let sensor = rng.random_range(0..SENSORS);
        let mut normal = || rng.sample::<f64, _>(StandardNormal);
        let (temperature, pressure) = &mut state[sensor];
        *temperature += 0.02 * normal();
        *pressure += 0.05 * normal();
        let (x, y, z) = (normal(), normal(), 9.81 + 0.1 * normal());
        let label = u8::from(normal() > 1.0);
        let seconds = 1_700_000_000.0 + row as f64 * 0.04;
        let line = format!(
            "{row},{seconds:.2},{sensor},{temperature:.2},{pressure:.1},{x:.6},{y:.6},{z:.6},{label}\n"
        );
        out.write_all(line.as_bytes())?;
        written += line.len() as u64;
        row += 1;
    }
    out.flush()?;
    Ok(())
}
