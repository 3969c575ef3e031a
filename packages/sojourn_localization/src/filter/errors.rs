//! What becomes of the covariances: measurements, couplings and noise.

use super::{ASIDE, BESIDE, Correction, Covariance, Filter, N, SCALE, WANDER};
use nalgebra::{Matrix3, SMatrix, SVector};

/// Variances never grow beyond this, so that they stay numbers whatever comes in.
const MAX_VARIANCE: f64 = 1e12;
/// Errors that are considered and not estimated.
const CONSIDERED: [usize; 4] = [SCALE, ASIDE, WANDER, BESIDE];

impl Filter {
    /// Takes a measurement in: `off` is what was measured less what was expected, `h` times the errors with a noise of its
    /// `own`. Beyond `gate` nothing changes. It is weighed by the covariance that knows nothing of what is considered.
    ///
    /// # Errors
    /// The squared Mahalanobis distance of a measurement beyond the gate; infinite for numbers that are none.
    pub(super) fn measure<const M: usize>(
        &mut self,
        off: &SVector<f64, M>,
        h: &SMatrix<f64, M, N>,
        own: &SMatrix<f64, M, M>,
        gate: f64,
    ) -> Result<Correction, f64> {
        let seen = Seen::of(h, own, &self.covariance);
        let distance2 = seen.within(off, gate)?;
        let weighed = Seen::of(h, own, &self.weighing);
        let gain = weighed.gain()?;
        self.take(off, h, [&seen, &weighed], &gain, distance2)
    }

    /// The same for a measurement that tells what the considered errors have come to: it is weighed by the covariance of all
    /// errors. The considered ones themselves stay as they are.
    ///
    /// # Errors
    /// As `measure`.
    pub(super) fn measure_all<const M: usize>(
        &mut self,
        off: &SVector<f64, M>,
        h: &SMatrix<f64, M, N>,
        own: &SMatrix<f64, M, M>,
        gate: f64,
    ) -> Result<Correction, f64> {
        let seen = Seen::of(h, own, &self.covariance);
        let distance2 = seen.within(off, gate)?;
        let weighed = Seen::of(h, own, &self.weighing);
        let mut gain = seen.gain()?;
        for error in CONSIDERED {
            gain.row_mut(error).fill(0.0);
        }
        self.take(off, h, [&seen, &weighed], &gain, distance2)
    }

    /// Brings a measurement in by this gain; `seen` is what it has to do with the two covariances.
    fn take<const M: usize>(
        &mut self,
        off: &SVector<f64, M>,
        h: &SMatrix<f64, M, N>,
        [seen, weighed]: [&Seen<M>; 2],
        gain: &SMatrix<f64, N, M>,
        distance2: f64,
    ) -> Result<Correction, f64> {
        let change = gain * off;
        if !change.iter().all(|v| v.is_finite()) {
            return Err(f64::INFINITY);
        }
        seen.taken(gain, &mut self.covariance);
        weighed.taken(gain, &mut self.weighing);
        for mut column in self.carried.column_iter_mut() {
            let mut shown = SVector::<f64, M>::zeros();
            for (error, value) in column.iter().enumerate() {
                if *value != 0.0 {
                    shown.axpy(*value, &h.column(error), 1.0);
                }
            }
            column.gemv(-1.0, gain, &shown, 1.0);
        }
        self.bounded();
        Ok(self.apply(&change, distance2))
    }

    /// Three errors have become what they were and `by` times three others.
    pub(super) fn couple(&mut self, to: usize, from: usize, by: &Matrix3<f64>) {
        for c in [&mut self.covariance, &mut self.weighing] {
            let rows = by * c.fixed_rows::<3>(from);
            let mut into = c.fixed_rows_mut::<3>(to);
            into += rows;
            let columns = c.fixed_columns::<3>(from) * by.transpose();
            let mut into = c.fixed_columns_mut::<3>(to);
            into += columns;
        }
        let rows = by * self.carried.fixed_rows::<3>(from);
        let mut into = self.carried.fixed_rows_mut::<3>(to);
        into += rows;
    }

    /// Three errors become a copy of three others.
    pub(super) fn copy(&mut self, to: usize, from: usize) {
        for c in [&mut self.covariance, &mut self.weighing] {
            let rows = c.fixed_rows::<3>(from).into_owned();
            c.fixed_rows_mut::<3>(to).copy_from(&rows);
            let columns = c.fixed_columns::<3>(from).into_owned();
            c.fixed_columns_mut::<3>(to).copy_from(&columns);
        }
        let rows = self.carried.fixed_rows::<3>(from).into_owned();
        self.carried.fixed_rows_mut::<3>(to).copy_from(&rows);
    }

    /// An error fades to this share of itself.
    pub(super) fn fade(&mut self, error: usize, to: f64) {
        for c in [&mut self.covariance, &mut self.weighing] {
            let mut row = c.row_mut(error);
            row *= to;
            let mut column = c.column_mut(error);
            column *= to;
        }
        let mut row = self.carried.row_mut(error);
        row *= to;
    }

