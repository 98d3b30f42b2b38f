//! Patterns of files that stay out of a bundle.

use crate::text::{TextError, check_line, text_type};

fn check_pattern(text: &str) -> Result<(), TextError> {
    check_line(text)?;
    if text.starts_with('!') {
        return Err(TextError(format!(
            "`{}` begins with `!`: patterns only exclude, and none takes another back",
            crate::unicode::excerpt(text)
        )));
    }
    Ok(())
}

text_type! {
    /// A glob pattern of paths that are not packed, such as `*.log` or `checkpoints/**`: one line, no negation.
    ///
    /// What it matches is decided where directories are read.
    ExcludePattern, TextError, check_pattern,
    schema: {
        "type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[^!]",
        "description": "A glob pattern, such as `*.log` or `checkpoints/**`.",
        "examples": ["*.log", "checkpoints/**", ".git"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_do_not_negate() {
        assert!("a/**/[!b]*.log".parse::<ExcludePattern>().is_ok());
        for bad in ["", "!x", " x", "a\nb"] {
            assert!(bad.parse::<ExcludePattern>().is_err(), "{bad:?}");
        }
    }
}
