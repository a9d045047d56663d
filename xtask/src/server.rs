//! A server of the binary under test.

use crate::Outcome;
use crate::binary::command;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a server may take to start or to answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server, killed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Its output lines, each with its time.
    lines: Receiver<(Instant, String)>,
    address: Option<SocketAddr>,
    ready_after: Duration,
}

impl Server {
    /// Starts a server on a lake and a free port, and waits until it listens.
    pub(crate) fn start(binary: &Path, lake: &Path) -> Result<Self, String> {
        Self::start_with(binary, lake, &[])
    }

    /// The same, with more flags.
    pub(crate) fn start_with(binary: &Path, lake: &Path, flags: &[&str]) -> Result<Self, String> {
        let lake = lake.display().to_string();
        let arguments =
            ["--http", "127.0.0.1:0", "--otlp-http", "off", "--otlp-grpc", "off", "--flight-sql", "off"];
        let mut command = command(binary, &["serve", "--lake", &lake]);
        command.args(arguments).args(flags).stdout(Stdio::null()).stderr(Stdio::piped());
        let begin = Instant::now();
        let mut child = command.spawn().map_err(|e| format!("{command:?} can't be run: {e}"))?;
        let (sender, lines) = channel();
        if let Some(said) = child.stderr.take() {
            // read until the end, even if nobody wants the lines: a server whose pipe is full would block
            std::thread::spawn(move || {
                for line in BufReader::new(said).lines().map_while(Result::ok) {
                    let _ = sender.send((Instant::now(), line));
                }
            });
        }
        let mut server = Self { child, lines, address: None, ready_after: Duration::ZERO };
        let mut said = String::new();
        while let Ok((at, line)) = server.lines.recv_timeout(START_TIMEOUT.saturating_sub(begin.elapsed())) {
            if let Some(address) = line.strip_prefix("listening http ") {
                let address = address.trim().parse();
                server.address = Some(address.map_err(|e| format!("the server's '{line}': {e}"))?);
                server.ready_after = at - begin;
                return Ok(server);
            }
            said.push_str(&line);
            said.push('\n');
        }
        Err(format!("the server ended, or did not listen within {START_TIMEOUT:.0?}. It said:\n{said}"))
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<SocketAddr, String> {
        self.address.ok_or_else(|| "the server has no address".to_owned())
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The lines that it wrote and that nobody has taken yet.
    pub(crate) fn take_lines(&self) -> Vec<String> {
        self.lines.try_iter().map(|(_, line)| line).collect()
    }

    /// From its start until it listened.
    pub(crate) fn ready_after(&self) -> Duration {
        self.ready_after
    }

    /// Its resident memory in bytes after a while of idling. `None` on systems that don't tell.
    pub(crate) fn idle_memory(&self, after: Duration) -> Result<Option<u64>, String> {
        let end = Instant::now() + after;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => return Err("the server ended by itself".to_owned()),
            }
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        Ok(status.ok().and_then(|status| resident(&status)))
    }

    /// Calls its health check.
    pub(crate) fn check_health(&self) -> Outcome {
        let address = self.address()?;
        let answer = get(address, "/health").map_err(|e| format!("{address}/health: {e}"))?;
        let status = answer.lines().next().unwrap_or_default();
        match status.split(' ').nth(1) {
            Some("200") => Ok(()),
            _ => Err(format!("{address}/health answered '{status}'")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have exited by itself
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, START_TIMEOUT)?;
    stream.set_read_timeout(Some(START_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The resident memory in bytes, from the text of `/proc/PID/status`.
fn resident(status: &str) -> Option<u64> {
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(kilobytes.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(resident("VmPeak:\t  9 kB\nVmRSS:\t   25600 kB\nThreads:\t7\n"), Some(25 << 20));
        assert_eq!(resident("Threads:\t7\n"), None);
    }
}
