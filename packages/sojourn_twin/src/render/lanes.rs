//! The light of many places at a time.
//!
//! What a place sends towards the camera is a long chain of square roots and quotients. Places are gathered into lanes, and
//! the chain is cut into pieces that each run over all lanes: loops over plain arrays, which the compiler does several at
//! a time. Every lane's number is the one that it would have alone.

use super::{
    cell_of, dot,
    marks::Marks,
    norm,
    scene::{ROCK, Scene},
    texture::Texture,
    unit,
};
use crate::world::ALBEDO_SCALE;

/// Places at a time.
const LANES: usize = 64;
/// Share of McEwen's lunar part in the ground's reflection; the rest is Lambert's.
const LUNAR: f32 = 0.5;
/// Half the width of a shadow's edge, metres of height.
const EDGE_M: f32 = 0.008;

/// What the light depends on besides the place.
pub struct Lighting<'a> {
    /// Grain of the ground.
    pub texture: &'a Texture,
    /// Veins and nodules, where there are any.
    pub marks: Option<&'a Marks>,
    /// Unit vector to the sun.
    pub sun: [f32; 3],
    /// Share of the light that comes from the whole sky.
    pub skylight: f32,
}

/// Places on the ground of one row of an image.
pub struct Lanes {
    used: usize,
    /// Column of each.
    u: [usize; LANES],
    /// Where the grain is read, metres.
    at_m: [[f64; 2]; LANES],
    /// Where each is, metres in `map`.
    place_m: [[f64; 2]; LANES],
    direction: [[f32; LANES]; 3],
    slope: [[f32; LANES]; 2],
    pixel_m: [f32; LANES],
    footprint_m: [f32; LANES],
    open: [f32; LANES],
    shadow_m: [f32; LANES],
    albedo: [f32; LANES],
    rough: [f32; LANES],
    grain: [[f32; LANES]; 3],
    light: [f32; LANES],
}

impl Default for Lanes {
    fn default() -> Self {
        const NONE: [f32; LANES] = [0.0; LANES];
        Self {
            used: 0,
            u: [0; LANES],
            at_m: [[0.0; 2]; LANES],
            place_m: [[0.0; 2]; LANES],
            direction: [NONE; 3],
            slope: [NONE; 2],
            pixel_m: NONE,
            footprint_m: NONE,
            open: NONE,
            shadow_m: NONE,
            albedo: NONE,
            rough: NONE,
            grain: [NONE; 3],
            light: NONE,
        }
    }
}

impl Lanes {
    /// Whether no further place fits in.
    #[inline]
    pub fn full(&self) -> bool {
        self.used == LANES
    }

    /// Adds what column `u` sees: a place (cells, metres over [`Scene::z0_m`]) along a direction of depth 1, where a pixel is
    /// `pixel_m` wide across the view. Returns its class code.
    #[inline]
    pub fn add(
        &mut self,
        scene: &Scene,
        u: usize,
        [x, y, z]: [f64; 3],
        direction: [f32; 3],
        pixel_m: f32,
    ) -> u8 {
        let k = self.used % LANES;
        self.used = k + 1;
        let (i, j, cu, cv) = cell_of(scene, x, y);
        let spot = scene.spot(i, j, cu, cv);
        let map_m = |v: f64, first: i64| (v + first as f64) * scene.res_m;
        // Moved with the height, so that the flanks of rocks are not streaked.
        let up_m = z + scene.z0_m;
        let place = [map_m(x, scene.first[0]), map_m(y, scene.first[1])];
        self.place_m[k] = place;
        self.at_m[k] = [place[0] + 0.8 * up_m, place[1] - 0.6 * up_m];
        self.u[k] = u;
        for (lanes, d) in self.direction.iter_mut().zip(direction) {
            lanes[k] = d;
        }
        for (lanes, s) in self.slope.iter_mut().zip(spot.slopes) {
            lanes[k] = s;
        }
        self.pixel_m[k] = pixel_m;
        self.shadow_m[k] = spot.shadow_m;
        self.albedo[k] = spot.albedo;
        self.rough[k] = if spot.code & ROCK == 0 { 1.0 } else { 1.5 };
        spot.code
    }

