//! Reads the few message types that the report needs out of a recording, without ROS: CDR, the wire form of DDS.

use super::ReportError;

/// Longest sequence or string that is believed.
const MAX_LENGTH: usize = 1 << 24;

/// A reader over one message.
pub struct Cdr<'a> {
    bytes: &'a [u8],
    position: usize,
    little: bool,
}

impl<'a> Cdr<'a> {
    /// Begins after the four bytes of the encapsulation header.
    ///
    /// # Errors
    /// [`ReportError::Message`] when the header is not that of plain CDR.
    pub fn new(bytes: &'a [u8]) -> Result<Self, ReportError> {
        match bytes {
            [0, order @ (0 | 1), _, _, rest @ ..] => Ok(Self {
                bytes: rest,
                position: 0,
                little: *order == 1,
            }),
            _ => Err(ReportError::Message("does not begin as CDR does")),
        }
    }

    fn take<const N: usize>(&mut self, align: usize) -> Result<[u8; N], ReportError> {
        let begin = self.position.next_multiple_of(align);
        let mut out: [u8; N] = self
            .bytes
            .get(begin..begin.saturating_add(N))
            .and_then(|b| b.try_into().ok())
            .ok_or(ReportError::Message("ends too early"))?;
        self.position = begin + N;
        if !self.little {
            out.reverse();
        }
        Ok(out)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, ReportError> {
        Ok(self.take::<1>(1)?[0])
    }

    /// A truth value.
    pub fn bool(&mut self) -> Result<bool, ReportError> {
        Ok(self.u8()? != 0)
    }

    /// Four bytes, unsigned.
    pub fn u32(&mut self) -> Result<u32, ReportError> {
        Ok(u32::from_le_bytes(self.take(4)?))
    }

    /// Four bytes, signed.
    pub fn i32(&mut self) -> Result<i32, ReportError> {
        Ok(i32::from_le_bytes(self.take(4)?))
    }

    /// Single precision.
    pub fn f32(&mut self) -> Result<f32, ReportError> {
        Ok(f32::from_le_bytes(self.take(4)?))
    }

    /// Double precision.
    pub fn f64(&mut self) -> Result<f64, ReportError> {
        Ok(f64::from_le_bytes(self.take(8)?))
    }

    /// Several doubles.
    pub fn f64s<const N: usize>(&mut self) -> Result<[f64; N], ReportError> {
        let mut out = [0.0; N];
        for v in &mut out {
            *v = self.f64()?;
        }
        Ok(out)
    }

    /// The length of a sequence.
    pub fn length(&mut self) -> Result<usize, ReportError> {
        let n = self.u32()? as usize;
        if n > MAX_LENGTH {
            return Err(ReportError::Message("holds a sequence of absurd length"));
        }
        Ok(n)
    }

    /// A sequence of bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], ReportError> {
        let n = self.u32()? as usize;
        let bytes = self
            .bytes
            .get(self.position..self.position.saturating_add(n))
            .ok_or(ReportError::Message("ends too early"))?;
        self.position += n;
        Ok(bytes)
    }

    /// A string.
    pub fn string(&mut self) -> Result<String, ReportError> {
        let n = self.length()?;
        let bytes = self
            .bytes
            .get(self.position..self.position.saturating_add(n))
            .ok_or(ReportError::Message("ends too early"))?;
        self.position += n;
        // The length counts a final zero byte.
        let text = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// `std_msgs/Header`: seconds and frame.
    pub fn header(&mut self) -> Result<(f64, String), ReportError> {
        let (sec, nanosec) = (self.i32()?, self.u32()?);
        Ok((f64::from(sec) + f64::from(nanosec) * 1e-9, self.string()?))
    }
}

/// `nav_msgs/Odometry`, the parts that are drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Odometry {
    /// Seconds.
    pub time_s: f64,
    /// Position in the frame of the header, metres.
    pub position_m: [f64; 3],
    /// Orientation x, y, z, w.
    pub orientation: [f64; 4],
    /// Forward speed of the child frame, m/s.
    pub forward_mps: f64,
}

/// Reads `nav_msgs/Odometry`.
///
/// # Errors
/// [`ReportError::Message`].
pub fn odometry(bytes: &[u8]) -> Result<Odometry, ReportError> {
    let mut r = Cdr::new(bytes)?;
    let (time_s, _frame) = r.header()?;
    let _child = r.string()?;
    let position_m = r.f64s::<3>()?;
    let orientation = r.f64s::<4>()?;
    let _covariance = r.f64s::<36>()?;
    let forward_mps = r.f64()?;
    Ok(Odometry {
        time_s,
        position_m,
        orientation,
        forward_mps,
    })
}

/// Reads `geometry_msgs/Vector3Stamped`: seconds and the vector.
///
/// # Errors
/// [`ReportError::Message`].
pub fn vector3(bytes: &[u8]) -> Result<(f64, [f64; 3]), ReportError> {
    let mut r = Cdr::new(bytes)?;
    let (time_s, _frame) = r.header()?;
    Ok((time_s, r.f64s()?))
}

/// One transform of `tf2_msgs/TFMessage`: parent, child, translation.
pub type Transform = (String, String, [f64; 3], [f64; 4]);

