//! One rigid wheel on one soil: the stress integrals, solved for the sinkage that carries the load.
//!
//! Normal stress after Wong and Reece (J. Terramechanics 4, 1967) over Bekker's pressure–sinkage, shear after Janosi and
//! Hanamoto with the displacement along and across the wheel added as vectors, entry angle from the vertical balance
//! (Wong, *Theory of Ground Vehicles*, ch. 2). The soil does not spring back: the wheel leaves it at its lowest point.
//! This is the oracle; runs use [`super::table::WheelTable`], which is filled by it.

use sojourn_core::{
    rover::Wheel,
    soil::{Deformable, Rigid, Soil},
};

/// Steps of the integrals (midpoint rule). Twice as many change no result by more than 0.2 % of the load.
pub const STEPS: usize = 32;
/// Greatest entry angle: deeper than this the hub is in the ground.
const ENTRY_MAX_RAD: f64 = 1.5;
/// Slip closer to a locked wheel than this is not told apart from it.
const LOCKED: f64 = 1e-3;
/// Entry angles that are tried one after another where the deepest one does not carry the load.
const SCAN: u32 = 32;
/// Radius of the wheels that the soils' shear modulus is given for, metres: those of the rovers they were fitted to.
const SHEAR_RADIUS_M: f64 = 0.2625;

/// What the ground does to a wheel that rolls forward.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Contact {
    /// Shear along the wheel's heading, newtons; forward positive.
    pub thrust_n: f64,
    /// Resistance of the soil in front, newtons; at least 0.
    pub resistance_n: f64,
    /// Force to the side, newtons, against `side_ratio`'s sign.
    pub side_n: f64,
    /// The most that shear could give in any direction, newtons.
    pub capacity_n: f64,
    /// Sinkage, metres.
    pub sinkage_m: f64,
    /// Torque about the axle, N·m; driving positive.
    pub torque_nm: f64,
    /// Stress-weighted shear displacement across per side ratio, in units of the shear modulus.
    pub side_gain: f64,
}

impl Contact {
    /// Drawbar pull, newtons.
    #[must_use]
    pub fn drawbar_n(&self) -> f64 {
        self.thrust_n - self.resistance_n
    }
}

/// A wheel's contact at a load (newtons) and slip: `1 − v/(rω)` when driving, `rω/v − 1` when braking, so from −1 (locked)
/// to 1 (spinning on the spot). `side_ratio` is the speed to the side over the greater of rim and ground speed.
#[must_use]
pub fn contact(soil: &Soil, wheel: &Wheel, load_n: f64, slip: f64, side_ratio: f64) -> Contact {
    contact_near(soil, wheel, load_n, slip, side_ratio, None)
}

/// The same, where the sinkage (metres) is about known: the search begins there.
#[must_use]
pub(super) fn contact_near(
    soil: &Soil,
    wheel: &Wheel,
    load_n: f64,
    slip: f64,
    side_ratio: f64,
    near_m: Option<f64>,
) -> Contact {
    let slip = slip.clamp(-1.0 + LOCKED, 1.0);
    let load_n = load_n.max(0.0);
    match soil {
        Soil::Rigid(rock) => on_rock(rock, wheel, load_n, slip, side_ratio),
        Soil::Deformable(soil) => in_soil(soil, wheel, load_n, slip, side_ratio, near_m),
    }
}

fn on_rock(rock: &Rigid, wheel: &Wheel, load_n: f64, slip: f64, side: f64) -> Contact {
    let capacity_n = rock.friction * load_n;
    let size = slip.hypot(side);
    let used = if size > 0.0 {
        capacity_n * (1.0 - (-size / rock.creep_slip).exp()) / size
    } else {
        0.0
    };
    Contact {
        thrust_n: used * slip,
        resistance_n: rock.rolling * load_n,
        side_n: used * side,
        capacity_n,
        sinkage_m: 0.0,
        torque_nm: used * slip * wheel.radius_m,
        side_gain: 1.0 / rock.creep_slip,
    }
}

fn in_soil(
    soil: &Deformable,
    wheel: &Wheel,
    load_n: f64,
    slip: f64,
    side: f64,
    near_m: Option<f64>,
) -> Contact {
    // The load carried grows with the entry angle.
    let excess = |entry: f64| {
        let (carried_n, contact) = integrate(soil, wheel, entry, slip, side);
        (carried_n - load_n, contact)
    };
    let enough_n = 1e-6 * load_n;
    let (mut lo, mut f_lo) = (0.0, -load_n);
    let (mut hi, (mut f_hi, mut best)) = (ENTRY_MAX_RAD, excess(ENTRY_MAX_RAD));
    if f_hi <= 0.0 {
        // Soil that a dragged wheel shears pulls it down, the more the deeper it stands: what it carries is greatest
        // short of the deepest entry, and the shallowest entry that carries the load is where it comes to rest.
        let enough = (1..SCAN).find_map(|k| {
            let entry = ENTRY_MAX_RAD * f64::from(k) / f64::from(SCAN);
            let (f, contact) = excess(entry);
            (f > 0.0).then_some((entry, f, contact))
        });
        let Some(found) = enough else {
            return best;
        };
        (hi, f_hi, best) = found;
    }
    // A narrow bracket around what is known first, then regula falsi by the Illinois rule.
    let near = near_m.map(|z| (1.0 - z / wheel.radius_m).clamp(-1.0, 1.0).acos());
    let mut tries = [
        near.map(|a| 0.97 * a),
        near.map(|a| 1.03 * a + 1e-3),
        near.is_none().then_some(0.5 * ENTRY_MAX_RAD),
        near.is_none().then_some(0.25 * ENTRY_MAX_RAD),
    ]
    .into_iter()
    .flatten();
    for _ in 0..60 {
        let entry = match tries.next() {
            Some(entry) if entry > lo && entry < hi => entry,
            Some(_) => continue,
            None => (lo * f_hi - hi * f_lo) / (f_hi - f_lo),
        };
        let (f, contact) = excess(entry);
        best = contact;
        if f.abs() <= enough_n || hi - lo < 1e-12 {
            break;
        }
        if f > 0.0 {
            (hi, f_hi) = (entry, f);
            f_lo *= 0.5;
        } else {
            (lo, f_lo) = (entry, f);
            f_hi *= 0.5;
        }
    }
    best
}

