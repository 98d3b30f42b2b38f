//! Keys that an SSH agent holds: its protocol over a Unix socket (draft-ietf-sshm-ssh-agent).
//!
//! Two requests are made: which keys there are, and a signature. Each goes over a connection of its own, so that
//! nothing is held open while an archive is packed.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use consign_metadata::{Problem, printable};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType};

use crate::fingerprint::Fingerprint;
use crate::key_kind::name_of_ssh_type;
use crate::public_key::{PublicKey, PublicKeyError, Signature};
use crate::signer::{Signer, SignerError};

/// Longest message in either direction, in bytes: what OpenSSH's agent takes (`AGENT_MAX_LEN`).
pub const AGENT_MESSAGE_MAX: usize = 256 * 1024;
/// Most keys in an answer: what OpenSSH's client takes (`MAX_AGENT_IDENTITIES`).
pub const AGENT_KEYS_MAX: u32 = 2048;

// Message numbers, section 6.1 of the draft.
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

const ED25519: &[u8] = b"ssh-ed25519";

/// An SSH agent, by the socket that it listens on.
///
/// ```no_run
/// use consign_signing::{Signer, SshAgent};
/// use std::time::Duration;
/// let agent = SshAgent::new("/run/user/1000/agent.socket");
/// let wanted = "SHA256:bbXpuKG6zhzdmnxq256TlqzFBzRl2f6OOg722cYNbU8".parse()?;
/// let key = agent.signer(&wanted, Duration::from_secs(10), Duration::from_secs(120))?;
/// let signature = key.sign(b"a message")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct SshAgent {
    socket: PathBuf,
}

/// A key that an agent says it holds.
#[derive(Clone, Debug)]
pub struct AgentKey {
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What the agent calls it, fit for printing; any text at all.
    pub comment: String,
    /// The usual name of its type.
    pub kind: String,
    key: Result<PublicKey, PublicKeyError>,
}

/// Ed25519 in an SSH agent. What it signs is checked against the public key.
#[derive(Clone, Debug)]
pub struct SshAgentSigner {
    agent: SshAgent,
    public: PublicKey,
    comment: String,
    patience: Duration,
}

