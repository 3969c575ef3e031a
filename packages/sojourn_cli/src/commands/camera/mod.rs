//! `sojourn camera`

pub mod check;
pub mod linearize;
pub mod render;

use clap::Subcommand;

/// `sojourn camera`
#[derive(Debug, Subcommand)]
pub enum CameraCommand {
    /// Takes stereo pairs of a world, with depth and class of every pixel, at one or more places of the sun.
    #[command(after_help = "Examples:\n  sojourn camera render --out images/\n  \
            sojourn camera render --sun 20,15 --sun 100,45 --sun 200,70 --cfa 0.08 --out images/\n  \
            sojourn camera render --dtm dtm.tif --at 120,80 --yaw 30 --camera config/cameras/m2020_navcam_left.yaml --out images/\n\n\
            Each sun gives sunN_left.png and sunN_right.png; pairs.png shows all of them at half their size, a row per sun; depth.png (16 bit, millimetres, 0 for none) and class.png tell what the left camera sees.")]
    Render(render::RenderArgs),
    /// Warps a raw rover image with a PDS3 label to its linear camera; with --like also measures against another's result.
    #[command(
        after_help = "Examples:\n  sojourn camera linearize RAW.IMG --out linear.png\n  \
            sojourn camera linearize 2n292280938effb100p0703l0m1.img --like 2n292280938rslb100p0703l0m1.img --json"
    )]
    Linearize(linearize::LinearizeArgs),
    /// Rectifies a stereo pair by its cameras' files and says how far the images lie off their common rows.
    #[command(
        after_help = "Examples:\n  sojourn camera check left.png right.png --left-camera left.yaml --right-camera right.yaml --out check.png\n  \
            sojourn camera check LEFT.IMG RIGHT.IMG --out check.png\n  \
            sojourn camera check sun1_left.png sun1_right.png --left-camera config/cameras/m2020_navcam_left.yaml --beside 0.424 --json\n\n\
            In the picture green crosses lie within half a pixel of their row, yellow ones within one and a half."
    )]
    Check(check::CheckArgs),
}
