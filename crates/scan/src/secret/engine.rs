//! All rules for secrets, put together once.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use consign_metadata::{Line, RuleId};
use regex::bytes::{Regex, RegexBuilder};

use super::assignment::{self, names_a_secret};
use super::literals::Literals;
use super::mask::{hidden, masked};
use super::plausible::{is_example, is_password, is_placeholder, is_random, is_reference, is_words};
use super::tokens::{ANYWHERE, Check, KEYWORDS, Keyword, RUN_MIN, TOKENS, TOLD, Token};
use crate::blocks::{HIGH, at_least, word};

/// No rule looks further than this behind the place where a literal begins.
pub(crate) const AHEAD: usize = 4608;
/// And no further than this before it.
pub(crate) const BEHIND: usize = 512;

/// What the text is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Context {
    /// Source code, where what stands without quotes is an expression.
    pub(crate) code: bool,
    /// Binary content, where texts stand side by side without anything between them, as in a database.
    pub(crate) glued: bool,
}

/// Something that was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) rule: RuleId,
    /// Where it begins.
    pub(crate) at: usize,
    /// Where what it found ends.
    pub(crate) end: usize,
    pub(crate) excerpt: Option<Line>,
}

/// The rules for secrets, compiled.
pub(crate) struct Engine {
    /// [`KEYWORDS`] and, behind them, [`ANYWHERE`].
    literals: Literals,
    tokens: Vec<Compiled>,
    /// Which tokens begin with a byte, each with the byte behind it.
    by_first: Vec<Vec<(u8, u8)>>,
    /// The pairs of bytes that tokens begin with: a bit each.
    pairs: Box<[[u64; 4]; 256]>,
    password: Option<RuleId>,
    high_entropy: Option<RuleId>,
    aws_secret: Option<RuleId>,
    azure: Option<RuleId>,
    twilio: Option<RuleId>,
}

struct Compiled {
    token: &'static Token,
    rule: RuleId,
    regex: Regex,
}

/// The rule of that name. All names are constants that tests try.
pub(crate) fn rule(name: &str) -> Option<RuleId> {
    format!("secret/{name}").parse().ok()
}

