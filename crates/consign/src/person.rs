//! The person whom an operation may ask, and tell what is going on. A program that embeds the engine decides who that is.

use std::io;

use zeroize::Zeroizing;

/// Somebody who can be asked.
pub trait Person: Send + Sync {
    /// Asks for what nobody else is to see, such as a passphrase: one line, without its end. `None` if there is nobody.
    ///
    /// # Errors
    /// The answer could not be read.
    fn secret(&self, question: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>>;

    /// Says what is being waited for.
    fn tell(&self, line: &str);
}

/// There is nobody to ask.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl Person for Nobody {
    fn secret(&self, _: &str) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        Ok(None)
    }

    fn tell(&self, _: &str) {}
}
