//! Keeps foreign web pages out where callers are not authenticated.
//!
//! A browser lets every web page send requests to every address that it reaches, this machine's own too. A page whose host
//! name was made to resolve to this machine (DNS rebinding) can even read the answers. But pages can't change what the
//! browser sends as `Origin`, `Sec-Fetch-Site` and `Host`. Other programs send no `Origin` and no `Sec-Fetch-Site`, and
//! their `Host` was chosen by their user.

use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use std::net::IpAddr;

const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Names that containers have for their host. Nobody can register them.
const FROM_CONTAINERS: [&str; 2] = ["host.docker.internal", "host.containers.internal"];

/// Why a request may come from a foreign web page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// A page of another origin sent it.
    Page,
    /// It is addressed to a host name that anybody may have made to resolve to this machine.
    Name(String),
}

/// Checks a request of an unknown sender. `any_name` allows host names that are not this machine's own.
pub(super) fn check(uri: &Uri, headers: &HeaderMap, any_name: bool) -> Result<(), Foreign> {
    let names: Vec<&str> = uri
        .authority()
        .map(Authority::as_str)
        .into_iter()
        // a value that is not text is no name of ours
        .chain(headers.get_all(header::HOST).iter().map(|host| host.to_str().unwrap_or("?")))
        .filter(|name| !name.is_empty())
        .collect();
    if !any_name && let Some(name) = names.iter().find(|name| !is_own(name)) {
        return Err(Foreign::Name((*name).to_owned()));
    }
    let is_page_of_ours = |origin: &HeaderValue| {
        !names.is_empty() && names.iter().all(|name| is_same(origin.to_str().unwrap_or_default(), name))
    };
    let is_from_here = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    let is_ours = headers.get_all(header::ORIGIN).iter().all(is_page_of_ours)
        && headers.get_all(SITE).iter().all(is_from_here);
    if is_ours { Ok(()) } else { Err(Foreign::Page) }
}

/// Whether nobody else can make the name resolve to this machine: it is an address, or a name that is never looked up
/// elsewhere.
fn is_own(name: &str) -> bool {
    let Ok(authority) = name.parse::<Authority>() else { return false };
    let host = authority.host().to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok()
        || host == "localhost"
        || host.ends_with(".localhost")
        || FROM_CONTAINERS.contains(&host)
}

/// Whether an origin has this host name. A proxy may terminate TLS, so the scheme may be either.
fn is_same(origin: &str, name: &str) -> bool {
    let (Ok(origin), Ok(name)) = (origin.parse::<Uri>(), name.parse::<Authority>()) else { return false };
    let usual = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    origin
        .authority()
        .is_some_and(|origin| origin.host().eq_ignore_ascii_case(name.host()) && port(origin) == port(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(uri: &str, headers: &[(&'static str, &str)], any_name: bool) -> Result<(), Foreign> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        check(&uri.parse().unwrap(), &map, any_name)
    }

    #[test]
    fn who_says_nothing_of_pages_is_answered() {
        for any_name in [false, true] {
            assert_eq!(ask("/", &[], any_name), Ok(()));
            assert_eq!(ask("/", &[("host", "")], any_name), Ok(()));
            assert_eq!(ask("http://127.0.0.1:4317/a", &[], any_name), Ok(()));
        }
    }

    #[test]
    fn names_are_this_machines_own_unless_any_may_be() {
        for own in [
            "localhost",
            "LocalHost:9000",
            "localhost.:9000",
            "a.b.localhost:1",
            "127.0.0.1:9000",
            "192.168.1.7",
            "[::1]:9000",
            "host.docker.internal:4318",
        ] {
            assert_eq!(ask("/", &[("host", own)], false), Ok(()), "{own}");
        }
        for other in [
            "example.com",
            "example.com:9000",
            "localhost.example.com",
            "notlocalhost",
            "127.0.0.1.example.com",
            "127.0.0.1@example.com",
            "host.docker.internal.example.com",
            "lake",
            "a b",
        ] {
            assert_eq!(ask("/", &[("host", other)], false), Err(Foreign::Name(other.to_owned())));
            assert_eq!(ask("/", &[("host", other)], true), Ok(()), "{other}");
        }
        // what HTTP/2 says, and what stands in the first line
        let named = ask("http://example.com/a", &[("host", "localhost")], false);
        assert_eq!(named, Err(Foreign::Name("example.com".to_owned())));
        let named = ask("/", &[("host", "localhost"), ("host", "example.com")], false);
        assert_eq!(named, Err(Foreign::Name("example.com".to_owned())));
    }

    #[test]
    fn pages_are_answered_where_they_came_from_only() {
        for any_name in [false, true] {
            for (host, origin) in [
                ("localhost:9000", "http://localhost:9000"),
                ("LOCALHOST", "http://localhost"),
                ("localhost:443", "https://localhost"),
                ("[::1]:9000", "http://[::1]:9000"),
            ] {
                assert_eq!(ask("/", &[("host", host), ("origin", origin)], any_name), Ok(()), "{origin}");
            }
            for (host, origin) in [
                ("localhost:9000", "http://example.com"),
                ("localhost:9000", "http://localhost:3000"),
                ("localhost:9000", "http://localhost"),
                ("localhost:9000", "http://127.0.0.1:9000"),
                ("localhost:9000", "null"),
                ("localhost:9000", ""),
                ("localhost:9000", "file://localhost:9000"),
                ("localhost:9000", "chrome-extension://localhost:9000"),
                ("localhost:9000", "localhost:9000"),
            ] {
                let asked = ask("/", &[("host", host), ("origin", origin)], any_name);
                assert_eq!(asked, Err(Foreign::Page), "{origin}");
            }
            assert_eq!(ask("/", &[("origin", "http://localhost")], any_name), Err(Foreign::Page));
        }
        assert_eq!(ask("http://lake:1/", &[("origin", "http://lake:1")], true), Ok(()));
    }

    #[test]
    fn what_a_browser_says_of_the_site_counts_without_an_origin() {
        for (site, is_answered) in
            [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false), ("", false)]
        {
            let asked = ask("/", &[("host", "localhost"), ("sec-fetch-site", site)], false);
            assert_eq!(asked.is_ok(), is_answered, "{site}");
        }
    }
}
