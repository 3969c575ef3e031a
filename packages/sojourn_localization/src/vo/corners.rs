//! Corners, spread over the image: Shi and Tomasi's measure (Good Features to Track, CVPR 1994), the best in each cell.

use super::image::GrayImage;

/// Half side of the window that the measure looks at, pixels.
const WINDOW: usize = 2;

/// A pixel that can be found again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corner {
    /// Column.
    pub u: usize,
    /// Row.
    pub v: usize,
    /// Smaller eigenvalue of the mean structure tensor, grey levels² per pixel².
    pub strength: f32,
}

/// The best `per_cell` corners of each square cell that are stronger than `least`, at least `border` pixels inside, in the
/// order of the cells.
#[must_use]
pub fn corners(
    image: &GrayImage,
    cell: usize,
    per_cell: usize,
    least: f32,
    border: usize,
) -> Vec<Corner> {
    let (w, h) = (image.width(), image.height());
    let border = border.max(WINDOW + 2);
    if w <= 2 * border || h <= 2 * border || cell == 0 {
        return Vec::new();
    }
    let strength = strengths(image);
    let mut out = Vec::new();
    let mut found: Vec<Corner> = Vec::new();
    for top in (border..h - border).step_by(cell) {
        for left in (border..w - border).step_by(cell) {
            found.clear();
            for v in top..(top + cell).min(h - border) {
                for u in left..(left + cell).min(w - border) {
                    let s = strength[v * w + u];
                    if s > least && is_peak(&strength, w, u, v) {
                        found.push(Corner { u, v, strength: s });
                    }
                }
            }
            found.sort_by(|a, b| b.strength.total_cmp(&a.strength));
            out.extend(found.iter().take(per_cell));
        }
    }
    out
}

/// Whether nothing in the 5 × 5 around is stronger; of equals the first counts.
fn is_peak(strength: &[f32], w: usize, u: usize, v: usize) -> bool {
    let k = v * w + u;
    let s = strength[k];
    (v - 2..=v + 2).all(|y| {
        (u - 2..=u + 2).all(|x| {
            let at = y * w + x;
            strength[at] < s || (at >= k && strength[at] <= s)
        })
    })
}

/// The smaller eigenvalue for every pixel; zero at the border.
fn strengths(image: &GrayImage) -> Vec<f32> {
    let (w, h) = (image.width(), image.height());
    let size = 2 * WINDOW + 1;
    let mut out = vec![0f32; w * h];
    // Products of the gradients, summed over the last rows of the window: a ring of rows and their running sum.
    let mut ring = vec![[0f32; 3]; size * w];
    let mut sum = vec![[0f32; 3]; w];
    let share = 1.0 / (size * size) as f32;
    for v in 1..h - 1 {
        let slot = v % size;
        let old = &mut ring[slot * w..(slot + 1) * w];
        let (up, here, down) = (
            image.row(0, v - 1, w),
            image.row(0, v, w),
            image.row(0, v + 1, w),
        );
        for u in 1..w - 1 {
            let gx = 0.5 * (f32::from(here[u + 1]) - f32::from(here[u - 1]));
            let gy = 0.5 * (f32::from(down[u]) - f32::from(up[u]));
            let new = [gx * gx, gx * gy, gy * gy];
            for c in 0..3 {
                sum[u][c] += new[c] - old[u][c];
            }
            old[u] = new;
        }
        if v < size {
            continue;
        }
        let centre = v - WINDOW;
        let mut acc = [0f32; 3];
        for (u, s) in sum.iter().enumerate().skip(1).take(w - 2) {
            for c in 0..3 {
                acc[c] += s[c];
            }
            if u > size {
                for c in 0..3 {
                    acc[c] -= sum[u - size][c];
                }
            }
            if u >= size {
                let [a, b, d] = acc.map(|x| x * share);
                let half = 0.5 * (a - d);
                out[centre * w + u - WINDOW] = 0.5 * (a + d) - (half * half + b * b).sqrt();
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corner_of_a_square_is_found_where_it_is_and_an_edge_is_none() {
        let (w, h) = (64, 48);
        let data = (0..w * h)
            .map(|k| if k % w >= 30 && k / w >= 20 { 200 } else { 50 })
            .collect();
        let image = GrayImage::new(w, h, data).unwrap();
        let found = corners(&image, 16, 1, 20.0, 5);
        assert!(!found.is_empty());
        for c in &found {
            assert!(
                c.u.abs_diff(30) <= 3 && c.v.abs_diff(20) <= 3,
                "only the corner, not the edges: {c:?}"
            );
        }
    }

    #[test]
    fn flat_and_tiny_images_have_none() {
        let flat = GrayImage::new(64, 48, vec![90; 64 * 48]).unwrap();
        assert!(corners(&flat, 16, 1, 1.0, 5).is_empty());
        let tiny = GrayImage::new(4, 4, vec![1; 16]).unwrap();
        assert!(corners(&tiny, 16, 1, 1.0, 5).is_empty());
    }
}
