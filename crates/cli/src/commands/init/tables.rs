//! What the files of data in a directory hold, as the `data.tables` of a descriptor.

use std::collections::BTreeMap;

use consign_metadata::{Count, DataTable, EntryPath, FileFormat, Line, Problem, Variable, printable};
use consign_scan::{DataFacts, DataFault, DataVariable, data_facts, is_tabular};

use crate::survey::Survey;

/// Most files that are looked into; the others are told.
const FILES_MAX: usize = 500;
/// Most tables that a descriptor gets, each of files that hold the same.
const TABLES_MAX: usize = 50;
/// Most variables of a table that go into a descriptor.
const VARIABLES_MAX: usize = 200;
/// Most bytes that are read altogether to count lines.
const BUDGET: u64 = 1 << 30;
/// Most files and remarks that are told one by one.
const TOLD_MAX: usize = 5;

/// Tables, and what else a person should know of the data.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) tables: Vec<DataTable>,
    pub(super) warnings: Vec<Problem>,
}

/// Looks into the files of data. Files of one folder that have one ending and hold the same are one table.
pub(super) fn tables(survey: &Survey, stop: &dyn Fn() -> bool) -> Tables {
    let mut out = Tables::default();
    let mut groups: BTreeMap<(String, String), Group> = BTreeMap::new();
    let mut not_read: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut budget = BUDGET;
    let data: Vec<_> = survey.sniffed_as(is_tabular).collect();
    for (path, size, format) in data.iter().take(FILES_MAX) {
        match look(survey, path, *size, *format, &mut budget, stop) {
            Ok(facts) => {
                for remark in &facts.remarks {
                    out.warnings.push(Problem::new("data-remark", remark.clone()).at(path.to_string()));
                }
                let key = (pattern_of(path), format!("{:?}", facts.variables));
                groups.entry(key).or_insert_with(|| Group::new(facts.clone())).add(path, &facts);
            }
            Err(DataFault::Stopped) => return out,
            Err(fault) => {
                let why = format!("{}: {fault}", format.label());
                not_read.entry(why).or_default().push(printable(path.as_str()));
            }
        }
    }
    for (why, paths) in &not_read {
        let shown: Vec<_> = paths.iter().take(TOLD_MAX).map(String::as_str).collect();
        let more = match paths.len().saturating_sub(TOLD_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let hint = "say what such files hold under data.tables";
        let message = format!("nothing is told of {}{more} ({why})", shown.join(", "));
        out.warnings.push(Problem::new("data-not-read", message).hint(hint));
    }
    let left = data.len().saturating_sub(FILES_MAX) + groups.len().saturating_sub(TABLES_MAX);
    if left > 0 {
        let message = format!("{left} more files or tables of data are not described");
        out.warnings
            .push(Problem::new("data-not-read", message).hint("say what they hold under data.tables"));
    }
    let mut groups: Vec<_> = groups.into_iter().map(|((pattern, _), group)| (pattern, group)).collect();
    groups.sort_by(|a, b| a.1.first.cmp(&b.1.first));
    for (pattern, group) in groups.iter().take(TABLES_MAX) {
        // A pattern that others match as well names no one of them.
        let alone = groups.iter().filter(|(other, _)| other == pattern).count() == 1;
        let path = match group.files {
            1 => group.first.clone(),
            _ if alone => pattern.clone(),
            files => format!("{} and {} more of {pattern}", group.first, files - 1),
        };
        out.add(&path, group);
    }
    out
}

fn look(
    survey: &Survey,
    path: &EntryPath,
    size: u64,
    format: FileFormat,
    budget: &mut u64,
    stop: &dyn Fn() -> bool,
) -> Result<DataFacts, DataFault> {
    let mut file = survey.open(path).map_err(|error| DataFault::Io(std::io::Error::other(error)))?;
    data_facts(&mut file, size, format, budget, stop)
}

/// Files that hold the same variables.
struct Group {
    first: String,
    facts: DataFacts,
    files: u64,
    records: Option<u64>,
    /// Whether the dimensions are of one length in all of them.
    same_lengths: bool,
}

impl Group {
    fn new(facts: DataFacts) -> Self {
        Self { first: String::new(), facts, files: 0, records: Some(0), same_lengths: true }
    }

    fn add(&mut self, path: &EntryPath, facts: &DataFacts) {
        if self.files == 0 {
            path.as_str().clone_into(&mut self.first);
        }
        self.files += 1;
        self.records = self.records.zip(facts.records).and_then(|(sum, more)| sum.checked_add(more));
        self.same_lengths &= self.facts.dimensions == facts.dimensions;
    }
}

/// The pattern of a folder's files with one ending.
fn pattern_of(path: &EntryPath) -> String {
    let text = path.as_str();
    let (folder, name) = text.rsplit_once('/').map_or(("", text), |(folder, name)| (folder, name));
    let slash = if folder.is_empty() { "" } else { "/" };
    let ending = name.split_once('.').map_or_else(String::new, |(_, ending)| format!(".{ending}"));
    format!("{folder}{slash}*{ending}")
}

impl Tables {
    fn add(&mut self, at: &str, group: &Group) {
        let Ok(path) = at.parse::<Line>() else { return };
        let mut table = DataTable {
            path,
            files: Some(group.files).filter(|&files| files > 1).and_then(count),
            records: group.records.and_then(count),
            dimensions: BTreeMap::new(),
            variables: Vec::new(),
        };
        let mut odd = 0_usize;
        if group.same_lengths {
            for (name, length) in &group.facts.dimensions {
                match (name.parse::<Line>().ok(), count(*length)) {
                    (Some(name), Some(length)) => drop(table.dimensions.insert(name, length)),
                    _ => odd += 1,
                }
            }
        }
        for variable in group.facts.variables.iter().take(VARIABLES_MAX) {
            match described(variable) {
                Some(variable) => table.variables.push(variable),
                None => odd += 1,
            }
        }
        odd += group.facts.variables.len().saturating_sub(VARIABLES_MAX);
        if odd > 0 {
            let message = format!("{odd} of its dimensions and variables are not taken over");
            self.warnings.push(Problem::new("data-remark", message).at(printable(at)));
        }
        self.tables.push(table);
    }
}

fn count(number: u64) -> Option<Count> {
    Count::try_from(number).ok()
}

/// A variable as a descriptor has it. What is no line of text there is left out; without a name it is none.
fn described(variable: &DataVariable) -> Option<Variable> {
    Some(Variable {
        name: variable.name.parse().ok()?,
        unit: variable.unit.as_ref().and_then(|unit| unit.parse().ok()),
        dtype: variable.dtype.and_then(|dtype| dtype.parse().ok()),
        dimensions: variable.dimensions.iter().filter_map(|name| name.parse().ok()).collect(),
        description: variable.description.as_ref().and_then(|text| text.parse().ok()),
    })
}