impl Engine {
    pub(crate) fn new() -> Self {
        let compile = |token: &'static Token| {
            let regex = RegexBuilder::new(&format!("^(?:{})", token.pattern)).unicode(false).build().ok()?;
            Some(Compiled { token, rule: rule(token.rule)?, regex })
        };
        let tokens: Vec<Compiled> = TOKENS.iter().filter_map(compile).collect();
        let mut by_first = vec![Vec::new(); 256];
        let mut pairs = Box::new([[0; 4]; 256]);
        for (n, one) in (0u8..).zip(&tokens) {
            for literal in one.token.literals {
                if let [first, second, ..] = literal.as_bytes() {
                    pairs[usize::from(*first)][usize::from(second >> 6)] |= 1 << (second & 63);
                    let first: &mut Vec<(u8, u8)> = &mut by_first[usize::from(*first)];
                    if !first.contains(&(*second, n)) {
                        first.push((*second, n));
                    }
                }
            }
        }
        let texts: Vec<&str> =
            KEYWORDS.iter().map(|keyword| keyword.0).chain(ANYWHERE.iter().copied()).collect();
        Self {
            literals: Literals::new(&texts),
            tokens,
            by_first,
            pairs,
            password: rule("password"),
            high_entropy: rule("high-entropy"),
            aws_secret: rule("aws-secret-key"),
            azure: rule("azure-key"),
            twilio: rule("twilio-token"),
        }
    }

    /// All that begins in `bytes[from..to]`, each with the place that led to it, in order of these places; what
    /// stands around is looked at.
    pub(crate) fn search(
        &self,
        bytes: &[u8],
        from: usize,
        to: usize,
        context: Context,
    ) -> Vec<(usize, Match)> {
        let mut found = Vec::new();
        let mut at = from;
        while let Some((start, literal)) = self.literals.find(bytes, at, to) {
            at = start + 1;
            let window = &bytes[..bytes.len().min(start + AHEAD)];
            let one = match KEYWORDS.get(literal) {
                Some((text, keyword)) => self.assignment(window, start, text.len(), *keyword, context),
                None => self.token_at(window, start, context),
            };
            found.extend(one.map(|one| (start, one)));
        }
        runs(bytes, from, to, &mut |run| {
            for at in self.beginnings(bytes, run, context) {
                let window = &bytes[..bytes.len().min(at + AHEAD)];
                found.extend(self.token_at(window, at, context).map(|one| (at, one)));
            }
        });
        found.sort_by_key(|(lead, one)| (*lead, one.at));
        found.dedup();
        found
    }

    /// Where in a range a token can begin, by its first two bytes and what stands before it.
    fn beginnings(&self, bytes: &[u8], range: Range<usize>, context: Context) -> impl Iterator<Item = usize> {
        let pairs = bytes[range.start..bytes.len().min(range.end + 1)].windows(2).zip(range.start..);
        let known = |pair: &[u8]| {
            self.pairs[usize::from(pair[0])][usize::from(pair[1] >> 6)] >> (pair[1] & 63) & 1 != 0
        };
        pairs
            .filter(move |(pair, _)| known(pair))
            .map(|(_, at)| at)
            .filter(move |&at| context.glued || begins(bytes, at))
    }

    /// The token that begins at a place.
    fn token_at(&self, bytes: &[u8], at: usize, context: Context) -> Option<Match> {
        let here = &bytes[at..];
        let first = self.by_first.get(usize::from(*here.first()?))?;
        let next = *here.get(1)?;
        first.iter().filter(|(second, _)| *second == next).find_map(|&(_, n)| {
            let compiled = self.tokens.get(usize::from(n))?;
            let literals = compiled.token.literals.iter();
            let literal = literals.copied().find(|literal| here.starts_with(literal.as_bytes()))?;
            let apart = begins(bytes, at);
            // In the middle of other letters, only what cannot be there by chance.
            let told = compiled.token.check == Check::Plausible && TOLD.contains(&literal);
            if !apart && !told {
                return None;
            }
            compiled.fit(self, bytes, at, context)
        })
    }

    /// Whether something in the range gives itself away.
    fn holds_token(&self, bytes: &[u8], range: &Range<usize>) -> bool {
        let context = Context::default();
        self.beginnings(bytes, range.clone(), context).any(|at| self.token_at(bytes, at, context).is_some())
    }

    fn assignment(
        &self,
        bytes: &[u8],
        at: usize,
        len: usize,
        keyword: Keyword,
        context: Context,
    ) -> Option<Match> {
        let found = assignment::parse(bytes, at, len)?;
        let name = &bytes[found.name.clone()];
        let value = bytes[found.value.clone()].trim_ascii();
        // Long enough for the shortest password, before anything dear is asked.
        if value.len() < 6 || !names_a_secret(name, keyword) {
            return None;
        }
        // In one piece, and random: short words may be a part of it by chance.
        let one_piece = value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte));
        let sure = value.len() >= 24 && one_piece && is_random(value) && !is_reference(value);
        if if sure { is_example(value) } else { is_placeholder(value) } {
            return None;
        }
        // Without quotes, code has expressions, and prose goes on with a full stop.
        let value = if found.quoted { value } else { value.trim_ascii_end_matches(b".:") };
        let loose = found.quoted || !context.code;
        let secret = keyword == Keyword::Secret;
        let random = is_random(value) && (loose || is_unlike_code(value));
        let password = (keyword == Keyword::Password || secret)
            && loose
            && is_password(value)
            && (found.quoted || value.iter().any(u8::is_ascii_digit))
            && !(secret && is_words(value));
        if !(random || password) || self.holds_token(bytes, &found.value) {
            return None;
        }
        let lower = name.to_ascii_lowercase();
        let named = |part: &str| memchr::memmem::find(&lower, part.as_bytes()).is_some();
        let base64 = |len: usize| {
            value.len() == len && value.iter().all(|b| b.is_ascii_alphanumeric() || b"+/=".contains(b))
        };
        let (rule, excerpt) = if random && named("secret") && (named("aws") || named("access")) && base64(40)
        {
            (&self.aws_secret, masked(value))
        } else if random
            && named("key")
            && (named("account") || named("shared"))
            && (base64(44) || base64(88))
        {
            (&self.azure, masked(value))
        } else if random && named("twilio") {
            (&self.twilio, masked(value))
        } else if random && keyword != Keyword::Password {
            (&self.high_entropy, masked(value))
        } else {
            (&self.password, hidden(value))
        };
        Some(Match { rule: rule.clone()?, at: found.value.start, end: found.value.end, excerpt })
    }
}

