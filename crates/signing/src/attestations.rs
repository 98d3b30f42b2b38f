//! The `.intoto.jsonl` file: one signed statement a line, and nothing else.

use consign_metadata::{BundleId, Problem, Sha256Digest};

use crate::envelope::{ENVELOPE_BYTES_MAX, EnvelopeError, SignedStatement};
use crate::mangled::mangled;
use crate::statement::Claim;

/// Most lines in a file. Checking so many signatures takes a few hundredths of a second; C2SP's signed notes,
/// for comparison, ask readers to take at least 16 (CVE-2023-46737 and its kin had no limit).
pub const ATTESTATIONS_MAX: usize = 256;
/// Largest file, in bytes: as many of the longest lines as there may be, with their line feeds. Readers of files
/// stop there.
pub const ATTESTATIONS_BYTES_MAX: usize = ATTESTATIONS_MAX * (ENVELOPE_BYTES_MAX + 1);

/// The signed statements of one file, in its order. Each has been verified under the key that it carries, which
/// says nothing about trust.
///
/// A file may hold statements with different claims, for instance about a first archive and about a later one
/// with the same content: they are kept, and [`claims`](Self::claims) groups them. Nobody signs a file as a
/// whole, so a line that is missing cannot be noticed; thresholds are the defence.
///
/// ```
/// use consign_signing::{Attestations, PrivateKey, SignedStatement, Signer, Statement};
/// # let example = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/statement.json"));
/// let sign = || -> Result<Attestations, Box<dyn std::error::Error>> {
///     let key = PrivateKey::generate()?;
///     let mut statement = Statement::parse(example)?;
///     statement.signer.public_key = *key.public_key();
///     Ok(Attestations::new(SignedStatement::sign(&key, &statement)?))
/// };
/// // Two people sign at the same time; whoever joins their files gets the same bytes.
/// let (ada, bob) = (sign()?, sign()?);
/// let joined = ada.clone().merge(bob.clone())?;
/// assert_eq!(joined.to_bytes(), bob.merge(ada)?.to_bytes());
/// assert_eq!(Attestations::parse(&joined.to_bytes()).map(|read| read.claims().len()), Ok(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attestations {
    /// Never empty, no line twice, at most [`ATTESTATIONS_MAX`].
    statements: Vec<SignedStatement>,
}

/// Statements with one and the same claim.
#[derive(Clone, Debug)]
pub struct ClaimGroup<'a> {
    /// What they all say.
    pub claim: &'a Claim,
    /// Who says it, in the order of the file.
    pub statements: Vec<&'a SignedStatement>,
}

/// Why a line, or a file as a whole, was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {kind}")]
pub struct AttestationError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    #[source]
    pub kind: AttestationErrorKind,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttestationErrorKind {
    /// There is nothing in the file.
    #[error("the file is empty")]
    EmptyFile,
    /// The line is empty.
    #[error("the line is empty")]
    EmptyLine,
    /// The last line has no line feed: the file may have been cut.
    #[error("the last line does not end with a line feed; the file may be cut off")]
    NoLineFeed,
    /// More lines than [`ATTESTATIONS_MAX`].
    #[error("there are more than {ATTESTATIONS_MAX} lines")]
    TooManyLines,
    /// There is a second line where there may be only one.
    #[error("there is more than one line")]
    MoreThanOne,
    /// The same line stands in the file already.
    #[error("the line is the same as line {0}")]
    Repeated(usize),
    /// The line is not a signed statement.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

impl AttestationError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let code = match &self.kind {
            AttestationErrorKind::Envelope(error) => return error.problem().line(self.line),
            AttestationErrorKind::EmptyFile => "attestations-empty",
            AttestationErrorKind::EmptyLine => "attestations-empty-line",
            AttestationErrorKind::NoLineFeed => "attestations-cut",
            AttestationErrorKind::TooManyLines => "attestations-too-many",
            AttestationErrorKind::MoreThanOne => "attestations-several",
            AttestationErrorKind::Repeated(_) => "attestations-repeated",
        };
        Problem::new(code, self.kind.to_string()).line(self.line)
    }
}

/// More statements than one file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there would be more than {ATTESTATIONS_MAX} signatures in one file")]
pub struct TooManyAttestations;

impl Attestations {
    /// A file of one statement.
    pub fn new(statement: SignedStatement) -> Self {
        Self { statements: vec![statement] }
    }

