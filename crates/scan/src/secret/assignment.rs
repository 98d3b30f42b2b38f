//! A name that speaks of a secret, and the value that it is given: in code, configuration, JSON, XML, addresses and
//! command lines.

use std::ops::Range;

use super::tokens::Keyword;

/// Longest name, to either side of the keyword.
const NAME_MAX: usize = 64;
/// Longest value.
const VALUE_MAX: usize = 512;
/// Most white space around a separator.
const SPACE_MAX: usize = 24;

/// A value that is given to a name.
pub(crate) struct Assignment {
    pub(crate) name: Range<usize>,
    pub(crate) value: Range<usize>,
    /// Whether the value is a text in quotes, and not perhaps an expression.
    pub(crate) quoted: bool,
}

/// Last words of names that speak *about* a secret: `token_id`, `password_hash`, `secretName`.
const ABOUT: [&[u8]; 88] = [
    b"mgr",
    b"realm",
    b"used",
    b"changed",
    b"updated",
    b"created",
    b"at",
    b"date",
    b"time",
    b"id",
    b"ids",
    b"name",
    b"names",
    b"url",
    b"uri",
    b"path",
    b"file",
    b"filename",
    b"dir",
    b"type",
    b"types",
    b"count",
    b"counts",
    b"len",
    b"length",
    b"max",
    b"min",
    b"index",
    b"idx",
    b"hash",
    b"hashes",
    b"digest",
    b"sha",
    b"env",
    b"var",
    b"arn",
    b"field",
    b"label",
    b"regex",
    b"pattern",
    b"policy",
    b"expiry",
    b"expires",
    b"ttl",
    b"expiration",
    b"encoding",
    b"format",
    b"algorithm",
    b"alg",
    b"hint",
    b"prompt",
    b"reset",
    b"strength",
    b"rules",
    b"manager",
    b"provider",
    b"store",
    b"size",
    b"version",
    b"status",
    b"enabled",
    b"required",
    b"input",
    b"form",
    b"page",
    b"view",
    b"error",
    b"message",
    b"msg",
    b"placeholder",
    b"description",
    b"title",
    b"endpoint",
    b"header",
    b"param",
    b"parameter",
    b"prefix",
    b"suffix",
    b"charset",
    b"alphabet",
    b"lifetime",
    b"timeout",
    b"limit",
    b"usage",
    b"ref",
    b"class",
    b"method",
    b"fingerprint",
];

/// Words before the keyword that make it something else: `pad_token`, `next_page_token`, `public_key`.
const OTHER: [&[u8]; 38] = [
    b"client",
    b"request",
    b"action",
    b"change",
    b"starting",
    b"update",
    b"previous",
    b"next",
    b"page",
    b"continuation",
    b"pad",
    b"eos",
    b"bos",
    b"unk",
    b"cls",
    b"sep",
    b"mask",
    b"csrf",
    b"xsrf",
    b"public",
    b"primary",
    b"foreign",
    b"sort",
    b"cache",
    b"partition",
    b"idempotency",
    b"lookup",
    b"num",
    b"max",
    b"total",
    b"image",
    b"special",
    b"added",
    b"speculative",
    b"sync",
    b"resume",
    b"cursor",
    b"upload",
];

/// Words before `key` that make it a secret one.
const SECRET_KEYS: [&[u8]; 36] = [
    b"api",
    b"access",
    b"secret",
    b"private",
    b"auth",
    b"encryption",
    b"encrypt",
    b"decryption",
    b"signing",
    b"master",
    b"account",
    b"storage",
    b"service",
    b"client",
    b"license",
    b"ssh",
    b"deploy",
    b"consumer",
    b"admin",
    b"shared",
    b"function",
    b"host",
    b"functions",
    b"subscription",
    b"webhook",
    b"hmac",
    b"aes",
    b"jwt",
    b"session",
    b"server",
    b"bot",
    b"write",
    b"ingest",
    b"maps",
    b"app",
    b"secure",
];

/// Letters and digits of a name, and what joins its words.
fn of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.".contains(&byte)
}

/// The words of a name, in lower case: of `spring.datasource.dbPassword_2` they are `spring`, `datasource`, `db`,
/// `password`, `2`.
fn words(name: &[u8]) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> = vec![Vec::new()];
    let mut before = b'_';
    for &byte in name {
        let begins = (byte.is_ascii_uppercase() && before.is_ascii_lowercase())
            || (byte.is_ascii_digit() != before.is_ascii_digit());
        if !byte.is_ascii_alphanumeric() || begins {
            words.push(Vec::new());
        }
        if byte.is_ascii_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.push(byte.to_ascii_lowercase());
        }
        before = byte;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Whether a name that holds a keyword names a secret.
