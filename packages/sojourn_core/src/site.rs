//! A site: a folder with `manifest.json` and one file of raw little-endian `f32` per layer (south row first).
//!
//! GeoTIFF copies may lie beside the raw files for other tools; this reader needs neither them nor GDAL.

use crate::{
    CoreError,
    body::Body,
    files,
    geometry::Xy,
    plan::{digest_of, sha256_hex},
    raster::Raster,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Version of the manifest's form.
pub const SITE_SCHEMA_VERSION: u32 = 1;
/// Elevation over the site's datum, metres.
pub const ELEVATION: &str = "elevation";
/// Brightness of the orbital image, 0 to 1.
pub const ORTHO: &str = "ortho";
/// Slope over the rover's footprint, degrees.
pub const SLOPE: &str = "slope";
/// Standard deviation of the ground about its plane over the footprint, metres.
pub const ROUGHNESS: &str = "roughness";

/// Code of the class of the ground as labelled from orbit ([`crate::classes::CLASSES`]); optional.
pub const CLASS: &str = "class";

/// Where ground is known from a coarser map alone: by how much steeper it is taken to be than it looks there, degrees; 0 elsewhere.
pub const SLOPE_MORE: &str = "slope_more";
/// Where ground is known from a coarser map alone: how rough it is taken to be at least, metres; 0 elsewhere.
pub const ROUGHNESS_LEAST: &str = "roughness_least";

/// What the manifest says of one layer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerInfo {
    /// Name of the raw file beside the manifest.
    pub file: String,
    /// Unit of the values.
    pub unit: String,
    /// Columns.
    pub cols: usize,
    /// Rows.
    pub rows: usize,
    /// Size of a cell, metres.
    pub resolution_m: f64,
    /// Outer south-west corner, metres in `map`.
    pub origin_m: Xy,
    /// Hex SHA-256 of the raw file.
    pub sha256: String,
    /// Where it comes from (file or "derived from elevation").
    pub source: String,
    /// Date of the data, when known (ISO 8601).
    pub date: Option<String>,
    /// Date after which it should no longer be used, when there is one (ISO 8601).
    pub expiry: Option<String>,
    /// Standard error of the values in their unit, when known.
    pub error: Option<f64>,
}

/// The manifest of a site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SITE_SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Name, for people.
    pub name: String,
    /// The planet.
    pub body: Body,
    /// The source raster's reference system as WKT; `LOCAL` for a generated world.
    pub crs: String,
    /// The source raster's coordinates of the map's origin.
    pub map_origin_crs: Xy,
    /// True metres per unit of the source raster at its centre, east and north.
    pub metres_per_crs_unit: Xy,
    /// Added to a layer's elevation to get the source's, metres.
    pub z_datum_m: f64,
    /// Layers by name.
    pub layers: BTreeMap<String, LayerInfo>,
}

/// A site in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The manifest; its `layers` are filled in by [`Site::save`].
    pub manifest: Manifest,
    /// The layers by name.
    pub layers: BTreeMap<String, Raster>,
}

impl Site {
    /// A layer by name.
    ///
    /// # Errors
    /// [`CoreError::Format`] when the site has none of that name.
    pub fn layer(&self, name: &str) -> Result<&Raster, CoreError> {
        self.layers.get(name).ok_or_else(|| {
            CoreError::format(
                format!("site {}", self.manifest.name),
                format!(
                    "has no layer \"{name}\", only {:?}",
                    self.layers.keys().collect::<Vec<_>>()
                ),
            )
        })
    }

    /// The elevation layer.
    ///
    /// # Errors
    /// [`CoreError::Format`] when the site has none.
    pub fn elevation(&self) -> Result<&Raster, CoreError> {
        self.layer(ELEVATION)
    }

    /// Digest of the manifest (which carries the digests of all layers), hex SHA-256.
    ///
    /// # Errors
    /// [`CoreError::Format`] when it cannot be written.
    pub fn digest(&self) -> Result<String, CoreError> {
        digest_of("site manifest", &self.manifest)
    }

