//! Looks for secrets, markings, code and what is missing in files while they stream by. Executes nothing, opens nothing.
//!
//! [`Scanner`] holds the rules; [`FileScan`] looks at one file, in whatever pieces its bytes come; [`BundleScan`] puts
//! together what was found in all of them. What is found depends on the content alone: neither on how it was cut into
//! pieces nor on the order of the files. `docs/findings.md` lists the rules.

mod allow_list;
mod blocks;
mod bundle_scan;
mod content;
mod data;
mod incomplete;
mod inflate;
mod inspect;
mod marking;
mod members;
mod model;
mod notebook;
mod scanner;
mod secret;
mod text;
mod wide;
mod zip;

pub use allow_list::{ALLOW_ENTRIES_MAX, ALLOW_LIST_BYTES_MAX, ALLOW_TEXT_MAX, AllowEntry, AllowList};
pub use bundle_scan::{BundleScan, Scanned};
pub use data::{DataFacts, DataFault, DataVariable, HEADER_MAX, VARIABLES_MAX, data_facts, is_tabular};
pub use inspect::{Inspect, LISTED_MAX, Need, Report, Subject};
pub use marking::{MARKING_MAX, MARKINGS_MAX, Marking};
pub use members::{Member, MemberFactory, Nesting};
pub use model::{ModelMembers, model_inspector};
pub use scanner::{FileReport, FileScan, ScanOptions, Scanner};
pub use secret::secret_in;
