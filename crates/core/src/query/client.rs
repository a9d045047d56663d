//! What clients say of themselves, in the headers of HTTP and of gRPC alike.

use super::ClientInfo;
use http::HeaderMap;
use percent_encoding::percent_decode;
use std::net::IpAddr;

/// Characters of each value that are kept: it goes into logs.
const LONGEST: usize = 256;

impl ClientInfo {
    /// What the headers of a request say of its client. `peer` is where the connection comes from: that counts where no
    /// proxy says better.
    pub fn from_headers(headers: &HeaderMap, peer: Option<IpAddr>) -> Self {
        let plain = |name: &str| clean(&String::from_utf8_lossy(&printable(headers, name)?));
        // names of people are not ASCII, and so come percent-encoded
        let encoded = |name: &str| clean(&percent_decode(&printable(headers, name)?).decode_utf8_lossy());
        Self {
            client: plain("x-client-type"),
            agent: plain("x-client-agent"),
            entrypoint: plain("x-client-entrypoint"),
            session: plain("x-client-session"),
            notebook: plain("x-client-notebook"),
            cell: plain("x-client-cell"),
            user_id: encoded("x-user-id"),
            user_email: encoded("x-user-email"),
            user_name: encoded("x-user-name"),
            address: address(headers).or(peer),
        }
    }
}

/// The printable part of a header's value.
fn printable(headers: &HeaderMap, name: &str) -> Option<Vec<u8>> {
    let value = headers.get(name)?.as_bytes();
    Some(value.iter().copied().filter(|byte| matches!(byte, b' '..=b'~')).collect())
}

/// Nothing that would break a line of a log, and not too much of it; nothing at all is no value.
fn clean(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    (!text.is_empty()).then_some(text)
}

/// What the nearest proxy saw: it adds to the end of the last line.
fn address(headers: &HeaderMap) -> Option<IpAddr> {
    let ip = |text: &str| text.trim().parse().ok();
    let forwarded = headers.get_all("x-forwarded-for").iter().next_back();
    let nearest = forwarded.and_then(|line| ip(line.to_str().ok()?.rsplit(',').next()?));
    nearest.or_else(|| ip(headers.get("x-real-ip")?.to_str().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    #[test]
    fn each_header_has_its_place() {
        let info = ClientInfo::from_headers(
            &headers(&[
                ("x-client-type", b"grafana"),
                ("x-client-agent", b"browser"),
                ("x-client-entrypoint", b"panel"),
                ("x-client-session", b"s1"),
                ("x-client-notebook", b"n1"),
                ("x-client-cell", b"c1"),
                ("x-user-id", b"42"),
                ("x-user-email", b"zo%C3%AB%40example.com"),
                ("x-user-name", b"Zo%C3%AB%20%0A"),
            ]),
            None,
        );
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            info,
            ClientInfo {
                client: text("grafana"),
                agent: text("browser"),
                entrypoint: text("panel"),
                session: text("s1"),
                notebook: text("n1"),
                cell: text("c1"),
                user_id: text("42"),
                user_email: text("zoë@example.com"),
                user_name: text("Zoë"),
                address: None,
            }
        );
    }

    #[test]
    fn who_says_nothing_is_nobody() {
        assert_eq!(ClientInfo::from_headers(&HeaderMap::new(), None), ClientInfo::default());
        assert_eq!(
            ClientInfo::from_headers(&headers(&[("x-client-type", b"  ")]), None),
            ClientInfo::default()
        );
    }

    #[test]
    fn of_bytes_that_are_no_ascii_the_printable_part_stays() {
        let info = ClientInfo::from_headers(
            &headers(&[("x-user-name", b"Zo\xc3\xab B"), ("x-client-type", b"\xff\xfe")]),
            None,
        );
        assert_eq!((info.user_name.as_deref(), info.client), (Some("Zo B"), None));
    }

    #[test]
    fn what_is_too_long_is_cut() {
        let long = "é".repeat(LONGEST + 1).bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        let info = ClientInfo::from_headers(&headers(&[("x-user-name", long.as_bytes())]), None);
        assert_eq!(info.user_name.unwrap().chars().count(), LONGEST);
    }

    #[test]
    fn the_address_is_what_the_nearest_proxy_saw() {
        let peer: IpAddr = "127.0.0.1".parse().unwrap();
        let address = |pairs: &[(&'static str, &[u8])]| {
            ClientInfo::from_headers(&headers(pairs), Some(peer)).address.unwrap().to_string()
        };
        assert_eq!(address(&[]), "127.0.0.1");
        assert_eq!(
            address(&[("x-forwarded-for", b"10.0.0.1"), ("x-forwarded-for", b"10.0.0.2, 10.0.0.3")]),
            "10.0.0.3"
        );
        assert_eq!(
            address(&[("x-forwarded-for", b"10.0.0.1, unknown"), ("x-real-ip", b"2001:db8::1")]),
            "2001:db8::1"
        );
        assert_eq!(address(&[("x-forwarded-for", b"10.0.0.1, "), ("x-real-ip", b"me")]), "127.0.0.1");
    }
}
