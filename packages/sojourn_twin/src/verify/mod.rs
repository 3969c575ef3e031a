//! Verification: a plan is driven quasi-statically over the site's own elevation, every telemetry value is compared with
//! its limits, and the same is done again under everything that is not known.
//!
//! The rover turns in place towards each waypoint and drives straight to it, at the waypoint's speed or its cruise
//! speed, whichever is less; slip takes its share of the way. Small obstacles are AutoNav's business: they are not in a
//! site's data. Values are checked as they arise and not kept.

pub mod conditions;
pub mod dictionary;
mod disputes;
pub mod drive;
pub mod expression;
pub mod ledger;
pub mod limits;
pub mod montecarlo;
pub mod quantities;
pub mod report;
pub mod sample;
pub mod settings;
pub mod soil;

use crate::TwinError;
use conditions::{Conditions, Ground};
use drive::{Course, Drive};
use sample::Env;
pub use settings::{Settings, Setup};
use soil::SoilMap;
use sojourn_core::{
    CoreError,
    error::in_range,
    geometry::Xy,
    plan::{Plan, digest_of},
    raster::Raster,
    report::Report,
    rover::Rover,
    settle::Settler,
    site::Site,
};
use std::io::Write;

/// When the plan is driven under what is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// Never: the nominal run alone.
    Never,
    /// Only when the nominal run passes; a broken limit rejects anyway.
    WhenNominalPasses,
    /// Always.
    Always,
}

/// How a plan is verified.
pub struct VerifyOptions<'a> {
    /// When the samples are run.
    pub samples: Samples,
    /// Where a table of all values of the nominal run goes (CSV, one row per sample), if anywhere.
    pub channels_csv: Option<&'a mut dyn Write>,
    /// Told how many samples are done; first with 0, when the nominal run is done.
    pub progress: &'a (dyn Fn(u32) + Sync),
}

impl VerifyOptions<'_> {
    /// With samples, no table.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            samples: Samples::Always,
            channels_csv: None,
            progress: &|_| {},
        }
    }

    /// The nominal run alone.
    #[must_use]
    pub fn nominal() -> Self {
        Self {
            samples: Samples::Never,
            ..Self::standard()
        }
    }
}

/// Highest and lowest ground that is believed, metres over the site's datum.
const HEIGHT_M: [f64; 2] = [-20_000.0, 30_000.0];

/// Drives a plan and reports. A report that rejects is a result, not an error.
///
/// # Errors
/// [`TwinError::Core`] when the plan, the site or the set-up cannot be used at all, [`TwinError::Mismatch`] when the
/// plan was made for another site, body or rover, [`TwinError::Write`] when the table cannot be written.
pub fn verify(
    plan: &Plan,
    site: &Site,
    rover: &Rover,
    setup: &Setup,
    options: VerifyOptions,
) -> Result<Report, TwinError> {
    plan.check(&plan.name)?;
    let digests = matching_digests(plan, site, rover)?;
    let elevation = site.elevation()?;
    check_heights(elevation, &site.manifest.name)?;
    let settings = &setup.settings;
    let (origin, size) = (elevation.origin_m(), elevation.size_m());
    let env = Env {
        rover,
        body: &site.manifest.body,
        plate: setup.plate(rover, &site.manifest.body),
        environment: settings.environment_of(&site.manifest.body.name)?,
        mission: settings.mission,
        planned_m: plan.distance_m,
        allowed_s: plan.waypoints.iter().map(|w| w.timeout_s).sum(),
        extent_m: [
            origin[0],
            origin[1],
            origin[0] + size[0],
            origin[1] + size[1],
        ],
        footprint_m: rover.footprint_radius_m(),
        waypoints: plan.waypoints.len(),
    };
    let soil = SoilMap::new(
        &setup.soils,
        rover,
        &site.manifest.body,
        &plan.features,
        site.layers.get(soil::SEEN_FROM_GROUND),
        settings.monte_carlo.soil_patch_m,
    )?
    .disputed(
        plan.disputes.as_ref(),
        settings.monte_carlo.disputed_weak_share_per_level,
    );
    let forbidden = plan
        .features
        .iter()
        .filter(|f| f.forbids)
        .map(|f| f.polygon.as_slice());
    let keep_out: Vec<&[Xy]> = plan
        .keep_out
        .iter()
        .map(Vec::as_slice)
        .chain(forbidden)
        .collect();
    let dictionary = setup.dictionary.of_rover(rover);
    let course = Course {
        plan,
        env: &env,
        dictionary: &dictionary,
        soil: &soil,
        keep_out: &keep_out,
        sample_s: settings.sample_s,
    };
    let settler = Settler::new(rover, (0.2 * rover.wheel.radius_m).max(0.01));
    let conditions = Conditions::nominal();
    let ground = Ground {
        elevation,
        map_offset_m: [0.0; 2],
        relief: None,
    };
    let mut drive = Drive::new(
        &course,
        &env,
        ground,
        &conditions,
        &settler,
        options.channels_csv,
    );
    drive.check_waypoints();
    let nominal = drive.run()?;
    let sampled = match options.samples {
        Samples::Never => false,
        Samples::WhenNominalPasses => nominal.ledger.excesses.is_empty(),
        Samples::Always => true,
    } && settings.monte_carlo.samples > 0;
    let coarse = montecarlo::sampled(&course, &settings.monte_carlo);
    let runs = if sampled {
        (options.progress)(0);
        montecarlo::run_all(&coarse, &env, elevation, settings, options.progress)?
    } else {
        Vec::new()
    };
    Ok(report::report(
        &course,
        &nominal,
        &runs,
        settings,
        digests,
        &setup.digest,
    ))
}

/// Heights that no ground has are spoilt data, not ground.
fn check_heights(elevation: &Raster, name: &str) -> Result<(), CoreError> {
    let Some((lo, hi)) = elevation.min_max() else {
        return Err(CoreError::format(name, "elevation holds no data at all"));
    };
    in_range(
        name,
        "least elevation",
        f64::from(lo),
        HEIGHT_M[0],
        HEIGHT_M[1],
    )?;
    in_range(
        name,
        "greatest elevation",
        f64::from(hi),
        HEIGHT_M[0],
        HEIGHT_M[1],
    )?;
    Ok(())
}

/// Digests of plan, site and rover.
pub struct Digests {
    /// Of the plan.
    pub plan: String,
    /// Of the site's terrain.
    pub site: String,
    /// Of the rover.
    pub rover: String,
}

fn matching_digests(plan: &Plan, site: &Site, rover: &Rover) -> Result<Digests, TwinError> {
    let digests = Digests {
        plan: plan.digest()?,
        site: site.terrain_digest()?,
        rover: digest_of("rover", rover)?,
    };
    let body_name = |b: &sojourn_core::body::Body| format!("{} ({} m/s²)", b.name, b.gravity_mps2);
    for (field, found, given, expected) in [
        (
            "rover",
            plan.rover.clone(),
            "rover file",
            rover.name.clone(),
        ),
        (
            "rover_digest",
            plan.rover_digest.clone(),
            "rover file",
            digests.rover.clone(),
        ),
        (
            "body",
            body_name(&plan.body),
            "site",
            body_name(&site.manifest.body),
        ),
        (
            "site_digest",
            plan.site_digest.clone(),
            "site",
            digests.site.clone(),
        ),
    ] {
        if found != expected {
            return Err(TwinError::Mismatch {
                plan: plan.name.clone(),
                field,
                found,
                given,
                expected,
            });
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trips;
