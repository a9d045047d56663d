//! The web application of the real binary: files for everybody, data for those who may read.

use crate::support::Place;

const BROWSER: &[(&str, &str)] =
    &[("accept", "text/html"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];

#[test]
fn the_page_is_for_everybody_and_data_for_those_who_may_read() {
    let place = Place::new();
    // makes the lake that the key is for
    place.serve(&[]).stop();
    assert!(place.keys(&["create", "reader"]).output().unwrap().status.success());
    let server = place.serve(&["--require-keys"]);
    // a link in a message of somebody else leads here, too
    assert_eq!(server.connect().send("GET", "/", BROWSER, b"").0, 307);
    let (status, page) = server.connect().send("GET", "/ui/logs?from=now-1h", BROWSER, b"");
    assert!(status == 200 && page.contains("importmap"), "{status} {page}");
    let module = page.split('"').find(|part| part.ends_with("/app/main.js")).unwrap();
    assert_eq!(server.connect().get(module).0, 200);
    assert_eq!(server.connect().get("/ui/manifest.json").0, 200);
    assert_eq!(server.connect().get("/ui/0000000000000000/app/main.js").0, 404);
    let sql = [("content-type", "text/plain")];
    assert_eq!(server.connect().send("POST", "/api/query", &sql, b"SELECT 1").0, 401);
    // other programs are told what this is, as ever
    assert_eq!(
        server.connect().get("/"),
        (200, concat!("belvedere ", env!("CARGO_PKG_VERSION"), "\n").to_owned())
    );
}

#[test]
fn behind_a_proxy_the_page_names_its_files_by_the_public_path() {
    let place = Place::new();
    let server = place.serve(&["--public-path", "/tools/belvedere/"]);
    let (status, page) = server.connect().send("GET", "/ui/", BROWSER, b"");
    assert!(status == 200 && page.contains("\"/tools/belvedere/ui/"), "{status} {page}");
    assert!(!page.contains("\"/ui/"), "{page}");
    let refused = place.command("serve").args(["--public-path", "https://example.com/"]).output().unwrap();
    assert!(!refused.status.success());
}

#[test]
fn a_server_that_answers_no_queries_has_no_page() {
    let place = Place::new();
    let server = place.serve(&["--roles", "ingest"]);
    assert_eq!(server.connect().send("GET", "/", BROWSER, b"").0, 200);
    assert_eq!(server.connect().get("/ui/").0, 404);
}

/// Modules of pages are served under the policy of the application, which would stop them only when somebody looks.
#[test]
fn modules_of_registered_pages_make_no_elements_of_text_and_ask_no_other_host() {
    let place = Place::new();
    let server = place.serve(&[]);
    let (status, manifest) = server.connect().get("/ui/manifest.json");
    assert_eq!(status, 200);
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let pages = manifest["pages"].as_array().unwrap();
    let has_pages = cfg!(any(feature = "metrics", feature = "otel", feature = "spans"));
    assert_eq!(pages.is_empty(), !has_pages, "{manifest}");
    for page in pages {
        let address =
            format!("/ui/{}/{}", manifest["build"].as_str().unwrap(), page["module"].as_str().unwrap());
        let (status, module) = server.connect().get(&address);
        assert!(status == 200 && module.contains("export default"), "{address}: {status}");
        for wrong in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "http://",
            "https://",
        ] {
            assert!(!module.contains(wrong), "{address}: {wrong}");
        }
        let imports =
            module.lines().filter_map(|line| Some(line.strip_prefix("import ")?.split('"').nth(1).unwrap()));
        for name in imports {
            let known = ["preact", "preact/hooks", "htm", "@preact/signals"];
            assert!(known.contains(&name), "{address} imports {name}");
        }
    }
}
