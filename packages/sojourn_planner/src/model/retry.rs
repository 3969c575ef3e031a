//! When a request is sent again, and after how long: the rules of the Messages API's own clients.

use super::config::HttpLimits;

/// What came of an attempt that gave no answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Failure {
    /// HTTP status; `None` when no answer came at all.
    pub status: Option<u16>,
    /// Header `x-should-retry`.
    pub should_retry: Option<bool>,
    /// Header `retry-after-ms`, seconds.
    pub after_ms_s: Option<f64>,
    /// Header `retry-after`, seconds; an HTTP date counts from the answer's own time.
    pub after_s: Option<f64>,
}

/// The pause before the next attempt in seconds, or `None` when it would be of no use. `attempt` counts from 0,
/// `jitter` is 0 to 1.
#[must_use]
pub fn pause_s(failure: &Failure, attempt: u32, jitter: f64, limits: &HttpLimits) -> Option<f64> {
    if attempt >= limits.retries {
        return None;
    }
    let again = failure.should_retry.unwrap_or(match failure.status {
        None => true,
        Some(408 | 409) => true,
        // Without a word on when, the limit is one of money and stays.
        Some(429) => failure.after_s.is_some() || failure.after_ms_s.is_some(),
        Some(status) => status >= 500,
    });
    if !again {
        return None;
    }
    let asked = failure
        .after_ms_s
        .or(failure.after_s)
        .filter(|s| s.is_finite() && *s >= 0.0);
    match asked {
        // A service that asks for an hour is as good as gone.
        Some(s) => (s <= limits.longest_asked_pause_s).then_some(s),
        None => {
            let own = limits.first_pause_s * 2f64.powi(attempt.min(16) as i32);
            Some(own.min(limits.longest_pause_s) * (1.0 - 0.25 * jitter.clamp(0.0, 1.0)))
        }
    }
}

/// The value of `retry-after`: seconds, or an HTTP date against the `date` of the same answer.
#[must_use]
pub fn after_s(value: &str, date: Option<&str>) -> Option<f64> {
    if let Ok(s) = value.trim().parse::<f64>() {
        return (s.is_finite() && s >= 0.0).then_some(s);
    }
    let then = httpdate::parse_http_date(value.trim()).ok()?;
    let now = httpdate::parse_http_date(date?.trim()).ok()?;
    Some(then.duration_since(now).map_or(0.0, |d| d.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelConfig;

    #[test]
    fn the_rules_are_kept() {
        let l = ModelConfig::shipped().unwrap().http;
        let f = |status: Option<u16>| Failure {
            status,
            ..Failure::default()
        };
        for status in [400, 401, 402, 403, 404, 413, 429] {
            assert_eq!(pause_s(&f(Some(status)), 0, 0.0, &l), None, "{status}");
        }
        for status in [408, 409, 500, 504, 529] {
            assert_eq!(pause_s(&f(Some(status)), 0, 0.0, &l), Some(0.5), "{status}");
        }
        assert_eq!(pause_s(&f(None), 1, 0.0, &l), Some(1.0));
        assert_eq!(pause_s(&f(None), 1, 1.0, &l), Some(0.75));
        assert_eq!(pause_s(&f(None), l.retries, 0.0, &l), None);
        // The service's word comes first, both ways.
        let told = |status, word| Failure {
            should_retry: Some(word),
            ..f(Some(status))
        };
        assert_eq!(pause_s(&told(529, false), 0, 0.0, &l), None);
        assert_eq!(pause_s(&told(400, true), 0, 0.0, &l), Some(0.5));
        let after = |s| Failure {
            after_s: Some(s),
            ..f(Some(429))
        };
        assert_eq!(pause_s(&after(3.0), 0, 0.5, &l), Some(3.0));
        assert_eq!(pause_s(&after(3600.0), 0, 0.0, &l), None);
        let ms = Failure {
            after_ms_s: Some(0.25),
            ..after(30.0)
        };
        assert_eq!(pause_s(&ms, 0, 0.0, &l), Some(0.25));
    }

    #[test]
    fn both_forms_of_the_header_are_read() {
        assert_eq!(after_s(" 12 ", None), Some(12.0));
        let (date, then) = (
            "Sat, 21 Nov 2026 10:00:00 GMT",
            "Sat, 21 Nov 2026 10:00:07 GMT",
        );
        assert_eq!(after_s(then, Some(date)), Some(7.0));
        assert_eq!(after_s(date, Some(then)), Some(0.0));
        for bad in ["", "-3", "soon", "nan", "inf"] {
            assert_eq!(after_s(bad, Some(date)), None, "{bad}");
        }
        assert_eq!(after_s(then, None), None);
    }
}