    /// Reads a file: at least one line, each a signed statement that verifies and ends with a line feed, none
    /// empty, none twice.
    ///
    /// # Errors
    /// All that is wrong, at most one error a line. One bad line makes the whole file bad: what to make of the
    /// others is not for a reader to guess.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<AttestationError>> {
        let statements = read_lines(bytes, SignedStatement::verify, SignedStatement::line)?;
        Ok(Self { statements })
    }

    /// The file: each line as it was read or made, with its line feed.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_file(self.statements.iter().map(SignedStatement::line))
    }

    /// All statements, in the order of the file.
    pub fn statements(&self) -> &[SignedStatement] {
        &self.statements
    }

    /// The statements by what they say, in the order in which each claim first appears.
    pub fn claims(&self) -> Vec<ClaimGroup<'_>> {
        let mut groups: Vec<ClaimGroup<'_>> = Vec::new();
        for statement in &self.statements {
            let claim = &statement.statement().claim;
            match groups.iter_mut().find(|group| group.claim == claim) {
                Some(group) => group.statements.push(statement),
                None => groups.push(ClaimGroup { claim, statements: vec![statement] }),
            }
        }
        groups
    }

    /// The claims about the archive with that SHA-256.
    pub fn for_archive(&self, sha256: &Sha256Digest) -> Vec<ClaimGroup<'_>> {
        use crate::statement::Content;
        let mut groups = self.claims();
        groups.retain(
            |group| matches!(&group.claim.content, Content::Archive(archive) if archive.sha256 == *sha256),
        );
        groups
    }

    /// The claims about the bundle with that id, archived or sealed.
    pub fn for_bundle(&self, id: &BundleId) -> Vec<ClaimGroup<'_>> {
        let mut groups = self.claims();
        groups.retain(|group| group.claim.bundle.id == *id);
        groups
    }

    /// Appends a statement. One whose very line is there already changes nothing.
    ///
    /// # Errors
    /// The file is full.
    pub fn push(&mut self, statement: SignedStatement) -> Result<(), TooManyAttestations> {
        if self.statements.contains(&statement) {
            return Ok(());
        }
        if self.statements.len() == ATTESTATIONS_MAX {
            return Err(TooManyAttestations);
        }
        self.statements.push(statement);
        Ok(())
    }

    /// Joins two files, as after signing in parallel. The result is sorted by stated time, then by the bytes of
    /// the lines, so that it does not matter who joins whom; lines that are the same appear once.
    ///
    /// # Errors
    /// Together they are too many.
    pub fn merge(mut self, other: Self) -> Result<Self, TooManyAttestations> {
        for statement in other.statements {
            self.push(statement)?;
        }
        self.statements.sort_by(|a, b| {
            (a.statement().signer.time, a.line()).cmp(&(b.statement().signer.time, b.line()))
        });
        Ok(self)
    }
}

/// Reads a file of envelopes, one a line: at least one, each ended by a line feed, none empty, none twice.
pub(crate) fn read_lines<T>(
    bytes: &[u8],
    verify: impl Fn(&[u8]) -> Result<T, EnvelopeError>,
    line_of: fn(&T) -> &[u8],
) -> Result<Vec<T>, Vec<AttestationError>> {
    let fail = |line, kind| AttestationError { line, kind };
    if bytes.is_empty() {
        return Err(vec![fail(1, AttestationErrorKind::EmptyFile)]);
    }
    // Said once for the file, not again for each of its lines.
    if let Some(mangled) = mangled(bytes) {
        return Err(vec![fail(1, EnvelopeError::from(mangled).into())]);
    }
    let read_line = |line: &[u8], before: &[(usize, T)]| {
        let line = line.strip_suffix(b"\n").ok_or(AttestationErrorKind::NoLineFeed)?;
        if line.is_empty() {
            return Err(AttestationErrorKind::EmptyLine);
        }
        if let Some((number, _)) = before.iter().find(|(_, earlier)| line_of(earlier) == line) {
            return Err(AttestationErrorKind::Repeated(*number));
        }
        Ok(verify(line)?)
    };
    let mut read: Vec<(usize, T)> = Vec::new();
    let mut errors = Vec::new();
    for (index, line) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let number = index + 1;
        if index == ATTESTATIONS_MAX {
            errors.push(fail(number, AttestationErrorKind::TooManyLines));
            break;
        }
        match read_line(line, &read) {
            Ok(one) => read.push((number, one)),
            Err(kind) => errors.push(fail(number, kind)),
        }
    }
    if errors.is_empty() { Ok(read.into_iter().map(|(_, one)| one).collect()) } else { Err(errors) }
}

