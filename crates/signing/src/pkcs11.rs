//! Keys in PKCS #11 tokens: smart cards, hardware security modules, SoftHSM.
//!
//! A token's module is foreign code in this process. What it answers is not believed where that can be helped: a
//! signature is checked against the public key before it is used.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use consign_metadata::{Problem, printable, to_hex};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::RawAuthPin;
use pkcs8::SubjectPublicKeyInfoRef;
use pkcs8::der::Decode as _;

use crate::key_kind;
use crate::key_origin::KeyOrigin;
use crate::passphrase::{Passphrase, PassphraseAnswer};
use crate::pkcs11_uri::Pkcs11Uri;
use crate::public_key::{PublicKey, PublicKeyError, Signature};
use crate::signer::{Signer, SignerError};
use crate::strict_modes::{StrictModesError, check_strict_modes};

/// Which PIN is asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PinRequest {
    /// Label of the token, fit for printing.
    pub token: String,
    /// One wrong PIN more locks it.
    pub last_try: bool,
}

/// An Ed25519 key in a token, in a session that is logged in.
///
/// ```no_run
/// use consign_signing::{Passphrase, Pkcs11Signer, Signer};
/// use std::path::Path;
/// let uri = "pkcs11:token=Release%20keys;object=ada-2026".parse()?;
/// let module = Path::new("/usr/lib/softhsm/libsofthsm2.so");
/// let key = Pkcs11Signer::open(&uri, module, &mut |_| Ok(Passphrase::from_line(b"the PIN").ok()))?;
/// let signature = key.sign(b"a message")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Pkcs11Signer {
    session: Session,
    key: ObjectHandle,
    public: PublicKey,
    origin: KeyOrigin,
}

/// Why a key in a token cannot be used. No message holds a PIN.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Pkcs11Error {
    /// Others could exchange the module.
    #[error("the module is not loaded: {0}")]
    Exposed(#[from] StrictModesError),
    /// The module cannot be loaded.
    #[error("the module cannot be loaded: {0}")]
    Module(String),
    /// A call failed, by the name of its return value.
    #[error("the token does not work: {what}")]
    Token {
        /// What the module answered.
        what: String,
    },
    /// No token fits the URI.
    #[error("no token fits the URI")]
    NoToken {
        /// The tokens that there are.
        there: Vec<String>,
    },
    /// Several tokens fit the URI.
    #[error("{} tokens fit the URI", .0.len())]
    SeveralTokens(Vec<String>),
    /// No private key in the token fits the URI.
    #[error("no private key in the token `{token}` fits the URI")]
    NoKey {
        /// Label of the token.
        token: String,
        /// The private keys that there are.
        there: Vec<String>,
    },
    /// Several keys in the token fit the URI.
    #[error("{} keys in the token `{token}` fit the URI", .there.len())]
    SeveralKeys {
        /// Label of the token.
        token: String,
        /// Those that fit.
        there: Vec<String>,
    },
    /// Not an Ed25519 key, or not one that signs.
    #[error("the key `{label}` cannot be used: {reason}")]
    Unusable {
        /// `CKA_LABEL` of the key.
        label: String,
        /// Why.
        reason: String,
    },
    /// The token needs a PIN, and none was given.
    #[error("the token `{0}` asks for a PIN, and none was given")]
    PinNeeded(String),
    /// Asking for the PIN failed.
    #[error("the PIN could not be had: {0}")]
    PinFailed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The token refuses the PIN.
    #[error("the PIN for the token `{token}` is wrong{}", if *.last_try { "; one wrong PIN more locks it" } else { "" })]
    WrongPin {
        /// Label of the token.
        token: String,
        /// Whether the next wrong one locks it.
        last_try: bool,
    },
    /// The token accepts no PIN any more.
    #[error("the token `{0}` is locked after too many wrong PINs")]
    Locked(String),
    /// What came back is not a signature of this key over what was sent.
    #[error("the token's signature does not fit what was sent and the public key beside the private one")]
    BadSignature,
}

