//! What browsers are sent.

use super::*;
use axum::body::to_bytes;
use axum::http::Request;
use flate2::read::GzDecoder;
use std::io::Read;
use tower::ServiceExt;

async fn ask(options: Options, path: &str, headers: &[(&str, &str)]) -> (u16, HeaderMap, Vec<u8>) {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = router(options).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    (status, headers, to_bytes(response.into_body(), 1 << 24).await.unwrap().to_vec())
}

fn embedded() -> Assets {
    Assets::new(None, &[])
}

fn options() -> Options {
    Options { version: "1.2.3".to_owned(), ..Options::default() }
}

/// The files that a page names.
fn addresses(html: &str) -> Vec<String> {
    let quoted = html.split('"').filter(|part| part.contains("/ui/") && !part.contains(char::is_whitespace));
    quoted.map(str::to_owned).collect()
}

#[tokio::test]
async fn browsers_are_sent_to_the_page_and_others_are_told_what_this_is() {
    let (status, headers, _) = ask(options(), "/", &[("accept", "text/html,application/xml;q=0.9")]).await;
    assert_eq!((status, headers["location"].to_str().unwrap()), (307, "/ui/"));
    for accept in [&[][..], &[("accept", "*/*")]] {
        let (status, headers, body) = ask(options(), "/", accept).await;
        assert_eq!((status, body.as_slice()), (200, b"belvedere 1.2.3\n".as_slice()));
        assert_eq!(headers["vary"], "accept");
    }
    assert_eq!(ask(options(), "/ui", &[]).await.1["location"], "/ui/");
}

#[tokio::test]
async fn every_file_that_the_page_names_is_there_for_ever_with_the_headers_that_keep_it_safe() {
    let (status, headers, body) = ask(options(), "/ui/", &[]).await;
    let html = String::from_utf8(body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(headers["cache-control"], "no-cache");
    let policy = headers["content-security-policy"].to_str().unwrap();
    for part in ["default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'", "connect-src 'self'"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe") && !html.contains("{base}") && !html.contains("http"), "{html}");
    let named = addresses(&html);
    assert!(named.len() > 8, "{html}");
    for address in named {
        let (status, headers, content) = ask(options(), &address, &[]).await;
        assert_eq!(status, 200, "{address}");
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        assert_eq!(headers["cross-origin-opener-policy"], "same-origin-allow-popups");
        assert_eq!(headers["cross-origin-resource-policy"], "same-origin");
        let (_, headers, compressed) = ask(options(), &address, &[("accept-encoding", "br, gzip")]).await;
        assert_eq!(headers["content-encoding"], "gzip");
        let mut inflated = Vec::new();
        GzDecoder::new(compressed.as_slice()).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, content, "{address}");
        let (_, headers, _) = ask(options(), &address, &[("accept-encoding", "gzip;q=0")]).await;
        assert!(!headers.contains_key("content-encoding"));
    }
}

#[tokio::test]
async fn the_policy_has_the_hash_of_the_only_script_in_the_page() {
    let (_, headers, body) = ask(options(), "/ui/", &[]).await;
    let html = String::from_utf8(body).unwrap();
    let (_, rest) = html.split_once("<script type=\"importmap\">").unwrap();
    let (script, _) = rest.split_once("</script>").unwrap();
    use base64::Engine;
    use sha2::Digest;
    let hash = base64::engine::general_purpose::STANDARD.encode(sha2::Sha256::digest(script));
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains(&format!("'sha256-{hash}'")), "{policy}");
    let inline = html.matches("<script").count() - html.matches("src=").count();
    assert_eq!(inline, 1, "{html}");
}

#[tokio::test]
async fn a_missing_file_is_told_and_every_other_address_is_the_page() {
    let embedded = embedded();
    let build = embedded.build();
    let missing = format!("/ui/{build}/app/nothing.js");
    for path in [missing.as_str(), "/ui/0123456789abcdef/app/main.js", "/ui/dev/index.html"] {
        let (status, headers, _) = ask(options(), path, &[]).await;
        assert_eq!((status, headers["cache-control"].to_str().unwrap()), (404, "no-store"), "{path}");
    }
    for path in ["/ui/logs?from=now-1h", "/ui/process/9b0c1d2e/timeline", "/ui/no-such-page"] {
        let (status, headers, _) = ask(options(), path, &[]).await;
        assert_eq!(status, 200, "{path}");
        assert!(headers["content-type"].to_str().unwrap().starts_with("text/html"), "{path}");
    }
}

