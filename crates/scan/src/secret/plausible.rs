//! Whether a text can be a secret at all: not a placeholder, not a name, not a path, and random enough.

/// Parts of texts that stand where a secret is to be put.
const PLACEHOLDERS: [&[u8]; 30] = [
    b"change",
    b"example",
    b"placeholder",
    b"your",
    b"dummy",
    b"replace",
    b"insert",
    b"todo",
    b"fixme",
    b"redacted",
    b"removed",
    b"hidden",
    b"xxx",
    b"***",
    b"...",
    b"\xe2\x80\xa6",
    b"<",
    b">",
    b"{",
    b"}",
    b"$(",
    b"%(",
    b"%s",
    b"foobar",
    b"fake",
    b"sample",
    b"notreal",
    b"undefined",
    b"goes_here",
    b"goes-here",
];

/// Words that are no secret where they stand alone.
const WORDS: [&[u8]; 36] = [
    b"password",
    b"passwd",
    b"pass",
    b"pwd",
    b"secret",
    b"token",
    b"key",
    b"apikey",
    b"api_key",
    b"none",
    b"null",
    b"nil",
    b"true",
    b"false",
    b"string",
    b"str",
    b"text",
    b"test",
    b"testing",
    b"admin",
    b"root",
    b"user",
    b"username",
    b"optional",
    b"required",
    b"default",
    b"empty",
    b"value",
    b"bytes",
    b"int",
    b"bool",
    b"any",
    b"object",
    b"mysecret",
    b"mypassword",
    b"passphrase",
];

/// Beginnings of references to a secret that is kept elsewhere.
const REFERENCES: [&[u8]; 16] = [
    b"env:",
    b"file:",
    b"vault:",
    b"op://",
    b"ssm:",
    b"ref+",
    b"arn:",
    b"enc[",
    b"sha256:",
    b"sha256-",
    b"sha384-",
    b"sha512-",
    b"sha512:",
    b"sha1-",
    b"base64:",
    b"secretref",
];

/// Whether something with the shape of a token is an example. Of what is random, short words may be a part.
pub(crate) fn is_example(token: &[u8]) -> bool {
    const SHORT: usize = 5;
    let lower = token.to_ascii_lowercase();
    let holds = |part: &[u8]| memchr::memmem::find(&lower, part).is_some();
    let sure = |part: &&&[u8]| part.len() >= SHORT || !part.iter().all(u8::is_ascii_alphabetic);
    holds(b"xxxx") || PLACEHOLDERS.iter().filter(sure).any(|part| holds(part)) || is_monotonous(&lower)
}

/// Whether it stands for a secret that is to be put there, or is kept elsewhere.
pub(crate) fn is_placeholder(value: &[u8]) -> bool {
    if is_algorithm(value) || is_timestamp(value) {
        return true;
    }
    let lower = value.to_ascii_lowercase();
    let holds = |part: &[u8]| memchr::memmem::find(&lower, part).is_some();
    let word = lower.trim_ascii_end();
    let stem = word.trim_ascii_start();
    let digits = stem.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    // `test1` is `test`; `admin123` is a password that somebody chose.
    let stem = if digits <= 1 { &stem[..stem.len() - digits] } else { stem };
    WORDS.contains(&stem)
        || PLACEHOLDERS.iter().any(|part| holds(part))
        || is_reference(value)
        || is_monotonous(&lower)
}

/// Whether it says where a secret is kept, or what its digest is.
pub(crate) fn is_reference(value: &[u8]) -> bool {
    let lower = value[..value.len().min(16)].to_ascii_lowercase();
    REFERENCES.iter().any(|reference| lower.starts_with(reference)) || is_variable(value)
}

/// `$VAR`, `%VAR%`, `@VAR@`.
fn is_variable(value: &[u8]) -> bool {
    let name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    match value {
        [b'$', first, ..] if first.is_ascii_alphabetic() || *first == b'_' => value[1..].iter().all(name),
        [b'%', rest @ .., b'%'] | [b'@', rest @ .., b'@'] => rest.iter().all(name),
        _ => false,
    }
}