    /// Digest of what a plan stands on: body, georeference and elevation with what is not known of it, hex SHA-256. It does not depend on the name of
    /// the site, on the file the elevation came from or on any other layer, so that a plan made with an orbital image
    /// can be verified with the elevation model alone. This is the `site_digest` of plans and reports.
    ///
    /// # Errors
    /// [`CoreError::Format`] when the site has no elevation or the manifest cannot be written.
    pub fn terrain_digest(&self) -> Result<String, CoreError> {
        let Some(info) = self.manifest.layers.get(ELEVATION) else {
            return self.elevation().map(|_| String::new());
        };
        let mut layer =
            serde_json::to_value(info).map_err(|e| CoreError::format("manifest", e.to_string()))?;
        if let Some(fields) = layer.as_object_mut() {
            fields.remove("source");
        }
        let m = &self.manifest;
        let mut terrain = serde_json::json!({
            "body": m.body,
            "crs": m.crs,
            "map_origin_crs": m.map_origin_crs,
            "metres_per_crs_unit": m.metres_per_crs_unit,
            "z_datum_m": m.z_datum_m,
            "elevation": layer,
        });
        // What is not known of the elevation belongs to it.
        for name in [SLOPE_MORE, ROUGHNESS_LEAST] {
            if let Some(info) = m.layers.get(name) {
                terrain[name] = info.sha256.as_str().into();
            }
        }
        digest_of("site terrain", &terrain)
    }

    /// Adds or replaces a layer together with its entry in the manifest.
    pub fn put(&mut self, name: &str, raster: Raster, unit: &str, source: &str) {
        let info = LayerInfo {
            file: format!("{name}.f32"),
            unit: unit.into(),
            cols: raster.cols(),
            rows: raster.rows(),
            resolution_m: raster.resolution_m(),
            origin_m: raster.origin_m(),
            sha256: sha256_hex(&raw_bytes(&raster)),
            source: source.into(),
            date: None,
            expiry: None,
            error: None,
        };
        self.manifest.layers.insert(name.into(), info);
        self.layers.insert(name.into(), raster);
    }

    /// Writes the folder: all layers, then the manifest, so that a folder with a manifest is whole.
    ///
    /// # Errors
    /// [`CoreError::Io`] with the path.
    pub fn save(&self, dir: &Path) -> Result<(), CoreError> {
        std::fs::create_dir_all(dir).map_err(|e| CoreError::io(dir, "creating", e))?;
        for (name, info) in &self.manifest.layers {
            files::write_atomic(&dir.join(&info.file), &raw_bytes(self.layer(name)?))?;
        }
        let text = serde_json::to_string_pretty(&self.manifest)
            .map_err(|e| CoreError::format("manifest.json", e.to_string()))?;
        files::write_atomic(&dir.join("manifest.json"), text.as_bytes())
    }

    /// Reads a folder and checks every layer against its size and digest.
    ///
    /// # Errors
    /// [`CoreError`] that names the file and what is wrong.
    pub fn load(dir: &Path) -> Result<Self, CoreError> {
        let path = dir.join("manifest.json");
        let what = path.display().to_string();
        let text = files::read_text(&path, 16 << 20)?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|e| CoreError::format(&what, e.to_string()))?;
        if manifest.schema_version != SITE_SCHEMA_VERSION {
            return Err(CoreError::value(
                &what,
                "schema_version",
                manifest.schema_version,
                SITE_SCHEMA_VERSION.to_string(),
            ));
        }
        manifest.body.check(&what)?;
        let mut layers = BTreeMap::new();
        for (name, info) in &manifest.layers {
            // A manifest must not lead out of its folder.
            if info.file.contains(['/', '\\']) || info.file.starts_with('.') {
                return Err(CoreError::value(
                    &what,
                    format!("layers.{name}.file"),
                    &info.file,
                    "a plain file name",
                ));
            }
            layers.insert(name.clone(), read_layer(&dir.join(&info.file), info)?);
        }
        Ok(Self { manifest, layers })
    }
}

fn raw_bytes(raster: &Raster) -> Vec<u8> {
    raster.data().iter().flat_map(|v| v.to_le_bytes()).collect()
}

