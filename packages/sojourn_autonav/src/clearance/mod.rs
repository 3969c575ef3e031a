//! Whether the rover may stand at a pose, for any ground that the map allows and any place within the pose's
//! uncertainty.

pub mod ace;
pub mod evaluate;
pub mod images;
pub mod linkage;
pub mod slide;
pub mod surfaces;

pub use ace::{Ace, Bounds};
pub use images::{Footing, Images};
pub use linkage::{Attitude, Range};
pub use surfaces::{Heights, Surfaces};

use sojourn_core::{
    limits::{Limits, Share},
    settle::Excess,
};

/// The first limit that bounds may break, when each limit is tightened to its share (clearance is raised by
/// `1 / share` instead). A number that is not one counts as broken.
#[must_use]
pub fn excess(b: &Bounds, limits: &Limits, share: Share) -> Option<Excess> {
    let a = &b.attitude;
    let bogie = a.bogie[0].magnitude().max(a.bogie[1].magnitude());
    let too_much = [
        (
            "tilt_deg",
            b.tilt_rad().to_degrees(),
            limits.tilt_deg,
            share.tilt,
        ),
        (
            "differential_deg",
            a.differential.magnitude().to_degrees(),
            limits.differential_deg,
            share.rest,
        ),
        (
            "bogie_deg",
            bogie.to_degrees(),
            limits.bogie_deg,
            share.rest,
        ),
        ("wheel_drop_m", b.drop_m, limits.wheel_drop_m, share.rest),
    ];
    for (limit, value, allowed, share) in too_much {
        if !(value <= allowed * share) {
            return Some(Excess {
                limit,
                value,
                allowed,
            });
        }
    }
    (!(b.clearance_m >= limits.clearance_m / share.clearance)).then_some(Excess {
        limit: "clearance_m",
        value: b.clearance_m,
        allowed: limits.clearance_m,
    })
}
