//! Everything that `consign` does, without its words: the engine that programs embed.
#![allow(missing_docs)]

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
