//! The README's commands, run as printed.
//!
//! Every line of a fenced `sh` block is a command. A comment before the block says how it
//! is run: by default to its end, which must be a success; with `<!-- check: until TEXT -->`
//! until it prints TEXT, after which it goes on while the rest is run, is stopped at the end
//! as by Ctrl-C, and must call that a success; with `<!-- check: no -->` not at all.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tokio::time::timeout;

use crate::cargo::{root, succeed};
use crate::process::{Launch, Line, Process};
use crate::term::say;

/// How long a command may take until it prints what it is waited for, builds included.
const PATIENCE: Duration = Duration::from_mins(15);

/// How long a command may take to stop on Ctrl-C.
const GRACE: Duration = Duration::from_secs(20);

/// Runs the commands in their order.
///
/// # Errors
/// At the first that fails.
pub(super) async fn check() -> anyhow::Result<()> {
    let text = fs::read_to_string(root().join("README.md")).context("cannot read README.md")?;
    let commands = commands(&text)?;
    ensure!(!commands.is_empty(), "README.md shows no command");
    let mut going_on = Vec::new();
    for command in commands {
        say!("$ {}", command.line);
        match command.how {
            How::ToItsEnd => succeed(shell(&command.line)).await?,
            How::Until(text) => going_on.push(start(&command.line, &text).await?),
        }
    }
    while let Some(process) = going_on.pop() {
        stop(process).await?;
    }
    Ok(())
}

async fn start(line: &str, awaited: &str) -> anyhow::Result<Process> {
    // What it goes on to print would only be in the way of the commands that follow.
    let shows = Arc::new(AtomicBool::new(true));
    let shown = Arc::clone(&shows);
    let teller = move |line: &Line| {
        if shown.load(Ordering::Relaxed) {
            say!("  {}", line.text);
        }
    };
    let process = shell(line).start_told(Some(Box::new(teller)))?;
    let log = process.log();
    let found = log.find(|line| line.text.contains(awaited).then_some(()));
    let found = timeout(PATIENCE, found).await;
    shows.store(false, Ordering::Relaxed);
    match found {
        Ok(Some(())) => Ok(process),
        Ok(None) => bail!("`{line}` ended without printing `{awaited}`"),
        Err(_) => bail!("`{line}` did not print `{awaited}` in time"),
    }
}

async fn stop(mut process: Process) -> anyhow::Result<()> {
    ensure!(
        process.is_running(),
        "`{}` ended while it was needed",
        process.name()
    );
    let status = process.stop(GRACE).await?;
    ensure!(
        status.success(),
        "`{}` ended with {status} on Ctrl-C",
        process.name()
    );
    Ok(())
}

fn shell(line: &str) -> Launch {
    Launch::new(line, "bash")
        .args(["-c", line])
        .dir(root())
        .patience(GRACE)
}

/// A command of the README.
#[derive(Debug, PartialEq, Eq)]
struct Command {
    line: String,
    how: How,
}

/// When a command counts as done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum How {
    ToItsEnd,
    Until(String),
}

fn commands(text: &str) -> anyhow::Result<Vec<Command>> {
    let mut commands = Vec::new();
    let mut how = Some(How::ToItsEnd);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(note) = note(line) {
            how = read_note(note)?;
        } else if line.trim_end() == "```sh" {
            let block = block(lines.by_ref().take_while(|line| line.trim_end() != "```"));
            let how = how.replace(How::ToItsEnd);
            let run = how.into_iter().flat_map(|how| {
                block.iter().map(move |line| Command {
                    line: line.clone(),
                    how: how.clone(),
                })
            });
            commands.extend(run);
        }
    }
    Ok(commands)
}

fn note(line: &str) -> Option<&str> {
    line.trim()
        .strip_prefix("<!-- check:")?
        .strip_suffix("-->")
        .map(str::trim)
}

fn read_note(note: &str) -> anyhow::Result<Option<How>> {
    match note.split_once(' ') {
        Some(("until", text)) => Ok(Some(How::Until(text.to_owned()))),
        None if note == "no" => Ok(None),
        _ => bail!("README.md: `check: {note}` is not understood"),
    }
}

/// The commands of a block: comments and blank lines left out, continued lines joined.
fn block<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut commands: Vec<String> = Vec::new();
    let mut continues = false;
    for line in lines.map(str::trim) {
        let (part, more) = match line.strip_suffix('\\') {
            Some(part) => (part.trim_end(), true),
            None => (line, false),
        };
        match commands.last_mut() {
            Some(command) if continues => {
                command.push(' ');
                command.push_str(part);
            }
            _ if part.is_empty() || part.starts_with('#') => {}
            _ => commands.push(part.to_owned()),
        }
        continues = more;
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &str, how: How) -> Command {
        Command {
            line: line.to_owned(),
            how,
        }
    }

    #[test]
    fn each_line_of_a_shell_block_is_a_command_and_other_blocks_are_not() {
        let text = "```sh\n# first\nmake it\n\nmake \\\n  more\n```\n```toml\nnot = 1\n```\n";

        let commands = commands(text).unwrap();

        let expected = ["make it", "make more"].map(|line| command(line, How::ToItsEnd));
        assert_eq!(commands, expected);
    }

    #[test]
    fn a_note_holds_for_the_next_block_only() {
        let text = "<!-- check: until it is up -->\n```sh\nserve\n```\n```sh\nask\n```\n\
                    <!-- check: no -->\n```sh\nrm -rf /\n```\n";

        let commands = commands(text).unwrap();

        let serve = command("serve", How::Until("it is up".to_owned()));
        assert_eq!(commands, [serve, command("ask", How::ToItsEnd)]);
    }

    #[test]
    fn a_note_that_means_nothing_is_refused() {
        assert!(commands("<!-- check: perhaps -->").is_err());
    }
}
