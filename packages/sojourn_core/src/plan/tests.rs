use super::*;

pub(crate) fn small_plan() -> Plan {
    let corridor = geometry::corridor([0.0, 0.0], [10.0, 0.0], 5.0);
    Plan {
        schema_version: PLAN_SCHEMA_VERSION,
        name: "test".into(),
        site_digest: "00".into(),
        body: Body {
            name: "mars".into(),
            gravity_mps2: 3.72076,
            radius_m: 3_396_190.0,
            atmosphere_pa: 610.0,
            light_time_s: 750.0,
        },
        rover: "perseverance".into(),
        rover_digest: "00".into(),
        constraints_digest: "00".into(),
        seed: 1,
        start: Start {
            x_m: 0.0,
            y_m: 0.0,
            yaw_rad: 0.0,
        },
        goal: Goal {
            x_m: 10.0,
            y_m: 0.0,
            tolerance_m: 1.0,
        },
        waypoints: vec![Waypoint {
            x_m: 10.0,
            y_m: 0.0,
            tolerance_m: 1.0,
            mode: Mode::AvoidAll,
            corridor,
            limits: WaypointLimits {
                tilt_deg: 20.0,
                slip: 0.5,
                speed_mps: 0.042,
            },
            timeout_s: 1000.0,
            risk: 0.1,
            reasons: vec![],
        }],
        distance_m: 10.0,
        features: vec![],
        keep_out: vec![],
        mission: None,
        disputes: None,
        model: ModelStage::none(),
    }
}

#[test]
fn a_plan_survives_the_way_through_json() {
    let plan = small_plan();
    plan.check("p").unwrap();
    let text = serde_json::to_string_pretty(&plan).unwrap();
    let back = Plan::parse("p", &text).unwrap();
    assert_eq!(plan, back);
    assert_eq!(plan.digest().unwrap(), back.digest().unwrap());
    assert_eq!(plan.digest().unwrap().len(), 64);
}

#[test]
fn every_changed_number_changes_the_digest() {
    let plan = small_plan();
    let mut other = plan.clone();
    other.waypoints[0].timeout_s += 1e-9 * 1000.0;
    assert_ne!(plan.digest().unwrap(), other.digest().unwrap());
}

#[test]
fn what_is_wrong_is_named() {
    type Case = (&'static str, fn(&mut Plan));
    let cases: [Case; 7] = [
        ("waypoints[0].x_m", |p| p.waypoints[0].x_m = f64::NAN),
        ("waypoints[0].corridor", |p| {
            p.waypoints[0].corridor = vec![[50.0, 50.0], [51.0, 50.0], [51.0, 51.0]]
        }),
        ("waypoints", |p| p.waypoints.clear()),
        ("distance_m", |p| p.distance_m = 11.0),
        ("goal", |p| p.goal.x_m = 20.0),
        ("schema_version", |p| p.schema_version = 9),
        ("limits.tilt_deg", |p| p.waypoints[0].limits.tilt_deg = -1.0),
    ];
    for (name, spoil) in cases {
        let mut plan = small_plan();
        spoil(&mut plan);
        let message = plan.check("plan.json").unwrap_err().to_string();
        assert!(
            message.contains(name) && message.contains("plan.json"),
            "{name}: {message}"
        );
    }
}

#[test]
fn unknown_fields_are_refused() {
    let mut v = serde_json::to_value(small_plan()).unwrap();
    v["colour"] = serde_json::json!("red");
    assert!(
        Plan::parse("p", &v.to_string())
            .unwrap_err()
            .to_string()
            .contains("colour")
    );
}

#[test]
fn canonical_form_is_rfc_8785() {
    let v = serde_json::json!({"b": 1.0, "a": 1e21, "c": [0.1, -0.0]});
    assert_eq!(
        String::from_utf8(canonical("t", &v).unwrap()).unwrap(),
        r#"{"a":1e+21,"b":1,"c":[0.1,0]}"#
    );
}
