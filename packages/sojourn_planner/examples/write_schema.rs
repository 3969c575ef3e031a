//! Writes `plan.schema.json` at the root of the repository from the types.

use sojourn_core::{CoreError, files::write_atomic, plan::schema_json};
use std::path::Path;

fn main() -> Result<(), CoreError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plan.schema.json");
    write_atomic(&path, schema_json()?.as_bytes())
}
