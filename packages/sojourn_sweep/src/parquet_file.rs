//! Tables as Parquet files, for pandas, polars, duckdb.

use parquet::{
    basic::Compression,
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use sojourn_core::{CoreError, files::write_atomic};
use std::{path::Path, sync::Arc};

/// The values of a column, one for each row; in the columns that may lack some, what is not there is null.
pub enum Column {
    /// Whole numbers.
    Count(Vec<i64>),
    /// Numbers.
    Number(Vec<f64>),
    /// Numbers, some of them lacking.
    MaybeNumber(Vec<Option<f64>>),
    /// Words.
    Text(Vec<ByteArray>),
    /// Yes or no.
    Yes(Vec<bool>),
    /// Yes, no or not known.
    MaybeYes(Vec<Option<bool>>),
}

impl Column {
    /// Words from strings.
    pub fn text<'a>(values: impl Iterator<Item = &'a str>) -> Self {
        Self::Text(values.map(ByteArray::from).collect())
    }

    /// The type in the message that describes the table.
    fn kind(&self, name: &str) -> String {
        match self {
            Self::Count(_) => format!("REQUIRED INT64 {name};\n"),
            Self::Number(_) => format!("REQUIRED DOUBLE {name};\n"),
            Self::MaybeNumber(_) => format!("OPTIONAL DOUBLE {name};\n"),
            Self::Text(_) => format!("REQUIRED BYTE_ARRAY {name} (UTF8);\n"),
            Self::Yes(_) => format!("REQUIRED BOOLEAN {name};\n"),
            Self::MaybeYes(_) => format!("OPTIONAL BOOLEAN {name};\n"),
        }
    }
}

/// Writes a table, whole or not at all; `name` says what a row is (`runs`).
///
/// # Errors
/// [`CoreError`] that names the file.
pub fn write(
    path: &Path,
    name: &str,
    columns: &[(impl AsRef<str>, Column)],
) -> Result<(), CoreError> {
    let bytes = encode(name, columns)
        .map_err(|e| CoreError::format(path.display().to_string(), format!("writing: {e}")))?;
    write_atomic(path, &bytes)
}

/// Values that are there, and for each row whether it has one.
fn present<T: Copy>(values: &[Option<T>]) -> (Vec<T>, Vec<i16>) {
    (
        values.iter().flatten().copied().collect(),
        values.iter().map(|v| i16::from(v.is_some())).collect(),
    )
}

/// The table as the bytes of a Parquet file.
fn encode(name: &str, columns: &[(impl AsRef<str>, Column)]) -> Result<Vec<u8>, ParquetError> {
    let fields: String = columns
        .iter()
        .map(|(name, c)| c.kind(name.as_ref()))
        .collect();
    let schema = Arc::new(parse_message_type(&format!(
        "message {name} {{\n{fields}}}"
    ))?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (_, column) in columns {
        let Some(mut out) = group.next_column()? else {
            break;
        };
        match column {
            Column::Count(v) => out.typed::<Int64Type>().write_batch(v, None, None)?,
            Column::Number(v) => out.typed::<DoubleType>().write_batch(v, None, None)?,
            Column::Text(v) => out.typed::<ByteArrayType>().write_batch(v, None, None)?,
            Column::Yes(v) => out.typed::<BoolType>().write_batch(v, None, None)?,
            Column::MaybeNumber(v) => {
                let (values, there) = present(v);
                out.typed::<DoubleType>()
                    .write_batch(&values, Some(&there), None)?
            }
            Column::MaybeYes(v) => {
                let (values, there) = present(v);
                out.typed::<BoolType>()
                    .write_batch(&values, Some(&there), None)?
            }
        };
        out.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}
