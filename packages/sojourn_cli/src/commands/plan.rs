//! `sojourn site` and `plan`

use super::{say, say_json};
use crate::args::{GroundArgs, PlanArgs, SiteArgs};
use crate::cli_error::{CliError, CliResult};
use crate::ground;
use crate::launch::places::Places;
use sojourn_core::{files, site::Site};
use sojourn_planner::{PlanRequest, candidates, plan as make_plan, to_xml};
use std::path::Path;

/// Makes a site folder from a raster.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence.
pub fn site(args: &SiteArgs) -> CliResult {
    let places = Places::find();
    let (rover, _) = ground::rover(&places, &args.rover)?;
    ground::writable(&args.out.join("manifest.json")).or_else(|_| ground::writable(&args.out))?;
    let site = ground::site(
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
    site.save(&args.out)?;
    sojourn_site::write_geotiffs(&site, &args.out)?;
    tell_site(&site, &args.out, args.json)
}

fn tell_site(site: &Site, out: &Path, json: bool) -> CliResult {
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
    Ok(())
}

/// Plans a route.
///
/// # Errors
/// [`crate::cli_error::CliError::Failed`] in one sentence; nothing is written then.
pub fn plan(args: &PlanArgs) -> CliResult {
    if let Some(command) = &args.command {
        return super::check::run(command);
    }
    // clap asks for all three.
    let missing = || CliError::Usage("--start, --goal and --out are needed".into());
    let out = args.out.as_ref().ok_or_else(missing)?;
    let start = args.start.as_ref().ok_or_else(missing)?;
    let goal = args.goal.as_ref().ok_or_else(missing)?;
    let places = Places::find();
    ground::writable(out)?;
    if let Some(xml) = &args.xml {
        ground::writable(xml)?;
    }
    let (rover, _) = ground::rover(&places, &args.rover)?;
    let (constraints, _) = ground::mission(&places, args.mission.as_deref())?;
    let provider = ground::provider(&args.model)?;
    let site = ground::site(&places, &args.ground, &rover, None)?;
    let request = PlanRequest {
        name: args
            .name
            .clone()
            .unwrap_or_else(|| site.manifest.name.clone()),
        start_m: ground::place(&site, "start", start)?,
        goal_m: ground::place(&site, "goal", goal)?,
        seed: args.seed,
    };
    let outcome = make_plan(&request, &site, &rover, &constraints, provider.as_deref())?;
    let plan = &outcome.plan;
    let xml = to_xml(plan)?;
    let text = serde_json::to_string_pretty(plan)? + "\n";
    files::write_atomic(out, text.as_bytes())?;
    if let Some(path) = &args.xml
        && let Err(e) = files::write_atomic(path, xml.as_bytes())
    {
        // Both or none.
        let _ = std::fs::remove_file(out);
        return Err(e.into());
    }
    let alternatives: Vec<serde_json::Value> = if args.alternatives == 0 {
        Vec::new()
    } else {
        let k = usize::from(args.alternatives);
        candidates(&request, &site, &rover, &constraints, &plan.features, k)?
            .iter()
            .map(|c| {
                serde_json::json!({
                    "preset": c.preset.name(),
                    "length_m": c.length_m,
                    "cost": c.cost,
                    "risk_m": c.risk_m,
                    "max_slope_deg": c.max_slope_deg,
                    "max_roughness_m": c.max_roughness_m,
                    "clearance_m": c.clearance_m,
                    "line": c.line,
                })
            })
            .collect()
    };
    if args.json {
        return say_json(&serde_json::json!({
            "ok": true,
            "digest": plan.digest()?,
            "distance_m": plan.distance_m,
            "straight_m": outcome.stats.straight_m,
            "waypoints": plan.waypoints.len(),
            "model_status": plan.model.status,
            "model_note": plan.model.note,
            "labels": plan.features.len(),
            "site_digest": plan.site_digest,
            "body": plan.body.name,
            "rover": plan.rover,
            "validator": {
                "limits_version": outcome.verdict.limits_version,
                "limits_sha256": outcome.verdict.limits_sha256,
                "checked": outcome.verdict.checked,
                "flagged": outcome.verdict.violations,
                "measures": outcome.verdict.measures,
            },
            "alternatives": alternatives,
            "out": out,
            "xml": args.xml,
        }));
    }
    say(&format!(
        "{}: {:.1} m in {} segments ({:.1} m as the crow flies); {}",
        out.display(),
        plan.distance_m,
        plan.waypoints.len(),
        outcome.stats.straight_m,
        plan.model.note
    ));
    Ok(())
}
