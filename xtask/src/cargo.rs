//! Cargo, as the chores use it: to build, to run tools, to ask about the workspace.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::process::Launch;

/// What cargo gets to end its own children in before it is killed with them.
///
/// nextest runs each test in a process group of its own and ends it on SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);

/// The root folder of the workspace.
pub(crate) fn root() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package)
}

/// The cargo that runs us, else the one on the path, started in the root folder.
pub(crate) fn cargo(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Launch {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    Launch::new("cargo", program)
        .args(args)
        .dir(root())
        .patience(PATIENCE)
}

/// Another program, started like [`cargo`]: in the root folder and with time to clean up.
pub(crate) fn tool(program: &str, args: &[&str]) -> Launch {
    Launch::new(program, program)
        .args(args)
        .dir(root())
        .patience(PATIENCE)
}

/// Runs a program to its end on our terminal.
///
/// # Errors
/// Where it cannot be started, or says by its exit code that it failed.
pub(crate) async fn succeed(launch: Launch) -> anyhow::Result<()> {
    let line = launch.line();
    let status = launch.run().await?;
    ensure!(status.success(), "`{line}` failed: {status}");
    Ok(())
}

/// Runs a program to its end and gives back what it printed to stdout.
///
/// # Errors
/// Where it cannot be started, or failed; the message holds the end of what it printed.
pub(crate) async fn output(launch: Launch) -> anyhow::Result<Vec<String>> {
    let line = launch.line();
    let (status, log) = launch.capture().await?;
    ensure!(
        status.success(),
        "`{line}` failed: {status}\n{}",
        log.tail(30).join("\n")
    );
    Ok(log.stdout())
}

/// Tells whether a program is there and answers `args`.
pub(crate) async fn has(program: &str, args: &[&str]) -> bool {
    let probe = tool(program, args).capture().await;
    probe.is_ok_and(|(status, _)| status.success())
}

/// The relay and the test client, built: where they are, by name.
pub(crate) struct Binaries {
    paths: BTreeMap<String, PathBuf>,
}

impl Binaries {
    /// Builds our programs; what cargo has to say goes to the terminal.
    ///
    /// No package is named: with one, its dependencies would be compiled once more, with no
    /// features but those that it alone asks for.
    ///
    /// # Errors
    /// Where the build fails.
    pub(crate) async fn build(profile: Profile) -> anyhow::Result<Self> {
        Self::build_with(profile, &[]).await
    }

    /// Builds them with optimisation, and the floor that the relay is measured against.
    ///
    /// # Errors
    /// Where the build fails.
    pub(crate) async fn build_for_bench() -> anyhow::Result<Self> {
        Self::build_with(Profile::Release, &["--example", "bare_quinn"]).await
    }

    /// Builds them, and what publishes and withdraws many tracks.
    ///
    /// # Errors
    /// Where the build fails.
    pub(crate) async fn build_for_cluster(profile: Profile) -> anyhow::Result<Self> {
        Self::build_with(profile, &["--example", "churn"]).await
    }

    /// Builds an example of one of the crates with optimisation, and nothing else.
    ///
    /// # Errors
    /// Where the build fails.
    pub(crate) async fn build_example(name: &str) -> anyhow::Result<Self> {
        Self::build_all(vec!["--example", name, "--release"]).await
    }

    async fn build_with(profile: Profile, more: &[&str]) -> anyhow::Result<Self> {
        let mut what = vec!["--bin", "moq-relay", "--bin", "moq-test-client"];
        what.extend(more);
        what.extend(profile.flag());
        Self::build_all(what).await
    }

    async fn build_all(what: Vec<&str>) -> anyhow::Result<Self> {
        let mut args = vec!["build", "--message-format=json-render-diagnostics"];
        args.extend(what);
        let launch = cargo(args);
        let line = launch.line();
        let (status, log) = launch.stderr(Stdio::inherit()).capture().await?;
        ensure!(status.success(), "`{line}` failed: {status}");
        let paths = log
            .stdout()
            .iter()
            .filter_map(|line| executable(line))
            .collect();
        Ok(Self { paths })
    }

    /// Where one of them is.
    ///
    /// # Errors
    /// Where cargo did not build it.
    pub(crate) fn path(&self, name: &str) -> anyhow::Result<&Path> {
        let path = self
            .paths
            .get(name)
            .with_context(|| format!("cargo built no program {name}"))?;
        Ok(path)
    }
}

/// Builds the tests whose main file is `source`, from the root folder, and gives back the program.
///
/// # Errors
/// Where the build fails, or there are no such tests.
pub(crate) async fn test_program(source: &str, profile: Profile) -> anyhow::Result<PathBuf> {
    let mut args = vec!["test", "--no-run", "--package=moq-relay", "--test=mixed"];
    args.push("--message-format=json-render-diagnostics");
    args.extend(profile.flag());
    let launch = cargo(args);
    let line = launch.line();
    let (status, log) = launch.stderr(Stdio::inherit()).capture().await?;
    ensure!(status.success(), "`{line}` failed: {status}");
    let source = root().join(source);
    let built = log.stdout();
    let mut programs = built.iter().filter_map(|line| compiled(line, &source));
    let program = programs.next();
    program.with_context(|| format!("cargo built no tests of {}", source.display()))
}

/// How programs are compiled.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// Soon there, slow, with debug assertions.
    Dev,
    /// As it is meant to be run.
    Release,
}

impl Profile {
    fn flag(self) -> Option<&'static str> {
        match self {
            Self::Dev => None,
            Self::Release => Some("--release"),
        }
    }
}

/// One of cargo's messages, about something that it has built.
#[derive(Deserialize)]
struct Artifact {
    target: Target,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    #[serde(default)]
    src_path: PathBuf,
}

/// The program that one of cargo's JSON messages says it has built.
fn executable(message: &str) -> Option<(String, PathBuf)> {
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    Some((artifact.target.name, artifact.executable?))
}

/// The same, if this is its main file.
fn compiled(message: &str, source: &Path) -> Option<PathBuf> {
    let artifact: Artifact = serde_json::from_str(message).ok()?;
    artifact
        .executable
        .filter(|_| artifact.target.src_path == source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_about_a_built_program_name_one() {
        let program =
            r#"{"reason":"compiler-artifact","target":{"name":"relay"},"executable":"/t/relay"}"#;
        let library =
            r#"{"reason":"compiler-artifact","target":{"name":"core"},"executable":null}"#;

        assert_eq!(
            executable(program),
            Some(("relay".to_owned(), "/t/relay".into()))
        );
        assert_eq!(executable(library), None);
        let tests = r#"{"target":{"name":"it","src_path":"/s/it.rs"},"executable":"/t/it"}"#;
        assert_eq!(compiled(tests, Path::new("/s/it.rs")), Some("/t/it".into()));
        assert_eq!(compiled(tests, Path::new("/s/other.rs")), None);
        assert_eq!(
            executable(r#"{"reason":"build-finished","success":true}"#),
            None
        );
    }
}