impl Pkcs11Error {
    /// The same with a stable code and the next step.
    pub fn problem(&self) -> Problem {
        let listed = |none: &str, there: &[String]| {
            if there.is_empty() { none.to_owned() } else { shown(there) }
        };
        let (code, hint) = match self {
            Self::Exposed(error) => {
                ("pkcs11-module", error.problem().hint.or_else(|| Some(MODULE_HINT.to_owned())))
            }
            Self::Module(_) => ("pkcs11-module", Some(MODULE_HINT.to_owned())),
            Self::Token { .. } => ("pkcs11-token", None),
            Self::NoToken { there } => {
                ("pkcs11-no-token", Some(listed("there is no token; is it plugged in?", there)))
            }
            Self::SeveralTokens(there) => {
                ("pkcs11-ambiguous", Some(format!("{}\nadd `serial=…` to the URI", shown(there))))
            }
            Self::NoKey { there, .. } => {
                ("pkcs11-no-key", Some(listed("there is no private key in it", there)))
            }
            Self::SeveralKeys { there, .. } => {
                ("pkcs11-ambiguous", Some(format!("{}\nadd `id=%…` to the URI", shown(there))))
            }
            Self::Unusable { .. } => ("key-type", None),
            Self::PinNeeded(_) => ("pin-needed", None),
            Self::PinFailed(_) => ("pin-failed", None),
            Self::WrongPin { .. } => (
                "wrong-pin",
                Some("a token locks after some wrong PINs; look before you try again".to_owned()),
            ),
            Self::Locked(_) => {
                ("pin-locked", Some("whoever administers the token can set a new PIN".to_owned()))
            }
            Self::BadSignature => (
                "pkcs11-signature",
                Some(
                    "the public key in the token belongs to another private one; do not use this pair"
                        .to_owned(),
                ),
            ),
        };
        let problem = Problem::new(code, self.to_string());
        match hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        }
    }
}

const MODULE_HINT: &str =
    "name the token's library with `module-path`, or as `module` under `[pkcs11]` in config.toml";

/// What there is, for a message.
fn shown(there: &[String]) -> String {
    const SHOWN_MAX: usize = 8;
    let mut lines: Vec<_> = there.iter().take(SHOWN_MAX).map(|one| format!("there is {one}")).collect();
    if there.len() > SHOWN_MAX {
        lines.push(format!("and {} more", there.len() - SHOWN_MAX));
    }
    lines.join("\n")
}

impl From<Error> for Pkcs11Error {
    fn from(error: Error) -> Self {
        // The names of PKCS #11 say more than the crate's sentences, and fit on the line.
        let what = match error {
            Error::Pkcs11(value, function) => format!("{value:?} in {function:?}"),
            other => printable(&other.to_string()),
        };
        Self::Token { what }
    }
}

impl Pkcs11Signer {
    /// Finds the one key that the URI names, and logs in. The module is `module`, whatever the URI says; it must
    /// be an absolute path that others cannot change. `pin` is asked at most once, and not for tokens that read
    /// it themselves.
    ///
    /// The public key is that of the public-key object with the same `CKA_ID` (or label, where the private one
    /// has no id), else what the private object says of itself.
    ///
    /// # Errors
    /// No token or key fits, several do, the key is no Ed25519 key, the PIN is wrong, or the module fails.
    pub fn open(
        uri: &Pkcs11Uri,
        module: &Path,
        pin: &mut dyn FnMut(PinRequest) -> PassphraseAnswer,
    ) -> Result<Self, Pkcs11Error> {
        let token = Token::find(uri, module)?;
        let session = token.context.open_ro_session(token.slot)?;
        token.login(&session, pin)?;
        let key = PrivateObject::find(uri, &token, &session)?;
        let public = key.public_key(&session)?;
        let origin = KeyOrigin::Pkcs11 {
            token: printable(token.info.label()),
            serial: printable(token.info.serial_number()),
            label: key.facts.label.clone(),
            id: to_hex(&key.facts.id),
        };
        Ok(Self { session, key: key.facts.handle, public, origin })
    }

    /// Which key in which token it is.
    pub fn origin(&self) -> &KeyOrigin {
        &self.origin
    }

