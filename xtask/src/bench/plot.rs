//! Bars with whiskers, as SVG that reads on light and dark ground.

use std::fmt::Write as _;

use super::stats::Spread;

const WIDTH: f64 = 760.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 110.0;
const BAR: f64 = 16.0;
const GAP: f64 = 4.0;
const HEAD: f64 = 44.0;
const BETWEEN: f64 = 18.0;

/// The bars of one shape.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) bars: Vec<(String, Spread)>,
}

/// Draws a chart: a group for every shape, a bar for every target, from least to most as a line.
pub(super) fn bars(title: &str, unit: &str, groups: &[Group]) -> String {
    let top = groups.iter().flat_map(|group| &group.bars);
    let top = top
        .map(|(_, spread)| spread.high)
        .fold(0.0, f64::max)
        .max(f64::MIN_POSITIVE);
    let scale = (WIDTH - LEFT - RIGHT) / top;
    let mut body = String::new();
    let mut y = HEAD;
    for group in groups {
        for (index, (target, spread)) in group.bars.iter().enumerate() {
            let label = if index == 0 { group.name.as_str() } else { "" };
            body += &bar(y, label, target, spread, scale);
            y += BAR + GAP;
        }
        y += BETWEEN;
    }
    let (title, unit) = (escaped(title), escaped(unit));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" \
         height=\"{y}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n\
         <text x=\"{}\" y=\"22\" text-anchor=\"end\" fill=\"#555555\">{unit}</text>\n{body}</svg>\n",
        WIDTH - 12.0
    )
}

fn bar(y: f64, label: &str, target: &str, spread: &Spread, scale: f64) -> String {
    let (middle, base) = (y + BAR / 2.0, y + BAR - 4.0);
    let width = spread.median * scale;
    let (low, high) = (LEFT + spread.low * scale, LEFT + spread.high * scale);
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "<text x=\"12\" y=\"{base}\" font-weight=\"bold\">{}</text>\
         <text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{}</text>\
         <rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR}\" fill=\"{}\"/>\
         <path d=\"M{low:.1} {middle}H{high:.1}M{low:.1} {}v6M{high:.1} {}v6\" stroke=\"#222222\" fill=\"none\"/>\
         <text x=\"{:.1}\" y=\"{base}\">{}</text>",
        escaped(label),
        LEFT - 8.0,
        escaped(target),
        colour(target),
        middle - 3.0,
        middle - 3.0,
        high.max(LEFT + width) + 6.0,
        value(spread.median)
    );
    text
}

fn value(median: f64) -> String {
    if median >= 100.0 {
        format!("{median:.0}")
    } else {
        format!("{median:.2}")
    }
}

fn colour(target: &str) -> &'static str {
    match target {
        "bare" | "bare-group" => "#9aa5b1",
        "ours" => "#2a7de1",
        "seed" => "#e0912f",
        _ => "#5fa777",
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fits_and_names_are_escaped() {
        let spread = Spread {
            median: 50.0,
            low: 40.0,
            high: 80.0,
        };
        let group = Group {
            name: "a<b".to_owned(),
            bars: vec![("ours".to_owned(), spread)],
        };
        let svg = bars("title", "unit", &[group]);
        assert!(svg.contains("a&lt;b") && svg.starts_with("<svg") && svg.ends_with("</svg>\n"));
        assert!(svg.contains(&format!("H{:.1}", WIDTH - RIGHT)), "{svg}");
        assert!(svg.contains("width=\"262.5\""), "{svg}");
    }
}
