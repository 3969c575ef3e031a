//! `sojourn world export-sdf` and `check-sdf`

use super::world::{recipe, share, spinner};
use super::{say, say_json};
use crate::cli_error::CliResult;
use crate::ground;
use crate::launch::places::Places;
use crate::sdf::{
    self, Collision, ExportParams, MANIFEST, MANIFEST_VERSION, Manifest, Plot, Version, describe,
    xml,
};
use clap::Args;
use sojourn_core::{files, rover::Rover};
use sojourn_twin::{folder::WorldFolder, generate};
use std::path::{Path, PathBuf};

/// Ground around the plot of a world that is made for it, metres: enough for the edges of rocks and shadows.
const MARGIN_M: f64 = 12.0;

/// `sojourn world export-sdf`
#[derive(Debug, Args)]
pub struct ExportSdfArgs {
    /// The world's folder; without it a world is made from --seed.
    #[arg(required_unless_present = "seed", conflicts_with_all = ["seed", "soil", "cfa", "slope"])]
    pub dir: Option<PathBuf>,
    /// Makes a world of this seed for the export.
    #[arg(long)]
    pub seed: Option<u64>,
    /// What its ground is made of: a name in config/worlds or a file.
    #[arg(
        long,
        value_name = "NAME|FILE",
        default_value = "mixed",
        requires = "seed"
    )]
    pub soil: String,
    /// Its rocks: Golombek's k, 0 to 0.2 or in per cent (7%); the soil's without it.
    #[arg(long, value_name = "K", allow_hyphen_values = true, requires = "seed")]
    pub cfa: Option<String>,
    /// The tilt of its regional plane, degrees; the soil's without it.
    #[arg(
        long,
        value_name = "DEG",
        allow_hyphen_values = true,
        requires = "seed"
    )]
    pub slope: Option<f64>,
    /// The rover: a name in config/rovers or a file.
    #[arg(long, value_name = "NAME|FILE", default_value = "perseverance")]
    pub rover: String,
    /// Middle of the plot, E,N in map metres; the world's middle without it.
    #[arg(
        long,
        value_name = "E,N",
        allow_hyphen_values = true,
        conflicts_with = "seed"
    )]
    pub center: Option<String>,
    /// Side of the plot, metres.
    #[arg(
        long,
        value_name = "M",
        default_value_t = 50.0,
        allow_hyphen_values = true
    )]
    pub size: f64,
    /// Pixels along a side of the height map: 33, 65, 129, 257, 513, 1025 or 2049.
    #[arg(long, value_name = "N", default_value_t = 257)]
    pub pixels: usize,
    /// Rocks of this diameter and more stand as meshes of their own, metres; smaller ones are in the height map.
    #[arg(
        long,
        value_name = "M",
        default_value_t = 0.3,
        allow_hyphen_values = true
    )]
    pub rocks_over: f64,
    /// SDF version: 1.11 for Gazebo Harmonic and later, 1.9 for tools as old as Debian 12's.
    #[arg(long, value_enum, default_value = "1.11")]
    pub sdf: Version,
    /// What wheels touch: heightmap (engine dartsim, rockers on springs) or mesh (bullet-featherstone, rockers with a
    /// differential).
    #[arg(long, value_enum, default_value = "heightmap")]
    pub collision: Collision,
    /// Lets the sun cast shadows, which doubles the cost of cameras.
    #[arg(long)]
    pub shadows: bool,
    /// Name of the Gazebo world; mars_SEED without it.
    #[arg(long)]
    pub name: Option<String>,
    /// Folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Prints a summary as JSON: ok, out, world, rocks, files, map_from_world_m, …
    #[arg(long)]
    pub json: bool,
}

/// `sojourn world check-sdf`
#[derive(Debug, Args)]
pub struct CheckSdfArgs {
    /// The folder of an exported world.
    pub dir: PathBuf,
    /// Prints what was looked at as JSON: ok, files, models, links, joints, uris, faces.
    #[arg(long)]
    pub json: bool,
}

/// Exports a world.
///
/// # Errors
/// One sentence.
pub fn export(args: &ExportSdfArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let out = files::NewFolder::begin(&args.out)?;
    ground::writable(&args.out.join(MANIFEST))?;
    let bar = spinner("ground, rocks, rover");
    let cfa = args.cfa.as_deref().map(share).transpose()?;
    let folder = match (&args.dir, args.seed) {
        (Some(dir), _) => WorldFolder::load(dir)?,
        (None, Some(seed)) => made(&places, seed, &args.soil, cfa, args.slope, args.size)?,
        (None, None) => {
            return Err(anyhow::anyhow!("give a world's folder or --seed").into());
        }
    };
    let plot = plot(&folder, args)?;
    let name = args.name.clone().unwrap_or_else(|| {
        format!(
            "{}_{}",
            folder.site.manifest.body.name, folder.document.seed
        )
    });
    let params = ExportParams {
        name,
        plot,
        pixels: args.pixels,
        rocks_over_m: args.rocks_over,
        sdf: args.sdf,
        collision: args.collision,
        shadows: args.shadows,
    };
    let soil = args.seed.map(|_| args.soil.clone());
    let manifest = Manifest {
        soil,
        cfa,
        slope_deg: args.slope,
        ..write(&folder, &rover, &args.rover, &params, &args.out)?
    };
    write_manifest(&manifest, &args.out)?;
    out.keep();
    bar.finish_and_clear();
    tell(args, &manifest)
}

