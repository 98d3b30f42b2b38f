//! Memory for content, which may be refused: by a limit of the process, or of the container that it runs in.

use std::io;

/// There is not enough memory. It is no fault of what was being read.
pub(crate) fn exhausted() -> io::Error {
    io::Error::new(
        io::ErrorKind::OutOfMemory,
        "there is not enough memory for it under the limits of this process",
    )
}

/// An empty buffer that takes so many bytes without asking again.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn reserved(capacity: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(capacity).map_err(|_| exhausted())?;
    Ok(bytes)
}

/// The same for a buffer that may hold something, which takes so many bytes more.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn reserve(bytes: &mut Vec<u8>, more: usize) -> io::Result<()> {
    bytes.try_reserve(more).map_err(|_| exhausted())
}

/// Makes it so long; what is new are zeros.
///
/// # Errors
/// There is no memory for it.
pub(crate) fn resize(bytes: &mut Vec<u8>, len: usize) -> io::Result<()> {
    reserve(bytes, len.saturating_sub(bytes.len()))?;
    bytes.resize(len, 0);
    Ok(())
}

/// So many zeros.
///
/// # Errors
/// There is no memory for them.
pub(crate) fn zeros(len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = reserved(len)?;
    bytes.resize(len, 0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_l2_what_cannot_be_had_is_an_error() {
        assert_eq!(zeros(usize::MAX / 2).unwrap_err().kind(), io::ErrorKind::OutOfMemory);
        assert_eq!(zeros(3).unwrap(), [0; 3]);
    }
}
