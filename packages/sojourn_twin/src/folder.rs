//! A world as a folder: what a planner may read in front, the truth apart in `truth/`.
//!
//! `manifest.json` with elevation and image is a site like any other. `truth/manifest.json` holds the class codes,
//! `truth/world.json` the seed and the recipe that the ground is made from, `truth/soils.yaml` what the classes are made of
//! in this world, `truth/rocks.csv` the rocks. The 5 cm ground itself is not stored: it comes from the seed, tile by tile.

use crate::{
    TwinError,
    generate::CLASSES,
    recipe::Recipe,
    rocks::{Rock, TILE_M},
    surface::{Surface, SurfaceParams},
    world::{Unlabelled, World, WorldParams, drawn_table},
};
use serde::{Deserialize, Serialize};
use sojourn_core::{
    CoreError,
    body::Body,
    classes::TerrainClass,
    files,
    plan::sha256_hex,
    raster::Raster,
    site::{Manifest, Site},
    soil::SoilTable,
};
use std::{collections::BTreeMap, fmt::Write as _, path::Path};

/// Version of `truth/world.json`.
pub const DOCUMENT_VERSION: u32 = 1;
/// Folder of the truth within a world's folder.
pub const TRUTH: &str = "truth";
/// The document in it.
pub const DOCUMENT: &str = "world.json";
/// The table of soils in it.
pub const SOILS: &str = "soils.yaml";
/// All rocks as points, beside the table: what `sojourn world generate` and `from-site` write.
pub const ALL_ROCKS: &str = "rocks.gpkg";
/// Most rocks that the table lists; of more, the largest.
const MOST_LISTED: usize = 100_000;

/// The table of rocks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RocksTable {
    /// Its file beside the document.
    pub file: String,
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// Rocks in the world.
    pub rocks: usize,
    /// Rocks in the table.
    pub listed: usize,
    /// Every rock of this diameter and more is in the table, metres.
    pub least_listed_m: f64,
}

/// `truth/world.json`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorldDocument {
    /// [`DOCUMENT_VERSION`].
    pub schema_version: u32,
    /// Everything random comes from it.
    pub seed: u64,
    /// Digest of the terrain it belongs to ([`Site::terrain_digest`]).
    pub terrain_digest: String,
    /// What the world is like.
    pub recipe: Recipe,
    /// Relief below 2 m of wavelength, metres RMS.
    pub fine_relief_rms_m: f64,
    /// Rocks by class, mean 1.
    pub rock_weights: BTreeMap<TerrainClass, f64>,
    /// The table of rocks, when it was written.
    pub rocks: Option<RocksTable>,
}

/// A world's folder in memory.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldFolder {
    /// What a planner may read.
    pub site: Site,
    /// Layers of the truth.
    pub truth: Site,
    /// How the ground is made.
    pub document: WorldDocument,
    /// What each class is made of in this world: wheels meet these soils and no others. What has a spread is drawn by the
    /// world's seed; the tables that worlds are made with have none.
    pub soils: SoilTable,
}

/// Which part of a world is wanted and how.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// `[x_min, y_min, x_max, y_max]` in `map` metres; it is cut to the site.
    pub region_m: [f64; 4],
    /// Distance of the nodes, metres; the recipe's without it.
    pub node_m: Option<f64>,
    /// Discs `[x, y, radius]` without rocks, metres.
    pub clear_m: Vec<[f64; 3]>,
    /// Direction to the sun, radians counter-clockwise from east, and its height; the recipe's image's without it.
    pub sun_rad: Option<[f64; 2]>,
}

impl View {
    /// All of it, as the recipe has it.
    #[must_use]
    pub fn everything() -> Self {
        Self {
            region_m: [-1e7, -1e7, 1e7, 1e7],
            node_m: None,
            clear_m: Vec::new(),
            sun_rad: None,
        }
    }
}

impl WorldFolder {
    /// Whether a folder holds a world's truth beside a site.
    #[must_use]
    pub fn is_world(dir: &Path) -> bool {
        dir.join(TRUTH).join(DOCUMENT).is_file()
    }

    /// Has the classes made of what the world's seed draws from a table.
    ///
    /// # Errors
    /// [`TwinError::Core`] when a class of the world has no soil in the table.
    pub fn draw_soils(&mut self, what: &str, table: &SoilTable) -> Result<(), TwinError> {
        check_soils(what, table, self.truth.layer(CLASSES)?)?;
        self.soils = drawn_table(table, self.document.seed);
        Ok(())
    }