/// Why an agent's key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SshAgentError {
    /// Nobody listens.
    #[error("no agent answers: {0}")]
    NoAgent(#[source] io::Error),
    /// The connection failed.
    #[error("the connection to the agent failed: {0}")]
    Io(#[source] io::Error),
    /// No answer in time.
    #[error("the agent did not answer within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The answer breaks the protocol.
    #[error("the agent's answer is not one: {0}")]
    Malformed(&'static str),
    /// The agent says no.
    #[error("the agent refuses to sign with this key")]
    Refused,
    /// The agent says no to being asked which keys it has.
    #[error("the agent refuses to say which keys it holds")]
    ListRefused,
    /// The agent lists no key at all.
    #[error("the agent holds no keys, or is locked")]
    Empty,
    /// The key is not among those that the agent holds.
    #[error("the agent does not hold the key {wanted}")]
    NotHeld {
        /// What was asked for.
        wanted: Fingerprint,
        /// What is there.
        held: Vec<AgentKey>,
    },
    /// The key is there, and is not one to sign with here.
    #[error("the key `{comment}` cannot be used: {reason}")]
    Unusable {
        /// What the agent calls the key.
        comment: String,
        /// Why.
        reason: String,
    },
    /// More than can be said in one message.
    #[error("what is to be signed is longer than an agent takes ({AGENT_MESSAGE_MAX} bytes)")]
    TooLong,
    /// What came back is not a signature of this key over what was sent.
    #[error("the agent's signature does not fit what was sent and the key")]
    BadSignature,
}

impl SshAgentError {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let (code, hint) = match self {
            Self::NoAgent(_) => (
                "agent-unreachable",
                Some("start one with `eval $(ssh-agent)`, or set `SSH_AUTH_SOCK` to the socket of yours".to_owned()),
            ),
            Self::Io(_) => ("agent-failed", None),
            Self::TimedOut(_) => {
                ("agent-timeout", Some("it may be waiting for somebody to confirm".to_owned()))
            }
            Self::Malformed(_) => {
                ("agent-malformed", Some("check what listens at `SSH_AUTH_SOCK`".to_owned()))
            }
            Self::Refused => (
                "agent-refused",
                Some("it may be locked (`ssh-add -X`), its question may have been declined, or the key may be limited to certain hosts".to_owned()),
            ),
            Self::ListRefused => ("agent-refused", None),
            Self::Empty => (
                "agent-empty",
                Some("`ssh-add FILE` adds a key, `ssh-add -X` unlocks the agent".to_owned()),
            ),
            Self::NotHeld { held, .. } => ("agent-key", Some(list(held))),
            Self::Unusable { .. } => (
                "key-type",
                Some("`ssh-keygen -t ed25519` makes a key that can be used, `ssh-add FILE` adds it".to_owned()),
            ),
            Self::TooLong => ("agent-too-long", None),
            Self::BadSignature => (
                "agent-signature",
                Some("something between here and the key answers in its place; do not use this agent".to_owned()),
            ),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

/// What an agent holds, for a message.
fn list(held: &[AgentKey]) -> String {
    const SHOWN_MAX: usize = 8;
    let mut lines: Vec<_> = held.iter().take(SHOWN_MAX).map(|key| format!("it holds {key}")).collect();
    if held.len() > SHOWN_MAX {
        lines.push(format!("and {} more", held.len() - SHOWN_MAX));
    }
    lines.push("`ssh-add FILE` adds a key".into());
    lines.join("\n")
}

impl fmt::Display for AgentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, `{}`)", self.fingerprint, self.kind, self.comment)
    }
}

impl SshAgent {
    /// The agent that listens on `socket`, which `SSH_AUTH_SOCK` usually names. Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into() }
    }

    /// The keys that the agent says it holds. A locked agent of OpenSSH says that it holds none.
    ///
    /// # Errors
    /// No agent, no answer within `patience`, an answer that is none.
    pub fn keys(&self, patience: Duration) -> Result<Vec<AgentKey>, SshAgentError> {
        read_keys(&self.ask(&[REQUEST_IDENTITIES], patience)?)
    }

    /// The key of that fingerprint, ready to sign. `patience` is for the list of keys, `signing` for each
    /// signature, for which the agent may ask a person.
    ///
    /// # Errors
    /// As [`keys`](Self::keys); the key is not there, or is no Ed25519 key.
    pub fn signer(
        self,
        wanted: &Fingerprint,
        patience: Duration,
        signing: Duration,
    ) -> Result<SshAgentSigner, SshAgentError> {
        let held = self.keys(patience)?;
        if held.is_empty() {
            return Err(SshAgentError::Empty);
        }
        let Some(found) = held.iter().find(|key| key.fingerprint == *wanted) else {
            return Err(SshAgentError::NotHeld { wanted: *wanted, held });
        };
        let unusable = |reason: String| SshAgentError::Unusable { comment: found.comment.clone(), reason };
        match &found.key {
            Ok(public) => Ok(SshAgentSigner {
                agent: self,
                public: *public,
                comment: found.comment.clone(),
                patience: signing,
            }),
            // A security key signs a counter and flags along with a digest (OpenSSH PROTOCOL.u2f).
            Err(PublicKeyError::OtherType(kind)) if kind == "FIDO security" => Err(unusable(
                "it is a FIDO security key, which signs more than it is given; plain Ed25519 is needed"
                    .into(),
            )),
            Err(error) => Err(unusable(error.to_string())),
        }
    }

    /// One request, one answer, without its length.
    fn ask(&self, request: &[u8], patience: Duration) -> Result<Vec<u8>, SshAgentError> {
        if request.len() > AGENT_MESSAGE_MAX {
            return Err(SshAgentError::TooLong);
        }
        let mut talk = Talk::connect(&self.socket, patience)?;
        let mut framed = Vec::with_capacity(4 + request.len());
        put_string(&mut framed, request);
        talk.send(&framed)?;
        let mut length = [0; 4];
        talk.receive(&mut length)?;
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 || length > AGENT_MESSAGE_MAX {
            return Err(SshAgentError::Malformed("its length is 0 or more than an agent sends"));
        }
        let mut answer = vec![0; length];
        talk.receive(&mut answer)?;
        Ok(answer)
    }
}

