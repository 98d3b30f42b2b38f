//! Trust files with one fault each, and the exact code and line that it is refused with.
//!
//! Each file in `tests/vectors/trust/` begins with `# expect CODE LINE` for each problem.

use std::fs;
use std::path::Path;

use consign_signing::TrustPolicy;

/// Checks the vectors whose names begin so; gives how many there are.
fn check(prefix: &str) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/trust");
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)) {
            continue;
        }
        let text = fs::read_to_string(&path).expect("it can be read");
        let expected: Vec<(String, usize)> = text
            .lines()
            .map_while(|line| line.strip_prefix("# expect "))
            .map(|line| line.split_once(' ').expect("a code and a line"))
            .map(|(code, line)| (code.to_owned(), line.parse().expect("a number")))
            .collect();
        assert!(!expected.is_empty(), "{} expects nothing", path.display());
        let problems = TrustPolicy::parse(&text).expect_err("it is faulty");
        let found: Vec<_> =
            problems.iter().map(|problem| (problem.code.to_owned(), problem.line.unwrap_or(0))).collect();
        assert_eq!(found, expected, "{}: {problems:?}", path.display());
        seen += 1;
    }
    seen
}

#[test]
fn each_fault_is_refused_with_its_code_and_line() {
    assert!(check("") >= 40);
}

#[test]
fn e7_one_key_has_one_name() {
    assert_eq!(check("e07-"), 4);
}

#[test]
fn e8_a_threshold_of_none_is_refused() {
    assert_eq!(check("e08-"), 8);
}

#[test]
fn e20_e21_e22_fields_stand_once_are_known_and_spelled_right() {
    assert_eq!([check("e20-"), check("e21-"), check("e22-")], [1; 3]);
}

#[test]
fn e23_numbers_are_whole() {
    assert_eq!(check("e23-"), 1);
}

/// What `docs/trust.md` shows is what the parser takes.
#[test]
fn the_documented_file_is_well_formed() {
    let page = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/trust.md"));
    let (_, rest) = page.split_once("```toml\n").expect("it shows a file");
    let (text, _) = rest.split_once("```").expect("the block ends");
    let policy = TrustPolicy::parse(text).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!((policy.keys().len(), policy.rules().len(), policy.version()), (1, 1, Some(3)));
    assert_eq!(TrustPolicy::parse(&policy.to_toml()), Ok(policy));
}
