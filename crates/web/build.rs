//! Embeds the files of `assets`: compressed, with their media types, and one hash over all of them, which is in the
//! address of each. So a browser may keep a file for ever, and never mixes files of two builds.

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Media types by extension. Files with other extensions are not served.
const TYPES: &[(&str, &str)] = &[
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("assets");
    let out = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo::rerun-if-changed=assets");
    let mut files = Vec::new();
    walk(&root, &mut files)?;
    files.sort();
    let (mut table, mut all) = (String::new(), Sha256::new());
    for (number, file) in files.iter().enumerate() {
        let Some(media_type) = media_type(file) else { continue };
        let path = file.strip_prefix(&root).map_err(io::Error::other)?;
        let path = path.to_string_lossy().replace('\\', "/");
        let content = fs::read(file)?;
        all.update(path.as_bytes());
        all.update([0]);
        all.update((content.len() as u64).to_le_bytes());
        all.update(&content);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        // those of others come without comments
        let is_module = path.starts_with("app/") && path.ends_with(".js");
        encoder.write_all(&if is_module { without_comments(&content) } else { content })?;
        let compressed = out.join(format!("{number}.gz"));
        fs::write(&compressed, encoder.finish()?)?;
        writeln!(
            table,
            "    Asset {{ path: {path:?}, media_type: {media_type:?}, gzip: include_bytes!({compressed:?}) }},"
        )
        .map_err(io::Error::other)?;
    }
    let hash: String = all.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let code = format!(
        "/// A hash over all files.\npub(crate) const BUILD: &str = {hash:?};\n\n\
         /// Media types by extension.\npub(crate) const TYPES: &[(&str, &str)] = &{TYPES:?};\n\n\
         /// All files, by path.\npub(crate) static ASSETS: &[Asset] = &[\n{table}];\n"
    );
    fs::write(out.join("table.rs"), code)
}

/// A module without its comments for readers and for the checker of types, which are a fifth of what would be sent: those
/// from `/**` to `*/`, which stand nowhere else, and lines of `//`.
fn without_comments(module: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(module);
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once("/**") {
        kept.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    kept.push_str(rest);
    let lines = kept.lines().map(str::trim_end).filter(|line| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("//")
    });
    lines.flat_map(|line| [line, "\n"]).collect::<String>().into_bytes()
}

fn variable(name: &str) -> io::Result<std::ffi::OsString> {
    env::var_os(name).ok_or_else(|| io::Error::other(format!("{name} is not set: build this with cargo")))
}

fn media_type(file: &Path) -> Option<&'static str> {
    let extension = file.extension()?.to_str()?;
    TYPES.iter().find(|(known, _)| *known == extension).map(|(_, media_type)| *media_type)
}

fn walk(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            walk(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
