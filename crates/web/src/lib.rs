//! The web application: static files, which are served at `/ui/`.
//!
//! The files are the same for everybody, so they need no rights; whatever a page shows, it asks for like every other
//! client. Each file's address has a hash over all files: browsers keep it for ever. Every address under `/ui/` that is
//! not a file's is the page, which finds out by itself what is meant.
//!
//! Invariant: nothing here reads from the lake, and no file comes from another host.

mod assets;
mod front;
#[cfg(test)]
mod tests;

use assets::{Assets, BUILD, FROM_DIRECTORY};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use belvedere_view::{Page, PageSubject};
use front::Front;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;

/// What the application is told about its server.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The path under which a proxy shows the server, such as `/belvedere`; empty if there is none.
    pub public_path: String,
    /// A directory with the files, instead of the embedded ones: for development.
    pub directory: Option<PathBuf>,
    /// The version of the program.
    pub version: String,
    /// The port for OTLP over HTTP, if there is one besides the server's own.
    pub otlp_http_port: Option<u16>,
    /// Pages that crates registered, each with the name of its crate, in their order.
    pub pages: Vec<(&'static Page, &'static str)>,
}

impl Options {
    /// The public path without a slash at its end.
    fn root(&self) -> String {
        match self.public_path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }

    /// Checks a public path: it stands in a page and in headers.
    ///
    /// # Errors
    ///
    /// If it has other characters than those of a plain path.
    pub fn check_public_path(path: &str) -> Result<String, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.~/".contains(c);
        if path.starts_with('/') && !path.contains("//") && path.chars().all(is_plain) {
            Ok(path.to_owned())
        } else {
            Err("expected a path such as /belvedere: letters, digits and -_.~ between slashes".to_owned())
        }
    }
}

#[derive(Debug)]
struct Application {
    assets: Assets,
    options: Options,
    /// The one document; none if it is made anew each time.
    front: Option<Front>,
}

/// The routes: `/` says what this is, and sends browsers on to `/ui/`.
pub fn router(options: Options) -> Router {
    let modules: Vec<_> =
        options.pages.iter().map(|(page, of)| (module_path(page, of), page.source)).collect();
    let assets = Assets::new(options.directory.clone(), &modules);
    let front = assets.are_immutable().then(|| front::front(&assets, &options)).flatten();
    let application = Arc::new(Application { assets, options, front });
    Router::new()
        .route("/", get(root))
        .route("/ui", get(to_page))
        .route("/ui/", get(index))
        .route("/ui/manifest.json", get(manifest))
        .route("/ui/{*path}", get(file))
        .with_state(application)
}

type App = State<Arc<Application>>;

async fn root(State(app): App, headers: HeaderMap) -> Response {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let is_browser =
        accepted.flat_map(|line| line.split(',')).any(|range| range.trim_start().starts_with("text/html"));
    let vary = (header::VARY, "accept");
    if is_browser {
        let address = format!("{}/ui/", app.options.root());
        return (StatusCode::TEMPORARY_REDIRECT, [vary, (header::LOCATION, address.as_str())])
            .into_response();
    }
    ([vary], format!("belvedere {}\n", app.options.version)).into_response()
}

async fn to_page(State(app): App) -> Response {
    let address = format!("{}/ui/", app.options.root());
    (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, address)]).into_response()
}

/// The path of a page's module among the files.
fn module_path(page: &Page, crate_name: &str) -> String {
    format!("crate/{crate_name}/{}", page.file)
}

/// What a page has to know before it asks for anything.
async fn manifest(State(app): App) -> Response {
    let options = &app.options;
    let pages = options.pages.iter().map(|(page, crate_name)| {
        json!({
            "name": page.name,
            "title": page.title,
            "about": page.about,
            "subject": match page.subject {
                PageSubject::Process => "process",
                _ => "lake",
            },
            "crate": crate_name,
            "module": module_path(page, crate_name),
        })
    });
    let manifest = json!({
        "version": options.version,
        "build": app.assets.build(),
        "otlp_http_port": options.otlp_http_port,
        "pages": pages.collect::<Vec<_>>(),
    });
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
    with_common_headers((headers, manifest.to_string()).into_response())
}

async fn index(State(app): App) -> Response {
    let front = match &app.front {
        Some(front) => Some(front.clone()),
        None => front::front(&app.assets, &app.options),
    };
    let Some(front) = front else {
        return refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the directory lacks index.html or vendor/imports.json\n",
        );
    };
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
        (header::CONTENT_SECURITY_POLICY, front.policy),
    ];
    with_common_headers((headers, front.html).into_response())
}

async fn file(State(app): App, Path(path): Path<String>, headers: HeaderMap) -> Response {
    let Some((build, name)) = path.split_once('/').filter(|(build, _)| is_build(build)) else {
        return index(State(app)).await;
    };
    if build != app.assets.build() {
        return refused(
            StatusCode::NOT_FOUND,
            "this file belongs to another build of the server: load the page again\n",
        );
    }
    let Some(file) = app.assets.file(name, takes_gzip(&headers)) else {
        return refused(StatusCode::NOT_FOUND, "the web application has no such file\n");
    };
    let lifetime = match app.assets.are_immutable() {
        true => "public, max-age=31536000, immutable",
        false => "no-store",
    };
    let mut response = Response::new(Body::from(file.content.into_owned()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.media_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(lifetime));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if file.is_gzip {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    // a file opened by itself, such as a picture, may do nothing
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    with_common_headers(response)
}

/// Whether a part of an address stands for a build. No page has such a name.
fn is_build(part: &str) -> bool {
    let is_hash = part.len() == BUILD.len() && part.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash || part == FROM_DIRECTORY
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|line| line.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let is_gzip = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map(str::parse::<f32>);
        is_gzip && !matches!(quality, Some(Ok(0.0)))
    })
}

fn refused(status: StatusCode, message: &'static str) -> Response {
    with_common_headers((status, [(header::CACHE_CONTROL, "no-store")], message).into_response())
}

/// What browsers must be told with every file.
fn with_common_headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin-allow-popups"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
