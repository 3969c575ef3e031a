//! The plan as XML: one drive command per waypoint. "RML-inspired": JPL's rover markup language has no public schema,
//! so this form is Sojourn's own. It is generated from the plan and carries the plan's digest; nothing reads commands
//! from it to drive.

use crate::error::PlanError;
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesStart, BytesText, Event};
use quick_xml::reader::Reader;
use sojourn_core::CoreError;
use sojourn_core::geometry::Xy;
use sojourn_core::plan::{Mode, Plan, Waypoint};
use std::io::Write;

/// Version of the XML form.
pub const RML_VERSION: &str = "1";

/// What [`from_xml`] reads back.
#[derive(Clone, Debug, PartialEq)]
pub struct XmlPlan {
    /// Digest of the plan, hex SHA-256.
    pub digest: String,
    /// Name of the plan.
    pub name: String,
    /// Name of the rover.
    pub rover: String,
    /// The drive commands.
    pub drives: Vec<XmlDrive>,
}

/// A drive command.
#[derive(Clone, Debug, PartialEq)]
pub struct XmlDrive {
    /// Where to, `map` metres.
    pub to_m: Xy,
    /// How near is there, metres.
    pub tolerance_m: f64,
    /// Mode of the drive.
    pub mode: Mode,
    /// Keep-in polygon, `map` metres.
    pub corridor: Vec<Xy>,
    /// Tilt limit, degrees.
    pub tilt_deg: f64,
    /// Slip limit, 0 to 1.
    pub slip: f64,
    /// Rim speed limit, m/s.
    pub speed_mps: f64,
    /// Time allowed, seconds.
    pub timeout_s: f64,
}

impl From<&Waypoint> for XmlDrive {
    fn from(w: &Waypoint) -> Self {
        Self {
            to_m: w.xy(),
            tolerance_m: w.tolerance_m,
            mode: w.mode,
            corridor: w.corridor.clone(),
            tilt_deg: w.limits.tilt_deg,
            slip: w.limits.slip,
            speed_mps: w.limits.speed_mps,
            timeout_s: w.timeout_s,
        }
    }
}

/// The plan as indented XML. Numbers are written so that reading gives the same bits.
///
/// # Errors
/// [`PlanError::Core`] when the plan has no digest because a number in it is not finite.
pub fn to_xml(plan: &Plan) -> Result<String, PlanError> {
    let digest = plan.digest()?;
    let mut out = Writer::new_with_indent(Vec::new(), b' ', 2);
    write_plan(&mut out, plan, &digest)
        .map_err(|e| CoreError::format("plan as XML", e.to_string()))?;
    let mut text = String::from_utf8(out.into_inner())
        .map_err(|e| CoreError::format("plan as XML", e.to_string()))?;
    text.push('\n');
    Ok(text)
}

fn tag<'a>(name: &'a str, attributes: &[(&str, String)]) -> BytesStart<'a> {
    let mut start = BytesStart::new(name);
    for (key, value) in attributes {
        start.push_attribute((*key, value.as_str()));
    }
    start
}

fn point<'a>(name: &'a str, p: Xy) -> BytesStart<'a> {
    tag(
        name,
        &[("x_m", p[0].to_string()), ("y_m", p[1].to_string())],
    )
}

fn write_plan<W: Write>(out: &mut Writer<W>, plan: &Plan, digest: &str) -> std::io::Result<()> {
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let head = tag(
        "rml",
        &[
            ("version", RML_VERSION.into()),
            ("plan_digest", digest.into()),
            ("name", plan.name.clone()),
            ("body", plan.body.name.clone()),
            ("rover", plan.rover.clone()),
            ("site_digest", plan.site_digest.clone()),
            ("rover_digest", plan.rover_digest.clone()),
            ("constraints_digest", plan.constraints_digest.clone()),
            ("frame", "map".into()),
            ("distance_m", plan.distance_m.to_string()),
        ],
    );
    out.write_event(Event::Start(head))?;
    out.write_event(Event::Empty(tag(
        "start",
        &[
            ("x_m", plan.start.x_m.to_string()),
            ("y_m", plan.start.y_m.to_string()),
            ("yaw_rad", plan.start.yaw_rad.to_string()),
        ],
    )))?;
    out.write_event(Event::Empty(tag(
        "goal",
        &[
            ("x_m", plan.goal.x_m.to_string()),
            ("y_m", plan.goal.y_m.to_string()),
            ("tolerance_m", plan.goal.tolerance_m.to_string()),
        ],
    )))?;
    for polygon in &plan.keep_out {
        write_polygon(out, "keep_out", polygon)?;
    }
    out.write_event(Event::Start(BytesStart::new("sequence")))?;
    for (i, w) in plan.waypoints.iter().enumerate() {
        write_drive(out, i + 1, w)?;
    }
    for name in ["sequence", "rml"] {
        out.write_event(Event::End(quick_xml::events::BytesEnd::new(name)))?;
    }
    Ok(())
}

fn write_polygon<W: Write>(out: &mut Writer<W>, name: &str, polygon: &[Xy]) -> std::io::Result<()> {
    out.write_event(Event::Start(BytesStart::new(name)))?;
    for &p in polygon {
        out.write_event(Event::Empty(point("vertex", p)))?;
    }
    out.write_event(Event::End(quick_xml::events::BytesEnd::new(name)))
}

