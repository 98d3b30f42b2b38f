//! Receipts as the command line makes and checks them.

mod check;
mod issue;

pub use check::{CheckedReceipt, CheckedSubject, ReceiptTrustArgs, check, read};
pub use issue::{Arrival, Issuer, Written};

/// The end of the name of every file that holds a statement.
const STATEMENT: &str = ".intoto.jsonl";
const RECEIPT: &str = ".receipt";

/// The name of the n-th receipt about a bundle, counted from 1.
fn name(stem: &str, n: u32) -> String {
    match n {
        1 => format!("{stem}{RECEIPT}{STATEMENT}"),
        n => format!("{stem}{RECEIPT}-{n}{STATEMENT}"),
    }
}

/// Whether a file of that name holds a receipt.
pub fn is_receipt(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(STATEMENT) else { return false };
    let numbered = |(before, number): (&str, &str)| {
        before.ends_with(RECEIPT) && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
    };
    stem.ends_with(RECEIPT) || stem.rsplit_once('-').is_some_and(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receipts_are_told_by_their_names() {
        for n in [1, 2, 17] {
            assert!(is_receipt(&name("minilm-1.0.0", n)));
        }
        for other in
            ["minilm-1.0.0.intoto.jsonl", "receipt-2.intoto.jsonl", "a.receipt-x.intoto.jsonl", "a.receipt"]
        {
            assert!(!is_receipt(other), "{other}");
        }
    }
}