    /// The ground truth.
    ///
    /// # Errors
    /// [`TwinError::Core`] for a view out of range or one that misses the site.
    pub fn world(&self, view: &View) -> Result<World, TwinError> {
        let d = &self.document;
        let r = &d.recipe;
        let sun = view.sun_rad.unwrap_or([
            r.image.sun_azimuth_deg.to_radians(),
            r.image.sun_elevation_deg.to_radians(),
        ]);
        let params = WorldParams {
            seed: d.seed,
            resolution_m: view.node_m.unwrap_or(r.node_m),
            region_m: view.region_m,
            rock_cfa: r.rocks.cfa,
            rock_min_m: r.rocks.min_m,
            rock_max_m: r.rocks.max_m,
            fine_relief_rms_m: d.fine_relief_rms_m.min(0.5),
            clear_m: view.clear_m.clone(),
            sun_azimuth_rad: sun[0],
            sun_elevation_rad: sun[1],
            soils: Some(self.soils.clone()),
            unlabelled: Unlabelled::Prior,
        };
        let surface = Surface::new(
            SurfaceParams {
                seed: d.seed,
                ripples: r.ripples,
                plates: r.plates,
                craters: r.craters,
                rock_weights: d.rock_weights.clone(),
            },
            self.truth.layer(CLASSES)?,
            self.site.elevation()?.resolution_m(),
        );
        World::with_surface(&self.site, &params, Some(surface))
    }

    /// Every rock of the world, by rows of squares from the south-west; millions on a square kilometre. `tell` is told the
    /// share that is done, 0 to 1.
    ///
    /// # Errors
    /// [`TwinError::Core`] when the world cannot be made.
    pub fn all_rocks(&self, tell: &dyn Fn(f64)) -> Result<Vec<Rock>, TwinError> {
        let world = self.world(&View::everything())?;
        let [x0, y0, x1, y1] = world.region_m();
        let last = ((y1 - y0) / TILE_M) as usize;
        let mut rocks = Vec::new();
        // Strips along the squares that rocks are drawn by: no rock reaches into two.
        let first = (y0 / TILE_M).floor();
        for k in 0..=last + 1 {
            let south = (first + k as f64) * TILE_M;
            let strip = world.rocks_in([x0, south.max(y0), x1, (south + TILE_M).min(y1)]);
            rocks.extend(
                strip
                    .into_iter()
                    .filter(|r| r.y_m >= south && r.y_m < south + TILE_M),
            );
            tell((k as f64 / last.max(1) as f64).min(1.0));
        }
        Ok(rocks)
    }

    /// Writes the folder: the truth, then the site, so that a folder with a manifest is whole.
    ///
    /// # Errors
    /// [`TwinError::Core`] with the path.
    pub fn save(&mut self, dir: &Path) -> Result<(), TwinError> {
        let rocks = self.all_rocks(&|_| ())?;
        self.save_with(dir, &rocks)
    }

    /// As [`WorldFolder::save`], where the rocks ([`WorldFolder::all_rocks`]) are at hand.
    ///
    /// # Errors
    /// As [`WorldFolder::save`].
    pub fn save_with(&mut self, dir: &Path, rocks: &[Rock]) -> Result<(), TwinError> {
        let truth = dir.join(TRUTH);
        self.truth.save(&truth)?;
        let (table, text) = rocks_table(rocks.to_vec(), &self.site.manifest);
        files::write_atomic(&truth.join(&table.file), text.as_bytes())?;
        files::write_atomic(
            &truth.join("rocks.vrt"),
            rocks_layer(&table.file).as_bytes(),
        )?;
        files::write_atomic(&truth.join(SOILS), self.soils_text()?.as_bytes())?;
        self.document.rocks = Some(table);
        let text = serde_json::to_string_pretty(&self.document)
            .map_err(|e| CoreError::format(DOCUMENT, e.to_string()))?;
        files::write_atomic(&truth.join(DOCUMENT), text.as_bytes())?;
        self.site.save(dir)?;
        Ok(())
    }

    fn soils_text(&self) -> Result<String, TwinError> {
        let table = serde_yaml::to_string(&self.soils)
            .map_err(|e| CoreError::format(SOILS, e.to_string()))?;
        Ok(format!(
            "# What each class of terrain is made of in this world; the simulator drives on it. The nominal soils are what seed {}\n\
             # drew, so nothing is left to the spread. Terms: config/soils.yaml. `prior` holds for ground without a class.\n{table}",
            self.document.seed
        ))
    }

    /// Reads a folder.
    ///
    /// # Errors
    /// [`TwinError::Core`] that names the file and what is wrong, among others when the truth belongs to other terrain.
    pub fn load(dir: &Path) -> Result<Self, TwinError> {
        let path = dir.join(TRUTH).join(DOCUMENT);
        let what = path.display().to_string();
        if !path.is_file() {
            let reason =
                "is not there: the folder holds no world (sojourn world generate makes one)";
            return Err(CoreError::format(what, reason).into());
        }
        let text = files::read_text(&path, 16 << 20)?;
        let document: WorldDocument =
            serde_json::from_str(&text).map_err(|e| CoreError::format(&what, e.to_string()))?;
        if document.schema_version != DOCUMENT_VERSION {
            let expected = DOCUMENT_VERSION.to_string();
            let found = document.schema_version;
            return Err(CoreError::value(&what, "schema_version", found, expected).into());
        }
        document.recipe.check(&what)?;
        let (site, truth) = (Site::load(dir)?, Site::load(&dir.join(TRUTH))?);
        let digest = site.terrain_digest()?;
        if digest != document.terrain_digest {
            return Err(CoreError::value(
                &what,
                "terrain_digest",
                &document.terrain_digest,
                digest,
            )
            .into());
        }
        let (codes, elevation) = (truth.layer(CLASSES)?, site.elevation()?);
        if codes.size_m() != elevation.size_m() || codes.origin_m() != elevation.origin_m() {
            let expected = format!("the {:?} m of the elevation", elevation.size_m());
            return Err(CoreError::value(
                &what,
                "size of the classes",
                format!("{:?} m", codes.size_m()),
                expected,
            )
            .into());
        }
        let path = dir.join(TRUTH).join(SOILS);
        let soils = SoilTable::load(&path)?;
        check_soils(&path.display().to_string(), &soils, codes)?;
        Ok(Self {
            site,
            truth,
            document,
            soils,
        })
    }
}

