//! Sources of what the ground is, compared over ground made here.

use super::*;
use crate::model::DriveRecord;
use proptest::prelude::*;

fn extent() -> Raster {
    Raster::filled(100, 80, 0.5, [10.0, 20.0], 0.0).unwrap()
}

fn voice(source: &str, says: Vec<(Vec<Xy>, u8)>, looked_at: Option<Vec<Vec<Xy>>>) -> Voice {
    Voice {
        source: source.into(),
        looked_at,
        says,
    }
}

#[test]
fn two_sources_are_compared_where_both_looked() {
    let sand = square([30.0, 40.0], 5.0);
    let a = voice("a", vec![(sand.clone(), 4)], None);
    // b looked at the western half and found nothing.
    let west = vec![[10.0, 20.0], [35.0, 20.0], [35.0, 60.0], [10.0, 60.0]];
    let b = voice("b", vec![], Some(vec![west]));
    let route = [[12.0, 40.0], [58.0, 40.0]];
    let made = disagreement(&extent(), &[a, b], &route).unwrap().unwrap();
    let f = &made.figures;
    assert!((made.levels.resolution_m() - 1.0).abs() < 1e-9);
    assert!((f.compared_share - 0.5).abs() < 1e-9);
    assert!((f.disagree_share - 100.0 / 1000.0).abs() < 1e-9);
    assert!((f.route_compared_m - 23.0).abs() < 0.51, "{f:?}");
    assert!((f.route_disagree_m - 10.0).abs() < 0.51, "{f:?}");
    assert_eq!(f.pairs[0].disagree_m2, 100.0);
    let (c, r) = made.levels.cell_of(30.0, 40.0).unwrap();
    assert_eq!(made.levels.get(c, r), 3.0);
    let (c, r) = made.levels.cell_of(50.0, 40.0).unwrap();
    assert!(made.levels.get(c, r).is_nan());
    // The disputed square goes with the plan as one rectangle.
    let d = &made.disputes;
    assert_eq!(d.grounds.len(), 1);
    let g = &d.grounds[0];
    assert_eq!(
        (g.min_m, g.max_m, g.levels),
        ([25.0, 35.0], [35.0, 45.0], 3)
    );
    assert_eq!(
        (g.most_worried.as_str(), g.least_worried.as_str()),
        ("a", "b")
    );
    assert_eq!(d.disputed_m, f.route_disagree_m);
    let alone = [voice("a", vec![(sand, 4)], None)];
    assert_eq!(disagreement(&extent(), &alone, &route).unwrap(), None);
}

#[test]
fn slip_and_images_of_earlier_drives_are_two_voices() {
    let record = |x_m: f64, slip: Option<f64>, seen: Option<TerrainClass>| DriveRecord {
        x_m,
        y_m: 40.0,
        slip,
        stopped: false,
        date: "2031-01-01".into(),
        note: String::new(),
        seen,
    };
    let briefing = Briefing {
        history: vec![
            record(20.0, Some(0.7), Some(TerrainClass::Bedrock)),
            record(40.0, Some(0.05), None),
            record(50.0, None, Some(TerrainClass::SandRipples)),
        ],
        ..Briefing::default()
    };
    let voices = Voice::of_history(&briefing, 0.6);
    let risks: Vec<Vec<u8>> = voices
        .iter()
        .map(|v| v.says.iter().map(|s| s.1).collect())
        .collect();
    assert_eq!(voices[0].source, "measured slip");
    assert_eq!(risks, [vec![4, 1], vec![1, 4]]);
    let made = disagreement(&extent(), &voices, &[]).unwrap().unwrap();
    // They meet at the first place alone, and there they disagree.
    assert!((made.figures.disagree_share - 1.0).abs() < 1e-9);
    assert_eq!(made.figures.pairs[0].both_m2, 36.0);
    assert!(Voice::of_history(&Briefing::default(), 0.6).is_empty());
}

#[test]
fn too_much_disputed_ground_leaves_the_nearest() {
    // A chequerboard of squares of a metre, no two of which join.
    let extent = Raster::filled(400, 60, 1.0, [0.0, 0.0], 0.0).unwrap();
    let mut says = Vec::new();
    for k in 0..24_000 {
        let (c, r) = (k % 400, k / 400);
        if (c + r) % 2 == 0 {
            says.push((square([c as f64 + 0.5, r as f64 + 0.5], 0.4), 5));
        }
    }
    let voices = [voice("a", says, None), voice("b", vec![], None)];
    let route = [[10.0, 30.0], [390.0, 30.0]];
    let made = disagreement(&extent, &voices, &route).unwrap().unwrap();
    let d = &made.disputes;
    assert_eq!(d.grounds.len(), MAX_DISPUTED);
    assert!(d.within_m < NEAR_M && d.within_m > 2.0, "{}", d.within_m);
    for g in &d.grounds {
        let middle = [
            0.5 * (g.min_m[0] + g.max_m[0]),
            0.5 * (g.min_m[1] + g.max_m[1]),
        ];
        assert!(distance_to_segment_m(middle, route[0], route[1]) <= d.within_m);
    }
}

proptest! {
    /// Near the route the rectangles say of every cell what the layer says.
    #[test]
    fn the_rectangles_are_the_layer(
        risks in proptest::collection::vec((1u8..6, 15.0f64..55.0, 25.0f64..55.0, 1.0f64..12.0), 2..5),
    ) {
        let voices: Vec<Voice> = risks
            .iter()
            .enumerate()
            .map(|(k, (risk, x, y, half))| {
                voice(&k.to_string(), vec![(square([*x, *y], *half), *risk)], None)
            })
            .collect();
        let route = [[15.0, 30.0], [40.0, 50.0]];
        let made = disagreement(&extent(), &voices, &route).unwrap().unwrap();
        for r in 0..made.levels.rows() {
            for c in 0..made.levels.cols() {
                let p = made.levels.centre_m(c, r);
                let holds = made.disputes.grounds.iter().filter(|g| g.contains(p)).count();
                let near = distance_to_segment_m(p, route[0], route[1]) <= NEAR_M;
                let apart = made.levels.get(c, r) >= f32::from(LEVELS);
                prop_assert_eq!(holds, usize::from(near && apart));
                if let Some(g) = made.disputes.at(p) {
                    prop_assert_eq!(f32::from(g.levels), made.levels.get(c, r));
                }
            }
        }
    }

    /// One more source never narrows what lies between the others, and the order of sources changes no cell.
    #[test]
    fn a_source_more_never_makes_agreement(
        risks in proptest::collection::vec((1u8..6, 15.0f64..55.0, 25.0f64..55.0, 1.0f64..12.0), 2..5),
    ) {
        let voices: Vec<Voice> = risks
            .iter()
            .map(|(risk, x, y, half)| voice("v", vec![(square([*x, *y], *half), *risk)], None))
            .collect();
        let of = |list: &[Voice]| disagreement(&extent(), list, &[]).unwrap();
        let all = of(&voices).unwrap();
        let mut backwards = voices.clone();
        backwards.reverse();
        prop_assert_eq!(&of(&backwards).unwrap().levels, &all.levels);
        if let Some(fewer) = of(&voices[1..]) {
            for (a, b) in all.levels.data().iter().zip(fewer.levels.data()) {
                prop_assert!(a >= b);
            }
        }
        for v in all.levels.data() {
            prop_assert!((0.0..=4.0).contains(v));
        }
    }
}