#[tokio::test]
async fn behind_a_proxy_all_addresses_begin_with_its_path() {
    let options = || Options { public_path: "/belvedere/".to_owned(), ..options() };
    let (_, headers, _) = ask(options(), "/", &[("accept", "text/html")]).await;
    assert_eq!(headers["location"], "/belvedere/ui/");
    let (_, _, body) = ask(options(), "/ui/logs", &[]).await;
    let named = addresses(&String::from_utf8(body).unwrap());
    assert!(!named.is_empty() && named.iter().all(|a| a.starts_with("/belvedere/ui/")), "{named:?}");
    assert!(Options::check_public_path("/a/b-c").is_ok());
    for wrong in ["", "a", "//example.com", "/a\"b", "/a b", "/<a>", "https://example.com/"] {
        assert!(Options::check_public_path(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn files_of_a_directory_are_read_each_time_and_nothing_outside_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path().join("files");
    std::fs::create_dir_all(files.join("vendor")).unwrap();
    std::fs::write(directory.path().join("secret.txt"), "secret").unwrap();
    let options = || Options { directory: Some(files.clone()), ..options() };
    assert_eq!(ask(options(), "/ui/", &[]).await.0, 500);
    std::fs::write(files.join("index.html"), "<p>{base}</p>").unwrap();
    std::fs::write(files.join("vendor/imports.json"), "{}").unwrap();
    assert_eq!(ask(options(), "/ui/", &[]).await.2, b"<p>/ui/dev</p>");
    let (status, headers, _) = ask(options(), "/ui/dev/index.html", &[("accept-encoding", "gzip")]).await;
    assert_eq!((status, headers["cache-control"].to_str().unwrap()), (200, "no-store"));
    for path in
        ["/ui/dev/../secret.txt", "/ui/dev/%2e%2e/secret.txt", "/ui/dev//etc/passwd.txt", "/ui/dev/x.txt"]
    {
        assert_eq!(ask(options(), path, &[]).await.0, 404, "{path}");
    }
}

#[tokio::test]
async fn the_manifest_says_version_and_build() {
    let (status, headers, body) = ask(options(), "/ui/manifest.json", &[]).await;
    let manifest: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, headers["cache-control"].to_str().unwrap()), (200, "no-cache"));
    assert_eq!(manifest["version"], "1.2.3");
    assert_eq!(manifest["build"], embedded().build());
    assert_eq!(manifest["pages"], serde_json::json!([]));
}

static NOTES: Page =
    Page::new("notes", "Notes", "What players wrote").module("notes.js", "export default () => null;\n");
static OTHER: Page =
    Page::new("notes", "Notes", "What players wrote").module("notes.js", "export default () => 1;\n");
static OF_PROCESS: Page = Page::new("moves", "Moves", "What a player did")
    .subject(PageSubject::Process)
    .module("moves.js", "export default () => 2;\n");

#[tokio::test]
async fn a_registered_page_is_in_the_manifest_and_its_module_has_an_address_that_changes_with_it() {
    let with = |pages: &[&'static Page]| Options {
        pages: pages.iter().map(|page| (*page, "views-notes")).collect(),
        ..options()
    };
    let manifest = async |options: Options| -> serde_json::Value {
        serde_json::from_slice(&ask(options, "/ui/manifest.json", &[]).await.2).unwrap()
    };
    let said = manifest(with(&[&NOTES, &OF_PROCESS])).await;
    assert_eq!(
        said["pages"],
        serde_json::json!([
            {"name": "notes", "title": "Notes", "about": "What players wrote", "subject": "lake",
             "crate": "views-notes", "module": "crate/views-notes/notes.js"},
            {"name": "moves", "title": "Moves", "about": "What a player did", "subject": "process",
             "crate": "views-notes", "module": "crate/views-notes/moves.js"},
        ])
    );
    let build = said["build"].as_str().unwrap();
    let address = format!("/ui/{build}/crate/views-notes/notes.js");
    for coding in ["identity", "gzip"] {
        let (status, headers, content) =
            ask(with(&[&NOTES, &OF_PROCESS]), &address, &[("accept-encoding", coding)]).await;
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap()),
            (200, "text/javascript; charset=utf-8")
        );
        assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
        let mut text = String::new();
        match headers.contains_key("content-encoding") {
            true => GzDecoder::new(content.as_slice()).read_to_string(&mut text).unwrap(),
            false => content.as_slice().read_to_string(&mut text).unwrap(),
        };
        assert_eq!(text, NOTES.source);
    }
    // all files move when one module is another, and the old address is not there any more
    assert_ne!(manifest(with(&[&OTHER, &OF_PROCESS])).await["build"], said["build"]);
    assert_eq!(ask(with(&[&OTHER, &OF_PROCESS]), &address, &[]).await.0, 404);
    assert_eq!(ask(with(&[&NOTES]), &format!("/ui/{build}/crate/views-notes/moves.js"), &[]).await.0, 404);
}

