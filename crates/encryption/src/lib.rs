//! Encryption to recipients, in the age format (C2SP, version 1). Knows no archive and no statement.
//!
//! | type | what it is |
//! |---|---|
//! | [`Recipient`] | a public key, `age1…`: whoever has it can encrypt |
//! | [`Identities`] | private keys, `AGE-SECRET-KEY-1…`: whoever has one of them can decrypt |
//! | [`Encryptor`] | a writer that encrypts as it goes, made by [`encrypt`] |
//! | [`Decryptor`] | a reader that decrypts as it goes, made by [`decrypt`] |
//! | [`DecryptedFile`] | an encrypted file that is read at any place, from several threads |
//!
//! The crate `age` does the work; nothing of it shows here. Of the recipients that age knows only its own X25519
//! ones are taken: plugins are programs that somebody else chose, and SSH keys are for signing.
//!
//! ```
//! use std::io::{Read, Write};
//! use consign_encryption::{Identities, Recipient, decrypt, encrypt};
//! let laboratory = Identities::generate();
//! let recipient: Recipient = laboratory.recipients()[0].to_string().parse()?;
//!
//! let mut file = Vec::new();
//! let mut writer = encrypt(&mut file, &[recipient])?;
//! writer.write_all(b"weights")?;
//! writer.finish()?;
//!
//! let mut content = Vec::new();
//! decrypt(&file[..], &laboratory)?.read_to_end(&mut content)?;
//! assert_eq!(content, b"weights");
//! assert!(decrypt(&file[..], &Identities::generate()).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What is encrypted is not authenticated as anybody's: whoever knows a recipient can encrypt to it. Who says so is
//! a matter of signatures.

mod decrypt;
mod encrypt;
mod file;
mod header;
mod identity;
mod recipient;

pub use decrypt::{DecryptError, Decryptor, HEADER_BYTES_MAX, STANZAS_MAX, decrypt};
pub use encrypt::{EncryptError, Encryptor, RECIPIENTS_MAX, encrypt};
pub use file::DecryptedFile;
pub use identity::{IDENTITIES_MAX, Identities, IdentityError, WORK_FACTOR_MAX};
pub use recipient::{Recipient, RecipientError, RecipientErrorKind, parse_recipients};
