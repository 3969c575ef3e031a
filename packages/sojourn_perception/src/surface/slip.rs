//! Slip to be expected on the ground that was seen.

use crate::config::SlipParams;
use sojourn_core::{
    CoreError,
    raster::Raster,
    rover::Rover,
    slip_forecast::{SlipForecast, SlipMemory, SlipPriors},
};
use std::path::Path;

/// Standard deviation of a measured slip; nothing is measured here.
const SLIP_NOISE: f64 = 0.1;

/// What is expected of slip: by class of ground where the table belongs to this rover, else by the rover's own model; corrected by
/// what earlier drives learned, where such a memory is named and there.
///
/// # Errors
/// [`CoreError`] that names the file and what is wrong with it, or says that the memory was learned over another model than the one
/// in use.
pub fn forecast(params: &SlipParams, rover: &Rover) -> Result<SlipForecast, CoreError> {
    let table = match params.priors_file.as_str() {
        "" => SlipPriors::shipped()?,
        file => SlipPriors::load(Path::new(file))?,
    };
    let own = SlipForecast::new(rover.slip, params.prior_sigma, SLIP_NOISE);
    let mut forecast = if table.rover == rover.name {
        own.with_priors(&table)
    } else {
        own
    };
    let memory = Path::new(&params.memory_file);
    if !params.memory_file.is_empty() && memory.exists() {
        forecast.recall(&SlipMemory::load(memory, &rover.name)?)?;
    }
    Ok(forecast)
}

/// Slip to be expected uphill on every cell and its standard deviation, shares of the way; by slope and class, and by the
/// rover's own model where no class is known. Not-a-number where the slope is unknown.
///
/// # Errors
/// [`CoreError`] when the layers do not lie over each other.
pub fn slip(
    slope: &Raster,
    class: Option<&Raster>,
    forecast: &SlipForecast,
) -> Result<[Raster; 2], CoreError> {
    let n = slope.cols() * slope.rows();
    let (mut mean, mut sigma) = (vec![f32::NAN; n], vec![f32::NAN; n]);
    for (i, s) in slope.data().iter().enumerate() {
        if s.is_finite() {
            let (col, row) = (i % slope.cols(), i / slope.cols());
            let code = class
                .map(|c| f64::from(c.get(col, row)))
                .filter(|c| c.is_finite());
            let e = forecast.forecast(-f64::from(*s), 1.0, code);
            (mean[i], sigma[i]) = (e.slip as f32, e.spread as f32);
        }
    }
    let raster = |data| {
        Raster::new(
            slope.cols(),
            slope.rows(),
            slope.resolution_m(),
            slope.origin_m(),
            data,
        )
    };
    Ok([raster(mean)?, raster(sigma)?])
}
