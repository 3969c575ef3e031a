//! `sojourn site`: an elevation model and perhaps an image become a folder.

use super::{say, say_json};
use crate::args::{GroundArgs, SiteArgs};
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use crate::launch::places::Places;
use sojourn_core::files;
use sojourn_core::freshness::day_number;
use sojourn_core::site::{LayerInfo, Site};
use sojourn_site::Fit;
use std::path::Path;

/// A day that somebody gives for a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerDay {
    /// The layer.
    pub layer: String,
    /// ISO 8601.
    pub day: String,
}

/// Reads `LAYER=YYYY-MM-DD`.
///
/// # Errors
/// One sentence: not of that form, no such day.
pub fn layer_day(text: &str) -> Result<LayerDay, String> {
    match text.split_once('=') {
        Some((layer, day)) if !layer.is_empty() && day_number(day).is_some() => Ok(LayerDay {
            layer: layer.into(),
            day: day.into(),
        }),
        _ => Err(format!(
            "\"{text}\", expected a layer and a day, LAYER=YYYY-MM-DD"
        )),
    }
}

type Set = fn(&mut LayerInfo, String);

/// What the manifest says of a layer.
fn layer_of<'a>(site: &'a mut Site, name: &str) -> Result<&'a mut LayerInfo, CliError> {
    let known: Vec<String> = site.manifest.layers.keys().cloned().collect();
    site.manifest.layers.get_mut(name).ok_or_else(|| {
        CliError::Usage(format!(
            "the site has no layer \"{name}\", only {}",
            known.join(", ")
        ))
    })
}

/// Makes a site folder from a raster.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn site(args: &SiteArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    ground::writable(&args.out.join("manifest.json")).or_else(|_| ground::writable(&args.out))?;
    let mut site = ground::site(
        &places,
        &GroundArgs {
            dtm: Some(args.dtm.clone()),
            ortho: args.ortho.clone(),
            site: None,
            body: args.body.clone(),
        },
        &rover,
        None,
    )?;
    let mut fit = None;
    if let Some(dtm) = &args.around {
        let (whole, measured) = sojourn_site::surround(
            &site,
            &sojourn_site::Surroundings {
                dtm: dtm.clone(),
                margin_m: args.margin,
                footprint_m: rover.footprint_radius_m(),
            },
        )?;
        (site, fit) = (whole, Some(measured));
    }
    for (days, set) in [
        (&args.date, (|i: &mut LayerInfo, d| i.date = Some(d)) as Set),
        (&args.expiry, |i, d| i.expiry = Some(d)),
    ] {
        for day in days {
            set(layer_of(&mut site, &day.layer)?, day.day.clone());
        }
    }
    let folder = files::NewFolder::begin(&args.out)?;
    site.save(&args.out)?;
    sojourn_site::write_geotiffs(&site, &args.out)?;
    folder.keep();
    tell_site(&site, fit, &args.out, args.json)
}

fn tell_site(site: &Site, fit: Option<Fit>, out: &Path, json: bool) -> CliResult {
    let elevation = site.elevation()?;
    let [width_m, height_m] = elevation.size_m();
    let digest = site.terrain_digest()?;
    if json {
        return say_json(&serde_json::json!({
            "ok": true,
            "out": out,
            "name": site.manifest.name,
            "body": site.manifest.body.name,
            "terrain_digest": digest,
            "size_m": [width_m, height_m],
            "resolution_m": elevation.resolution_m(),
            "layers": site.layers.keys().collect::<Vec<_>>(),
            "around": fit.map(|f| serde_json::json!({
                "shift_m": f.shift_m,
                "offset_m": f.offset_m,
                "spread_m": f.spread_m,
                "slope_more_deg": f.slope_more_deg,
                "roughness_m": f.roughness_m,
                "coarse_share": f.coarse_share,
            })),
        }));
    }
    say(&format!(
        "{}: {} on {}, {width_m:.0} m x {height_m:.0} m, cells of {:.2} m, layers {}",
        out.display(),
        site.manifest.name,
        site.manifest.body.name,
        elevation.resolution_m(),
        site.layers.keys().cloned().collect::<Vec<_>>().join(", ")
    ));
    if let Some(f) = fit {
        say(&format!(
            "{:.0} % of it from the coarse map, moved by {:+.0} m east, {:+.0} m north and {:+.2} m up, {:.2} m off the fine one (one standard deviation); its ground counts as {:.1}° steeper and at least {:.2} m rough",
            100.0 * f.coarse_share,
            f.shift_m[0],
            f.shift_m[1],
            f.offset_m,
            f.spread_m,
            f.slope_more_deg,
            f.roughness_m
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_layers_are_read_or_refused() {
        let day = layer_day("ortho=2019-02-28").unwrap();
        assert_eq!(
            (day.layer.as_str(), day.day.as_str()),
            ("ortho", "2019-02-28")
        );
        for bad in [
            "",
            "ortho",
            "=2019-01-01",
            "ortho=2019-02-30",
            "ortho=soon",
            "ortho=",
        ] {
            let said = layer_day(bad).unwrap_err();
            assert!(said.contains("LAYER=YYYY-MM-DD"), "{bad}: {said}");
        }
    }
}
