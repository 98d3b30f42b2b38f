//! In which cell of a Jupyter notebook a place is, told while the file streams by.
//!
//! A notebook is one JSON object with a list `cells` of objects (nbformat 4). Nothing is parsed but brackets, strings
//! and the names of members at the depth of the document and of a cell; whatever else the file holds, the answer is
//! at worst not to know.

use consign_metadata::Line;

/// Longest name of a member that matters, in bytes.
const NAME_MAX: usize = 16;

/// Follows a notebook.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cells {
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The string that was read last, or is being read, as far as it matters.
    string: Vec<u8>,
    /// The member of the document that is being read is `cells`.
    in_cells: bool,
    /// Cells that have begun.
    count: u64,
    /// The member of the cell that is being read is `outputs`.
    in_outputs: bool,
}

impl Cells {
    /// Reads on.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ if self.string.len() < NAME_MAX => self.string.push(byte),
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.string.clear();
                }
                b'{' | b'[' => {
                    self.depth = self.depth.saturating_add(1);
                    if byte == b'{' && self.depth == 3 && self.in_cells {
                        self.count += 1;
                        self.in_outputs = false;
                    }
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                b':' if self.depth == 1 => self.in_cells = self.string == b"cells",
                b':' if self.depth == 3 => self.in_outputs = self.string == b"outputs",
                _ => {}
            }
        }
    }

    /// The cell that is being read.
    pub(crate) fn place(&self) -> Option<Line> {
        if !self.in_cells || self.depth < 3 {
            return None;
        }
        let what = if self.in_outputs { ", output" } else { "" };
        format!("cell {}{what}", self.count).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_counted_from_one() {
        let text = r#"{"metadata": {"cells": [{}, {"source": "not here"}]}, "cells": [
            {"cell_type": "markdown", "source": ["a \" { [ A"]},
            {"cell_type": "code", "source": ["B"], "outputs": [{"text": ["C"]}], "metadata": {"x": "D"}}
        ], "nbformat": 4, "x": ["E"]}"#;
        let place = |letter: &str| {
            let mut cells = Cells::default();
            cells.update(&text.as_bytes()[..text.find(letter).unwrap()]);
            cells.place().map(|place| place.to_string())
        };
        assert_eq!(place("not here"), None);
        assert_eq!(place("A\"").as_deref(), Some("cell 1"));
        assert_eq!(place("B").as_deref(), Some("cell 2"));
        assert_eq!(place("C").as_deref(), Some("cell 2, output"));
        assert_eq!(place("D").as_deref(), Some("cell 2"));
        assert_eq!(place("E"), None);
    }
}