/// The same few characters again and again, or the alphabet.
fn is_monotonous(lower: &[u8]) -> bool {
    const SEQUENCES: [&[u8]; 3] = [
        b"01234567890123456789012345678901234567890123456789",
        b"0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz",
        b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
    ];
    let distinct = lower.iter().fold([0u64; 4], |mut seen, &byte| {
        seen[usize::from(byte >> 6)] |= 1 << (byte & 63);
        seen
    });
    if distinct.iter().map(|bits| bits.count_ones()).sum::<u32>() <= 3 {
        return true;
    }
    let repeats = |period: usize| lower.iter().zip(&lower[period..]).all(|(a, b)| a == b);
    (1..=6).any(|period| lower.len() >= 2 * period + 2 && repeats(period))
        || (lower.len() >= 6 && SEQUENCES.iter().any(|s| memchr::memmem::find(s, lower).is_some()))
}

/// Shannon entropy, in bits a character.
pub(crate) fn entropy(value: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    value.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
    let len = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX).max(1));
    counts
        .iter()
        .filter(|&&count| count > 0)
        .map(|&count| f64::from(count) / len)
        .map(|share| -share * share.log2())
        .sum()
}

/// Words and short numbers, put together with `_`, `-`, `.` and the like: an identifier, not a secret.
pub(crate) fn is_words(value: &[u8]) -> bool {
    let mut parts = 0;
    let all = value.split(|byte| b"_-.:/ =+@,".contains(byte)).filter(|part| !part.is_empty()).all(|part| {
        parts += 1;
        let digits = part.iter().filter(|byte| byte.is_ascii_digit()).count();
        let inner_upper = part.iter().skip(1).filter(|byte| byte.is_ascii_uppercase()).count();
        let letters = part.iter().all(u8::is_ascii_alphabetic);
        // Capitalised word by word, as identifiers are: what is random changes its case at every other letter.
        let joined = letters && inner_upper > 0 && (inner_upper + 1) * 4 <= part.len();
        let word = letters && (part.len() <= 14 || joined);
        // Of one case, or capitalised word by word.
        let cased = inner_upper == 0 || inner_upper + 1 >= part.len() || inner_upper * 4 <= part.len();
        let numbered = digits <= 4 && part.len() <= 12 && {
            let letters = part.len() - digits;
            // Digits at one end only: `v2`, `layer12`, `2024`.
            part[..letters].iter().all(u8::is_ascii_alphabetic)
                || part[digits..].iter().all(u8::is_ascii_alphabetic)
        };
        (word && cased) || numbered
    });
    all && parts >= 2 || (parts == 1 && value.iter().all(u8::is_ascii_alphabetic))
}

/// A path, an address, the name of a file.
pub(crate) fn is_place(value: &[u8]) -> bool {
    const BEGINS: [&[u8]; 9] =
        [b"./", b"../", b"~/", b"http://", b"https://", b"s3://", b"gs://", b"/run/", b"/etc/"];
    const ENDS: [&[u8]; 14] = [
        b".json", b".txt", b".pem", b".key", b".yaml", b".yml", b".py", b".crt", b".pub", b".env", b".toml",
        b".com", b".html", b".js",
    ];
    let slashes = value.iter().filter(|&&byte| byte == b'/').count();
    BEGINS.iter().any(|begin| value.starts_with(begin))
        || ENDS.iter().any(|end| value.ends_with(end))
        || (value.starts_with(b"/")
            && slashes >= 2
            && value.iter().all(|b| !b"+=".contains(b))
            && is_words(value))
}

/// Whether it is as random as generated keys are.
pub(crate) fn is_random(value: &[u8]) -> bool {
    let of_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=_-.~:%$!*@#^&?".contains(byte);
    if value.len() < 16 || !value.iter().all(of_key) || is_words(value) || is_place(value) {
        return false;
    }
    let count = |of: fn(&u8) -> bool| value.iter().filter(|byte| of(byte)).count();
    let (digits, letters) = (count(u8::is_ascii_digit), count(u8::is_ascii_alphabetic));
    if count(|byte| byte.is_ascii_hexdigit() || *byte == b'-') == value.len() {
        // Numbers with separators have no letters.
        return letters >= 2 && entropy(value) >= 2.8;
    }
    let mixed = value.len() >= 32
        && count(u8::is_ascii_uppercase) >= 6
        && count(u8::is_ascii_lowercase) >= 6
        && entropy(value) >= 4.2;
    mixed || (digits >= 2 && letters >= 4 && entropy(value) >= 3.3)
}