    /// Works out the light of all places, in units of white ground that faces the sun, writes it to the row and is empty
    /// again.
    pub fn shine(&mut self, of: &Lighting, row: &mut [f32]) {
        self.smooth(of);
        for k in 0..self.used {
            let [x_m, y_m] = self.at_m[k];
            let grain = of.texture.at(x_m, y_m, self.footprint_m[k]);
            self.grain[0][k] = grain.slope_x;
            self.grain[1][k] = grain.slope_y;
            self.grain[2][k] = grain.tone;
        }
        if let Some(marks) = of.marks {
            for k in 0..self.used {
                // Rocks lie on the marked ground.
                if self.rough[k] <= 1.0 {
                    let [x_m, y_m] = self.place_m[k];
                    self.albedo[k] *= marks.tone(x_m, y_m, self.footprint_m[k]);
                }
            }
        }
        self.reflect(of);
        for (u, light) in self.u.iter().zip(&self.light).take(self.used) {
            row[*u] = *light;
        }
        self.used = 0;
    }

    #[inline]
    fn direction(&self, k: usize) -> [f32; 3] {
        [
            self.direction[0][k],
            self.direction[1][k],
            self.direction[2][k],
        ]
    }

    /// What the ground without its grain decides.
    fn smooth(&mut self, of: &Lighting) {
        for k in 0..LANES {
            let direction = self.direction(k);
            let length = norm(direction);
            let smooth = unit([-self.slope[0][k], -self.slope[1][k], 1.0]);
            // A pixel covers more ground the flatter it looks.
            let facing = (-dot(smooth, direction) / length).max(0.05);
            self.footprint_m[k] = self.pixel_m[k] * length / facing.sqrt();
            // A slope that looks away from the sun lies in its own shadow.
            self.open[k] = (dot(smooth, of.sun) * 12.0).clamp(0.0, 1.0);
        }
    }

    /// The light that comes back from the ground with its grain.
    fn reflect(&mut self, of: &Lighting) {
        let (sun, skylight) = (of.sun, of.skylight);
        for k in 0..LANES {
            let direction = self.direction(k);
            let length = norm(direction);
            let rough = self.rough[k];
            let normal = unit([
                -self.slope[0][k] - rough * self.grain[0][k],
                -self.slope[1][k] - rough * self.grain[1][k],
                1.0,
            ]);
            let mu0 = dot(normal, sun).max(0.0);
            let mu = (-dot(normal, direction) / length).max(0.02);
            let lit = (0.5 - self.shadow_m[k] / (2.0 * EDGE_M)).clamp(0.0, 1.0) * self.open[k];
            let albedo = self.albedo[k] / ALBEDO_SCALE as f32 * (1.0 + rough * self.grain[2][k]);
            let reflect = LUNAR * 2.0 * mu0 / (mu0 + mu) + (1.0 - LUNAR) * mu0;
            let ambient = skylight * (0.3 + 0.7 * normal[2]);
            self.light[k] = albedo * (ambient + (1.0 - skylight) * lit * reflect);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        render::Sun,
        testing::small_site,
        world::{World, WorldParams},
    };

    /// A place's light is the same to the bit whatever stands in the other lanes, and alone.
    #[test]
    fn company_does_not_show() {
        let params = WorldParams {
            rock_cfa: 0.1,
            ..WorldParams::demo(5, [30.0, 30.0, 60.0, 60.0], [40.0, 40.0])
        };
        let world = World::from_site(&small_site(7), &params).unwrap();
        let sun = Sun {
            azimuth_rad: -2.3,
            elevation_rad: 0.4,
        };
        let scene = Scene::new(&world, [35.0, 35.0, 55.0, 55.0], 0.0, sun);
        let texture = Texture::new(3);
        let of = Lighting {
            texture: &texture,
            marks: None,
            sun: sun.direction().map(|v| v as f32),
            skylight: 0.25,
        };
        let look = |lanes: &mut Lanes, u: usize| {
            let n = u as f64;
            let place = [20.3 + 0.37 * n, 150.2 - 0.83 * n, 0.1 * n];
            lanes.add(&scene, u, place, [0.3, 0.1 + 0.001 * u as f32, -0.4], 0.004)
        };
        let count = 2 * LANES + 9;
        let (mut together, mut alone) = (vec![0f32; count], vec![0f32; count]);
        let mut lanes = Lanes::default();
        for u in 0..count {
            let code = look(&mut lanes, u);
            if lanes.full() {
                lanes.shine(&of, &mut together);
            }
            let mut one = Lanes::default();
            assert_eq!(look(&mut one, u), code);
            one.shine(&of, &mut alone);
        }
        lanes.shine(&of, &mut together);
        let bits = |v: &[f32]| v.iter().map(|l| l.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&together), bits(&alone));
        assert!(together.iter().all(|l| *l > 0.0) && together[3] != together[90]);
    }
}
