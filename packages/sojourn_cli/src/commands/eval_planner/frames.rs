//! Pictures from the surface for a generated scene: what the rover's left camera shows at the start, before the drive.

use super::scene::Scene;
use sojourn_core::geometry::Xy;
use sojourn_core::raster::HeightField;
use sojourn_core::rover::Rover;
use sojourn_planner::model::{GreyFrame, SurfaceView};
use sojourn_twin::folder::View;
use sojourn_twin::render::rig::look;
use sojourn_twin::render::{Renderer, SensorParams, Shot, StereoRig, Sun};

/// Headings off the goal's, radians: the middle first, then to both sides.
const TURNS_RAD: [f64; 3] = [0.0, 1.0, -1.0];
/// Farthest ground that is shown, metres.
const RANGE_M: f64 = 30.0;
/// Ground around the start that is made for it, metres.
const AROUND_M: f64 = RANGE_M + 12.0;

/// Takes them. The camera is an ideal one, level, with the noise of a flight camera; its pose is known.
pub(super) fn frames(
    scene: &Scene,
    rover: &Rover,
    ends: [Xy; 2],
) -> anyhow::Result<Vec<SurfaceView>> {
    let Some(folder) = &scene.folder else {
        return Ok(Vec::new());
    };
    let [[x, y], goal] = ends;
    let world = folder.world(&View {
        region_m: [x - AROUND_M, y - AROUND_M, x + AROUND_M, y + AROUND_M],
        ..View::everything()
    })?;
    let Some(z) = world.height_m(x, y) else {
        return Ok(Vec::new());
    };
    let image = &folder.document.recipe.image;
    let sun = Sun {
        azimuth_rad: image.sun_azimuth_deg.to_radians(),
        elevation_rad: image.sun_elevation_deg.to_radians(),
    };
    let n = &rover.navcam;
    let (eye_m, down_rad) = (n.position_m[2], n.down_deg.to_radians());
    let lowest_rad = down_rad + 0.5 * n.vfov_deg.to_radians();
    let near_m = eye_m / lowest_rad.tan().max(0.05);
    let rig = StereoRig::rectified(rover);
    let mut renderer = Renderer::new(rig, SensorParams::navcam(), RANGE_M, scene.seed);
    let heading_rad = (goal[1] - y).atan2(goal[0] - x);
    let taken = TURNS_RAD.iter().zip(1u64..).map(|(turn, number)| {
        let yaw_rad = heading_rad + turn;
        let shot = Shot {
            sun,
            seed: scene.seed,
            number,
            right: false,
            depth_noise: None,
        };
        let pose = look([x, y, z + eye_m], yaw_rad, down_rad);
        let frame = renderer.shoot(&world, &pose, &shot);
        SurfaceView::of_grey(&GreyFrame {
            id: format!("S{number}"),
            at_m: [x, y],
            yaw_rad,
            hfov_rad: n.hfov_deg.to_radians(),
            near_m,
            far_m: RANGE_M,
            date: folder.document.recipe.date.clone(),
            source: "left navigation camera, generated".into(),
            width: frame.width,
            height: frame.height,
            grey: frame.left,
        })
    });
    Ok(taken.collect::<Result<_, _>>()?)
}
