use super::*;
use crate::commands::export_sdf::made;
use crate::ground;
use crate::launch::places::Places;
use nalgebra::Vector3;
use sojourn_core::raster::HeightField;
use sojourn_twin::folder::View;

fn params(size_m: f64, sdf: Version) -> ExportParams {
    ExportParams {
        name: "try".into(),
        plot: Plot {
            center_m: [20.0, 20.0],
            size_m,
        },
        pixels: 65,
        rocks_over_m: 0.3,
        sdf,
        collision: Collision::Heightmap,
        shadows: false,
    }
}

fn world(size_m: f64) -> WorldFolder {
    made(&Places::find(), 3, "mixed", Some(0.1), Some(4.0), size_m).unwrap()
}

fn rover(name: &str) -> Rover {
    ground::rover(&Places::find(), name).unwrap().0
}

fn sdf_of(export: &Export) -> Node {
    let text = String::from_utf8(export.files["try.sdf"].clone()).unwrap();
    Node::read(&text).unwrap()
}

fn point(node: &Node) -> Vector3<f64> {
    let v = node.values(&["pose"]).unwrap();
    Vector3::new(v[0], v[1], v[2])
}

#[test]
fn the_model_weighs_and_stands_as_the_rover_file_says() {
    for name in ["perseverance", "osr", "leo", "husky", "testbed"] {
        let rover = rover(name);
        let model = rover::model(&rover, Version::V1_11, [0.0; 6], 3.72);
        check::model(&model).unwrap();
        let (mut mass, mut moment) = (0.0, Vector3::zeros());
        for link in model.all("link") {
            let m = link.values(&["inertial", "mass"]).unwrap()[0];
            let origin = link
                .get(&["pose"])
                .map_or_else(Vector3::zeros, |_| point(link));
            moment += m * (origin + point(link.get(&["inertial"]).unwrap()));
            mass += m;
        }
        assert!((mass - rover.mass_kg).abs() < 1e-3, "{name}: {mass}");
        let center = moment / mass - Vector3::from(rover.center_m());
        assert!(center.norm() < 1e-4, "{name}: {center}");
        let wheels: Vec<_> = model
            .all("link")
            .filter(|l| l.attribute("name").unwrap().starts_with("wheel_"))
            .collect();
        assert_eq!(wheels.len(), rover.wheel_count());
        for hub in (0..6).filter(|i| rover.has_wheel()[*i]) {
            let at = Vector3::from(rover.hubs_m()[hub]);
            assert!(wheels.iter().any(|w| (point(w) - at).norm() < 1e-6));
        }
    }
}

#[test]
fn an_exported_world_is_the_world() {
    let folder = world(16.0);
    let export = export(
        &folder,
        &rover("perseverance"),
        &params(16.0, Version::V1_11),
    )
    .unwrap();
    let checked = check::world("try.sdf", &export.files).unwrap();
    assert_eq!(checked.models, 3);
    assert!(export.rocks > 3, "{}", export.rocks);
    let sdf = sdf_of(&export);
    assert_eq!(sdf.values(&["world", "gravity"]).unwrap()[2], -3.72076);
    // Heights of the picture are those of the ground, big rocks aside.
    let map = sdf
        .get(&[
            "world",
            "model",
            "link",
            "collision",
            "geometry",
            "heightmap",
        ])
        .unwrap();
    let (size, pos) = (
        map.values(&["size"]).unwrap(),
        map.values(&["pos"]).unwrap(),
    );
    assert!((size[0] - 16.0 * 65.0 / 64.0).abs() < 1e-9);
    let bytes = &export.files["media/terrain_height.png"];
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
        .read_info()
        .unwrap();
    let mut data = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut data).unwrap();
    let truth = folder.world(&View::everything()).unwrap();
    let rocks = truth.rocks_in(truth.region_m());
    let (mut seen, mut worst) = (0, 0.0f64);
    for k in 0..65 * 65 {
        let (col, row) = ((k % 65) as f64, (k / 65) as f64);
        let (x, y) = (12.0 + 0.25 * col, 28.0 - 0.25 * row);
        let big = |r: &sojourn_twin::rocks::Rock| {
            r.diameter_m > 0.3 && (r.x_m - x).hypot(r.y_m - y) < r.reach_m + 0.2
        };
        if rocks.iter().any(big) {
            continue;
        }
        let step = u16::from_be_bytes([data[2 * k], data[2 * k + 1]]);
        let z = pos[2] + size[2] * f64::from(step) / 65_535.0 + export.map_from_world_m[2];
        worst = worst.max((z - truth.height_m(x, y).unwrap()).abs());
        seen += 1;
    }
    assert!(seen > 3000 && worst < 0.001, "{seen} {worst}");
    // Rocks stand where the truth has them.
    let obj = String::from_utf8(export.files["media/rocks.obj"].clone()).unwrap();
    assert_eq!(obj.matches("\no rock_").count(), export.rocks);
    // The rover stands on the ground: its wheels neither in it nor far over it.
    let pose = sdf
        .get(&["world"])
        .unwrap()
        .all("model")
        .last()
        .unwrap()
        .values(&["pose"])
        .unwrap();
    let under =
        truth.height_m(20.0 + pose[0], 20.0 + pose[1]).unwrap() - export.map_from_world_m[2];
    assert!((pose[2] - under).abs() < 0.6, "{} {under}", pose[2]);
}