impl Compiled {
    /// What stands at `at`, if it is a token of this kind.
    fn fit(&self, engine: &Engine, bytes: &[u8], at: usize, context: Context) -> Option<Match> {
        let Self { token, rule, regex } = self;
        if token.check == Check::Url && !has_password(&bytes[at..]) {
            return None;
        }
        let captures = regex.captures(&bytes[at..])?;
        let whole = captures.get(0)?.range();
        let secret = captures.get(1).map_or(whole.clone(), |group| group.range());
        let (whole, secret) = (at + whole.start..at + whole.end, at + secret.start..at + secret.end);
        let goes_on = bytes.get(whole.end).is_some_and(u8::is_ascii_alphanumeric);
        let may_go_on = matches!(token.check, Check::Url | Check::KeyMaterial | Check::EncodedKey)
            || (context.glued && token.check == Check::Plausible);
        if goes_on && !may_go_on {
            return None;
        }
        let text = &bytes[secret.clone()];
        let excerpt = match token.check {
            Check::Plausible => (!is_example(text)).then(|| masked(text))?,
            Check::Random => (!is_example(text) && is_random_token(text)).then(|| masked(text))?,
            Check::Azure => {
                let marked = matches!(bytes[..at], [.., _, _, _, b'0'..=b'9']);
                (marked && is_random_token(text)).then(|| masked(text))?
            }
            Check::Jwt => is_jwt(text).then(|| masked(text))?,
            Check::KeyMaterial => key_material(bytes, whole.end).then(|| kind_of_key(text))?,
            Check::EncodedKey => encoded_key(text)?,
            Check::Url => is_url_password(bytes, at, secret.clone()).then(|| hidden(text))?,
            Check::Basic => is_basic(text).then(|| hidden(text))?,
            Check::Bearer => {
                let plain = !is_example(text) && is_random(text) && !engine.holds_token(bytes, &secret);
                plain.then(|| masked(text))?
            }
        };
        Some(Match { rule: rule.clone(), at: whole.start, end: whole.end, excerpt })
    }
}

trait TrimEnd {
    fn trim_ascii_end_matches(&self, of: &[u8]) -> &Self;
}

impl TrimEnd for [u8] {
    fn trim_ascii_end_matches(&self, of: &[u8]) -> &Self {
        let end = self.iter().rposition(|byte| !of.contains(byte)).map_or(0, |at| at + 1);
        &self[..end]
    }
}

/// Whether a byte may stand in a token: nothing that divides words, but for what programming languages have for it.
fn of_run(byte: u8) -> bool {
    byte > b',' && byte < 0x7f || byte == b'+'
}

/// The runs of such bytes that are long enough for a token and have a part in `bytes[from..to]`: that part of each.
///
/// Thirteen bytes at every eighth place are looked at; a run that is long enough covers them at one, wherever they
/// begin.
fn runs(bytes: &[u8], from: usize, to: usize, found: &mut dyn FnMut(Range<usize>)) {
    const WORD: usize = 8;
    const COVERED: usize = RUN_MIN + 1 - WORD;
    const { assert!(COVERED > WORD && COVERED <= 2 * WORD) };
    let whole = |at: usize| {
        let word = word(&bytes[at..]);
        let comma = at_least(word, b',') & !at_least(word, b'-');
        word & HIGH == 0 && at_least(word, b'+') == HIGH && comma == 0
    };
    let mut at = from.saturating_sub(2 * WORD);
    // Most of a run may lie before the range, or behind it.
    while at < to + WORD && at + COVERED <= bytes.len() {
        if !(whole(at) && whole(at + COVERED - WORD)) {
            at += WORD;
            continue;
        }
        let low = at.saturating_sub(RUN_MIN);
        let start = at - bytes[low..at].iter().rev().take_while(|&&byte| of_run(byte)).count();
        let reach = bytes.len().min(to + RUN_MIN);
        let end = at + bytes[at..reach.max(at)].iter().take_while(|&&byte| of_run(byte)).count();
        if end - start >= RUN_MIN && end > from && start < to {
            found(start.max(from)..end.min(to));
        }
        // On from the word that holds its end.
        at = end.max(at + WORD);
    }
}

/// Whether a token can begin at a place: behind everything but letters and digits, at such a thing, behind the `n` of
/// `\n` in a text with escapes, and at the mark of a key of Azure.
fn begins(bytes: &[u8], at: usize) -> bool {
    match bytes[..at] {
        [.., b'\\', b'n' | b'r' | b't'] => true,
        [.., before] if before.is_ascii_alphanumeric() => {
            !bytes[at].is_ascii_alphanumeric() || bytes[at..].starts_with(b"Q~")
        }
        _ => true,
    }
}

/// Not a name, not a path, not an expression, without quotes to tell.
fn is_unlike_code(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    value.len() >= 20
        && digits >= 3
        && value.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
}

/// As random as a key is behind its fixed beginning; short ones have no room for much.
fn is_random_token(text: &[u8]) -> bool {
    super::plausible::entropy(text) >= 3.0 && text.iter().any(u8::is_ascii_digit) && !is_words(text)
}

fn decode(text: &[u8], alphabet: &alphabet::Alphabet) -> Option<Vec<u8>> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, lenient).decode(text).ok()
}

/// The header names its algorithm (RFC 7515, 4.1.1).
fn is_jwt(text: &[u8]) -> bool {
    let header = text.split(|&byte| byte == b'.').next().unwrap_or_default();
    let header = decode(header, &alphabet::URL_SAFE);
    header.is_some_and(|header| memchr::memmem::find(&header, b"\"alg\"").is_some())
}

