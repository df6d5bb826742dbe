//! Times as the server writes them in JSON: RFC 3339.

/// Nanoseconds since the Unix epoch of a text like 2026-11-26T18:09:34.12Z.
pub(super) fn nanos(text: &str) -> Option<u64> {
    let (date, rest) = text.split_once('T')?;
    let (clock, offset) = match rest.find(['Z', '+', '-']) {
        Some(at) => rest.split_at(at),
        None => return None,
    };
    let [year, month, day] = three(date, '-')?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second] = three(clock, ':')?;
    if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60).contains(&second) {
        return None;
    }
    let seconds = days(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = seconds.checked_sub(ahead(offset)?)?;
    let fraction: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let nanos = u64::try_from(seconds).ok()?.checked_mul(1_000_000_000)?;
    nanos.checked_add(fraction)
}

fn three(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between).map(|part| part.parse().ok());
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Seconds that a zone is ahead of UTC.
fn ahead(offset: &str) -> Option<i64> {
    if offset == "Z" {
        return Some(0);
    }
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    let good = (0..24).contains(&hours) && (0..60).contains(&minutes);
    good.then(|| sign * (hours * 3600 + minutes * 60))
}

/// Days since the Unix epoch, by Hinnant's days_from_civil.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let good = (1970..=9999).contains(&year) && (1..=12).contains(&month);
    if !good || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_servers_anywhere_are_read() {
        let nine = 1_000_000_000;
        assert_eq!(nanos("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            nanos("2000-02-29T12:00:00.5Z"),
            Some(951_825_600 * nine + nine / 2)
        );
        let here = nanos("2026-11-26T18:09:34.123456789Z");
        assert_eq!(here, Some(1_795_716_574 * nine + 123_456_789));
        assert_eq!(nanos("2026-11-26T20:09:34.123456789+02:00"), here);
        assert_eq!(nanos("2026-11-26T14:39:34.123456789-03:30"), here);
        for text in [
            "",
            "2026-11-26",
            "2026-13-01T00:00:00Z",
            "soon",
            "2026-11-26T18:09:34",
            "2026-11-26T9223372036854775807:09:34Z",
            "2026-11-26T18:09:34+9223372036854775807:00",
        ] {
            assert_eq!(nanos(text), None, "{text}");
        }
    }
}
