//! Kubernetes' quantities: `500m`, `16Gi`, `1e3`.

/// Longest text of one.
const MOST: usize = 64;

/// Reads a quantity that is no debt. `None`: it is none.
#[must_use]
pub fn quantity(text: &str) -> Option<f64> {
    if text.is_empty() || text.len() > MOST {
        return None;
    }
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let number = plain(number)?;
    let value = match suffix.as_bytes() {
        [b'e' | b'E', rest @ ..] if !rest.is_empty() => number * 10_f64.powi(exponent(&suffix[1..])?),
        _ => number * multiplier(suffix)?,
    };
    value.is_finite().then_some(value)
}

/// Digits with at most one point between or beside them.
fn plain(text: &str) -> Option<f64> {
    let sound = text.bytes().any(|byte| byte.is_ascii_digit()) && text.matches('.').count() <= 1;
    if sound { text.parse().ok() } else { None }
}

fn exponent(text: &str) -> Option<i32> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let sound = !digits.is_empty() && digits.len() <= 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if sound { text.parse().ok() } else { None }
}

fn multiplier(suffix: &str) -> Option<f64> {
    Some(match suffix {
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "" => 1.0,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1024_f64.powi(2),
        "Gi" => 1024_f64.powi(3),
        "Ti" => 1024_f64.powi(4),
        "Pi" => 1024_f64.powi(5),
        "Ei" => 1024_f64.powi(6),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        for (text, expected) in [
            ("0", 0.0),
            ("110", 110.0),
            ("1500m", 1.5),
            ("3920m", 3.92),
            ("0.5", 0.5),
            (".5", 0.5),
            ("2.", 2.0),
            ("16Gi", 17_179_869_184.0),
            ("32879852Ki", 33_668_968_448.0),
            ("1.5Mi", 1_572_864.0),
            ("129M", 129e6),
            ("1k", 1e3),
            ("2G", 2e9),
            ("1T", 1e12),
            ("1Ti", 1_099_511_627_776.0),
            ("1E", 1e18),
            ("1e3", 1e3),
            ("12E2", 1200.0),
            ("5e-1", 0.5),
            ("1e+2", 100.0),
            ("250000000n", 0.25),
            ("7u", 7e-6),
        ] {
            let read = quantity(text).unwrap_or_else(|| panic!("{text}"));
            assert!((read - expected).abs() <= expected * 1e-12, "{text}: {read}");
        }
        for bad in [
            "", "m", "-1", "+1", "1mm", "1 Gi", "1K", "1ki", "0x10", "inf", "NaN", "1e", "1.2.3", ".",
            "1e1.5", "1e9999", "e3",
        ] {
            // `1e` is neither exa nor an exponent.
            assert_eq!(quantity(bad), None, "{bad}");
        }
        assert_eq!(quantity(&"9".repeat(65)), None);
    }
}