/// Every class that stands for ground must be made of something.
fn check_soils(what: &str, table: &SoilTable, codes: &Raster) -> Result<(), CoreError> {
    let mut there = [false; 256];
    for v in codes.data() {
        there[*v as u8 as usize] = true;
    }
    for (code, there) in there.iter().enumerate() {
        let class = TerrainClass::from_code(code as u8).unwrap_or(TerrainClass::Unknown);
        let ground = !matches!(class, TerrainClass::Unknown | TerrainClass::ShadowOrNoData);
        if *there && ground && table.soil(class).is_none() {
            let reason = format!("has no entry for {}, which the world has", class.name());
            return Err(CoreError::format(what, reason));
        }
    }
    Ok(())
}

/// The ground under a simulator: of a world's folder by its own recipe and soils (only region, clear discs and sun are taken
/// from the parameters), of any other site's by the parameters.
///
/// # Errors
/// [`TwinError::Core`] that names the file and what is wrong.
pub fn open(dir: &Path, params: &WorldParams) -> Result<(World, Body), TwinError> {
    if !WorldFolder::is_world(dir) {
        let site = Site::load(dir)?;
        return Ok((World::from_site(&site, params)?, site.manifest.body));
    }
    if params.soils.is_some() {
        let soils = dir.join(TRUTH).join(SOILS);
        return Err(CoreError::value(
            "simulator",
            "soils_file",
            "a file",
            format!(
                "none, since the world has soils of its own: {}",
                soils.display()
            ),
        )
        .into());
    }
    let folder = WorldFolder::load(dir)?;
    let world = folder.world(&View {
        region_m: params.region_m,
        node_m: None,
        clear_m: params.clear_m.clone(),
        sun_rad: Some([params.sun_azimuth_rad, params.sun_elevation_rad]),
    })?;
    Ok((world, folder.site.manifest.body))
}

/// What makes QGIS (and all that reads with GDAL) see the table as points in the system of the other layers.
fn rocks_layer(table: &str) -> String {
    let name = table.trim_end_matches(".csv");
    format!(
        "<OGRVRTDataSource>\n  <OGRVRTLayer name=\"{name}\">\n    <SrcDataSource relativeToVRT=\"1\">{table}</SrcDataSource>\n    \
        <GeometryType>wkbPoint</GeometryType>\n    <GeometryField encoding=\"PointFromColumns\" x=\"crs_x\" y=\"crs_y\"/>\n    \
        <Field name=\"diameter_m\" type=\"Real\"/>\n    <Field name=\"height_m\" type=\"Real\"/>\n  </OGRVRTLayer>\n</OGRVRTDataSource>\n"
    )
}

/// The table as CSV, largest rocks first; places in `map` metres and in the site's own reference system.
fn rocks_table(mut rocks: Vec<Rock>, manifest: &Manifest) -> (RocksTable, String) {
    let all = rocks.len();
    rocks.sort_by(|a, b| {
        b.diameter_m
            .total_cmp(&a.diameter_m)
            .then(a.x_m.total_cmp(&b.x_m))
            .then(a.y_m.total_cmp(&b.y_m))
    });
    rocks.truncate(MOST_LISTED);
    let mut text = String::from("x_m,y_m,diameter_m,height_m,reach_m,shape_key,crs_x,crs_y\n");
    let (origin, per_unit) = (manifest.map_origin_crs, manifest.metres_per_crs_unit);
    for r in &rocks {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:.3},{:.3},{:.3},{:.3},{:.3},{},{:.7},{:.7}",
            r.x_m,
            r.y_m,
            r.diameter_m,
            r.height_m,
            r.reach_m,
            r.shape_key,
            origin[0] + r.x_m / per_unit[0],
            origin[1] + r.y_m / per_unit[1]
        );
    }
    let table = RocksTable {
        file: "rocks.csv".into(),
        sha256: sha256_hex(text.as_bytes()),
        rocks: all,
        listed: rocks.len(),
        least_listed_m: rocks.last().map_or(0.0, |r| r.diameter_m),
    };
    (table, text)
}
