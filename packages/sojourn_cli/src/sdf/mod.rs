//! A piece of a world as a Gazebo world: a folder with the SDF file, the ground as height map and mesh, its rocks and a
//! rover.

pub mod check;
pub mod describe;
pub mod rover;
pub mod terrain;
pub mod xml;

use serde::{Deserialize, Serialize};
use sojourn_core::{body::Body, plan::sha256_hex, rover::Rover, settle::Settler};
use sojourn_twin::folder::WorldFolder;
use std::collections::BTreeMap;
use terrain::{Grid, Ground, rock_name};
use xml::Node;

/// Name of the manifest in the folder.
pub const MANIFEST: &str = "manifest.json";
/// Version of the manifest.
pub const MANIFEST_VERSION: u32 = 1;
/// Most rocks that stand as meshes: more of them slow a physics engine to a crawl.
pub const MOST_ROCKS: usize = 1500;
/// Surface temperature, kelvin, by planet: the mean of Viking 1's summer on Mars, the standard atmosphere on Earth.
const TEMPERATURES_K: [(&str, f64); 2] = [("mars", 210.0), ("earth", 288.15)];
/// Height that the rover is let down from, metres.
const DROP_M: f64 = 0.02;
/// Friction of the ground under a wheel.
const FRICTION: f64 = 0.8;
/// Step of the physics engine, seconds.
const STEP_S: f64 = 0.004;
/// Fewest and most pixels along a side of the height map, as powers of two.
const POWERS: std::ops::RangeInclusive<u32> = 5..=11;

/// Which SDF is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Version {
    /// What Debian's sdformat 12 reads: no sphere of the planet's size, no differential.
    #[serde(rename = "1.9")]
    #[value(name = "1.9")]
    V1_9,
    /// Gazebo Harmonic and later.
    #[serde(rename = "1.11")]
    #[value(name = "1.11")]
    V1_11,
}

impl Version {
    /// As in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::V1_9 => "1.9",
            Self::V1_11 => "1.11",
        }
    }
}

/// What wheels touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Collision {
    /// A height map, which only the engine dartsim knows; rockers are held by springs.
    Heightmap,
    /// The mesh that is also seen, for bullet-featherstone, which knows the rockers' differential.
    Mesh,
}

/// A square of a world.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plot {
    /// Its middle, metres in `map`.
    pub center_m: [f64; 2],
    /// Its side, metres.
    pub size_m: f64,
}

/// How a world is exported.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportParams {
    /// Name of the Gazebo world and of its file.
    pub name: String,
    /// The part of the world.
    pub plot: Plot,
    /// Pixels along a side of the height map: a power of two and one.
    pub pixels: usize,
    /// Rocks of this diameter and more stand as meshes; smaller ones are part of the height map, metres.
    pub rocks_over_m: f64,
    /// SDF version.
    pub sdf: Version,
    /// What wheels touch.
    pub collision: Collision,
    /// Whether the sun casts shadows.
    pub shadows: bool,
}

/// What the manifest of an exported world says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`MANIFEST_VERSION`].
    pub schema_version: u32,
    /// How it was made.
    pub export: ExportParams,
    /// Seed of the world.
    pub seed: u64,
    /// The kind of world as named on the command line, for a world that was made for this export alone.
    pub soil: Option<String>,
    /// Golombek's k and the regional slope where the command line gave them.
    pub cfa: Option<f64>,
    /// The same, degrees.
    pub slope_deg: Option<f64>,
    /// Name of the rover's file.
    pub rover: String,
    /// Digest of the terrain it was cut from.
    pub terrain_digest: String,
    /// What has to be added to a place in the Gazebo world to get metres in `map`.
    pub map_from_world_m: [f64; 3],
    /// Rocks that stand as meshes.
    pub rocks: usize,
    /// Hex SHA-256 of every other file.
    pub files: BTreeMap<String, String>,
}

/// The files of an exported world by their name in the folder, the manifest aside.
pub type Files = BTreeMap<String, Vec<u8>>;

/// An exported world.
pub struct Export {
    /// Its files.
    pub files: Files,
    /// What has to be added to a place in the Gazebo world to get metres in `map`.
    pub map_from_world_m: [f64; 3],
    /// Rocks that stand as meshes.
    pub rocks: usize,
}

impl ExportParams {
    /// Checks every value against the ground there is.
    ///
    /// # Errors
    /// One sentence that names the option.
    pub fn check(&self) -> anyhow::Result<()> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        anyhow::ensure!(
            !self.name.is_empty() && self.name.chars().all(plain),
            "--name is \"{}\", expected letters, digits, _ and -",
            self.name
        );
        let size_m = self.plot.size_m;
        anyhow::ensure!(
            (4.0..=2000.0).contains(&size_m),
            "--size is {size_m}, expected 4 to 2000 metres"
        );
        let sizes: Vec<usize> = POWERS.map(|p| (1 << p) + 1).collect();
        anyhow::ensure!(
            sizes.contains(&self.pixels),
            "--pixels is {}, expected one of {sizes:?}",
            self.pixels
        );
        anyhow::ensure!(
            (0.1..=10.0).contains(&self.rocks_over_m),
            "--rocks-over is {}, expected 0.1 to 10 metres",
            self.rocks_over_m
        );
        Ok(())
    }
}

