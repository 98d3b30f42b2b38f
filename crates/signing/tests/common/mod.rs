//! Running the real tools. They are required: a test that cannot run them fails.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;
use std::process::Command;

use consign_signing::{Passphrase, PrivateKey, PrivateKeyError, SignedStatement, Signer as _, Statement};

/// Runs a tool in `dir`; gives its standard output, or its standard error if it failed.
pub(crate) fn try_run(dir: &Path, tool: &str, args: &[&str]) -> Result<String, String> {
    let output = Command::new(tool).args(args).current_dir(dir).output();
    let output = output.unwrap_or_else(|e| panic!("these tests need `{tool}`: {e}"));
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// The same, where failure is a failed test.
pub(crate) fn run(dir: &Path, tool: &str, args: &[&str]) -> String {
    try_run(dir, tool, args).unwrap_or_else(|e| panic!("{tool} {args:?}: {e}"))
}

pub(crate) fn parse(text: &[u8], passphrase: &str) -> Result<PrivateKey, PrivateKeyError> {
    PrivateKey::parse(text, &mut |_| Ok(Passphrase::from_line(passphrase.as_bytes()).ok()))
}

pub(crate) fn read(path: &Path, passphrase: &str) -> Result<PrivateKey, PrivateKeyError> {
    parse(&std::fs::read(path).expect("the tool wrote the file"), passphrase)
}

/// The example statement, signed by that key.
pub(crate) fn sign(key: &PrivateKey) -> SignedStatement {
    let mut statement =
        Statement::parse(include_bytes!("../data/statement.json")).expect("the example is valid");
    statement.signer.public_key = *key.public_key();
    SignedStatement::sign(key, &statement).expect("the example can be signed")
}
