//! Orbital products in (any raster GDAL reads), one site out: elevation, ortho, slope, roughness in one metric frame.
