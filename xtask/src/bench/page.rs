//! docs/performance.md: its tables and pictures are made from the results file.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::plot::{self, Group};
use super::report;
use super::results::{Figure, Results, Trial};
use super::shape::{self, Focus};

/// Between these lines everything is made from the results; the rest is written by hand.
const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// The page where there is none yet.
const EMPTY: &str = "# Performance\n\n<!-- bench: begin -->\n<!-- bench: end -->\n";

/// A picture: its file, its title, its unit, and what it shows.
const PICTURES: [(&str, &str, &str, Figure); 3] = [
    (
        "cpu",
        "CPU time of the relay for each delivered frame",
        "microseconds, less is better",
        Trial::cpu_per_frame,
    ),
    (
        "latency",
        "Latency at the 99th percentile, from when a frame was due",
        "milliseconds, less is better",
        |trial| Some(trial.p99),
    ),
    (
        "memory",
        "Memory of the relay for each subscriber",
        "KiB, less is better",
        |trial| trial.kib_per_subscriber,
    ),
];

/// Writes the pictures, and the tables into the page.
///
/// # Errors
/// Where a file cannot be written, or the page has lost the lines that mark the place.
pub(super) fn write(results: &Results, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for (file, title, unit, figure) in PICTURES {
        let path = folder.join(format!("performance-{file}.svg"));
        fs::write(&path, plot::bars(title, unit, &groups(results, figure)))?;
    }
    let path = folder.join("performance.md");
    let page = if path.exists() {
        fs::read_to_string(&path)?
    } else {
        EMPTY.to_owned()
    };
    let page = replaced(&page, &generated(results))?;
    fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))
}

/// Puts `generated` between the marks.
fn replaced(page: &str, generated: &str) -> anyhow::Result<String> {
    let (before, rest) = page
        .split_once(BEGIN)
        .context("the page has no begin mark")?;
    let (_old, after) = rest.split_once(END).context("the page has no end mark")?;
    ensure!(!after.contains(BEGIN), "the page has two begin marks");
    Ok(format!("{before}{BEGIN}\n{generated}{END}{after}"))
}

fn generated(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "Measured on {} at commit {}: {}, {} processors, Linux {}, load average {:.1} before the \
         start. {}\n",
        machine.date,
        machine.commit,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load,
        results.note
    );
    for (file, title, _, _) in PICTURES {
        text += &format!("\n![{title}](performance-{file}.svg)\n");
    }
    for shape in shape::ALL
        .iter()
        .filter(|shape| !results.targets(shape.name).is_empty())
    {
        text += &format!("\n## {}\n\n{}.\n\n", shape.name, capital(shape.about));
        let mut rows = report::table(results, shape).into_iter();
        let header = rows.next().unwrap_or_default();
        text += &row(&header);
        text += &row(&vec!["---".to_owned(); header.len()]);
        rows.for_each(|cells| text += &row(&cells));
        for remark in report::remarks(results, shape) {
            text += &format!("\n{}.\n", capital(&remark));
        }
    }
    text
}

fn groups(results: &Results, figure: Figure) -> Vec<Group> {
    let shown = |shape: &&shape::Shape| matches!(shape.focus, Focus::Frames(_));
    let groups = shape::ALL.iter().filter(shown).map(|shape| {
        let targets = results.targets(shape.name).into_iter();
        let bars = targets.filter_map(|target| {
            Some((target.to_owned(), results.of(shape.name, target, figure)?))
        });
        Group {
            name: shape.name.to_owned(),
            bars: bars.collect(),
        }
    });
    groups.filter(|group| !group.bars.is_empty()).collect()
}

fn row(cells: &[String]) -> String {
    format!("| {} |\n", cells.join(" | "))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{results, trial};
    use super::*;

    #[test]
    fn what_was_written_by_hand_stays() {
        let page = format!("# Title\n\nby hand\n{BEGIN}\nold\n{END}\nafter\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(
            new,
            format!("# Title\n\nby hand\n{BEGIN}\nnew\n{END}\nafter\n")
        );
        assert!(replaced("no marks", "new").is_err());
    }

    #[test]
    fn a_page_has_its_tables_and_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let results = results(vec![trial("bare", 0, 0.01), trial("ours", 0, 0.02)]);
        write(&results, folder.path()).unwrap();
        let page = fs::read_to_string(folder.path().join("performance.md")).unwrap();
        assert!(page.contains("## fanout-10k"), "{page}");
        assert!(page.contains("| ours | 2.00 [2.00..2.00] |"), "{page}");
        assert!(folder.path().join("performance-cpu.svg").exists());
    }
}
