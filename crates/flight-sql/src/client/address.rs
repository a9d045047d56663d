//! The address of a server.

/// The port of FlightSQL.
const PORT: u16 = 50051;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    /// Host and port.
    authority: String,
    pub(super) is_encrypted: bool,
}

impl Address {
    /// In the form that the transport needs.
    pub(super) fn endpoint(&self) -> String {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        format!("{scheme}://{}", self.authority)
    }
}

impl std::str::FromStr for Address {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let wrong =
            |reason: &str| format!("'{url}' is not a server address: {reason}, as in grpc://localhost:50051");
        let (scheme, rest) = url.trim().split_once("://").ok_or_else(|| wrong("it needs a scheme"))?;
        let is_encrypted = match scheme.to_ascii_lowercase().as_str() {
            "grpc" | "grpc+tcp" | "http" => false,
            "grpc+tls" | "https" => true,
            _ => return Err(wrong("its scheme must be grpc, grpc+tls, http or https")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() || authority.contains(['/', '@', '?', '#', ' ']) {
            return Err(wrong("only a host and a port can follow the scheme"));
        }
        // colons within brackets belong to an IPv6 address
        let behind_brackets = authority.rsplit(']').next().unwrap_or(authority);
        let authority = match behind_brackets.rsplit_once(':') {
            None => format!("{authority}:{PORT}"),
            Some((host, _)) if host.contains(':') => {
                return Err(wrong("an IPv6 address must be in brackets"));
            }
            Some((_, port)) if port.parse::<u16>().is_err() => {
                return Err(wrong("its port must be a number up to 65535"));
            }
            Some(_) => authority.to_owned(),
        };
        Ok(Self { authority, is_encrypted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_say_whether_it_is_encrypted_and_the_port_may_be_left_out() {
        for (url, endpoint) in [
            ("grpc://localhost", "http://localhost:50051"),
            ("grpc://localhost:1234", "http://localhost:1234"),
            ("http://lake.example/", "http://lake.example:50051"),
            ("grpc+tls://lake.example", "https://lake.example:50051"),
            ("HTTPS://lake.example:443", "https://lake.example:443"),
            ("grpc://[::1]", "http://[::1]:50051"),
            ("grpc://[::1]:8", "http://[::1]:8"),
        ] {
            assert_eq!(url.parse::<Address>().unwrap().endpoint(), endpoint);
        }
    }

    #[test]
    fn what_is_no_address_is_explained() {
        for (url, reason) in [
            ("localhost:50051", "scheme"),
            ("ftp://localhost", "scheme"),
            ("grpc://", "a host and a port"),
            ("grpc://user@host", "a host and a port"),
            ("grpc://host/path", "a host and a port"),
            ("grpc://host:port", "number"),
            ("grpc://::1", "brackets"),
        ] {
            let said = url.parse::<Address>().unwrap_err();
            assert!(said.contains(reason) && said.contains(url), "{said}");
        }
    }
}
