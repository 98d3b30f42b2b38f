//! No parser panics, whatever it is given; and what a parser accepts, it gives back unchanged.

mod common;

use std::sync::LazyLock;

use common::sign;
use consign_signing::{
    About, Attestations, Fingerprint, Passphrase, PrivateKey, ProvenanceFile, ProvenancePredicate,
    ProvenanceStatement, PublicKey, Receipt, ReceiptLevel, ReceiptReason, ReceiptSigner, ReceiptVerdict,
    Revocation, Revocations, SignedProvenance, SignedReceipt, SignedRevocation, SignedStatement, Signer as _,
    Statement, Timestamp, TrustBundle, TrustPolicy, TrustedKey,
};
use proptest::prelude::*;
use proptest::sample::Index;

const VALID: &str = "the examples are valid";

static KEY: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate().expect(VALID));
static LINE: LazyLock<Vec<u8>> = LazyLock::new(|| sign(&KEY).line().to_vec());
static TEXTS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let passphrase = Passphrase::from_line(b"x").expect(VALID);
    let policy = TrustPolicy::default().with_key(TrustedKey::new(
        "a".parse().expect(VALID),
        *KEY.public_key(),
        vec!["owner".parse().expect(VALID)],
    ));
    let published = format!(
        "name = \"x\"\nversion = 3\nexpires = 2030-01-01T00:00:00Z\n{}not_after = 2031-01-01T00:00:00Z\n\
         revoked = {{ at = 2029-01-01T00:00:00Z, reason = \"superseded\", note = \"y\" }}\n\
         [root]\nkeys = [\"a\"]\nthreshold = 1\n\
         [[rule]]\nbundles = \"{{a,b-*}}\"\nkeys = 2\nrequire = [{{ role = \"owner\", keys = 2, owners = 2 }}]\n",
        policy.clone().expect(VALID).to_toml()
    )
    .replace("name = \"x\"\nversion = 3\nexpires = 2030-01-01T00:00:00Z\nformat = 1\n", "format = 1\nname = \"x\"\nversion = 3\nexpires = 2030-01-01T00:00:00Z\n");
    let time = "2026-11-22T03:00:00Z".parse().expect(VALID);
    let bundle = TrustBundle::publish(&*KEY, &published, time).expect(VALID);
    let claim = Statement::parse(include_bytes!("data/statement.json")).expect(VALID).claim;
    let (reason, role) = ("wrong".parse().expect(VALID), "owner".parse().expect(VALID));
    let revocation = Revocation::of(&claim, reason, *KEY.public_key(), role, time);
    let revocation = SignedRevocation::sign(&*KEY, &revocation).expect(VALID);
    let provenance = ProvenancePredicate::parse(include_bytes!("data/provenance.json")).expect(VALID);
    let provenance = ProvenanceStatement::new(&claim, provenance);
    let provenance = SignedProvenance::sign(&*KEY, &provenance).expect(VALID);
    let reason = ReceiptReason { code: "frame-altered".parse().expect(VALID), message: "wrong".parse().ok() };
    let receipt = Receipt {
        sha256: claim.subject_digest(),
        size: 7,
        about: About::Bundle(claim.bundle),
        verdict: ReceiptVerdict::Refused { level: Some(ReceiptLevel::Content), reasons: vec![reason] },
        attestations: vec![consign_metadata::Sha256Digest::of(b"x")],
        signers: vec![ReceiptSigner {
            fingerprint: KEY.public_key().fingerprint(),
            role: "owner".parse().expect(VALID),
        }],
        policy: consign_metadata::Sha256Digest::of(b"y"),
        ledger: None,
        version: "0.1.0".parse().expect(VALID),
        public_key: *KEY.public_key(),
        role: "recipient".parse().expect(VALID),
        time,
    };
    vec![
        include_bytes!("data/provenance.json").to_vec(),
        ProvenanceFile::new(provenance).to_bytes(),
        LINE.clone(),
        [&LINE[..], b"\n"].concat(),
        Statement::parse(include_bytes!("data/statement.json")).expect(VALID).to_payload(),
        KEY.public_key().to_spki_pem().into_bytes(),
        KEY.public_key().to_openssh(None).into_bytes(),
        KEY.to_pkcs8_pem().expect(VALID).as_bytes().to_vec(),
        KEY.to_encrypted_pkcs8_pem(&passphrase).expect(VALID).as_bytes().to_vec(),
        policy.expect(VALID).to_toml().into_bytes(),
        published.into_bytes(),
        bundle.to_bytes(),
        Revocations::new(revocation).to_bytes(),
        receipt.to_payload(),
        SignedReceipt::sign(&*KEY, &receipt).expect(VALID).to_bytes(),
        KEY.public_key().fingerprint().to_string().into_bytes(),
        KEY.public_key().fingerprint().groups().into_bytes(),
    ]
});