/// Whether it is what people take for a password.
pub(crate) fn is_password(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let names = |word: &[u8]| memchr::memmem::find(&lower, word).is_some();
    // What holds the word is a name or a prompt; `P@ssw0rd` does not.
    if names(b"password") || names(b"passwd") || names(b"secret") || names(b"token") {
        return false;
    }
    let symbol = |byte: &u8| b"!@#$%^&*+~?=".contains(byte);
    let inner = value.get(..value.len().saturating_sub(1)).unwrap_or_default();
    let letters = value.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let symbols = inner.iter().filter(|byte| symbol(byte)).count();
    let parts = value.split(|byte| b"_-./:".contains(byte)).filter(|part| !part.is_empty()).count();
    (6..=128).contains(&value.len())
        && letters >= 2
        && (digits > 0 || symbols > 0)
        && value.iter().all(|byte| byte.is_ascii_graphic() || *byte >= 0x80)
        && !is_place(value)
        && (parts < 2 || !is_words(value))
}

/// The name of an algorithm or curve, which has digits as a password has.
fn is_algorithm(value: &[u8]) -> bool {
    const NAMES: [&str; 18] = [
        "ed25519",
        "ed448",
        "x25519",
        "x448",
        "curve25519",
        "secp256k1",
        "secp256r1",
        "secp384r1",
        "sha1",
        "sha256",
        "sha384",
        "sha512",
        "hs256",
        "hs512",
        "rs256",
        "es256",
        "pbkdf2",
        "base64",
    ];
    NAMES.iter().any(|name| value.eq_ignore_ascii_case(name.as_bytes()))
}

/// A day, as RFC 3339 begins.
fn is_timestamp(value: &[u8]) -> bool {
    value.len() >= 10
        && value[..10].iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_apart() {
        for placeholder in [
            "changeme",
            "CHANGE_ME",
            "<your-key>",
            "${VAR}",
            "$VAR",
            "xxxxxxxx",
            "aaaaaaaaaaaa",
            "abcdefghijklmnop",
            "1234567890",
            "%PASSWORD%",
            "{{ token }}",
            "AKIAIOSFODNN7EXAMPLE",
            "********",
            "password1",
            "abcabcabcabc",
            "0123456789abcdef0123456789abcdef",
            "env:TOKEN",
            "None",
            "...",
        ] {
            assert!(is_placeholder(placeholder.as_bytes()), "{placeholder}");
        }
        for real in ["hunter22", "admin123", "tr0ub4dor&3", "$2b$12$abcdEFGHijkl", "Zq9fLm2Xw8Rt5Yb1"] {
            assert!(!is_placeholder(real.as_bytes()), "{real}");
        }
    }

    #[test]
    fn names_are_not_random() {
        for name in [
            "get_access_token_from_store",
            "my-service-account-2",
            "com.example.service.v2",
            "PyPreTrainedTokenizerFast",
            "2024-01-01T00:00:00",
            "1234567890123456",
            "/var/lib/service/data",
            "config/production/main.yaml",
            "aaaaaaaaaaaaaaaaaaaaaaaa",
        ] {
            assert!(!is_random(name.as_bytes()), "{name}");
        }
        for key in [
            "Zq9fLm2Xw8Rt5Yb1",
            "9f86d081884c7d65",
            "b3d1c2f4-7a58-4e9b-8c1d-0f6e2a9b7c35",
            "k3yB/9+aZ0qL5rT2==",
        ] {
            assert!(is_random(key.as_bytes()), "{key}");
        }
    }

    #[test]
    fn passwords_are_chosen_by_people() {
        for password in ["hunter2", "Passw0rd!", "tr0ub4dor&3", "admin123", "s3cr3t"] {
            assert!(is_password(password.as_bytes()), "{password}");
        }
        for other in
            ["Passwort", "my_password_1", "12345678", "input", "a-service-1", "./file1", "Enter password:"]
        {
            assert!(!is_password(other.as_bytes()), "{other}");
        }
    }
}
