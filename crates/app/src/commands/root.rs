//! What a server answers at `/`: the web application, or a line of text in binaries and servers without it.

use super::serve::Serving;
#[cfg(feature = "web")]
use crate::args::WebArgs;
use axum::Router;
use belvedere_core::Lake;
#[cfg(feature = "web")]
use belvedere_core::assembly::Assembly;
#[cfg(feature = "web")]
use belvedere_view::Page;
#[cfg(feature = "web")]
use belvedere_web::Options;
use std::net::SocketAddr;
#[cfg(feature = "web")]
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What is at `/`.
#[derive(Debug)]
pub(crate) struct Root {
    /// None if the server answers no queries: then a page could show nothing.
    #[cfg(feature = "web")]
    application: Option<Options>,
}

impl Root {
    pub(crate) fn new(
        answers_queries: bool,
        #[cfg(feature = "web")] args: WebArgs,
        serving: &Serving,
        lake: &Lake,
    ) -> Self {
        #[cfg(not(feature = "web"))]
        let _ = (answers_queries, serving, lake);
        Self {
            #[cfg(feature = "web")]
            application: answers_queries.then(|| Options {
                public_path: args.public_path.unwrap_or_default(),
                directory: args.web_dir,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                otlp_http_port: serving.port("otlp-http"),
                pages: pages(&lake.assembly()),
            }),
        }
    }

    /// The address of the web application, for a browser on this machine.
    pub(crate) fn page(&self, is_https: bool, address: Option<&SocketAddr>) -> Option<String> {
        #[cfg(feature = "web")]
        if self.application.is_some() {
            let mut address = *address?;
            // an address that means all of them is none to go to
            match address.ip() {
                IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
                IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
                _ => {}
            }
            let scheme = if is_https { "https" } else { "http" };
            return Some(format!("{scheme}://{address}/ui/"));
        }
        let _ = (is_https, address);
        None
    }

    pub(crate) fn router(&self) -> Router {
        #[cfg(feature = "web")]
        if let Some(options) = &self.application {
            return belvedere_web::router(options.clone());
        }
        let version = || async { concat!("belvedere ", env!("CARGO_PKG_VERSION"), "\n") };
        Router::new().route("/", axum::routing::get(version))
    }
}

/// The pages that linked crates registered and whose view sets are there, in their order.
#[cfg(feature = "web")]
fn pages(assembly: &Assembly) -> Vec<(&'static Page, &'static str)> {
    let has = |needed: &&str| assembly.view_sets().any(|set| set.name == *needed);
    let mut pages: Vec<_> =
        assembly.extensions::<Page>().filter(|(page, _)| page.needs.iter().all(has)).collect();
    pages.sort_by_key(|(page, _)| (page.order, page.name));
    pages
}