/// The keys in an answer to the request for them.
fn read_keys(answer: &[u8]) -> Result<Vec<AgentKey>, SshAgentError> {
    let mut reader = Wire(answer);
    match reader.byte()? {
        IDENTITIES_ANSWER => {}
        FAILURE => return Err(SshAgentError::ListRefused),
        _ => return Err(SshAgentError::Malformed("it answers another question")),
    }
    let count = reader.number()?;
    if count > AGENT_KEYS_MAX {
        return Err(SshAgentError::Malformed("it lists more keys than an agent holds"));
    }
    // The count is the agent's word: nothing is reserved for it.
    let mut keys = Vec::new();
    for _ in 0..count {
        let (blob, comment) = (reader.string()?, reader.string()?);
        keys.push(AgentKey::read(blob, comment)?);
    }
    reader.end()?;
    Ok(keys)
}

impl AgentKey {
    fn read(blob: &[u8], comment: &[u8]) -> Result<Self, SshAgentError> {
        const COMMENT_MAX: usize = 100;
        let kind = Wire(blob).string()?;
        let text = String::from_utf8_lossy(comment);
        let comment = match text.char_indices().nth(COMMENT_MAX) {
            Some((end, _)) => format!("{}…", printable(&text[..end])),
            None => printable(&text),
        };
        let (name, key) = if kind == ED25519 {
            ("Ed25519".to_owned(), PublicKey::from_ssh_wire(blob))
        } else {
            let kind = String::from_utf8_lossy(&kind[..kind.len().min(64)]);
            let name = name_of_ssh_type(&kind);
            (name.clone(), Err(PublicKeyError::OtherType(name)))
        };
        Ok(Self { fingerprint: Fingerprint::of_wire(blob), comment, kind: name, key })
    }
}

impl SshAgentSigner {
    /// What the agent calls the key, fit for printing.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    fn request(&self, message: &[u8]) -> Result<Signature, SshAgentError> {
        let mut request = vec![SIGN_REQUEST];
        put_string(&mut request, &self.public.ssh_wire());
        put_string(&mut request, message);
        // No flags: they choose among digests for RSA.
        request.extend(0_u32.to_be_bytes());
        let signature = read_signature(&self.agent.ask(&request, self.patience)?)?;
        self.public.verify(message, &signature).map_err(|_| SshAgentError::BadSignature)?;
        Ok(signature)
    }
}

/// The signature in an answer to the request for one.
fn read_signature(answer: &[u8]) -> Result<Signature, SshAgentError> {
    let mut reader = Wire(answer);
    match reader.byte()? {
        SIGN_RESPONSE => {}
        FAILURE => return Err(SshAgentError::Refused),
        _ => return Err(SshAgentError::Malformed("it answers another question")),
    }
    let mut signature = Wire(reader.string()?);
    reader.end()?;
    if signature.string()? != ED25519 {
        return Err(SshAgentError::Malformed("the signature is not of the type ssh-ed25519"));
    }
    let bytes = signature.string()?.try_into();
    let bytes = bytes.map_err(|_| SshAgentError::Malformed("the signature is not 64 bytes long"))?;
    signature.end()?;
    Ok(Signature::from_bytes(bytes))
}

impl Signer for SshAgentSigner {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, message: &[u8]) -> Result<Signature, SignerError> {
        self.request(message).map_err(|error| {
            let hint = error.problem().hint;
            SignerError::from_error(error).with_hint(hint)
        })
    }
}

/// A connection that ends at a given time, whatever the other side does.
struct Talk {
    stream: UnixStream,
    patience: Duration,
    deadline: Instant,
}

