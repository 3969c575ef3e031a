//! How old the layers of a map are on the day of the drive, and until when they hold.
//!
//! No core reads a clock: the day of the drive is written down by a person, and the same files give the same ages.

use crate::{
    CoreError,
    error::in_range,
    site::{ELEVATION, Manifest, ORTHO, ROUGHNESS, SLOPE},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Layers that a rule may name although this site has none of them: missions outlive single sites.
const USUAL: [&str; 4] = [ELEVATION, ORTHO, ROUGHNESS, SLOPE];

/// Day number of 1970-01-01 is 0; proleptic Gregorian calendar (ISO 8601).
pub type DayNumber = i64;

/// The day number of a date: `YYYY-MM-DD`, or the same with a time of day after a `T`, which is left out.
///
/// Civil calendar to days after H. Hinnant, "chrono-Compatible Low-Level Date Algorithms" (2013).
#[must_use]
pub fn day_number(date: &str) -> Option<DayNumber> {
    let date = date.split_once('T').map_or(date, |(day, _)| day);
    let mut parts = date.split('-');
    let mut part = |digits: usize| -> Option<i64> {
        let text = parts.next()?;
        (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| text.parse().ok())?
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if parts.next().is_some() || !(1..=12).contains(&month) {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // The year begins in March, so that the leap day is its last.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let of_era = y.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// What a mission says of one layer, beside what the site's manifest says; the earlier expiry holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerRule {
    /// Date of the data, where the manifest knows none (`YYYY-MM-DD`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Last day on which it may be relied on (`YYYY-MM-DD`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
    /// Greatest age on the day of the drive, days.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<f64>,
    /// Whether a plan over the stale layer is refused; otherwise it is flagged and its ground is dearer.
    pub refuse: bool,
}

/// The day of the drive and how long the layers of the map hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Freshness {
    /// Day of the drive (`YYYY-MM-DD`).
    pub day: String,
    /// What a stale layer tells of the ground costs 1 + this times as much: slope and roughness for `elevation`, labels
    /// for `ortho`.
    pub stale_weight: f64,
    /// Rules by the layer's name.
    pub layers: BTreeMap<String, LayerRule>,
}

/// A layer's age on the day of the drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LayerAge {
    /// The layer.
    pub layer: String,
    /// Date of its data, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Last day on which it may be relied on, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<String>,
    /// Age on the day of the drive, days; absent without a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_days: Option<i64>,
    /// Whether it is past its expiry or its greatest age.
    pub stale: bool,
    /// Whether that refuses the plan.
    pub refuse: bool,
    /// One sentence for people.
    pub words: String,
}

impl Freshness {
    /// Checks dates and ranges.
    ///
    /// # Errors
    /// [`CoreError::Value`] that names `what` and the key.
    pub fn check(&self, what: &str) -> Result<(), CoreError> {
        let date = |key: String, text: &str| match day_number(text) {
            Some(_) => Ok(()),
            None => Err(CoreError::value(what, key, text, "a date YYYY-MM-DD")),
        };
        date("freshness.day".into(), &self.day)?;
        in_range(
            what,
            "freshness.stale_weight",
            self.stale_weight,
            0.0,
            100.0,
        )?;
        for (name, rule) in &self.layers {
            let at = |key: &str| format!("freshness.layers.{name}.{key}");
            for (key, text) in [("date", &rule.date), ("expiry", &rule.expiry)] {
                if let Some(text) = text {
                    date(at(key), text)?;
                }
            }
            if let Some(days) = rule.max_age_days {
                in_range(what, &at("max_age_days"), days, 0.0, 1e6)?;
            }
        }
        Ok(())
    }

    /// The ages of a site's layers that a date, an expiry or a rule speaks of, in the order of their names.
    ///
    /// # Errors
    /// [`CoreError::Value`] when a date of the manifest is none, or a rule names a layer that neither this site nor any other
    /// has.
    pub fn ages(&self, manifest: &Manifest) -> Result<Vec<LayerAge>, CoreError> {
        let site = format!("site {}", manifest.name);
        if let Some(name) = self
            .layers
            .keys()
            .find(|name| !manifest.layers.contains_key(*name) && !USUAL.contains(&name.as_str()))
        {
            return Err(CoreError::value(
                "mission",
                format!("freshness.layers.{name}"),
                name,
                format!(
                    "a layer of the {site} ({}) or one that sites usually have",
                    manifest
                        .layers
                        .keys()
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            ));
        }
        let number = |name: &str, key: &str, text: &str| {
            day_number(text).ok_or_else(|| {
                CoreError::value(
                    &site,
                    format!("layers.{name}.{key}"),
                    text,
                    "a date YYYY-MM-DD",
                )
            })
        };
        let today = number("", "day", &self.day)?;
        let mut out = Vec::new();
        for (name, info) in &manifest.layers {
            let rule = self.layers.get(name);
            let date = info.date.as_ref().or_else(|| rule?.date.as_ref());
            let mut expiry: Option<(&String, DayNumber)> = None;
            for text in [info.expiry.as_ref(), rule.and_then(|r| r.expiry.as_ref())]
                .into_iter()
                .flatten()
            {
                let n = number(name, "expiry", text)?;
                if expiry.is_none_or(|(_, first)| n < first) {
                    expiry = Some((text, n));
                }
            }
            let age_days = match date {
                Some(text) => Some(today - number(name, "date", text)?),
                None => None,
            };
            if date.is_none() && expiry.is_none() && rule.is_none() {
                continue;
            }
            let most = rule.and_then(|r| r.max_age_days);
            let expired = expiry.filter(|(_, last)| today > *last);
            let old = most.zip(age_days).filter(|(most, age)| *age as f64 > *most);
            let words = match (expired, old, most, age_days) {
                (Some((last, _)), ..) => {
                    format!(
                        "the layer {name} holds until {last}, the drive is on {}",
                        self.day
                    )
                }
                (None, Some((most, age)), ..) => format!(
                    "the layer {name} is {age} days old on {}, expected at most {most} days",
                    self.day
                ),
                // What has no date cannot be shown to be young enough.
                (None, None, Some(most), None) => format!(
                    "the date of the layer {name} is not known, expected at most {most} days"
                ),
                (None, None, _, Some(age)) => {
                    format!("the layer {name} is {age} days old on {}", self.day)
                }
                (None, None, None, None) => format!("the date of the layer {name} is not known"),
            };
            out.push(LayerAge {
                layer: name.clone(),
                date: date.cloned(),
                expiry: expiry.map(|(text, _)| text.clone()),
                age_days,
                stale: expired.is_some() || old.is_some() || most.is_some() && age_days.is_none(),
                refuse: rule.is_some_and(|r| r.refuse),
                words,
            });
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        body::Body,
        raster::Raster,
        site::{SITE_SCHEMA_VERSION, Site},
    };
    use proptest::prelude::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (date, n) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29", Some(11_016)),
            ("2026-11-22", Some(20_779)),
            ("2026-11-22T06:00:00Z", Some(20_779)),
            ("1969-12-31", Some(-1)),
            ("1900-02-29", None),
            ("2026-13-01", None),
            ("2026-00-10", None),
            ("2026-04-31", None),
            ("26-04-30", None),
            ("2026-4-3", None),
            ("2026-04-30-1", None),
            ("", None),
            ("yesterday", None),
        ] {
            assert_eq!(day_number(date), n, "{date}");
        }
    }

    proptest! {
        #[test]
        fn the_day_after_is_one_more(y in 1i64..9998, m in 1i64..13, d in 1i64..29) {
            let n = day_number(&format!("{y:04}-{m:02}-{d:02}")).unwrap();
            let next = if d < 28 {
                format!("{y:04}-{m:02}-{:02}", d + 1)
            } else {
                // The first of the next month is at most four days on.
                let (y, m) = if m == 12 { (y + 1, 1) } else { (y, m + 1) };
                format!("{y:04}-{m:02}-01")
            };
            let more = day_number(&next).unwrap() - n;
            let right = if d < 28 { more == 1 } else { (1..=4).contains(&more) };
            prop_assert!(right, "{more} days");
        }

        #[test]
        fn no_text_breaks_it(text in ".{0,40}") {
            let _ = day_number(&text);
        }
    }

    fn site() -> Site {
        let mut site = Site {
            manifest: Manifest {
                schema_version: SITE_SCHEMA_VERSION,
                name: "t".into(),
                body: Body {
                    name: "mars".into(),
                    gravity_mps2: 3.72076,
                    radius_m: 3_396_190.0,
                    atmosphere_pa: 610.0,
                    light_time_s: 750.0,
                },
                crs: "LOCAL".into(),
                map_origin_crs: [0.0, 0.0],
                metres_per_crs_unit: [1.0, 1.0],
                z_datum_m: 0.0,
                layers: BTreeMap::new(),
            },
            layers: BTreeMap::new(),
        };
        for name in [ELEVATION, ORTHO] {
            let r = Raster::filled(2, 2, 1.0, [0.0, 0.0], 0.0).unwrap();
            site.put(name, r, "m", "test");
        }
        site
    }

    fn rule(date: Option<&str>, expiry: Option<&str>, most: Option<f64>) -> LayerRule {
        LayerRule {
            date: date.map(str::to_string),
            expiry: expiry.map(str::to_string),
            max_age_days: most,
            refuse: false,
        }
    }

    #[test]
    fn the_earlier_expiry_holds_and_no_date_is_not_young() {
        let mut site = site();
        let ages = |site: &Site, day: &str, r: LayerRule| {
            let f = Freshness {
                day: day.into(),
                stale_weight: 1.0,
                layers: BTreeMap::from([(ELEVATION.to_string(), r)]),
            };
            f.check("m.yaml").unwrap();
            f.ages(&site.manifest)
        };
        let one = |site: &Site, day: &str, r: LayerRule| ages(site, day, r).unwrap().remove(0);
        let until = rule(Some("2026-01-01"), Some("2026-02-01"), None);
        let on_time = one(&site, "2026-02-01", until.clone());
        assert!(!on_time.stale && on_time.age_days == Some(31));
        assert!(one(&site, "2026-02-02", until.clone()).stale);
        assert!(one(&site, "2026-02-01", rule(None, None, Some(10.0))).stale);
        assert!(
            !one(
                &site,
                "2026-01-11",
                rule(Some("2026-01-01"), None, Some(10.0))
            )
            .stale
        );
        assert!(
            one(
                &site,
                "2026-01-12",
                rule(Some("2026-01-01"), None, Some(10.0))
            )
            .stale
        );
        // A layer of which nobody says anything is not spoken of.
        assert_eq!(ages(&site, "2026-01-11", until.clone()).unwrap().len(), 1);
        if let Some(info) = site.manifest.layers.get_mut(ELEVATION) {
            info.expiry = Some("2026-01-20".into());
        }
        let early = one(&site, "2026-01-25", until);
        assert!(
            early.stale && early.words.contains("2026-01-20"),
            "{}",
            early.words
        );
        if let Some(info) = site.manifest.layers.get_mut(ELEVATION) {
            info.expiry = Some("soon".into());
        }
        let bad = ages(&site, "2026-01-25", rule(None, None, None)).unwrap_err();
        assert!(bad.to_string().contains("layers.elevation.expiry"), "{bad}");
        let unknown = Freshness {
            day: "2026-01-01".into(),
            stale_weight: 1.0,
            layers: BTreeMap::from([("colour".to_string(), rule(None, None, None))]),
        };
        assert!(
            unknown
                .ages(&site.manifest)
                .unwrap_err()
                .to_string()
                .contains("colour")
        );
    }
}
