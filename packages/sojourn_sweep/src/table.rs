//! The table of runs as Parquet: one row a run, for pandas, polars, duckdb.

use crate::{
    parquet_file::{self, Column},
    row::Row,
};
use sojourn_core::CoreError;
use std::path::Path;

fn columns(rows: &[Row]) -> Vec<(&'static str, Column)> {
    let count = |f: fn(&Row) -> u64| Column::Count(rows.iter().map(|r| f(r) as i64).collect());
    let number = |f: fn(&Row) -> f64| Column::Number(rows.iter().map(f).collect());
    let text = |f: fn(&Row) -> &str| Column::text(rows.iter().map(f));
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
    parquet_file::write(path, "runs", &columns(rows))
}