    fn request(&self, message: &[u8]) -> Result<Signature, Pkcs11Error> {
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
        let bytes = self.session.sign(&mechanism, self.key, message)?;
        let what = || format!("its signature is {} bytes long, not 64", bytes.len());
        let bytes = bytes.as_slice().try_into().map_err(|_| Pkcs11Error::Token { what: what() })?;
        let signature = Signature::from_bytes(bytes);
        self.public.verify(message, &signature).map_err(|_| Pkcs11Error::BadSignature)?;
        Ok(signature)
    }
}

impl Signer for Pkcs11Signer {
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

impl fmt::Debug for Pkcs11Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pkcs11Signer({})", self.public.fingerprint())
    }
}

/// The public key that the URI names, without a PIN; `None` if the token shows no public key that fits without
/// one.
///
/// # Errors
/// No token fits, several tokens or different keys do, or the module fails.
pub fn pkcs11_public_key(uri: &Pkcs11Uri, module: &Path) -> Result<Option<PublicKey>, Pkcs11Error> {
    let token = Token::find(uri, module)?;
    let session = token.context.open_ro_session(token.slot)?;
    let found = objects(&session, ObjectClass::PUBLIC_KEY, uri.object.as_deref(), uri.id.as_deref())?;
    let found: Vec<_> = found.into_iter().filter(|facts| facts.kind == Some(KeyType::EC_EDWARDS)).collect();
    match found.as_slice() {
        [] => Ok(None),
        [one] => one.point(&session)?.map(|point| one.public_key(&point)).transpose(),
        several => Err(Pkcs11Error::SeveralKeys {
            token: printable(token.info.label()),
            there: several.iter().map(ToString::to_string).collect(),
        }),
    }
}

/// The one token that a URI names.
struct Token {
    context: Pkcs11,
    slot: Slot,
    info: TokenInfo,
}

impl Token {
    fn find(uri: &Pkcs11Uri, module: &Path) -> Result<Self, Pkcs11Error> {
        check_strict_modes(module)?;
        let context = Pkcs11::new(module).map_err(|error| match error {
            Error::LibraryLoading(error) => Pkcs11Error::Module(printable(&error.to_string())),
            Error::MissingSymbol(_) => Pkcs11Error::Module("it is not a PKCS #11 module".into()),
            error => error.into(),
        })?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let (mut fit, mut there) = (Vec::new(), Vec::new());
        for slot in context.get_slots_with_token()? {
            let info = context.get_token_info(slot)?;
            if !info.token_initialized() {
                continue;
            }
            let described = format!(
                "the token `{}`, serial number {}, slot {}",
                printable(info.label()),
                printable(info.serial_number()),
                slot.id()
            );
            let is = |wanted: &Option<String>, found: &str| {
                wanted.as_ref().is_none_or(|wanted| wanted == found.trim_end())
            };
            if is(&uri.token, info.label())
                && is(&uri.manufacturer, info.manufacturer_id())
                && is(&uri.model, info.model())
                && is(&uri.serial, info.serial_number())
                && uri.slot_id.is_none_or(|id| id == slot.id())
            {
                fit.push((slot, info, described));
            } else {
                there.push(described);
            }
        }
        // A module lists them in any order.
        there.sort();
        fit.sort_by(|(.., a), (.., b)| a.cmp(b));
        match fit.len() {
            0 => Err(Pkcs11Error::NoToken { there }),
            1 => {
                let (slot, info, _) = fit.remove(0);
                Ok(Self { context, slot, info })
            }
            _ => Err(Pkcs11Error::SeveralTokens(fit.into_iter().map(|(.., described)| described).collect())),
        }
    }