#[test]
fn no_file_makes_elements_of_text_and_none_names_another_host() {
    for asset in assets::ASSETS {
        let is_of_others = asset.path().starts_with("vendor/");
        let Some(text) = embedded().text(asset.path()) else { continue };
        if is_of_others {
            continue;
        }
        for wrong in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"]
        {
            assert!(!text.contains(wrong), "{}: {wrong}", asset.path());
        }
        // the name of a format is no address
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http://") && !text.contains("https://"), "{}", asset.path());
    }
}

/// Pages find tables by what their columns are, so that a table of another crate has them too.
#[test]
fn no_module_names_a_table_of_a_view_crate() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(crates).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().starts_with("views-") {
            continue;
        }
        let Ok(schemas) = std::fs::read_dir(entry.path().join("schema")) else { continue };
        names.extend(schemas.filter_map(|file| {
            let name = file.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".txt").map(str::to_owned)
        }));
    }
    assert!(names.len() > 5, "{names:?}");
    for asset in assets::ASSETS.iter().filter(|asset| asset.path().starts_with("app/")) {
        let text = embedded().text(asset.path()).unwrap();
        let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for name in &names {
            assert!(!words.contains(&name.as_str()), "{} names {name}", asset.path());
        }
    }
}

/// What a page costs: hard limits on what is sent, compressed, to a browser that has nothing yet.
#[test]
fn what_every_page_needs_is_small_and_so_is_all_of_it() {
    let size = |begins: &dyn Fn(&str) -> bool| -> usize {
        assets::ASSETS.iter().filter(|asset| begins(asset.path())).map(assets::Asset::size).sum()
    };
    let is_for_editors = |path: &str| path == "vendor/codemirror.js" || path == "app/sql/editor.js";
    let is_of_a_page = |path: &str| path.strip_prefix("app/").is_some_and(|name| name.contains('/'));
    let shell = size(&|path| !is_for_editors(path) && !is_of_a_page(path) && path != "vendor/LICENSES.txt");
    let messages = size(&|path| {
        path.starts_with("app/logs/") || path == "app/parts/grid.js" || path == "app/parts/search.js"
    });
    let all = size(&|_| true);
    assert!(shell <= 60_000, "the shell: {shell} bytes");
    assert!(shell + messages <= 75_000, "with the page of messages: {} bytes", shell + messages);
    assert!(all <= 250_000, "all: {all} bytes");
}

/// Comments are for who reads the source: what is sent says the same without them.
#[test]
fn modules_are_sent_without_comments_and_with_all_that_they_do() {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    for asset in assets::ASSETS.iter().filter(|asset| asset.path().starts_with("app/")) {
        let (sent, source) = (
            embedded().text(asset.path()).unwrap(),
            std::fs::read_to_string(directory.join(asset.path())).unwrap(),
        );
        assert!(!sent.contains("/**"), "{}", asset.path());
        // no comment begins or ends within a text
        for line in source.lines().map(str::trim_start).filter(|line| !line.is_empty()) {
            let is_comment = line.starts_with("//") || line.starts_with("/**") || line.starts_with("* ");
            let (opened, closed) = (line.matches("/**").count(), line.matches("*/").count());
            if !is_comment && opened == 0 && closed == 0 {
                assert!(sent.contains(line.trim_end()), "{}: {line}", asset.path());
            }
        }
    }
}
