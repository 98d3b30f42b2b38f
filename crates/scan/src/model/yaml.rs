//! YAML that names code: tags that Python's loaders call (`!!python/object/apply:…`, as unsafe as a pickle), and the
//! `_target_` by which Hydra says what to call.

use super::notes::{Notes, rule};
use crate::inspect::{Inspect, Report, Subject};

/// What is looked for. A tag may be written in full, in short, or by a handle of its own for the same prefix.
const SIGNS: [(&[u8], bool); 4] =
    [(b"!!python/", true), (b"!python/", true), (b"yaml.org,2002:python/", true), (b"_target_", false)];
/// One byte less than the longest of them: so much of what came before is kept.
const OVERLAP: usize = 20;

/// Looks into YAML, whatever it is called.
#[derive(Debug)]
pub(super) struct Yaml {
    notes: Notes,
    kept: Vec<u8>,
}

impl Yaml {
    pub(super) fn new(subject: &Subject) -> Self {
        Self { notes: Notes::new(subject), kept: Vec::new() }
    }

    fn look(&mut self, bytes: &[u8], report: &mut Report) {
        for (sign, is_tag) in SIGNS {
            if memchr::memmem::find(bytes, sign).is_some() {
                let (rule, what) = match is_tag {
                    true => (rule::YAML_PYTHON, "has tags that make Python objects"),
                    false => (rule::REMOTE_CODE, "names what to call by `_target_`"),
                };
                self.notes.add(report, rule, what);
            }
        }
    }
}

impl Inspect for Yaml {
    fn update(&mut self, bytes: &[u8], report: &mut Report) {
        // What spans two pieces, and then the piece itself.
        let begin = bytes.len().min(OVERLAP);
        let mut kept = std::mem::take(&mut self.kept);
        kept.extend_from_slice(&bytes[..begin]);
        self.look(&kept, report);
        self.look(bytes, report);
        if bytes.len() >= OVERLAP {
            kept = bytes[bytes.len() - OVERLAP..].to_vec();
        } else {
            kept.drain(..kept.len().saturating_sub(OVERLAP));
        }
        self.kept = kept;
    }

    fn finish(&mut self, _: &mut Report) {}
}