#[test]
fn damage_is_found_and_named() {
    let folder = world(12.0);
    let good = export(&folder, &rover("leo"), &params(12.0, Version::V1_11)).unwrap();
    let swap = |from: &'static str, to: &'static str| {
        move |files: &mut Files| {
            let text = String::from_utf8(files["try.sdf"].clone()).unwrap();
            assert!(text.contains(from), "{from}");
            files.insert("try.sdf".into(), text.replacen(from, to, 1).into_bytes());
        }
    };
    type Spoil = Box<dyn Fn(&mut Files)>;
    let cases: Vec<(&str, Spoil)> = vec![
        (
            "terrain_height.png: is not in",
            Box::new(|f: &mut Files| {
                f.remove("media/terrain_height.png");
            }),
        ),
        (
            "terrain_albedo.png",
            Box::new(|f: &mut Files| {
                f.remove("media/terrain_albedo.png");
            }),
        ),
        (
            "expected a square",
            Box::new(|f: &mut Files| {
                f.insert(
                    "media/terrain_height.png".into(),
                    crate::pixels::grey16(64, 64, &[0; 4096]).unwrap(),
                );
            }),
        ),
        (
            "has no group rock_0",
            Box::new(|f: &mut Files| {
                let text = String::from_utf8(f["media/rocks.obj"].clone()).unwrap();
                f.insert(
                    "media/rocks.obj".into(),
                    text.replacen("o rock_0\n", "o pebble\n", 1).into_bytes(),
                );
            }),
        ),
        (
            "is no part of a mesh",
            Box::new(|f: &mut Files| {
                f.insert("media/rocks.obj".into(), b"v 0 0 0\nf 1 2 3\n".to_vec());
            }),
        ),
        (
            "does not point down",
            Box::new(swap("<gravity>0 0 -3.72076", "<gravity>0 0 0")),
        ),
        (
            "hangs on two joints",
            Box::new(swap("<child>wheel_lr", "<child>wheel_lf")),
        ),
        (
            "there is no link",
            Box::new(swap("<parent>base_link", "<parent>body")),
        ),
        (
            "holds no numbers",
            Box::new(swap("<pose>0 0 100 0 0 0", "<pose>0 0 nan 0 0 0")),
        ),
        (
            "is there twice",
            Box::new(swap("name=\"wheel_lf\"", "name=\"wheel_lr\"")),
        ),
        ("no body has", Box::new(swap("<ixx>", "<ixx>9"))),
        ("collision detector", Box::new(swap("bullet", "ode"))),
        (
            "SDF version",
            Box::new(swap("version=\"1.11\"", "version=\"1.4\"")),
        ),
    ];
    for (expected, spoil) in cases {
        let mut files = good.files.clone();
        spoil(&mut files);
        let message = check::world("try.sdf", &files).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

#[test]
fn what_cannot_be_exported_is_refused_with_the_option() {
    let folder = world(12.0);
    let good = params(12.0, Version::V1_11);
    type Spoil = fn(&mut ExportParams);
    let cases: [(&str, Spoil); 6] = [
        ("--pixels", |p| p.pixels = 64),
        ("--size", |p| p.plot.size_m = f64::NAN),
        ("no ground", |p| p.plot.size_m = 60.0),
        ("no ground", |p| p.plot.center_m = [500.0, 0.0]),
        ("--rocks-over", |p| p.rocks_over_m = 0.0),
        ("--name", |p| p.name = "../../x".into()),
    ];
    for (expected, spoil) in cases {
        let mut p = good.clone();
        spoil(&mut p);
        let message = export(&folder, &rover("leo"), &p)
            .err()
            .unwrap()
            .to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
    let message = export(
        &folder,
        &rover("perseverance"),
        &ExportParams {
            plot: Plot {
                size_m: 4.0,
                ..good.plot
            },
            ..good
        },
    );
    assert!(
        message
            .err()
            .unwrap()
            .to_string()
            .contains("can stand nowhere")
    );
}

/// The worlds in `gazebo_worlds/` are what the command makes of their seeds, byte for byte.
#[test]
fn the_shipped_worlds_are_made_from_their_seeds() {
    let places = Places::find();
    let shipped = places.shared("gazebo_worlds").unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(&shipped).unwrap() {
        let dir = entry.unwrap().path();
        if !dir.is_dir() {
            continue;
        }
        let (manifest, _) = check::folder(&dir).unwrap();
        let soil = manifest.soil.clone().unwrap();
        let m = &manifest;
        let size_m = m.export.plot.size_m;
        let folder = made(&places, m.seed, &soil, m.cfa, m.slope_deg, size_m).unwrap();
        assert_eq!(folder.document.terrain_digest, m.terrain_digest);
        let again = export(&folder, &rover(&m.rover), &m.export).unwrap();
        assert_eq!(digests(&again.files), m.files, "{}", dir.display());
        seen += 1;
    }
    assert!(seen >= 2);
}

/// The descriptions that Debian's sdformat 12 reads accept what is written for it.
#[test]
fn debians_sdformat_knows_every_element_of_1_9() {
    let debians = std::path::Path::new(describe::DEBIANS);
    if !debians.join("root.sdf").is_file() {
        eprintln!("skipped: Debian's package sdformat-sdf is not installed");
        return;
    }
    let folder = world(16.0);
    for name in ["perseverance", "leo", "husky"] {
        let export = export(&folder, &rover(name), &params(16.0, Version::V1_9)).unwrap();
        let sdf = sdf_of(&export);
        let looked_at = describe::conforms(&sdf, debians).unwrap();
        assert!(looked_at > 300, "{looked_at}");
        let text = sdf.document();
        for (from, to) in [
            ("<gravity>", "<gravitation>1</gravitation><gravity>"),
            ("type=\"revolute\"", ""),
            ("<mass>", "<mass>heavy"),
        ] {
            let bad = Node::read(&text.replacen(from, to, 1)).unwrap();
            assert!(describe::conforms(&bad, debians).is_err(), "{to}");
        }
    }
}
