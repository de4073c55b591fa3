//! The floors of the house: which crate may depend on which.

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::cargo::{cargo, output};
use crate::term::say;

/// Each crate with those of ours that it may depend on, lowest floor first.
const FLOORS: &[(&str, &[&str])] = &[
    ("moq-transfork", &[]),
    ("moq-relay-core", &["moq-transfork"]),
    ("moq-relay-cluster", &["moq-transfork", "moq-relay-core"]),
    (
        "moq-relay",
        &["moq-transfork", "moq-relay-core", "moq-relay-cluster"],
    ),
    ("moq-test-client", &["moq-transfork", "moq-relay-core"]),
    ("xtask", &[]),
];

/// The crates of [`FLOORS`] that are programs.
const PROGRAMS: &[&str] = &["moq-relay", "moq-test-client", "xtask"];

/// What only programs may depend on, be it through others.
const PROGRAMS_ONLY: &[&str] = &[
    "axum",
    "clap",
    "quinn",
    "rcgen",
    "rustls",
    "tracing-subscriber",
    "web-transport-quinn",
];

/// The crate that must compile without any async runtime.
const RUNTIME_FREE: &str = "moq-transfork";

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
}

impl Dependency {
    /// Tells whether it is more than a help for tests.
    fn is_lasting(&self) -> bool {
        self.kind.as_deref() != Some("dev")
    }
}

/// Checks that crates depend only on floors below their own, and libraries on no transport.
///
/// # Errors
/// Naming each dependency that should not be.
pub(super) async fn check() -> anyhow::Result<()> {
    let packages = packages().await?;
    let mut wrong = upward(&packages)?;
    for package in packages
        .iter()
        .filter(|package| !PROGRAMS.contains(&package.name.as_str()))
    {
        for name in tree(&package.name).await? {
            if PROGRAMS_ONLY.contains(&name.as_str()) {
                wrong.push(format!("{} -> {name}: kept for programs", package.name));
            }
        }
    }
    ensure!(
        wrong.is_empty(),
        "dependencies that must not be:\n  {}",
        wrong.join("\n  ")
    );
    Ok(())
}

/// Checks that the protocol crate comes without tokio.
///
/// # Errors
/// Where it does not.
pub(super) async fn check_runtime_free() -> anyhow::Result<()> {
    let tree = tree(RUNTIME_FREE).await?;
    let runtime = tree
        .iter()
        .find(|name| name.as_str() == "tokio" || name.starts_with("tokio-"));
    if let Some(runtime) = runtime {
        bail!(
            "{RUNTIME_FREE} depends on {runtime}: cargo tree -p {RUNTIME_FREE} -e normal -i {runtime}"
        );
    }
    say!(
        "{RUNTIME_FREE} and its {} dependencies need no runtime",
        tree.len() - 1
    );
    Ok(())
}

fn upward(packages: &[Package]) -> anyhow::Result<Vec<String>> {
    let ours: Vec<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut wrong = Vec::new();
    for package in packages {
        let allowed = FLOORS.iter().find(|(name, _)| *name == package.name);
        let (_, allowed) = allowed
            .with_context(|| format!("{} has no floor: give it one in xtask", package.name))?;
        let names = package
            .dependencies
            .iter()
            .filter(|dependency| dependency.is_lasting());
        let up = names
            .map(|dependency| dependency.name.as_str())
            .filter(|name| ours.contains(name) && !allowed.contains(name));
        wrong.extend(up.map(|name| format!("{} -> {name}: not a floor below", package.name)));
    }
    Ok(wrong)
}

async fn packages() -> anyhow::Result<Vec<Package>> {
    let args = ["metadata", "--format-version", "1", "--no-deps", "--locked"];
    let metadata: Metadata = serde_json::from_str(&output(cargo(args)).await?.join("\n"))
        .context("cargo's metadata cannot be read")?;
    Ok(metadata.packages)
}

/// The names of all that a crate is built from, itself first.
async fn tree(package: &str) -> anyhow::Result<Vec<String>> {
    let args = [
        "tree",
        "--package",
        package,
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--locked",
    ];
    let lines = output(cargo(args)).await?;
    let mut names: Vec<String> = Vec::new();
    for line in lines {
        let name = line.split(' ').next().unwrap_or_default();
        if !name.is_empty() && names.iter().all(|known| known != name) {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, kind)| Dependency {
            name: (*name).to_owned(),
            kind: kind.map(str::to_owned),
        });
        Package {
            name: name.to_owned(),
            dependencies: dependencies.collect(),
        }
    }

    #[test]
    fn an_arrow_that_points_up_is_named() {
        let packages = [
            package(
                "moq-transfork",
                &[("moq-relay-core", None), ("bytes", None)],
            ),
            package("moq-relay-core", &[("moq-transfork", None)]),
        ];

        let wrong = upward(&packages).unwrap();

        assert_eq!(
            wrong,
            ["moq-transfork -> moq-relay-core: not a floor below"]
        );
    }

    #[test]
    fn what_only_tests_use_is_no_arrow() {
        let packages = [
            package("moq-relay", &[("moq-test-client", Some("dev"))]),
            package("moq-test-client", &[]),
        ];

        assert!(upward(&packages).unwrap().is_empty());
    }

    #[test]
    fn a_crate_without_a_floor_is_refused() {
        assert!(upward(&[package("moq-attic", &[])]).is_err());
    }
}
