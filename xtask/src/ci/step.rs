//! The steps, in the order they run: what tells something soonest comes first.

use clap::ValueEnum;

use super::{arrows, house, readme, tools};
use crate::cargo::{cargo, succeed};
use crate::suite;

/// One check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Step {
    Fmt,
    House,
    Arrows,
    Tree,
    Clippy,
    Doc,
    Test,
    Doctest,
    Compat,
    Wasm,
    Deny,
    Readme,
}

/// How a step that did not fail went.
#[derive(Debug)]
pub(super) enum Outcome {
    /// All of it ran and was right.
    Passed,
    /// What could be run was right; this is what could not be, and why.
    Partly(String),
}

impl Step {
    /// What it is called on the command line.
    pub(super) fn name(self) -> String {
        let value = self.to_possible_value();
        value
            .map(|value| value.get_name().to_owned())
            .unwrap_or_default()
    }

    /// What it checks, in a few words.
    pub(super) fn about(self) -> &'static str {
        match self {
            Self::Fmt => "the code is formatted",
            Self::House => "no file too long, no note of work left, no ignored test",
            Self::Arrows => "crates depend only downwards, and on nothing kept for programs",
            Self::Tree => "the protocol crate needs no runtime",
            Self::Clippy => "no warning of the compiler or clippy",
            Self::Doc => "the documentation builds without a warning",
            Self::Test => "the tests of the workspace",
            Self::Doctest => "the examples in the documentation",
            Self::Compat => "the tests that link the published peers",
            Self::Wasm => "the protocol crate compiles for browsers",
            Self::Deny => "licences, sources, duplicates and advisories of dependencies",
            Self::Readme => "the commands of the README run as printed",
        }
    }

    /// Runs it.
    ///
    /// # Errors
    /// Where it finds something, or a tool it needs cannot be had.
    pub(super) async fn run(self) -> anyhow::Result<Outcome> {
        match self {
            Self::Fmt => fmt().await?,
            Self::House => house::check().await?,
            Self::Arrows => arrows::check().await?,
            Self::Tree => arrows::check_runtime_free().await?,
            Self::Clippy => clippy().await?,
            Self::Doc => doc().await?,
            Self::Test => test().await?,
            Self::Doctest => suite::documentation().await?,
            Self::Compat => suite::compat().await?,
            Self::Wasm => return wasm().await,
            Self::Deny => return deny().await,
            Self::Readme => readme::check().await?,
        }
        Ok(Outcome::Passed)
    }
}

async fn fmt() -> anyhow::Result<()> {
    tools::component("rustfmt").await?;
    succeed(cargo(["fmt", "--all", "--check"])).await?;
    succeed(cargo(["fmt", "--check"]).args(suite::outside())).await
}

async fn clippy() -> anyhow::Result<()> {
    tools::component("clippy").await?;
    let deny = ["--all-targets", "--locked", "--", "-D", "warnings"];
    succeed(cargo(["clippy", "--workspace"]).args(deny)).await?;
    succeed(cargo(["clippy"]).args(suite::outside()).args(deny)).await
}

async fn doc() -> anyhow::Result<()> {
    let doc = cargo([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    succeed(doc.env("RUSTDOCFLAGS", "-D warnings")).await
}

async fn test() -> anyhow::Result<()> {
    tools::program("cargo-nextest", "nextest").await?;
    suite::workspace().await
}

async fn wasm() -> anyhow::Result<Outcome> {
    const TARGET: &str = "wasm32-unknown-unknown";
    if let Err(error) = tools::target(TARGET).await {
        return Ok(Outcome::Partly(format!(
            "{TARGET} cannot be had here: {error:#}"
        )));
    }
    succeed(cargo([
        "check",
        "--package",
        "moq-transfork",
        "--target",
        TARGET,
    ]))
    .await?;
    Ok(Outcome::Passed)
}

async fn deny() -> anyhow::Result<Outcome> {
    tools::program("cargo-deny", "deny").await?;
    let check = ["deny", "check", "--hide-inclusion-graph"];
    succeed(cargo(check).args(["bans", "licenses", "sources"])).await?;
    let (fetched, log) = cargo(["deny", "fetch", "db"]).capture().await?;
    if !fetched.success() {
        let last = log
            .tail(10)
            .into_iter()
            .rfind(|line| !line.trim().is_empty());
        let reason = format!("no database of advisories: {}", last.unwrap_or_default());
        return Ok(Outcome::Partly(reason));
    }
    succeed(cargo(check).args(["advisories"])).await?;
    Ok(Outcome::Passed)
}
