//! What data are: how they came about, what they cover, what their tables and arrays hold.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::decode::{Decode, Decoder, Path, record};
use crate::text::{Line, Paragraph};
use crate::tree::{Node, ScalarKind, Value};

/// What a receiver of data has to know before using them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// How they were measured, simulated or collected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<Paragraph>,
    /// What they cover: period, place, population, samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Paragraph>,
    /// Known gaps, errors and uncertainties, and what was checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<Paragraph>,
    /// The tables and arrays that the files hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<DataTable>,
}

record!(Data { collection, coverage, quality, tables });

/// A table or a set of arrays: one file, or several that hold the same variables.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataTable {
    /// The file, or a pattern of the files, such as `train-*.csv`.
    pub path: Line,
    /// How many files there are, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Count>,
    /// How many records they hold together: rows, lines, steps of a dimension without end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub records: Option<Count>,
    /// Lengths of the dimensions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<Line, Count>,
    /// The columns or arrays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<Variable>,
}

record!(DataTable { path, files, records, dimensions, variables });

/// A column or an array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// Its name in the file.
    pub name: Line,
    /// Its unit, such as `K` or `m s-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Line>,
    /// The type of its values, as the format names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<Line>,
    /// The dimensions that it stretches over, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dimensions: Vec<Line>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Paragraph>,
}

record!(Variable { name, unit, dtype, dimensions, description });

/// Largest [`Count`]: more than this no reader of JSON holds exactly.
pub const COUNT_MAX: u64 = (1 << 53) - 1;

/// How many there are of something: a whole number from 0 to 2⁵³ − 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "u64", into = "u64")]
#[schemars(with = "u64", extend("maximum" = COUNT_MAX))]
pub struct Count(u64);

impl Count {
    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Count {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        if number <= COUNT_MAX { Ok(Self(number)) } else { Err(format!("{number} is more than {COUNT_MAX}")) }
    }
}

impl From<Count> for u64 {
    fn from(count: Count) -> Self {
        count.0
    }
}

impl Decode for Count {
    fn decode(node: &Node, path: &Path<'_>, decoder: &mut Decoder<'_>) -> Option<Self> {
        if let Value::Scalar(scalar) = &node.value
            && matches!(scalar.kind, ScalarKind::Integer | ScalarKind::Override)
            && let Ok(number) = scalar.text.parse::<u64>()
            // `007` and `+7` mean one thing to one reader and another to the next.
            && number.to_string() == scalar.text
            && let Ok(count) = Self::try_from(number)
        {
            return Some(count);
        }
        let wanted = format!("a whole number from 0 to {COUNT_MAX}");
        decoder.wrong_type(&wanted, node, path, None);
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::{Descriptor, DescriptorSyntax, Scheme};

    #[test]
    fn field_c5_a_descriptor_says_what_data_hold() {
        let text = |data: &str| {
            format!(
                "name: a\nversion: 1.0.0\nkind: dataset\nclassification: public\n\
                 contact: {{name: A, email: a@example.org}}\ndata: {data}\n"
            )
        };
        let parse =
            |text: &str| Descriptor::parse(text.as_bytes(), DescriptorSyntax::Yaml, &[], &Scheme::builtin());
        let good = "{coverage: 2020, tables: [{path: a.nc, records: 12, dimensions: {time: 12}, \
                    variables: [{name: t, unit: K, dimensions: [time]}]}]}";
        let descriptor = parse(&text(&good.replace("2020", "'2020'"))).unwrap();
        let table = &descriptor.details.data.unwrap().tables[0];
        assert_eq!(table.records.unwrap().get(), 12);
        assert_eq!(table.variables[0].unit.as_ref().unwrap().as_str(), "K");
        for (bad, at) in [
            (good, "data.coverage"),
            ("{tables: [{path: a, records: -1}]}", "data.tables[0].records"),
            ("{tables: [{path: a, records: 007}]}", "data.tables[0].records"),
            ("{tables: [{path: a, records: 9007199254740992}]}", "data.tables[0].records"),
            ("{tables: [{records: 1}]}", "data.tables[0].path"),
            ("{tables: [{path: a, rows: 1}]}", "data.tables[0].rows"),
        ] {
            let problems = parse(&text(bad)).unwrap_err();
            assert_eq!(problems[0].at.as_deref(), Some(at), "{bad}: {problems:?}");
        }
    }
}