/// A name, a colon, a password (RFC 7617).
fn is_basic(text: &[u8]) -> bool {
    let Some(decoded) = decode(text, &alphabet::STANDARD) else { return false };
    let mut parts = decoded.splitn(2, |&byte| byte == b':');
    let (Some(name), Some(password)) = (parts.next(), parts.next()) else { return false };
    !name.is_empty()
        && password.len() >= 3
        && decoded.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ')
        && !is_placeholder(password)
}

/// Enough Base64 in one piece for a key, before the block ends. In source code and JSON, line feeds are written as
/// `\n` and lines stand in quotes.
fn key_material(bytes: &[u8], from: usize) -> bool {
    const REACH: usize = 1200;
    const ENOUGH: usize = 40;
    let (mut run, mut escape, mut distinct) = (0, false, [false; 256]);
    for &byte in bytes[from..].iter().take(REACH) {
        if std::mem::take(&mut escape) && matches!(byte, b'n' | b'r' | b't') {
            (run, distinct) = (0, [false; 256]);
            continue;
        }
        match byte {
            b'\\' => escape = true,
            _ if byte.is_ascii_alphanumeric() || b"+/".contains(&byte) => {
                run += 1;
                distinct[usize::from(byte)] = true;
                // Not a row of `x`.
                if run >= ENOUGH && distinct.iter().filter(|seen| **seen).count() >= 10 {
                    return true;
                }
            }
            b'=' => {}
            _ => (run, distinct) = (0, [false; 256]),
        }
    }
    false
}

/// What kind of key begins so in base64; `None` if none does, as a certificate.
fn encoded_key(text: &[u8]) -> Option<Option<Line>> {
    let whole = &text[..text.len() / 4 * 4];
    let line = decode(whole, &alphabet::STANDARD)?;
    memchr::memmem::find(&line, b"PRIVATE KEY").map(|_| kind_of_key(&line))
}

/// What the first line says, if it says one of the things that it can say.
fn kind_of_key(line: &[u8]) -> Option<Line> {
    const KINDS: [&str; 8] = ["ENCRYPTED", "RSA", "EC", "DSA", "OPENSSH", "PGP", "SSH2", "PuTTY"];
    let kind = KINDS.iter().find(|kind| memchr::memmem::find(line, kind.as_bytes()).is_some());
    kind.map_or_else(|| "private key".into(), |kind| format!("{kind} private key")).parse().ok()
}

/// Whether an address has what could be a name and a password. Most have not, and there are many.
fn has_password(bytes: &[u8]) -> bool {
    let authority =
        bytes.iter().skip(3).take(400).take_while(|byte| **byte > b' ' && !b"/\"'<>".contains(byte));
    let mut colon = false;
    for byte in authority {
        match byte {
            b':' => colon = true,
            b'@' => return colon,
            _ => {}
        }
    }
    false
}

/// `scheme://user:password@host`.
fn is_url_password(bytes: &[u8], at: usize, secret: Range<usize>) -> bool {
    let scheme = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+.-".contains(byte);
    let scheme = bytes[..at].iter().rev().take(24).take_while(scheme).count();
    let user = bytes[at + 3..secret.start].trim_ascii_end_matches(b":");
    let password = &bytes[secret.clone()];
    let host = &bytes[secret.end..];
    let local = [&b"@localhost"[..], b"@127.0.0.1", b"@0.0.0.0", b"@[::1]", b"@host", b"@example"];
    let local = local.iter().any(|local| host.starts_with(local));
    let punctuation = password.iter().all(u8::is_ascii_punctuation);
    // `8080@` is a port, and something with `@` behind it.
    let port = user.is_empty() && password.iter().all(u8::is_ascii_digit);
    // The one that every handbook of databases has.
    let scott = user == b"scott" && password == b"tiger";
    let example = scott || (local && (password == user || password.len() < 4));
    scheme >= 2 && !(is_placeholder(password) || punctuation || port || example)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles_and_begins_with_a_literal() {
        let engine = Engine::new();
        assert_eq!(engine.tokens.len(), TOKENS.len());
        let named =
            [&engine.password, &engine.high_entropy, &engine.aws_secret, &engine.azure, &engine.twilio];
        assert!(named.iter().all(|rule| rule.is_some()));
        let leads = |literal: &str| {
            let first = &engine.by_first[usize::from(literal.as_bytes()[0])];
            first.iter().any(|(_, n)| TOKENS[usize::from(*n)].literals.contains(&literal))
        };
        for literal in TOKENS.iter().flat_map(|token| token.literals).chain(ANYWHERE) {
            assert!(leads(literal), "{literal} leads nowhere");
        }
    }
}