/// The file: each line as it was read or made, with its line feed.
pub(crate) fn to_file<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    lines.flat_map(|line| line.iter().chain(b"\n")).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mangled::Mangled;
    use crate::statement::{Basis, Content};
    use crate::testing::{key, signed, signed_as, statement};

    fn file(statements: &[&SignedStatement]) -> Vec<u8> {
        statements.iter().flat_map(|signed| [signed.line(), b"\n"].concat()).collect()
    }

    fn errors(bytes: &[u8]) -> Vec<(usize, AttestationErrorKind)> {
        Attestations::parse(bytes).unwrap_err().into_iter().map(|error| (error.line, error.kind)).collect()
    }

    #[test]
    fn a_file_is_what_it_was() {
        let statements = [signed(&key()), signed(&key()), signed(&key())];
        let bytes = file(&statements.each_ref());
        let read = Attestations::parse(&bytes).unwrap();
        assert_eq!(read.statements(), statements);
        assert_eq!(read.to_bytes(), bytes);
    }

    #[test]
    fn lines_that_are_no_statements_are_errors() {
        let (a, b) = (signed(&key()), signed(&key()));
        assert_eq!(errors(b""), [(1, AttestationErrorKind::EmptyFile)]);
        assert_eq!(errors(a.line()), [(1, AttestationErrorKind::NoLineFeed)]);
        assert_eq!(errors(b"\n"), [(1, AttestationErrorKind::EmptyLine)]);
        assert_eq!(
            errors(&[&file(&[&a]), b"\n".as_slice()].concat()),
            [(2, AttestationErrorKind::EmptyLine)]
        );
        assert_eq!(errors(&file(&[&a, &b, &a])), [(3, AttestationErrorKind::Repeated(1))]);
        let two_bad = [b"{}\n".as_slice(), &file(&[&a]), b"x\n"].concat();
        let lines: Vec<usize> = errors(&two_bad).iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [1, 3]);
        let crlf = [a.line(), b"\r\n", b.line(), b"\r\n"].concat();
        assert_eq!(errors(&crlf), [(1, EnvelopeError::Mangled(Mangled::CrLf).into())]);
    }

    #[test]
    fn there_is_room_for_many_and_not_for_more() {
        let lines: Vec<u8> = (0..=ATTESTATIONS_MAX).flat_map(|_| *b"{}\n").collect();
        let errors = errors(&lines);
        assert_eq!(errors.len(), ATTESTATIONS_MAX + 1);
        assert_eq!(errors[ATTESTATIONS_MAX], (ATTESTATIONS_MAX + 1, AttestationErrorKind::TooManyLines));
        let mut full = Attestations::new(signed(&key()));
        while full.statements().len() < ATTESTATIONS_MAX {
            full.push(signed(&key())).unwrap();
        }
        assert_eq!(Attestations::parse(&full.to_bytes()), Ok(full.clone()));
        assert_eq!(full.push(signed(&key())), Err(TooManyAttestations));
        assert_eq!(full.push(full.statements()[7].clone()), Ok(()));
    }

    #[test]
    fn joining_does_not_depend_on_who_joins() {
        let (a, b, c) = (signed(&key()), signed(&key()), signed(&key()));
        let (left, right) = (file(&[&a, &b]), file(&[&c, &a]));
        let (left, right) = (Attestations::parse(&left).unwrap(), Attestations::parse(&right).unwrap());
        let joined = left.clone().merge(right.clone()).unwrap();
        assert_eq!(joined.statements().len(), 3);
        assert_eq!(joined, right.merge(left).unwrap());
        assert_eq!(joined.clone().merge(joined.clone()), Ok(joined));
    }

    #[test]
    fn statements_are_grouped_by_what_they_say() {
        let key = key();
        let mut other = statement(&key);
        other.claim.bundle.classification = "public".parse().unwrap();
        let mut sealed = statement(&key);
        sealed.claim.content = Content::Sealed;
        sealed.signer.basis = Basis::Sealed;
        let other = SignedStatement::sign(&key, &other).unwrap();
        let sealed = SignedStatement::sign(&key, &sealed).unwrap();
        let (owner, release) = (signed(&key), signed_as(&key, "release"));
        let read = Attestations::parse(&file(&[&owner, &other, &release, &sealed])).unwrap();
        let counts = |groups: Vec<ClaimGroup<'_>>| -> Vec<usize> {
            groups.iter().map(|group| group.statements.len()).collect()
        };
        assert_eq!(counts(read.claims()), [2, 1, 1]);
        let claim = &owner.statement().claim;
        assert_eq!(counts(read.for_archive(&claim.subject_digest())), [2, 1]);
        assert_eq!(counts(read.for_bundle(&claim.bundle.id)), [2, 1, 1]);
        assert!(read.for_archive(&claim.bundle.id.0).is_empty());
    }
}
