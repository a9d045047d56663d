//! What `/ready` says.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use belvedere_lake::LakeConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// An answer is given again for this long: anybody may ask, and to find out means to write.
const FRESH: Duration = Duration::from_secs(1);
/// A lake that takes longer does not respond.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the lake can be used.
#[derive(Debug)]
pub(super) struct Readiness {
    lake: Arc<LakeConnection>,
    /// Whether this server writes.
    writes: bool,
    last: Mutex<Option<(Instant, Result<(), String>)>>,
}

impl Readiness {
    pub(super) fn new(lake: Arc<LakeConnection>, writes: bool) -> Self {
        Self { lake, writes, last: Mutex::new(None) }
    }

    /// 200, or 503 and why.
    pub(super) async fn answer(&self) -> Response {
        // held meanwhile: of many who ask at once one looks
        let mut last = self.last.lock().await;
        let state = match &*last {
            Some((at, state)) if at.elapsed() < FRESH => state.clone(),
            before => {
                let state = self.look().await;
                let is_news = before.as_ref().map(|(_, state)| state) != Some(&state);
                match &state {
                    Err(why) if is_news => tracing::warn!("not ready: {why}"),
                    Ok(()) if is_news && before.is_some() => tracing::info!("ready again"),
                    _ => {}
                }
                *last = Some((Instant::now(), state.clone()));
                state
            }
        };
        match state {
            Ok(()) => StatusCode::OK.into_response(),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
        }
    }

    /// Errors may tell about the backends, which is not for everybody: the log has them.
    async fn look(&self) -> Result<(), String> {
        let look = async {
            if let Err(e) = self.lake.ping().await {
                tracing::warn!("the lake can't be read: {e}");
                return Err("the lake can't be used".to_owned());
            }
            let unwritable = if self.writes { self.lake.check_writable().await } else { Vec::new() };
            for (_, e) in &unwritable {
                tracing::warn!("the lake can't be written: {e}");
            }
            let parts: Vec<String> = unwritable.iter().map(|(part, _)| part.to_string()).collect();
            if parts.is_empty() { Ok(()) } else { Err(parts.join("; ")) }
        };
        tokio::time::timeout(TIMEOUT, look)
            .await
            .unwrap_or_else(|_| Err("the lake does not respond".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::to_bytes;
    use belvedere_lake::LakeOptions;

    async fn look(lake: &Arc<LakeConnection>, writes: bool) -> (u16, String) {
        let response = Readiness::new(lake.clone(), writes).answer().await;
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_lake_that_was_taken_away_is_not_ready_and_no_path_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let lake = LakeConnection::open(&LakeOptions::directory(directory.path())).await.unwrap();
        assert_eq!(look(&lake, true).await, (200, String::new()));
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert!(left.iter().all(|f| !f.as_ref().unwrap().file_name().to_string_lossy().contains("probe")));
        std::fs::rename(directory.path().join("catalog.sqlite"), directory.path().join("away")).unwrap();
        let (status, body) = look(&lake, true).await;
        assert_eq!((status, body.as_str()), (503, "the catalog can't be written\n"));
        assert_eq!(look(&lake, false).await.0, 200, "who only reads can go on");
        std::fs::rename(directory.path().join("away"), directory.path().join("catalog.sqlite")).unwrap();
        assert_eq!(look(&lake, true).await.0, 200);
        // a directory in the way of what is written: as root even a directory without rights can be written
        std::fs::create_dir(directory.path().join("write-probe#0")).unwrap();
        assert_eq!(look(&lake, true).await, (503, "the object store can't be written\n".to_owned()));
        let path = directory.path().display().to_string();
        directory.close().unwrap();
        let (status, body) = look(&lake, true).await;
        assert!(status == 503 && !body.contains(&path), "{body}");
    }

    #[tokio::test]
    async fn an_answer_is_given_again_for_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let lake = LakeConnection::open(&LakeOptions::directory(directory.path())).await.unwrap();
        let readiness = Readiness::new(lake, true);
        assert_eq!(readiness.answer().await.status(), 200);
        directory.close().unwrap();
        assert_eq!(readiness.answer().await.status(), 200);
        if let Some((at, _)) = &mut *readiness.last.lock().await {
            *at -= FRESH;
        }
        assert_eq!(readiness.answer().await.status(), 503);
    }
}