/// Makes the files of a Gazebo world.
///
/// # Errors
/// One sentence: a parameter out of range, no ground, too many rocks, no place for the rover.
pub fn export(
    folder: &WorldFolder,
    rover: &Rover,
    params: &ExportParams,
) -> anyhow::Result<Export> {
    params.check()?;
    let ground = Ground::new(folder, params.plot, params.rocks_over_m)?;
    let rocks = ground.rocks().len();
    anyhow::ensure!(
        rocks <= MOST_ROCKS,
        "{rocks} rocks of {} m and more lie there, expected at most {MOST_ROCKS}: give a greater --rocks-over",
        params.rocks_over_m
    );
    let grid = ground.grid(params.pixels)?;
    // The picture's mesh has half as many nodes: eyes need less than wheels. As collision it has all of them.
    let seen = match params.collision {
        Collision::Heightmap => ground.grid(params.pixels / 2 + 1)?,
        Collision::Mesh => ground.grid(params.pixels)?,
    };
    let body = &folder.site.manifest.body;
    let recipe = &folder.document.recipe.image;
    let pose = start(&ground, rover, params)?;
    let mut world = named("world", &params.name);
    world.children.extend(setting(body, params));
    world.children.push(sun(
        recipe.sun_azimuth_deg,
        recipe.sun_elevation_deg,
        params.shadows,
    ));
    world.children.push(terrain_model(&grid, params));
    if rocks > 0 {
        world.children.push(rocks_model(rocks));
    }
    let model = rover::model(rover, params.sdf, pose, body.gravity_mps2);
    world.children.push(model);
    let sdf = Node::new("sdf")
        .with("version", params.sdf.name())
        .holding([world]);
    let mut files = Files::new();
    files.insert(format!("{}.sdf", params.name), sdf.document().into_bytes());
    let mut media = |name: &str, bytes: Vec<u8>| files.insert(format!("media/{name}"), bytes);
    if params.collision == Collision::Heightmap {
        media("terrain_height.png", grid.png()?);
    }
    media("terrain.obj", seen.obj(params.plot.size_m).into_bytes());
    media(
        "terrain_albedo.png",
        ground.picture((params.pixels - 1).min(1024))?,
    );
    for (name, text) in terrain::materials() {
        if rocks > 0 || name != "rocks.mtl" {
            media(name, text.into_bytes());
        }
    }
    if rocks > 0 {
        media("rocks.obj", ground.rocks_obj()?.into_bytes());
    }
    let [x, y] = params.plot.center_m;
    Ok(Export {
        files,
        map_from_world_m: [x, y, ground.zero_m()],
        rocks,
    })
}

/// Digests of files.
#[must_use]
pub fn digests(files: &Files) -> BTreeMap<String, String> {
    let digest = |(name, bytes): (&String, &Vec<u8>)| (name.clone(), sha256_hex(bytes));
    files.iter().map(digest).collect()
}

/// Where the rover is let down: as near to the middle as it stands within its limits, rocks and all, looking east.
fn start(ground: &Ground, rover: &Rover, params: &ExportParams) -> anyhow::Result<[f64; 6]> {
    let settler = Settler::new(rover, (0.2 * rover.wheel.radius_m).max(0.01));
    let reach_m = rover.footprint_radius_m();
    let height = |x: f64, y: f64| ground.with_rocks_m(x, y);
    let most_m = 0.5 * params.plot.size_m - 1.1 * reach_m;
    let mut radius_m = 0.0;
    while radius_m <= most_m {
        for k in 0..16 {
            let turn = std::f64::consts::TAU * f64::from(k) / 16.0;
            let (x, y) = (radius_m * turn.cos(), radius_m * turn.sin());
            let pose = sojourn_core::frames::Pose2::new(x, y, 0.0);
            let stands = settler.settle(&height, pose);
            if let Some(s) = stands.filter(|s| s.excess(&rover.limits, 0.9).is_none()) {
                return Ok([x, y, s.z_m + DROP_M, s.roll_rad, s.pitch_rad, 0.0]);
            }
        }
        radius_m += 0.3 * reach_m;
    }
    anyhow::bail!(
        "{} can stand nowhere on the {:.0} m of the plot within its limits: give another --center or a greater --size",
        rover.name,
        params.plot.size_m
    )
}

fn named(tag: &str, name: &str) -> Node {
    Node::new(tag).with("name", name)
}

fn system(file: &str, name: &str) -> Node {
    Node::new("plugin")
        .with("filename", format!("gz-sim-{file}-system"))
        .with("name", format!("gz::sim::systems::{name}"))
}

