//! A trial of the simulator as a plain folder, for [`super::folder`].

use super::folder;
use crate::pixels::grey8;
use anyhow::Context;
use nalgebra::Isometry3;
use sojourn_core::{Stamp, files::write_atomic};
use sojourn_localization::{
    trajectory::Trajectory,
    vo::{GrayImage, StereoPair},
};
use sojourn_sweep::odometry_trial::PairObserver;
use sojourn_twin::sim::SimOutput;
use std::path::{Path, PathBuf};

/// Gathers what a folder holds; images are written as they come, tables at the end.
pub struct FolderWriter {
    dir: PathBuf,
    pairs: String,
    imu: String,
    wheels: String,
    truth: Trajectory,
    camera: Option<String>,
    count: usize,
    failed: Option<anyhow::Error>,
}

impl FolderWriter {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        for eye in ["left", "right"] {
            let folder = dir.join(eye);
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("{}: cannot be made", folder.display()))?;
        }
        let all: Vec<&str> = folder::PAIRS.into_iter().chain(folder::PAIR_POSE).collect();
        Ok(Self {
            dir: dir.to_path_buf(),
            pairs: all.join(",") + "\n",
            imu: folder::IMU.join(",") + "\n",
            wheels: folder::wheels_header().join(",") + "\n",
            truth: Trajectory::default(),
            camera: None,
            count: 0,
            failed: None,
        })
    }

    /// Writes the tables.
    ///
    /// # Errors
    /// What went wrong while the images or the tables were written.
    pub fn finish(self) -> anyhow::Result<()> {
        if let Some(why) = self.failed {
            return Err(why);
        }
        for (name, words) in [
            ("timestamps.csv", &self.pairs),
            ("imu.csv", &self.imu),
            ("wheels.csv", &self.wheels),
            ("truth.tum", &self.truth.to_tum()),
            ("camera.yaml", &self.camera.unwrap_or_default()),
        ] {
            write_atomic(&self.dir.join(name), words.as_bytes())?;
        }
        Ok(())
    }

    fn write(&mut self, stamp: Stamp, pair: &StereoPair) -> anyhow::Result<()> {
        let names = ["left", "right"].map(|eye| format!("{eye}/{:06}.png", self.count));
        for (name, image) in names.iter().zip([&pair.left, &pair.right]) {
            write_atomic(&self.dir.join(name), &png(image)?)?;
        }
        let (c, mount) = (&pair.camera.pinhole, &pair.base_link_from_navcam);
        let (t, q) = (mount.translation.vector, mount.rotation.coords);
        self.pairs += &format!(
            "{:.9},{},{},{},{},{},{},{},{},{}\n",
            stamp.as_secs(),
            names[0],
            names[1],
            t.x,
            t.y,
            t.z,
            q.x,
            q.y,
            q.z,
            q.w
        );
        self.camera.get_or_insert_with(|| {
            format!(
                "width: {}\nheight: {}\nfx: {}\nfy: {}\ncx: {}\ncy: {}\nbaseline_m: {}\nbase_link_from_left:\n  \
                 position_m: [{}, {}, {}]\n  quaternion_xyzw: [{}, {}, {}, {}]\n",
                c.width,
                c.height,
                c.fx,
                c.fy,
                c.cx,
                c.cy,
                pair.camera.baseline_m,
                t.x,
                t.y,
                t.z,
                q.x,
                q.y,
                q.z,
                q.w
            )
        });
        self.count += 1;
        Ok(())
    }
}

fn png(image: &GrayImage) -> anyhow::Result<Vec<u8>> {
    let data: Vec<u8> = (0..image.height())
        .flat_map(|v| image.row(0, v, image.width()).iter().copied())
        .collect();
    grey8(image.width(), image.height(), &data)
}

fn row(stamp: Stamp, values: &mut dyn Iterator<Item = f64>) -> String {
    let words: Vec<String> = values.map(|v| v.to_string()).collect();
    format!("{:.9},{}\n", stamp.as_secs(), words.join(","))
}

impl PairObserver for FolderWriter {
    fn pair(&mut self, stamp: Stamp, pair: &StereoPair, _: &Isometry3<f64>) {
        if self.failed.is_none()
            && let Err(why) = self.write(stamp, pair)
        {
            self.failed = Some(why);
        }
    }

    fn tick(&mut self, now: Stamp, out: &SimOutput) {
        for s in &out.imu {
            let values = s.gyro_radps.into_iter().chain(s.accel_mps2);
            self.imu += &row(s.stamp, &mut values.into_iter());
        }
        let w = &out.wheels;
        let values = w
            .position_rad
            .into_iter()
            .chain(w.velocity_radps)
            .chain(w.steer_rad);
        self.wheels += &row(now, &mut values.into_iter());
        self.truth
            .push(now.as_secs(), &out.truth.map_from_base_link.iso);
    }
}

/// Several that see the same trial.
pub struct Both<'a>(pub Vec<&'a mut dyn PairObserver>);

impl PairObserver for Both<'_> {
    fn pair(&mut self, stamp: Stamp, pair: &StereoPair, map_from_base_link: &Isometry3<f64>) {
        for one in &mut self.0 {
            one.pair(stamp, pair, map_from_base_link);
        }
    }

    fn tick(&mut self, now: Stamp, out: &SimOutput) {
        for one in &mut self.0 {
            one.tick(now, out);
        }
    }
}