impl Talk {
    fn connect(socket: &Path, patience: Duration) -> Result<Self, SshAgentError> {
        let connected = || -> io::Result<UnixStream> {
            let address = SocketAddrUnix::new(socket)?;
            let stream =
                UnixStream::from(rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None)?);
            rustix::io::fcntl_setfd(&stream, rustix::io::FdFlags::CLOEXEC)?;
            // A listener whose queue is full would be waited for without end otherwise (unix(7)).
            stream.set_nonblocking(true)?;
            rustix::net::connect(&stream, &address)?;
            stream.set_nonblocking(false)?;
            Ok(stream)
        };
        let stream = connected().map_err(SshAgentError::NoAgent)?;
        Ok(Self { stream, patience, deadline: Instant::now() + patience })
    }

    /// What is left of the time; a socket's time limit must not be zero.
    fn left(&self) -> Result<Duration, SshAgentError> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(SshAgentError::TimedOut(self.patience)) } else { Ok(left) }
    }

    fn send(&mut self, mut bytes: &[u8]) -> Result<(), SshAgentError> {
        while !bytes.is_empty() {
            let left = self.left()?;
            let sent = self.stream.set_write_timeout(Some(left)).and_then(|()| self.stream.write(bytes));
            bytes = &bytes[self.advanced(sent)?..];
        }
        Ok(())
    }

    fn receive(&mut self, mut buffer: &mut [u8]) -> Result<(), SshAgentError> {
        while !buffer.is_empty() {
            let left = self.left()?;
            let read = self.stream.set_read_timeout(Some(left)).and_then(|()| self.stream.read(buffer));
            if matches!(read, Ok(0)) {
                return Err(SshAgentError::Malformed("it ends before it is complete"));
            }
            buffer = &mut buffer[self.advanced(read)?..];
        }
        Ok(())
    }

    fn advanced(&self, result: io::Result<usize>) -> Result<usize, SshAgentError> {
        result.or_else(|error| match error.kind() {
            io::ErrorKind::Interrupted => Ok(0),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Err(SshAgentError::TimedOut(self.patience))
            }
            _ => Err(SshAgentError::Io(error)),
        })
    }
}

