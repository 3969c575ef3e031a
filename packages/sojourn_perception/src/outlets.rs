//! Where the grid and what is worked out from it go (feature `ros`).

use crate::{
    Config, Output, TerrainGrid, classes,
    layers::{Abilities, derive},
    ripples::{self, Ripples},
    rocks::{self, Rocks},
    science::{Known, Wants, Watcher},
    stereo::GreyImage,
    surface::{self, View},
    wire,
};
use anyhow::Context;
use r2r::grid_map_msgs::msg::GridMap;
use r2r::sensor_msgs::msg::PointCloud2;
use r2r::sojourn_msgs::msg::ScienceTarget;
use r2r::visualization_msgs::msg::MarkerArray;
use sojourn_core::{Stamp, rover::Rover, slip_forecast::SlipForecast, topics};
use sojourn_ros::{NodeKit, ros::publisher::Publisher};
use std::{collections::VecDeque, path::Path, sync::Arc};

/// Images that wait for their grid at most.
const MAX_IMAGES: usize = 12;

/// The publishers, with what they need to know.
pub struct Outlets {
    grid: Publisher<GridMap>,
    layers: Publisher<GridMap>,
    rocks: Publisher<PointCloud2>,
    rock_markers: Publisher<MarkerArray>,
    science: Option<Science>,
    abilities: Abilities,
    forecast: SlipForecast,
    // What was found when ripples were looked for last, and the stamp of that grid.
    ripples: Option<(Stamp, Vec<Ripples>)>,
    config: Config,
}

/// Targets for the science team, and the images that they are looked for in.
struct Science {
    publisher: Publisher<ScienceTarget>,
    watcher: Watcher,
    // With their colours, where they have any.
    images: VecDeque<(GreyImage, Option<Vec<u8>>)>,
}

/// What a grid holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// Its rocks.
    pub rocks: Rocks,
    /// Ripples of its windows.
    pub ripples: Vec<Ripples>,
    /// Targets of its newest image, when they are looked for and the image is there.
    pub targets: Option<usize>,
}

impl Outlets {
    /// Publishers of a node.
    ///
    /// # Errors
    /// One sentence: no publisher could be made, or the table or the memory of slip cannot be used.
    pub fn new<T: Send + 'static>(
        kit: &mut NodeKit<T>,
        config: &Config,
        rover: &Rover,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            grid: kit.publisher(&topics::TERRAIN_GRID)?,
            layers: kit.publisher(&topics::TERRAIN_LAYERS)?,
            rocks: kit.publisher(&topics::ROCKS)?,
            rock_markers: kit.publisher(&topics::ROCK_MARKERS)?,
            science: science(kit, config)?,
            abilities: Abilities::of(rover),
            forecast: surface::forecast(&config.params.slip, rover)
                .context("parameters slip.priors_file, slip.memory_file")?,
            ripples: None,
            config: config.clone(),
        })
    }

    /// Whether the left image is needed here.
    #[must_use]
    pub fn wants_images(&self) -> bool {
        self.science.is_some()
    }

    /// The left image, and its colours (three bytes a pixel) where it has any; it waits for the grid that its depth goes into.
    pub fn image(&mut self, image: GreyImage, rgb: Option<Vec<u8>>) {
        if let Some(science) = &mut self.science {
            if science.images.len() >= MAX_IMAGES {
                science.images.pop_front();
            }
            science.images.push_back((image, rgb));
        }
    }

    /// Publishes the targets of the newest view whose image is there.
    fn targets(&mut self, views: &[Arc<View>], known: Known<'_>) -> anyhow::Result<Option<usize>> {
        let Some(science) = &mut self.science else {
            return Ok(None);
        };
        let of = |view: &Arc<View>| {
            let stamp = view.image.stamp;
            let at = science.images.iter().position(|(i, _)| i.stamp == stamp)?;
            Some((at, view.clone()))
        };
        let Some((at, view)) = views.iter().rev().find_map(of) else {
            return Ok(None);
        };
        // Older images have lost their turn.
        let Some((image, rgb)) = science.images.drain(..=at).next_back() else {
            return Ok(None);
        };
        let grey = classes::GreyImage {
            width: image.width,
            height: image.height,
            data: &image.pixels,
        };
        let known = Known {
            rgb: rgb.as_deref(),
            ..known
        };
        let found = science.watcher.look(&grey, &view, known);
        for m in wire::targets_to_msgs(image.stamp, &found, science.watcher.wants()) {
            science.publisher.publish(&m)?;
        }
        Ok(Some(found.len()))
    }

    /// Publishes a grid with its rocks and targets; its layers when somebody listens.
    ///
    /// # Errors
    /// One sentence when a message cannot be sent.
    pub fn publish(&mut self, grid: &TerrainGrid, out: &Output) -> anyhow::Result<Found> {
        let p = &self.config.params;
        let derived = derive(grid, &self.abilities, &p.layers)?;
        let classes = out.classes.as_ref();
        self.grid
            .publish(&wire::grid_to_msg(grid, &derived, classes))?;
        let is_fresh = |since: Stamp| {
            let since_s = grid.stamp.since(since);
            since_s >= 0.0 && since_s < p.ripples.every_s
        };
        // They change slowly, and looking takes longer than an update of the grid.
        let ripples = match self.ripples.take().filter(|(since, _)| is_fresh(*since)) {
            Some(known) => known,
            None => {
                let found = ripples::find(grid, out.texture.as_ref(), &p.ripples);
                (grid.stamp, found)
            }
        };
        let ripples = &self.ripples.insert(ripples).1;
        if self.layers.subscribers() > 0 {
            let over = ripples::layers(grid, ripples, &p.ripples)?;
            let slip = surface::slip(&derived.slope, classes.map(|c| &c.class), &self.forecast)?;
            let more = wire::MoreLayers {
                derived: &derived,
                ripples: &over,
                slip: &slip,
                classes,
            };
            self.layers.publish(&wire::layers_to_msg(grid, &more))?;
        }
        let rocks = rocks::find(grid, &p.rocks);
        self.rocks
            .publish(&wire::rocks_to_msg(grid.stamp, &rocks))?;
        self.rock_markers
            .publish(&wire::rocks_to_markers(grid, &rocks))?;
        let known = Known {
            rocks: &rocks.rocks,
            class: classes.map(|c| &c.class),
            rgb: None,
        };
        let ripples = ripples.clone();
        let targets = self.targets(&out.views, known)?;
        Ok(Found {
            rocks,
            ripples,
            targets,
        })
    }
}

/// The publisher of targets, where somebody wants them.
fn science<T: Send + 'static>(
    kit: &mut NodeKit<T>,
    config: &Config,
) -> anyhow::Result<Option<Science>> {
    let wants = match config.params.science.wants.as_str() {
        "" => return Ok(None),
        "shipped" => Wants::shipped()?,
        file => Wants::load(Path::new(file)).context("parameter science.wants")?,
    };
    Ok(Some(Science {
        publisher: kit.publisher(&topics::SCIENCE_TARGETS)?,
        watcher: Watcher::new(wants)?,
        images: VecDeque::new(),
    }))
}

/// Ripples in words.
#[must_use]
pub fn in_words(found: &[Ripples]) -> String {
    ripples::typical(found).map_or_else(
        || "none".into(),
        |r| {
            format!(
                "{:.2} m from crest to crest, {:.2} m high, across {:.0} deg in odom; {} windows, {} of them only with the image",
                r.wavelength_m,
                r.height_m,
                r.across_rad.to_degrees(),
                found.len(),
                found.iter().filter(|r| r.by_image).count()
            )
        },
    )
}
