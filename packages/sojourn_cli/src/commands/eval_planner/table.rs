//! The table of an evaluation as Parquet: one row a scene and left-out part, for pandas, polars, duckdb.

use super::judge::Row;
use super::ride::Ride;
use sojourn_core::CoreError;
use sojourn_core::plan::ModelLevel;
use sojourn_sweep::parquet_file::{self, Column};
use std::path::Path;

fn columns(rows: &[Row]) -> Vec<(String, Column)> {
    let count = |f: fn(&Row) -> u64| Column::Count(rows.iter().map(|r| f(r) as i64).collect());
    let number = |f: fn(&Row) -> Option<f64>| Column::MaybeNumber(rows.iter().map(f).collect());
    let text = |f: fn(&Row) -> &str| Column::text(rows.iter().map(f));
    let yes = |f: fn(&Row) -> Option<bool>| Column::MaybeYes(rows.iter().map(f).collect());
    let mut out: Vec<(String, Column)> = [
        ("scene", text(|r| &r.scene)),
        ("without", text(|r| &r.part)),
        ("world", text(|r| &r.world)),
        ("unseen", yes(|r| r.unseen)),
        ("span_m", number(|r| Some(r.span_m))),
        ("openness", number(|r| r.openness)),
        ("frames", count(|r| r.frames as u64)),
        ("level", text(|r| r.level.map_or("", ModelLevel::name))),
        ("valid", yes(|r| Some(r.valid))),
        ("error", text(|r| r.error.as_deref().unwrap_or_default())),
        ("note", text(|r| &r.note)),
        ("labels", count(|r| r.labels as u64)),
        ("disagreements", count(|r| r.disagreements as u64)),
        ("missed_hazard", number(|r| r.missed_hazard)),
        ("false_alarm_area", number(|r| r.false_alarm_area)),
        ("iou", number(|r| r.iou)),
        ("centroid_error_m", number(|r| r.centroid_error_m)),
        ("cost_ratio", number(|r| r.cost_ratio)),
        ("risk_ratio", number(|r| r.risk_ratio)),
        ("claims", count(|r| r.claims as u64)),
        ("claims_held", count(|r| r.claims_held as u64)),
        ("claim_error", number(|r| r.claim_error)),
        ("length_ratio", number(|r| r.length_ratio)),
        ("hazard_m_alone", number(|r| Some(r.hazard_m_alone))),
        ("hazard_m_with", number(|r| r.hazard_m_with)),
        ("rounds", count(|r| r.rounds as u64)),
        ("tokens_in", count(|r| r.tokens_in)),
        ("tokens_out", count(|r| r.tokens_out)),
        (
            "calibration_error",
            number(|r| r.detail.calibration_error()),
        ),
        ("pass_agreement", number(|r| r.detail.passes.share())),
        ("same_hazards", number(|r| r.same_hazards)),
        ("usd", number(|r| Some(r.usd))),
        ("seconds", number(|r| Some(r.seconds))),
        ("setup", text(|r| &r.setup)),
    ]
    .into_iter()
    .map(|(name, column)| (name.to_string(), column))
    .collect();
    type Which = fn(&Row) -> Option<Ride>;
    type Part = fn(Ride) -> f64;
    let rides: [(&str, Which); 2] = [("alone", |r| r.ride_alone), ("with", |r| r.ride_with)];
    let parts: [(&str, Part); 5] = [
        ("embeddings", |r| r.embeddings as f64),
        ("slip_events", |r| r.slips as f64),
        ("slip_m", |r| r.slip_m),
        ("greatest_slip", |r| r.greatest_slip),
        ("mean_slip", |r| r.mean_slip),
    ];
    for (whose, ride) in rides {
        for (name, part) in parts {
            let values = rows.iter().map(|r| ride(r).map(part)).collect();
            out.push((format!("{name}_{whose}"), Column::MaybeNumber(values)));
        }
    }
    out
}

/// Writes the table, whole or not at all.
///
/// # Errors
/// [`CoreError`] that names the file.
pub(super) fn write(path: &Path, rows: &[Row]) -> Result<(), CoreError> {
    parquet_file::write(path, "scenes", &columns(rows))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    #[test]
    fn rows_come_back_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rows.parquet");
        let ride = Ride {
            embeddings: 3,
            slip_m: 1.5,
            ..Ride::default()
        };
        let rows = [
            Row {
                missed_hazard: Some(0.25),
                unseen: Some(true),
                ride_with: Some(ride),
                ..Row::blank("a", "", "s")
            },
            Row::blank("b", "crops", "s"),
        ];
        write(&file, &rows).unwrap();
        let reader = SerializedFileReader::new(std::fs::File::open(&file).unwrap()).unwrap();
        let columns = reader
            .metadata()
            .file_metadata()
            .schema()
            .get_fields()
            .to_vec();
        let at = |name: &str| columns.iter().position(|f| f.name() == name).unwrap();
        let read: Vec<_> = reader
            .get_row_iter(None)
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(read.len(), 2);
        assert_eq!(read[0].get_string(at("scene")).unwrap(), "a");
        assert_eq!(read[1].get_string(at("without")).unwrap(), "crops");
        assert_eq!(read[0].get_double(at("missed_hazard")).unwrap(), 0.25);
        assert!(read[0].get_bool(at("unseen")).unwrap());
        assert_eq!(read[0].get_double(at("embeddings_with")).unwrap(), 3.0);
        // Not measured is null.
        for name in ["missed_hazard", "slip_m_with", "embeddings_alone"] {
            assert!(read[1].get_double(at(name)).is_err(), "{name}");
        }
    }
}
