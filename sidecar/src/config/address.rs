//! The addresses of the NATS servers: `nats://host:4222,tls://host`, perhaps
//! with one user and password. What cannot be reached is refused here, and not
//! at the first connection.

use super::Secret;

/// Servers, and who to be there.
#[derive(Default)]
pub(super) struct Servers {
    /// Addresses without user and password, separated by commas.
    pub(super) urls: String,
    /// The user and password that the addresses carry.
    pub(super) login: Option<(String, Secret)>,
}

/// Reads the addresses, or says why they cannot be meant. Never shows what was
/// read: it may hold a password.
pub(super) fn parse(text: &str) -> Result<Servers, &'static str> {
    let mut servers = Servers::default();
    let mut logins: Vec<Option<(String, String)>> = Vec::new();
    for url in text.split(',').map(str::trim) {
        let (scheme, rest) = url.split_once("://").ok_or(FORM)?;
        if !["nats", "tls"].contains(&scheme) {
            return Err(
                "must be URLs like nats://host:4222 or tls://host:4222; no other scheme is spoken",
            );
        }
        let (login, host) = match rest.rsplit_once('@') {
            Some((login, host)) => (Some(self::login(login)?), host),
            None => (None, rest),
        };
        let host = host.strip_suffix('/').unwrap_or(host);
        check_host(host)?;
        logins.push(login);
        let comma = if servers.urls.is_empty() { "" } else { "," };
        servers.urls += &format!("{comma}{scheme}://{host}");
    }
    let mut given = logins.into_iter().flatten();
    if let Some(first) = given.next() {
        if given.any(|other| other != first) {
            return Err("has more than one user; every server is told the same one");
        }
        servers.login = Some((first.0, Secret(first.1)));
    }
    Ok(servers)
}

pub(super) const FORM: &str = "must be URLs like nats://host:4222";

/// `user:password`, with %XX for what a URL does not allow.
fn login(text: &str) -> Result<(String, String), &'static str> {
    const HOW: &str = "has a login that is not user:password; a token is not supported";
    let (user, password) = text.split_once(':').ok_or(HOW)?;
    let read = |text| decode(text).filter(|text| !text.is_empty()).ok_or(HOW);
    Ok((read(user)?, read(password)?))
}

fn check_host(text: &str) -> Result<(), &'static str> {
    host_and_port(text).map(drop)
}

/// A host and, perhaps, a port; an IPv6 address without its brackets.
pub(super) fn host_and_port(text: &str) -> Result<(&str, Option<u16>), &'static str> {
    let (host, port) = match text.rsplit_once(':') {
        // The colons of [::1] are no port.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let inner = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let good = match inner {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
            !host.is_empty() && host.chars().all(allowed)
        }
    };
    if !good {
        return Err(FORM);
    }
    match port.map(str::parse::<u16>) {
        None => Ok((inner.unwrap_or(host), None)),
        Some(Ok(port @ 1..)) => Ok((inner.unwrap_or(host), Some(port))),
        Some(Ok(0) | Err(_)) => Err("has a port that is not a number from 1 to 65535"),
    }
}

/// A text with %XX for what a URL does not allow.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_and_password_in_the_address_are_used_and_taken_out_of_it() {
        let servers = parse("nats://me:p%40ss@a:4222,tls://me:p%40ss@[::1]").unwrap();
        assert_eq!(servers.urls, "nats://a:4222,tls://[::1]");
        let (user, password) = servers.login.unwrap();
        assert_eq!((user.as_str(), password.0.as_str()), ("me", "p@ss"));
        assert!(parse("nats://a,nats://b:1").unwrap().login.is_none());
    }

    #[test]
    fn what_no_connection_could_be_made_to_is_refused_without_showing_it() {
        for text in [
            "",
            "host:4222",
            "nats://",
            "ws://h:80",
            "wss://h",
            "http://h",
            "nats://h:99999",
            "nats://h:0",
            "nats://h:x",
            "nats://a b",
            "nats://[::g]:1",
            "nats://h/path",
            "nats://a:1,",
            "nats://token@h",
            "nats://u:%zz@h",
            "nats://u:sesame@a,nats://v:sesame@b",
        ] {
            let why = parse(text).err();
            assert!(why.is_some_and(|why| !why.contains("sesame")), "{text}");
        }
    }
}