/// Reads SSH's data types (RFC 4251 section 5) from a message.
struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], SshAgentError> {
        let (taken, rest) =
            self.0.split_at_checked(length).ok_or(SshAgentError::Malformed("a length in it is wrong"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, SshAgentError> {
        Ok(self.take(1)?[0])
    }

    fn number(&mut self) -> Result<u32, SshAgentError> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    fn string(&mut self) -> Result<&'a [u8], SshAgentError> {
        let length = self.number()?;
        self.take(length as usize)
    }

    fn end(&self) -> Result<(), SshAgentError> {
        if self.0.is_empty() { Ok(()) } else { Err(SshAgentError::Malformed("something follows its end")) }
    }
}

/// Appends a string with its length. What is sent is shorter than [`AGENT_MESSAGE_MAX`], or is not sent.
fn put_string(message: &mut Vec<u8>, text: &[u8]) {
    message.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend(text);
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::testing::{key, signed, statement};
    use crate::{SignError, SignedStatement};

    const SOON: Duration = Duration::from_millis(1500);
    const LATER: Duration = Duration::from_secs(20);

    fn string(text: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_string(&mut bytes, text);
        bytes
    }

    fn frame(body: &[u8]) -> Vec<u8> {
        string(body)
    }

    fn identities(keys: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut body = vec![IDENTITIES_ANSWER];
        body.extend(u32::try_from(keys.len()).unwrap().to_be_bytes());
        for (blob, comment) in keys {
            body.extend(string(blob));
            body.extend(string(comment));
        }
        frame(&body)
    }

    fn signature(kind: &[u8], bytes: &[u8]) -> Vec<u8> {
        let inner = [string(kind), string(bytes)].concat();
        frame(&[vec![SIGN_RESPONSE], string(&inner)].concat())
    }

    /// An agent that reads one request a connection and gives these answers, one a connection, then none.
    fn agent(answers: Vec<Vec<u8>>) -> (tempfile::TempDir, SshAgent) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("agent");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            let mut held = Vec::new();
            let mut answers = answers.into_iter();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut length = [0; 4];
                stream.read_exact(&mut length).unwrap();
                let mut request = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut request).unwrap();
                match answers.next() {
                    Some(answer) => stream.write_all(&answer).unwrap(),
                    // Kept open, and never answered.
                    None => held.push(stream),
                }
            }
        });
        (dir, SshAgent::new(socket))
    }

    fn listed(answer: Vec<u8>) -> SshAgentError {
        let (_dir, agent) = agent(vec![answer]);
        agent.keys(LATER).unwrap_err()
    }

    #[test]
    fn answers_that_are_none_are_refused() {
        let key = key();
        let good = identities(&[(&key.public_key().ssh_wire(), b"ada")]);
        for (answer, reason) in [
            (vec![], "it ends before it is complete"),
            (good[..3].to_vec(), "it ends before it is complete"),
            (good[..good.len() - 1].to_vec(), "it ends before it is complete"),
            (vec![0; 4], "its length is 0 or more than an agent sends"),
            (vec![0xff; 4], "its length is 0 or more than an agent sends"),
            (0x0004_0001_u32.to_be_bytes().to_vec(), "its length is 0 or more than an agent sends"),
            (frame(&[SIGN_RESPONSE]), "it answers another question"),
            (frame(&[IDENTITIES_ANSWER]), "a length in it is wrong"),
            (frame(&[IDENTITIES_ANSWER, 0, 0, 0]), "a length in it is wrong"),
            (frame(&[IDENTITIES_ANSWER, 0, 0, 0, 1]), "a length in it is wrong"),
            (frame(&[IDENTITIES_ANSWER, 0, 0, 8, 1]), "it lists more keys than an agent holds"),
            (frame(&[IDENTITIES_ANSWER, 255, 255, 255, 255]), "it lists more keys than an agent holds"),
            (frame(&[IDENTITIES_ANSWER, 0, 0, 0, 1, 255, 255, 255, 255]), "a length in it is wrong"),
            (frame(&[IDENTITIES_ANSWER, 0, 0, 0, 0, 0]), "something follows its end"),
            (identities(&[(b"", b"")]), "a length in it is wrong"),
        ] {
            match listed(answer.clone()) {
                SshAgentError::Malformed(found) => assert_eq!(found, reason, "{answer:?}"),
                other => panic!("{answer:?}: {other}"),
            }
        }
        assert!(matches!(listed(frame(&[FAILURE])), SshAgentError::ListRefused));
    }

    proptest::proptest! {
        #[test]
        fn no_answer_causes_a_panic(body in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for kind in [IDENTITIES_ANSWER, SIGN_RESPONSE] {
                let answer = [&[kind], body.as_slice()].concat();
                let _ = read_signature(&answer);
                for key in read_keys(&answer).unwrap_or_default() {
                    assert!(!key.to_string().contains(char::is_control));
                }
            }
        }
    }

    #[test]
    fn nobody_is_waited_for_without_end() {
        let dir = tempfile::tempdir().unwrap();
        let nobody = SshAgent::new(dir.path().join("none")).keys(SOON).unwrap_err();
        assert!(matches!(nobody, SshAgentError::NoAgent(_)), "{nobody}");
        let (_dir, silent) = agent(vec![]);
        assert!(matches!(silent.keys(SOON), Err(SshAgentError::TimedOut(_))));
        // One that answers byte by byte gains no time by it.
        let socket = dir.path().join("slow");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.write_all(&AGENT_MESSAGE_MAX.to_be_bytes()[4..]);
            while stream.write_all(b"x").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        assert!(matches!(SshAgent::new(socket).keys(SOON), Err(SshAgentError::TimedOut(_))));
        // One that accepts nobody, behind a queue that is full.
        let socket = dir.path().join("full");
        let _listener = UnixListener::bind(&socket).unwrap();
        let mut waiting = Vec::new();
        let full = loop {
            match Talk::connect(&socket, SOON) {
                Ok(talk) => waiting.push(talk),
                Err(error) => break error,
            }
            assert!(waiting.len() < 100_000);
        };
        assert!(matches!(full, SshAgentError::NoAgent(_)), "{full}");
    }

    #[test]
    fn only_an_ed25519_key_that_is_there_can_be_named() {
        let (key, other) = (key(), key());
        let wire = key.public_key().ssh_wire();
        let security = [string(b"sk-ssh-ed25519@openssh.com"), string(&[7; 32]), string(b"ssh:")].concat();
        let rsa = [string(b"ssh-rsa"), string(&[3]), string(&[9; 256])].concat();
        let weak = [string(ED25519), string(&[[1].as_slice(), &[0; 31]].concat())].concat();
        let certificate = [string(b"ssh-ed25519-cert-v01@openssh.com"), string(&[1; 32])].concat();
        let all: [(&[u8], &[u8]); 5] = [
            (&wire, b"ada"),
            (&security, b"token\x1b[31m"),
            (&rsa, b"old"),
            (&weak, b"weak"),
            (&certificate, b"cert"),
        ];
        let ask = |wanted: &Fingerprint| {
            let (_dir, agent) = agent(vec![identities(&all)]);
            agent.signer(wanted, LATER, LATER)
        };
        assert_eq!(ask(&key.public_key().fingerprint()).unwrap().comment(), "ada");
        for (blob, reason) in [
            (&security, "`token\\u{1b}[31m` cannot be used: it is a FIDO security key"),
            (&rsa, "`old` cannot be used: this is a key of type RSA"),
            (&weak, "`weak` cannot be used: a weak key"),
            (&certificate, "`cert` cannot be used: this is a key of type certificate"),
        ] {
            let error = ask(&Fingerprint::of_wire(blob)).unwrap_err();
            assert!(error.to_string().contains(reason), "{error}");
        }
        let error = ask(&other.public_key().fingerprint()).unwrap_err();
        assert!(matches!(&error, SshAgentError::NotHeld { held, .. } if held.len() == 5));
        assert!(error.problem().hint.unwrap().contains(&key.public_key().fingerprint().to_string()));
        let (_dir, empty) = agent(vec![identities(&[])]);
        let error = empty.signer(&key.public_key().fingerprint(), LATER, LATER).unwrap_err();
        assert!(matches!(error, SshAgentError::Empty));
    }

    #[test]
    fn e18_a_signature_that_does_not_fit_the_key_is_refused() {
        let (key, other) = (key(), key());
        let wire = key.public_key().ssh_wire();
        let over = |signer: &dyn Signer, message: &[u8]| *signer.sign(message).unwrap().as_bytes();
        for (answer, expected) in [
            (signature(ED25519, &over(&key, b"message")), "signed"),
            (signature(ED25519, &over(&other, b"message")), "does not fit"),
            (signature(ED25519, &over(&key, b"another")), "does not fit"),
            (signature(ED25519, &[0; 64]), "does not fit"),
            (signature(ED25519, &[0; 63]), "not 64 bytes long"),
            (signature(b"ssh-rsa", &[0; 64]), "not of the type ssh-ed25519"),
            (frame(&[vec![SIGN_RESPONSE], string(b"")].concat()), "a length in it is wrong"),
            (frame(&[vec![SIGN_RESPONSE], string(&string(ED25519)), vec![0]].concat()), "follows its end"),
            (identities(&[]), "answers another question"),
            (frame(&[FAILURE]), "refuses to sign"),
        ] {
            let (_dir, agent) = agent(vec![identities(&[(&wire, b"ada")]), answer]);
            let signer = agent.signer(&key.public_key().fingerprint(), LATER, LATER).unwrap();
            let found = match signer.sign(b"message") {
                Ok(_) => "signed".to_owned(),
                Err(error) => error.to_string(),
            };
            assert!(found.contains(expected), "{found}, not {expected}");
        }
    }

    #[test]
    fn statements_are_signed_and_silence_is_an_error() {
        let key = key();
        let wire = key.public_key().ssh_wire();
        let expected = signed(&key);
        let payload = crate::envelope::pae(&expected.statement().to_payload());
        let answer = signature(ED25519, key.sign(&payload).unwrap().as_bytes());
        let (_dir, agent) = agent(vec![identities(&[(&wire, b"ada")]), answer]);
        let signer = agent.signer(&key.public_key().fingerprint(), LATER, SOON).unwrap();
        assert_eq!(SignedStatement::sign(&signer, &statement(&key)).unwrap(), expected);
        let error = SignedStatement::sign(&signer, &statement(&key)).unwrap_err();
        assert!(matches!(error, SignError::Signer(_)), "{error}");
        assert!(matches!(signer.request(&vec![0; AGENT_MESSAGE_MAX]), Err(SshAgentError::TooLong)));
    }
}
