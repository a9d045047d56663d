//! The document that every page begins with: the one file that says where all others are, and its headers.

use crate::Options;
use crate::assets::Assets;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The document with the policy that it must be sent with.
#[derive(Debug, Clone)]
pub(crate) struct Front {
    pub(crate) html: String,
    pub(crate) policy: String,
}

/// Makes the document; `None` if files are missing, which only happens in a directory.
pub(crate) fn front(assets: &Assets, options: &Options) -> Option<Front> {
    let root = options.root();
    let base = format!("{root}/ui/{}", assets.build());
    let import_map = import_map(assets, &base)?;
    let mut preloads = String::new();
    for module in assets.modules() {
        let _ = writeln!(preloads, "<link rel=\"modulepreload\" href=\"{base}/{module}\">");
    }
    let html = assets.text("index.html")?;
    let html = html.replace("{base}", &base).replace("{import-map}", &import_map);
    let html = html.replace("<!-- modules -->\n", &preloads);
    let hash = STANDARD.encode(Sha256::digest(import_map.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'self' 'sha256-{hash}'; style-src 'self'; img-src 'self' data: blob:; \
         connect-src 'self'; worker-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"
    );
    Some(Front { html, policy })
}

/// Names by which modules import the libraries of others.
fn import_map(assets: &Assets, base: &str) -> Option<String> {
    let names: Map<String, Value> = serde_json::from_str(&assets.text("vendor/imports.json")?).ok()?;
    let addresses = names.into_iter().filter_map(|(name, file)| {
        let address = format!("{base}/vendor/{}", file.as_str()?);
        Some((name, Value::from(address)))
    });
    let imports: Map<String, Value> = addresses.collect();
    Some(json!({"imports": imports}).to_string())
}