fn feed(bytes: &[u8]) {
    if let Ok(statement) = Statement::parse(bytes) {
        assert_eq!(statement.to_payload(), bytes);
    }
    if let Ok(signed) = SignedStatement::verify(bytes) {
        assert_eq!(signed.line(), bytes);
    }
    if let Ok(attestations) = Attestations::parse(bytes) {
        assert_eq!(attestations.to_bytes(), bytes);
    }
    if let Ok(predicate) = ProvenancePredicate::parse(bytes) {
        assert!(std::str::from_utf8(bytes).expect(VALID).contains(predicate.text()));
    }
    let _ = ProvenanceFile::unverified(bytes);
    if let Ok(file) = ProvenanceFile::parse(bytes, &[*KEY.public_key()])
        && file.others().is_empty()
    {
        assert_eq!(file.to_bytes(), bytes);
    }
    if let Ok(bundle) = TrustBundle::parse(bytes) {
        assert_eq!(bundle.to_bytes(), bytes);
    }
    if let Ok(revocations) = Revocations::parse(bytes) {
        assert_eq!(revocations.to_bytes(), bytes);
    }
    if let Ok(receipt) = Receipt::parse(bytes) {
        assert_eq!(receipt.to_payload(), bytes);
    }
    if let Ok(receipt) = SignedReceipt::read(bytes) {
        assert_eq!(receipt.to_bytes(), bytes);
    }
    if let Ok(key) = PublicKey::parse(bytes) {
        assert_eq!(PublicKey::from_bytes(key.as_bytes()), Ok(key));
    }
    let _ = PrivateKey::parse(bytes, &mut |_| Ok(None));
    let _ = Passphrase::from_line(bytes);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(policy) = TrustPolicy::parse(&text) {
        assert_eq!(TrustPolicy::parse(&policy.to_toml()), Ok(policy));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        assert_eq!(time.to_string(), text);
    }
    if let Ok(fingerprint) = text.parse::<Fingerprint>() {
        assert_eq!(fingerprint.to_string().parse(), Ok(fingerprint));
    }
}

/// What may happen to a text on its way.
fn altered() -> impl Strategy<Value = Vec<u8>> {
    let splice = (any::<Index>(), 0..8usize, prop::collection::vec(any::<u8>(), 0..8));
    (any::<Index>(), prop::collection::vec(splice, 1..4)).prop_map(|(which, splices)| {
        let mut text = which.get(&TEXTS[..]).clone();
        for (at, removed, inserted) in splices {
            let at = at.index(text.len() + 1);
            let end = (at + removed).min(text.len());
            text.splice(at..end, inserted);
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        feed(&bytes);
    }

    #[test]
    fn arbitrary_text(text in "\\PC{0,200}") {
        feed(text.as_bytes());
    }

    #[test]
    fn altered_texts(text in altered()) {
        feed(&text);
    }

    /// Any DER inside each armour.
    #[test]
    fn armoured_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), which in 0..4usize) {
        use base64::Engine as _;
        let label = ["PUBLIC KEY", "PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY"][which];
        let body = base64::engine::general_purpose::STANDARD.encode(bytes);
        feed(format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n").as_bytes());
    }

    /// A signed line with one byte replaced is never accepted.
    #[test]
    fn one_byte_replaced(at in any::<Index>(), byte in any::<u8>()) {
        let mut line = LINE.clone();
        let at = at.index(line.len());
        let same = line[at] == byte;
        line[at] = byte;
        prop_assert_eq!(SignedStatement::verify(&line).is_ok(), same);
    }
}

#[test]
fn deep_nesting_is_no_matter() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let text = format!("{}{}", open.repeat(10_000), close.repeat(10_000));
        feed(text.as_bytes());
        feed(format!("format = 1\nkey = {text}").as_bytes());
        feed(format!("{{\"_type\":{text}}}").as_bytes());
    }
    feed(format!("format = 1\n{} = 1", vec!["a"; 20_000].join(".")).as_bytes());
    feed(format!("format = 1\nkey = {}", "{a=".repeat(20_000)).as_bytes());
}
