//! Reading headers out of chunks: a parser says how many bytes it wants next, and gets them in one piece.

/// What a parser wants next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// So many bytes, in one piece. They are kept meanwhile: the parser bounds them.
    Take(usize),
    /// Nothing of the next so many bytes.
    Skip(u64),
    /// Nothing any more.
    Nothing,
}

/// Cuts chunks into the pieces that a parser wants.
#[derive(Debug)]
pub(super) struct Feed {
    want: Want,
    kept: Vec<u8>,
    seen: u64,
}

impl Feed {
    pub(super) fn new(first: Want) -> Self {
        Self { want: first, kept: Vec::new(), seen: 0 }
    }

    /// How many bytes have come.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }

    /// Whether the parser waits for bytes.
    pub(super) fn is_waiting(&self) -> bool {
        !matches!(self.want, Want::Nothing | Want::Skip(0) | Want::Take(0)) || !self.kept.is_empty()
    }

    /// Passes a chunk on. `piece` is called with each piece that is complete (and the position behind it), or with
    /// none when a stretch has been skipped, and says what comes next.
    pub(super) fn update(&mut self, mut bytes: &[u8], mut piece: impl FnMut(&[u8], u64) -> Want) {
        self.settle(&mut piece);
        while !bytes.is_empty() {
            match &mut self.want {
                Want::Nothing => {
                    self.seen = self.seen.saturating_add(bytes.len() as u64);
                    return;
                }
                Want::Skip(left) => {
                    let step = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                    *left -= step as u64;
                    self.seen += step as u64;
                    bytes = &bytes[step..];
                }
                Want::Take(length) => {
                    let step = (*length - self.kept.len()).min(bytes.len());
                    self.seen += step as u64;
                    let (now, rest) = bytes.split_at(step);
                    bytes = rest;
                    if self.kept.is_empty() && step == *length {
                        self.want = piece(now, self.seen);
                    } else {
                        self.kept.extend_from_slice(now);
                    }
                }
            }
            self.settle(&mut piece);
        }
    }

    /// Asks on as long as no further bytes are needed for it.
    fn settle(&mut self, piece: &mut impl FnMut(&[u8], u64) -> Want) {
        loop {
            match self.want {
                Want::Skip(0) => self.want = piece(&[], self.seen),
                Want::Take(length) if self.kept.len() == length => {
                    let kept = std::mem::take(&mut self.kept);
                    self.want = piece(&kept, self.seen);
                }
                _ => return,
            }
        }
    }
}

/// The first bytes of `bytes` as a little-endian number.
pub(crate) fn le<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    if let Some(found) = bytes.get(at..at.saturating_add(N)) {
        value[..N.min(8)].copy_from_slice(&found[..N.min(8)]);
    }
    u64::from_le_bytes(value)
}

/// The bytes at `at` as a big-endian number.
pub(super) fn be<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let found = bytes.get(at..at.saturating_add(N)).unwrap_or_default();
    found.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
