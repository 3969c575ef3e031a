//! Tiles that were made stay until there are too many; the ones looked at last are found in a few nanoseconds.

use super::tile::Tile;
use std::{
    cell::RefCell,
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Number of a tile, east and north.
pub type TileIndex = (i32, i32);
type Slot = Arc<OnceLock<Arc<Tile>>>;

/// Keeps at most `capacity` tiles; the one that was not asked for longest goes first. Which tiles are kept changes
/// nothing but time: a tile that is made again has the same bits.
#[derive(Debug)]
pub struct TileCache {
    /// Tells this cache's tiles from another's in the threads' own memory.
    id: u64,
    capacity: usize,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    clock: u64,
    by_index: BTreeMap<TileIndex, (Slot, u64)>,
}

/// What a thread looked at last.
struct Near {
    cache: u64,
    index: TileIndex,
    tile: Arc<Tile>,
}

const NOTHING: Option<Near> = None;

thread_local! {
    /// Four tiles per thread, chosen by the parity of the index: four neighbours around a corner never displace one another.
    static NEAR: RefCell<[Option<Near>; 4]> = const { RefCell::new([NOTHING; 4]) };
}

impl TileCache {
    /// An empty cache for at least four tiles.
    pub fn new(capacity: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            capacity: capacity.max(4),
            slots: Mutex::new(Slots::default()),
        }
    }

    /// The tile, made by `make` when it is not there. Two threads that ask for the same tile wait for one of them.
    pub fn get(&self, index: TileIndex, make: impl FnOnce() -> Tile) -> Arc<Tile> {
        let slot = self.slot(index);
        Arc::clone(slot.get_or_init(|| Arc::new(make())))
    }

    /// What `look` finds in a tile; a few nanoseconds when this thread saw the tile lately.
    pub fn with<T>(
        &self,
        index: TileIndex,
        make: impl FnOnce() -> Tile,
        look: impl Fn(&Tile) -> T,
    ) -> T {
        let place = (index.0 & 1) as usize | ((index.1 & 1) as usize) << 1;
        let hit = |n: &Near| n.cache == self.id && n.index == index;
        let seen = NEAR.with_borrow(|near| {
            let near = near[place].as_ref().filter(|n| hit(n))?;
            Some(look(&near.tile))
        });
        if let Some(seen) = seen {
            return seen;
        }
        // Not under the borrow: making a tile may look at another world's tiles.
        let tile = self.get(index, make);
        NEAR.with_borrow_mut(|near| {
            near[place] = Some(Near {
                cache: self.id,
                index,
                tile: Arc::clone(&tile),
            });
        });
        look(&tile)
    }

    /// Most tiles that are kept.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of tiles kept now.
    pub fn len(&self) -> usize {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.by_index.len()
    }

    fn slot(&self, index: TileIndex) -> Slot {
        // A thread that panicked while it held the lock left a whole map behind: nothing in here panics half-way.
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.clock += 1;
        let now = slots.clock;
        if let Some((slot, used)) = slots.by_index.get_mut(&index) {
            *used = now;
            return Arc::clone(slot);
        }
        if slots.by_index.len() >= self.capacity {
            let oldest = slots.by_index.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(i, _)| *i) {
                slots.by_index.remove(&oldest);
            }
        }
        let slot = Slot::default();
        slots.by_index.insert(index, (Arc::clone(&slot), now));
        slot
    }
}
