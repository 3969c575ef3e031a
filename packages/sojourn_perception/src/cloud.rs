//! Point clouds as `sensor_msgs/PointCloud2` carries them, from depth cameras and laser scanners alike.
//!
//! Any layout with 32-bit fields x, y and z is read, rows padded or not, organised or not, of either byte order. A point
//! with a coordinate that is not finite is no return and left out.

use sojourn_core::Stamp;
use thiserror::Error;

/// `sensor_msgs/PointField`: 32-bit floating point.
pub const FLOAT32: u8 = 7;
/// Points of a cloud at most.
pub const MAX_POINTS: usize = 4096 * 4096;
/// Coordinates beyond this are no return of any sensor of a rover, metres.
const MAX_COORDINATE_M: f32 = 1e4;

/// One field of a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Bytes from the begin of the point.
    pub offset: u32,
    /// Type as `sensor_msgs/PointField` numbers them.
    pub datatype: u8,
    /// Number of elements.
    pub count: u32,
}

/// The message without its header.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout<'a> {
    /// Rows; 1 for an unorganised cloud.
    pub height: u32,
    /// Points of a row.
    pub width: u32,
    /// What a point is made of.
    pub fields: &'a [Field],
    /// Whether numbers are big-endian.
    pub is_bigendian: bool,
    /// Bytes of a point.
    pub point_step: u32,
    /// Bytes of a row.
    pub row_step: u32,
    /// The points.
    pub data: &'a [u8],
}

/// Points in the frame of their sensor, metres.
#[derive(Clone, Debug, PartialEq)]
pub struct PointCloud {
    /// When they were taken.
    pub stamp: Stamp,
    /// The points, in the order of the message.
    pub points_m: Vec<[f32; 3]>,
    /// How many points of the message were no return.
    pub missing: usize,
}

/// Why a cloud was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CloudFault {
    /// No points.
    #[error("point cloud of {width} x {height} holds no point")]
    Empty {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// Too many points.
    #[error("point cloud of {width} x {height} holds more than {MAX_POINTS} points")]
    TooLarge {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
    },
    /// A coordinate is missing or of another type.
    #[error("point cloud's field {name} is {found}, expected one float32")]
    Field {
        /// The coordinate.
        name: &'static str,
        /// What there is.
        found: String,
    },
    /// A field does not lie inside the point.
    #[error("point cloud's field {name} begins at byte {offset} of a point of {point_step} bytes")]
    Offset {
        /// The coordinate.
        name: &'static str,
        /// Where it should begin.
        offset: u32,
        /// Size of a point.
        point_step: u32,
    },
    /// Rows or data have another size than the header says.
    #[error(
        "point cloud of {width} x {height} points of {point_step} bytes has row_step {row_step} and {bytes} bytes of data"
    )]
    Size {
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Bytes of a point.
        point_step: u32,
        /// Bytes of a row.
        row_step: u32,
        /// Bytes there are.
        bytes: usize,
    },
}

/// Reads the points of a message.
///
/// # Errors
/// [`CloudFault`] in one sentence when sizes, fields and data contradict each other.
pub fn read(stamp: Stamp, layout: &Layout<'_>) -> Result<PointCloud, CloudFault> {
    let (width, height) = (layout.width, layout.height);
    let count = (width as usize).saturating_mul(height as usize);
    if count == 0 {
        return Err(CloudFault::Empty { width, height });
    }
    if count > MAX_POINTS {
        return Err(CloudFault::TooLarge { width, height });
    }
    let mut offsets = [0usize; 3];
    for (offset, name) in offsets.iter_mut().zip(["x", "y", "z"]) {
        *offset = field(layout, name)?;
    }
    let (point, row) = (layout.point_step as usize, layout.row_step as usize);
    let last_row = point.saturating_mul(width as usize);
    let bytes = row
        .saturating_mul(height as usize - 1)
        .saturating_add(last_row);
    if row < last_row || layout.data.len() < bytes {
        return Err(CloudFault::Size {
            width,
            height,
            point_step: layout.point_step,
            row_step: layout.row_step,
            bytes: layout.data.len(),
        });
    }
    let number = |at: usize| {
        let bytes = layout.data.get(at..at + 4)?;
        let bytes: [u8; 4] = bytes.try_into().ok()?;
        let value = if layout.is_bigendian {
            f32::from_be_bytes(bytes)
        } else {
            f32::from_le_bytes(bytes)
        };
        (value.abs() <= MAX_COORDINATE_M).then_some(value)
    };
    let mut points_m = Vec::with_capacity(count);
    for j in 0..height as usize {
        for i in 0..width as usize {
            let at = j * row + i * point;
            let [x, y, z] = offsets.map(|o| number(at + o));
            if let (Some(x), Some(y), Some(z)) = (x, y, z) {
                points_m.push([x, y, z]);
            }
        }
    }
    Ok(PointCloud {
        stamp,
        missing: count - points_m.len(),
        points_m,
    })
}