fn tell(args: &ExportSdfArgs, manifest: &Manifest) -> CliResult {
    let world = format!("{}.sdf", manifest.export.name);
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true,
            "out": args.out,
            "world": world,
            "sdf": manifest.export.sdf.name(),
            "seed": manifest.seed,
            "size_m": manifest.export.plot.size_m,
            "rocks": manifest.rocks,
            "files": manifest.files.len(),
            "map_from_world_m": manifest.map_from_world_m,
        }));
    }
    say(&format!(
        "{}: {:.0} m x {:.0} m, {} rocks as meshes, rover {}; gz sim -r {}",
        args.out.display(),
        manifest.export.plot.size_m,
        manifest.export.plot.size_m,
        manifest.rocks,
        manifest.rover,
        args.out.join(world).display()
    ));
    Ok(())
}

/// A world that is just large enough for a plot.
///
/// # Errors
/// One sentence that names the option or the key.
pub fn made(
    places: &Places,
    seed: u64,
    soil: &str,
    cfa: Option<f64>,
    slope_deg: Option<f64>,
    plot_m: f64,
) -> anyhow::Result<WorldFolder> {
    let mut recipe = recipe(places, soil)?;
    let side_m = (plot_m + 2.0 * MARGIN_M).ceil();
    recipe.size_m = [side_m, side_m];
    recipe.rocks.cfa = cfa.unwrap_or(recipe.rocks.cfa);
    recipe.slope_deg = slope_deg.unwrap_or(recipe.slope_deg);
    let body = ground::body(places, "mars")?;
    Ok(generate::generate(seed, &body, &recipe)?)
}

fn plot(folder: &WorldFolder, args: &ExportSdfArgs) -> anyhow::Result<Plot> {
    let elevation = folder.site.elevation()?;
    let (origin, size) = (elevation.origin_m(), elevation.size_m());
    let center_m = match &args.center {
        Some(text) => ground::place(&folder.site, "center", text)?,
        None => [0, 1].map(|k| (origin[k] + 0.5 * size[k]).floor()),
    };
    Ok(Plot {
        center_m,
        size_m: args.size,
    })
}

/// Writes an export without its manifest, and returns that.
///
/// # Errors
/// One sentence.
fn write(
    folder: &WorldFolder,
    rover: &Rover,
    rover_name: &str,
    params: &ExportParams,
    out: &Path,
) -> anyhow::Result<Manifest> {
    let export = sdf::export(folder, rover, params)?;
    let made = &export.files;
    sdf::check::world(&format!("{}.sdf", params.name), made)?;
    for (name, bytes) in made {
        let path = out.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        files::write_atomic(&path, bytes)?;
    }
    Ok(Manifest {
        schema_version: MANIFEST_VERSION,
        export: params.clone(),
        seed: folder.document.seed,
        soil: None,
        cfa: None,
        slope_deg: None,
        rover: rover_name.into(),
        terrain_digest: folder.document.terrain_digest.clone(),
        map_from_world_m: export.map_from_world_m,
        rocks: export.rocks,
        files: sdf::digests(made),
    })
}

fn write_manifest(manifest: &Manifest, out: &Path) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(manifest)? + "\n";
    Ok(files::write_atomic(&out.join(MANIFEST), text.as_bytes())?)
}

/// Checks an exported world.
///
/// # Errors
/// One sentence that names the file and what is wrong.
pub fn check(args: &CheckSdfArgs) -> CliResult {
    let (manifest, checked) = sdf::check::folder(&args.dir)?;
    let debians = Path::new(describe::DEBIANS);
    if manifest.export.sdf == Version::V1_9 && debians.join("root.sdf").is_file() {
        let file = args.dir.join(format!("{}.sdf", manifest.export.name));
        let text = files::read_text(&file, 256 << 20)?;
        describe::conforms(&xml::Node::read(&text)?, debians)
            .map_err(|e| anyhow::anyhow!("{}: {e}", file.display()))?;
    }
    if args.json {
        let mut document = serde_json::to_value(&checked)?;
        document["ok"] = true.into();
        document["world"] = format!("{}.sdf", manifest.export.name).into();
        return say_json(&document);
    }
    say(&format!(
        "{}: {} files, {} models, {} links, {} joints, {} faces: well made",
        args.dir.display(),
        checked.files,
        checked.models,
        checked.links,
        checked.joints,
        checked.faces
    ));
    Ok(())
}