    /// Adds noise to three errors.
    pub(super) fn add(&mut self, to: usize, noise: &Matrix3<f64>) {
        for c in [&mut self.covariance, &mut self.weighing] {
            let mut into = c.fixed_view_mut::<3, 3>(to, to);
            into += noise;
        }
    }

    /// Adds noise that moves errors together.
    pub(super) fn add_along(&mut self, along: &SVector<f64, N>) {
        let noise = along * along.transpose();
        self.covariance += noise;
        self.weighing += noise;
    }

    /// Adds noise to one error.
    pub(super) fn add_to(&mut self, error: usize, var: f64) {
        self.covariance[(error, error)] += var;
        self.weighing[(error, error)] += var;
    }

    /// Keeps the covariances symmetric and their numbers numbers.
    pub(super) fn bounded(&mut self) {
        let mut fine = self.carried.iter().fold(true, |f, v| f & in_bounds(*v));
        for c in [&mut self.covariance, &mut self.weighing] {
            for j in 0..N {
                for i in 0..j {
                    let mean = 0.5 * (c[(i, j)] + c[(j, i)]);
                    fine &= in_bounds(mean);
                    (c[(i, j)], c[(j, i)]) = (mean, mean);
                }
                // What rounding has taken below nothing; not-a-number stays one.
                if c[(j, j)] < 0.0 {
                    c[(j, j)] = 0.0;
                }
                fine &= in_bounds(c[(j, j)]);
            }
        }
        self.anywhere_unless(fine);
    }

    /// The quicker half of it, where a step has kept the covariances symmetric by itself.
    pub(super) fn numbers(&mut self) {
        let diagonals = [&self.covariance, &self.weighing].map(|c| (0..N).map(move |k| c[(k, k)]));
        let fine = diagonals
            .into_iter()
            .flatten()
            .fold(true, |f, v| f & in_bounds(v));
        self.anywhere_unless(fine);
    }

    fn anywhere_unless(&mut self, fine: bool) {
        if !fine {
            // Beyond any use: say "anywhere" with independent errors instead of numbers that overflow.
            self.covariance = Covariance::identity() * MAX_VARIANCE;
            self.weighing = self.covariance;
            self.carried = Covariance::zeros();
        }
    }
}

/// Written so that not-a-number is out of bounds.
fn in_bounds(v: f64) -> bool {
    v.abs() <= MAX_VARIANCE
}

/// What a measurement has to do with the errors of a covariance.
struct Seen<const M: usize> {
    /// Covariance of the errors with the measurement.
    with: SMatrix<f64, N, M>,
    /// That of the measurement.
    spread: SMatrix<f64, M, M>,
}

impl<const M: usize> Seen<M> {
    fn of(h: &SMatrix<f64, M, N>, own: &SMatrix<f64, M, M>, p: &Covariance) -> Self {
        let mut with = SMatrix::<f64, N, M>::zeros();
        // Most of a measurement's errors are none of its business.
        for (m, mut column) in with.column_iter_mut().enumerate() {
            for (error, by) in h.row(m).iter().enumerate() {
                if *by != 0.0 {
                    column.axpy(*by, &p.column(error), 1.0);
                }
            }
        }
        let spread = h * with + own;
        Self { with, spread }
    }

    /// Squared Mahalanobis distance of the measurement; one beyond `gate` is the error, infinity for what is no number.
    fn within(&self, off: &SVector<f64, M>, gate: f64) -> Result<f64, f64> {
        // None for what rounding has made no covariance.
        let honest = self.spread.cholesky().ok_or(f64::INFINITY)?;
        let distance2 = off.dot(&honest.solve(off));
        // Written so that not-a-number is refused.
        if distance2 <= gate {
            return Ok(distance2);
        }
        Err(if distance2.is_nan() {
            f64::INFINITY
        } else {
            distance2
        })
    }

    /// The gain that leaves least of the errors of this covariance; infinity as the error for what is no covariance.
    fn gain(&self) -> Result<SMatrix<f64, N, M>, f64> {
        let spread = self.spread.cholesky().ok_or(f64::INFINITY)?;
        Ok(self.with * spread.inverse())
    }

    /// The covariance after the measurement, in Joseph's form written out: it holds for any gain.
    fn taken(&self, gain: &SMatrix<f64, N, M>, p: &mut Covariance) {
        let half = self.with - gain * self.spread * 0.5;
        for j in 0..N {
            for i in 0..=j {
                let mut less = 0.0;
                for m in 0..M {
                    less += gain[(i, m)] * half[(j, m)] + half[(i, m)] * gain[(j, m)];
                }
                let v = p[(i, j)] - less;
                (p[(i, j)], p[(j, i)]) = (v, v);
            }
        }
    }
}
