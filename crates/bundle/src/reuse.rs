//! Compressed frames that are there already, from an earlier archive: found by the id of their content, and
//! used only if they decode to that very content.

use std::collections::HashMap;
use std::io;

use crate::archive::{Anchor, Archive, ArchiveError, ReadAt};
use crate::encoder::EncoderId;
use crate::frame::Decoder;
use crate::tail::longest;

/// Where a compressed frame stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) offset: u64,
    pub(crate) compressed: u32,
    pub(crate) decoded: u32,
}

/// Frames of one file, by the id of their content.
pub(crate) struct Stock<R> {
    source: R,
    places: HashMap<[u8; 32], Place>,
}

impl<R: ReadAt> Stock<R> {
    pub(crate) fn new(source: R, places: HashMap<[u8; 32], Place>) -> Self {
        Self { source, places }
    }

    /// Reads a frame that decodes to exactly `content` into `frame`, and says where it stands.
    pub(crate) fn find(
        &self,
        content_id: &[u8; 32],
        content: &[u8],
        decoder: &mut Reader,
        frame: &mut Vec<u8>,
    ) -> Option<Place> {
        self.read(self.places.get(content_id)?, content, decoder, frame)
    }

    /// The same for a frame that should stand at this place. What the file says of itself is not believed: the
    /// frame is decoded and compared.
    pub(crate) fn read(
        &self,
        place: &Place,
        content: &[u8],
        decoder: &mut Reader,
        frame: &mut Vec<u8>,
    ) -> Option<Place> {
        let len = u32::try_from(content.len()).ok().filter(|len| *len == place.decoded)?;
        if u64::from(place.compressed) > longest(len) {
            return None;
        }
        frame.resize(usize::try_from(place.compressed).ok()?, 0);
        self.source.read_exact_at(frame, place.offset).ok()?;
        decoder.decoder.decode(frame, len, &mut decoder.decoded).ok()?;
        (decoder.decoded == content).then_some(*place)
    }
}

/// What one thread needs to look frames up.
pub(crate) struct Reader {
    decoder: Decoder,
    decoded: Vec<u8>,
}

impl Reader {
    /// # Errors
    /// There is no memory for it.
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { decoder: Decoder::new()?, decoded: Vec::new() })
    }
}

/// An earlier archive whose frames are used again where the content is the same.
///
/// It need not be trusted: a frame is used only after it was decoded and found to hold what is to be packed.
pub struct Base {
    stock: Stock<Box<dyn ReadAt + Send>>,
    encoder: EncoderId,
}

impl Base {
    /// Opens an archive by its tail.
    ///
    /// # Errors
    /// It cannot be read, or is not an archive.
    pub fn open(source: impl ReadAt + Send + 'static) -> Result<Self, ArchiveError> {
        let Archive { source, tail, .. } = Archive::open(source, Anchor::Unsigned)?;
        let place = |frame: &crate::tail::FrameRecord| Place {
            offset: frame.offset,
            compressed: frame.compressed,
            decoded: frame.decoded,
        };
        let places = tail.frames.iter().map(|frame| (frame.content_id, place(frame))).collect();
        Ok(Self { stock: Stock::new(Box::new(source), places), encoder: tail.encoder })
    }

    /// How it was compressed. Only frames of the encoder that packs are used again: those of another may be
    /// compressed in another way.
    pub fn encoder(&self) -> &EncoderId {
        &self.encoder
    }

    /// Reads the frame of that content, and says whether it is there.
    pub(crate) fn find(
        &self,
        content_id: &[u8; 32],
        content: &[u8],
        reader: &mut Reader,
        frame: &mut Vec<u8>,
    ) -> bool {
        self.stock.find(content_id, content, reader, frame).is_some()
    }
}
