//! Orbital products in (any raster GDAL reads), one site out: elevation, ortho, slope, roughness in one metric frame.
//!
//! [`import()`] reads an elevation model and, when there is one, an orbital image into a [`sojourn_core::site::Site`]. [`parse_place`]
//! and [`resolve`] turn what a person writes (`E,N`, `crs:X,Y`, `lonlat:LON,LAT`) into `map` metres. [`{write_geotiff, write_geotiffs}`]
//! puts copies beside the raw layers that other tools read.
//!
//! The `map` plane is a plane of true scale tangent at the centre of the raster: its axes are the raster's own axes,
//! and a metre on it is a metre on the ground at the centre. An equirectangular raster is stretched; that is undone
//! here.

mod error;
mod export;
mod georef;
mod import;
mod nested;
mod ortho;
mod place;
mod points;
mod read;

pub use error::SiteError;
pub use export::{write_geotiff, write_geotiffs};
pub use georef::reference_radius_m;
pub use import::{ImportRequest, import};
pub use nested::{Fit, Surroundings, surround};
pub use place::{Place, parse_place, resolve};
pub use points::{PointLayer, write_points};
