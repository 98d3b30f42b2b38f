//! Everything that `consign` does, without its words: the engine that the command line and other programs stand on.
//!
//! ```
//! use consign::context::Context;
//! use consign::exit::Exit;
//! use consign::key_source::KeyArgs;
//! use consign::operations::pack::Pack;
//! use consign::operations::verify::Verify;
//! # let dir = tempfile::tempdir()?;
//! # let at = |name: &str| dir.path().join(name);
//! # let key = consign_signing::PrivateKey::generate()?;
//! # consign_signing::write_private_key_file(&at("ada.key"), &key.to_pkcs8_pem()?)?;
//! # use consign_signing::Signer as _;
//! # std::fs::write(at("ada.key.pub"), key.public_key().to_openssh(None))?;
//! # std::fs::create_dir(at("model"))?;
//! # std::fs::write(at("model/weights.bin"), [0; 100])?;
//! # std::fs::write(at("model/consign.yaml"), "{name: tiny, version: 1.0.0, kind: model, \
//! #   classification: internal, contact: {name: Ada, email: ada@example.org}}")?;
//! // A home of its own for trust, policy and the record; nothing else is read from the environment.
//! let context = Context::at(&at("home"));
//!
//! let key = KeyArgs::new(at("ada.key"), "owner".parse()?);
//! let (packed, recorded) = context.perform(&Pack::new(at("model"), at("out"), key));
//! assert_eq!(packed.exit, Exit::Done, "{:?}", packed.problems);
//! let bundle = packed.report.ok_or("nothing was packed")?.bundle;
//! assert_eq!((bundle.name.as_str(), recorded.events.len()), ("tiny", 1));
//!
//! let key = at("ada.key.pub").display().to_string();
//! let (verified, _) = context.perform(&Verify::new(at("out"), vec![key]));
//! assert!(verified.report.ok_or("nothing was verified")?.bundles[0].verified);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Context`](context::Context) says where consign's files are, what time it is, who may be asked and what stops it;
//! [`operations`] has what can be asked, each a request with a report. What was done is in the ledger of that home before
//! [`perform`](context::Context::perform) returns.
#![allow(
    missing_docs,
    reason = "fields of reports are named as their JSON is, which `docs` and the schema explain"
)]

pub mod act;
pub mod addressing;
pub mod bundle_out;
pub mod bundle_set;
pub mod checked;
pub mod claimed;
pub mod config;
pub mod context;
pub mod descriptor_file;
pub mod encrypted_set;
#[cfg_attr(not(feature = "encryption"), path = "no_encryption.rs")]
pub mod encryption;
pub mod environment;
pub mod examined;
pub mod exit;
pub mod failure;
pub mod git;
pub mod handling;
pub mod hashing;
pub mod key_source;
pub mod keys;
pub mod ledger;
pub mod lineage;
pub mod memory;
pub mod operation;
pub mod operations;
pub mod outputs;
pub mod parcel;
pub mod person;
pub mod progress;
pub mod provenance;
pub mod publishing;
pub mod reading;
pub mod receipts;
#[cfg_attr(not(feature = "encryption"), allow(dead_code, reason = "nothing can be opened"))]
pub mod recipients;
pub mod restated;
pub mod scan_args;
pub mod secrecy;
pub mod sign_statement;
pub mod source_args;
pub mod spool;
pub mod state;
pub mod store_args;
pub mod survey;
pub mod variables;
pub mod vouching;
pub mod withdrawn;
pub mod words;