pub(crate) fn names_a_secret(name: &[u8], keyword: Keyword) -> bool {
    let words = words(name);
    let is = |word: &Vec<u8>, list: &[&[u8]]| list.contains(&word.as_slice());
    let about = |word: &Vec<u8>| !word.iter().all(u8::is_ascii_digit) && is(word, &ABOUT);
    if words.iter().rev().find(|word| !word.iter().all(u8::is_ascii_digit)).is_some_and(about) {
        return false;
    }
    match keyword {
        Keyword::Password | Keyword::Secret => true,
        Keyword::Token => {
            // `authors` and `tokenizer` hold the keyword and are other words.
            let holds = |word: &Vec<u8>| {
                let word = word.strip_suffix(b"s").unwrap_or(word);
                [
                    &b"token"[..],
                    b"auth",
                    b"authtoken",
                    b"accesstoken",
                    b"credential",
                    b"authorization",
                    b"apitoken",
                ]
                .contains(&word)
            };
            let at = words.iter().rposition(holds);
            // Of the name of an assembly: `publicKeyToken`.
            !words.iter().any(|word| word == b"public")
                && at.is_some_and(|at| at == 0 || !is(&words[at - 1], &OTHER))
        }
        Keyword::Key => {
            if words.iter().any(|word| word.ends_with(b"apikey") || word.ends_with(b"accesskey")) {
                return true;
            }
            let at = words.iter().rposition(|word| word == b"key" || word == b"keys");
            at.is_some_and(|at| at > 0 && is(&words[at - 1], &SECRET_KEYS))
        }
    }
}

/// Whether this may be what is left of a word: `ord`, `phrases`, nothing.
fn is_end_of_word(rest: &[u8]) -> bool {
    rest.len() <= 7 && rest.iter().all(u8::is_ascii_lowercase)
}

/// The assignment whose name holds the keyword at `at`.
pub(crate) fn parse(bytes: &[u8], at: usize, keyword: usize) -> Option<Assignment> {
    let start = bytes[..at].iter().rev().take(NAME_MAX).take_while(|&&byte| of_name(byte)).count();
    let rest = bytes[at + keyword..].iter().take(NAME_MAX);
    // A dot behind it asks something of it: `token.strip()`.
    let end = at + keyword + rest.take_while(|&&byte| of_name(byte) && byte != b'.').count();
    let start = at - start;
    let mut i = end;
    let peek = |i: usize| bytes.get(i).copied().unwrap_or(0);
    let skip_space = |mut i: usize| {
        let stop = i + SPACE_MAX;
        while i < stop && matches!(peek(i), b' ' | b'\t') {
            i += 1;
        }
        i
    };
    // What closes the name: `"password"`, `["password"]`, `\"password\"`.
    while peek(i) == b'\\' && i < end + 4 {
        i += 1;
    }
    let name_in_quotes = matches!(peek(i), b'"' | b'\'' | b'`');
    if name_in_quotes {
        i += 1;
    } else if i > end {
        return None;
    }
    if peek(i) == b']' {
        i += 1;
    }
    let spaced = skip_space(i);
    // `AWS::IAM::AccessKey` is the name of a type.
    if bytes[..start].ends_with(b"::") {
        return None;
    }
    let option = bytes[start..end].starts_with(b"--");
    let before = start.checked_sub(1).map_or(0, peek);
    match peek(spaced) {
        b'=' => {
            i = spaced + 1;
            // `==`, `=>`
            while matches!(peek(i), b'=' | b'>') && i < spaced + 3 {
                i += 1;
            }
        }
        b':' => {
            i = spaced + 1;
            if peek(i) == b'=' {
                i += 1;
            } else if let Some(equals) = after_type(bytes, i) {
                i = equals;
            }
        }
        // One argument behind another is its value only if nothing but the rest of the word follows in its name:
        // `"password", "…"`, and not `"HTTPPasswordMgr", "urllib2"`.
        b',' if name_in_quotes && is_end_of_word(&bytes[at + keyword..end]) => i = spaced + 1,
        b'>' if before == b'<' && spaced == end => {
            return unquoted(bytes, spaced + 1, start..end);
        }
        _ if option && spaced > end => i = spaced,
        _ => return None,
    }
    i = skip_space(i);
    if b"bfruBFRUL@".contains(&peek(i)) && matches!(peek(i + 1), b'"' | b'\'') {
        i += 1;
    }
    let mut slashes = i;
    while peek(slashes) == b'\\' && slashes < i + 3 {
        slashes += 1;
    }
    let quote = peek(slashes);
    if !matches!(quote, b'"' | b'\'' | b'`') {
        return unquoted(bytes, i, start..end);
    }
    let escaped = slashes > i;
    let mut from = slashes + 1;
    // `"""`
    if peek(from) == quote && peek(from + 1) == quote {
        from += 2;
    }
    let reach = bytes.len().min(from + VALUE_MAX);
    let mut to = from;
    loop {
        if to >= reach || matches!(bytes[to], b'\n' | b'\r') {
            return None;
        }
        if bytes[to] == quote {
            break;
        }
        to += if bytes[to] == b'\\' && !escaped { 2 } else { 1 };
    }
    let trailing = bytes[from..to].iter().rev().take_while(|&&byte| escaped && byte == b'\\').count();
    Some(Assignment { name: start..end, value: from..to - trailing, quoted: true })
}