    fn login(
        &self,
        session: &Session,
        pin: &mut dyn FnMut(PinRequest) -> PassphraseAnswer,
    ) -> Result<(), Pkcs11Error> {
        let token = || printable(self.info.label());
        if !self.info.login_required() {
            return Ok(());
        }
        if self.info.user_pin_locked() {
            return Err(Pkcs11Error::Locked(token()));
        }
        let result = if self.info.protected_authentication_path() {
            session.login(UserType::User, None)
        } else {
            let request = PinRequest { token: token(), last_try: self.info.user_pin_final_try() };
            let pin: Passphrase = pin(request)
                .map_err(Pkcs11Error::PinFailed)?
                .ok_or_else(|| Pkcs11Error::PinNeeded(token()))?;
            session.login_with_raw(UserType::User, &RawAuthPin::new(Box::new(pin.as_bytes().to_vec())))
        };
        match result {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(()),
            Err(Error::Pkcs11(RvError::PinLocked, _)) => Err(Pkcs11Error::Locked(token())),
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _)) => {
                let now = self.context.get_token_info(self.slot);
                if now.as_ref().is_ok_and(TokenInfo::user_pin_locked) {
                    return Err(Pkcs11Error::Locked(token()));
                }
                let last_try = now.is_ok_and(|info| info.user_pin_final_try());
                Err(Pkcs11Error::WrongPin { token: token(), last_try })
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// What a key object says of itself.
struct ObjectFacts {
    handle: ObjectHandle,
    /// Fit for printing.
    label: String,
    label_bytes: Vec<u8>,
    id: Vec<u8>,
    kind: Option<KeyType>,
    signs: Option<bool>,
    asks_each_time: bool,
}

impl fmt::Display for ObjectFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = if self.id.is_empty() { "none".to_owned() } else { to_hex(&self.id) };
        write!(f, "the key `{}`, id {id}, type {}", self.label, kind_name(self.kind))
    }
}

/// The usual name of a key type.
fn kind_name(kind: Option<KeyType>) -> String {
    match kind {
        Some(KeyType::RSA) => "RSA".into(),
        Some(KeyType::EC) => "ECDSA".into(),
        Some(KeyType::EC_EDWARDS) => "Ed25519 or Ed448".into(),
        Some(KeyType::EC_MONTGOMERY) => "X25519".into(),
        Some(KeyType::DSA) => "DSA".into(),
        Some(other) => other.to_string(),
        None => "unknown".into(),
    }
}

/// The objects of a class that have this label and this id.
fn objects(
    session: &Session,
    class: ObjectClass,
    label: Option<&str>,
    id: Option<&[u8]>,
) -> Result<Vec<ObjectFacts>, Pkcs11Error> {
    let mut template = vec![Attribute::Class(class)];
    template.extend(label.map(|label| Attribute::Label(label.as_bytes().to_vec())));
    template.extend(id.map(|id| Attribute::Id(id.to_vec())));
    let handles = session.find_objects(&template)?;
    let facts: Result<Vec<_>, _> =
        handles.into_iter().map(|handle| ObjectFacts::read(session, handle)).collect();
    facts.map(|mut facts| {
        // A module lists them in any order.
        facts.sort_by(|a, b| (&a.label_bytes, &a.id).cmp(&(&b.label_bytes, &b.id)));
        facts
    })
}

impl ObjectFacts {
    fn read(session: &Session, handle: ObjectHandle) -> Result<Self, Pkcs11Error> {
        let mut facts = Self {
            handle,
            label: String::new(),
            label_bytes: Vec::new(),
            id: Vec::new(),
            kind: None,
            signs: None,
            asks_each_time: false,
        };
        // One at a time: a token may not know one of them, or give it a type that is not known here.
        for wanted in [
            AttributeType::Label,
            AttributeType::Id,
            AttributeType::KeyType,
            AttributeType::Sign,
            AttributeType::AlwaysAuthenticate,
        ] {
            match session.get_attributes(handle, &[wanted]).unwrap_or_default().pop() {
                Some(Attribute::Label(label)) => {
                    facts.label = printable(&String::from_utf8_lossy(&label));
                    facts.label_bytes = label;
                }
                Some(Attribute::Id(id)) => facts.id = id,
                Some(Attribute::KeyType(kind)) => facts.kind = Some(kind),
                Some(Attribute::Sign(signs)) => facts.signs = Some(signs),
                Some(Attribute::AlwaysAuthenticate(asks)) => facts.asks_each_time = asks,
                _ => {}
            }
        }
        Ok(facts)
    }

    /// The public key as the object stores it.
    fn point(&self, session: &Session) -> Result<Option<Vec<u8>>, Pkcs11Error> {
        let found = session.get_attributes(self.handle, &[AttributeType::EcPoint]).unwrap_or_default().pop();
        match found {
            Some(Attribute::EcPoint(point)) if !point.is_empty() => Ok(Some(point)),
            _ => Ok(None),
        }
    }