/// Gravity, air, the sphere under it, the physics engine.
fn setting(body: &Body, params: &ExportParams) -> Vec<Node> {
    let mut nodes = vec![
        Node::numbers("gravity", &[0.0, 0.0, -body.gravity_mps2]),
        // None of these planets but Earth has a field that a compass would follow.
        Node::numbers("magnetic_field", &[0.0, 0.0, 0.0]),
    ];
    let kelvin = TEMPERATURES_K.iter().find(|(name, _)| *name == body.name);
    if let Some((_, kelvin)) = kelvin.filter(|_| body.atmosphere_pa > 0.0) {
        nodes.push(Node::new("atmosphere").with("type", "adiabatic").holding([
            Node::numbers("temperature", &[*kelvin]),
            Node::numbers("pressure", &[body.atmosphere_pa]),
        ]));
    }
    if params.sdf == Version::V1_11 {
        nodes.push(Node::new("spherical_coordinates").holding([
            Node::text("surface_model", "CUSTOM_SURFACE"),
            Node::numbers("surface_axis_equatorial", &[body.radius_m]),
            Node::numbers("surface_axis_polar", &[body.radius_m]),
            Node::text("world_frame_orientation", "ENU"),
            Node::text("latitude_deg", 0),
            Node::text("longitude_deg", 0),
            Node::text("elevation", 0),
            Node::text("heading_deg", 0),
        ]));
    }
    nodes.push(
        named("physics", "default")
            .with("type", "ignored")
            .holding([
                Node::numbers("max_step_size", &[STEP_S]),
                Node::text("real_time_factor", 1),
                // Others let wheels fall through height maps.
                Node::new("dart").holding([Node::text("collision_detector", "bullet")]),
            ]),
    );
    for (file, name) in [
        ("physics", "Physics"),
        ("user-commands", "UserCommands"),
        ("scene-broadcaster", "SceneBroadcaster"),
        ("imu", "Imu"),
        ("contact", "Contact"),
    ] {
        nodes.push(system(file, name));
    }
    nodes.push(system("sensors", "Sensors").holding([Node::text("render_engine", "ogre2")]));
    nodes.push(Node::new("scene").holding([
        Node::numbers("ambient", &[0.35, 0.3, 0.26, 1.0]),
        Node::numbers("background", &[0.55, 0.42, 0.3, 1.0]),
        Node::text("shadows", params.shadows),
        Node::text("grid", false),
    ]));
    nodes
}

fn sun(azimuth_deg: f64, elevation_deg: f64, shadows: bool) -> Node {
    let (az, el) = (azimuth_deg.to_radians(), elevation_deg.to_radians());
    // From the sun to the ground.
    let direction = [-el.cos() * az.cos(), -el.cos() * az.sin(), -el.sin()];
    named("light", "sun").with("type", "directional").holding([
        Node::text("cast_shadows", shadows),
        Node::numbers("pose", &[0.0, 0.0, 100.0, 0.0, 0.0, 0.0]),
        Node::numbers("diffuse", &[1.0, 0.92, 0.84, 1.0]),
        Node::numbers("specular", &[0.1, 0.1, 0.1, 1.0]),
        Node::numbers("direction", &direction),
    ])
}

fn friction() -> Node {
    let ode = Node::new("ode").holding([
        Node::numbers("mu", &[FRICTION]),
        Node::numbers("mu2", &[FRICTION]),
    ]);
    Node::new("surface").holding([Node::new("friction").holding([ode])])
}

fn mesh(file: &str, submesh: Option<&str>) -> Node {
    let mut mesh = Node::new("mesh").holding([Node::text("uri", format!("media/{file}"))]);
    if let Some(name) = submesh {
        mesh.children.push(
            Node::new("submesh").holding([Node::text("name", name), Node::text("center", false)]),
        );
    }
    Node::new("geometry").holding([mesh])
}

fn terrain_model(grid: &Grid, params: &ExportParams) -> Node {
    // dartsim spreads n pixels over n cells, not n − 1: the collision is asked for larger by that much, so that it is
    // where the mesh is.
    let n = grid.side as f64;
    let size_m = params.plot.size_m * n / (n - 1.0);
    let touched = match params.collision {
        Collision::Heightmap => Node::new("geometry").holding([Node::new("heightmap").holding([
            Node::text("uri", "media/terrain_height.png"),
            Node::numbers("size", &[size_m, size_m, grid.range_m]),
            Node::numbers("pos", &[0.0, 0.0, grid.least_m]),
            Node::text("sampling", 1),
        ])]),
        Collision::Mesh => mesh("terrain.obj", None),
    };
    named("model", "terrain").holding([
        Node::text("static", true),
        named("link", "ground").holding([
            named("collision", "ground").holding([touched, friction()]),
            named("visual", "ground").holding([mesh("terrain.obj", None)]),
        ]),
    ])
}

fn rocks_model(count: usize) -> Node {
    let mut link = named("link", "rocks");
    for k in 0..count {
        let name = rock_name(k);
        link.children
            .push(named("collision", &name).holding([mesh("rocks.obj", Some(&name)), friction()]));
    }
    link.children
        .push(named("visual", "rocks").holding([mesh("rocks.obj", None)]));
    named("model", "rocks").holding([Node::text("static", true), link])
}

#[cfg(test)]
mod tests;
