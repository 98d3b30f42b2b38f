//! Classification schemes: which levels exist, from the most open to the most closed.

use crate::text::Classification;

/// An ordered list of classification levels, lowest first.
///
/// ```
/// use consign_metadata::Scheme;
/// let scheme = Scheme::builtin();
/// let level = |name: &str| name.parse().expect("a plain word");
/// assert!(scheme.rank(&level("public")) < scheme.rank(&level("restricted")));
/// assert_eq!(scheme.rank(&level("secret")), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    levels: Vec<Classification>,
}

impl Scheme {
    /// The four levels of the guidance that consign implements: public, internal, confidential, restricted.
    pub fn builtin() -> Self {
        let levels = ["public", "internal", "confidential", "restricted"];
        Self { levels: levels.iter().filter_map(|name| name.parse().ok()).collect() }
    }

    /// A scheme of these levels, lowest first; `None` if there is none, or one appears twice.
    pub fn new(levels: Vec<Classification>) -> Option<Self> {
        let twice = levels.iter().enumerate().any(|(n, level)| levels[..n].contains(level));
        (!levels.is_empty() && !twice).then_some(Self { levels })
    }

    /// All levels, lowest first.
    pub fn levels(&self) -> &[Classification] {
        &self.levels
    }

    /// The place of a level in the order, 0 for the lowest; `None` if the scheme does not know it.
    pub fn rank(&self, level: &Classification) -> Option<usize> {
        self.levels.iter().position(|known| known == level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_scheme_has_its_four_levels() {
        assert_eq!(Scheme::builtin().levels().len(), 4);
    }
}
