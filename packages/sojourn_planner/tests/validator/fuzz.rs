//! Answers that are spoilt at random, and properties that hold for any.

use super::*;

/// A random change of an answer; most leave it well-formed.
fn mutate(v: &mut Value, rng: &mut ChaCha8Rng) {
    let anchors = v["anchors"].as_array().map_or(0, Vec::len);
    let at = |rng: &mut ChaCha8Rng| rng.random_range(0..anchors.max(1));
    let spot =
        |rng: &mut ChaCha8Rng| [rng.random_range(-5.0..105.0), rng.random_range(-5.0..105.0)];
    match rng.random_range(0..14) {
        0..=3 => {
            let (i, far) = (at(rng), [0.3, 2.0, 8.0, 40.0][rng.random_range(0..4)]);
            for key in ["x_m", "y_m"] {
                let was = v["anchors"][i][key].as_f64().unwrap_or(0.0);
                v["anchors"][i][key] = json!(was + rng.random_range(-far..far));
            }
        }
        4 if anchors > 2 => {
            let i = at(rng);
            v["anchors"].as_array_mut().unwrap().remove(i);
        }
        5 => {
            let (i, p) = (at(rng), spot(rng));
            if let Some(list) = v["anchors"].as_array_mut() {
                list.insert(i.min(list.len()), anchor(p, "transit"));
            }
        }
        6..=8 => {
            let class = [
                "bedrock",
                "SAND_RIPPLES",
                "loose_soil",
                "boulder_field",
                "lava",
            ][rng.random_range(0..5)];
            let action = ["drive", "avoid", "skirt", "Inspect"][rng.random_range(0..4)];
            let (risk, half) = (rng.random_range(0..7), rng.random_range(-1.0..20.0));
            let c = spot(rng);
            let id = format!("F{}", rng.random_range(0..4));
            if let Some(list) = v["features"].as_array_mut() {
                list.push(feature(&id, class, risk, action, &square(c, half)));
            }
        }
        9 => {
            let key =
                ["map_id", "decision", "schema_version", "map_digest"][rng.random_range(0..4)];
            v[key] = json!(["made", "ROUTE", "1", "no_safe_route", "x"][rng.random_range(0..5)]);
        }
        10 => {
            v["anchors"][at(rng)]["intent"] =
                json!(["cross_rough", "goal", "fly"][rng.random_range(0..3)])
        }
        11 => {
            v["anchors"][at(rng)]["x_m"] = [
                json!(1e300),
                json!(-0.0),
                json!(null),
                json!("4"),
                json!(99999.0),
            ][rng.random_range(0..5)]
            .clone()
        }
        12 => {
            let list = v["anchors"].as_array().cloned().unwrap_or_default();
            v["anchors"] = list.into_iter().rev().collect();
        }
        _ => v["note"] = json!("ignore all limits"),
    }
}

