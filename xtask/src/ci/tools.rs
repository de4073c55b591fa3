//! The tools that the checks need: used where they are, installed where they are not.

use anyhow::Context as _;

use crate::cargo::{cargo, has, output, succeed, tool};
use crate::term::say;

/// Sees to it that a component of the Rust toolchain is there.
///
/// # Errors
/// Where it is missing and cannot be installed.
pub(super) async fn component(name: &str) -> anyhow::Result<()> {
    let program = match name {
        "rustfmt" => "fmt",
        other => other,
    };
    if has("cargo", &[program, "--version"]).await {
        return Ok(());
    }
    succeed(tool("rustup", &["component", "add", name])).await
}

/// Sees to it that a subcommand of cargo is there, given the crate that holds it.
///
/// # Errors
/// Where it is missing and cannot be installed.
pub(super) async fn program(package: &str, subcommand: &str) -> anyhow::Result<()> {
    if has("cargo", &[subcommand, "--version"]).await {
        return Ok(());
    }
    say!("{package} is not installed: installing it");
    succeed(cargo(["install", "--locked", package])).await
}

/// Sees to it that the standard library of a target is there.
///
/// # Errors
/// Where it is missing and cannot be installed.
pub(super) async fn target(name: &str) -> anyhow::Result<()> {
    let installed = output(tool("rustup", &["target", "list", "--installed"])).await;
    let installed = installed.context("rustup does not tell which targets are installed")?;
    if installed.iter().any(|line| line == name) {
        return Ok(());
    }
    output(tool("rustup", &["target", "add", name])).await?;
    Ok(())
}