fn read_layer(path: &Path, info: &LayerInfo) -> Result<Raster, CoreError> {
    let what = path.display().to_string();
    let expected = info
        .cols
        .checked_mul(info.rows)
        .and_then(|n| n.checked_mul(4));
    let bytes = files::read_bytes(path, (crate::raster::MAX_CELLS as u64) * 4)?;
    if expected != Some(bytes.len()) {
        return Err(CoreError::value(
            what,
            "length",
            format!("{} bytes", bytes.len()),
            format!("{} x {} values of 4 bytes", info.cols, info.rows),
        ));
    }
    let found = sha256_hex(&bytes);
    if found != info.sha256 {
        return Err(CoreError::value(what, "sha256", found, info.sha256.clone()));
    }
    let data = bytes
        .chunks_exact(4)
        .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
        .collect();
    Raster::new(info.cols, info.rows, info.resolution_m, info.origin_m, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site() -> Site {
        let body = Body {
            name: "mars".into(),
            gravity_mps2: 3.72076,
            radius_m: 3_396_190.0,
            atmosphere_pa: 610.0,
            light_time_s: 750.0,
        };
        let mut s = Site {
            manifest: Manifest {
                schema_version: SITE_SCHEMA_VERSION,
                name: "t".into(),
                body,
                crs: "LOCAL".into(),
                map_origin_crs: [0.0, 0.0],
                metres_per_crs_unit: [1.0, 1.0],
                z_datum_m: 0.0,
                layers: BTreeMap::new(),
            },
            layers: BTreeMap::new(),
        };
        s.put(
            ELEVATION,
            Raster::new(2, 2, 1.0, [0.0, 0.0], vec![0.0, 1.0, 2.0, f32::NAN]).unwrap(),
            "m",
            "test",
        );
        s
    }

    #[test]
    fn a_folder_comes_back_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        site().save(dir.path()).unwrap();
        let back = Site::load(dir.path()).unwrap();
        assert_eq!(back.manifest, site().manifest);
        assert!((back.elevation().unwrap().get(0, 1) - 2.0).abs() < 1e-6);
        assert!(back.elevation().unwrap().get(1, 1).is_nan());
        assert_eq!(back.digest().unwrap(), site().digest().unwrap());
        assert!(
            back.layer("colour")
                .unwrap_err()
                .to_string()
                .contains("colour")
        );
    }

    #[test]
    fn the_terrain_digest_stands_on_terrain_alone() {
        let s = site();
        let mut other = s.clone();
        other.manifest.name = "other".into();
        let image = Raster::filled(2, 2, 1.0, [0.0, 0.0], 0.5).unwrap();
        other.put(ORTHO, image, "1", "picture");
        assert_eq!(s.terrain_digest().unwrap(), other.terrain_digest().unwrap());
        let raised = Raster::filled(2, 2, 1.0, [0.0, 0.0], 0.5).unwrap();
        other.put(ELEVATION, raised, "m", "test");
        assert_ne!(s.terrain_digest().unwrap(), other.terrain_digest().unwrap());
        let bare = Site {
            manifest: Manifest {
                layers: BTreeMap::new(),
                ..s.manifest
            },
            layers: BTreeMap::new(),
        };
        assert!(bare.terrain_digest().is_err());
    }

    #[test]
    fn one_flipped_bit_or_a_short_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        site().save(dir.path()).unwrap();
        let f = dir.path().join("elevation.f32");
        let mut bytes = std::fs::read(&f).unwrap();
        bytes[5] ^= 1;
        std::fs::write(&f, &bytes).unwrap();
        assert!(
            Site::load(dir.path())
                .unwrap_err()
                .to_string()
                .contains("sha256")
        );
        std::fs::write(&f, &bytes[..7]).unwrap();
        assert!(
            Site::load(dir.path())
                .unwrap_err()
                .to_string()
                .contains("elevation.f32")
        );
    }

    #[test]
    fn a_manifest_does_not_lead_out_of_its_folder() {
        let dir = tempfile::tempdir().unwrap();
        let mut s = site();
        s.save(dir.path()).unwrap();
        s.manifest.layers.get_mut(ELEVATION).unwrap().file = "../x".into();
        std::fs::write(
            dir.path().join("manifest.json"),
            serde_json::to_string(&s.manifest).unwrap(),
        )
        .unwrap();
        assert!(
            Site::load(dir.path())
                .unwrap_err()
                .to_string()
                .contains("plain file name")
        );
    }
}