/// The load that an entry angle carries, newtons, and everything else at it.
fn integrate(
    soil: &Deformable,
    wheel: &Wheel,
    entry_rad: f64,
    slip: f64,
    side: f64,
) -> (f64, Contact) {
    let (r, b) = (wheel.radius_m, wheel.width_m);
    let (sin_entry, cos_entry) = entry_rad.sin_cos();
    let peak_rad = (soil.theta_m_0 + soil.theta_m_slip * slip.abs()) * entry_rad;
    let stiffness = soil.k_c / b + soil.k_phi;
    let tan_phi = soil.friction_deg.to_radians().tan();
    // The shear modulus is no constant of the soil: it is smaller under small patches (shear boxes give a millimetre where
    // rover wheels give a centimetre). It is taken to shrink with the wheel, so that wheels of one shape slip alike.
    let shear_m = soil.shear_m * (r / SHEAR_RADIUS_M).min(1.0);
    let step = entry_rad / STEPS as f64;
    let mut sums = [0.0f64; 6];
    let [load, thrust, resist, across, capacity, along] = &mut sums;
    let mut torque = 0.0;
    for k in 0..STEPS {
        let angle = (k as f64 + 0.5) * step;
        let (sin, cos) = angle.sin_cos();
        // Behind the peak the stress mirrors that in front of it.
        let mirrored = if angle >= peak_rad {
            angle
        } else {
            entry_rad - angle * (entry_rad - peak_rad) / peak_rad
        };
        let depth = r * (mirrored.cos() - cos_entry).max(0.0);
        let sigma = if soil.n == 1.0 {
            stiffness * depth
        } else {
            stiffness * depth.powf(soil.n)
        };
        // Braking wheels turn slower than the ground goes by: 1 − slip becomes 1/(1 + slip).
        let pass = if slip >= 0.0 {
            1.0 - slip
        } else {
            1.0 / (1.0 + slip)
        };
        let time = if slip >= 0.0 { 1.0 } else { pass };
        let jx = r * ((entry_rad - angle) - pass * (sin_entry - sin));
        let jy = r * (entry_rad - angle) * time * side;
        let j = if side == 0.0 {
            jx.abs()
        } else {
            (jx * jx + jy * jy).sqrt()
        };
        let strength = soil.cohesion_pa + sigma * tan_phi;
        let tau = strength * (1.0 - (-j / shear_m).exp());
        let (tx, ty) = if j > 0.0 {
            (tau * jx / j, tau * jy / j)
        } else {
            (0.0, 0.0)
        };
        *load += sigma * cos + tx * sin;
        *thrust += tx * cos;
        *resist += sigma * sin;
        *across += ty;
        *capacity += strength;
        *along += strength * (entry_rad - angle);
        torque += tx;
    }
    let area = r * b * step;
    let side_gain = if sums[4] > 0.0 {
        r * sums[5] / sums[4] / shear_m
    } else {
        0.0
    };
    (
        sums[0] * area,
        Contact {
            thrust_n: sums[1] * area,
            resistance_n: sums[2] * area,
            side_n: sums[3] * area,
            capacity_n: sums[4] * area,
            sinkage_m: r * (1.0 - cos_entry),
            torque_nm: torque * area * r,
            side_gain,
        },
    )
}

/// Force of the wall of undisturbed soil before a wheel that has dug itself a hole, or beside one that is pushed
/// sideways: Coulomb's passive earth pressure with half the soil's friction on the wall.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wall {
    /// Newtons per metre of width and metre² of depth.
    pub per_m2: f64,
    /// Newtons per metre of width and metre of depth.
    pub per_m: f64,
}

impl Wall {
    /// The wall of a soil under a gravity; rock has none.
    #[must_use]
    pub fn of(soil: &Soil, gravity_mps2: f64) -> Self {
        let Soil::Deformable(d) = soil else {
            return Self::default();
        };
        let phi = d.friction_deg.to_radians();
        let wall = 0.5 * phi;
        let root = ((phi + wall).sin() * phi.sin() / wall.cos()).sqrt();
        let passive = phi.cos().powi(2) / (wall.cos() * (1.0 - root).powi(2));
        Self {
            per_m2: 0.5 * d.density_kgpm3 * gravity_mps2 * passive,
            per_m: 2.0 * d.cohesion_pa * passive.sqrt(),
        }
    }

    /// The force on a wall, newtons.
    #[must_use]
    pub fn force_n(&self, width_m: f64, depth_m: f64) -> f64 {
        width_m * depth_m * (self.per_m2 * depth_m + self.per_m)
    }
}
