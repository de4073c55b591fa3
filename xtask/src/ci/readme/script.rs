//! The commands of a text, and how they are to be run.

use anyhow::bail;

/// What is done for a text, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Runs a command to its end.
    Run(String),
    /// Runs a command until it prints a text, and lets it go on.
    RunUntil(String, String),
    /// Stops every command that goes on.
    Stop,
}

/// Finds the commands: each line of a fenced `sh` block is one.
///
/// # Errors
/// Where a note to this check is not understood.
pub(super) fn read(text: &str) -> anyhow::Result<Vec<Act>> {
    let mut acts = Vec::new();
    let mut awaited = None;
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        match note(line)? {
            Some(Note::Until(text)) => awaited = Some(text),
            Some(Note::Stop) => acts.push(Act::Stop),
            None if line.trim_end() == "```sh" => {
                let block = lines.by_ref().take_while(|line| line.trim_end() != "```");
                let awaited = awaited.take();
                acts.extend(commands(block).into_iter().map(|line| match &awaited {
                    Some(awaited) => Act::RunUntil(line, awaited.clone()),
                    None => Act::Run(line),
                }));
            }
            None => {}
        }
    }
    acts.push(Act::Stop);
    Ok(acts)
}

/// A comment in the text that is meant for this check.
enum Note {
    /// `<!-- check: until TEXT -->`
    Until(String),
    /// `<!-- check: stop -->`
    Stop,
}

fn note(line: &str) -> anyhow::Result<Option<Note>> {
    let comment = line.trim().strip_prefix("<!-- check:");
    let Some(comment) = comment.and_then(|comment| comment.strip_suffix("-->")) else {
        return Ok(None);
    };
    match comment.trim().split_once(' ') {
        Some(("until", text)) => Ok(Some(Note::Until(text.to_owned()))),
        None if comment.trim() == "stop" => Ok(Some(Note::Stop)),
        _ => bail!("`{}` is not understood", line.trim()),
    }
}

/// The commands of a block: comments and blank lines left out, continued lines joined.
fn commands<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<String> {
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

    fn run(line: &str) -> Act {
        Act::Run(line.to_owned())
    }

    #[test]
    fn each_line_of_a_shell_block_is_a_command_and_other_blocks_are_not() {
        let text = "```sh\n# first\nmake it\n\nmake \\\n  more\n```\n```toml\nnot = 1\n```\n";

        let acts = read(text).unwrap();

        assert_eq!(acts, [run("make it"), run("make more"), Act::Stop]);
    }

    #[test]
    fn a_note_holds_for_the_next_block_only() {
        let text = "<!-- check: until it is up -->\n```sh\nserve\n```\n```sh\nask\n```\n\
                    <!-- check: stop -->\n```sh\nlook\n```\n";

        let acts = read(text).unwrap();

        let serve = Act::RunUntil("serve".to_owned(), "it is up".to_owned());
        assert_eq!(acts, [serve, run("ask"), Act::Stop, run("look"), Act::Stop]);
    }

    #[test]
    fn a_note_that_means_nothing_is_refused() {
        assert!(read("<!-- check: perhaps -->").is_err());
        assert!(read("<!-- check: stop it -->").is_err());
    }
}
