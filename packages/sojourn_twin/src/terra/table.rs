//! The wheel's contact, tabulated over load and slip for one soil: a look-up instead of a search with integrals.

use super::wheel::{Contact, Wall, contact_near};
use sojourn_core::{rover::Wheel, soil::Soil};

/// Nodes over the load.
const LOADS: usize = 32;
/// Nodes over the slip; the middle one is no slip.
const SLIPS: usize = 45;
/// Least and greatest load of the table, in static loads.
const LOAD_RANGE: [f64; 2] = [0.02, 4.0];

/// Everything of a node, divided by the load where it is a force.
type Node = [f64; 6];

/// Slip of a node.
fn slip_at(k: usize) -> f64 {
    let u = 2.0 * k as f64 / (SLIPS - 1) as f64 - 1.0;
    u * u.abs()
}

/// Contact of one kind of wheel on one soil. Nodes stand evenly in the square roots of load and slip, so
/// that small loads and small slips are fine.
#[derive(Clone, Debug, PartialEq)]
pub struct WheelTable {
    nodes: Vec<Node>,
    root_lo: f64,
    per_root: f64,
    least_n: f64,
    most_n: f64,
    radius_m: f64,
    wall: Wall,
    dig: f64,
    rigid: bool,
}

impl WheelTable {
    /// Fills the table: some milliseconds. `static_n` is the load of one wheel at rest on level ground.
    #[must_use]
    pub fn new(soil: &Soil, wheel: &Wheel, static_n: f64, gravity_mps2: f64) -> Self {
        let (least_n, most_n) = (LOAD_RANGE[0] * static_n, LOAD_RANGE[1] * static_n);
        let (lo, hi) = (least_n.sqrt(), most_n.sqrt());
        let mut nodes = Vec::with_capacity(LOADS * SLIPS);
        for i in 0..LOADS {
            let root = lo + (hi - lo) * i as f64 / (LOADS - 1) as f64;
            let load_n = root * root;
            let mut near_m = None;
            for k in 0..SLIPS {
                let c = contact_near(soil, wheel, load_n, slip_at(k), 0.0, near_m);
                near_m = Some(c.sinkage_m);
                nodes.push([
                    c.thrust_n / load_n,
                    c.resistance_n / load_n,
                    c.capacity_n / load_n,
                    c.torque_nm / (load_n * wheel.radius_m),
                    c.sinkage_m,
                    c.side_gain,
                ]);
            }
        }
        Self {
            nodes,
            root_lo: lo,
            per_root: (LOADS - 1) as f64 / (hi - lo),
            least_n,
            most_n,
            radius_m: wheel.radius_m,
            wall: Wall::of(soil, gravity_mps2),
            dig: match soil {
                Soil::Rigid(_) => 0.0,
                Soil::Deformable(d) => d.dig,
            },
            rigid: matches!(soil, Soil::Rigid(_)),
        }
    }

    /// The contact at a load (cut to the table's) and slip, without motion to the side (`side_n` is 0).
    #[must_use]
    pub fn look_up(&self, load_n: f64, slip: f64) -> Contact {
        let inside_n = load_n.clamp(self.least_n, self.most_n);
        let a = ((inside_n.sqrt() - self.root_lo) * self.per_root).clamp(0.0, (LOADS - 1) as f64);
        let slip = slip.clamp(-1.0, 1.0);
        let u = slip.abs().sqrt().copysign(slip);
        let b = 0.5 * (u + 1.0) * (SLIPS - 1) as f64;
        let (i, k) = ((a as usize).min(LOADS - 2), (b as usize).min(SLIPS - 2));
        // Between two nodes straight in the slip and not in its root, whose slope has no bound where there is no slip.
        let (s0, s1) = (slip_at(k), slip_at(k + 1));
        let (ta, tb) = (a - i as f64, ((slip - s0) / (s1 - s0)).clamp(0.0, 1.0));
        let at = i * SLIPS + k;
        let (n00, n01) = (&self.nodes[at], &self.nodes[at + 1]);
        let (n10, n11) = (&self.nodes[at + SLIPS], &self.nodes[at + SLIPS + 1]);
        let (w00, w01) = ((1.0 - ta) * (1.0 - tb), (1.0 - ta) * tb);
        let (w10, w11) = (ta * (1.0 - tb), ta * tb);
        let v = |c: usize| w00 * n00[c] + w01 * n01[c] + w10 * n10[c] + w11 * n11[c];
        let load_n = load_n.max(0.0);
        Contact {
            thrust_n: v(0) * load_n,
            resistance_n: v(1) * load_n,
            side_n: 0.0,
            capacity_n: v(2) * load_n,
            torque_nm: v(3) * load_n * self.radius_m,
            sinkage_m: if load_n > 0.0 { v(4) } else { 0.0 },
            side_gain: v(5),
        }
    }

    /// The same with a motion to the side, from the same table: along and across share the displacement of the soil as
    /// vectors. `side_ratio` as in [`super::contact`]; the deviation from the integrals is in the package's README.
    #[must_use]
    pub fn look_up_with_side(&self, load_n: f64, slip: f64, side_ratio: f64) -> Contact {
        let mut c = self.look_up(load_n, slip);
        if side_ratio == 0.0 || c.capacity_n <= 0.0 {
            return c;
        }
        // The displacement along that gives the table's thrust, in units of the shear modulus.
        let share = (c.thrust_n.abs() / c.capacity_n).min(1.0 - 1e-9);
        let along = if self.rigid {
            slip.abs() * c.side_gain
        } else {
            -(1.0 - share).ln()
        };
        let across = c.side_gain * side_ratio.abs();
        let both = (along * along + across * across).sqrt();
        let force_n = c.capacity_n * (1.0 - (-both).exp());
        let less = if share > 0.0 {
            force_n * along / both / (share * c.capacity_n)
        } else {
            1.0
        };
        c.side_n = force_n * across / both * side_ratio.signum();
        c.thrust_n *= less;
        c.torque_nm *= less;
        c
    }

    /// The wall of soil before a wheel in its own hole.
    #[must_use]
    pub fn wall(&self) -> Wall {
        self.wall
    }

    /// Share of the slipped way that a wheel digs down by; 0 on rock.
    #[must_use]
    pub fn dig(&self) -> f64 {
        self.dig
    }
}