/// Behind the `=` of `name: Type = "…"`.
fn after_type(bytes: &[u8], from: usize) -> Option<usize> {
    let window = &bytes[from..bytes.len().min(from + 48)];
    let equals = window.iter().position(|&byte| byte == b'=')?;
    let of_type = |&byte: &u8| byte.is_ascii_alphanumeric() || b" _&'<>[]|?.:".contains(&byte);
    let quote = window[equals + 1..].iter().find(|&&byte| byte != b' ')?;
    (equals > 1 && window[..equals].iter().all(of_type) && matches!(quote, b'"' | b'\''))
        .then_some(from + equals + 1)
}

fn unquoted(bytes: &[u8], from: usize, name: Range<usize>) -> Option<Assignment> {
    let of_value = |&&byte: &&u8| byte > b' ' && byte != 0x7f && !b"\"'`,;<>(){}[]|&\\".contains(&byte);
    let len = bytes[from..].iter().take(VALUE_MAX + 1).take_while(of_value).count();
    let next = bytes.get(from + len).copied().unwrap_or(b'\n');
    // A call, an index, a template: not a value as it stands.
    let whole = len > 0 && len <= VALUE_MAX && !b"({[\"'`".contains(&next);
    whole.then(|| Assignment { name, value: from..from + len, quoted: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<(&str, &str, bool)> {
        let at = text.find("passw").unwrap();
        let found = parse(text.as_bytes(), at, 5)?;
        Some((&text[found.name], &text[found.value], found.quoted))
    }

    #[test]
    fn values_are_found_however_they_are_written() {
        for (text, name, is, quoted) in [
            ("password = \"v1\"", "password", "v1", true),
            ("db.password=v1\n", "db.password", "v1", false),
            ("  \"password\": \"v1\",", "password", "v1", true),
            ("{\\\"password\\\": \\\"v1\\\"}", "password", "v1", true),
            ("config['password'] = 'v1'", "password", "v1", true),
            ("<password>v1</password>", "password", "v1", false),
            ("tool --db-password v1 --x", "--db-password", "v1", false),
            ("'password' => 'v1'", "password", "v1", true),
            ("password := `v1`", "password", "v1", true),
            ("password: str = \"v1\"", "password", "v1", true),
            ("const char *password = L\"v1\"", "password", "v1", true),
            ("password: &'static str = \"v1\"", "password", "v1", true),
            ("x?user=a&password=v1&y=2", "password", "v1", false),
            ("setdefault(\"password\", \"v1\")", "password", "v1", true),
            ("password=b'v1'", "password", "v1", true),
            ("password = \"a \\\" b\"", "password", "a \\\" b", true),
        ] {
            assert_eq!(value(text), Some((name, is, quoted)), "{text}");
        }
        for text in [
            "password",
            "password of the day",
            "password.strip()",
            "password = input()",
            "password = d[\"x\"]",
            "passwords and tokens",
            "password = \"never closed\n",
            "<b>password</b>",
            "password, token",
        ] {
            assert_eq!(value(text), None, "{text}");
        }
    }

    #[test]
    fn names_say_what_they_are() {
        for (name, keyword) in [
            ("OPENAI_API_KEY", Keyword::Key),
            ("x-api-key", Keyword::Key),
            ("apikey", Keyword::Key),
            ("awsSecretAccessKey", Keyword::Secret),
            ("github_token", Keyword::Token),
            ("authToken", Keyword::Token),
            ("AccountKey", Keyword::Key),
            ("db_password_2", Keyword::Password),
        ] {
            assert!(names_a_secret(name.as_bytes(), keyword), "{name}");
        }
        for (name, keyword) in [
            ("public_key", Keyword::Key),
            ("primary_key", Keyword::Key),
            ("keyboard", Keyword::Key),
            ("tokenizer", Keyword::Token),
            ("pad_token", Keyword::Token),
            ("pad_token_id", Keyword::Token),
            ("next_page_token", Keyword::Token),
            ("max_tokens", Keyword::Token),
            ("authors", Keyword::Token),
            ("password_hash", Keyword::Password),
            ("secretName", Keyword::Secret),
        ] {
            assert!(!names_a_secret(name.as_bytes(), keyword), "{name}");
        }
    }
}