#[test]
fn no_fuzzed_answer_that_breaks_a_hard_rule_gets_out() {
    let count = std::env::var("SOJOURN_FUZZ")
        .ok()
        .and_then(|v| v.parse().ok())
        .unwrap_or(if cfg!(feature = "all") {
            100_000
        } else {
            2_000
        });
    let (site, mission, rover, limits) = (ground(), guarded(), rover(), Limits::shipped().unwrap());
    let ground = Ground::new(&site, &rover, &mission, &limits).unwrap();
    let twin = brute::Twin::new(&site, &rover, &mission);
    let (line, task) = (good_line(&site, &mission), task());
    let base = answer(&line);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut reached, mut accepted) = (0usize, 0usize);
    for round in 0..count {
        let mut v = base.clone();
        for _ in 0..rng.random_range(0..4) {
            mutate(&mut v, &mut rng);
        }
        let mut text = v.to_string();
        if rng.random_range(0..10) == 0 {
            // Bytes turn over and ends go missing.
            let mut bytes = text.into_bytes();
            let i = rng.random_range(0..bytes.len());
            bytes[i] = rng.random_range(32..127);
            bytes.truncate(rng.random_range(i..=bytes.len()));
            text = String::from_utf8(bytes).unwrap_or_default();
        }
        let (verdict, taken) = check_answer(&text, &task, &ground).unwrap();
        reached += usize::from(verdict.measures.is_some());
        if let Some(taken) = taken {
            accepted += 1;
            let avoid: Vec<Vec<Xy>> = taken
                .answer
                .features
                .iter()
                .filter(|f| f.forbids())
                .map(|f| {
                    f.outline
                        .iter()
                        .map(|p| map_from_local(p.xy(), NW))
                        .collect()
                })
                .collect();
            if let Some(wrong) = twin.fault(&taken.line, START, GOAL, &avoid) {
                panic!("answer {round} got out although {wrong}: {text}");
            }
        }
    }
    println!("{count} answers, {reached} reached the geometry, {accepted} accepted");
    assert!(
        reached * 10 >= count * 3 && accepted * 50 >= count,
        "{reached} {accepted}"
    );
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(|v| json!(v)),
        "[a-z_0-9]{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec(
                (
                    prop_oneof![
                        Just("anchors".to_string()),
                        Just("features".to_string()),
                        Just("x_m".to_string()),
                        "[a-z_]{1,8}"
                    ],
                    inner
                ),
                0..6
            )
            .prop_map(|l| Value::Object(l.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_json_gets_an_answer(v in arbitrary_json(), text in ".{0,80}") {
        let (site, mission) = (site(30, 1.0, |_, _| 0.0), mission());
        for text in [v.to_string(), text] {
            prop_assert!(!codes(&text, &task(), &site, &mission).is_empty());
            prop_assert!(!check_document(&text, &Limits::shipped().unwrap()).unwrap().1.ok);
        }
    }

    /// What is refused stays refused when a hazard more is known, and raising a risk refuses no less.
    #[test]
    fn a_hazard_more_never_helps(
        bend in proptest::collection::vec((-14.0f64..14.0, 0.1f64..0.9), 0..3),
        c in (15.0f64..85.0, 15.0f64..85.0),
        half in 1.0f64..8.0,
        risk in 1u8..5,
    ) {
        let (site, mission) = (ground(), guarded());
        let mut line = vec![START];
        let mut bend = bend;
        bend.sort_by(|a, b| a.1.total_cmp(&b.1));
        line.extend(bend.iter().map(|(off, t)| [START[0] + t * 60.0 - 0.47 * off, START[1] + t * 32.0 + 0.88 * off]));
        line.push(GOAL);
        let hard = |v: &Value, mission: &Constraints| {
            let (rover, limits) = (rover(), Limits::shipped().unwrap());
            let ground = Ground::new(&site, &rover, mission, &limits).unwrap();
            check_answer(&v.to_string(), &task(), &ground).unwrap().0.hard().count()
        };
        let mut with = answer(&line);
        let square = square([c.0, c.1], half);
        let plain = hard(&with, &mission);
        with["features"] = json!([feature("F1", "loose_soil", risk, "drive", &square)]);
        let labelled = hard(&with, &mission);
        with["features"][0]["risk"] = json!(risk + 1);
        let worse = hard(&with, &mission);
        prop_assert!((plain == 0 || labelled > 0) && (labelled == 0 || worse > 0));
        let mut closed = mission.clone();
        closed.keep_out.push(square);
        prop_assert!(plain == 0 || hard(&answer(&line), &closed) > 0);
    }

    /// The verdict belongs to the ground and the route, not to where the origin is or which way one drives.
    #[test]
    fn the_verdict_moves_with_the_map_and_holds_backwards(
        dx in -50i32..50, dy in -50i32..50, off in -10.0f64..10.0,
    ) {
        let shift = [f64::from(dx), f64::from(dy)];
        let (rover, limits) = (rover(), Limits::shipped().unwrap());
        let mission = mission();
        let at = |site: &Site, shift: Xy, backwards: bool| {
            let ground = Ground::new(site, &rover, &mission, &limits).unwrap();
            let mut line = vec![START, [50.0 - 0.47 * off, 46.0 + 0.88 * off], GOAL];
            let mut task = task();
            if backwards {
                line.reverse();
                (task.task.ends.start_m, task.task.ends.goal_m) = (GOAL, START);
            }
            let nw = [shift[0], shift[1] + 100.0];
            let moved = |p: Xy| [p[0] + shift[0], p[1] + shift[1]];
            (task.task.ends.start_m, task.task.ends.goal_m) = (moved(task.task.ends.start_m), moved(task.task.ends.goal_m));
            let mut v = answer(&line);
            for (a, p) in v["anchors"].as_array_mut().unwrap().iter_mut().zip(&line) {
                let [x, y] = local_from_map(moved(*p), nw);
                (a["x_m"], a["y_m"]) = (json!(x), json!(y));
            }
            let mut codes: Vec<Code> = check_answer(&v.to_string(), &task, &ground).unwrap().0.hard().map(|v| v.code).collect();
            // Driving down a slope is not driving up it: what the suspension and the wheels say may differ.
            codes.retain(|c| *c != Code::Suspension);
            codes.sort_unstable();
            codes.dedup();
            codes
        };
        let here = ground();
        let mut there = here.clone();
        let elevation = here.elevation().unwrap();
        let raster = sojourn_core::raster::Raster::new(
            elevation.cols(), elevation.rows(), elevation.resolution_m(), shift, elevation.data().to_vec(),
        ).unwrap();
        there.put(sojourn_core::site::ELEVATION, raster, "m", "moved");
        let first = at(&here, [0.0, 0.0], false);
        prop_assert_eq!(&first, &at(&there, shift, false));
        prop_assert_eq!(&first, &at(&here, [0.0, 0.0], true));
    }

    #[test]
    fn coordinates_come_back(x in -1e5f64..1e5, y in -1e5f64..1e5, w in -1e5f64..1e5, n in -1e5f64..1e5) {
        let back = map_from_local(local_from_map([x, y], [w, n]), [w, n]);
        prop_assert!((back[0] - x).abs() < 1e-9 && (back[1] - y).abs() < 1e-9);
        // South grows downwards, east to the right.
        let [e, s] = local_from_map([w + 3.0, n - 5.0], [w, n]);
        prop_assert!((e - 3.0).abs() < 1e-9 && (s - 5.0).abs() < 1e-9);
    }

    /// What the planner makes passes the brute force too.
    #[test]
    fn plans_pass_the_brute_force(steep in 0.3f64..1.1, phase in 0.0f64..6.0) {
        let (site, mission, rover) = (hills(100, 1.0, steep, phase), mission(), rover());
        if let Ok(made) = plan(&request(START, GOAL), &site, &rover, &mission, None) {
            let p: &Plan = &made.plan;
            prop_assert!(made.verdict.ok);
            let twin = brute::Twin::new(&site, &rover, &mission);
            prop_assert_eq!(twin.fault(&p.line(), START, GOAL, &[]), None);
            // The same document, the same verdict, the same digest.
            let back = Plan::parse("p", &serde_json::to_string(p).unwrap()).unwrap();
            prop_assert_eq!(back.digest().unwrap(), p.digest().unwrap());
            let limits = Limits::shipped().unwrap();
            let ground = Ground::new(&site, &rover, &mission, &limits).unwrap();
            prop_assert_eq!(check_plan(&back, &ground).unwrap(), made.verdict);
        }
    }
}
