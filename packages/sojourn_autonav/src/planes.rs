//! Planes fitted to the fine cells around a coarse one, from sums.

/// Sums over known fine cells for a plane fit; coordinates relative to the coarse map's origin, in coarse cells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Moments {
    /// Number of cells.
    pub n: f64,
    x: f64,
    y: f64,
    z: f64,
    xx: f64,
    xy: f64,
    yy: f64,
    xz: f64,
    yz: f64,
    zz: f64,
}

impl Moments {
    pub fn add(&mut self, o: &Self) {
        self.n += o.n;
        self.x += o.x;
        self.y += o.y;
        self.z += o.z;
        self.xx += o.xx;
        self.xy += o.xy;
        self.yy += o.yy;
        self.xz += o.xz;
        self.yz += o.yz;
        self.zz += o.zz;
    }

    pub fn of(x: f64, y: f64, z: f64) -> Self {
        Self {
            n: 1.0,
            x,
            y,
            z,
            xx: x * x,
            xy: x * y,
            yy: y * y,
            xz: x * z,
            yz: y * z,
            zz: z * z,
        }
    }

    /// Gradient along x and y, and the standard deviation about the plane.
    pub fn plane(&self) -> Option<Plane> {
        if self.n < 6.0 {
            return None;
        }
        let (mx, my, mz) = (self.x / self.n, self.y / self.n, self.z / self.n);
        let sxx = self.xx / self.n - mx * mx;
        let syy = self.yy / self.n - my * my;
        let sxy = self.xy / self.n - mx * my;
        let sxz = self.xz / self.n - mx * mz;
        let syz = self.yz / self.n - my * mz;
        let det = sxx * syy - sxy * sxy;
        if !(det > 1e-6) {
            return None;
        }
        let gx = (sxz * syy - syz * sxy) / det;
        let gy = (syz * sxx - sxz * sxy) / det;
        let variance = (self.zz / self.n - mz * mz) - gx * sxz - gy * syz;
        Some(Plane {
            gx,
            gy,
            sigma_m: variance.max(0.0).sqrt(),
        })
    }
}

/// A fitted plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plane {
    pub gx: f64,
    pub gy: f64,
    pub sigma_m: f64,
}
