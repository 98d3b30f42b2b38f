//! The environment: a variable that is set to nothing, as pipelines and `compose` files set those that nobody filled in,
//! is one that is not set.

use std::ffi::OsString;

/// The value of a variable, if it is set to something.
pub fn get(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
