//! What files of data hold, as far as their headers and lines say: records, dimensions, variables.
//!
//! Nothing is executed and nothing but the reader that is given is read. What is read is bounded: headers and footers by
//! [`HEADER_MAX`], whole files by the budget of the caller.

mod lines;
mod netcdf;
mod parquet;

use std::fmt;
use std::io::{self, Read, Seek, SeekFrom};

use consign_metadata::FileFormat;

/// Longest header or footer that is read, in bytes.
pub const HEADER_MAX: u64 = 4 << 20;
/// Most variables of a file that are told.
pub const VARIABLES_MAX: usize = 1000;

/// What a file of data holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataFacts {
    /// How many records: rows, lines, steps of the dimension without end. `None` where that is not known.
    pub records: Option<u64>,
    /// Dimensions with their lengths, in the order of the file.
    pub dimensions: Vec<(String, u64)>,
    /// Columns or arrays, in the order of the file, at most [`VARIABLES_MAX`].
    pub variables: Vec<DataVariable>,
    /// What else to know, such as rows of another length.
    pub remarks: Vec<String>,
}

/// A column or an array.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataVariable {
    /// Its name, as the file spells it.
    pub name: String,
    /// Its unit.
    pub unit: Option<String>,
    /// Its type, as the format names it.
    pub dtype: Option<&'static str>,
    /// Names of the dimensions that it stretches over.
    pub dimensions: Vec<String>,
    /// What the file says it is.
    pub description: Option<String>,
}

/// Why nothing could be found out.
#[derive(Debug)]
pub enum DataFault {
    /// It breaks a rule of its format.
    Malformed(&'static str),
    /// It is shorter than its header says.
    Truncated,
    /// Its header is longer than [`HEADER_MAX`].
    HeaderTooLong,
    /// Nobody here reads this format.
    NotRead,
    /// To find out, more would have to be read than may be.
    OverBudget,
    /// The caller had enough.
    Stopped,
    /// It cannot be read.
    Io(io::Error),
}

impl fmt::Display for DataFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(what) => f.write_str(what),
            Self::Truncated => f.write_str("it is shorter than its header says"),
            Self::HeaderTooLong => write!(f, "its header is longer than {HEADER_MAX} bytes"),
            Self::NotRead => f.write_str("this version of consign does not read its variables"),
            Self::OverBudget => f.write_str("it is too large to be counted here"),
            Self::Stopped => f.write_str("it was stopped"),
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
        }
    }
}

impl std::error::Error for DataFault {}

impl From<io::Error> for DataFault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Whether a file of this format is data with records, dimensions or variables.
pub fn is_tabular(format: FileFormat) -> bool {
    use FileFormat as F;
    matches!(format, F::Netcdf | F::Hdf5 | F::Csv | F::Tsv | F::JsonLines | F::Parquet)
}

/// Looks into a file of data. Of `budget`, the bytes that may still be read to count lines, it takes what it needs.
///
/// # Errors
/// See [`DataFault`].
pub fn data_facts(
    file: &mut (impl Read + Seek),
    size: u64,
    format: FileFormat,
    budget: &mut u64,
    stop: &dyn Fn() -> bool,
) -> Result<DataFacts, DataFault> {
    match format {
        FileFormat::Netcdf => netcdf::facts(&head(file, size)?, size),
        FileFormat::Parquet => parquet::facts(&footer(file, size)?),
        FileFormat::Csv | FileFormat::Tsv | FileFormat::JsonLines => {
            *budget = budget.checked_sub(size).ok_or(DataFault::OverBudget)?;
            file.rewind()?;
            match format {
                FileFormat::JsonLines => lines::json_lines(&mut file.take(size), stop),
                format => lines::table(&mut file.take(size), format == FileFormat::Tsv, stop),
            }
        }
        _ => Err(DataFault::NotRead),
    }
}

/// The beginning of a file, as long as a header may be.
fn head(file: &mut (impl Read + Seek), size: u64) -> Result<Vec<u8>, DataFault> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.take(size.min(HEADER_MAX)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What stands before the length and the mark at the end of a Parquet file.
fn footer(file: &mut (impl Read + Seek), size: u64) -> Result<Vec<u8>, DataFault> {
    const END: u64 = 8;
    let end = size.checked_sub(END).ok_or(DataFault::Truncated)?;
    file.seek(SeekFrom::Start(end))?;
    let mut last = [0; 8];
    file.read_exact(&mut last)?;
    let (length, mark) = last.split_at(4);
    match mark {
        b"PAR1" => {}
        b"PARE" => return Err(DataFault::Malformed("its footer is encrypted")),
        _ => return Err(DataFault::Truncated),
    }
    let length = length.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    if length > HEADER_MAX {
        return Err(DataFault::HeaderTooLong);
    }
    // The mark stands at the beginning, too.
    let start = end.checked_sub(length).filter(|&start| start >= 4).ok_or(DataFault::Truncated)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}