/// Reads `tf2_msgs/TFMessage`.
///
/// # Errors
/// [`ReportError::Message`].
pub fn transforms(bytes: &[u8]) -> Result<Vec<Transform>, ReportError> {
    let mut r = Cdr::new(bytes)?;
    let mut out = Vec::new();
    for _ in 0..r.length()? {
        let (_time_s, parent) = r.header()?;
        out.push((parent, r.string()?, r.f64s()?, r.f64s()?));
    }
    Ok(out)
}

/// One path that AutoNav weighed.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Curvatures of its two arcs, 1/m.
    pub curvature: [f64; 2],
    /// Whether it was taken.
    pub chosen: bool,
    /// Whether it was safe.
    pub safe: bool,
    /// Why not.
    pub reason: String,
}

/// `sojourn_msgs/AutonavStatus`, the parts that are told.
#[derive(Clone, Debug, PartialEq)]
pub struct AutonavStatus {
    /// Seconds.
    pub time_s: f64,
    /// State as in the message definition; 3 is STOPPED.
    pub state: u8,
    /// Why.
    pub reason: String,
    /// Stops so far.
    pub stops: u32,
    /// Paths of the newest decision.
    pub candidates: Vec<Candidate>,
}

/// Reads `sojourn_msgs/AutonavStatus`.
///
/// # Errors
/// [`ReportError::Message`].
pub fn autonav_status(bytes: &[u8]) -> Result<AutonavStatus, ReportError> {
    let mut r = Cdr::new(bytes)?;
    let (time_s, _frame) = r.header()?;
    let (state, reason, stops) = (r.u8()?, r.string()?, r.u32()?);
    let mut candidates = Vec::new();
    for _ in 0..r.length()? {
        let curvature = r.f64s()?;
        for _ in 0..r.length()? {
            let _point = [r.f32()?, r.f32()?, r.f32()?];
        }
        let (chosen, safe, reason) = (r.bool()?, r.bool()?, r.string()?);
        let _cost_tilt_clearance = r.f64s::<3>()?;
        candidates.push(Candidate {
            curvature,
            chosen,
            safe,
            reason,
        });
    }
    Ok(AutonavStatus {
        time_s,
        state,
        reason,
        stops,
        candidates,
    })
}

/// Reads the node's name out of `sojourn_msgs/Heartbeat`.
///
/// # Errors
/// [`ReportError::Message`].
pub fn heartbeat_node(bytes: &[u8]) -> Result<String, ReportError> {
    let mut r = Cdr::new(bytes)?;
    r.header()?;
    r.string()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Writes CDR for tests.
    #[derive(Default)]
    pub(crate) struct Writer(Vec<u8>);
    impl Writer {
        fn pad(&mut self, align: usize) {
            self.0.resize(self.0.len().next_multiple_of(align), 0);
        }
        pub(crate) fn u8(mut self, v: u8) -> Self {
            self.0.push(v);
            self
        }
        pub(crate) fn u32(mut self, v: u32) -> Self {
            self.pad(4);
            self.0.extend(v.to_le_bytes());
            self
        }
        pub(crate) fn f64(mut self, v: f64) -> Self {
            self.pad(8);
            self.0.extend(v.to_le_bytes());
            self
        }
        pub(crate) fn text(self, v: &str) -> Self {
            let mut w = self.u32(v.len() as u32 + 1);
            w.0.extend(v.as_bytes());
            w.0.push(0);
            w
        }
        pub(crate) fn header(self, sec: u32, frame: &str) -> Self {
            self.u32(sec).u32(500_000_000).text(frame)
        }
        pub(crate) fn done(self) -> Vec<u8> {
            [vec![0, 1, 0, 0], self.0].concat()
        }
    }

    #[test]
    fn odometry_is_read_with_its_padding() {
        let mut w = Writer::default().header(3, "map").text("base_link");
        for i in 0..7 {
            w = w.f64(f64::from(i));
        }
        for _ in 0..36 {
            w = w.f64(0.0);
        }
        let bytes = w.f64(0.04).done();
        let o = odometry(&bytes).unwrap();
        assert!((o.time_s - 3.5).abs() < 1e-9);
        assert_eq!(o.position_m, [0.0, 1.0, 2.0]);
        assert_eq!(o.orientation, [3.0, 4.0, 5.0, 6.0]);
        assert!((o.forward_mps - 0.04).abs() < 1e-12);
        assert!(odometry(&bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn autonav_status_is_read_with_its_candidates() {
        let bytes = Writer::default()
            .header(1, "odom")
            .u8(3)
            .text("no safe path")
            .u32(2)
            .u32(1)
            .f64(0.1)
            .f64(-0.1)
            .u32(0)
            .u8(0)
            .u8(0)
            .text("tilt")
            .f64(1.0)
            .f64(2.0)
            .f64(3.0)
            .done();
        let s = autonav_status(&bytes).unwrap();
        assert_eq!(
            (s.state, s.stops, s.reason.as_str()),
            (3, 2, "no safe path")
        );
        assert_eq!(s.candidates[0].reason, "tilt");
    }

    proptest! {
        #[test]
        fn rubbish_is_an_error_and_no_more(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut framed = vec![0, 1, 0, 0];
            framed.extend(&bytes);
            let _ = (odometry(&framed), autonav_status(&framed), transforms(&framed), heartbeat_node(&bytes));
        }
    }
}
