//! What each classification demands, and whether a bundle meets it: one decision with all its reasons.
