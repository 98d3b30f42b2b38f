//! Patterns of files that stay out of a bundle.

use crate::text::{TextError, check_line, text_type};
use crate::unicode::excerpt;

/// What begins a line of `.gitignore` that is no plain pattern, and why it has no place here. Taken literally in silence,
/// it would leave nothing out, and what was meant to stay would be packed.
const OF_GITIGNORE: [(char, &str); 2] = [
    ('!', "patterns only leave files out, and none takes another back"),
    ('#', "comments have no place among patterns"),
];

fn check_pattern(text: &str) -> Result<(), TextError> {
    check_line(text)?;
    match OF_GITIGNORE.into_iter().find(|(mark, _)| text.starts_with(*mark)) {
        None => Ok(()),
        Some((mark, why)) => {
            let shown = excerpt(text);
            Err(TextError(format!(
                "`{shown}` begins with `{mark}`: {why}; a file that is really named so is left out with `\\{shown}`"
            )))
        }
    }
}

text_type! {
    /// A glob pattern of paths that are not packed, such as `*.log` or `checkpoints/**`: one line, neither a negation (`!`) nor a comment (`#`).
    ///
    /// What it matches is decided where directories are read.
    ExcludePattern, TextError, check_pattern,
    schema: {
        "type": "string", "minLength": 1, "maxLength": 1024, "pattern": "^[^!#]",
        "description": "A glob pattern, such as `*.log` or `checkpoints/**`.",
        "examples": ["*.log", "checkpoints/**", ".git"]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_c8_patterns_neither_negate_nor_comment() {
        for good in ["a/**/[!b]*.log", "\\!x", "\\#x", "a#b", "*!", "[#]x"] {
            assert!(good.parse::<ExcludePattern>().is_ok(), "{good}");
        }
        let error = "#x".parse::<ExcludePattern>().unwrap_err().to_string();
        assert!(error.ends_with("left out with `\\#x`"), "{error}");
        for bad in ["", "!x", "#x", "# x", "#", "!", " x", "a\nb"] {
            assert!(bad.parse::<ExcludePattern>().is_err(), "{bad:?}");
        }
    }
}