fn write_drive<W: Write>(out: &mut Writer<W>, number: usize, w: &Waypoint) -> std::io::Result<()> {
    let drive = tag(
        "drive",
        &[
            ("id", number.to_string()),
            ("mode", w.mode.name().into()),
            ("x_m", w.x_m.to_string()),
            ("y_m", w.y_m.to_string()),
            ("tolerance_m", w.tolerance_m.to_string()),
            ("timeout_s", w.timeout_s.to_string()),
            ("risk", w.risk.to_string()),
        ],
    );
    out.write_event(Event::Start(drive))?;
    out.write_event(Event::Empty(tag(
        "limits",
        &[
            ("tilt_deg", w.limits.tilt_deg.to_string()),
            ("slip", w.limits.slip.to_string()),
            ("speed_mps", w.limits.speed_mps.to_string()),
        ],
    )))?;
    write_polygon(out, "corridor", &w.corridor)?;
    for reason in &w.reasons {
        out.write_event(Event::Start(BytesStart::new("reason")))?;
        out.write_event(Event::Text(BytesText::new(reason)))?;
        out.write_event(Event::End(quick_xml::events::BytesEnd::new("reason")))?;
    }
    out.write_event(Event::End(quick_xml::events::BytesEnd::new("drive")))
}

/// Reads the digest and the drive commands back from XML, for checks and displays.
///
/// # Errors
/// [`PlanError::Core`] that names the element and the attribute.
pub fn from_xml(text: &str) -> Result<XmlPlan, PlanError> {
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut plan: Option<XmlPlan> = None;
    let mut in_corridor = false;
    let mut closed = false;
    loop {
        let event = reader.read_event().map_err(|e| {
            CoreError::format(
                "plan as XML",
                format!("byte {}: {e}", reader.error_position()),
            )
        })?;
        match event {
            Event::Eof => break,
            Event::Start(e) | Event::Empty(e) => {
                let attributes = Attributes::of(&e)?;
                match (e.name().as_ref(), plan.as_mut()) {
                    (b"rml", None) => plan = Some(attributes.head()?),
                    (b"drive", Some(p)) => p.drives.push(attributes.drive()?),
                    (b"limits", Some(p)) => {
                        if let Some(d) = p.drives.last_mut() {
                            d.tilt_deg = attributes.number("tilt_deg")?;
                            d.slip = attributes.number("slip")?;
                            d.speed_mps = attributes.number("speed_mps")?;
                        }
                    }
                    (b"corridor", Some(_)) => in_corridor = true,
                    (b"vertex", Some(p)) if in_corridor => {
                        let v = [attributes.number("x_m")?, attributes.number("y_m")?];
                        if let Some(d) = p.drives.last_mut() {
                            d.corridor.push(v);
                        }
                    }
                    (_, None) => {
                        return Err(CoreError::format(
                            "plan as XML",
                            format!("begins with <{}>, expected <rml>", attributes.element),
                        )
                        .into());
                    }
                    _ => {}
                }
            }
            Event::End(e) => match e.name().as_ref() {
                b"corridor" => in_corridor = false,
                b"rml" => closed = true,
                _ => {}
            },
            _ => {}
        }
    }
    match plan {
        Some(p) if closed => Ok(p),
        _ => Err(CoreError::format("plan as XML", "ends before </rml>").into()),
    }
}

struct Attributes {
    element: String,
    pairs: Vec<(String, String)>,
}

impl Attributes {
    fn of(e: &BytesStart<'_>) -> Result<Self, CoreError> {
        let element = String::from_utf8_lossy(e.name().as_ref()).into_owned();
        let bad = |why: String| CoreError::format("plan as XML", format!("<{element}>: {why}"));
        let mut pairs = Vec::new();
        for a in e.attributes() {
            let a = a.map_err(|e| bad(e.to_string()))?;
            let value = a.unescape_value().map_err(|e| bad(e.to_string()))?;
            pairs.push((
                String::from_utf8_lossy(a.key.as_ref()).into_owned(),
                value.into_owned(),
            ));
        }
        Ok(Self { element, pairs })
    }

    fn text(&self, key: &str) -> Result<String, CoreError> {
        self.pairs
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.clone())
            .ok_or_else(|| {
                CoreError::format(
                    "plan as XML",
                    format!("<{}> has no attribute \"{key}\"", self.element),
                )
            })
    }

    fn number(&self, key: &str) -> Result<f64, CoreError> {
        let text = self.text(key)?;
        text.parse::<f64>()
            .ok()
            .filter(|v| v.is_finite())
            .ok_or_else(|| {
                CoreError::value(
                    "plan as XML",
                    format!("{}.{key}", self.element),
                    text,
                    "a finite number",
                )
            })
    }

    fn head(&self) -> Result<XmlPlan, CoreError> {
        let version = self.text("version")?;
        if version != RML_VERSION {
            return Err(CoreError::value(
                "plan as XML",
                "rml.version",
                version,
                RML_VERSION,
            ));
        }
        Ok(XmlPlan {
            digest: self.text("plan_digest")?,
            name: self.text("name")?,
            rover: self.text("rover")?,
            drives: Vec::new(),
        })
    }

    fn drive(&self) -> Result<XmlDrive, CoreError> {
        let mode = self.text("mode")?;
        Ok(XmlDrive {
            to_m: [self.number("x_m")?, self.number("y_m")?],
            tolerance_m: self.number("tolerance_m")?,
            mode: Mode::from_name(&mode).ok_or_else(|| {
                CoreError::value(
                    "plan as XML",
                    "drive.mode",
                    mode,
                    "AVOID_ALL, GUARDED or DIRECTED",
                )
            })?,
            corridor: Vec::new(),
            tilt_deg: f64::NAN,
            slip: f64::NAN,
            speed_mps: f64::NAN,
            timeout_s: self.number("timeout_s")?,
        })
    }
}