/// Where a coordinate begins inside a point.
fn field(layout: &Layout<'_>, name: &'static str) -> Result<usize, CloudFault> {
    let found = layout.fields.iter().find(|f| f.name == name);
    let wrong = |found: String| CloudFault::Field { name, found };
    let f = found.ok_or_else(|| wrong("missing".into()))?;
    // Some drivers write a count of 0 where they mean 1.
    if f.datatype != FLOAT32 || f.count > 1 {
        let (kind, count) = (f.datatype, f.count);
        return Err(wrong(format!("of datatype {kind} and count {count}")));
    }
    if f.offset
        .checked_add(4)
        .is_none_or(|end| end > layout.point_step)
    {
        return Err(CloudFault::Offset {
            name,
            offset: f.offset,
            point_step: layout.point_step,
        });
    }
    Ok(f.offset as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(offsets: [u32; 3]) -> Vec<Field> {
        let one = |(name, offset): (&str, u32)| Field {
            name: name.into(),
            offset,
            datatype: FLOAT32,
            count: 1,
        };
        ["x", "y", "z"].into_iter().zip(offsets).map(one).collect()
    }

    fn packed(
        points: &[[f32; 3]],
        step: usize,
        row_pad: usize,
        width: usize,
        big: bool,
    ) -> Vec<u8> {
        let mut data = Vec::new();
        for row in points.chunks(width) {
            for p in row {
                let begin = data.len();
                for v in p {
                    data.extend(if big {
                        v.to_be_bytes()
                    } else {
                        v.to_le_bytes()
                    });
                }
                data.resize(begin + step, 0xAA);
            }
            data.resize(data.len() + row_pad, 0x55);
        }
        data
    }

    #[test]
    fn organised_padded_and_big_endian_clouds_are_read() {
        let points = [
            [1.0, 2.0, 3.0],
            [f32::NAN, 0.0, 1.0],
            [4.0, 5.0, 6.0],
            [7.0, 8.0, 1e9],
        ];
        for big in [false, true] {
            let data = packed(&points, 20, 12, 2, big);
            let layout = Layout {
                height: 2,
                width: 2,
                fields: &fields([0, 4, 8]),
                is_bigendian: big,
                point_step: 20,
                row_step: 52,
                data: &data,
            };
            let cloud = read(Stamp(3), &layout).unwrap();
            assert_eq!(cloud.points_m, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
            assert_eq!((cloud.stamp, cloud.missing), (Stamp(3), 2));
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused_in_a_sentence() {
        let good = fields([0, 4, 8]);
        let data = vec![0u8; 48];
        let layout = Layout {
            height: 1,
            width: 4,
            fields: &good,
            is_bigendian: false,
            point_step: 12,
            row_step: 48,
            data: &data,
        };
        assert!(read(Stamp(0), &layout).is_ok());
        let said = |l: Layout<'_>| read(Stamp(0), &l).unwrap_err().to_string();
        assert!(
            said(Layout {
                width: 5,
                ..layout.clone()
            })
            .contains("48 bytes of data")
        );
        assert!(
            said(Layout {
                row_step: 40,
                ..layout.clone()
            })
            .contains("row_step 40")
        );
        assert!(
            said(Layout {
                width: 0,
                ..layout.clone()
            })
            .contains("no point")
        );
        assert!(
            said(Layout {
                width: 70_000,
                height: 70_000,
                ..layout.clone()
            })
            .contains("more than")
        );
        assert!(
            said(Layout {
                fields: &good[..2],
                ..layout.clone()
            })
            .contains("field z is missing")
        );
        let mut double = good.clone();
        double[1].datatype = 8;
        assert!(
            said(Layout {
                fields: &double,
                ..layout.clone()
            })
            .contains("field y is of datatype 8")
        );
        let outside = fields([0, 4, 10]);
        assert!(
            said(Layout {
                fields: &outside,
                ..layout
            })
            .contains("byte 10")
        );
    }

    proptest! {
        /// Whatever a header says of whatever bytes: a cloud within its bounds, or a sentence.
        #[test]
        fn no_message_makes_it_panic(
            width in prop_oneof![0u32..9, any::<u32>()], height in prop_oneof![0u32..9, any::<u32>()],
            point_step in prop_oneof![0u32..40, any::<u32>()], row_step in prop_oneof![0u32..200, any::<u32>()],
            offsets in prop::array::uniform3(prop_oneof![0u32..40, any::<u32>()]),
            data in prop::collection::vec(any::<u8>(), 0..600), is_bigendian: bool,
        ) {
            let fields = fields(offsets);
            let layout = Layout { height, width, fields: &fields, is_bigendian, point_step, row_step, data: &data };
            if let Ok(cloud) = read(Stamp(0), &layout) {
                prop_assert_eq!(cloud.points_m.len() + cloud.missing, (width * height) as usize);
                prop_assert!(cloud.points_m.iter().flatten().all(|v| v.is_finite()));
            }
        }

        /// What was packed comes back, whatever the order of the fields.
        #[test]
        fn what_was_packed_comes_back(points in prop::collection::vec(prop::array::uniform3(-50.0f32..50.0), 1..60)) {
            let data = packed(&points, 16, 0, points.len(), false);
            let mut fields = fields([0, 4, 8]);
            fields.reverse();
            let width = points.len() as u32;
            let layout = Layout { height: 1, width, fields: &fields, is_bigendian: false, point_step: 16, row_step: 16 * width, data: &data };
            prop_assert_eq!(read(Stamp(0), &layout).unwrap().points_m, points);
        }
    }
}
