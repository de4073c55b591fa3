//! A relay process, and the files it reads.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::timeout;

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that does not take long; a test that would hang fails instead.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it happens in time")
}

fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moq-relay"));
    command
        .args(flags)
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Runs a relay that is expected to end by itself.
pub(crate) async fn run(flags: &[&str]) -> Output {
    timeout(PATIENCE, command(flags).output())
        .await
        .expect("it ends")
        .unwrap()
}

/// Runs a relay that is expected to fail; returns its exit code and the one line it says.
pub(crate) async fn fail(flags: &[&str]) -> (Option<i32>, String) {
    fail_with(flags, &[]).await
}

/// Runs a relay that is expected to fail, with these variables in its environment.
pub(crate) async fn fail_with(
    flags: &[&str],
    environment: &[(&str, &str)],
) -> (Option<i32>, String) {
    let output = finish(command(flags).envs(environment.iter().copied())).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "one line is enough: {said}");
    assert!(output.stdout.is_empty());
    (output.status.code(), said.trim_end().to_owned())
}

async fn finish(command: &mut Command) -> Output {
    timeout(PATIENCE, command.output())
        .await
        .expect("it ends")
        .unwrap()
}

/// A running relay. Dropping it kills it.
pub(crate) struct Process {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    /// Where it listens for QUIC, and in development for HTTP.
    pub(crate) addr: SocketAddr,
    /// What it said until it was ready.
    pub(crate) start: Vec<String>,
}

impl Process {
    /// Starts a relay on a free port of the loopback interface, and waits until it listens.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", flags).await
    }

    /// Starts a relay on this address, and waits until it listens.
    pub(crate) async fn start_at(bind: &str, flags: &[&str]) -> Self {
        let flags = [&["--bind", bind], flags].concat();
        let mut child = command(&flags).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let expected = if flags.contains(&"--dev") { 2 } else { 1 };
        let mut start: Vec<String> = Vec::new();
        while start
            .iter()
            .filter(|line| line.contains("listening"))
            .count()
            < expected
        {
            let line = soon(log.next_line()).await.unwrap();
            start.push(line.unwrap_or_else(|| panic!("it ended: {start:?}")));
        }
        let addr = start
            .iter()
            .find_map(|line| addr(line))
            .expect("an address");
        Self {
            child,
            log,
            addr,
            start,
        }
    }

    /// Starts a relay with a certificate made for itself.
    pub(crate) async fn development(flags: &[&str]) -> Self {
        Self::start(&[&["--dev"], flags].concat()).await
    }

    /// Sends a signal, by its name without "SIG".
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let script = format!("kill -s {name} {pid}");
        assert!(
            Command::new("sh")
                .args(["-c", &script])
                .status()
                .await
                .unwrap()
                .success()
        );
    }

    /// Waits until its log has a line with this text.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        loop {
            let line = soon(self.log.next_line()).await.unwrap();
            let line = line.unwrap_or_else(|| panic!("it ended without saying {text:?}"));
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for its end; returns what its log had left, too.
    pub(crate) async fn end(mut self) -> (ExitStatus, String) {
        let status = soon(self.child.wait()).await.unwrap();
        let mut rest = String::new();
        self.log
            .into_inner()
            .read_to_string(&mut rest)
            .await
            .unwrap();
        (status, rest)
    }
}

/// Finds the address in a line of the log, of text or JSON.
fn addr(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("addr")?;
    let end = rest.find([' ', ',']).unwrap_or(rest.len());
    rest[..end].trim_matches(['=', '"', ':']).parse().ok()
}

/// A directory of certificates and keys.
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, content: &str) -> String {
        let path: PathBuf = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Makes a self-signed certificate for this name; returns the paths of it and its key.
    pub(crate) fn certificate(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        params.is_ca = IsCa::ExplicitNoCa;
        let cert = params.self_signed(&key).unwrap();
        let cert = self.write(&format!("{name}.pem"), &cert.pem());
        let key = self.write(&format!("{name}.key"), &key.serialize_pem());
        (cert, key)
    }
}