    /// Reads `CKA_EC_POINT`: 32 bytes as PKCS #11 3.0 has it (section 2.3.5), or inside an OCTET STRING as its
    /// drafts had it and most tokens do.
    fn public_key(&self, point: &[u8]) -> Result<PublicKey, Pkcs11Error> {
        let raw = match point {
            [0x04, 0x20, raw @ ..] if raw.len() == 32 => raw,
            raw => raw,
        };
        let raw: &[u8; 32] = raw
            .try_into()
            .map_err(|_| self.unusable(format!("its public key is {} bytes long, not 32", raw.len())))?;
        PublicKey::from_bytes(raw).map_err(|error| self.unusable(error.to_string()))
    }

    fn unusable(&self, reason: String) -> Pkcs11Error {
        Pkcs11Error::Unusable { label: self.label.clone(), reason }
    }
}

/// The one private key that a URI names; an Ed25519 key that signs.
struct PrivateObject {
    facts: ObjectFacts,
}

impl PrivateObject {
    fn find(uri: &Pkcs11Uri, token: &Token, session: &Session) -> Result<Self, Pkcs11Error> {
        let mut found = objects(session, ObjectClass::PRIVATE_KEY, uri.object.as_deref(), uri.id.as_deref())?;
        let label = printable(token.info.label());
        let described = |found: &[ObjectFacts]| found.iter().map(ToString::to_string).collect();
        let facts = match found.len() {
            0 => {
                let there = described(&objects(session, ObjectClass::PRIVATE_KEY, None, None)?);
                return Err(Pkcs11Error::NoKey { token: label, there });
            }
            1 => found.remove(0),
            _ => return Err(Pkcs11Error::SeveralKeys { token: label, there: described(&found) }),
        };
        if facts.kind != Some(KeyType::EC_EDWARDS) {
            let kind = kind_name(facts.kind);
            return Err(
                facts.unusable(format!("it is a key of type {kind}; signatures here are Ed25519 only"))
            );
        }
        if facts.signs == Some(false) {
            return Err(facts.unusable("the token does not allow it to sign".into()));
        }
        if facts.asks_each_time {
            return Err(facts.unusable(
                "the token asks for the PIN with every signature (CKA_ALWAYS_AUTHENTICATE), which is not supported".into(),
            ));
        }
        Ok(Self { facts })
    }

    fn public_key(&self, session: &Session) -> Result<PublicKey, Pkcs11Error> {
        let facts = &self.facts;
        let label = String::from_utf8_lossy(&facts.label_bytes);
        let (label, id) = if facts.id.is_empty() {
            (Some(label.as_ref()).filter(|label| !label.is_empty()), None)
        } else {
            (None, Some(facts.id.as_slice()))
        };
        let mut points = BTreeSet::new();
        if label.is_some() || id.is_some() {
            for object in objects(session, ObjectClass::PUBLIC_KEY, label, id)? {
                if object.kind == Some(KeyType::EC_EDWARDS) {
                    points.extend(object.point(session)?);
                }
            }
        }
        if points.is_empty() {
            if let Some(key) = self.public_key_info(session) {
                return key.map_err(|error| facts.unusable(error.to_string()));
            }
            points.extend(facts.point(session)?);
        }
        match points.pop_first() {
            Some(point) if points.is_empty() => facts.public_key(&point),
            Some(_) => Err(facts.unusable("several different public keys stand beside it".into())),
            None => Err(facts.unusable("the token does not hold the public key that belongs to it".into())),
        }
    }

    /// What the private object says of its public half (`CKA_PUBLIC_KEY_INFO`, PKCS #11 2.40).
    fn public_key_info(&self, session: &Session) -> Option<Result<PublicKey, PublicKeyError>> {
        let found = session.get_attributes(self.facts.handle, &[AttributeType::PublicKeyInfo]).ok()?.pop()?;
        let Attribute::PublicKeyInfo(der) = found else { return None };
        let spki = SubjectPublicKeyInfoRef::from_der(&der).ok()?;
        if spki.algorithm.oid != key_kind::ED25519 {
            return Some(Err(PublicKeyError::OtherType(key_kind::name_of_oid(spki.algorithm.oid))));
        }
        let raw = spki.subject_public_key.as_bytes()?.try_into().ok()?;
        Some(PublicKey::from_bytes(raw))
    }
}
