//! Words of commands that somebody is to paste into a shell.

/// A word for a shell: as it is where that is safe, else in single quotes.
///
/// ```
/// use consign_metadata::shell_word;
/// assert_eq!(shell_word("ada-2026"), "ada-2026");
/// assert_eq!(shell_word("a b's"), r"'a b'\''s'");
/// ```
pub fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:@%+,~".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('~') {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
