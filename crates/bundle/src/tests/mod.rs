//! What nobody may get past verification: archives by a dishonest signer, and damaged ones.

mod forger;
mod mutations;
mod vectors;
