//! From what stands on a command line to a site, a rover, a planet and a mission.

use crate::args::{GroundArgs, ModelArgs};
use crate::cli_error::CliError;
use crate::launch::places::Places;
use anyhow::Context;
use sojourn_core::{
    body::Body,
    constraints::Constraints,
    geometry::Xy,
    rover::Rover,
    site::{ROUGHNESS, SLOPE, Site},
};
use sojourn_planner::{ModelConfig, Provider};
use std::path::{Path, PathBuf};

/// Largest difference between a raster's reference sphere and a planet's radius, as a share.
const SAME_PLANET: f64 = 0.02;

/// A name below `config/<kind>/` or a file.
///
/// # Errors
/// One sentence that lists the names there are.
pub fn named_file(places: &Places, kind: &str, name: &str) -> anyhow::Result<PathBuf> {
    let given = Path::new(name);
    if name.contains('/') || given.extension().is_some() {
        anyhow::ensure!(given.is_file(), "{name}: is not a file");
        return Ok(given.to_path_buf());
    }
    let folder = places.shared(&format!("config/{kind}"))?;
    let file = folder.join(format!("{name}.yaml"));
    if file.is_file() {
        return Ok(file);
    }
    let mut names: Vec<String> = std::fs::read_dir(&folder)?
        .flatten()
        .filter_map(|e| Some(e.path().file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    anyhow::bail!(
        "there is no \"{name}\" among {}; there are {}, or give a file",
        folder.display(),
        names.join(", ")
    )
}

/// A rover by name or file.
///
/// # Errors
/// One sentence that names the file and the key.
pub fn rover(places: &Places, name: &str) -> anyhow::Result<(Rover, PathBuf)> {
    let file = named_file(places, "rovers", name)?;
    Ok((Rover::load(&file)?, file))
}

/// Constraints from a file, or the shipped ones.
///
/// # Errors
/// One sentence that names the file and the key.
pub fn mission(places: &Places, file: Option<&Path>) -> anyhow::Result<(Constraints, PathBuf)> {
    let file = match file {
        Some(f) => f.to_path_buf(),
        None => places.shared("config/mission.yaml")?,
    };
    Ok((Constraints::load(&file)?, file))
}

/// The same on another day: `--day`.
///
/// # Errors
/// One sentence that names the option, the value and what was expected.
pub fn mission_on(
    places: &Places,
    file: Option<&Path>,
    day: Option<&str>,
) -> anyhow::Result<Constraints> {
    let (mut mission, file) = mission(places, file)?;
    if let Some(day) = day {
        let freshness = mission.freshness.as_mut().with_context(|| {
            format!(
                "--day {day}: {} says nothing of how long the map holds, expected its key freshness",
                file.display()
            )
        })?;
        freshness.day = day.to_string();
        mission.check("--day")?;
    }
    Ok(mission)
}

/// A planet by name or file.
///
/// # Errors
/// One sentence that names the file and the key.
pub fn body(places: &Places, name: &str) -> anyhow::Result<Body> {
    Ok(Body::load(&named_file(places, "bodies", name)?)?)
}

/// The planet whose radius a raster's reference sphere has.
///
/// # Errors
/// One sentence when the raster cannot be read or its sphere is nobody's.
fn body_of_raster(places: &Places, dtm: &Path) -> anyhow::Result<Body> {
    let Some(radius_m) = sojourn_site::reference_radius_m(dtm)? else {
        eprintln!(
            "note: {} has a local coordinate system that belongs to no planet; mars is taken (--body says otherwise)",
            dtm.display()
        );
        return body(places, "mars");
    };
    for name in ["mars", "moon", "earth"] {
        let body = body(places, name)?;
        if (radius_m / body.radius_m - 1.0).abs() < SAME_PLANET {
            return Ok(body);
        }
    }
    anyhow::bail!(
        "{}: its reference sphere of {:.0} km is that of no planet known here; give --body FILE",
        dtm.display(),
        radius_m / 1000.0
    )
}

/// Reads the site folder or imports the raster. `fallback` is the planet when none is named.
///
/// # Errors
/// One sentence that names the file.
pub fn site(
    places: &Places,
    args: &GroundArgs,
    rover: &Rover,
    fallback: Option<&Body>,
) -> Result<Site, CliError> {
    let named = args.body.as_deref().map(|n| body(places, n)).transpose()?;
    match (&args.dtm, &args.site) {
        (Some(dtm), None) => {
            let body = match named.or_else(|| fallback.cloned()) {
                Some(body) => body,
                None => body_of_raster(places, dtm)?,
            };
            Ok(import(dtm, args.ortho.as_deref(), body, rover)?)
        }
        (None, Some(dir)) => {
            let mut site = Site::load(dir)?;
            if let Some(body) = named
                && body != site.manifest.body
            {
                return Err(CliError::Failed(format!(
                    "{}: the site is on {}, not on the {} of --body",
                    dir.display(),
                    site.manifest.body.name,
                    body.name
                )));
            }
            add_slope(&mut site, rover)?;
            Ok(site)
        }
        _ => Err(CliError::Usage(
            "the ground is missing; give --dtm FILE or --site DIR".into(),
        )),
    }
}

/// Imports a raster.
///
/// # Errors
/// One sentence that names the file.
pub fn import(dtm: &Path, ortho: Option<&Path>, body: Body, rover: &Rover) -> anyhow::Result<Site> {
    Ok(sojourn_site::import(&sojourn_site::ImportRequest {
        dtm: dtm.to_path_buf(),
        ortho: ortho.map(Path::to_path_buf),
        body,
        name: dtm
            .file_stem()
            .map_or_else(|| "site".into(), |s| s.to_string_lossy().into_owned()),
        footprint_m: rover.footprint_radius_m(),
        window: None,
    })?)
}

/// The planet of `--body`, or of the raster.
///
/// # Errors
/// One sentence that names the file.
pub fn body_for(places: &Places, name: Option<&str>, dtm: &Path) -> anyhow::Result<Body> {
    name.map_or_else(|| body_of_raster(places, dtm), |n| body(places, n))
}

/// Adds slope and roughness over the rover's footprint where a site lacks them.
///
/// # Errors
/// When the site has no elevation.
pub fn add_slope(site: &mut Site, rover: &Rover) -> anyhow::Result<()> {
    if site.layers.contains_key(SLOPE) && site.layers.contains_key(ROUGHNESS) {
        return Ok(());
    }
    let radius_m = rover.footprint_radius_m();
    let (slope, roughness) = sojourn_core::terrain::ground_of(site, radius_m)?;
    let derived = format!("derived from elevation over a disc of radius {radius_m:.2} m");
    site.put(SLOPE, slope, "deg", &derived);
    site.put(ROUGHNESS, roughness, "m", &derived);
    Ok(())
}

/// A place on a site in `map` metres; `which` ("start", "goal") is named in the message.
///
/// # Errors
/// One sentence.
pub fn place(site: &Site, which: &str, text: &str) -> anyhow::Result<Xy> {
    let of = |e: sojourn_site::SiteError| anyhow::anyhow!("{which}: {e}");
    let place = sojourn_site::parse_place(text).map_err(of)?;
    sojourn_site::resolve(site, &place).map_err(of)
}

/// Who helps with the plan, and how models are talked to.
///
/// # Errors
/// One sentence.
pub fn provider(
    args: &ModelArgs,
    config: Option<&Path>,
) -> anyhow::Result<(Option<Box<dyn Provider>>, ModelConfig)> {
    let config = match config {
        Some(file) => {
            let text = sojourn_core::files::read_text(file, 1 << 20)?;
            ModelConfig::parse(&file.display().to_string(), &text)?
        }
        None => ModelConfig::shipped()?,
    };
    let config = config.patient(args.model_timeout_s)?;
    if crate::orbital_labels::asked(args).is_some() {
        return Ok((None, config));
    }
    let provider = sojourn_planner::provider_from(&args.spec(), &args.model, &config)?;
    Ok((provider, config))
}

/// Makes sure, before any work, that a file can be written: its folder is there and takes files.
///
/// # Errors
/// One sentence that names the file.
pub fn writable(file: &Path) -> anyhow::Result<()> {
    let folder = match file.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let refuse = |why: String| anyhow::anyhow!("{}: cannot be written: {why}", file.display());
    if file.is_dir() {
        return Err(refuse("it is a folder".into()));
    }
    if file.exists() && !file.is_file() {
        return Err(refuse("it is a device or a pipe, expected a file".into()));
    }
    let probe = sojourn_core::files::temporary_name(file);
    std::fs::File::create(&probe).map_err(|e| refuse(format!("{}: {e}", folder.display())))?;
    let _ = std::fs::remove_file(&probe);
    Ok(())
}

/// Makes sure that files named on the command line are different ones.
///
/// # Errors
/// One sentence that names both options.
pub fn apart(files: &[(&str, &PathBuf)]) -> anyhow::Result<()> {
    let whole = |p: &Path| p.canonicalize().or_else(|_| std::path::absolute(p));
    for (i, (name, file)) in files.iter().enumerate() {
        for (other, same) in files.iter().take(i) {
            anyhow::ensure!(
                whole(file)? != whole(same)?,
                "{}: is named by {other} and by {name}, expected two files",
                file.display()
            );
        }
    }
    Ok(())
}

/// Now, UTC, ISO 8601 to the second.
#[must_use]
pub fn utc_now() -> String {
    let now = time::OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    now.format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_files_are_told_apart() {
        let places = Places::find();
        assert!(rover(&places, "perseverance").is_ok());
        assert!(body(&places, "moon").is_ok());
        assert!(mission(&places, None).is_ok());
        let message = rover(&places, "sputnik").unwrap_err().to_string();
        assert!(
            message.contains("sputnik") && message.contains("testbed"),
            "{message}"
        );
        assert!(
            rover(&places, "/no/rover.yaml")
                .unwrap_err()
                .to_string()
                .contains("/no/rover.yaml")
        );
    }

    #[test]
    fn what_cannot_be_written_is_known_before() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        writable(&file).unwrap();
        std::fs::write(&file, "").unwrap();
        let below = file.join("plan.json");
        assert!(
            writable(&below)
                .unwrap_err()
                .to_string()
                .contains("plan.json")
        );
        assert!(writable(dir.path()).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_time_is_utc_to_the_second() {
        let t = utc_now();
        assert!(t.ends_with('Z') && t.len() == 20, "{t}");
    }
}
