//! docs/performance.md: its tables and pictures are made from the results file.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

use super::plot::{self, Group};
use super::results::{Figure, Results, Trial};
use super::shape::{Focus, Shape};
use super::{report, shapes, verdict};

/// Between these lines everything is made from the results; the rest is written by hand.
const BEGIN: &str = "<!-- bench: begin -->";
const END: &str = "<!-- bench: end -->";

/// The page where there is none yet.
const EMPTY: &str = "# Performance\n\n<!-- bench: begin -->\n<!-- bench: end -->\n";

/// A picture of one figure, for the shapes that show it.
struct Picture {
    file: &'static str,
    title: &'static str,
    unit: &'static str,
    figure: Figure,
    shows: fn(Focus) -> bool,
}

const PICTURES: [Picture; 4] = [
    Picture {
        file: "cpu",
        title: "CPU time of the relay for each delivered frame",
        unit: "microseconds, less is better",
        figure: Trial::cpu_per_frame,
        shows: |focus| matches!(focus, Focus::Frames(_) | Focus::Throughput),
    },
    Picture {
        file: "latency",
        title: "99 % of the frames came within",
        unit: "milliseconds since they were due, less is better",
        figure: |trial| Some(trial.p99),
        shows: |focus| matches!(focus, Focus::Frames(_)),
    },
    Picture {
        file: "memory",
        title: "Memory of the relay for each subscriber",
        unit: "KiB, less is better",
        figure: |trial| trial.kib_per_subscriber,
        shows: |focus| matches!(focus, Focus::Frames(_) | Focus::Memory),
    },
    Picture {
        file: "throughput",
        title: "Frames delivered, one processor and two",
        unit: "frames a second, more is better",
        figure: Trial::frames_per_second,
        shows: |focus| focus == Focus::Throughput,
    },
];

/// Writes the pictures, and the tables into the page.
///
/// # Errors
/// Where a file cannot be written, or the page has lost the lines that mark the place.
pub(super) fn write(results: &Results, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    for picture in &PICTURES {
        let path = folder.join(format!("performance-{}.svg", picture.file));
        let groups = groups(results, picture);
        fs::write(&path, plot::bars(picture.title, picture.unit, &groups))?;
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
         start, {} runs of each. {}\n",
        machine.date,
        machine.commit,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.load,
        results.runs(),
        results.note
    );
    text += &wakefulness(results);
    if let Some(why) = &results.without_syscalls {
        text += &format!("\nSystem calls were not counted: {why}.\n");
    }
    text += "\n## In short\n\n";
    text += &table(verdict::table(results));
    for Picture { file, title, .. } in &PICTURES {
        text += &format!("\n![{title}](performance-{file}.svg)\n");
    }
    for shape in ran(results) {
        text += &format!("\n## {}\n\n{}.\n\n", shape.name, capital(shape.about));
        text += &table(report::table(results, shape));
        for remark in report::remarks(results, shape) {
            text += &format!("\n{}.\n", capital(&remark));
        }
    }
    text
}

/// What the machine did beside, as far as it is known.
fn wakefulness(results: &Results) -> String {
    let kept = if results.awake {
        "were kept awake"
    } else {
        "were not kept awake"
    };
    let (most, all) = results.steal();
    format!(
        "The processors {kept}; the host took up to {most} hundredths of a second from them in a \
         run, {all} in all.\n"
    )
}

fn ran(results: &Results) -> impl Iterator<Item = &'static Shape> {
    let ran = |shape: &&Shape| !results.targets(shape.name).is_empty();
    shapes::ALL.iter().filter(ran)
}

fn groups(results: &Results, picture: &Picture) -> Vec<Group> {
    let shown = ran(results).filter(|shape| (picture.shows)(shape.focus));
    let groups = shown.map(|shape| {
        let targets = results.targets(shape.name).into_iter();
        let bars = targets.filter_map(|target| {
            let spread = results.of(shape.name, target, picture.figure)?;
            Some((target.to_owned(), spread))
        });
        Group {
            name: shape.name.to_owned(),
            bars: bars.collect(),
        }
    });
    groups.filter(|group| !group.bars.is_empty()).collect()
}

/// A table, the first row of which is its header.
fn table(rows: Vec<Vec<String>>) -> String {
    let mut rows = rows.into_iter();
    let header = rows.next().unwrap_or_default();
    let mut text = row(&header);
    text += &row(&vec!["---".to_owned(); header.len()]);
    rows.for_each(|cells| text += &row(&cells));
    text
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
        assert!(page.contains("| CPU / bare |"), "{page}");
        let beside =
            "kept awake; the host took up to 2 hundredths of a second from them in a run, 4 in";
        assert!(page.contains(beside), "{page}");
        assert!(folder.path().join("performance-cpu.svg").exists());
    }
}
