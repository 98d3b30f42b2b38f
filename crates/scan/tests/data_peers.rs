//! Files of data that others write, read beside those who wrote them.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail like one")]

mod looking;

use std::io::Cursor;

use consign_metadata::{FileFormat, sniff};
use consign_scan::data_facts;
use looking::python;
use serde_json::{Value, json};

#[test]
fn field_c5_netcdf_of_scipy_is_read_as_scipy_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("netcdf");
    let read = python("make_netcdf.py", &[&out]);
    assert_eq!(read.lines().count(), 24);
    for line in read.lines() {
        let theirs: Value = serde_json::from_str(line).unwrap();
        let name = theirs["name"].as_str().unwrap();
        let bytes = std::fs::read(out.join(name)).unwrap();
        let size = u64::try_from(bytes.len()).unwrap();
        assert_eq!(sniff(&bytes, size, name), FileFormat::Netcdf, "{name}");
        let mut budget = 0;
        let facts = data_facts(&mut Cursor::new(&bytes), size, FileFormat::Netcdf, &mut budget, &|| false);
        let facts = facts.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        assert_eq!(json!(facts.records), theirs["records"], "{name}");
        assert_eq!(facts.dimensions[1], ("lat".to_owned(), theirs["lat"].as_u64().unwrap()), "{name}");
        let variables: Vec<_> =
            facts.variables.iter().map(|v| json!([v.name, v.unit, v.dimensions])).collect();
        assert_eq!(json!(variables), theirs["variables"], "{name}");
        // A file that lost its last record is not whole.
        if facts.records.is_some_and(|records| records > 1) && !facts.variables[2..].is_empty() {
            let short = &bytes[..bytes.len() - 8];
            let size = size - 8;
            let fault = data_facts(&mut Cursor::new(short), size, FileFormat::Netcdf, &mut budget, &|| false);
            assert!(fault.is_err(), "{name}");
        }
    }
}
