//! The table of runs as Parquet: one row a run, for pandas, polars, duckdb.

use crate::row::Row;
use parquet::{
    basic::Compression,
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use sojourn_core::{CoreError, files::write_atomic};
use std::{path::Path, sync::Arc};

/// A column.
enum Column {
    Count(Vec<i64>),
    Number(Vec<f64>),
    Text(Vec<ByteArray>),
    Yes(Vec<bool>),
}

fn columns(rows: &[Row]) -> Vec<(&'static str, Column)> {
    let count = |f: fn(&Row) -> u64| Column::Count(rows.iter().map(|r| f(r) as i64).collect());
    let number = |f: fn(&Row) -> f64| Column::Number(rows.iter().map(f).collect());
    let text = |f: fn(&Row) -> &str| Column::Text(rows.iter().map(|r| f(r).into()).collect());
    let yes = |f: fn(&Row) -> bool| Column::Yes(rows.iter().map(f).collect());
    vec![
        ("run", count(|r| r.run)),
        ("planner", text(|r| &r.planner)),
        ("sensing", text(|r| r.sensing.name())),
        ("fault", text(|r| &r.fault)),
        ("cfa", number(|r| r.cfa)),
        ("slope_deg", number(|r| r.slope_deg)),
        ("ground", text(|r| &r.ground)),
        ("direction", text(|r| &r.direction)),
        ("seed_number", count(|r| r.seed_number)),
        ("seed", count(|r| r.seed)),
        ("outcome", text(|r| r.outcome.name())),
        ("success", yes(|r| r.success)),
        ("reason", text(|r| &r.reason)),
        ("sim_s", number(|r| r.sim_s)),
        ("distance_m", number(|r| r.distance_m)),
        ("wheel_way_m", number(|r| r.wheel_way_m)),
        ("straight_m", number(|r| r.straight_m)),
        ("path_ratio", number(|r| r.path_ratio)),
        ("goal_error_m", number(|r| r.goal_error_m)),
        ("max_tilt_deg", number(|r| r.max_tilt_deg)),
        ("min_clearance_m", number(|r| r.min_clearance_m)),
        ("mean_slip", number(|r| r.mean_slip)),
        ("max_slip", number(|r| r.max_slip)),
        ("unsafe_events", count(|r| r.unsafe_events)),
        ("first_unsafe", text(|r| &r.first_unsafe)),
        ("cycles", count(|r| r.cycles)),
        ("cycles_without_path", count(|r| r.cycles_without_path)),
        ("think_stops", count(|r| r.think_stops)),
        ("no_path_stops", count(|r| r.no_path_stops)),
        ("guard_stops", count(|r| r.guard_stops)),
        ("cycle_ms_mean", number(|r| r.cycle_ms_mean)),
        ("cycle_ms_p50", number(|r| r.cycle_ms_p50)),
        ("cycle_ms_p99", number(|r| r.cycle_ms_p99)),
        ("cpu_s", number(|r| r.cpu_s)),
        ("wall_s", number(|r| r.wall_s)),
        ("realtime_factor", number(|r| r.realtime_factor)),
    ]
}

/// Writes the table, whole or not at all.
///
/// # Errors
/// [`CoreError`] that names the file.
pub fn write(path: &Path, rows: &[Row]) -> Result<(), CoreError> {
    let bytes = encode(rows)
        .map_err(|e| CoreError::format(path.display().to_string(), format!("writing: {e}")))?;
    write_atomic(path, &bytes)
}

/// The table as the bytes of a Parquet file.
fn encode(rows: &[Row]) -> Result<Vec<u8>, ParquetError> {
    let columns = columns(rows);
    let fields: String = columns
        .iter()
        .map(|(name, column)| match column {
            Column::Count(_) => format!("REQUIRED INT64 {name};\n"),
            Column::Number(_) => format!("REQUIRED DOUBLE {name};\n"),
            Column::Text(_) => format!("REQUIRED BYTE_ARRAY {name} (UTF8);\n"),
            Column::Yes(_) => format!("REQUIRED BOOLEAN {name};\n"),
        })
        .collect();
    let schema = Arc::new(parse_message_type(&format!("message runs {{\n{fields}}}"))?);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .build();
    let mut bytes = Vec::new();
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(properties))?;
    let mut group = writer.next_row_group()?;
    for (_, column) in &columns {
        let Some(mut out) = group.next_column()? else {
            break;
        };
        match column {
            Column::Count(v) => out.typed::<Int64Type>().write_batch(v, None, None)?,
            Column::Number(v) => out.typed::<DoubleType>().write_batch(v, None, None)?,
            Column::Text(v) => out.typed::<ByteArrayType>().write_batch(v, None, None)?,
            Column::Yes(v) => out.typed::<BoolType>().write_batch(v, None, None)?,
        };
        out.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(bytes)
}
